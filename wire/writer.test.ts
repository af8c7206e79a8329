import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Writer } from './writer.ts';

describe('Writer', () => {
  it('grows at any place of any value, and loses nothing', () => {
    const value = fc.constantFrom('u8', 'u16', 'u32', 'u64', 'f32', 'name', 'bytes');
    fc.assert(
      fc.property(fc.array(value, { maxLength: 60 }), fc.nat(40), (kinds, capacityBytes) => {
        const [small, large] = [new Writer(capacityBytes), new Writer(4096)];
        for (const writer of [small, large]) {
          for (const [index, kind] of kinds.entries()) {
            if (kind === 'name') writer.name(`name ${index}`);
            else if (kind === 'bytes') writer.bytes(Uint8Array.of(index, 1, 2));
            else writer[kind as 'u8'](index + 1);
          }
        }
        assert.deepEqual(small.finish(), large.finish());
      }),
    );
  });
});
