import assert from 'node:assert/strict';
import type { TopicDetailsReply } from '@iggy-ts/wire/commands/replies';
import { STATUS } from '@iggy-ts/wire/status';
import { createStream } from './apply-streams.ts';
import {
  createPartitions,
  createTopic,
  PARTITIONS_PER_REQUEST_MAX,
  PARTITIONS_PER_TOPIC_MAX,
  TOPICS_PER_STREAM_MAX,
} from './apply-topics.ts';
import { Tables } from './metadata-tables.ts';
import { byId, byName, clientOf, DEFAULTS, Scribe } from './scribe.ts';
import { resolveTopicOptions, resolveTopicUpdate } from './topic-options.ts';

const MIB = 1024 ** 2;

function text(key: string, value: string) {
  return { key, kind: 2, value: new TextEncoder().encode(value) };
}
function withTopic(partitionsCount: number): Scribe {
  const scribe = Scribe.start();
  scribe.topic(scribe.stream('orders'), 'events', partitionsCount);
  return scribe;
}
const OF = { caller: 0, streamId: byId(0), topicId: byId(0) } as const;

describe('Topics', () => {
  it('are answered with their partitions and both blocks of options', () => {
    const scribe = Scribe.start();
    scribe.stream('orders');
    const options = [text('segment_size', '2 MiB'), text('max_topic_size', '1 GiB')];
    const { explicit, derived, settings } = resolveTopicOptions(options, DEFAULTS, 2);
    const uuids = scribe.uuids(2);
    const outcome = scribe.ok({ ...scribe.topicOp(0, 'events', 0), explicit, derived, uuids });
    const reply = outcome.reply as TopicDetailsReply;
    const { explicitOptions, derivedOptions, partitions, ...rest } = reply;
    assert.deepEqual(explicitOptions, explicit);
    assert.deepEqual(derivedOptions, derived);
    assert.deepEqual(rest, {
      id: 0,
      createdAtUs: Scribe.timeUs(3),
      partitionsCount: 2,
      messageExpiryUs: Number.POSITIVE_INFINITY,
      compression: 'none',
      maxTopicSizeBytes: 1024 * MIB,
      sizeBytes: 0,
      messagesCount: 0,
      name: 'events',
    });
    assert.deepEqual(partitions[1], {
      id: 1,
      createdAtUs: Scribe.timeUs(3),
      segmentsCount: 1,
      currentOffset: 0,
      sizeBytes: 0,
      messagesCount: 0,
    });
    assert.deepEqual(outcome.changes, [{ kind: 'partitionsCreated', uuids, settings }]);
    assert.equal(scribe.state.findPartition(uuids[1]!)?.partition.id, 1);
    assert.equal(scribe.state.findPartition(uuids[1]!)?.topic.name, 'events');
  });

  it('have names and ids of their own within their stream', () => {
    const scribe = withTopic(1);
    const other = scribe.stream('bills');
    assert.equal(scribe.topic(other, 'events', 1), 0);
    const taken = scribe.code(scribe.topicOp(0, 'events', 1));
    assert.equal(taken, STATUS.topicNameAlreadyExists);
    assert.equal(scribe.code(scribe.topicOp(9, 'events', 1)), STATUS.streamIdNotFound);
    assert.equal(scribe.topic(0, 'b', 1), 1);
    scribe.ok({ ...OF, kind: 'deleteTopic' });
    assert.equal(scribe.topic(0, 'c', 1), 0);
    scribe.state.checkInvariants();
  });

  it('may have no partition, a thousand at once, and not more', () => {
    const scribe = withTopic(0);
    assert.equal(scribe.code(scribe.topicOp(0, 'many', PARTITIONS_PER_REQUEST_MAX)), 0);
    const more = scribe.topicOp(0, 'more', PARTITIONS_PER_REQUEST_MAX + 1);
    assert.equal(scribe.code(more), STATUS.tooManyPartitions);
    assert.equal(scribe.state.counts().partitions, 1000);
  });

  it('are 4096 in a stream and not more', () => {
    const scribe = withTopic(0);
    for (let n = 1; n < TOPICS_PER_STREAM_MAX; n += 1) scribe.topic(0, `t${n}`, 0);
    assert.equal(scribe.code(scribe.topicOp(0, 'more', 0)), STATUS.tooManyTopics);
    assert.equal(scribe.code(scribe.topicOp(0, 't1', 0)), STATUS.topicNameAlreadyExists);
  });

  it('are renamed without touching a setting', () => {
    const scribe = withTopic(1);
    const before = { ...scribe.state.findTopic(0, byId(0))! };
    const update = { ...OF, kind: 'updateTopic', options: [] } as const;
    assert.deepEqual(scribe.ok({ ...update, name: 'facts' }).changes, []);
    const after = scribe.state.findTopic(0, byName('facts'))!;
    assert.deepEqual({ ...after }, { ...before, name: 'facts' });
    scribe.topic(0, 'b', 1);
    assert.equal(scribe.code({ ...update, name: 'b' }), STATUS.topicNameAlreadyExists);
    assert.equal(scribe.code({ ...update, name: 'facts' }), 0);
  });

  it('take new values of the options that may change', () => {
    const scribe = withTopic(2);
    const { options } = resolveTopicUpdate([text('message_expiry', '1 day')], DEFAULTS);
    const { changes } = scribe.ok({ ...OF, kind: 'updateTopic', name: 'events', options });
    const topic = scribe.state.findTopic(0, byId(0))!;
    assert.equal(topic.settings.messageExpiryUs, 86_400_000_000);
    assert.deepEqual(topic.explicit, options);
    assert(!topic.derived.some(({ key }) => key === 'message_expiry'));
    const uuids = topic.partitions.map(({ uuid }) => uuid);
    assert.deepEqual(changes, [{ kind: 'topicUpdated', uuids, settings: topic.settings }]);
  });

  it('refuse a size below their segments, and stay as they were', () => {
    const scribe = withTopic(1);
    const { options } = resolveTopicUpdate([text('max_topic_size', '5 MiB')], null);
    const code = scribe.code({ ...OF, kind: 'updateTopic', name: 'new', options });
    assert.equal(code, STATUS.invalidTopicSize);
    const topic = scribe.state.findTopic(0, byId(0))!;
    assert.equal(topic.name, 'events');
    assert.deepEqual(topic.settings, DEFAULTS);
  });

  it('that do not exist are not found before anybody asks for the right to them', () => {
    const scribe = withTopic(1);
    const caller = scribe.user('nobody');
    for (const kind of ['deleteTopic', 'purgeTopic'] as const) {
      assert.equal(
        scribe.code({ ...OF, kind, caller, streamId: byId(9) }),
        STATUS.streamIdNotFound,
      );
      assert.equal(scribe.code({ ...OF, kind, caller, topicId: byId(9) }), STATUS.topicIdNotFound);
      assert.equal(scribe.code({ ...OF, kind, caller }), STATUS.unauthorized);
    }
    const create = { ...scribe.topicOp(0, 'x', 1), caller };
    assert.equal(scribe.code(create), STATUS.unauthorized);
  });
});

describe('Partitions', () => {
  it('are added behind the last one and deleted from the end', () => {
    const scribe = withTopic(2);
    const uuids = scribe.uuids(2);
    const { changes } = scribe.ok({ ...OF, kind: 'createPartitions', uuids });
    assert.deepEqual(changes, [{ kind: 'partitionsCreated', uuids, settings: DEFAULTS }]);
    const topic = scribe.state.findTopic(0, byId(0))!;
    assert.deepEqual(
      topic.partitions.map(({ id }) => id),
      [0, 1, 2, 3],
    );
    assert.equal(topic.partitions[2]?.createdAtUs, Scribe.timeUs(scribe.opNext - 1));
    const deletion = { ...OF, kind: 'deletePartitions' } as const;
    const deleted = scribe.ok({ ...deletion, partitionsCount: 1 });
    assert.deepEqual(deleted.changes, [{ kind: 'partitionsDeleted', uuids: [uuids[1]] }]);
    scribe.ok({ ...deletion, partitionsCount: 3 });
    assert.equal(topic.partitions.length, 0);
    scribe.state.checkInvariants();
  });

  it('come and go in numbers from 1 to 1000, and no more than exist', () => {
    const scribe = withTopic(2);
    const { tooManyPartitions, invalidPartitionsCount } = STATUS;
    const create = { ...OF, kind: 'createPartitions' } as const;
    assert.equal(scribe.code({ ...create, uuids: [] }), tooManyPartitions);
    assert.equal(scribe.code({ ...create, uuids: scribe.uuids(1001) }), tooManyPartitions);
    const deletion = { ...OF, kind: 'deletePartitions' } as const;
    assert.equal(scribe.code({ ...deletion, partitionsCount: 0 }), tooManyPartitions);
    assert.equal(scribe.code({ ...deletion, partitionsCount: 1001 }), tooManyPartitions);
    assert.equal(scribe.code({ ...deletion, partitionsCount: 3 }), invalidPartitionsCount);
    assert.equal(scribe.code({ ...deletion, partitionsCount: 2 }), 0);
  });

  it('are a million in a topic and not more', () => {
    const scribe = Scribe.start();
    const tables = new Tables();
    const origin = scribe.lines[0]!.origin;
    const execution = { tables, origin, changes: [] };
    createStream(execution, { kind: 'createStream', caller: null, name: 'orders' });
    createTopic(execution, { ...scribe.topicOp(0, 'events', 1), caller: null });
    const topic = tables.streams.get(0)!.topics.get(0)!;
    // Those in between are not looked at, so they need not exist.
    topic.partitions.length = PARTITIONS_PER_TOPIC_MAX - 1;
    const create = { ...OF, kind: 'createPartitions', caller: null } as const;
    const two = createPartitions(execution, { ...create, uuids: scribe.uuids(2) });
    assert.equal(two.code, STATUS.partitionIdSpaceExhausted);
    assert.equal(createPartitions(execution, { ...create, uuids: scribe.uuids(1) }).code, 0);
  });

  it('make the groups of the topic share anew', () => {
    const scribe = withTopic(2);
    scribe.group(0, 0, 'readers');
    scribe.login(clientOf(1), 0);
    const client = clientOf(1);
    scribe.ok({ ...OF, kind: 'joinConsumerGroup', groupId: byId(0), client, inFlight: [] });
    const { assignment } = scribe.state.groups({ streamId: 0, id: 0 })[0]!;
    const { generation } = assignment;
    scribe.ok({ ...OF, kind: 'createPartitions', uuids: scribe.uuids(1) });
    assert.deepEqual(assignment.pollableBy(client), [0, 1, 2]);
    assert.equal(assignment.generation, generation + 1);
    scribe.ok({ ...OF, kind: 'deletePartitions', partitionsCount: 2 });
    assert.deepEqual(assignment.pollableBy(client), [0]);
    scribe.state.checkInvariants();
  });
});

describe('Segments', () => {
  const DELETE = { ...OF, kind: 'deleteSegments', partitionId: 0 } as const;

  it('are deleted below a mark that only moves up', () => {
    const scribe = withTopic(1);
    const { uuid } = scribe.state.findTopic(0, byId(0))!.partitions[0]!;
    const first = scribe.ok({ ...DELETE, uuid, purge: 0, trimOffset: 50 });
    assert.deepEqual(first.changes, [{ kind: 'partitionTrimmed', uuid, offset: 50 }]);
    assert.deepEqual(scribe.ok({ ...DELETE, uuid, purge: 0, trimOffset: 40 }).changes, []);
    assert.equal(scribe.state.findPartition(uuid)?.partition.trimOffset, 50);
  });

  it('of another incarnation of the partition are left alone', () => {
    const scribe = withTopic(1);
    const { uuid } = scribe.state.findTopic(0, byId(0))!.partitions[0]!;
    scribe.ok({ ...DELETE, uuid, purge: 0, trimOffset: 50 });
    scribe.ok({ ...OF, kind: 'purgeTopic' });
    assert.equal(scribe.state.findPartition(uuid)?.partition.trimOffset, 0);
    assert.deepEqual(scribe.ok({ ...DELETE, uuid, purge: 0, trimOffset: 60 }).changes, []);
    scribe.ok({ ...OF, kind: 'deletePartitions', partitionsCount: 1 });
    const none = scribe.code({ ...DELETE, uuid, purge: 0, trimOffset: 60 });
    assert.equal(none, STATUS.partitionNotFound);
    scribe.ok({ ...OF, kind: 'createPartitions', uuids: scribe.uuids(1) });
    assert.deepEqual(scribe.ok({ ...DELETE, uuid, purge: 0, trimOffset: 60 }).changes, []);
  });

  it('need the right to manage the topic', () => {
    const scribe = withTopic(1);
    const caller = scribe.user('nobody');
    const code = scribe.code({ ...DELETE, caller, uuid: '', purge: 0, trimOffset: 1 });
    assert.equal(code, STATUS.unauthorized);
  });
});
