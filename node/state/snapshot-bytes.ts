import assert from 'node:assert/strict';

// The bytes of a snapshot, little-endian, written and read front to back by the same calls.

const U32 = 0x1_0000_0000;
const U32_MAX = U32 - 1;
const BYTES_FIRST = 4096;

/** Grows as it is written to. */
export class SnapshotWriter {
  #bytes = new Uint8Array(BYTES_FIRST);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  u32(value: number): void {
    assert(Number.isInteger(value) && value >= 0 && value < U32);
    // The view is another one when the bytes had to grow: place first.
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0);
    const at = this.#take(8);
    this.#view.setUint32(at, value % U32, true);
    this.#view.setUint32(at + 4, Math.floor(value / U32), true);
  }

  /** All ones stand for null. */
  u64OrNull(value: number | null): void {
    if (value !== null) {
      this.u64(value);
      return;
    }
    const at = this.#take(8);
    this.#bytes.fill(0xff, at, at + 8);
  }

  /** 32 hex characters as 16 bytes. */
  hex16(text: string): void {
    assert(text.length === 32);
    const at = this.#take(16);
    this.#bytes.set(Uint8Array.fromHex(text), at);
  }

  /** What was written, owned by the caller. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#at);
  }

  #take(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    if (this.#at > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/** Asserts when the bytes end early: they were checksummed, so that is a bug. */
export class SnapshotReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): number {
    const value = this.u64OrNull();
    assert(value !== null);
    return value;
  }

  u64OrNull(): number | null {
    const at = this.#take(8);
    const low = this.#view.getUint32(at, true);
    const high = this.#view.getUint32(at + 4, true);
    if (low === U32_MAX && high === U32_MAX) return null;
    const value = high * U32 + low;
    assert(Number.isSafeInteger(value));
    return value;
  }

  hex16(): string {
    const at = this.#take(16);
    return this.#bytes.subarray(at, at + 16).toHex();
  }

  /** Asserts that everything was read. */
  end(): void {
    assert.equal(this.#at, this.#bytes.length, 'end of a snapshot');
  }

  #take(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    assert(this.#at <= this.#bytes.length);
    return at;
  }
}
