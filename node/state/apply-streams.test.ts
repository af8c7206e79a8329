import assert from 'node:assert/strict';
import { STATUS } from '@iggy-ts/wire/status';
import { createStream, STREAMS_MAX } from './apply-streams.ts';
import { Tables } from './metadata-tables.ts';
import { byId, byName, Scribe } from './scribe.ts';

describe('Streams', () => {
  it('get the lowest free id and the time of the log, and are found by id and by name', () => {
    const scribe = Scribe.start();
    const outcome = scribe.ok({ kind: 'createStream', caller: 0, name: 'orders' });
    assert.deepEqual(outcome.reply, {
      id: 0,
      createdAtUs: Scribe.timeUs(2),
      topicsCount: 0,
      sizeBytes: 0,
      messagesCount: 0,
      name: 'orders',
      options: [],
    });
    scribe.stream('bills');
    scribe.stream('parcels');
    assert.equal(scribe.state.findStream(byName('bills'))?.id, 1);
    assert.equal(scribe.state.findStream(byId(2))?.name, 'parcels');
    scribe.ok({ kind: 'deleteStream', caller: 0, streamId: byName('bills') });
    scribe.ok({ kind: 'deleteStream', caller: 0, streamId: byName('orders') });
    assert.equal(scribe.stream('again'), 0);
    assert.equal(scribe.stream('more'), 1);
    assert.deepEqual(
      scribe.state.streams().map(({ name }) => name),
      ['again', 'more', 'parcels'],
    );
  });

  it('have names of their own', () => {
    const scribe = Scribe.start();
    scribe.stream('orders');
    scribe.stream('bills');
    const { streamNameAlreadyExists, streamIdNotFound, invalidStreamName } = STATUS;
    const create = { kind: 'createStream', caller: 0 } as const;
    assert.equal(scribe.code({ ...create, name: 'orders' }), streamNameAlreadyExists);
    for (const name of ['', 'ä'.repeat(128)]) {
      assert.equal(scribe.code({ ...create, name }), invalidStreamName);
    }
    assert.equal(scribe.code({ ...create, name: 'x'.repeat(255) }), 0);
    const rename = { kind: 'updateStream', caller: 0, streamId: byName('orders') } as const;
    assert.equal(scribe.code({ ...rename, name: 'bills' }), streamNameAlreadyExists);
    assert.equal(scribe.code({ ...rename, name: 'orders' }), 0);
    assert.equal(scribe.code({ ...rename, name: 'offers' }), 0);
    assert.equal(scribe.code({ ...rename, name: 'offers' }), streamIdNotFound);
    assert.equal(scribe.state.findStream(byName('offers'))?.id, 0);
    scribe.state.checkInvariants();
  });

  it('take everything in them along when they are deleted', () => {
    const scribe = Scribe.start();
    const stream = scribe.stream('orders');
    scribe.topic(stream, 'a', 2);
    scribe.topic(stream, 'b', 1);
    scribe.group(stream, 0, 'readers');
    const uuids = [...scribe.state.partitions()].map(({ partition }) => partition.uuid);
    const { changes } = scribe.ok({ kind: 'deleteStream', caller: 0, streamId: byId(stream) });
    assert.deepEqual(changes, [{ kind: 'partitionsDeleted', uuids }]);
    const counts = scribe.state.counts();
    assert.deepEqual([counts.topics, counts.partitions, counts.groups], [0, 0, 0]);
    assert.equal(scribe.state.findPartition(uuids[0]!), null);
    assert.deepEqual(scribe.state.topics(stream), []);
    assert.equal(scribe.state.findTopic(stream, byName('a')), null);
    scribe.state.checkInvariants();
  });

  it('are purged as a whole, under one counter that is larger than all before', () => {
    const scribe = Scribe.start();
    const stream = scribe.stream('orders');
    scribe.topic(stream, 'a', 2);
    scribe.topic(stream, 'b', 1);
    const op = scribe.opNext;
    const { changes } = scribe.ok({ kind: 'purgeStream', caller: 0, streamId: byId(stream) });
    const partitions = [...scribe.state.partitions()].map(({ partition }) => partition);
    const uuids = partitions.map(({ uuid }) => uuid);
    assert.deepEqual(changes, [{ kind: 'partitionsPurged', uuids, purge: op }]);
    for (const { purge } of partitions) assert.equal(purge, op);
    const empty = scribe.stream('empty');
    const nothing = scribe.ok({ kind: 'purgeStream', caller: 0, streamId: byId(empty) });
    assert.deepEqual(nothing.changes, []);
  });

  it('are a million and not more', () => {
    const { origin } = Scribe.start().lines[0]!;
    const tables = new Tables();
    Object.defineProperty(tables.streams, 'size', { value: STREAMS_MAX });
    const op = { kind: 'createStream', caller: null, name: 'orders' } as const;
    const { code } = createStream({ tables, origin, changes: [] }, op);
    assert.equal(code, STATUS.tooManyStreams);
  });

  it('that do not exist are not found before anybody asks for the right to them', () => {
    const scribe = Scribe.start();
    const caller = scribe.user('nobody');
    scribe.stream('orders');
    for (const kind of ['deleteStream', 'purgeStream'] as const) {
      assert.equal(scribe.code({ kind, caller, streamId: byId(7) }), STATUS.streamIdNotFound);
      assert.equal(scribe.code({ kind, caller, streamId: byId(0) }), STATUS.unauthorized);
    }
    assert.equal(scribe.code({ kind: 'createStream', caller, name: 'x' }), STATUS.unauthorized);
    assert.equal(scribe.code({ kind: 'createStream', caller: null, name: 'x' }), 0);
  });
});
