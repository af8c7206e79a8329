import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SnapshotReader, SnapshotWriter } from './snapshot-bytes.ts';

type Item =
  | { readonly kind: 'u32' | 'u64'; readonly value: number }
  | { readonly kind: 'u64OrNull'; readonly value: number | null }
  | { readonly kind: 'hex16'; readonly value: string };

const item: fc.Arbitrary<Item> = fc.oneof(
  fc.record({ kind: fc.constant('u32' as const), value: fc.nat({ max: 0xffff_ffff }) }),
  fc.record({ kind: fc.constant('u64' as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('u64OrNull' as const), value: fc.option(fc.maxSafeNat()) }),
  fc.record({
    kind: fc.constant('hex16' as const),
    value: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => bytes.toHex()),
  }),
);

function write(writer: SnapshotWriter, { kind, value }: Item): void {
  if (kind === 'hex16') writer.hex16(value);
  else if (kind === 'u64OrNull') writer.u64OrNull(value);
  else writer[kind](value);
}

describe('Bytes of a snapshot', () => {
  it('are read back as they were written, however much they had to grow', () => {
    const items = fc.array(item, { maxLength: 2000, size: 'max' });
    fc.assert(
      fc.property(items, (all) => {
        const writer = new SnapshotWriter();
        for (const each of all) write(writer, each);
        const reader = new SnapshotReader(writer.bytes());
        for (const { kind, value } of all) assert.equal(reader[kind](), value);
        reader.end();
      }),
      // Shrinking two thousand items would take longer than reading the seed.
      { numRuns: 50, endOnFailure: true },
    );
  });

  it('are asserted to hold what is asked of them', () => {
    const writer = new SnapshotWriter();
    writer.u32(1);
    writer.u64OrNull(null);
    const bytes = writer.bytes();
    assert.throws(() => new SnapshotReader(bytes.subarray(0, 3)).u32(), assert.AssertionError);
    assert.throws(() => new SnapshotReader(bytes).end(), assert.AssertionError);
    assert.throws(() => new SnapshotReader(bytes.subarray(4)).u64(), assert.AssertionError);
    const large = new SnapshotReader(new Uint8Array(8).fill(0xf0));
    assert.throws(() => large.u64(), assert.AssertionError);
    for (const bad of [-1, 0.5, 2 ** 32, Number.NaN]) {
      assert.throws(() => writer.u32(bad), assert.AssertionError);
    }
    assert.throws(() => writer.u64(2 ** 53), assert.AssertionError);
    assert.throws(() => writer.hex16('ff'), assert.AssertionError);
  });
});
