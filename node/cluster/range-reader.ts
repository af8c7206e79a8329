import type { Pool } from '../base/pool.ts';
import type { GroupLog, ReadRequest, Records } from '../log/group-log.ts';

// A read of the log ends with its segment. Consumers expect as many messages as they asked for, so
// what follows in the next segments is joined to it:
//
//   | headroom | ... segment 1 |  +  | segment 2 ... |   ─►   | headroom | ... segment 1 | segment 2 ... |
//
// While it holds one slot it waits for another. One reader of a node does that at a time, so that
// readers never wait for each other; the others end with the segment, which is allowed, too.

/**
 * Reads ranges of messages over the bounds of segments.
 *
 * cost     one copy of the records when a bound is crossed, which is once per segment
 */
export class RangeReader {
  readonly #pool: Pool;
  #isJoining = false;

  constructor(dependencies: { readonly pool: Pool }) {
    this.#pool = dependencies.pool;
  }

  /** As `GroupLog.read`. */
  async read(log: GroupLog, request: ReadRequest): Promise<Records | null> {
    const records = await log.read(request);
    if (records === null || this.#isJoining || !crosses(log, request, records)) return records;
    this.#isJoining = true;
    try {
      return await this.#join(log, request, records);
    } finally {
      this.#isJoining = false;
    }
  }

  async #join(log: GroupLog, request: ReadRequest, first: Records): Promise<Records> {
    let records = first;
    while (crosses(log, request, records)) {
      const more = await this.#more(log, request, records);
      if (more === null) return records;
      const joined = this.#concat(request, records, more);
      this.#pool.give(more.slotAt);
      if (joined === null) return records;
      this.#pool.give(records.slotAt);
      records = joined;
    }
    return records;
  }

  /** What lies behind, or null: whoever asks for it by itself learns why. */
  async #more(log: GroupLog, request: ReadRequest, records: Records): Promise<Records | null> {
    try {
      return await log.read({
        offset: request.offset + records.messagesCount,
        count: request.count - records.messagesCount,
        bytesMax: request.bytesMax - records.recordsBytes,
        headroom: 0,
        offsetEnd: request.offsetEnd,
      });
    } catch {
      return null;
    }
  }

  #concat(request: ReadRequest, first: Records, second: Records): Records | null {
    const recordsBytes = first.recordsBytes + second.recordsBytes;
    const bytes = request.headroom + recordsBytes;
    if (recordsBytes > request.bytesMax || bytes > this.#pool.slotBytesMax) return null;
    const slotAt = this.#pool.take(bytes);
    if (slotAt < 0) return null;
    const recordsAt = slotAt + request.headroom;
    const memory = this.#pool.bytes;
    for (const [records, to] of [
      [first, recordsAt],
      [second, recordsAt + first.recordsBytes],
    ] as const) {
      memory.copyWithin(to, records.recordsAt, records.recordsAt + records.recordsBytes);
    }
    const messagesCount = first.messagesCount + second.messagesCount;
    return { slotAt, recordsAt, recordsBytes, messagesCount };
  }
}

/** Whether a read ended because its segment did, and more was asked for. */
function crosses(log: GroupLog, request: ReadRequest, records: Records): boolean {
  const { messagesCount, recordsBytes } = records;
  const offset = request.offset + messagesCount;
  if (messagesCount >= request.count || recordsBytes >= request.bytesMax) return false;
  if (offset >= request.offsetEnd) return false;
  return log.segments().some(({ offsetFirst }) => offsetFirst === offset);
}
