import assert from 'node:assert/strict';
import { formatHex } from './hex.ts';
import { decodeUtf8 } from './utf8.ts';

/** Why bytes were refused. */
export type Fault = 'truncated' | 'badUtf8' | 'badDiscriminant' | 'invalid' | 'numberTooLarge';

/**
 * Takes a body apart from front to back.
 *
 *   | taken | not yet taken |
 *           ^at             ^end
 *   Invariant: at <= end, and no byte at or behind `end` is ever read.
 *
 * A fault is remembered, not thrown: `at` jumps to `end`, every further take gives an empty value,
 * and whoever wrote the straight line of takes asks once, at its end, whether `fault` is null. The
 * first fault stays. A loop over a count from the wire must look at `fault` in its condition.
 *
 * cost     no view and no allocation except for text and copies; bytes may be in shared memory
 */
export class Reader {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
  fault: Fault | null = null;

  constructor(bytes: Uint8Array, at: number, end: number) {
    assert(at >= 0 && at <= end);
    assert(end <= bytes.length);
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.at;
  }

  /** Remembers the first fault and lets every further take come out empty. */
  fail(fault: Fault): void {
    this.fault ??= fault;
    this.at = this.end;
  }

  /** Takes `length` bytes and returns where they start, or -1 when they are not there. */
  skip(length: number): number {
    const start = this.at;
    if (length > this.end - start) {
      this.fail('truncated');
      return -1;
    }
    this.at = start + length;
    return start;
  }

  u8(): number {
    const at = this.skip(1);
    return at < 0 ? 0 : this.bytes[at]!;
  }

  u16(): number {
    const at = this.skip(2);
    return at < 0 ? 0 : this.bytes[at]! | (this.bytes[at + 1]! << 8);
  }

  u32(): number {
    const at = this.skip(4);
    return at < 0 ? 0 : readU32(this.bytes, at);
  }

  /** 0..2^53-1; a larger number is a fault. */
  u64(): number {
    const at = this.skip(8);
    if (at < 0) return 0;
    const high = readU32(this.bytes, at + 4);
    if (high > 0x1f_ffff) {
      this.fail('numberTooLarge');
      return 0;
    }
    return high * 0x1_0000_0000 + readU32(this.bytes, at);
  }

  /** 0..2^53-1, or Infinity for all ones where a field knows never or unlimited. */
  u64OrInfinity(): number {
    const at = this.at;
    if (this.end - at >= 8 && isAllOnes(this.bytes, at)) {
      this.at = at + 8;
      return Number.POSITIVE_INFINITY;
    }
    return this.u64();
  }

  f32(): number {
    const bits = this.u32();
    FLOAT_BITS[0] = bits;
    return FLOAT[0]!;
  }

  /** Any value but 0 is true. */
  bool(): boolean {
    return this.u8() !== 0;
  }

  /** 16 bytes as 32 hex characters. */
  u128(): string {
    const at = this.skip(16);
    return at < 0 ? NO_U128 : formatHex(this.bytes, at, at + 16);
  }

  /** `length` bytes of UTF-8. */
  text(length: number): string {
    const at = this.skip(length);
    if (at < 0) return '';
    const text = decodeUtf8(this.bytes, at, at + length);
    if (text === null) this.fail('badUtf8');
    return text ?? '';
  }

  /** u8 length 1..255, UTF-8. */
  name(): string {
    const length = this.u8();
    if (length === 0) this.fail('invalid');
    return this.text(length);
  }

  /** u8 length, 0 allowed, UTF-8. */
  text8(): string {
    return this.text(this.u8());
  }

  /** u32 length, 0 allowed, UTF-8. */
  text32(): string {
    return this.text(this.u32());
  }

  /** `length` bytes, borrowed. */
  borrow(length: number): Uint8Array {
    const at = this.skip(length);
    return at < 0 ? NO_BYTES : this.bytes.subarray(at, at + length);
  }

  /** `length` bytes, owned: never a view of a Buffer, never shared memory. */
  copy(length: number): Uint8Array {
    const at = this.skip(length);
    if (at < 0) return NO_BYTES;
    const owned = new Uint8Array(length);
    owned.set(this.bytes.subarray(at, at + length));
    return owned;
  }
}

const NO_BYTES = new Uint8Array(0);
const NO_U128 = '0'.repeat(32);
const FLOAT = new Float32Array(1);
const FLOAT_BITS = new Uint32Array(FLOAT.buffer);

function readU32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  );
}

function isAllOnes(bytes: Uint8Array, at: number): boolean {
  return readU32(bytes, at) === 0xffff_ffff && readU32(bytes, at + 4) === 0xffff_ffff;
}
