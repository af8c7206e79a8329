import assert from 'node:assert/strict';
import { parseHex } from './hex.ts';
import { encodeUtf8 } from './utf8.ts';

/**
 * Puts a body together from front to back; the counterpart of `Reader`, method for method. Values
 * that do not fit their field are bugs of the caller. `finish()` hands the bytes over, once.
 */
export class Writer {
  #bytes: Uint8Array;
  #view: DataView;
  #at = 0;

  /** capacityBytes: expected length; more is possible and costs a copy. */
  constructor(capacityBytes = 128) {
    this.#bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#at;
  }

  /** The bytes written so far; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  // `#take` may replace the view, so it is called before the view is looked up.
  u8(value: number): void {
    assert(Number.isInteger(value) && value >= 0 && value <= 0xff);
    const at = this.#take(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    assert(Number.isInteger(value) && value >= 0 && value <= 0xffff);
    const at = this.#take(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    assert(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff);
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0);
    const at = this.#take(8);
    this.#view.setUint32(at, value >>> 0, true);
    this.#view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
  }

  u64OrInfinity(value: number): void {
    if (value === Number.POSITIVE_INFINITY) {
      this.u32(0xffff_ffff);
      this.u32(0xffff_ffff);
    } else {
      this.u64(value);
    }
  }

  f32(value: number): void {
    const at = this.#take(4);
    this.#view.setFloat32(at, value, true);
  }

  bool(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  /** 32 hex characters as 16 bytes. */
  u128(hex: string): void {
    assert(hex.length === 32);
    this.bytes(parseHex(hex));
  }

  bytes(value: Uint8Array): void {
    const at = this.#take(value.length);
    this.#bytes.set(value, at);
  }

  name(text: string): void {
    const bytes = encodeUtf8(text);
    assert(bytes.length >= 1);
    this.u8(bytes.length);
    this.bytes(bytes);
  }

  text8(text: string): void {
    const bytes = encodeUtf8(text);
    this.u8(bytes.length);
    this.bytes(bytes);
  }

  text32(text: string): void {
    const bytes = encodeUtf8(text);
    this.u32(bytes.length);
    this.bytes(bytes);
  }

  /** Leaves room for a u32 that `setU32` fills in when its value is known. */
  reserveU32(): number {
    return this.#take(4);
  }

  setU32(at: number, value: number): void {
    assert(at >= 0 && at + 4 <= this.#at);
    assert(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff);
    this.#view.setUint32(at, value, true);
  }

  #take(length: number): number {
    const at = this.#at;
    this.#at = at + length;
    if (this.#at > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}
