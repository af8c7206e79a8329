import assert from 'node:assert/strict';
import { BATCH, BATCH_HEADER_BYTES, MESSAGE } from '@iggy-ts/wire/batch';
import { OperatingError } from '@iggy-ts/wire/status';
import type { Pool } from '../base/pool.ts';
import type { PartitionGroup } from '../cluster/port.ts';
import type { Records } from '../log/log-reader.ts';
import { POLL_HEADROOM } from './port.ts';

// A partition gives what one segment holds. Where a poll crosses from one to the next, its pieces
// are joined in the slot of the last one:
//
//   slot of the first    | head room | records |
//   slot of the second   | head room |         | records |      read with room for the first
//                                      ▲ copied here, and the first slot is given back
//
// Whoever holds a slot and waits for another one could wait for ever, if everybody did: so joining
// is done by one poll at a time, and who waits for its turn holds nothing.

/**
 * Reads records for polls: a run of messages over as many segments as it takes.
 *
 * cost     one copy of what lies before a segment's end, only where a poll crosses it
 */
export class RecordReader {
  readonly #pool: Pool;
  readonly #bytesMax: number;
  #turn: Promise<unknown> = Promise.resolve();

  /** bytesMax: of all records of one poll; only a single batch may be larger. */
  constructor(options: { readonly bytesMax: number }, dependencies: { readonly pool: Pool }) {
    assert(options.bytesMax > 0);
    this.#bytesMax = options.bytesMax;
    this.#pool = dependencies.pool;
  }

  /**
   * At most `count` messages from `offset` on, with POLL_HEADROOM bytes in front; fewer where the
   * bytes end. The slot is the caller's to give back. errors: 4027, 4039, 72
   */
  async read(partition: PartitionGroup, offset: number, count: number): Promise<Records | null> {
    const records = await this.#readPiece(partition, { offset, count, before: 0 });
    if (records === null || !this.#goesOn(partition, records, count)) return records;
    this.#pool.give(records.slotAt);
    const mine = this.#turn.then(() => this.#readAcross(partition, offset, count));
    // The next in turn does not care how this one ends; whoever asked for it does.
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #readAcross(
    partition: PartitionGroup,
    offset: number,
    count: number,
  ): Promise<Records | null> {
    let records = await this.#readPiece(partition, { offset, count, before: 0 });
    while (records !== null && this.#goesOn(partition, records, count)) {
      const next = await this.#nextPiece(partition, records, count);
      if (next === null) break;
      records = this.#join(records, next);
    }
    return records;
  }

  /**
   * Whether messages were left out although there is room for more. When more than half of the
   * room is taken, the batch that follows is taken to be too large for the rest.
   */
  #goesOn(partition: PartitionGroup, records: Records, count: number): boolean {
    if (records.messagesCount >= count || records.recordsBytes > this.#bytesMax / 2) return false;
    return lastOffsetOf(this.#pool.view, records) + 1 < partition.state.nextOffset;
  }

  /** What follows; null when it does not fit, cannot be read or does not follow at once. */
  async #nextPiece(
    partition: PartitionGroup,
    records: Records,
    count: number,
  ): Promise<Records | null> {
    const offset = lastOffsetOf(this.#pool.view, records) + 1;
    const before = records.recordsBytes;
    const left = count - records.messagesCount;
    const piece = await this.#readPiece(partition, { offset, count: left, before }).catch(
      (error: unknown) => {
        // What is damaged, or too large for a slot with what lies before it, is for the next poll.
        if (error instanceof OperatingError || error instanceof RangeError) return null;
        this.#pool.give(records.slotAt);
        throw error;
      },
    );
    if (piece === null) return null;
    const fits = before + piece.recordsBytes <= this.#bytesMax;
    if (fits && firstOffsetOf(this.#pool.view, piece.recordsAt) === offset) return piece;
    this.#pool.give(piece.slotAt);
    return null;
  }

  #join(records: Records, next: Records): Records {
    const { recordsAt: from, recordsBytes: bytes } = records;
    const recordsAt = next.recordsAt - bytes;
    assert(recordsAt - next.slotAt >= POLL_HEADROOM);
    this.#pool.bytes.copyWithin(recordsAt, from, from + bytes);
    this.#pool.give(records.slotAt);
    return {
      slotAt: next.slotAt,
      recordsAt,
      recordsBytes: bytes + next.recordsBytes,
      messagesCount: records.messagesCount + next.messagesCount,
    };
  }

  #readPiece(
    partition: PartitionGroup,
    piece: { readonly offset: number; readonly count: number; readonly before: number },
  ): Promise<Records | null> {
    const { offset, count, before } = piece;
    const headroom = POLL_HEADROOM + before;
    return partition.read({ offset, count, bytesMax: this.#bytesMax - before, headroom });
  }
}

/** Walks the batch headers: one step per batch. Offsets inside of a batch are dense. */
export function lastOffsetOf(view: DataView, { recordsAt, recordsBytes }: Records): number {
  const end = recordsAt + recordsBytes;
  let last = recordsAt;
  for (let at = recordsAt; at < end; ) {
    last = at;
    const bytes = readU64(view, at + BATCH.length);
    assert(bytes > BATCH_HEADER_BYTES && at + bytes <= end);
    at += bytes;
  }
  return firstOffsetOf(view, last) + view.getUint32(last + BATCH.messagesCount, true) - 1;
}

/** A batch that was cut in front begins behind its base offset. */
function firstOffsetOf(view: DataView, batchAt: number): number {
  const delta = view.getUint32(batchAt + BATCH_HEADER_BYTES + MESSAGE.offsetDelta, true);
  return readU64(view, batchAt + BATCH.baseOffset) + delta;
}

function readU64(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  assert(high <= 0x1f_ffff);
  return high * 0x1_0000_0000 + view.getUint32(at, true);
}
