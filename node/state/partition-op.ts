import assert from 'node:assert/strict';

// Ops of a partition's group other than batches. Small enough to lie in the op header:
//
//   0 tag u8, 1 count u8, 2 6 reserved
//   8 purge u64       purge counter of the partition the op was made for (or the new one)
//  16 storeOffsets: count × (0 kind u8, 1 mode u8, 2 2 reserved, 4 id u32, 8 offset u64)
//     deleteOffset: one such entry, offset 0
//     trimTo:       offset u64
//
// All little-endian.

export type OffsetKind = 'consumer' | 'group';

export interface OffsetEntry {
  readonly kind: OffsetKind;
  /** Consumer: its number or the XXH32 of its name. Group: its id in the topic. u32. */
  readonly id: number;
  readonly offset: number;
  /** explicit: as the client said, backwards too. auto: forward only. */
  readonly mode: 'explicit' | 'auto';
}

/** `purge` of the first three: the incarnation they were made for; they do nothing on another one. */
export type PartitionOp =
  | {
      readonly kind: 'storeOffsets';
      readonly purge: number;
      readonly entries: readonly OffsetEntry[];
    }
  | {
      readonly kind: 'deleteOffset';
      readonly purge: number;
      readonly of: { readonly kind: OffsetKind; readonly id: number };
    }
  | { readonly kind: 'trimTo'; readonly purge: number; readonly offset: number }
  /** Empties the partition; `purge` is its new counter, larger than every earlier one. */
  | { readonly kind: 'purge'; readonly purge: number };

/** Entries that fit one op. */
export const STORE_ENTRIES_MAX = 3;

const HEAD_BYTES = 16;
const ENTRY_BYTES = 16;
const TAG = { storeOffsets: 1, deleteOffset: 2, trimTo: 3, purge: 4 } as const;
const KIND_CODE = { consumer: 1, group: 2 } as const;
const MODE_CODE = { explicit: 1, auto: 2 } as const;
const U32 = 0x1_0000_0000;

/** The inline bytes of an op, at most 64 long. */
export function encodePartitionOp(op: PartitionOp): Uint8Array {
  const entries = entriesOf(op);
  assert(entries.length <= STORE_ENTRIES_MAX);
  const extra = op.kind === 'trimTo' ? 8 : entries.length * ENTRY_BYTES;
  const bytes = new Uint8Array(HEAD_BYTES + extra);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, TAG[op.kind]);
  view.setUint8(1, entries.length);
  setU64(view, 8, op.purge);
  if (op.kind === 'trimTo') setU64(view, HEAD_BYTES, op.offset);
  for (const [index, entry] of entries.entries()) {
    const at = HEAD_BYTES + index * ENTRY_BYTES;
    assert(entry.id < U32);
    view.setUint8(at, KIND_CODE[entry.kind]);
    view.setUint8(at + 1, MODE_CODE[entry.mode]);
    view.setUint32(at + 4, entry.id, true);
    setU64(view, at + 8, entry.offset);
  }
  return bytes;
}

/** Reads inline bytes back. The log has verified them: anything unreadable is a bug. */
export function decodePartitionOp(bytes: Uint8Array): PartitionOp {
  assert(bytes.length >= HEAD_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const purge = getU64(view, 8);
  const count = view.getUint8(1);
  const tag = view.getUint8(0);
  const extra = tag === TAG.trimTo ? 8 : count * ENTRY_BYTES;
  assert.equal(bytes.length, HEAD_BYTES + extra, 'length of a partition op');
  switch (tag) {
    case TAG.storeOffsets: {
      const entries = Array.from({ length: count }, (_, index) =>
        decodeEntry(view, HEAD_BYTES + index * ENTRY_BYTES),
      );
      return { kind: 'storeOffsets', purge, entries };
    }
    case TAG.deleteOffset: {
      assert(count === 1);
      const { kind, id } = decodeEntry(view, HEAD_BYTES);
      return { kind: 'deleteOffset', purge, of: { kind, id } };
    }
    case TAG.trimTo:
      return { kind: 'trimTo', purge, offset: getU64(view, HEAD_BYTES) };
    case TAG.purge:
      return { kind: 'purge', purge };
    default:
      return assert.fail('a partition op has an unknown tag');
  }
}

function entriesOf(op: PartitionOp): readonly OffsetEntry[] {
  if (op.kind === 'storeOffsets') {
    assert(op.entries.length > 0);
    return op.entries;
  }
  return op.kind === 'deleteOffset' ? [{ ...op.of, offset: 0, mode: 'explicit' }] : [];
}

function decodeEntry(view: DataView, at: number): OffsetEntry {
  const kind = view.getUint8(at);
  const mode = view.getUint8(at + 1);
  assert(kind === KIND_CODE.consumer || kind === KIND_CODE.group);
  assert(mode === MODE_CODE.explicit || mode === MODE_CODE.auto);
  return {
    kind: kind === KIND_CODE.consumer ? 'consumer' : 'group',
    id: view.getUint32(at + 4, true),
    offset: getU64(view, at + 8),
    mode: mode === MODE_CODE.explicit ? 'explicit' : 'auto',
  };
}

function setU64(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0);
  view.setUint32(at, value % U32, true);
  view.setUint32(at + 4, Math.floor(value / U32), true);
}

function getU64(view: DataView, at: number): number {
  const value = view.getUint32(at + 4, true) * U32 + view.getUint32(at, true);
  assert(Number.isSafeInteger(value));
  return value;
}
