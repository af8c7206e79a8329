import assert from 'node:assert/strict';
import { drawToken, hashToken } from './tokens.ts';

describe('personal access tokens', () => {
  it('are 50 random bytes as 68 characters of base64', () => {
    const token = drawToken((count) => new Uint8Array(count).fill(0xff));
    assert.equal(token, `${'/'.repeat(66)}8=`);
  });

  it('are stored as the BLAKE3 hash of their text', () => {
    // First bytes of the published BLAKE3 test vector for the three bytes "abc".
    assert.equal(
      hashToken('abc'),
      '6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85',
    );
    assert.notEqual(hashToken('abd'), hashToken('abc'));
  });

  it('do not exist when the text is empty or too long', () => {
    assert.equal(hashToken(''), null);
    assert.equal(hashToken('x'.repeat(256)), null);
  });
});
