import assert from 'node:assert/strict';
import type { Kernel } from '../kernel/kernel.ts';
import { CHECKSUM_BYTES, OP_BYTES, sameBytes } from './op-header.ts';

// Slot 0 of every `.ops` file, sealed like an op:
//
//   0 checksum 16   XXH3-128 of bytes 16..255     64 cluster uuid 16
//  16 parent 16     checksum of op first - 1      96 first op u64
//  32 magic 8, format u32                        120 log time of op first - 1, µs u64
//  48 group uuid 16                              128 first offset u64; the rest is zero

const PARENT = 16;
const MAGIC_AT = 32;
const FORMAT_AT = 40;
const GROUP = 48;
const CLUSTER = 64;
const OP_FIRST = 96;
const TIMESTAMP = 120;
const OFFSET_FIRST = 128;

const MAGIC = Uint8Array.from([0x69, 0x67, 0x67, 0x79, 0x2e, 0x6f, 0x70, 0x73]); // "iggy.ops"
const FORMAT = 1;

export interface SegmentHeader {
  readonly cluster: Uint8Array;
  readonly group: Uint8Array;
  /** Checksum of the op before the first one; zeros before op 1. */
  readonly parent: Uint8Array;
  readonly opFirst: number;
  readonly offsetFirst: number;
  readonly timestampUs: number;
}

export function encodeSegmentHeader(kernel: Kernel, header: SegmentHeader): Uint8Array {
  assert(header.opFirst > 0);
  assert(header.cluster.length === 16 && header.group.length === 16);
  const bytes = new Uint8Array(OP_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(header.parent, PARENT);
  bytes.set(MAGIC, MAGIC_AT);
  view.setUint32(FORMAT_AT, FORMAT, true);
  bytes.set(header.group, GROUP);
  bytes.set(header.cluster, CLUSTER);
  view.setBigUint64(OP_FIRST, BigInt(header.opFirst), true);
  view.setBigUint64(TIMESTAMP, BigInt(header.timestampUs), true);
  view.setBigUint64(OFFSET_FIRST, BigInt(header.offsetFirst), true);
  kernel.hash128Of(bytes.subarray(CHECKSUM_BYTES), bytes.subarray(0, CHECKSUM_BYTES));
  return bytes;
}

const SEGMENT_REASON = {
  checksum: 'its checksum is wrong',
  magic: 'it is no segment of this log',
  format: 'its format is newer than this release',
  group: 'it belongs to another group',
  cluster: 'it belongs to another cluster',
  op: 'its first op is not the one of its name',
} as const;
export type SegmentReason = (typeof SEGMENT_REASON)[keyof typeof SEGMENT_REASON];

/** The header, or the reason why these 256 bytes are none. */
export function decodeSegmentHeader(
  kernel: Kernel,
  bytes: Uint8Array,
  expected: { readonly cluster: Uint8Array; readonly group: Uint8Array; readonly opFirst: number },
): SegmentHeader | SegmentReason {
  assert(bytes.length === OP_BYTES);
  const checksum = new Uint8Array(CHECKSUM_BYTES);
  kernel.hash128Of(bytes.subarray(CHECKSUM_BYTES), checksum);
  if (!sameBytes(checksum, bytes.subarray(0, CHECKSUM_BYTES))) return SEGMENT_REASON.checksum;
  if (!sameBytes(MAGIC, bytes.subarray(MAGIC_AT, MAGIC_AT + 8))) return SEGMENT_REASON.magic;
  const view = new DataView(bytes.buffer, bytes.byteOffset, OP_BYTES);
  if (view.getUint32(FORMAT_AT, true) > FORMAT) return SEGMENT_REASON.format;
  const cluster = bytes.slice(CLUSTER, CLUSTER + 16);
  const group = bytes.slice(GROUP, GROUP + 16);
  if (!sameBytes(cluster, expected.cluster)) return SEGMENT_REASON.cluster;
  if (!sameBytes(group, expected.group)) return SEGMENT_REASON.group;
  const opFirst = Number(view.getBigUint64(OP_FIRST, true));
  if (opFirst !== expected.opFirst) return SEGMENT_REASON.op;
  return {
    cluster,
    group,
    parent: bytes.slice(PARENT, PARENT + 16),
    opFirst,
    offsetFirst: Number(view.getBigUint64(OFFSET_FIRST, true)),
    timestampUs: Number(view.getBigUint64(TIMESTAMP, true)),
  };
}
