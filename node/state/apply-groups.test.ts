import assert from 'node:assert/strict';
import { STATUS } from '@iggy-ts/wire/status';
import { EVICTION } from './outcome.ts';
import { byId, byName, clientOf, Scribe } from './scribe.ts';

const OF = { caller: 0, streamId: byId(0), topicId: byId(0) } as const;
const GROUP = { ...OF, groupId: byName('readers') } as const;
const [ONE, TWO] = [clientOf(1), clientOf(2)];

function withGroup(partitionsCount: number): Scribe {
  const scribe = Scribe.start();
  scribe.topic(scribe.stream('orders'), 'events', partitionsCount);
  scribe.group(0, 0, 'readers');
  scribe.login(ONE, 0);
  scribe.login(TWO, 0);
  return scribe;
}
function assignment(scribe: Scribe) {
  return scribe.state.findGroup({ streamId: 0, id: 0 }, byName('readers'))!.assignment;
}
function join(scribe: Scribe, client: string, inFlight: number[] = []) {
  return scribe.apply({ ...GROUP, kind: 'joinConsumerGroup', client, inFlight });
}

describe('Consumer groups', () => {
  it('get ids that grow and are never given again', () => {
    const scribe = withGroup(2);
    const create = { ...OF, kind: 'createConsumerGroup' } as const;
    const { reply } = scribe.ok({ ...create, name: 'writers' });
    const expected = { id: 1, partitionsCount: 2, membersCount: 0, name: 'writers', members: [] };
    assert.deepEqual(reply, expected);
    scribe.ok({ ...OF, kind: 'deleteConsumerGroup', groupId: byId(1) });
    assert.equal(scribe.group(0, 0, 'writers'), 2);
    const again = scribe.code({ ...create, name: 'readers' });
    assert.equal(again, STATUS.consumerGroupNameAlreadyExists);
    assert.equal(scribe.state.groups({ streamId: 0, id: 0 }).length, 2);
  });

  it('share the partitions of the topic among the sessions that joined', () => {
    const scribe = withGroup(4);
    assert.equal(join(scribe, ONE).code, 0);
    assert.equal(join(scribe, TWO).code, 0);
    assert.equal(join(scribe, TWO).code, 0);
    assert.deepEqual(assignment(scribe).pollableBy(ONE), [0, 1]);
    assert.deepEqual(assignment(scribe).pollableBy(TWO), [3, 2]);
    assert.equal(assignment(scribe).generation, 2);
    const memberships = scribe.state.memberships(ONE).map(({ id }) => id);
    assert.deepEqual(memberships, [0]);
    scribe.state.checkInvariants();
  });

  it('are left by members only', () => {
    const scribe = withGroup(4);
    join(scribe, ONE);
    const leave = { ...GROUP, kind: 'leaveConsumerGroup' } as const;
    assert.equal(scribe.code({ ...leave, client: TWO }), STATUS.consumerGroupMemberNotFound);
    assert.equal(scribe.code({ ...leave, client: ONE }), 0);
    assert.equal(scribe.code({ ...leave, client: ONE }), STATUS.consumerGroupMemberNotFound);
    assert.deepEqual(scribe.state.memberships(ONE), []);
  });

  it('are not joined by a client without a session', () => {
    const scribe = withGroup(4);
    assert.equal(join(scribe, clientOf(9)).eviction, EVICTION.noSession);
    assert.equal(assignment(scribe).membersCount, 0);
  });

  it('that do not exist are not found, whatever is missing', () => {
    const scribe = withGroup(1);
    const caller = scribe.user('nobody');
    const kinds = ['deleteConsumerGroup', 'joinConsumerGroup', 'leaveConsumerGroup'] as const;
    for (const kind of kinds) {
      const op = { ...GROUP, kind, caller, client: ONE, inFlight: [] };
      assert.equal(scribe.code({ ...op, streamId: byId(9) }), STATUS.streamIdNotFound);
      assert.equal(scribe.code({ ...op, topicId: byId(9) }), STATUS.topicIdNotFound);
      // Who may not see the topic learns nothing of its groups.
      assert.equal(scribe.code({ ...op, groupId: byId(9) }), STATUS.unauthorized);
      assert.equal(scribe.code(op), STATUS.unauthorized);
      const missing = scribe.code({ ...op, caller: 0, groupId: byId(9) });
      assert.equal(missing, STATUS.consumerGroupIdNotFound);
    }
    const create = { ...OF, kind: 'createConsumerGroup', caller, name: 'x' } as const;
    assert.equal(scribe.code(create), STATUS.unauthorized);
  });

  it('let go of their members and their offsets when they are deleted', () => {
    const scribe = withGroup(2);
    join(scribe, ONE);
    const { changes } = scribe.ok({ ...GROUP, kind: 'deleteConsumerGroup' });
    const uuids = [...scribe.state.partitions()].map(({ partition }) => partition.uuid);
    assert.deepEqual(changes, [{ kind: 'groupDeleted', uuids, groupId: 0 }]);
    assert.deepEqual(scribe.state.memberships(ONE), []);
    scribe.state.checkInvariants();
  });

  it('are listed while a partition waits to change hands, until that is complete', () => {
    const scribe = withGroup(2);
    join(scribe, ONE);
    join(scribe, TWO, [1]);
    const sinceOp = scribe.opNext - 1;
    const [pending] = scribe.state.groupsPending();
    assert.equal(pending?.name, 'readers');
    assert.equal(scribe.state.topicOf(pending)?.name, 'events');
    assert.deepEqual(pending.assignment.pending.get(1), {
      partitionId: 1,
      source: 0,
      target: 1,
      sinceOp,
      sinceUs: Scribe.timeUs(sinceOp),
    });
    const complete = {
      kind: 'completeRevocations',
      caller: null,
      streamId: 0,
      topicId: 0,
      groupId: 0,
      inFlight: [],
    } as const;
    scribe.ok({ ...complete, groupId: 5, revocations: [{ partitionId: 1, sinceOp }] });
    scribe.ok({ ...complete, topicId: 5, revocations: [{ partitionId: 1, sinceOp }] });
    scribe.ok({ ...complete, revocations: [{ partitionId: 1, sinceOp: 1 }] });
    assert.equal(scribe.state.groupsPending().length, 1);
    scribe.ok({ ...complete, revocations: [{ partitionId: 1, sinceOp }] });
    assert.equal(scribe.state.groupsPending().length, 0);
    assert.deepEqual(assignment(scribe).pollableBy(TWO), [1]);
  });

  it('lose a member with its session, and share its partitions at once', () => {
    const scribe = withGroup(3);
    join(scribe, ONE);
    join(scribe, TWO, [0, 1, 2]);
    const session = scribe.state.findSession(ONE)!.epoch;
    scribe.ok({ kind: 'logout', caller: null, client: ONE, session });
    assert.deepEqual(assignment(scribe).pollableBy(TWO), [0, 1, 2]);
    assert.equal(scribe.state.groupsPending().length, 0);
    scribe.state.checkInvariants();
  });

  it('have no member after a start of the server, and keep counting generations', () => {
    const scribe = withGroup(2);
    join(scribe, ONE);
    join(scribe, TWO, [1]);
    const { generation } = assignment(scribe);
    scribe.ok({ kind: 'endMemberships', caller: null });
    assert.equal(assignment(scribe).membersCount, 0);
    assert.equal(assignment(scribe).generation, generation + 1);
    assert.deepEqual(scribe.state.memberships(TWO), []);
    assert.equal(scribe.state.counts().sessions, 2);
    scribe.state.checkInvariants();
  });
});
