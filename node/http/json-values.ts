import { HEADER_KIND, type Option, type Options } from '@iggy-ts/wire/commands/values';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { encodeUtf8 } from '@iggy-ts/wire/utf8';
import type { Members } from './request-values.ts';

// Values that several answers share: sizes as texts, options as one map.

const SIZE_UNITS: readonly (readonly [string, bigint])[] = ['K', 'M', 'G', 'T', 'P', 'E']
  .flatMap((letter, index): (readonly [string, bigint])[] => [
    [`${letter}B`, 1000n ** BigInt(index + 1)],
    [`${letter}iB`, 1024n ** BigInt(index + 1)],
  ])
  .reverse();

/** "69.092 KB": the largest unit that is exact with three decimals. */
export function sizeText(bytes: number): string {
  const value = BigInt(Math.round(bytes));
  for (const [name, unit] of SIZE_UNITS) {
    if (value < unit || (value * 1000n) % unit !== 0n) continue;
    const thousandths = (value * 1000n) / unit;
    const decimals = String(thousandths % 1000n).padStart(3, '0');
    return `${thousandths / 1000n}.${decimals}`.replace(/\.?0+$/u, '').concat(` ${name}`);
  }
  return `${value} B`;
}

const KIND_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(HEADER_KIND).map(([name, kind]) => [kind, name]),
);

export function kindName(kind: number): string | null {
  return KIND_NAMES.get(kind) ?? null;
}

/** The number of a kind; null for a name that is none. */
export function kindOf(name: string): number | null {
  return Object.hasOwn(HEADER_KIND, name) ? HEADER_KIND[name as keyof typeof HEADER_KIND] : null;
}

interface OptionJson {
  readonly value: string;
  readonly explicit: boolean;
}

/** Options by key, in the order of the keys. */
export function optionsJson(explicit: Options, derived: Options): Record<string, OptionJson> {
  const rows = [
    ...explicit.map((option): [string, OptionJson] => [
      option.key,
      { value: optionText(option), explicit: true },
    ]),
    ...derived.map((option): [string, OptionJson] => [
      option.key,
      { value: optionText(option), explicit: false },
    ]),
  ];
  return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function optionText({ kind, value }: Option): string {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  if (kind === HEADER_KIND.string) return bytes.toString('utf8');
  if (kind === HEADER_KIND.bool) return String(bytes[0] === 1);
  if (kind === HEADER_KIND.uint32 && bytes.length === 4) return String(bytes.readUInt32LE());
  if (kind === HEADER_KIND.uint64 && bytes.length === 8) return String(bytes.readBigUInt64LE());
  return bytes.toString('hex');
}

const OPTIONS_COUNT_MAX = 1024;
const FIELD_BYTES_MAX = 255;

/** An option as a text; the broker parses it. errors: 4041 no possible key, 4042 no possible value */
export function textOption(key: string, text: string): Option {
  const keyBytes = Buffer.byteLength(key);
  if (keyBytes === 0 || keyBytes > FIELD_BYTES_MAX) {
    throw new OperatingError(STATUS.unsupportedOptionKey);
  }
  const value = encodeUtf8(text);
  if (value.length === 0 || value.length > FIELD_BYTES_MAX) {
    throw new OperatingError(STATUS.invalidOptionValue, key);
  }
  return { key, kind: HEADER_KIND.string, value };
}

/** The member `options` of a body: a map of text to text, absent is none. */
export function optionsOf(body: Members): Options {
  const options = body.optionalMembers('options');
  if (options === null) return [];
  const names = options.names();
  if (names.length > OPTIONS_COUNT_MAX) throw new OperatingError(STATUS.optionsBlockTooLarge);
  return names.map((name) => textOption(name, options.text(name)));
}
