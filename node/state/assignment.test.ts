import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Assignment } from './assignment.ts';
import { clientOf } from './scribe.ts';

let op = 0;
function moment() {
  op += 1;
  return { op, timestampUs: op * 10 };
}
function join(assignment: Assignment, n: number, inFlight: readonly number[] = []): void {
  assignment.join(clientOf(n), inFlight, moment());
  assignment.checkInvariants();
}
function shares(assignment: Assignment): (readonly number[])[] {
  return assignment.members.map(({ partitions }) => partitions);
}
function of(partitionsCount: number, ...clients: number[]): Assignment {
  const assignment = new Assignment(partitionsCount);
  for (const n of clients) join(assignment, n);
  return assignment;
}
function pendingOf(assignment: Assignment) {
  return [...assignment.pending.values()].map(({ partitionId, sinceOp }) => ({
    partitionId,
    sinceOp,
  }));
}

describe('A join', () => {
  it('gives the first member everything', () => {
    const assignment = of(3, 1);
    assert.deepEqual(shares(assignment), [[0, 1, 2]]);
    assert.equal(assignment.generation, 1);
  });

  it('takes the excess from the end of the longest lists, at once', () => {
    const assignment = of(4, 1, 2);
    assert.deepEqual(shares(assignment), [
      [0, 1],
      [3, 2],
    ]);
    join(assignment, 3);
    assert.deepEqual(shares(assignment), [[0, 1], [3], [2]]);
    assert.equal(assignment.generation, 3);
  });

  it('changes nothing when the client is a member already', () => {
    const assignment = of(4, 1, 2);
    const before = structuredClone(assignment.record());
    const generation = assignment.generation;
    join(assignment, 1);
    assert.equal(assignment.generation, generation);
    assert.deepEqual(assignment.record(), before);
  });

  it('leaves newcomers without a partition when there are none left, and moves nothing', () => {
    const assignment = of(2, 1, 2);
    const before = structuredClone(shares(assignment));
    join(assignment, 3);
    assert.deepEqual(shares(assignment), [...before, []]);
    assert.deepEqual(assignment.pollableBy(clientOf(3)), []);
    assert.equal(assignment.pollableBy(clientOf(9)), null);
  });

  it('gives 16 members one of 16 partitions each', () => {
    const assignment = of(16, ...Array.from({ length: 16 }, (_, n) => n + 1));
    for (const share of shares(assignment)) assert.equal(share.length, 1);
  });

  it('takes the lowest free slot', () => {
    const assignment = of(6, 1, 2, 3);
    assignment.leave(clientOf(2));
    join(assignment, 4);
    assert.deepEqual(
      assignment.members.map(({ slot, client }) => [slot, client]),
      [
        [0, clientOf(1)],
        [1, clientOf(4)],
        [2, clientOf(3)],
      ],
    );
  });

  it('does not let a short list before long ones leave too much to the newcomer', () => {
    const members = [
      { slot: 0, client: clientOf(1), partitions: [0] },
      { slot: 1, client: clientOf(2), partitions: [1] },
      { slot: 2, client: clientOf(3), partitions: [2, 3] },
      { slot: 3, client: clientOf(4), partitions: [4, 5] },
      { slot: 4, client: clientOf(5), partitions: [6, 7] },
    ];
    const assignment = Assignment.restore({ generation: 9, members, pending: [] }, 8);
    join(assignment, 6);
    assert.deepEqual(
      shares(assignment)
        .map(({ length }) => length)
        .sort(),
      [1, 1, 1, 1, 2, 2],
    );
  });
});

describe('A partition in flight', () => {
  it('stays with its owner, who may store but not poll, until it is completed', () => {
    const assignment = of(2, 1);
    join(assignment, 2, [1]);
    assert.deepEqual(shares(assignment), [[0, 1], []]);
    assert.deepEqual(assignment.pollableBy(clientOf(1)), [0]);
    assert.equal(assignment.mayPoll(clientOf(1), 1), false);
    assert.equal(assignment.mayStore(clientOf(1), 1), true);
    assert.equal(assignment.mayStore(clientOf(2), 1), false);
    assert.equal(assignment.ownerOf(1), clientOf(1));
    const { generation } = assignment;
    assignment.complete(pendingOf(assignment), [], moment());
    assignment.checkInvariants();
    assert.deepEqual(shares(assignment), [[0], [1]]);
    assert.equal(assignment.generation, generation + 1);
    assert.equal(assignment.mayPoll(clientOf(2), 1), true);
    assert.equal(assignment.mayStore(clientOf(1), 1), false);
  });

  it('does not hold up the others of the same join', () => {
    const assignment = of(4, 1);
    join(assignment, 2, [3]);
    assert.deepEqual(shares(assignment), [[0, 1, 3], [2]]);
    assert.deepEqual(assignment.pollableBy(clientOf(1)), [0, 1]);
  });

  it('is completed only by the op that looked at this very revocation', () => {
    const assignment = of(2, 1);
    join(assignment, 2, [1]);
    const old = pendingOf(assignment);
    assignment.leave(clientOf(2));
    assert.equal(assignment.pending.size, 0);
    join(assignment, 3, [0, 1]);
    const { generation } = assignment;
    assignment.complete(old, [], moment());
    assert.equal(assignment.pending.size, 1);
    assert.equal(assignment.generation, generation);
    assignment.complete([{ partitionId: 7, sinceOp: 1 }], [], moment());
    assert.equal(assignment.pending.size, 1);
  });

  it('makes nobody a target twice while one waits for it', () => {
    const assignment = of(6, 1);
    join(assignment, 2, [3, 4, 5]);
    assert.equal(assignment.pending.size, 3);
    join(assignment, 3, []);
    assert.deepEqual(shares(assignment), [[0, 1, 3, 4, 5], [], [2]]);
    assert.equal(assignment.pending.size, 3);
  });

  it('lets nobody starve who joined while it was pending', () => {
    const assignment = of(4, 1);
    join(assignment, 2, [2, 3]);
    join(assignment, 3);
    assert.deepEqual(shares(assignment)[2], []);
    assignment.complete(pendingOf(assignment), [], moment());
    assignment.checkInvariants();
    assert.deepEqual(
      shares(assignment).map(({ length }) => length),
      [2, 1, 1],
    );
  });
});

describe('An eager rebalance', () => {
  it('deals everything anew in slot order when a member leaves', () => {
    const assignment = of(5, 1, 2, 3);
    join(assignment, 4, [0, 1, 2, 3, 4]);
    const { generation } = assignment;
    assert.equal(assignment.leave(clientOf(2)), true);
    assignment.checkInvariants();
    assert.equal(assignment.pending.size, 0);
    assert.equal(assignment.generation, generation + 1);
    assert.deepEqual(shares(assignment), [[0, 3], [1, 4], [2]]);
  });

  it('follows the number of partitions', () => {
    const assignment = of(2, 1, 2);
    assignment.resize(5);
    assignment.checkInvariants();
    assert.deepEqual(shares(assignment), [
      [0, 2, 4],
      [1, 3],
    ]);
    assignment.resize(0);
    assignment.checkInvariants();
    assert.deepEqual(shares(assignment), [[], []]);
  });

  it('does not happen when somebody leaves who is no member', () => {
    const assignment = of(2, 1);
    assert.equal(assignment.leave(clientOf(2)), false);
    assert.equal(assignment.generation, 1);
  });

  it('leaves everything without owner when all are gone, and the next one gets all of it', () => {
    const assignment = of(3, 1, 2);
    assert.equal(assignment.clear(), true);
    assert.equal(assignment.clear(), false);
    assert.equal(assignment.ownerOf(0), null);
    join(assignment, 3);
    assert.deepEqual(shares(assignment), [[0, 1, 2]]);
  });
});

type Step =
  | { readonly do: 'join'; readonly n: number; readonly inFlight: readonly number[] }
  | { readonly do: 'leave'; readonly n: number }
  | { readonly do: 'resize'; readonly count: number }
  | { readonly do: 'complete'; readonly inFlight: readonly number[] };

const client = fc.integer({ min: 1, max: 8 });
const inFlight = fc.uniqueArray(fc.nat({ max: 11 }), { maxLength: 12 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('join' as const), n: client, inFlight }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), n: client }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('resize' as const), count: fc.nat({ max: 12 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('complete' as const), inFlight }) },
);

function take(assignment: Assignment, step: Step): void {
  switch (step.do) {
    case 'join':
      assignment.join(clientOf(step.n), step.inFlight, moment());
      return;
    case 'leave':
      assignment.leave(clientOf(step.n));
      return;
    case 'resize':
      assignment.resize(step.count);
      return;
    case 'complete':
      assignment.complete(pendingOf(assignment), step.inFlight, moment());
      return;
  }
}

function spread(assignment: Assignment): number {
  const lengths = shares(assignment).map(({ length }) => length);
  return Math.max(0, ...lengths) - Math.min(...lengths, Number.POSITIVE_INFINITY);
}

describe('Any history of a group', () => {
  it('keeps every partition with exactly one member, in flight or not', () => {
    fc.assert(
      fc.property(fc.nat({ max: 12 }), fc.array(step, { maxLength: 40 }), (count, steps) => {
        const assignment = new Assignment(count);
        let { generation } = assignment;
        for (const next of steps) {
          take(assignment, next);
          assignment.checkInvariants();
          assert(assignment.generation >= generation);
          generation = assignment.generation;
        }
      }),
    );
  });

  it('keeps the shares within one of each other when nothing is in flight', () => {
    fc.assert(
      fc.property(fc.nat({ max: 12 }), fc.array(step, { maxLength: 40 }), (count, steps) => {
        const assignment = new Assignment(count);
        for (const next of steps) {
          take(assignment, next.do === 'join' ? { ...next, inFlight: [] } : next);
          if (assignment.membersCount > 0) assert(spread(assignment) <= 1);
        }
      }),
    );
  });

  it('leaves nobody without a partition who could have one, once all revocations are complete', () => {
    fc.assert(
      fc.property(fc.nat({ max: 12 }), fc.array(step, { maxLength: 40 }), (count, steps) => {
        const assignment = new Assignment(count);
        for (const next of steps) take(assignment, next);
        while (assignment.pending.size > 0) take(assignment, { do: 'complete', inFlight: [] });
        const lengths = shares(assignment).map(({ length }) => length);
        if (lengths.includes(0)) assert(Math.max(...lengths) <= 1);
      }),
    );
  });

  it('can be written down and taken up again at any point', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.nat({ max: 30 }), (steps, cut) => {
        const original = new Assignment(7);
        let count = 7;
        for (const next of steps.slice(0, cut)) {
          take(original, next);
          if (next.do === 'resize') count = next.count;
        }
        const copy = Assignment.restore(structuredClone(original.record()), count);
        for (const next of steps.slice(cut)) {
          const at = op;
          take(original, next);
          op = at;
          take(copy, next);
          assert.deepEqual(copy.record(), original.record());
        }
      }),
    );
  });
});
