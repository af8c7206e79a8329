import assert from 'node:assert/strict';

/**
 * Text between bytes and strings. Bad UTF-8 comes from hostile bytes, so it is a value (null) and
 * not an exception: the fatal mode of TextDecoder throws, and a throw costs 3.5 µs here.
 */

const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });
const ENCODER = new TextEncoder();

/** Up to here a loop beats the call into TextDecoder (16 bytes: 150 ns both). */
const LOOP_BYTES_MAX = 16;

/**
 * The text of bytes [at, end), or null when they are not UTF-8.
 *
 * cost     one string; a view where the text is longer than 16 bytes or not ASCII
 */
export function decodeUtf8(bytes: Uint8Array, at: number, end: number): string | null {
  assert(at >= 0 && at <= end && end <= bytes.length);
  let ascii = at;
  while (ascii < end && bytes[ascii]! < 0x80) ascii += 1;
  if (ascii === end && end - at <= LOOP_BYTES_MAX) {
    let text = '';
    for (let index = at; index < end; index += 1) text += String.fromCharCode(bytes[index]!);
    return text;
  }
  return isUtf8(bytes, ascii, end) ? DECODER.decode(bytes.subarray(at, end)) : null;
}

/** Whether bytes [at, end) are well-formed UTF-8: no overlong forms, no surrogates, ≤ U+10FFFF. */
function isUtf8(bytes: Uint8Array, from: number, end: number): boolean {
  let at = from;
  while (at < end) {
    const first = bytes[at]!;
    at += 1;
    if (first < 0x80) continue;
    const length = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (first < 0xc2 || first > 0xf4 || end - at < length) return false;
    const second = bytes[at]!;
    if (second < lowestSecond(first) || second > highestSecond(first)) return false;
    for (let index = 1; index < length; index += 1) {
      if (bytes[at + index]! >> 6 !== 2) return false;
    }
    at += length;
  }
  return true;
}

function lowestSecond(first: number): number {
  return first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
}
function highestSecond(first: number): number {
  return first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
}

/** The bytes of a text, owned; a lone surrogate becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  return ENCODER.encode(text);
}
