import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Prng } from './prng.ts';

function drawn(prng: Prng, count: number): number[] {
  return Array.from({ length: count }, () => prng.u32());
}

/** sfc32 as published, with BigInt: the sum, then each word by its shifts, 32 bits wide. */
function* sfc32(seed: number): Generator<number> {
  const wide = 0xffff_ffffn;
  let [a, b, c] = [0n, BigInt(seed) & wide, BigInt(seed) >> 32n];
  for (let counter = 1n; ; counter += 1n) {
    const sum = (a + b + counter) & wide;
    a = b ^ (b >> 9n);
    b = (c + (c << 3n)) & wide;
    c = ((((c << 21n) & wide) | (c >> 11n)) + sum) & wide;
    yield Number(sum);
  }
}

describe('Prng', () => {
  it('is sfc32 behind its first 16 numbers', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (seed) => {
        const model = sfc32(seed);
        for (let i = 0; i < 16; i += 1) model.next();
        const wanted = Array.from({ length: 100 }, () => model.next().value);
        assert.deepEqual(drawn(new Prng(seed), 100), wanted);
      }),
    );
  });

  it('never gives other numbers for a seed than it gave before', () => {
    // Seeds are written down in reports of failures: these numbers may not change.
    assert.deepEqual(drawn(new Prng(42), 3), [656_401_615, 478_193_053, 3_278_332_503]);
    assert.deepEqual(
      drawn(new Prng(42).split('network'), 3),
      [905_724_976, 26_887_565, 2_218_520_628],
    );
  });

  it('refuses seeds that are not whole numbers of 53 bits', () => {
    for (const seed of [-1, 0.5, Number.NaN, 2 ** 53]) {
      assert.throws(() => new Prng(seed), assert.AssertionError);
    }
  });

  it('splits by purpose, whatever was drawn before', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(50), fc.string(), (seed, count, purpose) => {
        const fresh = new Prng(seed);
        const used = new Prng(seed);
        drawn(used, count);
        assert.deepEqual(drawn(used.split(purpose), 8), drawn(fresh.split(purpose), 8));
      }),
    );
  });

  it('gives different streams for different purposes and seeds', () => {
    const streams = new Set<string>();
    for (const seed of [0, 1, 2, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      streams.add(drawn(new Prng(seed), 4).join());
      for (const purpose of ['', 'a', 'b', 'ab', 'ba', 'disk', 'network', 'network 1']) {
        streams.add(drawn(new Prng(seed).split(purpose), 4).join());
      }
    }
    assert.equal(streams.size, 5 * 9);
  });

  it('draws below a bound without favour', () => {
    const prng = new Prng(7);
    for (const count of [1, 2, 3, 10, 1000]) {
      const times = new Array<number>(count).fill(0);
      for (let i = 0; i < 20_000; i += 1) times[prng.below(count)]! += 1;
      const expected = 20_000 / count;
      // Chi-square of count-1 degrees of freedom: seven deviations above its mean never happens.
      const chi = times.reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0);
      assert(chi < count + 7 * Math.sqrt(2 * count));
    }
  });

  it('draws below bounds near 2^32, where a third of the numbers must be drawn again', () => {
    const prng = new Prng(9);
    const count = 2 ** 31 + 2 ** 30;
    let upper = 0;
    for (let i = 0; i < 3000; i += 1) {
      const number = prng.below(count);
      assert(number < count);
      if (number >= 2 ** 31) upper += 1;
    }
    // A third of the range lies there; a remainder without redrawing would give a quarter.
    assert(upper > 880 && upper < 1120);
    assert(prng.below(2 ** 32) >= 0);
  });

  it('refuses bounds that are no counts', () => {
    const prng = new Prng(1);
    for (const count of [0, -1, 0.5, 2 ** 32 + 1, Number.NaN]) {
      assert.throws(() => prng.below(count), assert.AssertionError);
    }
  });

  it('draws fractions in [0, 1) around one half', () => {
    const prng = new Prng(3);
    let sum = 0;
    for (let i = 0; i < 10_000; i += 1) {
      const fraction = prng.fraction();
      assert(fraction >= 0 && fraction < 1);
      sum += fraction;
    }
    assert(Math.abs(sum / 10_000 - 0.5) < 0.02);
  });

  it('fills all bytes of a target and none beside it', () => {
    for (let bytes = 0; bytes < 20; bytes += 1) {
      const memory = new Uint8Array(32);
      const target = memory.subarray(5, 5 + bytes);
      const seen = new Uint8Array(bytes);
      const prng = new Prng(bytes);
      for (let round = 0; round < 20; round += 1) {
        prng.fill(target);
        for (const [index, byte] of target.entries()) seen[index]! |= byte;
      }
      assert(seen.every((byte) => byte !== 0));
      assert(memory.subarray(0, 5).every((byte) => byte === 0));
      assert(memory.subarray(5 + bytes).every((byte) => byte === 0));
    }
  });
});
