// Sizes and durations as people write them in options: "128 MiB", "7 days". Every parser returns
// null for a text it does not understand. 0 stands for the server's default.

const SECOND_US = 1_000_000;
const DAY_US = 86_400 * SECOND_US;

/** Microseconds of one unit; months and years are mean ones. */
const UNIT_US: ReadonlyMap<string, number> = new Map([
  ['us', 1],
  ['ms', 1_000],
  ...named(SECOND_US, 's', 'sec', 'secs', 'second', 'seconds'),
  ...named(60 * SECOND_US, 'm', 'min', 'mins', 'minute', 'minutes'),
  ...named(3_600 * SECOND_US, 'h', 'hr', 'hrs', 'hour', 'hours'),
  ...named(DAY_US, 'd', 'day', 'days'),
  ...named(7 * DAY_US, 'w', 'week', 'weeks'),
  ...named(2_630_016 * SECOND_US, 'M', 'month', 'months'),
  ...named(31_557_600 * SECOND_US, 'y', 'year', 'years'),
]);

const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ...['kb', 'mb', 'gb', 'tb'].map((unit, at): [string, number] => [unit, 1000 ** (at + 1)]),
  ...['kib', 'mib', 'gib', 'tib'].map((unit, at): [string, number] => [unit, 1024 ** (at + 1)]),
]);

const FOREVER_WORDS: ReadonlySet<string> = new Set([
  'never',
  'never_expire',
  'unlimited',
  'none',
  '18446744073709551615',
]);
const DEFAULT_WORDS: ReadonlySet<string> = new Set(['0', 'default', 'server_default']);

function named(size: number, ...names: readonly string[]): [string, number][] {
  return names.map((name) => [name, size]);
}

/** Microseconds of "7 days", "1 h 30 m" or of a bare number; Infinity for "never". */
export function parseExpiryText(text: string): number | null {
  const word = text.trim().toLowerCase();
  if (FOREVER_WORDS.has(word)) return Number.POSITIVE_INFINITY;
  if (DEFAULT_WORDS.has(word)) return 0;
  if (/^\d+$/u.test(word)) return safe(Number(word));
  if (!/^(?:\d+\s*[a-z]+\s*)+$/iu.test(text.trim())) return null;
  let total = 0;
  for (const match of text.matchAll(/(?<count>\d+)\s*(?<unit>[a-z]+)/giu)) {
    const { count, unit } = match.groups!;
    // "M" is a month, "m" a minute; all else may be written in any case.
    const size = UNIT_US.get(unit!) ?? UNIT_US.get(unit!.toLowerCase());
    if (size === undefined) return null;
    total += Number(count) * size;
  }
  return safe(total);
}

/** Bytes of "128 MiB", "100 KB" or of a bare number. */
export function parseBytesText(text: string): number | null {
  const word = text.trim().toLowerCase();
  if (DEFAULT_WORDS.has(word)) return 0;
  const match = /^(?<count>\d+(?:\.\d+)?)\s*(?<unit>[a-z]*)$/u.exec(word);
  const size = UNIT_BYTES.get(match?.groups?.['unit'] ?? '?');
  if (match === null || size === undefined) return null;
  return safe(Math.floor(Number(match.groups!['count']) * size));
}

/** As bytes; Infinity for "unlimited". */
export function parseSizeText(text: string): number | null {
  const word = text.trim().toLowerCase();
  return FOREVER_WORDS.has(word) ? Number.POSITIVE_INFINITY : parseBytesText(text);
}

function safe(value: number): number | null {
  return Number.isSafeInteger(value) ? value : null;
}
