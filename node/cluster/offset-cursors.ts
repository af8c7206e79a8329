import assert from 'node:assert/strict';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { STORE_ENTRIES_MAX } from '../state/partition-op.ts';
import type { ConsumerKind } from './port.ts';

// Offsets that polls have moved and no op has stored yet:
//
//   poll ─► move ─► #offsets (what `next` continues behind) ─► #waiting ─► one op ─► state
//
// While one op is under way, further moves gather; the next op takes as many as fit. What an
// explicit store, a delete or a purge says afterwards wins over whatever still waits here.

export interface StoredOffset {
  readonly kind: ConsumerKind;
  readonly id: number;
  readonly offset: number;
}

export interface OffsetCursorsDependencies {
  /** The replicated offset; null for none. */
  readonly stored: (kind: ConsumerKind, id: number) => number | null;
  /** Replicated offsets of one kind. */
  readonly storedCount: (kind: ConsumerKind) => number;
  /** Makes an op of them; settles when it is applied. */
  readonly submit: (offsets: readonly StoredOffset[]) => Promise<unknown>;
}

/**
 * The merged, asynchronous auto-commit of one partition: cursors in memory, only forward, one op
 * in flight. A failed op is tried again together with the next move.
 *
 * cost     a map entry per consumer that is ahead of its stored offset
 * source   semantics 0.9 section 9.3
 */
export class OffsetCursors {
  readonly #offsetsMax: number;
  readonly #dependencies: OffsetCursorsDependencies;
  readonly #offsets: Map<number, number> = new Map();
  readonly #waiting: Set<number> = new Set();
  #flight: Promise<void> | null = null;
  #failed = false;
  #closed = false;

  constructor(
    options: {
      /** Per kind. */
      readonly offsetsMax: number;
    },
    dependencies: OffsetCursorsDependencies,
  ) {
    assert(options.offsetsMax > 0);
    this.#offsetsMax = options.offsetsMax;
    this.#dependencies = dependencies;
  }

  /** The offset in memory, else the stored one; null for none. */
  offsetOf(kind: ConsumerKind, id: number): number | null {
    return this.#offsets.get(keyOf(kind, id)) ?? this.#dependencies.stored(kind, id);
  }

  /** Throws 3024 when this consumer would be one too many. */
  requirePlace(kind: ConsumerKind, id: number): void {
    if (this.offsetOf(kind, id) !== null) return;
    let count = this.#dependencies.storedCount(kind);
    for (const key of this.#offsets.keys()) {
      if (kindOf(key) === kind && this.#dependencies.stored(kind, idOf(key)) === null) count += 1;
    }
    if (count >= this.#offsetsMax) {
      throw new OperatingError(STATUS.tooManyConsumerOffsets);
    }
  }

  /** Forward only. Throws 3024, or 58 after `close`. */
  move(kind: ConsumerKind, id: number, offset: number): void {
    if (this.#closed) throw new OperatingError(STATUS.transientNotAccepted);
    const current = this.offsetOf(kind, id);
    if (current !== null && offset <= current) return;
    if (current === null) this.requirePlace(kind, id);
    const key = keyOf(kind, id);
    this.#offsets.set(key, offset);
    this.#waiting.add(key);
    this.#pump();
  }

  /** An explicit store or delete was applied: it wins. */
  override(kind: ConsumerKind, id: number): void {
    const key = keyOf(kind, id);
    this.#offsets.delete(key);
    this.#waiting.delete(key);
  }

  /** The partition was purged. */
  clear(): void {
    this.#offsets.clear();
    this.#waiting.clear();
  }

  /** Takes no more moves; settles when those taken are stored, or one op of them has failed. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#failed = false;
    this.#pump();
    while (this.#flight !== null && !this.#failed) await this.#flight;
  }

  #pump(): void {
    if (this.#flight !== null || this.#waiting.size === 0) return;
    const keys = [...this.#waiting].slice(0, STORE_ENTRIES_MAX);
    const offsets = keys.map((key) => {
      this.#waiting.delete(key);
      const offset = this.#offsets.get(key);
      assert(offset !== undefined);
      return { kind: kindOf(key), id: idOf(key), offset };
    });
    this.#flight = this.#dependencies.submit(offsets).then(
      () => {
        this.#flight = null;
        this.#failed = false;
        for (const { kind, id, offset } of offsets) {
          const key = keyOf(kind, id);
          if (this.#offsets.get(key) === offset) this.#offsets.delete(key);
        }
        this.#pump();
      },
      () => {
        // Certainly not stored. Whoever moves next takes these along.
        this.#flight = null;
        this.#failed = true;
        for (const key of keys) if (this.#offsets.has(key)) this.#waiting.add(key);
      },
    );
  }
}

/** Consumers are numbered by u32, so both kinds fit into one exact number. */
function keyOf(kind: ConsumerKind, id: number): number {
  assert(id >= 0 && id <= 0xffff_ffff);
  return id * 2 + (kind === 'group' ? 1 : 0);
}

function kindOf(key: number): ConsumerKind {
  return key % 2 === 1 ? 'group' : 'consumer';
}

function idOf(key: number): number {
  return Math.floor(key / 2);
}
