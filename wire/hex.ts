import assert from 'node:assert/strict';

// 128-bit numbers are text inside: 32 lowercase hex characters, the 16 bytes in wire order.

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
);

/** Bytes [at, end) as lowercase hex. */
export function formatHex(bytes: Uint8Array, at: number, end: number): string {
  assert(at >= 0 && at <= end && end <= bytes.length);
  let hex = '';
  for (let index = at; index < end; index += 1) hex += HEX[bytes[index]!];
  return hex;
}

/** Bytes of a hex text that this house wrote; anything else is a bug of the caller. */
export function parseHex(hex: string): Uint8Array {
  assert(hex.length % 2 === 0);
  assert(/^[0-9a-f]*$/u.test(hex));
  const bytes = new Uint8Array(hex.length / 2);
  for (let index = 0; index < bytes.length; index += 1) {
    bytes[index] = Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
}
