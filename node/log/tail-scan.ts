import assert from 'node:assert/strict';
import type { Pool } from '../base/pool.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Fault } from './damage.ts';
import { codeOf, type SegmentFile } from './file.ts';
import {
  CHECKSUM_BYTES,
  decodeOp,
  isOp,
  isZero,
  OP_BYTES,
  OP_FLAG,
  type OpFields,
  opBodyChecksum,
  opParent,
  sameBytes,
} from './op-header.ts';
import { BLOCK_BYTES, BLOCK_SLOTS } from './ops-cache.ts';
import { type Tail, tailAfter } from './tail.ts';

// Decides where the log ends after a crash, from the newest pair of files:
//
//   .ops | header | known durable          | perhaps not durable      | torn | torn |
//                          ^mark     bound^                     ^last good
//   mark     op of the newest snapshot: both files were synced before it was written
//   bound    highest `commit` of a header that was prepared under fsync; ops up to it were synced
//            before that header was made. Headers of relaxed logs (interval, os) prove nothing.
//
// Torn is what a power failure explains: behind the bound, a slot that is absent or zero, a body
// whose range ends early, or one that is wrong and has a whole piece of a disk sector zero. Torn
// ops were never told durable; they and all behind them are cut. Everything else that is wrong is
// a fault. (A flipped bit in one of the last, unbounded ops that also has 512 zero bytes is taken
// for torn: the disk looks the same in both cases.)
//
// Why not every body is read: up to the bound all were synced, so only rot can harm them, which
// every read finds. Behind it, a log under fsync has at most one pipeline of ops. A relaxed log
// never has more than UNSYNCED_BYTES_MAX bytes unsynced, because it syncs before it writes more.

const SECTOR_BYTES = 512;

export interface TailScanOptions {
  readonly opsPath: string;
  readonly logPath: string;
  readonly group: Uint8Array;
  /** Tail before the first op of the segment. */
  readonly before: Tail;
  /** Every op up to here is durable, from what is known outside of this segment. */
  readonly mark: number;
  readonly opsBytes: number;
  readonly logBytes: number;
  /** Bytes at the end of a relaxed log that may not have been synced. */
  readonly unsyncedBytesMax: number;
  /** Ops from here on count as absent. */
  readonly opEnd: number;
}

export interface TailScanDependencies {
  readonly ops: SegmentFile;
  readonly log: SegmentFile;
  readonly kernel: Kernel;
  readonly pool: Pool;
}

/** An op that has been read, and where the log stands behind it. */
interface Candidate {
  readonly fields: Omit<OpFields, 'inline'>;
  readonly tail: Tail;
  readonly bodyChecksum: Uint8Array;
}

export interface TailScanResult {
  readonly tail: Tail;
  /** Kind of the last op kept; 0 when the segment has none. */
  readonly kind: number;
  /** First offset behind the messages kept. */
  readonly offsetEnd: number;
  readonly faults: readonly Fault[];
  /** First op that cannot be kept because of a fault; 0 for none. */
  readonly opFault: number;
}

/** One scan of the newest pair. Reads, changes nothing. */
export class TailScan {
  readonly #options: TailScanOptions;
  readonly #dependencies: TailScanDependencies;
  readonly #opFirst: number;
  readonly #faults: Fault[] = [];
  #opFault = 0;
  #bound: number;
  /** The last op at or below the bound, then all above it, up to the first that is torn or faulty. */
  #kept: Candidate[] = [];
  #isOpen = true;
  #opTorn = Number.POSITIVE_INFINITY;

  constructor(options: TailScanOptions, dependencies: TailScanDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#opFirst = options.before.op + 1;
    this.#bound = options.mark;
  }

  async run(): Promise<TailScanResult> {
    const { opsBytes, opEnd, mark } = this.#options;
    const slotsInFile = Math.floor(opsBytes / OP_BYTES) - 1;
    const slotEnd = Math.min(slotsInFile + 1, opEnd - this.#opFirst + 1);
    let slot = Math.max(1, mark - this.#opFirst + 1);
    while (slot < slotEnd) {
      const count = Math.min(BLOCK_SLOTS, slotEnd - slot);
      await this.#readSlots(slot, count);
      slot += count;
    }
    if (this.#isOpen) this.#opTorn = Math.min(this.#opTorn, this.#opFirst + slotEnd - 1);
    if (this.#opFault === 0 && this.#opTorn <= this.#bound && opEnd > this.#bound) {
      this.#fault(this.#slotFault(this.#opTorn, 'an op that was durable is missing'));
    }
    if (this.#opFault === 0) await this.#checkBodies();
    const last = this.#kept.at(-1);
    const tail = last?.tail ?? this.#options.before;
    const kind = last?.fields.kind ?? 0;
    // Not that of the tail: a purge sets the next offset to 0.
    const offsetEnd =
      last === undefined ? tail.offset : last.fields.offsetFirst + last.fields.count;
    return { tail, kind, offsetEnd, faults: this.#faults, opFault: this.#opFault };
  }

  async #readSlots(slot: number, count: number): Promise<void> {
    const bytes = new Uint8Array(Math.min(BLOCK_BYTES, count * OP_BYTES));
    try {
      const read = await this.#dependencies.ops.readInto(bytes, slot * OP_BYTES);
      assert(read === bytes.length);
    } catch (error) {
      if (codeOf(error) !== 'EIO') throw error;
      const first = this.#slotFault(this.#opFirst + slot - 1, 'the device cannot read it');
      this.#fault({ ...first, byteEnd: first.byteFirst + bytes.length });
      return;
    }
    for (let index = 0; index < count; index += 1) {
      this.#takeSlot(bytes, index * OP_BYTES, this.#opFirst + slot - 1 + index);
    }
    this.#prune();
  }

  #takeSlot(bytes: Uint8Array, at: number, op: number): void {
    const { kernel } = this.#dependencies;
    if (!isOp(kernel, bytes, at, { op, group: this.#options.group })) {
      if (!isZero(bytes, at, at + OP_BYTES)) {
        this.#fault(this.#slotFault(op, 'it is not what was written'));
      } else if (this.#isOpen) {
        this.#isOpen = false;
        this.#opTorn = op;
      }
      return;
    }
    const fields = decodeOp(bytes, at);
    if ((fields.flags & OP_FLAG.fsync) !== 0) this.#bound = Math.max(this.#bound, fields.commit);
    if (!this.#isOpen) return;
    const before = this.#kept.at(-1)?.tail ?? (op === this.#opFirst ? this.#options.before : null);
    if (before !== null && !follows(before, fields, bytes, at)) {
      this.#fault(this.#slotFault(op, 'it does not follow the op before it'));
      return;
    }
    const { inline: _, ...kept } = fields;
    const bodyChecksum = opBodyChecksum(bytes, at).slice();
    const tail = tailAfter(fields, bytes.subarray(at, at + OP_BYTES));
    this.#kept.push({ fields: kept, tail, bodyChecksum });
  }

  /** What lies at or below the bound is not looked at again, but for the last. */
  #prune(): void {
    const first = this.#kept.findIndex(({ fields }) => fields.op > this.#bound);
    const from = first < 0 ? this.#kept.length : first;
    if (from > 1) this.#kept.splice(0, from - 1);
  }

  async #checkBodies(): Promise<void> {
    const end = this.#kept.at(-1)?.tail.position ?? 0;
    for (const [index, candidate] of this.#kept.entries()) {
      const verdict = await this.#verdict(candidate, end);
      if (verdict === 'present') continue;
      if (verdict !== 'torn') this.#fault(this.#bodyFault(candidate, verdict));
      this.#kept = this.#kept.slice(0, index);
      return;
    }
  }

  async #verdict({ fields, bodyChecksum, tail }: Candidate, end: number): Promise<string> {
    const { position, bodyBytes, op } = fields;
    const { logBytes, unsyncedBytesMax } = this.#options;
    if (tail.position > logBytes)
      return op <= this.#bound ? 'the file ends before it does' : 'torn';
    if (bodyBytes === 0 || op <= this.#bound) return 'present';
    const isRelaxed = (fields.flags & OP_FLAG.fsync) === 0;
    if (isRelaxed && tail.position < end - unsyncedBytesMax) return 'present';
    return this.#withBody(bodyBytes, async (body) => {
      try {
        await this.#dependencies.log.readInto(body, position);
      } catch (error) {
        if (codeOf(error) !== 'EIO') throw error;
        return 'the device cannot read it';
      }
      const found = new Uint8Array(CHECKSUM_BYTES);
      this.#dependencies.kernel.hash128Of(body, found);
      if (sameBytes(found, bodyChecksum)) return 'present';
      return hasLostSector(body, position) ? 'torn' : 'it is not what was written';
    });
  }

  async #withBody(bytes: number, run: (body: Uint8Array) => Promise<string>): Promise<string> {
    const { pool } = this.#dependencies;
    if (bytes > pool.slotBytesMax) return run(new Uint8Array(bytes));
    const at = await pool.takeWhenFree(bytes);
    try {
      return await run(pool.bytes.subarray(at, at + bytes));
    } finally {
      pool.give(at);
    }
  }

  #fault(fault: Fault): void {
    this.#faults.push(fault);
    this.#isOpen = false;
    if (this.#opFault === 0 || fault.op < this.#opFault) this.#opFault = fault.op;
  }

  #slotFault(op: number, reason: string): Fault {
    const byteFirst = (op - this.#opFirst + 1) * OP_BYTES;
    const offset = this.#kept.at(-1)?.tail.offset ?? this.#options.before.offset;
    const range = { byteFirst, byteEnd: byteFirst + OP_BYTES };
    return {
      file: this.#options.opsPath,
      ...range,
      op,
      offsetFirst: offset,
      offsetEnd: offset,
      reason,
    };
  }

  #bodyFault({ fields }: Candidate, reason: string): Fault {
    const { position, bodyBytes, op, offsetFirst, count } = fields;
    const range = { byteFirst: position, byteEnd: position + bodyBytes };
    const offsets = { offsetFirst, offsetEnd: offsetFirst + count };
    return { file: this.#options.logPath, ...range, op, ...offsets, reason };
  }
}

function follows(before: Tail, fields: OpFields, bytes: Uint8Array, at: number): boolean {
  return (
    sameBytes(before.checksum, opParent(bytes, at)) &&
    fields.offsetFirst === before.offset &&
    fields.position === before.position &&
    fields.timestampUs >= before.timestampUs
  );
}

/** Whether a part of the body that one disk sector holds is all zero, as if never written. */
function hasLostSector(body: Uint8Array, position: number): boolean {
  let from = 0;
  while (from < body.length) {
    const left = SECTOR_BYTES - ((position + from) % SECTOR_BYTES);
    const end = Math.min(body.length, from + left);
    if (isZero(body, from, end)) return true;
    from = end;
  }
  return false;
}
