import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  decodePartitionOp,
  encodePartitionOp,
  type PartitionOp,
  STORE_ENTRIES_MAX,
} from './partition-op.ts';

/** Bytes free in an op header. */
const INLINE_BYTES = 88;

const u32 = fc.nat({ max: 0xffff_ffff });
const kind = fc.constantFrom('consumer' as const, 'group' as const);
const entry = fc.record({
  kind,
  id: u32,
  offset: fc.maxSafeNat(),
  mode: fc.constantFrom('explicit' as const, 'auto' as const),
});
const purge = fc.maxSafeNat();
const op: fc.Arbitrary<PartitionOp> = fc.oneof(
  fc.record({
    kind: fc.constant('storeOffsets' as const),
    purge,
    entries: fc.array(entry, { minLength: 1, maxLength: STORE_ENTRIES_MAX }),
  }),
  fc.record({
    kind: fc.constant('deleteOffset' as const),
    purge,
    of: fc.record({ kind, id: u32 }),
  }),
  fc.record({ kind: fc.constant('trimTo' as const), purge, offset: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('purge' as const), purge }),
);

describe('Ops of a partition', () => {
  it('fit the op header and come back as they were', () => {
    fc.assert(
      fc.property(op, (original) => {
        const bytes = encodePartitionOp(original);
        assert(bytes.length <= INLINE_BYTES);
        assert.deepEqual(decodePartitionOp(bytes), structuredClone(original));
      }),
    );
  });

  it('are asserted to be whole: cut or longer bytes are a bug', () => {
    fc.assert(
      fc.property(op, (original) => {
        const bytes = encodePartitionOp(original);
        for (let end = 0; end < bytes.length; end += 1) {
          assert.throws(() => decodePartitionOp(bytes.subarray(0, end)), assert.AssertionError);
        }
        const longer = new Uint8Array(bytes.length + 1);
        longer.set(bytes);
        assert.throws(() => decodePartitionOp(longer), assert.AssertionError);
      }),
      { numRuns: 20 },
    );
  });

  it('have a known tag, kind and mode', () => {
    const bytes = encodePartitionOp({
      kind: 'storeOffsets',
      purge: 0,
      entries: [{ kind: 'group', id: 1, offset: 2, mode: 'auto' }],
    });
    for (const at of [0, 16, 17]) {
      const bad = bytes.slice();
      bad[at] = 9;
      assert.throws(() => decodePartitionOp(bad), assert.AssertionError);
    }
  });

  it('store at least one and at most three offsets', () => {
    const one = { kind: 'group', id: 1, offset: 2, mode: 'auto' } as const;
    for (const entries of [[], [one, one, one, one]]) {
      const bad: PartitionOp = { kind: 'storeOffsets', purge: 0, entries };
      assert.throws(() => encodePartitionOp(bad), assert.AssertionError);
    }
  });
});
