import assert from 'node:assert/strict';
import type { GlobalPermissions, Permissions } from '@iggy-ts/wire/commands/values';
import fc from 'fast-check';
import { decodeMetadataOp, encodeMetadataOp, type MetadataOp } from './metadata-op.ts';
import { MetadataState } from './metadata-state.ts';
import type { Origin, Outcome } from './outcome.ts';
import { ROOT_PERMISSIONS } from './permissions.ts';
import { byId, byName, clientOf, DEFAULTS, replay, Scribe } from './scribe.ts';
import { resolveTopicOptions, resolveTopicUpdate } from './topic-options.ts';
import { decodeValue } from './value-codec.ts';

// Random ops over a handful of names, ids, users and clients, so that they meet. What they do is
// not predicted; it has to keep the invariants, be the same everywhere and survive snapshots.

const NAMES = ['ants', 'bees', 'cats', 'dogs'];
const name = fc.constantFrom(...NAMES);
const smallId = fc.nat({ max: 2 });
const identifier = fc.oneof(smallId.map(byId), name.map(byName));
const client = fc.integer({ min: 1, max: 4 }).map(clientOf);
const caller = fc.constantFrom(null, 0, 0, 0, 1, 2);
const inFlight = fc.uniqueArray(fc.nat({ max: 5 }), { maxLength: 6 });
const hash = fc.constantFrom('h1', 'h2', 'h3');
const status = fc.constantFrom('active' as const, 'active' as const, 'inactive' as const);

const global = fc
  .subarray(Object.keys(ROOT_PERMISSIONS.global), { maxLength: 3 })
  .map(
    (flags) =>
      Object.fromEntries(
        Object.keys(ROOT_PERMISSIONS.global).map((flag) => [flag, flags.includes(flag)]),
      ) as unknown as GlobalPermissions,
  );
const topicRights = { manageTopic: false, readTopic: true, pollMessages: true, sendMessages: true };
const streamRights = fc.uniqueArray(smallId, { maxLength: 3 }).map((topics) => ({
  manageStream: false,
  readStream: false,
  manageTopics: true,
  readTopics: false,
  pollMessages: false,
  sendMessages: false,
  topics: topics.length === 0 ? null : new Map(topics.map((id) => [id, topicRights])),
}));
const permissions: fc.Arbitrary<Permissions | null> = fc.option(
  fc.tuple(global, fc.uniqueArray(smallId, { maxLength: 2 }), streamRights).map(
    ([flags, streams, rights]): Permissions => ({
      global: flags,
      streams: streams.length === 0 ? null : new Map(streams.map((id) => [id, rights])),
    }),
  ),
);

const { explicit, derived } = resolveTopicOptions([], DEFAULTS, 1);
const day = { key: 'message_expiry', kind: 2, value: new TextEncoder().encode('1 day') };
const { options: dayOptions } = resolveTopicUpdate([day], DEFAULTS);

/** Ops that need a number of fresh uuids get them when they are applied. */
type Draft = MetadataOp & { readonly uuidsCount?: number };

function draft<K extends MetadataOp['kind']>(
  kind: K,
  fields: { readonly [key: string]: fc.Arbitrary<unknown> },
): fc.Arbitrary<Draft> {
  const record = fc.record(
    { kind: fc.constant(kind), caller, ...fields },
    { noNullPrototype: true },
  );
  return record as unknown as fc.Arbitrary<Draft>;
}

const inTopic = { streamId: identifier, topicId: identifier };
const inGroup = { ...inTopic, groupId: identifier };
const uuidsCount = fc.nat({ max: 4 });
const drafts: fc.Arbitrary<Draft> = fc.oneof(
  draft('register', {
    client,
    userId: smallId,
    evict: fc.option(client, { freq: 8 }),
    version: fc.constant(null),
  }),
  draft('logout', { client, session: fc.nat({ max: 40 }) }),
  draft('endMemberships', {}),
  draft('createStream', { name }),
  draft('createStream', { name }),
  draft('updateStream', { streamId: identifier, name }),
  draft('deleteStream', { streamId: identifier }),
  draft('purgeStream', { streamId: identifier }),
  ...[1, 2, 3].map(() =>
    draft('createTopic', {
      streamId: identifier,
      name,
      explicit: fc.constant(explicit),
      derived: fc.constant(derived),
      uuidsCount,
    }),
  ),
  draft('updateTopic', { ...inTopic, name, options: fc.constantFrom([], dayOptions) }),
  draft('deleteTopic', inTopic),
  draft('purgeTopic', inTopic),
  draft('createPartitions', { ...inTopic, uuidsCount }),
  draft('deletePartitions', { ...inTopic, partitionsCount: fc.nat({ max: 3 }) }),
  ...[1, 2, 3].map(() => draft('createConsumerGroup', { ...inTopic, name })),
  draft('deleteConsumerGroup', inGroup),
  ...[1, 2, 3, 4, 5, 6].map(() => draft('joinConsumerGroup', { ...inGroup, client, inFlight })),
  draft('leaveConsumerGroup', { ...inGroup, client }),
  draft('createUser', { username: name, passwordHash: hash, status, permissions }),
  draft('deleteUser', { userId: identifier }),
  draft('updateUser', { userId: identifier, username: fc.option(name), status: fc.option(status) }),
  draft('updatePermissions', { userId: identifier, permissions }),
  draft('changePassword', { userId: identifier, currentHash: hash, passwordHash: hash }),
  draft('createToken', {
    userId: smallId,
    name,
    tokenHash: hash,
    expiryAtUs: fc.option(fc.constant(Scribe.timeUs(20))),
  }),
  draft('deleteToken', { userId: smallId, name }),
  draft('cleanTokens', {}),
);

interface Step {
  readonly draft: Draft;
  /** From which client, with which number; the epoch is looked up, sometimes a wrong one. */
  readonly sender: {
    readonly client: string;
    readonly request: number;
    readonly off: number;
  } | null;
}
const sender = fc.record({
  client,
  request: fc.nat({ max: 30 }),
  off: fc.constantFrom(0, 0, 0, 0, 0, -1, 1),
});
const step: fc.Arbitrary<Step> = fc.record({ draft: drafts, sender: fc.option(sender) });
const steps = fc.array(step, { maxLength: 60, size: 'max' });

/** The world the random ops start from: something of everything. */
function begin(): Scribe {
  const scribe = Scribe.start();
  scribe.topic(scribe.stream('ants'), 'bees', 3);
  scribe.group(0, 0, 'cats');
  scribe.user('dogs');
  scribe.login(clientOf(1), 0);
  scribe.login(clientOf(2), 1);
  return scribe;
}

function take(scribe: Scribe, { draft: drafted, sender: from }: Step): Outcome {
  const { uuidsCount: count, ...rest } = drafted;
  const uuids = count === undefined ? {} : { uuids: scribe.uuids(count) };
  const op = { ...rest, ...uuids } as MetadataOp;
  if (from === null) return scribe.apply(op);
  const session = (scribe.state.findSession(from.client)?.epoch ?? 1) + from.off;
  return scribe.apply(op, { client: from.client, session, request: from.request });
}

/** Everything a state holds but the place in the log. */
function content(state: MetadataState): unknown {
  const snapshot = decodeValue(state.snapshot()) as { readonly [key: string]: unknown };
  return { ...snapshot, opLast: 0, timestampUs: 0 };
}

/** Completes what is pending, as the server would. */
function completeAll(scribe: Scribe): void {
  for (const { streamId, topicId, id, assignment } of scribe.state.groupsPending()) {
    const revocations = [...assignment.pending.values()];
    const ids = { streamId, topicId, groupId: id };
    scribe.ok({ kind: 'completeRevocations', caller: null, ...ids, revocations, inFlight: [] });
  }
}

describe('Any history of the metadata', () => {
  it('keeps the invariants after every op', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const scribe = begin();
        for (const next of all) {
          const { code, reply, eviction } = take(scribe, next);
          if (code !== 0 || eviction !== 0) assert.equal(reply, null);
          scribe.state.checkInvariants();
        }
        completeAll(scribe);
        scribe.state.checkInvariants();
      }),
    );
  });

  it('gives the same outcomes and the same bytes when it is replayed from its log', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const scribe = begin();
        for (const next of all) take(scribe, next);
        completeAll(scribe);
        assert.deepEqual(replay(scribe.lines).snapshot(), scribe.state.snapshot());
      }),
    );
  });

  it('goes on from a snapshot at any point as if nothing had happened', () => {
    fc.assert(
      fc.property(steps, fc.nat({ max: 60 }), (all, cut) => {
        const scribe = begin();
        for (const next of all.slice(0, cut)) take(scribe, next);
        const copy = new MetadataState();
        copy.restore(scribe.state.snapshot());
        assert.deepEqual(copy.snapshot(), scribe.state.snapshot());
        for (const next of all.slice(cut)) {
          const outcome = take(scribe, next);
          const { origin, body } = scribe.lines.at(-1)!;
          assert.deepEqual(copy.apply(origin, decodeMetadataOp(body)), outcome);
        }
        assert.deepEqual(copy.snapshot(), scribe.state.snapshot());
      }),
    );
  });

  it('executes nothing twice, whatever is sent again', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const scribe = begin();
        for (const next of all) take(scribe, next);
        const before = content(scribe.state);
        const sent = scribe.lines.filter(
          ({ origin }) => origin.client !== null && origin.request > 0,
        );
        for (const { origin, body } of sent) {
          const { client: from, session, request } = origin;
          const op = decodeMetadataOp(body);
          if (op.kind === 'logout' || op.kind === 'register') continue;
          if (request > (scribe.state.findSession(from!)?.watermark ?? 0)) continue;
          const outcome = scribe.apply(op, { client: from!, session, request });
          assert.deepEqual(outcome.changes, []);
        }
        assert.deepEqual(content(scribe.state), before);
      }),
    );
  });
});

describe('Ops of the metadata', () => {
  it('come back from the log as they were', () => {
    fc.assert(
      fc.property(drafts, (op) => {
        assert.deepEqual(decodeMetadataOp(encodeMetadataOp(op)), op);
      }),
    );
  });

  it('are asserted to be whole and of a known format', () => {
    const bytes = encodeMetadataOp({ kind: 'createStream', caller: 0, name: 'orders' });
    for (let end = 0; end < bytes.length; end += 1) {
      assert.throws(() => decodeMetadataOp(bytes.subarray(0, end)), assert.AssertionError);
    }
    const other = Uint8Array.of(2, ...bytes.slice(1));
    assert.throws(() => decodeMetadataOp(other), assert.AssertionError);
  });

  it('come in the order of their numbers and of time', () => {
    const { state } = Scribe.start();
    const origin: Origin = {
      op: 2,
      timestampUs: Scribe.timeUs(2),
      client: null,
      session: 0,
      request: 0,
      checksumLow: 0,
      checksumHigh: 0,
    };
    const op: MetadataOp = { kind: 'cleanTokens', caller: null };
    assert.throws(() => state.apply({ ...origin, op: 1 }, op), assert.AssertionError);
    assert.throws(() => state.apply({ ...origin, timestampUs: 1 }, op), assert.AssertionError);
    state.apply(origin, op);
    assert.equal(state.opLast, 2);
    assert.equal(state.timestampUs, Scribe.timeUs(2));
    const unknown = { kind: 'fly', caller: null } as unknown as MetadataOp;
    assert.throws(() => state.apply({ ...origin, op: 3 }, unknown), assert.AssertionError);
  });
});

describe('A snapshot of the metadata', () => {
  it('of nothing is nothing', () => {
    const state = new MetadataState();
    state.restore(new MetadataState().snapshot());
    assert.deepEqual(state.counts(), {
      streams: 0,
      topics: 0,
      partitions: 0,
      groups: 0,
      users: 0,
      sessions: 0,
    });
    assert.equal(state.opLast, 0);
  });

  it('keeps what cannot be told from the things that are there', () => {
    const scribe = begin();
    scribe.group(0, 0, 'dogs');
    const topic = { streamId: byId(0), topicId: byId(0) };
    scribe.ok({ kind: 'deleteConsumerGroup', caller: 0, ...topic, groupId: byName('dogs') });
    const copy = new MetadataState();
    copy.restore(scribe.state.snapshot());
    scribe.group(0, 0, 'dogs');
    const { origin, body } = scribe.lines.at(-1)!;
    copy.apply(origin, decodeMetadataOp(body));
    assert.equal(copy.findGroup({ streamId: 0, id: 0 }, byName('dogs'))?.id, 2);
  });

  it('does not tell in which order things came that have no order', () => {
    const made = (...names: string[]): Uint8Array => {
      const scribe = begin();
      const token = { kind: 'createToken', caller: 0, userId: 0, expiryAtUs: null } as const;
      for (const each of names) scribe.ok({ ...token, name: each, tokenHash: `hash of ${each}` });
      return scribe.state.snapshot();
    };
    assert.deepEqual(made('ants', 'bees'), made('bees', 'ants'));
  });

  it('does not hold the thousand partitions of an answer that is kept', () => {
    const scribe = begin();
    const session = scribe.state.findSession(clientOf(1))!.epoch;
    const from = { client: clientOf(1), session, request: 1 };
    scribe.apply(scribe.topicOp(0, 'dogs', 1000), from);
    const text = new TextDecoder().decode(scribe.state.snapshot());
    assert(text.includes('"createTopic"'));
    assert(!text.includes('currentOffset'));
  });

  it('is asserted to be whole and of a known format', () => {
    const bytes = begin().state.snapshot();
    const fresh = new MetadataState();
    for (let end = 0; end < bytes.length; end += 97) {
      assert.throws(() => fresh.restore(bytes.subarray(0, end)), assert.AssertionError);
    }
    const text = new TextDecoder().decode(bytes).replace('"format":1', '"format":2');
    const other = new TextEncoder().encode(text);
    assert.throws(() => fresh.restore(other), assert.AssertionError);
  });
});
