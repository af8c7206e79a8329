import type { SettingValue } from './config.ts';
import { camel } from './config.ts';
import type { Option } from './options.ts';
import {
  type Address,
  formatAddress,
  formatBytes,
  formatDurationUs,
  formatExpiryUs,
  formatMaxTopicSizeBytes,
  parseAddress,
  parseBool,
  parseBytes,
  parseDurationUs,
  parseExpiryUs,
  parseLogLevel,
  parseMaxTopicSizeBytes,
  parseTextList,
  parseU32,
} from './values.ts';

// One setting: text or TOML value → value of its row, with bounds; and back to text.

/** A value as a TOML file, a variable or a flag gives it. */
export type RawValue = string | number | boolean | readonly RawValue[] | RawTable;
export interface RawTable {
  readonly [key: string]: RawValue;
}

/** What a value of each type looks like, for messages. */
const EXPECTED: Readonly<Record<Option['type'], string>> = {
  bool: 'true or false',
  u32: 'a whole number',
  address: 'HOST:PORT, as in "127.0.0.1:8090"',
  duration: 'a duration, as in "10 s" or "1 h 30 m"',
  expiry: 'a duration, as in "7 days", or "never"',
  bytes: 'a size, as in "64 MiB"',
  maxTopicSize: 'a size, as in "10 GiB", or "unlimited"',
  text: 'a text',
  textList: 'a list of texts, as in ["a", "b"]',
  path: 'a path',
  secret: 'a text',
  choice: 'one of the words',
  logLevel: 'a level: trace, debug, info, warn, error or off',
  tables: 'a list of tables',
};

/** The value of a row, or a sentence that says what is wrong with `raw`. */
export function parseSetting(
  option: Option,
  raw: RawValue,
): { readonly value: SettingValue } | { readonly problem: string } {
  if (option.type === 'tables') return parseTables(option, raw);
  const value = parsePlain(option, raw);
  if (value === null) {
    const choices = option.choices === undefined ? '' : `: ${option.choices.join(', ')}`;
    return { problem: `expected ${EXPECTED[option.type]}${choices}; got ${shown(option, raw)}` };
  }
  const problem = boundsProblem(option, value);
  return problem === null ? { value } : { problem };
}

function parsePlain(option: Option, raw: RawValue): SettingValue | null {
  if (option.type === 'textList') {
    if (typeof raw === 'string') return parseTextList(raw);
    if (!Array.isArray(raw) || !raw.every((item) => typeof item === 'string')) return null;
    return raw as readonly string[];
  }
  if (typeof raw === 'object') return null;
  const text = String(raw);
  switch (option.type) {
    case 'bool':
      return parseBool(text);
    case 'u32':
      return parseU32(text);
    case 'address':
      return parseAddress(text);
    case 'duration':
      return parseDurationUs(text);
    case 'expiry':
      return parseExpiryUs(text);
    case 'bytes':
      return parseBytes(text);
    case 'maxTopicSize':
      return parseMaxTopicSizeBytes(text);
    case 'logLevel':
      return parseLogLevel(text);
    case 'choice':
      return option.choices?.find((choice) => choice.toLowerCase() === text.toLowerCase()) ?? null;
    default:
      return text;
  }
}

function boundsProblem(option: Option, value: SettingValue): string | null {
  if (typeof value !== 'number') return null;
  // "Never" and "unlimited" are above every bound on purpose; 0 would mean "server default".
  if (option.type === 'expiry' || option.type === 'maxTopicSize') {
    return value === 0 ? 'expected a value of the server itself, not "server_default"' : null;
  }
  const { min, max, multipleOf } = option;
  if (min !== undefined && value < boundOf(option, min)) return `expected at least ${min}`;
  if (max !== undefined && value > boundOf(option, max)) return `expected at most ${max}`;
  if (multipleOf !== undefined && value % multipleOf !== 0) {
    return `expected a multiple of ${multipleOf}`;
  }
  return null;
}

function boundOf(option: Option, bound: string | number): number {
  return typeof bound === 'number' ? bound : (parsePlain(option, bound) as number);
}

function parseTables(
  option: Option,
  raw: RawValue,
): { readonly value: SettingValue } | { readonly problem: string } {
  if (!Array.isArray(raw)) return { problem: `expected ${EXPECTED.tables}` };
  const entries: Record<string, string | number>[] = [];
  for (const entry of raw as readonly RawValue[]) {
    if (typeof entry !== 'object' || Array.isArray(entry)) {
      return { problem: `expected ${EXPECTED.tables}` };
    }
    const values: Record<string, string | number> = {};
    for (const [name, field] of Object.entries(option.fields ?? {})) {
      const parsed = parseSetting(field, (entry as RawTable)[name] ?? (field.default as RawValue));
      if ('problem' in parsed) return { problem: `${name}: ${parsed.problem}` };
      values[camel(name)] = parsed.value as string | number;
    }
    const unknown = Object.keys(entry).find((name) => !(name in (option.fields ?? {})));
    if (unknown !== undefined) return { problem: `unknown key ${unknown}` };
    entries.push(values);
  }
  return { value: entries };
}

function shown(option: Option, raw: RawValue): string {
  if (option.type === 'secret') return 'something else';
  return JSON.stringify(raw).slice(0, 80);
}

/** A value as TOML: what `parseSetting` reads back to the same value. */
export function formatSetting(option: Option, value: SettingValue): string {
  switch (option.type) {
    case 'bool':
    case 'u32':
      return String(value);
    case 'address':
      return JSON.stringify(formatAddress(value as Address));
    case 'duration':
      return JSON.stringify(formatDurationUs(value as number));
    case 'expiry':
      return JSON.stringify(formatExpiryUs(value as number));
    case 'bytes':
      return JSON.stringify(formatBytes(value as number));
    case 'maxTopicSize':
      return JSON.stringify(formatMaxTopicSizeBytes(value as number));
    case 'textList':
      return JSON.stringify(value);
    case 'secret':
      return JSON.stringify(value === '' ? '' : '******');
    default:
      return JSON.stringify(value === 'silent' && option.type === 'logLevel' ? 'off' : value);
  }
}
