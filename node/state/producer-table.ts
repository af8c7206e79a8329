import assert from 'node:assert/strict';
import type { PartitionOrigin } from './partition-state.ts';
import type { SnapshotReader, SnapshotWriter } from './snapshot-bytes.ts';

// Who sent what last. Producers stand in the order of their last commit, the oldest first; that
// one leaves when the table is full, and costs its client nothing but the protection.

/** What is known of a request. `baseOffset` is null for a repeat that wrote no messages. */
export type Repeat =
  | { readonly kind: 'new' }
  | { readonly kind: 'repeat'; readonly baseOffset: number | null }
  /** A later session of this client has written already: the sender was replaced. */
  | { readonly kind: 'oldSession' };

interface Kept {
  readonly request: number;
  readonly checksumLow: number;
  readonly checksumHigh: number;
  readonly baseOffset: number | null;
}

interface Producer {
  session: number;
  requestMax: number;
  /** In the order of their commits. */
  readonly kept: Kept[];
}

export const PRODUCERS_MAX = 4096;
export const KEPT_MAX = 16;

const NEW: Repeat = { kind: 'new' };
const OLD_SESSION: Repeat = { kind: 'oldSession' };

/** The last committed requests of the last producers of a partition. */
export class ProducerTable {
  readonly #producers = new Map<string, Producer>();

  static restore(reader: SnapshotReader): ProducerTable {
    const table = new ProducerTable();
    for (let count = reader.u32(); count > 0; count -= 1) {
      const client = reader.hex16();
      const producer: Producer = { session: reader.u64(), requestMax: reader.u64(), kept: [] };
      for (let kept = reader.u32(); kept > 0; kept -= 1) {
        producer.kept.push({
          request: reader.u64(),
          checksumLow: reader.u32(),
          checksumHigh: reader.u32(),
          baseOffset: reader.u64OrNull(),
        });
      }
      table.#producers.set(client, producer);
    }
    return table;
  }

  /** Remembers a committed request; one without client or number leaves no trace. */
  commit(origin: PartitionOrigin, baseOffset: number | null): void {
    const { client, session, request, checksumLow, checksumHigh } = origin;
    if (client === null || request === 0) return;
    const producer = this.#producers.get(client) ?? { session, requestMax: request, kept: [] };
    producer.session = Math.max(producer.session, session);
    producer.requestMax = Math.max(producer.requestMax, request);
    producer.kept.push({ request, checksumLow, checksumHigh, baseOffset });
    if (producer.kept.length > KEPT_MAX) producer.kept.shift();
    this.#producers.delete(client);
    this.#producers.set(client, producer);
    if (this.#producers.size <= PRODUCERS_MAX) return;
    for (const oldest of this.#producers.keys()) {
      this.#producers.delete(oldest);
      break;
    }
  }

  find(request: Omit<PartitionOrigin, 'op' | 'timestampUs'>): Repeat {
    const { client, session, checksumLow, checksumHigh } = request;
    if (client === null) return NEW;
    const producer = this.#producers.get(client);
    if (producer === undefined) return NEW;
    if (session < producer.session) return OLD_SESSION;
    if (checksumLow === 0 && checksumHigh === 0) return NEW;
    // The newest first: a client that counts again from 1 means its latest request.
    for (let at = producer.kept.length - 1; at >= 0; at -= 1) {
      const kept = producer.kept[at]!;
      if (kept.request !== request.request) continue;
      if (kept.checksumLow !== checksumLow || kept.checksumHigh !== checksumHigh) continue;
      return { kind: 'repeat', baseOffset: kept.baseOffset };
    }
    return NEW;
  }

  snapshot(writer: SnapshotWriter): void {
    writer.u32(this.#producers.size);
    for (const [client, { session, requestMax, kept }] of this.#producers) {
      writer.hex16(client);
      writer.u64(session);
      writer.u64(requestMax);
      writer.u32(kept.length);
      for (const { request, checksumLow, checksumHigh, baseOffset } of kept) {
        writer.u64(request);
        writer.u32(checksumLow);
        writer.u32(checksumHigh);
        writer.u64OrNull(baseOffset);
      }
    }
  }

  checkInvariants(): void {
    assert(this.#producers.size <= PRODUCERS_MAX);
    for (const { requestMax, kept } of this.#producers.values()) {
      assert(kept.length > 0);
      assert(kept.length <= KEPT_MAX);
      for (const { request } of kept) assert(request <= requestMax);
    }
  }
}
