import assert from 'node:assert/strict';
import type { OptionDescription } from '@iggy-ts/wire/commands/replies';
import {
  type CompressionAlgorithm,
  HEADER_KIND,
  type Option,
  type Options,
} from '@iggy-ts/wire/commands/values';
import { STATUS } from '@iggy-ts/wire/status';
import { decodeUtf8, encodeUtf8 } from '@iggy-ts/wire/utf8';
import { parseBytesText, parseExpiryText, parseSizeText } from './option-text.ts';

// The catalogue of topic options: one row per key. Everything else here walks the rows.

type Durability = 'replicated' | 'persisted';

/** Every option of a topic with its effective value. Infinity: never, unlimited. */
export interface TopicSettings {
  readonly compression: CompressionAlgorithm;
  readonly messageExpiryUs: number;
  readonly maxTopicSizeBytes: number;
  readonly segmentBytes: number;
  readonly durability: Durability;
  readonly consumerOffsetDurability: Durability;
  readonly messagesRequiredToSave: number;
  readonly bytesRequiredToSave: number;
  readonly preallocateSegments: boolean;
}

type Value = string | number | boolean;
type Name = keyof TopicSettings;

interface Row {
  readonly key: string;
  readonly name: Name;
  /** Kind its value is stored with. */
  readonly kind: number;
  readonly updatable: boolean;
  /** Whether 0 stands for the default (at creation) or for no change (in an update). */
  readonly zeroIsDefault: boolean;
  readonly description: string;
  /** The value of a text; null when it is none. */
  readonly parse: (text: string) => Value | null;
  readonly allows: (value: Value) => boolean;
}

const MIB = 1024 * 1024;
const SEGMENT_BYTES_MIN = MIB;
const SEGMENT_BYTES_MAX = 1024 * MIB;
const SEGMENT_BYTES_STEP = 512;
const SAVE_MESSAGES_MAX = 16_777_216;
const PREALLOCATED_BYTES_MAX = 64 * 1024 * MIB;

const any = (): boolean => true;
const word =
  (...words: readonly string[]) =>
  (text: string): string | null => {
    const lower = text.toLowerCase();
    return words.includes(lower) ? lower : null;
  };
const durability = word('replicated', 'persisted');
const within =
  (range: { readonly min: number; readonly max: number }) =>
  (value: Value): boolean =>
    Number(value) >= range.min && Number(value) <= range.max;

const BOOL_WORDS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
]);

const ROWS: readonly Row[] = [
  {
    key: 'compression_algorithm',
    name: 'compression',
    kind: HEADER_KIND.string,
    updatable: true,
    zeroIsDefault: false,
    description: 'How messages are compressed: none or gzip. Kept for clients, has no effect.',
    parse: word('none', 'gzip'),
    allows: any,
  },
  {
    key: 'message_expiry',
    name: 'messageExpiryUs',
    kind: HEADER_KIND.uint64,
    updatable: true,
    zeroIsDefault: true,
    description: 'How long messages are kept, in microseconds; all ones is for ever.',
    parse: parseExpiryText,
    allows: any,
  },
  {
    key: 'max_topic_size',
    name: 'maxTopicSizeBytes',
    kind: HEADER_KIND.uint64,
    updatable: true,
    zeroIsDefault: true,
    description: 'Bytes above which the oldest segments are dropped; all ones is unlimited.',
    parse: parseSizeText,
    allows: any,
  },
  {
    key: 'segment_size',
    name: 'segmentBytes',
    kind: HEADER_KIND.uint64,
    updatable: false,
    zeroIsDefault: true,
    description: 'Bytes of one segment: 1 MiB to 1 GiB, a multiple of 512.',
    parse: parseBytesText,
    allows: (value) =>
      within({ min: SEGMENT_BYTES_MIN, max: SEGMENT_BYTES_MAX })(value) &&
      Number(value) % SEGMENT_BYTES_STEP === 0,
  },
  {
    key: 'durability',
    name: 'durability',
    kind: HEADER_KIND.string,
    updatable: false,
    zeroIsDefault: false,
    description: 'What an answer to a send promises: replicated or persisted.',
    parse: durability,
    allows: any,
  },
  {
    key: 'consumer_offset_durability',
    name: 'consumerOffsetDurability',
    kind: HEADER_KIND.string,
    updatable: false,
    zeroIsDefault: false,
    description: 'What an answer to a stored offset promises: replicated or persisted.',
    parse: durability,
    allows: any,
  },
  {
    key: 'messages_required_to_save',
    name: 'messagesRequiredToSave',
    kind: HEADER_KIND.uint32,
    updatable: false,
    zeroIsDefault: false,
    description: 'Messages after which a partition is written out.',
    parse: (text) => (/^\d{1,10}$/u.test(text) ? Number(text) : null),
    allows: within({ min: 1, max: SAVE_MESSAGES_MAX }),
  },
  {
    key: 'size_of_messages_required_to_save',
    name: 'bytesRequiredToSave',
    kind: HEADER_KIND.uint64,
    updatable: false,
    zeroIsDefault: true,
    description: 'Bytes of messages after which a partition is written out.',
    parse: parseBytesText,
    allows: within({ min: 0, max: 1024 * MIB }),
  },
  {
    key: 'preallocate_segments',
    name: 'preallocateSegments',
    kind: HEADER_KIND.bool,
    updatable: false,
    zeroIsDefault: false,
    description: 'Whether the files of segments get their full size at once.',
    parse: (text) => BOOL_WORDS.get(text.toLowerCase()) ?? null,
    allows: any,
  },
];

const ROW_OF: ReadonlyMap<string, Row> = new Map(ROWS.map((row) => [row.key, row]));

/** Options of a new topic: `code` is 0, or why they are refused (4041, 4042, 1019). */
export interface ResolvedOptions {
  readonly code: number;
  /** What the client sent, in stored kinds, 0 replaced by the default. In catalogue order. */
  readonly explicit: Options;
  /** The defaults of everything else. In catalogue order. */
  readonly derived: Options;
  readonly settings: TopicSettings;
}

/**
 * Checks the options of a CreateTopic, before it becomes an op, and fills in the defaults.
 *
 * errors   4041 unknown key, 4042 value of the wrong kind or out of bounds, 1019 size limit of the
 *          topic below one segment
 * source   semantics 0.9, 14; wire 0.9, 11.8
 */
export function resolveTopicOptions(
  options: Options,
  defaults: TopicSettings,
  partitionsCount: number,
): ResolvedOptions {
  const refused = (code: number): ResolvedOptions => ({
    code,
    explicit: [],
    derived: [],
    settings: defaults,
  });
  const parsed = parseOptions(options, () => true);
  if (typeof parsed === 'number') return refused(parsed);
  const explicit: Option[] = [];
  const derived: Option[] = [];
  const settings: Record<string, Value> = {};
  for (const row of ROWS) {
    const sent = parsed.get(row);
    const value = sent === undefined || isDefault(row, sent) ? defaults[row.name] : sent;
    settings[row.name] = value;
    (sent === undefined ? derived : explicit).push(optionOf(row, value));
  }
  const resolved = settings as unknown as TopicSettings;
  const { segmentBytes, preallocateSegments, maxTopicSizeBytes } = resolved;
  if (preallocateSegments && segmentBytes * partitionsCount > PREALLOCATED_BYTES_MAX) {
    return refused(STATUS.invalidOptionValue);
  }
  if (maxTopicSizeBytes < segmentBytes) return refused(STATUS.invalidTopicSize);
  return { code: 0, explicit, derived, settings: resolved };
}

/**
 * Checks the options of an UpdateTopic, before it becomes an op. A sent 0 means "unchanged" and is
 * left out. Whether the size limit fits the topic's segments is checked against `settings`, and
 * again when the op is applied; null skips the check.
 *
 * errors   4041, 4042, 1019
 */
export function resolveTopicUpdate(
  options: Options,
  settings: TopicSettings | null,
): { readonly code: number; readonly options: Options } {
  const parsed = parseOptions(options, (row) => row.updatable);
  if (typeof parsed === 'number') return { code: parsed, options: [] };
  const changed: Option[] = [];
  for (const row of ROWS) {
    const value = parsed.get(row);
    if (value === undefined || isDefault(row, value)) continue;
    changed.push(optionOf(row, value));
  }
  if (settings !== null) {
    const updated = settingsOf(changed, settings);
    if (updated.maxTopicSizeBytes < updated.segmentBytes) {
      return { code: STATUS.invalidTopicSize, options: [] };
    }
  }
  return { code: 0, options: changed };
}

/** 4041 when an object whose catalogue is empty (stream, user) got an option, else 0. */
export function checkNoOptions(options: Options): number {
  return options.length === 0 ? 0 : STATUS.unsupportedOptionKey;
}

/** The catalogue, as DescribeOptions answers it for topics. */
export function describeTopicOptions(defaults: TopicSettings): readonly OptionDescription[] {
  return ROWS.map((row) => ({
    key: row.key,
    kind: row.kind,
    defaultValue: optionOf(row, defaults[row.name]).value,
    description: row.description,
  }));
}

/** Effective values: those of stored options over those of `base`. Options are in stored kinds. */
export function settingsOf(options: Options, base: TopicSettings): TopicSettings {
  const settings: Record<string, Value> = { ...base };
  for (const option of options) {
    const row = ROW_OF.get(option.key);
    assert(row !== undefined);
    const value = optionValue(row, option);
    assert(value !== null);
    settings[row.name] = value;
  }
  return settings as unknown as TopicSettings;
}

/** Effective values of a complete set of stored options. */
export function storedSettings(options: Options): TopicSettings {
  assert.equal(options.length, ROWS.length, 'options of a topic');
  return settingsOf(options, {} as TopicSettings);
}

/** The options after an update: changed keys become explicit; both blocks stay in catalogue order. */
export function mergeOptions(
  stored: { readonly explicit: Options; readonly derived: Options },
  changed: Options,
): { readonly explicit: Options; readonly derived: Options } {
  const explicit = new Map(stored.explicit.map((option) => [option.key, option]));
  for (const option of changed) explicit.set(option.key, option);
  return {
    explicit: ROWS.flatMap(({ key }) => explicit.get(key) ?? []),
    derived: stored.derived.filter(({ key }) => !explicit.has(key)),
  };
}

function parseOptions(options: Options, accepts: (row: Row) => boolean): Map<Row, Value> | number {
  const parsed = new Map<Row, Value>();
  for (const option of options) {
    const row = ROW_OF.get(option.key);
    if (row === undefined || !accepts(row)) return STATUS.unsupportedOptionKey;
    const value = optionValue(row, option);
    if (value === null) return STATUS.invalidOptionValue;
    if (!isDefault(row, value) && !row.allows(value)) return STATUS.invalidOptionValue;
    parsed.set(row, value);
  }
  return parsed;
}

function isDefault(row: Row, value: Value): boolean {
  return row.zeroIsDefault && value === 0;
}

const COMPRESSION_CODES: readonly CompressionAlgorithm[] = ['none', 'gzip'];
const TEXT_BYTES_MAX = 255;
const U32 = 0x1_0000_0000;

/** The value of an option; null when its kind or its form is not one the row takes. */
function optionValue(row: Row, { kind, value }: Option): Value | null {
  if (kind === HEADER_KIND.string) {
    const text = value.length <= TEXT_BYTES_MAX ? decodeUtf8(value, 0, value.length) : null;
    return text === null ? null : row.parse(text);
  }
  if (row.name === 'compression' && kind === HEADER_KIND.uint8 && value.length === 1) {
    return COMPRESSION_CODES[value[0]! - 1] ?? null;
  }
  if (kind !== row.kind) return null;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  if (kind === HEADER_KIND.bool) {
    return value.length === 1 && value[0]! <= 1 ? value[0] === 1 : null;
  }
  if (kind === HEADER_KIND.uint32) return value.length === 4 ? view.getUint32(0, true) : null;
  assert(kind === HEADER_KIND.uint64);
  if (value.length !== 8) return null;
  const [low, high] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (low === U32 - 1 && high === U32 - 1) return foreverOf(row);
  const number = high * U32 + low;
  return Number.isSafeInteger(number) ? number : null;
}

/** All ones means something for two keys only. */
function foreverOf(row: Row): number | null {
  const { name } = row;
  return name === 'messageExpiryUs' || name === 'maxTopicSizeBytes'
    ? Number.POSITIVE_INFINITY
    : null;
}

function optionOf(row: Row, value: Value): Option {
  return { key: row.key, kind: row.kind, value: bytesOf(row, value) };
}

function bytesOf(row: Row, value: Value): Uint8Array {
  if (row.kind === HEADER_KIND.string) return encodeUtf8(String(value));
  if (row.kind === HEADER_KIND.bool) return Uint8Array.of(value === true ? 1 : 0);
  const number = Number(value);
  const bytes = new Uint8Array(row.kind === HEADER_KIND.uint32 ? 4 : 8);
  if (number === Number.POSITIVE_INFINITY) return bytes.fill(0xff);
  assert(Number.isSafeInteger(number) && number >= 0);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, number % U32, true);
  if (bytes.length === 8) view.setUint32(4, Math.floor(number / U32), true);
  return bytes;
}
