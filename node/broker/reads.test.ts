import assert from 'node:assert/strict';
import type { Permissions } from '@iggy-ts/wire/commands/values';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { type Client, codeOf, granting, id, makeTopic, name, World } from './world.ts';

const STREAM = { streamId: id(0) };
const TOPIC = { ...STREAM, topicId: id(0) };

describe('looking up', () => {
  let world: World;
  let root: Client;

  beforeEach(async () => {
    world = await World.start();
    root = await world.login();
    await makeTopic(root, 2);
  });

  afterEach(async () => {
    await world.stop();
  });

  function read(client: Client, command: Parameters<Client['connection']['read']>[0]) {
    return codeOf(client.connection.read(command));
  }

  it('shows totals that are the sums of the partitions', async () => {
    await root.send(['a', 'b']);
    await root.send(['c'], { partitioning: { kind: 'partition', partitionId: 1 } });
    const topic = (await root.connection.read({ kind: 'getTopic', ...TOPIC }))!;
    assert.deepEqual(
      topic.partitions.map(({ messagesCount, currentOffset }) => [messagesCount, currentOffset]),
      [
        [2, 1],
        [1, 0],
      ],
    );
    const bytes = topic.partitions.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    // 256 bytes per batch and 48 per message beside the payload.
    assert.equal(bytes, 2 * 256 + 3 * (48 + 1));
    assert.deepEqual([topic.messagesCount, topic.sizeBytes], [3, bytes]);
    const stream = (await root.connection.read({ kind: 'getStream', ...STREAM }))!;
    assert.deepEqual([stream.messagesCount, stream.sizeBytes, stream.topicsCount], [3, bytes, 1]);
    const { partitions: _, ...header } = topic;
    assert.deepEqual(stream.topics, [header]);
    assert.deepEqual(await root.connection.read({ kind: 'getTopics', ...STREAM }), [header]);
    const { topics: __, ...summary } = stream;
    assert.deepEqual(await root.connection.read({ kind: 'getStreams' }), [summary]);
    const stats = await root.connection.read({ kind: 'getStats' });
    assert.deepEqual(
      [stats.messagesCount, stats.messagesSizeBytes, stats.segmentsCount],
      [3, bytes, 2],
    );
    assert.deepEqual(
      [stats.streamsCount, stats.topicsCount, stats.partitionsCount, stats.clientsCount],
      [1, 1, 2, 1],
    );
    assert.deepEqual([stats.serverVersion, stats.serverSemver], ['0.9.0', 9000]);
    assert.deepEqual([stats.hostname, stats.cacheMetrics], ['host', []]);
  });

  it('answers nothing for one thing that is missing, and says when a group has no place', async () => {
    const { connection } = root;
    assert.equal(await connection.read({ kind: 'getStream', streamId: id(9) }), null);
    assert.equal(await connection.read({ kind: 'getTopic', ...STREAM, topicId: id(9) }), null);
    assert.equal(await connection.read({ kind: 'getTopic', ...TOPIC, streamId: id(9) }), null);
    assert.deepEqual(await connection.read({ kind: 'getTopics', streamId: id(9) }), []);
    assert.equal(await connection.read({ kind: 'getUser', userId: id(9) }), null);
    assert.equal(await connection.read({ kind: 'getClient', clientId: 99 }), null);
    const group = { kind: 'getConsumerGroup', groupId: id(9) } as const;
    assert.equal(await connection.read({ ...group, ...TOPIC }), null);
    assert.deepEqual(await connection.read({ kind: 'getConsumerGroups', ...TOPIC }), []);
    const noTopic = { ...STREAM, topicId: id(9) };
    const noStream = { streamId: id(9), topicId: id(0) };
    assert.equal(await read(root, { ...group, ...noTopic }), STATUS.topicIdNotFound);
    assert.equal(await read(root, { ...group, ...noStream }), STATUS.streamIdNotFound);
    const groups = { kind: 'getConsumerGroups' } as const;
    assert.equal(await read(root, { ...groups, ...noTopic }), STATUS.topicIdNotFound);
    assert.equal(await read(root, { ...groups, ...noStream }), STATUS.streamIdNotFound);
  });

  it('shows nothing to whom it does not concern, but that things are missing', async () => {
    const nobody = await world.loginAs(root, 'nobody', null);
    const denied = [
      { kind: 'getStats' },
      { kind: 'getClients' },
      { kind: 'getClient', clientId: 1 },
      { kind: 'getUsers' },
      { kind: 'getUser', userId: id(0) },
      { kind: 'getStreams' },
      { kind: 'getStream', ...STREAM },
      { kind: 'getTopics', ...STREAM },
      { kind: 'getTopic', ...TOPIC },
      { kind: 'getConsumerGroup', ...TOPIC, groupId: id(0) },
      { kind: 'getConsumerGroups', ...TOPIC },
      { kind: 'getSnapshot', types: ['test'], compression: 'stored' },
    ] as const;
    for (const command of denied) {
      assert.equal(await read(nobody, command), STATUS.unauthorized, command.kind);
      assert.equal(await codeOf(world.broker.actAs(9).read(command)), STATUS.unauthorized);
    }
    const open = [
      { kind: 'ping' },
      { kind: 'getMe' },
      { kind: 'getClusterMetadata' },
      { kind: 'describeOptions', scope: 'topic' },
      { kind: 'getPersonalAccessTokens' },
      { kind: 'getUser', userId: name('nobody') },
      { kind: 'getStream', streamId: id(9) },
      { kind: 'getTopic', ...STREAM, topicId: id(9) },
      { kind: 'getTopics', streamId: id(9) },
      { kind: 'getUser', userId: id(9) },
    ] as const;
    for (const command of open) assert.equal(await read(nobody, command), 0, command.kind);
  });

  it('shows a stream and a topic to whom they were given alone', async () => {
    const permissions: Permissions = {
      ...granting(),
      streams: new Map([
        [
          0,
          {
            manageStream: false,
            readStream: false,
            manageTopics: false,
            readTopics: false,
            pollMessages: false,
            sendMessages: false,
            topics: new Map([
              [
                0,
                { manageTopic: false, readTopic: true, pollMessages: false, sendMessages: false },
              ],
            ]),
          },
        ],
      ]),
    };
    const reader = await world.loginAs(root, 'reader', permissions);
    const topic = { kind: 'createTopic', ...STREAM, name: 'other', options: [] } as const;
    await root.done({ ...topic, partitionsCount: 1 });
    assert.equal(await read(reader, { kind: 'getTopic', ...TOPIC }), 0);
    const other = { kind: 'getTopic', ...STREAM, topicId: id(1) } as const;
    assert.equal(await read(reader, other), STATUS.unauthorized);
    assert.equal(await read(reader, { kind: 'getStream', ...STREAM }), STATUS.unauthorized);
    assert.equal(await codeOf(reader.poll()), 0);
    assert.equal(await codeOf(reader.send(['x'])), STATUS.unauthorized);
  });

  it('shows users without their hashes', async () => {
    const user = await root.connection.read({ kind: 'getUser', userId: name('iggy') });
    assert.deepEqual(Object.keys(user!).sort(), [
      'createdAtUs',
      'id',
      'options',
      'permissions',
      'status',
      'username',
    ]);
    const [first] = await root.connection.read({ kind: 'getUsers' });
    assert.deepEqual([first!.id, first!.username, first!.status], [0, 'iggy', 'active']);
  });

  it('numbers connections, and lists those that said something, logged in or not', async () => {
    const silent = world.broker.connect({
      transport: 'tcp',
      address: '10.0.0.9:5001',
      localAddress: '10.0.0.1',
    });
    const stranger = world.connect();
    const clients = await root.connection.read({ kind: 'getClients' });
    assert.deepEqual(
      clients.map(({ clientId, userId }) => [clientId, userId]),
      [
        [root.connection.id, 0],
        [stranger.connection.id, null],
      ],
    );
    assert.equal(clients[0]!.address, '10.0.0.9:5000');
    assert.equal(clients[0]!.transport, 'tcp');
    const found = { kind: 'getClient', clientId: stranger.connection.id } as const;
    assert.equal((await root.connection.read(found))!.userId, null);
    assert.equal(await root.connection.read({ kind: 'getClient', clientId: silent.id }), null);
    stranger.connection.close();
    assert.equal(await root.connection.read(found), null);
    assert.equal((await root.connection.read({ kind: 'getMe' })).clientId, root.connection.id);
    assert.equal(
      await codeOf(world.broker.actAs(0).read({ kind: 'getMe' })),
      STATUS.featureUnavailable,
    );
  });

  it('names one node, at the address the client asks', async () => {
    const { nodes } = await root.connection.read({ kind: 'getClusterMetadata' });
    assert.equal(nodes.length, 1);
    assert.deepEqual(
      [nodes[0]!.ip, nodes[0]!.tcpPort, nodes[0]!.role],
      ['10.0.0.1', 8090, 'leader'],
    );
    const http = await world.broker.actAs(0).read({ kind: 'getClusterMetadata' });
    assert.equal(http.nodes[0]!.ip, '127.0.0.1');
  });

  it('never flushes, whoever asks for what', async () => {
    const flush = { kind: 'flushUnsavedBuffer', ...TOPIC, partitionId: 0, fsync: true } as const;
    assert.equal(await read(root, flush), STATUS.featureUnavailable);
    assert.equal(await read(root, { ...flush, streamId: id(9) }), STATUS.featureUnavailable);
  });

  it('makes one snapshot at a time, and none that would not fit a frame', async () => {
    const snapshot = { kind: 'getSnapshot', types: ['test'], compression: 'stored' } as const;
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    world.makeSnapshot = () => promise;
    const first = root.connection.read(snapshot);
    assert.equal(await read(root, snapshot), STATUS.snapshotFileCompletionFailed);
    resolve(Uint8Array.of(1, 2));
    assert.deepEqual(await first, Uint8Array.of(1, 2));
    world.makeSnapshot = () => Promise.resolve(new Uint8Array(8 * 1024 * 1024));
    assert.equal(await read(root, snapshot), STATUS.snapshotFileCompletionFailed);
    world.makeSnapshot = () => Promise.reject(new OperatingError(STATUS.invalidCommand));
    assert.equal(await read(root, snapshot), STATUS.invalidCommand);
    world.makeSnapshot = () => Promise.reject(new Error('no space'));
    assert.equal(await read(root, snapshot), STATUS.snapshotFileCompletionFailed);
    assert(world.rig.logger.lines.includes('error snapshot failed'));
    world.makeSnapshot = () => Promise.resolve(Uint8Array.of(3));
    assert.equal(await read(root, snapshot), 0);
  });

  it('serves between start and stop', async () => {
    assert.equal(world.broker.ready, true);
    assert.equal(world.broker.metadataCommit, world.store.metadata.commit);
    await world.broker.stop();
    assert.equal(world.broker.ready, false);
  });
});
