import { RequestRefused } from './failure.ts';

// JSON with whole numbers beyond 2^53: clients send and expect u64 and u128 as plain numbers.

/** A number that JSON.stringify prints digit by digit. */
type RawNumber = object;

// Newer than the library that the type checker knows.
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => RawNumber };
const parseWithSource = JSON.parse as unknown as (
  text: string,
  revive: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;

const U64_MAX = 0xffff_ffff_ffff_ffffn;
const LONG_NUMBER = /\d{16}/u;
const WHOLE = /^\d{16,39}$/u;

/**
 * The value of a text.
 *
 * shape    whole numbers above 2^53-1 are bigints, all others numbers
 * errors   RequestRefused 400
 */
export function parseJson(text: string): unknown {
  try {
    // The slow way only where it can matter.
    if (!LONG_NUMBER.test(text)) return JSON.parse(text);
    return parseWithSource(text, (_key, value, { source }) =>
      typeof value === 'number' && !Number.isSafeInteger(value) && WHOLE.test(source ?? '')
        ? BigInt(source!)
        : value,
    );
  } catch (cause) {
    throw new RequestRefused(400, `body is no JSON: ${(cause as Error).message.slice(0, 200)}`);
  }
}

/** A u64 of the house as JSON: Infinity is all ones. */
export function u64Json(value: number): number | RawNumber {
  return value === Number.POSITIVE_INFINITY ? rawJSON(String(U64_MAX)) : value;
}

export function bigJson(value: bigint): RawNumber {
  return rawJSON(String(value));
}

/** A u64 of a client; null when it is none, or one that the house cannot hold. */
export function u64Of(value: unknown): number | null {
  if (value === U64_MAX) return Number.POSITIVE_INFINITY;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** As u64Of, of the digits of a query. */
export function u64OfText(text: string): number | null {
  if (!/^\+?\d{1,20}$/u.test(text)) return null;
  const value = BigInt(text.replace('+', ''));
  return u64Of(value <= Number.MAX_SAFE_INTEGER ? Number(value) : value);
}
