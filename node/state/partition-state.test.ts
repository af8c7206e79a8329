import assert from 'node:assert/strict';
import { STATUS } from '@iggy-ts/wire/status';
import fc from 'fast-check';
import type { PartitionOp } from './partition-op.ts';
import { type PartitionOrigin, PartitionState } from './partition-state.ts';
import { KEPT_MAX, PRODUCERS_MAX } from './producer-table.ts';
import { clientOf } from './scribe.ts';

let op = 0;
function from(sender: Partial<PartitionOrigin> = {}): PartitionOrigin {
  op += 1;
  const timestampUs = op * 10;
  const nobody = { client: null, session: 0, request: 0, checksumLow: 0, checksumHigh: 0 };
  return { op, timestampUs, ...nobody, ...sender };
}
function sender(
  n: number,
  request: number,
  checksumLow = 7,
): Omit<PartitionOrigin, 'op' | 'timestampUs'> {
  return { client: clientOf(n), session: 5, request, checksumLow, checksumHigh: 1 };
}
function filled(count: number): PartitionState {
  const state = new PartitionState();
  state.appended(from(), 0, count);
  return state;
}
function store(
  state: PartitionState,
  offset: number,
  more: { readonly mode?: 'explicit' | 'auto'; readonly id?: number; readonly purge?: number } = {},
): number {
  const { mode = 'explicit', id = 1, purge = state.purge } = more;
  const entries = [{ kind: 'consumer', id, offset, mode } as const];
  return state.apply(from(), { kind: 'storeOffsets', purge, entries });
}

describe('Stored offsets', () => {
  it('may be moved back by an explicit store, and only forward by an automatic one', () => {
    const state = filled(10);
    assert.equal(store(state, 7), 0);
    assert.equal(store(state, 3), 0);
    assert.equal(state.storedOffset('consumer', 1), 3);
    assert.equal(store(state, 5, { mode: 'auto' }), 0);
    assert.equal(state.storedOffset('consumer', 1), 5);
    assert.equal(store(state, 4, { mode: 'auto' }), 0);
    assert.equal(state.storedOffset('consumer', 1), 5);
  });

  it('of consumers and groups with the same number are two things', () => {
    const state = filled(10);
    store(state, 7);
    assert.equal(state.storedOffset('group', 1), null);
    state.apply(from(), {
      kind: 'storeOffsets',
      purge: 0,
      entries: [{ kind: 'group', id: 1, offset: 2, mode: 'auto' }],
    });
    assert.equal(state.storedOffset('consumer', 1), 7);
    assert.equal(state.lowestStoredOffset, 2);
  });

  it('lie below the end: an empty partition takes none', () => {
    assert.equal(store(new PartitionState(), 0), STATUS.invalidOffset);
    const state = filled(10);
    assert.equal(store(state, 10), STATUS.invalidOffset);
    assert.equal(store(state, 9), 0);
  });

  it('are limited in number, of each kind for itself, and known ones are not limited', () => {
    const state = filled(10);
    store(state, 1, { id: 1 });
    store(state, 1, { id: 2 });
    const limit = { offset: 1, offsetsMax: 2 };
    const { tooManyConsumerOffsets } = STATUS;
    assert.equal(
      state.refusalOfStore({ kind: 'consumer', id: 3, ...limit }),
      tooManyConsumerOffsets,
    );
    assert.equal(state.refusalOfStore({ kind: 'consumer', id: 2, ...limit }), 0);
    assert.equal(state.refusalOfStore({ kind: 'group', id: 3, ...limit }), 0);
    assert.equal(state.offsetsCount('consumer'), 2);
    assert.deepEqual([...state.offsetIds('consumer')], [1, 2]);
  });

  it('can be deleted once', () => {
    const state = filled(10);
    store(state, 1);
    const deletion: PartitionOp = {
      kind: 'deleteOffset',
      purge: 0,
      of: { kind: 'consumer', id: 1 },
    };
    assert.equal(state.apply(from(), deletion), 0);
    assert.equal(state.storedOffset('consumer', 1), null);
    assert.equal(state.lowestStoredOffset, null);
    assert.equal(state.apply(from(), deletion), STATUS.consumerOffsetNotFound);
  });

  it('of one op are stored each for itself', () => {
    const state = filled(10);
    const entries = [
      { kind: 'consumer', id: 1, offset: 3, mode: 'auto' },
      { kind: 'consumer', id: 2, offset: 99, mode: 'auto' },
      { kind: 'group', id: 2, offset: 4, mode: 'auto' },
    ] as const;
    const code = state.apply(from(), { kind: 'storeOffsets', purge: 0, entries });
    assert.equal(code, STATUS.invalidOffset);
    assert.equal(state.storedOffset('consumer', 1), 3);
    assert.equal(state.storedOffset('consumer', 2), null);
    assert.equal(state.storedOffset('group', 2), 4);
  });
});

describe('A purge', () => {
  it('empties the partition and forgets every stored offset', () => {
    const state = filled(10);
    store(state, 4);
    state.trimTo(5);
    state.apply(from(), { kind: 'purge', purge: 77 });
    assert.deepEqual([state.firstOffset, state.nextOffset, state.purge], [0, 0, 77]);
    assert.equal(state.storedOffset('consumer', 1), null);
    state.appended(from(), 0, 3);
    assert.equal(state.nextOffset, 3);
  });

  it('takes the meaning from stores, deletions and trims that waited behind it', () => {
    const state = filled(10);
    state.apply(from(), { kind: 'purge', purge: 77 });
    state.appended(from(), 0, 10);
    assert.equal(store(state, 4, { purge: 0 }), STATUS.invalidOffset);
    state.apply(from(), { kind: 'trimTo', purge: 0, offset: 8 });
    assert.equal(state.firstOffset, 0);
    store(state, 4);
    const of = { kind: 'consumer', id: 1 } as const;
    const code = state.apply(from(), { kind: 'deleteOffset', purge: 0, of });
    assert.equal(code, STATUS.consumerOffsetNotFound);
    assert.equal(state.storedOffset('consumer', 1), 4);
  });

  it('happens once per counter', () => {
    const state = filled(10);
    state.apply(from(), { kind: 'purge', purge: 77 });
    state.appended(from(), 0, 10);
    state.apply(from(), { kind: 'purge', purge: 77 });
    state.apply(from(), { kind: 'purge', purge: 76 });
    assert.deepEqual([state.nextOffset, state.purge], [10, 77]);
  });

  it('keeps the producers, so that what was sent before is still a repeat', () => {
    const state = new PartitionState();
    state.appended(from(sender(1, 1)), 0, 10);
    state.apply(from(), { kind: 'purge', purge: 77 });
    assert.deepEqual(state.findRepeat(sender(1, 1)), { kind: 'repeat', baseOffset: 0 });
  });
});

describe('A trim', () => {
  it('moves the first offset up, never down and never past the end', () => {
    const state = filled(10);
    state.apply(from(), { kind: 'trimTo', purge: 0, offset: 4 });
    state.trimTo(2);
    assert.equal(state.firstOffset, 4);
    state.trimTo(99);
    assert.equal(state.firstOffset, 10);
    state.checkInvariants();
  });
});

describe('A repeat', () => {
  it('has the number and the checksum of a committed request, and gets its offset', () => {
    const state = filled(10);
    state.appended(from(sender(1, 1)), 10, 5);
    state.appended(from(sender(1, 2)), 15, 5);
    assert.deepEqual(state.findRepeat(sender(1, 1)), { kind: 'repeat', baseOffset: 10 });
    assert.deepEqual(state.findRepeat(sender(1, 2)), { kind: 'repeat', baseOffset: 15 });
    assert.deepEqual(state.findRepeat(sender(1, 3)), { kind: 'new' });
    assert.deepEqual(state.findRepeat(sender(2, 1)), { kind: 'new' });
  });

  it('is never told by the number alone: some clients send many batches under one', () => {
    const state = new PartitionState();
    state.appended(from(sender(1, 1, 7)), 0, 5);
    assert.deepEqual(state.findRepeat(sender(1, 1, 8)), { kind: 'new' });
    assert.deepEqual(state.findRepeat({ ...sender(1, 1), checksumHigh: 2 }), { kind: 'new' });
    state.appended(from(sender(1, 1, 8)), 5, 5);
    assert.deepEqual(state.findRepeat(sender(1, 1, 7)), { kind: 'repeat', baseOffset: 0 });
    assert.deepEqual(state.findRepeat(sender(1, 1, 8)), { kind: 'repeat', baseOffset: 5 });
  });

  it('needs a stamp, a client and a number', () => {
    const state = new PartitionState();
    const unstamped = { ...sender(1, 1), checksumLow: 0, checksumHigh: 0 };
    state.appended(from(unstamped), 0, 5);
    assert.deepEqual(state.findRepeat(unstamped), { kind: 'new' });
    assert.deepEqual(state.findRepeat({ ...sender(1, 1), client: null }), { kind: 'new' });
    state.appended(from(sender(1, 0)), 5, 5);
    assert.deepEqual(state.findRepeat(sender(1, 0)), { kind: 'new' });
  });

  it('may come from a later session; an earlier one has been replaced', () => {
    const state = new PartitionState();
    state.appended(from(sender(1, 1)), 0, 5);
    const later = { ...sender(1, 1), session: 6 };
    assert.deepEqual(state.findRepeat(later), { kind: 'repeat', baseOffset: 0 });
    state.appended(from({ ...later, request: 2 }), 5, 5);
    assert.deepEqual(state.findRepeat(sender(1, 1)), { kind: 'oldSession' });
    assert.deepEqual(state.findRepeat(sender(1, 9)), { kind: 'oldSession' });
  });

  it('of an offset write has no offset to tell, and refused ones are not kept', () => {
    const state = filled(10);
    const write = (offset: number, request: number): number =>
      state.apply(from(sender(1, request)), {
        kind: 'storeOffsets',
        purge: 0,
        entries: [{ kind: 'consumer', id: 1, offset, mode: 'explicit' }],
      });
    assert.equal(write(3, 1), 0);
    assert.equal(write(30, 2), STATUS.invalidOffset);
    assert.deepEqual(state.findRepeat(sender(1, 1)), { kind: 'repeat', baseOffset: null });
    assert.deepEqual(state.findRepeat(sender(1, 2)), { kind: 'new' });
    const of = { kind: 'consumer', id: 1 } as const;
    state.apply(from(sender(1, 3)), { kind: 'deleteOffset', purge: 0, of });
    assert.deepEqual(state.findRepeat(sender(1, 3)), { kind: 'repeat', baseOffset: null });
  });

  it('is known among the last 16 of its client', () => {
    const state = new PartitionState();
    for (let n = 0; n <= KEPT_MAX; n += 1) state.appended(from(sender(1, n + 1)), n, 1);
    assert.deepEqual(state.findRepeat(sender(1, 1)), { kind: 'new' });
    assert.deepEqual(state.findRepeat(sender(1, 2)), { kind: 'repeat', baseOffset: 1 });
  });

  it('is forgotten with the client that committed longest ago when there are too many', () => {
    const state = new PartitionState();
    for (let n = 1; n <= PRODUCERS_MAX; n += 1) state.appended(from(sender(n, 1)), n, 1);
    state.appended(from(sender(1, 2)), PRODUCERS_MAX + 1, 1);
    state.appended(from(sender(PRODUCERS_MAX + 1, 1)), PRODUCERS_MAX + 2, 1);
    assert.equal(state.findRepeat(sender(1, 1)).kind, 'repeat');
    assert.equal(state.findRepeat(sender(2, 1)).kind, 'new');
    assert.equal(state.findRepeat(sender(3, 1)).kind, 'repeat');
    state.checkInvariants();
  });
});

type Step =
  | { readonly do: 'append'; readonly n: number; readonly request: number; readonly count: number }
  | {
      readonly do: 'apply';
      readonly n: number;
      readonly request: number;
      readonly op: PartitionOp;
    };

const purge = fc.constantFrom(0, 0, 0, 3, 5);
const kind = fc.constantFrom('consumer' as const, 'group' as const);
const id = fc.nat({ max: 3 });
const entry = fc.record({
  kind,
  id,
  offset: fc.nat({ max: 30 }),
  mode: fc.constantFrom('explicit' as const, 'auto' as const),
});
const who = { n: fc.nat({ max: 3 }), request: fc.nat({ max: 5 }) };
const append = fc.record({
  do: fc.constant('append' as const),
  ...who,
  count: fc.integer({ min: 1, max: 5 }),
});
const partitionOp: fc.Arbitrary<PartitionOp> = fc.oneof(
  fc.record({
    kind: fc.constant('storeOffsets' as const),
    purge,
    entries: fc.array(entry, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('deleteOffset' as const), purge, of: fc.record({ kind, id }) }),
  fc.record({ kind: fc.constant('trimTo' as const), purge, offset: fc.nat({ max: 30 }) }),
  fc.record({ kind: fc.constant('purge' as const), purge }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  append,
  fc.record({ do: fc.constant('apply' as const), ...who, op: partitionOp }),
);

function take(state: PartitionState, next: Step, opNumber: number): number | string {
  const { n, request } = next;
  const origin = { ...sender(n, request), op: opNumber, timestampUs: opNumber };
  const repeat = JSON.stringify(state.findRepeat(origin));
  if (next.do === 'apply') return `${state.apply(origin, next.op)} ${repeat}`;
  state.appended(n === 0 ? { ...origin, client: null } : origin, state.nextOffset, next.count);
  return repeat;
}

describe('Any history of a partition', () => {
  it('keeps its invariants, and gives the same snapshot when it is replayed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const [one, two] = [new PartitionState(), new PartitionState()];
        for (const [at, next] of steps.entries()) {
          take(one, next, at + 1);
          one.checkInvariants();
        }
        for (const [at, next] of steps.entries()) take(two, next, at + 1);
        assert.deepEqual(two.snapshot(), one.snapshot());
      }),
    );
  });

  it('goes on from a snapshot as if nothing had happened', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat({ max: 60 }), (steps, cut) => {
        const original = new PartitionState();
        for (const [at, next] of steps.slice(0, cut).entries()) take(original, next, at + 1);
        const copy = filled(3);
        copy.restore(original.snapshot());
        assert.deepEqual(copy.snapshot(), original.snapshot());
        for (const [at, next] of steps.slice(cut).entries()) {
          assert.equal(take(copy, next, cut + at + 1), take(original, next, cut + at + 1));
        }
        assert.deepEqual(copy.snapshot(), original.snapshot());
      }),
    );
  });

  it('leaves no trace of the order in which consumers came', () => {
    const came = (...ids: number[]): Uint8Array => {
      const state = filled(10);
      for (const id of ids) store(state, 1, { id });
      return state.snapshot();
    };
    assert.deepEqual(came(1, 2, 3), came(3, 1, 2));
  });

  it('asserts on a snapshot that is cut, too long or of another format', () => {
    const state = filled(3);
    store(state, 1);
    state.appended(from(sender(1, 1)), 3, 1);
    const bytes = state.snapshot();
    const fresh = new PartitionState();
    for (let end = 0; end < bytes.length; end += 1) {
      assert.throws(() => fresh.restore(bytes.subarray(0, end)), assert.AssertionError);
    }
    assert.throws(() => fresh.restore(Uint8Array.of(...bytes, 0)), assert.AssertionError);
    assert.throws(() => fresh.restore(Uint8Array.of(9, ...bytes.slice(1))), assert.AssertionError);
  });

  it('never takes a batch below its end', () => {
    const state = filled(3);
    assert.throws(() => state.appended(from(), 2, 1), assert.AssertionError);
    assert.throws(() => state.appended(from(), 3, 0), assert.AssertionError);
  });
});
