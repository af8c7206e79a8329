// How values are written in files, variables and flags: parse is text → value, format is value →
// text. Every parse function returns null for a text it does not understand; the caller knows the
// key and says what was expected.

const US_PER_SECOND = 1_000_000;
const SECONDS_MAX_EXPIRY = 2 ** 32 - 1;

/** Microseconds of one unit. Months and years are the mean ones (30.44 and 365.25 days). */
const UNIT_US: ReadonlyMap<string, number> = new Map([
  ...named(0.001, 'ns', 'nsec', 'nanos'),
  ...named(1, 'us', 'usec', 'µs', 'micros'),
  ...named(1_000, 'ms', 'msec', 'millis'),
  ...named(US_PER_SECOND, 's', 'sec', 'secs', 'second', 'seconds'),
  ...named(60 * US_PER_SECOND, 'm', 'min', 'mins', 'minute', 'minutes'),
  ...named(3_600 * US_PER_SECOND, 'h', 'hr', 'hrs', 'hour', 'hours'),
  ...named(86_400 * US_PER_SECOND, 'd', 'day', 'days'),
  ...named(604_800 * US_PER_SECOND, 'w', 'week', 'weeks'),
  ...named(2_630_016 * US_PER_SECOND, 'M', 'month', 'months'),
  ...named(31_557_600 * US_PER_SECOND, 'y', 'year', 'years'),
]);

const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ...['kb', 'mb', 'gb', 'tb', 'pb'].map((unit, at) => [unit, 1000 ** (at + 1)] as const),
  ...['kib', 'mib', 'gib', 'tib', 'pib'].map((unit, at) => [unit, 1024 ** (at + 1)] as const),
]);

function named(size: number, ...names: string[]): [string, number][] {
  return names.map((name) => [name, size]);
}

const ZERO_WORDS = new Set(['0', 'unlimited', 'disabled', 'none']);
const NEVER_WORDS = new Set(['never', 'never_expire', 'unlimited', 'none']);
const SERVER_DEFAULT_WORDS = new Set(['0', 'default', 'server_default']);

/**
 * A duration in parts, as in "1 h 30 m"; "0", "none", "disabled" and "unlimited" are 0.
 *
 * units    microseconds, 0..2^53-1; a fraction of one counts as a whole, so that only 0 is 0
 */
export function parseDurationUs(text: string): number | null {
  if (ZERO_WORDS.has(text.trim().toLowerCase())) return 0;
  const rest = text.trim().replaceAll(/(?<count>\d+)\s*(?<unit>[a-zA-Zµ]+)\s*/gu, '');
  if (rest !== '' || text.trim() === '') return null;
  let total = 0;
  for (const match of text.matchAll(/(?<count>\d+)\s*(?<unit>[a-zA-Zµ]+)/gu)) {
    const { count, unit } = match.groups!;
    // "M" is a month and "m" a minute; everything else may be written in any case.
    const size = UNIT_US.get(unit!) ?? UNIT_US.get(unit!.toLowerCase());
    if (size === undefined) return null;
    total += Number(count) * size;
  }
  total = Math.ceil(total);
  return Number.isSafeInteger(total) ? total : null;
}

/**
 * How long something lives: a duration, Infinity for "never", 0 for "server_default".
 *
 * units    microseconds, up to 2^32-1 seconds
 */
export function parseExpiryUs(text: string): number | null {
  const word = text.trim().toLowerCase();
  if (NEVER_WORDS.has(word)) return Number.POSITIVE_INFINITY;
  if (SERVER_DEFAULT_WORDS.has(word)) return 0;
  const us = parseDurationUs(text);
  return us === null || us > SECONDS_MAX_EXPIRY * US_PER_SECOND ? null : us;
}

/** Bytes, with or without a decimal (KB) or binary (KiB) unit; "0", "none", "unlimited" are 0. */
export function parseBytes(text: string): number | null {
  const word = text.trim().toLowerCase();
  if (ZERO_WORDS.has(word)) return 0;
  const match = /^(?<count>\d[\d_]*(?:\.\d+)?)\s*(?<unit>[a-z]*)$/u.exec(word);
  const size = UNIT_BYTES.get(match?.groups?.['unit'] ?? '?');
  if (match === null || size === undefined) return null;
  const bytes = Math.floor(Number(match.groups!['count']!.replaceAll('_', '')) * size);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** Bytes, Infinity for "unlimited", 0 for "server_default". */
export function parseMaxTopicSizeBytes(text: string): number | null {
  const word = text.trim().toLowerCase();
  if (word === 'unlimited' || word === 'none') return Number.POSITIVE_INFINITY;
  if (SERVER_DEFAULT_WORDS.has(word)) return 0;
  return parseBytes(text);
}

export function parseBool(text: string): boolean | null {
  const word = text.trim().toLowerCase();
  return word === 'true' ? true : word === 'false' ? false : null;
}

/** A whole number, 0..2^32-1; underscores may separate digits. */
export function parseU32(text: string): number | null {
  if (!/^\d[\d_]*$/u.test(text.trim())) return null;
  const value = Number(text.trim().replaceAll('_', ''));
  return value < 2 ** 32 ? value : null;
}

/** Where a listener binds. Port 0 is chosen by the operating system. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** "HOST:PORT"; an IPv6 address stands in brackets: "[::1]:8090". */
export function parseAddress(text: string): Address | null {
  const match = /^(?:\[(?<v6>[\da-fA-F:.]+)\]|(?<host>[^\s:[\]/]+)):(?<port>\d{1,5})$/u.exec(
    text.trim(),
  );
  const port = Number(match?.groups?.['port']);
  if (match === null || port > 65_535) return null;
  return { host: (match.groups!['v6'] ?? match.groups!['host'])!, port };
}

/**
 * A list: `["a", "b"]` as in TOML or JSON, `[a, b]` without quotes, or `a, b`. Quotes protect
 * commas.
 */
export function parseTextList(text: string): string[] | null {
  const inside = /^\s*\[(?<inside>.*)\]\s*$/su.exec(text)?.groups?.['inside'] ?? text;
  if (inside.trim() === '') return [];
  const items: string[] = [];
  const pattern = /\s*(?:"(?<double>[^"]*)"|'(?<single>[^']*)'|(?<bare>[^,"'[\]]*?))\s*(?:,|$)/uy;
  while (pattern.lastIndex < inside.length) {
    const groups = pattern.exec(inside)?.groups;
    if (groups === undefined) return null;
    items.push((groups['double'] ?? groups['single'] ?? groups['bare'])!);
  }
  return items;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

const LEVELS: ReadonlyMap<string, LogLevel> = new Map([
  ['trace', 'trace'],
  ['debug', 'debug'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['fatal', 'fatal'],
  ['off', 'silent'],
  ['silent', 'silent'],
]);

/**
 * A log level, or a filter in the manner of RUST_LOG ("warn,iggy=debug"). There is one level for
 * the whole server: the one of a directive that names iggy, else the one without a name.
 */
export function parseLogLevel(text: string): LogLevel | null {
  let general: LogLevel | null = null;
  let own: LogLevel | null = null;
  for (const directive of text.split(',')) {
    const [target, level] = directive.includes('=')
      ? directive.split('=', 2).map((part) => part.trim().toLowerCase())
      : ['', directive.trim().toLowerCase()];
    const parsed = LEVELS.get(level!);
    if (parsed === undefined) return null;
    if (target === '') general = parsed;
    else if (/^(?:iggy|server)\b/u.test(target!)) own = parsed;
  }
  return own ?? general ?? (text.includes('=') ? 'info' : null);
}

const FORMAT_UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400 * US_PER_SECOND],
  ['h', 3_600 * US_PER_SECOND],
  ['m', 60 * US_PER_SECOND],
  ['s', US_PER_SECOND],
  ['ms', 1_000],
  ['us', 1],
];

/** The reverse of parseDurationUs: 5_400_000_000 → "1 h 30 m". */
export function formatDurationUs(us: number): string {
  if (us === 0) return '0';
  const parts: string[] = [];
  let rest = us;
  for (const [unit, size] of FORMAT_UNITS) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count} ${unit}`);
    rest -= count * size;
  }
  return parts.join(' ');
}

export function formatExpiryUs(us: number): string {
  return us === Number.POSITIVE_INFINITY ? 'never' : formatDurationUs(us);
}

/** The reverse of parseBytes, exact: the unit that leaves the shortest whole number. */
export function formatBytes(bytes: number): string {
  if (bytes === 0) return '0';
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const fitting = units
    .map((unit) => ({ unit, count: bytes / UNIT_BYTES.get(unit.toLowerCase())! }))
    .filter(({ count }) => Number.isInteger(count));
  fitting.sort((a, b) => a.count - b.count);
  return `${fitting[0]!.count} ${fitting[0]!.unit}`;
}

export function formatMaxTopicSizeBytes(bytes: number): string {
  return bytes === Number.POSITIVE_INFINITY ? 'unlimited' : formatBytes(bytes);
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
