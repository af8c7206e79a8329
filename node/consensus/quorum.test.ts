import assert from 'node:assert/strict';
import { quorums } from './quorum.ts';

describe('quorums', () => {
  it('are 1, 2, 2, 3, 3 for 1 to 5 members, with nack quorums 1, 1, 2, 2, 3', () => {
    assert.deepEqual(
      [1, 2, 3, 4, 5].map((n) => quorums(n).commit),
      [1, 2, 2, 3, 3],
    );
    assert.deepEqual(
      [1, 2, 3, 4, 5].map((n) => quorums(n).nack),
      [1, 1, 2, 2, 3],
    );
  });

  it('refuse groups outside 1..5', () => {
    assert.throws(() => quorums(0));
    assert.throws(() => quorums(6));
  });
});
