import assert from 'node:assert/strict';

// Cuts a stream of chunks, split anywhere, into frames: a header of fixed size, then a body.
//
//          take            storeIn, gather or skip       take              next
//   HEADER ────► HEADER_WHOLE ───────────────────► BODY ────► FRAME_WHOLE ────► HEADER
//
// The reader never decides where a body goes and never reserves anything by itself: whoever owns
// it looks at the header, then says. A body is
//
//   stored    in a view the owner has, its whole length reserved (a slot of the pool)
//   gathered  in memory that grows with what has arrived: a length alone buys nothing
//   skipped   counted and dropped
//
// Invariant: 0 <= bodyFilled <= bodyBytes; a target is at least as long as what was filled.

export const FRAME_STATE = { header: 0, headerWhole: 1, body: 2, frameWhole: 3 } as const;

type FrameState = (typeof FRAME_STATE)[keyof typeof FRAME_STATE];

/** The first piece of a gathered body; it doubles from there. */
const GATHER_BYTES_FIRST = 4096;

const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * The cursor of one connection's frames.
 *
 * cost     one copy of every byte; memory of an idle one is its header
 */
export class FrameReader {
  /** The header of the frame that is being read; overwritten by the next one. */
  readonly header: Buffer;
  readonly headerView: DataView;
  #state: FrameState = FRAME_STATE.header;
  #headerFilled = 0;
  #bodyBytes = 0;
  #bodyFilled = 0;
  #target: Uint8Array | null = null;
  #gathers = false;

  constructor(headerBytes: number) {
    this.header = Buffer.allocUnsafeSlow(headerBytes).fill(0);
    this.headerView = new DataView(this.header.buffer, this.header.byteOffset, headerBytes);
  }

  get state(): FrameState {
    return this.#state;
  }

  /** Bytes of the header that are there. */
  get headerFilled(): number {
    return this.#headerFilled;
  }

  /** Whether a frame has begun and is not whole. */
  get isInside(): boolean {
    return this.#headerFilled > 0;
  }

  /**
   * Takes bytes of a chunk from `at` on, up to the next change of state, and returns the position
   * behind them. In HEADER_WHOLE and FRAME_WHOLE it takes nothing.
   */
  take(chunk: Buffer, at: number): number {
    assert(at >= 0 && at <= chunk.length);
    if (this.#state === FRAME_STATE.header) return this.#takeHeader(chunk, at);
    if (this.#state === FRAME_STATE.body) return this.#takeBody(chunk, at);
    return at;
  }

  /** The body goes into `target`, which is exactly as long. */
  storeIn(target: Uint8Array): void {
    this.#beginBody(target.length, target, false);
  }

  /** The body goes into memory of its own. */
  gather(bodyBytes: number): void {
    const first = Math.min(bodyBytes, GATHER_BYTES_FIRST);
    this.#beginBody(bodyBytes, first === 0 ? NO_BYTES : Buffer.allocUnsafeSlow(first), true);
  }

  /** The body is dropped. */
  skip(bodyBytes: number): void {
    this.#beginBody(bodyBytes, null, false);
  }

  /** Body of the whole frame, or null when it was skipped. The caller's from now on. */
  next(): Uint8Array | null {
    assert(this.#state === FRAME_STATE.frameWhole);
    const body = this.#target;
    this.#target = null;
    this.#headerFilled = 0;
    this.#state = FRAME_STATE.header;
    return this.#gathers ? body!.subarray(0, this.#bodyBytes) : body;
  }

  #takeHeader(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.header.length - this.#headerFilled);
    chunk.copy(this.header, this.#headerFilled, at, end);
    this.#headerFilled += end - at;
    if (this.#headerFilled === this.header.length) this.#state = FRAME_STATE.headerWhole;
    return end;
  }

  #beginBody(bodyBytes: number, target: Uint8Array | null, gathers: boolean): void {
    assert(this.#state === FRAME_STATE.headerWhole);
    assert(Number.isSafeInteger(bodyBytes) && bodyBytes >= 0);
    this.#bodyBytes = bodyBytes;
    this.#bodyFilled = 0;
    this.#target = target;
    this.#gathers = gathers;
    this.#state = bodyBytes === 0 ? FRAME_STATE.frameWhole : FRAME_STATE.body;
  }

  #takeBody(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#bodyBytes - this.#bodyFilled);
    const filled = this.#bodyFilled + end - at;
    if (this.#gathers && filled > this.#target!.length) this.#grow(filled);
    // Buffer.copy, not TypedArray.set: into shared memory the latter copies with atomic steps,
    // measured here 6 GB/s against 50 GB/s at odd addresses.
    if (this.#target !== null) chunk.copy(this.#target, this.#bodyFilled, at, end);
    this.#bodyFilled = filled;
    assert(this.#bodyFilled <= this.#bodyBytes);
    if (filled === this.#bodyBytes) this.#state = FRAME_STATE.frameWhole;
    return end;
  }

  #grow(bytes: number): void {
    const size = Math.min(this.#bodyBytes, Math.max(bytes, this.#target!.length * 2));
    const grown = Buffer.allocUnsafeSlow(size);
    grown.set(this.#target!.subarray(0, this.#bodyFilled), 0);
    this.#target = grown;
  }
}
