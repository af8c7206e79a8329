import assert from 'node:assert/strict';
import type { Kernel } from '../kernel/kernel.ts';

// One op is one slot of 256 bytes in `.ops`, the same bytes on every replica:
//
//   0 checksum 16   XXH3-128 of bytes 16..255     96 op u64              140 body bytes u32
//  16 parent 16     checksum of op - 1           104 epoch u64           144 position in .log u32
//  32 body checksum 16   XXH3-128 of the body    112 commit u64          148 view u32
//  48 group uuid 16                              120 timestamp µs u64    152 kind u8, flags u8, release u16
//  64 client 16                                  128 first offset u64    156 inline bytes u8, 3 reserved
//  80 session u64, 88 request u64                136 count u32           160 request checksum u64, 168 inline 88
//
// All little-endian. Nobody else knows these numbers.

export const OP_BYTES = 256;
export const CHECKSUM_BYTES = 16;
const INLINE_BYTES_MAX = 88;

const CHECKSUM = 0;
const PARENT = 16;
const BODY_CHECKSUM = 32;
const GROUP = 48;
const CLIENT = 64;
const SESSION = 80;
const REQUEST = 88;
const OP = 96;
const EPOCH = 104;
const COMMIT = 112;
const TIMESTAMP = 120;
const OFFSET_FIRST = 128;
const COUNT = 136;
const BODY_LENGTH = 140;
const POSITION = 144;
const VIEW = 148;
const KIND = 152;
const FLAGS = 153;
const RELEASE_AT = 154;
const INLINE_LENGTH = 156;
const REQUEST_CHECKSUM = 160;
const INLINE = 168;

/** Release that writes these slots. */
const RELEASE = 1;

export const OP_KIND = {
  batch: 1,
  noop: 2,
  storeOffsets: 3,
  deleteOffset: 4,
  fence: 5,
  trimTo: 6,
  purge: 7,
  roll: 8,
  checkpoint: 9,
  epoch: 10,
  command: 11,
} as const;
export type OpKind = (typeof OP_KIND)[keyof typeof OP_KIND];

/** Flag bits of an op. `fsync`: both files are synced before anybody is told that the op is durable. */
export const OP_FLAG = { fsync: 1, strict: 2 } as const;

export interface OpFields {
  readonly op: number;
  readonly view: number;
  readonly epoch: number;
  /** Highest committed op the primary knew when it prepared this one. */
  readonly commit: number;
  readonly kind: OpKind;
  readonly flags: number;
  /** 32 hex characters; zeros for none. */
  readonly client: string;
  readonly session: number;
  readonly request: number;
  readonly requestChecksumLow: number;
  readonly requestChecksumHigh: number;
  readonly timestampUs: number;
  /** Next offset before this op. */
  readonly offsetFirst: number;
  /** Messages of a batch, else 0. */
  readonly count: number;
  readonly bodyBytes: number;
  /** Where the body stands in `.log`. */
  readonly position: number;
  /** 0..88 bytes. */
  readonly inline: Uint8Array;
}

/**
 * Writes every field but the checksum; `sealOp` writes that.
 *
 * shape    target: 256 bytes, fully written; inline is copied
 * cost     no allocation but one DataView
 */
export function encodeOp(
  fields: OpFields,
  group: Uint8Array,
  parent: Uint8Array,
  bodyChecksum: Uint8Array,
  target: Uint8Array,
): void {
  assert(target.length === OP_BYTES);
  assert(group.length === 16 && parent.length === 16 && bodyChecksum.length === 16);
  assert(fields.inline.length <= INLINE_BYTES_MAX);
  assert(fields.op > 0);
  target.fill(0);
  target.set(parent, PARENT);
  target.set(bodyChecksum, BODY_CHECKSUM);
  target.set(group, GROUP);
  encodeHex(fields.client, target, CLIENT);
  target.set(fields.inline, INLINE);
  const view = viewOf(target);
  setU64(view, SESSION, fields.session);
  setU64(view, REQUEST, fields.request);
  setU64(view, OP, fields.op);
  setU64(view, EPOCH, fields.epoch);
  setU64(view, COMMIT, fields.commit);
  setU64(view, TIMESTAMP, fields.timestampUs);
  setU64(view, OFFSET_FIRST, fields.offsetFirst);
  setU32(view, COUNT, fields.count);
  setU32(view, BODY_LENGTH, fields.bodyBytes);
  setU32(view, POSITION, fields.position);
  setU32(view, VIEW, fields.view);
  view.setUint8(KIND, fields.kind);
  view.setUint8(FLAGS, fields.flags);
  view.setUint16(RELEASE_AT, RELEASE, true);
  view.setUint8(INLINE_LENGTH, fields.inline.length);
  setU32(view, REQUEST_CHECKSUM, fields.requestChecksumLow);
  setU32(view, REQUEST_CHECKSUM + 4, fields.requestChecksumHigh);
}

/** Writes the checksum over everything behind it. */
export function sealOp(kernel: Kernel, target: Uint8Array): void {
  assert(target.length === OP_BYTES);
  kernel.hash128Of(target.subarray(CHECKSUM_BYTES), target.subarray(0, CHECKSUM_BYTES));
}

/**
 * Reads a slot whose checksum has been verified.
 *
 * shape    `inline` is borrowed from `bytes`
 * cost     one object, one string
 */
export function decodeOp(bytes: Uint8Array, at: number): OpFields {
  const view = viewOf(bytes, at);
  const inlineBytes = view.getUint8(INLINE_LENGTH);
  assert(inlineBytes <= INLINE_BYTES_MAX);
  return {
    op: getU64(view, OP),
    view: view.getUint32(VIEW, true),
    epoch: getU64(view, EPOCH),
    commit: getU64(view, COMMIT),
    kind: view.getUint8(KIND) as OpKind,
    flags: view.getUint8(FLAGS),
    client: hexOf(bytes.subarray(at + CLIENT, at + CLIENT + 16)),
    session: getU64(view, SESSION),
    request: getU64(view, REQUEST),
    requestChecksumLow: view.getUint32(REQUEST_CHECKSUM, true),
    requestChecksumHigh: view.getUint32(REQUEST_CHECKSUM + 4, true),
    timestampUs: getU64(view, TIMESTAMP),
    offsetFirst: getU64(view, OFFSET_FIRST),
    count: view.getUint32(COUNT, true),
    bodyBytes: view.getUint32(BODY_LENGTH, true),
    position: view.getUint32(POSITION, true),
    inline: bytes.subarray(at + INLINE, at + INLINE + inlineBytes),
  };
}

/** The few numbers the index needs, without an object per probe. */
export function opNumber(view: DataView, at: number): number {
  return getU64(view, at + OP);
}
export function opOffsetFirst(view: DataView, at: number): number {
  return getU64(view, at + OFFSET_FIRST);
}
export function opCount(view: DataView, at: number): number {
  return view.getUint32(at + COUNT, true);
}
export function opTimestampUs(view: DataView, at: number): number {
  return getU64(view, at + TIMESTAMP);
}
export function opBodyBytes(view: DataView, at: number): number {
  return view.getUint32(at + BODY_LENGTH, true);
}
export function opPosition(view: DataView, at: number): number {
  return view.getUint32(at + POSITION, true);
}
export function opKind(view: DataView, at: number): OpKind {
  return view.getUint8(at + KIND) as OpKind;
}

/** Next offset behind an op: a purge starts a new count. */
export function offsetAfter(fields: Pick<OpFields, 'kind' | 'offsetFirst' | 'count'>): number {
  return fields.kind === OP_KIND.purge ? 0 : fields.offsetFirst + fields.count;
}

export function opChecksum(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.subarray(at + CHECKSUM, at + CHECKSUM + CHECKSUM_BYTES);
}
export function opParent(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.subarray(at + PARENT, at + PARENT + CHECKSUM_BYTES);
}
export function opBodyChecksum(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.subarray(at + BODY_CHECKSUM, at + BODY_CHECKSUM + CHECKSUM_BYTES);
}
function opGroup(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.subarray(at + GROUP, at + GROUP + 16);
}

const scratch = new Uint8Array(CHECKSUM_BYTES);

/**
 * Whether the slot at `at` is op `op` of `group`, whole and in a form this release can read.
 *
 * cost     one hash over 240 bytes; no allocation that lives
 */
export function isOp(
  kernel: Kernel,
  bytes: Uint8Array,
  at: number,
  expected: { readonly op: number; readonly group: Uint8Array },
): boolean {
  assert(at + OP_BYTES <= bytes.length);
  kernel.hash128Of(bytes.subarray(at + CHECKSUM_BYTES, at + OP_BYTES), scratch);
  if (!sameBytes(scratch, opChecksum(bytes, at))) return false;
  if (!sameBytes(expected.group, opGroup(bytes, at))) return false;
  const view = viewOf(bytes, at);
  if (!numbersExact(view)) return false;
  if (getU64(view, OP) !== expected.op) return false;
  if (view.getUint8(INLINE_LENGTH) > INLINE_BYTES_MAX) return false;
  const kind = view.getUint8(KIND);
  return kind >= OP_KIND.batch && kind <= OP_KIND.command;
}

function numbersExact(view: DataView): boolean {
  for (const at of [SESSION, REQUEST, OP, EPOCH, COMMIT, TIMESTAMP, OFFSET_FIRST]) {
    if (view.getUint32(at + 4, true) > 0x1f_ffff) return false;
  }
  return true;
}

/** Whether `bytes` from `at` to `end` are all zero. */
export function isZero(bytes: Uint8Array, at: number, end: number): boolean {
  for (let index = at; index < end; index += 1) if (bytes[index] !== 0) return false;
  return true;
}

export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index += 1) {
    if (left[index] !== right[index]) return false;
  }
  return true;
}

/** 16 bytes of a 32-character lowercase hex string. */
export function bytesOfHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(16);
  encodeHex(hex, bytes, 0);
  return bytes;
}

export function hexOf(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += HEX[byte];
  return hex;
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
);

function encodeHex(hex: string, target: Uint8Array, at: number): void {
  assert(hex.length === 32);
  for (let index = 0; index < 16; index += 1) {
    const byte = Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16);
    assert(byte >= 0);
    target[at + index] = byte;
  }
}

function viewOf(bytes: Uint8Array, at = 0): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + at, OP_BYTES);
}

function setU32(view: DataView, at: number, value: number): void {
  assert(value >= 0 && value <= 0xffff_ffff);
  view.setUint32(at, value, true);
}

function setU64(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0);
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

function getU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}
