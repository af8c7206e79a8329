import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Effects, PIPELINE_MAX, Replica } from './replica.ts';

function one(head = 0): Replica {
  return new Replica({ members: ['a'], self: 'a', epoch: 1, view: 0, head, commit: head });
}

function effects(): Effects {
  return { persist: [], commit: [] };
}

describe('Replica, a group of one', () => {
  it('numbers ops after the recovered head and commits nothing before the disk has it', () => {
    const replica = one(41);
    const out = effects();
    replica.propose('x', out);
    assert.equal(replica.head, 42);
    assert.equal(replica.commit, 41);
    assert.equal(out.commit.length, 0);
    replica.persisted(out.persist[0]!.ticket, out);
    assert.deepEqual(
      out.commit.map((prepare) => prepare.op),
      [42],
    );
  });

  it('commits everything up to a ticket, in op order', () => {
    const replica = one();
    const out = effects();
    for (let i = 0; i < 5; i += 1) replica.propose(i, out);
    replica.persisted(out.persist[3]!.ticket, out);
    assert.deepEqual(
      out.commit.map((prepare) => prepare.handle),
      [0, 1, 2, 3],
    );
    assert.equal(replica.commit, 4);
    assert.equal(replica.head, 5);
  });

  it('has a bounded pipeline and asserts when it is overrun', () => {
    const replica = one();
    const out = effects();
    for (let i = 0; i < PIPELINE_MAX; i += 1) replica.propose(i, out);
    assert.equal(replica.pipelineRoom, 0);
    assert.throws(() => replica.propose('too many', out));
  });

  it('forgets prepares that were never written, and gives their numbers out again', () => {
    const replica = one();
    const out = effects();
    for (let i = 0; i < 4; i += 1) replica.propose(i, out);
    replica.persisted(out.persist[1]!.ticket, out);
    const gone = replica.truncate(out.persist[2]!.ticket);
    assert.deepEqual(
      gone.map((prepare) => prepare.op),
      [3, 4],
    );
    assert.equal(replica.head, 2);
    assert.equal(replica.propose('again', out).op, 3);
  });

  it('never takes back an op that was voted for', () => {
    const replica = one();
    const out = effects();
    replica.propose('a', out);
    replica.persisted(out.persist[0]!.ticket, out);
    assert.deepEqual(replica.truncate(out.persist[0]!.ticket), []);
    assert.equal(replica.commit, 1);
  });

  it('refuses a replica that is not a member', () => {
    assert.throws(
      () => new Replica({ members: ['a'], self: 'b', epoch: 1, view: 0, head: 0, commit: 0 }),
    );
  });

  it('keeps order and invariants under any interleaving of proposals, syncs and full disks', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('propose', 'persist', 'fail'), { maxLength: 300 }),
        (steps) => {
          const replica = one();
          const committed: number[] = [];
          let pending: number[] = [];
          for (const step of steps) {
            const out = effects();
            if (step === 'propose' && replica.pipelineRoom > 0) {
              replica.propose(null, out);
              pending.push(out.persist[0]!.ticket);
            } else if (step === 'persist' && pending.length > 0) {
              replica.persisted(pending.shift()!, out);
            } else if (step === 'fail' && pending.length > 0) {
              assert.equal(replica.truncate(pending[0]!).length, pending.length);
              pending = [];
            }
            committed.push(...out.commit.map((prepare) => prepare.op));
            assert(replica.commit <= replica.head);
            assert.equal(replica.head - replica.commit, pending.length);
          }
          assert.deepEqual(
            committed,
            committed.map((_, index) => index + 1),
          );
        },
      ),
      { numRuns: 200 },
    );
  });
});
