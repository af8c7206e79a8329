import assert from 'node:assert/strict';

// Random numbers that a seed gives again: for tests, the simulator and jitter. Never for secrets.
//
// The generator is sfc32 (Chris Doty-Humphrey's Small Fast Counting, from PractRand): 128 bits of
// state, a period of at least 2^32 for every seed, because one of its words counts.

const U32_COUNT = 2 ** 32;
/** After so many draws every bit of the seed has reached every bit of the state. */
const WARM_UP_COUNT = 16;

/** A stream of random numbers. The same seed and the same calls give the same numbers. */
export class Prng {
  readonly #keyLow: number;
  readonly #keyHigh: number;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** Takes every integer from 0 to 2^53-1 as a seed. */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed) && seed >= 0);
    this.#keyLow = seed >>> 0;
    this.#keyHigh = Math.floor(seed / U32_COUNT);
    this.#a = 0;
    this.#b = this.#keyLow;
    this.#c = this.#keyHigh;
    for (let i = 0; i < WARM_UP_COUNT; i += 1) this.u32();
  }

  /** A whole number, 0..2^32-1. */
  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A whole number in [0, count), each as likely as the others; `count`: 1..2^32. */
  below(count: number): number {
    assert(Number.isSafeInteger(count) && count > 0 && count <= U32_COUNT);
    // Numbers past the last multiple of `count` would favour the small ones: they are drawn again.
    const end = U32_COUNT - (U32_COUNT % count);
    let drawn = this.u32();
    while (drawn >= end) drawn = this.u32();
    return drawn % count;
  }

  /** A number in [0, 1), a multiple of 2^-32. */
  fraction(): number {
    return this.u32() / U32_COUNT;
  }

  /** Writes random bytes over all of `target`. */
  fill(target: Uint8Array): void {
    for (let at = 0; at < target.length; at += 4) {
      const drawn = this.u32();
      for (let i = 0; i < 4 && at + i < target.length; i += 1) target[at + i] = drawn >>> (8 * i);
    }
  }

  /**
   * A stream of its own for one purpose. It depends on the seed and the purpose only, not on what
   * was drawn before: a new purpose or one more draw changes no other stream of a seed.
   */
  split(purpose: string): Prng {
    let low = this.#keyLow ^ 0x9e37_79b9;
    let high = this.#keyHigh ^ 0x85eb_ca6b;
    for (let i = 0; i < purpose.length; i += 1) {
      const unit = purpose.charCodeAt(i);
      low = mix(low ^ unit);
      high = mix(high + low + unit);
    }
    return new Prng((mix(high ^ low) & 0x1f_ffff) * U32_COUNT + (mix(low) >>> 0));
  }
}

/** A bijection of u32 in which every bit depends on every bit: the end of MurmurHash3. */
function mix(word: number): number {
  let hash = word ^ (word >>> 16);
  hash = Math.imul(hash, 0x85eb_ca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}
