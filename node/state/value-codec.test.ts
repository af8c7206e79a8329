import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeValue, encodeValue } from './value-codec.ts';

const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeNat(),
    fc.constant(Number.POSITIVE_INFINITY),
    fc.string({ unit: 'binary' }),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), tie('value'), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
    fc
      .uniqueArray(fc.tuple(fc.nat(), tie('value')), { maxLength: 4, selector: ([key]) => key })
      .map((items) => new Map(items)),
  ),
}));

describe('The codec of stored values', () => {
  it('gives back what it was given, exactly', () => {
    fc.assert(
      fc.property(value, (original) => {
        assert.deepEqual(decodeValue(encodeValue(original)), original);
      }),
    );
  });

  it('writes the same bytes whatever order the keys were set in', () => {
    const left = encodeValue({ b: 1, a: { d: 2, c: 3 } });
    const right = encodeValue({ a: { c: 3, d: 2 }, b: 1 });
    assert.deepEqual(left, right);
  });

  it('refuses values it could not give back', () => {
    for (const bad of [Number.NaN, -0, Number.NEGATIVE_INFINITY, undefined, () => 0, 1n]) {
      assert.throws(() => encodeValue(bad), assert.AssertionError);
    }
  });

  it('asserts on bytes that are cut or have an unknown tag', () => {
    const bytes = encodeValue({ name: 'orders', sizes: [1, 2] });
    for (let end = 0; end < bytes.length; end += 1) {
      assert.throws(() => decodeValue(bytes.subarray(0, end)), assert.AssertionError);
    }
    const encoder = new TextEncoder();
    for (const text of ['["z",1]', '[]', '["b",7]', '["m",7]']) {
      assert.throws(() => decodeValue(encoder.encode(text)), assert.AssertionError);
    }
  });
});
