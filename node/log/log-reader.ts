import assert from 'node:assert/strict';
import { BATCH } from '@iggy-ts/wire/batch';
import type { Pool } from '../base/pool.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { codeOf } from './file.ts';
import { OP_KIND, opBodyBytes, opCount, opKind, opOffsetFirst } from './op-header.ts';
import type { OpenFiles } from './open-files.ts';
import { batchOf, damagedRead, type OpsIndex, type Segment, type StoredBatch } from './segment.ts';

// One read is one range of one `.log`:
//
//   .log   | ... | batch | batch | batch | ... |
//                ^position       ^ cut behind the last wanted message
//   slot   | headroom |xxxx| batch | batch | batch |
//          ^slotAt         ^recordsAt, behind the messages that were not wanted

/** Batches in a slot of the pool. The slot is the caller's, to be given back. */
export interface Records {
  readonly slotAt: number;
  readonly recordsAt: number;
  readonly recordsBytes: number;
  readonly messagesCount: number;
}

export interface ReadRequest {
  readonly offset: number;
  /** Messages wanted. */
  readonly count: number;
  /** Bytes wanted; one batch is read even when it is larger. */
  readonly bytesMax: number;
  /** Bytes in the slot that stay free before the first batch. */
  readonly headroom: number;
  /** Offsets from here on are not visible. */
  readonly offsetEnd: number;
}

interface Range {
  readonly segment: Segment;
  /** Back to back in `.log`, at least one. */
  readonly batches: readonly StoredBatch[];
  readonly bytes: number;
  /** Wanted offsets: `[request.offset, offsetEnd)`. */
  readonly offsetEnd: number;
}

export interface LogReaderDependencies {
  readonly index: OpsIndex;
  readonly files: OpenFiles;
  readonly kernel: Kernel;
  readonly pool: Pool;
}

/** Finds batches through the index and brings them into the pool. */
export class LogReader {
  readonly #validateChecksum: boolean;
  readonly #index: OpsIndex;
  readonly #files: OpenFiles;
  readonly #kernel: Kernel;
  readonly #pool: Pool;

  constructor(
    options: { readonly validateChecksum: boolean },
    dependencies: LogReaderDependencies,
  ) {
    this.#validateChecksum = options.validateChecksum;
    this.#index = dependencies.index;
    this.#files = dependencies.files;
    this.#kernel = dependencies.kernel;
    this.#pool = dependencies.pool;
  }

  /**
   * Batches of one segment from an offset on, the first and last cut to the wanted messages; null
   * when there is nothing, also because it went away meanwhile.
   *
   * errors   4027, 4039: what is stored cannot be read or is not what was written
   * cost     log2(ops) probes in memory, one read of the disk, no copy
   */
  async read(segments: readonly Segment[], request: ReadRequest): Promise<Records | null> {
    assert(request.count >= 0 && request.bytesMax >= 0 && request.headroom >= 0);
    const segment = segmentOf(segments, request.offset);
    if (segment === null || request.count === 0 || request.offset >= request.offsetEnd) return null;
    return this.#unlessGone(segment, async () => {
      const range = await this.#find(segment, request);
      if (segment.state !== 'live') return null;
      return this.#fetch(range, request);
    });
  }

  /** First offset of the first batch that was appended at `timestampUs` or later, else offsetEnd. */
  async offsetAtTime(
    segments: readonly Segment[],
    timestampUs: number,
    offsetEnd: number,
  ): Promise<number> {
    for (const segment of segments) {
      if (segment.state !== 'live' || segment.timestampLastUs < timestampUs) continue;
      const offset = await this.#unlessGone(segment, () => this.#firstSince(segment, timestampUs));
      if (offset !== null) return Math.min(offset, offsetEnd);
    }
    return offsetEnd;
  }

  async #firstSince(segment: Segment, timestampUs: number): Promise<number | null> {
    let slot = (await this.#index.lastOlderThan(segment, timestampUs)) + 1;
    for (; slot <= segment.slotCount; slot += 1) {
      const found = await this.#index.slot(segment, slot);
      if (found !== null && opKind(found.view, found.at) === OP_KIND.batch) {
        return opOffsetFirst(found.view, found.at);
      }
    }
    return null;
  }

  /** A file that is missing because its segment was trimmed or purged meanwhile is no error. */
  async #unlessGone<T>(segment: Segment, run: () => Promise<T | null>): Promise<T | null> {
    try {
      return await run();
    } catch (error) {
      if (segment.state !== 'live') return null;
      if (codeOf(error) !== 'ENOENT') throw error;
      throw damagedRead(`a file of segment ${segment.opFirst} is missing`);
    }
  }

  async #find(segment: Segment, request: ReadRequest): Promise<Range> {
    const { offset } = request;
    const offsetEnd = Math.min(offset + request.count, request.offsetEnd, segment.offsetEnd);
    let slot = await this.#index.lastByOffset(segment, offset);
    const first = slot === 0 ? null : await this.#batchAt(segment, slot);
    if (first === null || offset < first.offsetFirst || offset >= first.offsetFirst + first.count) {
      if (segment.state !== 'live') throw damagedRead('the segment went away');
      throw damagedRead(`no readable op in ${segment.opsPath} names offset ${offset}`);
    }
    const batches = [first];
    let bytes = first.bytes;
    let end = first.offsetFirst + first.count;
    while (end < offsetEnd && slot < segment.slotCount) {
      slot += 1;
      const found = await this.#index.slot(segment, slot);
      // What lies behind damage is for the next read, which then says so.
      if (found === null || opOffsetFirst(found.view, found.at) !== end) break;
      const batch = batchOf(segment, found);
      if (batch === null) {
        if (opBodyBytes(found.view, found.at) > 0) break;
        assert(opCount(found.view, found.at) === 0);
        continue;
      }
      if (bytes + batch.bytes > request.bytesMax) break;
      batches.push(batch);
      bytes += batch.bytes;
      end += batch.count;
    }
    return { segment, batches, bytes, offsetEnd: Math.min(end, offsetEnd) };
  }

  async #batchAt(segment: Segment, slot: number): Promise<StoredBatch | null> {
    const found = await this.#index.slot(segment, slot);
    return found === null ? null : batchOf(segment, found);
  }

  async #fetch(range: Range, request: ReadRequest): Promise<Records | null> {
    const { headroom } = request;
    const slotAt = await this.#pool.takeWhenFree(headroom + range.bytes);
    try {
      const at = slotAt + headroom;
      await this.#readBytes(range, at);
      this.#check(range, at);
      return this.#cut(range, request, slotAt);
    } catch (error) {
      this.#pool.give(slotAt);
      throw error;
    }
  }

  async #readBytes(range: Range, at: number): Promise<void> {
    const { segment, bytes } = range;
    const position = range.batches[0]!.position;
    const where = `${segment.logPath} bytes ${position} to ${position + bytes}`;
    const lease = await this.#files.lease(segment.logPath, { create: false });
    let read: number;
    try {
      read = await lease.file.readInto(this.#pool.bytes.subarray(at, at + bytes), position);
    } catch (error) {
      if (codeOf(error) !== 'EIO') throw error;
      throw damagedRead(`${where}: the device cannot read them`);
    } finally {
      lease.release();
    }
    if (read < bytes) throw damagedRead(`${where}: the file ends at ${position + read}`);
  }

  /** Every batch is the one its op names, and whole if that is asked for. */
  #check(range: Range, at: number): void {
    const { view } = this.#pool;
    let from = at;
    for (const batch of range.batches) {
      const where = `${range.segment.logPath} bytes ${batch.position} to ${batch.position + batch.bytes}`;
      const named =
        view.getUint32(from + BATCH.baseOffset, true) === batch.offsetFirst % U32 &&
        view.getUint32(from + BATCH.length, true) === batch.bytes &&
        view.getUint32(from + BATCH.messagesCount, true) === batch.count;
      if (!named) throw damagedRead(`${where}: not the batch of offset ${batch.offsetFirst}`);
      if (this.#validateChecksum) {
        const status = this.#kernel.check(from, batch.bytes, CHECKSUMS);
        if (status !== 0) throw damagedRead(`${where}: a checksum is wrong`, status);
      }
      from += batch.bytes;
    }
  }

  #cut(range: Range, request: ReadRequest, slotAt: number): Records {
    const first = range.batches[0]!;
    const last = range.batches.at(-1)!;
    let recordsAt = slotAt + request.headroom;
    let recordsEnd = recordsAt + range.bytes;
    // The last one first: when it is the first one, too, its start has not moved yet.
    if (range.offsetEnd < last.offsetFirst + last.count) {
      const at = recordsEnd - last.bytes;
      const kept = this.#slice(last, at, last.bytes, {
        deltaFirst: 0,
        countMax: range.offsetEnd - last.offsetFirst,
      });
      assert(kept.at === at);
      recordsEnd = at + kept.bytes;
    }
    if (request.offset > first.offsetFirst) {
      const bytes = first === last ? recordsEnd - recordsAt : first.bytes;
      const kept = this.#slice(first, recordsAt, bytes, {
        deltaFirst: request.offset - first.offsetFirst,
        countMax: first.count,
      });
      assert(kept.at + kept.bytes === recordsAt + bytes);
      recordsAt = kept.at;
    }
    const messagesCount = range.offsetEnd - request.offset;
    return { slotAt, recordsAt, recordsBytes: recordsEnd - recordsAt, messagesCount };
  }

  #slice(
    batch: StoredBatch,
    at: number,
    bytes: number,
    wanted: { readonly deltaFirst: number; readonly countMax: number },
  ): { readonly at: number; readonly bytes: number } {
    const kept = this.#kernel.slice({ at, bytes, ...wanted });
    if (kept === null) {
      throw damagedRead(`the batch of offset ${batch.offsetFirst} cannot be cut`);
    }
    return kept;
  }
}

const CHECKSUMS = { limits: false, messages: true, batch: true } as const;

const U32 = 0x1_0000_0000;

/** The live segment that holds an offset. */
function segmentOf(segments: readonly Segment[], offset: number): Segment | null {
  for (let index = segments.length - 1; index >= 0; index -= 1) {
    const segment = segments[index]!;
    if (segment.state !== 'live' || offset < segment.offsetFirst) continue;
    return offset < segment.offsetEnd ? segment : null;
  }
  return null;
}
