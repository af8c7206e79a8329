import assert from 'node:assert/strict';
import { BATCH_HEADER_BYTES } from '@iggy-ts/wire/batch';
import { type Pool, RESERVED_BYTES } from '../base/pool.ts';
import { KERNEL_WASM } from './kernel-wasm.ts';

// Message batches and hashes, computed by WebAssembly on the memory of the pool.
//
//   | static data | ... | thread area |           ...           | slots of the pool
//   0             4 KiB 64 KiB        128 KiB                   2 MiB
//
//   thread area (assembly/thread-area.ts has the same offsets):
//   | results | accumulators | digest | gather | 64 bytes of before | input |
//   0         64             192      256      16384                16448   64 KiB

/** Where the thread area begins: above the module's data, which kernel.test.ts measures. */
const AREA_AT = 65_536;
const AREA_BYTES = 65_536;

const RESULT_STATUS = AREA_AT;
const RESULT_COUNT = AREA_AT + 4;
const RESULT_DENSE = AREA_AT + 8;
const RESULT_AT = AREA_AT + 12;
const RESULT_BYTES = AREA_AT + 16;
const RESULT_HASH_LOW = AREA_AT + 20;
const RESULT_HASH_HIGH = AREA_AT + 24;
const RESULT_ORIGIN = AREA_AT + 40;

const DIGEST = AREA_AT + 192;
const DIGEST_BYTES = 16;

const BEFORE_BYTES = 64;
const INPUT = AREA_AT + 16_384 + BEFORE_BYTES;
/** Whole blocks of the hash, so that every piece but the last is made of them: 47 KiB. */
const INPUT_BYTES = Math.floor((AREA_AT + AREA_BYTES - INPUT) / 1024) * 1024;

const CHECK_LIMITS = 1;
const CHECK_MESSAGES = 2;
const CHECK_BATCH = 4;

assert(AREA_AT + AREA_BYTES <= RESERVED_BYTES);
assert(INPUT + INPUT_BYTES <= AREA_AT + AREA_BYTES);

const MODULE = new WebAssembly.Module(Uint8Array.fromBase64(KERNEL_WASM));

/** The doors of assembly/kernel.ts. Addresses are u32 as bits: those past 2 GiB wrap on their way. */
interface Doors {
  attach(at: number): void;
  checkBatch(at: number, bytes: number, checks: number): number;
  stampBatch(
    at: number,
    bytes: number,
    partitionId: number,
    baseOffset: number,
    baseTimestampUs: number,
  ): number;
  sealBatch(at: number, bytes: number): number;
  sliceBatch(at: number, bytes: number, deltaFirst: number, countMax: number): number;
  findByOffset(at: number, bytes: number, offset: number): number;
  findByOriginTimestamp(at: number, bytes: number, timestampUs: number): number;
  digest64(at: number, bytes: number): void;
  digest128(at: number, bytes: number, out: number): void;
  openDigest(): void;
  addToDigest(at: number, bytes: number): void;
  closeDigest64(at: number, bytes: number, total: number): void;
  closeDigest128(at: number, bytes: number, total: number, out: number): void;
}

/** What check looks at besides the layout. */
export interface Checks {
  /** Payload and user headers of every message: 4022, 4017. */
  readonly limits: boolean;
  /** Every message checksum: 4027. */
  readonly messages: boolean;
  /** The batch checksum: 4039. */
  readonly batch: boolean;
}

export interface StampOptions {
  /** A batch that check has accepted. */
  readonly at: number;
  readonly bytes: number;
  readonly partitionId: number;
  /** Offset that delta 0 stands for. */
  readonly baseOffset: number;
  /** Time of append, since 1970. */
  readonly timestampUs: number;
}

export interface SliceOptions {
  readonly at: number;
  readonly bytes: number;
  /** Frames with a smaller offset delta are dropped from the front. */
  readonly deltaFirst: number;
  /** At most so many frames are kept. */
  readonly countMax: number;
}

/** A batch that lies inside of what was sliced. */
export interface Slice {
  readonly at: number;
  readonly bytes: number;
  readonly count: number;
}

/** A 64-bit hash as two u32. */
export interface Hash64 {
  low: number;
  high: number;
}

/**
 * The computing part of one thread: checks, stamps and slices batches in slots of the pool, and
 * hashes bytes anywhere.
 *
 * shape    batches are named by address and length, as wire/batch.ts lays them out; nothing outside
 *          [at, at + bytes) is read or written, whatever the bytes say
 * cost     no allocation but the result of slice; one pass over the bytes per call
 */
export class Kernel {
  readonly #pool: Pool;
  readonly #view: DataView;
  readonly #digest: Uint8Array;
  readonly #doors: Doors;
  readonly #hash: Hash64 = { low: 0, high: 0 };

  constructor(pool: Pool) {
    this.#pool = pool;
    this.#view = pool.view;
    this.#digest = pool.bytes.subarray(DIGEST, DIGEST + DIGEST_BYTES);
    const { exports } = new WebAssembly.Instance(MODULE, { env: { memory: pool.memory } });
    this.#doors = exports as Doors;
    this.#doors.attach(AREA_AT);
  }

  /** Status of the last slice: 0, or the code of a malformed batch. */
  get status(): number {
    return this.#view.getUint32(RESULT_STATUS, true);
  }

  /** Messages of the batch that check accepted last. */
  get count(): number {
    return this.#view.getUint32(RESULT_COUNT, true);
  }

  /** Whether the offset deltas of the batch that check accepted last are 0, 1, 2... */
  get dense(): boolean {
    return this.#view.getUint32(RESULT_DENSE, true) === 1;
  }

  /** Origin timestamp of the batch that check accepted last; rounded above 2^53. */
  get originTimestampUs(): number {
    return this.#view.getFloat64(RESULT_ORIGIN, true);
  }

  /**
   * Whether exactly one batch fills the bytes: 0, or the status code for the first fault by weight:
   * layout 3, no messages 4009, limits 4022 and 4017, message checksum 4027, batch checksum 4039.
   * Afterwards `count`, `dense` and `originTimestampUs` tell of an accepted batch.
   *
   * source   wire.md 12.5
   */
  check(at: number, bytes: number, what: Checks): number {
    this.#requireInside(at, bytes);
    const checks =
      (what.limits ? CHECK_LIMITS : 0) |
      (what.messages ? CHECK_MESSAGES : 0) |
      (what.batch ? CHECK_BATCH : 0);
    return this.#doors.checkBatch(at, bytes, checks);
  }

  /** Writes what the server decides into an accepted batch, and the batch checksum that follows. */
  stamp(options: StampOptions): void {
    const { at, bytes, partitionId, baseOffset, timestampUs } = options;
    this.#requireInside(at, bytes);
    assert(bytes >= BATCH_HEADER_BYTES);
    assert(isU53(partitionId) && isU53(baseOffset) && isU53(timestampUs));
    const stamped = this.#doors.stampBatch(at, bytes, partitionId, baseOffset, timestampUs);
    assert(stamped !== 0, 'only a batch that was checked is stamped');
  }

  /** Writes every message checksum, then the batch checksum; false when the frames don't tile. */
  seal(at: number, bytes: number): boolean {
    this.#requireInside(at, bytes);
    return bytes >= BATCH_HEADER_BYTES && this.#doors.sealBatch(at, bytes) !== 0;
  }

  /**
   * Cuts a batch to some of its messages in place: its header moves directly in front of the first
   * frame kept, over frames that are dropped, with length, count and batch checksum made true.
   * Null when nothing is kept, and when the batch is malformed (`status` is not 0 then).
   */
  slice(options: SliceOptions): Slice | null {
    const { at, bytes, deltaFirst, countMax } = options;
    this.#requireInside(at, bytes);
    assert(isU32(deltaFirst) && isU32(countMax));
    if (this.#doors.sliceBatch(at, bytes, deltaFirst, countMax) === 0) return null;
    return {
      at: this.#view.getUint32(RESULT_AT, true),
      bytes: this.#view.getUint32(RESULT_BYTES, true),
      count: this.#view.getUint32(RESULT_COUNT, true),
    };
  }

  /** Place of the first frame whose offset is at least `offset`, from the batch's start, or -1. */
  findByOffset(at: number, bytes: number, offset: number): number {
    this.#requireInside(at, bytes);
    assert(isU53(offset));
    return this.#doors.findByOffset(at, bytes, offset);
  }

  /** Place of the first frame that originated at `timestampUs` or later, or -1. */
  findByOriginTimestamp(at: number, bytes: number, timestampUs: number): number {
    this.#requireInside(at, bytes);
    assert(isU53(timestampUs));
    return this.#doors.findByOriginTimestamp(at, bytes, timestampUs);
  }

  /**
   * XXH3-64 of bytes anywhere.
   *
   * shape    the result is one object that the next call writes again
   * cost     bytes in the pool are hashed where they are, others are copied through 47 KiB
   */
  hash64Of(bytes: Uint8Array): Readonly<Hash64> {
    const doors = this.#doors;
    const size = bytes.length;
    if (this.#isInPool(bytes)) {
      doors.digest64(bytes.byteOffset, size);
    } else if (size <= INPUT_BYTES) {
      this.#pool.bytes.set(bytes, INPUT);
      doors.digest64(INPUT, size);
    } else {
      const last = this.#digestAllButLast(bytes);
      doors.closeDigest64(INPUT, last, size);
    }
    this.#hash.low = this.#view.getUint32(RESULT_HASH_LOW, true);
    this.#hash.high = this.#view.getUint32(RESULT_HASH_HIGH, true);
    return this.#hash;
  }

  /**
   * XXH3-128 of bytes anywhere into the first 16 bytes of `out`, low half first; `out` may lie in
   * the bytes.
   *
   * cost     as hash64Of
   */
  hash128Of(bytes: Uint8Array, out: Uint8Array): void {
    assert(out.length >= DIGEST_BYTES);
    const doors = this.#doors;
    const size = bytes.length;
    if (this.#isInPool(bytes)) {
      doors.digest128(bytes.byteOffset, size, DIGEST);
    } else if (size <= INPUT_BYTES) {
      this.#pool.bytes.set(bytes, INPUT);
      doors.digest128(INPUT, size, DIGEST);
    } else {
      const last = this.#digestAllButLast(bytes);
      doors.closeDigest128(INPUT, last, size, DIGEST);
    }
    out.set(this.#digest);
  }

  /**
   * Feeds pieces of whole blocks while more than one piece is left, then lays the last piece and
   * the 64 bytes before it in place and returns its size: 1..INPUT_BYTES.
   */
  #digestAllButLast(bytes: Uint8Array): number {
    const { bytes: memory } = this.#pool;
    this.#doors.openDigest();
    let from = 0;
    for (; bytes.length - from > INPUT_BYTES; from += INPUT_BYTES) {
      memory.set(bytes.subarray(from, from + INPUT_BYTES), INPUT);
      this.#doors.addToDigest(INPUT, INPUT_BYTES);
    }
    assert(from > BEFORE_BYTES && from < bytes.length);
    memory.set(bytes.subarray(from - BEFORE_BYTES), INPUT - BEFORE_BYTES);
    return bytes.length - from;
  }

  #isInPool(bytes: Uint8Array): boolean {
    return bytes.buffer === this.#pool.bytes.buffer;
  }

  #requireInside(at: number, bytes: number): void {
    assert(isU32(at) && isU32(bytes));
    assert(at >= RESERVED_BYTES && at + bytes <= this.#pool.bytes.length);
  }
}

function isU32(value: number): boolean {
  return value >>> 0 === value;
}

function isU53(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
