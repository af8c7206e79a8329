import assert from 'node:assert/strict';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Kernel } from '../kernel/kernel.ts';
import { codeOf } from './file.ts';
import {
  isOp,
  OP_BYTES,
  OP_KIND,
  opBodyBytes,
  opCount,
  opKind,
  opOffsetFirst,
  opPosition,
  opTimestampUs,
} from './op-header.ts';
import type { OpenFiles } from './open-files.ts';
import { BLOCK_BYTES, BLOCK_SLOTS, type Block, type OpsCache } from './ops-cache.ts';

// One pair of files. Slot 0 of `.ops` is the segment header, slot i is op opFirst + i - 1:
//
//   .ops  | header | op N | op N+1 | ... |           .log  | body | body | ... |
//           slot 0   1      2        slotCount                                 ^bytes
//
// Invariant: offsetFirst <= offsetEnd; slots 1..slotCount are written.

/** A pair on disk: `live` has messages, `trimmed` has only ops left, `planned` has no files yet. */
export type SegmentState = 'planned' | 'live' | 'trimmed';

export class Segment {
  readonly directory: string;
  readonly opFirst: number;
  offsetFirst: number;
  state: SegmentState;
  sealed: boolean;
  /** Sealed and damaged, and the operator has accepted that. */
  accepted: boolean;
  /** Ops written. */
  slotCount: number;
  /** Bytes written in `.log`. */
  bytes: number;
  offsetEnd: number;
  timestampLastUs: number;
  readonly blocks: Map<number, Block> = new Map();

  constructor(options: {
    readonly directory: string;
    readonly opFirst: number;
    readonly offsetFirst: number;
    readonly timestampUs: number;
    readonly state: SegmentState;
  }) {
    this.directory = options.directory;
    this.opFirst = options.opFirst;
    this.offsetFirst = options.offsetFirst;
    this.state = options.state;
    this.sealed = false;
    this.accepted = false;
    this.slotCount = 0;
    this.bytes = 0;
    this.offsetEnd = options.offsetFirst;
    this.timestampLastUs = options.timestampUs;
  }

  get logPath(): string {
    return `${this.directory}/${segmentName(this.opFirst)}.log`;
  }

  get opsPath(): string {
    const extension = this.state === 'trimmed' ? 'trim' : 'ops';
    return `${this.directory}/${segmentName(this.opFirst)}.${extension}`;
  }

  /** An empty file whose presence says `accepted`. */
  get acceptedPath(): string {
    return `${this.directory}/${segmentName(this.opFirst)}.accepted`;
  }

  /** First op behind the last one written. */
  get opEnd(): number {
    return this.opFirst + this.slotCount;
  }
}

export function segmentName(op: number): string {
  return op.toString().padStart(20, '0');
}

/** Where one op's slot stands in memory; borrowed until the next await. */
export interface Slot {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly at: number;
}

/** Reads ops of segments by slot, offset or time, through the cache, checking each one it uses. */
export class OpsIndex {
  readonly #files: OpenFiles;
  readonly #cache: OpsCache;
  readonly #kernel: Kernel;
  readonly #group: Uint8Array;

  constructor(
    options: { readonly group: Uint8Array },
    dependencies: {
      readonly files: OpenFiles;
      readonly cache: OpsCache;
      readonly kernel: Kernel;
    },
  ) {
    this.#group = options.group;
    this.#files = dependencies.files;
    this.#cache = dependencies.cache;
    this.#kernel = dependencies.kernel;
  }

  /** Keeps the cache true after ops were written. */
  appended(segment: Segment, slot: number, header: Uint8Array): void {
    this.#cache.append(segment.blocks, slot, header);
  }

  /** The op in a slot, or null when it is damaged. */
  async slot(segment: Segment, slot: number): Promise<Slot | null> {
    assert(slot >= 1 && slot <= segment.slotCount);
    const block = await this.#block(segment, slot);
    if (block === null) return null;
    const at = (slot % BLOCK_SLOTS) * OP_BYTES;
    const op = segment.opFirst + slot - 1;
    if (!isOp(this.#kernel, block.bytes, at, { op, group: this.#group })) return null;
    return { bytes: block.bytes, view: block.view, at };
  }

  /** Last readable slot whose first offset is at most `offset`; 0 when there is none. */
  lastByOffset(segment: Segment, offset: number): Promise<number> {
    return this.#last(segment, (view, at) => opOffsetFirst(view, at) <= offset);
  }

  /** Last readable slot that is older than `timestampUs`; 0 when there is none. */
  lastOlderThan(segment: Segment, timestampUs: number): Promise<number> {
    return this.#last(segment, (view, at) => opTimestampUs(view, at) < timestampUs);
  }

  /** Binary search; damaged slots are walked around. */
  async #last(segment: Segment, holds: (view: DataView, at: number) => boolean): Promise<number> {
    let found = 0;
    let low = 0;
    let high = segment.slotCount + 1;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      let probe = middle;
      let slot = await this.slot(segment, probe);
      while (slot === null && probe - 1 > low) {
        probe -= 1;
        slot = await this.slot(segment, probe);
      }
      if (slot === null) {
        low = middle;
      } else if (holds(slot.view, slot.at)) {
        found = probe;
        low = middle;
      } else {
        high = probe;
      }
    }
    return found;
  }

  async #block(segment: Segment, slot: number): Promise<Block | null> {
    const index = Math.floor(slot / BLOCK_SLOTS);
    const known = this.#cache.find(segment.blocks, index, (slot % BLOCK_SLOTS) + 1);
    if (known !== undefined) return known;
    const slotCount = Math.min(BLOCK_SLOTS, segment.slotCount + 1 - index * BLOCK_SLOTS);
    const bytes = new Uint8Array(BLOCK_BYTES);
    const lease = await this.#files.lease(segment.opsPath, { create: false });
    try {
      const wanted = bytes.subarray(0, slotCount * OP_BYTES);
      await lease.file.readInto(wanted, index * BLOCK_BYTES);
    } catch (error) {
      if (codeOf(error) !== 'EIO') throw error;
      return null;
    } finally {
      lease.release();
    }
    // Slots written meanwhile are not in it: they are read or appended later.
    return this.#cache.put(segment.blocks, index, bytes, slotCount);
  }
}

/** One batch of a read: where its bytes stand in `.log`, and its messages. */
export interface StoredBatch {
  readonly segment: Segment;
  readonly position: number;
  readonly bytes: number;
  readonly offsetFirst: number;
  readonly count: number;
}

/** The batch in a slot, or null for an op without messages. */
export function batchOf(segment: Segment, slot: Slot): StoredBatch | null {
  if (opKind(slot.view, slot.at) !== OP_KIND.batch) return null;
  return {
    segment,
    position: opPosition(slot.view, slot.at),
    bytes: opBodyBytes(slot.view, slot.at),
    offsetFirst: opOffsetFirst(slot.view, slot.at),
    count: opCount(slot.view, slot.at),
  };
}

/** The answer to a read that meets damage: the caller gets the code, the operator the cause. */
export function damagedRead(detail: string, code?: number): OperatingError {
  const message = code === STATUS.invalidMessageChecksum;
  return new OperatingError(
    message ? STATUS.invalidMessageChecksum : STATUS.invalidBatchChecksum,
    detail,
  );
}
