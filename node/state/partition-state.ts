import assert from 'node:assert/strict';
import { STATUS } from '@iggy-ts/wire/status';
import type { OffsetEntry, OffsetKind, PartitionOp } from './partition-op.ts';
import { ProducerTable, type Repeat } from './producer-table.ts';
import { SnapshotReader, SnapshotWriter } from './snapshot-bytes.ts';

// | gone        | readable              | next
// 0             ^firstOffset            ^nextOffset
//
// Invariant: 0 <= firstOffset <= nextOffset; every stored offset < nextOffset.

/** Where an op of a partition's group came from. */
export interface PartitionOrigin {
  readonly op: number;
  readonly timestampUs: number;
  /** null: no client, or one without request numbers. */
  readonly client: string | null;
  readonly session: number;
  readonly request: number;
  /** Halves of the checksum of the request; zeros are "not stamped". */
  readonly checksumLow: number;
  readonly checksumHigh: number;
}

/** Stored offsets of one kind that a partition keeps, whatever the configuration says. */
const OFFSETS_MAX = 262_144;

const KINDS: readonly OffsetKind[] = ['consumer', 'group'];
const FORMAT = 1;

/**
 * What a partition knows beside its messages: how far it reaches, how far consumers came, and what
 * its producers sent last. Changed by committed ops alone, the same on every replica.
 *
 * cost     append: one map look-up and a small object; memory: 4096 producers, `OFFSETS_MAX`
 *          offsets of each kind at most
 * source   semantics 0.9, 4.4 and 11; replication rules 3.11
 */
export class PartitionState {
  #nextOffset = 0;
  #firstOffset = 0;
  #purge = 0;
  readonly #offsets: Readonly<Record<OffsetKind, Map<number, number>>> = {
    consumer: new Map(),
    group: new Map(),
  };
  #producers = new ProducerTable();

  /** Offset the next message gets. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Offset below which nothing is served any more. */
  get firstOffset(): number {
    return this.#firstOffset;
  }

  /** Counter of the last purge, 0 for none; offsets of different counters have nothing in common. */
  get purge(): number {
    return this.#purge;
  }

  /** A batch of `count` messages was committed. */
  appended(origin: PartitionOrigin, offsetFirst: number, count: number): void {
    assert(count > 0);
    assert(offsetFirst >= this.#nextOffset);
    this.#nextOffset = offsetFirst + count;
    this.#producers.commit(origin, offsetFirst);
  }

  /** Applies any other op; 0 or the code of its refusal (4100, 3024, 3021). */
  apply(origin: PartitionOrigin, op: PartitionOp): number {
    switch (op.kind) {
      case 'storeOffsets':
        return this.#storeOffsets(origin, op);
      case 'deleteOffset': {
        if (op.purge !== this.#purge) return STATUS.consumerOffsetNotFound;
        const deleted = this.#offsets[op.of.kind].delete(op.of.id);
        if (deleted) this.#producers.commit(origin, null);
        return deleted ? 0 : STATUS.consumerOffsetNotFound;
      }
      case 'trimTo':
        if (op.purge === this.#purge) this.trimTo(op.offset);
        return 0;
      case 'purge':
        this.purged(op.purge);
        return 0;
    }
  }

  /** The offset a client or group came to; null when nothing is stored. */
  storedOffset(kind: OffsetKind, id: number): number | null {
    return this.#offsets[kind].get(id) ?? null;
  }

  offsetsCount(kind: OffsetKind): number {
    return this.#offsets[kind].size;
  }

  /** Ids with a stored offset, in no particular order. */
  offsetIds(kind: OffsetKind): Iterable<number> {
    return this.#offsets[kind].keys();
  }

  /** Why an offset may not be stored, before it becomes an op: 4100, 3024, or 0 when it may. */
  refusalOfStore(request: {
    readonly kind: OffsetKind;
    readonly id: number;
    readonly offset: number;
    readonly offsetsMax: number;
  }): number {
    const offsets = this.#offsets[request.kind];
    if (request.offset >= this.#nextOffset) return STATUS.invalidOffset;
    const isNew = !offsets.has(request.id);
    const full = offsets.size >= Math.min(request.offsetsMax, OFFSETS_MAX);
    return isNew && full ? STATUS.tooManyConsumerOffsets : 0;
  }

  /** Smallest stored offset of anybody: what retention must keep. null when nothing is stored. */
  get lowestStoredOffset(): number | null {
    let lowest = Number.POSITIVE_INFINITY;
    for (const kind of KINDS) {
      for (const offset of this.#offsets[kind].values()) if (offset < lowest) lowest = offset;
    }
    return lowest === Number.POSITIVE_INFINITY ? null : lowest;
  }

  /** Whether a request was committed before: same number and same checksum, never one alone. */
  findRepeat(request: Omit<PartitionOrigin, 'op' | 'timestampUs'>): Repeat {
    return this.#producers.find(request);
  }

  /** Messages below `offset` are gone; never moves back. */
  trimTo(offset: number): void {
    const end = Math.min(offset, this.#nextOffset);
    if (end > this.#firstOffset) this.#firstOffset = end;
  }

  /** Empties the partition. Producers stay known, so that a repeat from before is still one. */
  purged(purge: number): void {
    if (purge <= this.#purge) return;
    this.#purge = purge;
    this.#nextOffset = 0;
    this.#firstOffset = 0;
    for (const kind of KINDS) this.#offsets[kind].clear();
  }

  /** The same state gives the same bytes. */
  snapshot(): Uint8Array {
    const writer = new SnapshotWriter();
    writer.u32(FORMAT);
    writer.u64(this.#nextOffset);
    writer.u64(this.#firstOffset);
    writer.u64(this.#purge);
    for (const kind of KINDS) {
      const offsets = [...this.#offsets[kind]].sort(([left], [right]) => left - right);
      writer.u32(offsets.length);
      for (const [id, offset] of offsets) {
        writer.u32(id);
        writer.u64(offset);
      }
    }
    this.#producers.snapshot(writer);
    return writer.bytes();
  }

  /** Replaces everything by what a snapshot holds. Damaged bytes are a bug: they were checksummed. */
  restore(bytes: Uint8Array): void {
    const reader = new SnapshotReader(bytes);
    assert.equal(reader.u32(), FORMAT, 'format of a partition snapshot');
    this.#nextOffset = reader.u64();
    this.#firstOffset = reader.u64();
    this.#purge = reader.u64();
    for (const kind of KINDS) {
      this.#offsets[kind].clear();
      for (let count = reader.u32(); count > 0; count -= 1) {
        this.#offsets[kind].set(reader.u32(), reader.u64());
      }
    }
    this.#producers = ProducerTable.restore(reader);
    reader.end();
    this.checkInvariants();
  }

  /** Asserts what the head of this file says. */
  checkInvariants(): void {
    assert(this.#firstOffset >= 0);
    assert(this.#firstOffset <= this.#nextOffset);
    for (const kind of KINDS) {
      assert(this.#offsets[kind].size <= OFFSETS_MAX);
      for (const offset of this.#offsets[kind].values()) assert(offset < this.#nextOffset);
    }
    this.#producers.checkInvariants();
  }

  #storeOffsets(
    origin: PartitionOrigin,
    op: { readonly purge: number; readonly entries: readonly OffsetEntry[] },
  ): number {
    // A store that waited behind a purge speaks of messages that are gone.
    if (op.purge !== this.#purge) return STATUS.invalidOffset;
    let code = 0;
    for (const entry of op.entries) {
      const refusal = this.refusalOfStore({ ...entry, offsetsMax: OFFSETS_MAX });
      if (refusal === 0) this.#store(entry);
      else code = refusal;
    }
    if (code === 0) this.#producers.commit(origin, null);
    return code;
  }

  #store({ kind, id, offset, mode }: OffsetEntry): void {
    const offsets = this.#offsets[kind];
    const stored = offsets.get(id);
    if (mode === 'auto' && stored !== undefined && stored >= offset) return;
    offsets.set(id, offset);
  }
}
