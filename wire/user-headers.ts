import assert from 'node:assert/strict';
import { type Fault, Reader } from './reader.ts';
import { Writer } from './writer.ts';

// Keys and values of user headers and options: a sequence of fields, key and value alternating.
//
//   u8 kind, not 0 | u32 length, 1..255 | data
//
// Kinds above 15 belong to nobody yet and pass.

export const FIELD_BYTES_MAX = 255;
/** What a field takes beside its data. */
export const FIELD_OVERHEAD_BYTES = 5;

/** One entry of a message's user headers; bytes in the encoding of their kind (HEADER_KIND). */
export interface UserHeader {
  readonly keyKind: number;
  readonly key: Uint8Array;
  readonly valueKind: number;
  readonly value: Uint8Array;
}

/**
 * Reads a user header area.
 *
 * shape    entries in wire order, repeated keys kept; data is owned
 * errors   a fault: kind 0, length outside 1..255, a key without a value, bytes that end early
 */
export function decodeUserHeaders(
  bytes: Uint8Array,
  at: number,
  end: number,
): UserHeader[] | Fault {
  const reader = new Reader(bytes, at, end);
  const headers: UserHeader[] = [];
  while (reader.remaining > 0) {
    const keyKind = readFieldKind(reader);
    const key = readFieldData(reader);
    if (reader.fault === null && reader.remaining === 0) reader.fail('invalid');
    const valueKind = readFieldKind(reader);
    const value = readFieldData(reader);
    headers.push({ keyKind, key, valueKind, value });
  }
  return reader.fault ?? headers;
}

export function encodeUserHeaders(headers: readonly UserHeader[]): Uint8Array {
  const writer = new Writer();
  for (const { keyKind, key, valueKind, value } of headers) {
    writeField(writer, keyKind, key);
    writeField(writer, valueKind, value);
  }
  return writer.finish();
}

export function readFieldKind(reader: Reader): number {
  const kind = reader.u8();
  if (kind === 0) reader.fail('invalid');
  return kind;
}

/** Length of a field's data, 1..255, or 0 with a fault. */
export function readFieldLength(reader: Reader): number {
  const length = reader.u32();
  if (length >= 1 && length <= FIELD_BYTES_MAX) return length;
  reader.fail('invalid');
  return 0;
}

/** Data of a field, owned. */
export function readFieldData(reader: Reader): Uint8Array {
  return reader.copy(readFieldLength(reader));
}

export function writeField(writer: Writer, kind: number, data: Uint8Array): void {
  assert(kind > 0);
  assert(data.length >= 1 && data.length <= FIELD_BYTES_MAX);
  writer.u8(kind);
  writer.u32(data.length);
  writer.bytes(data);
}
