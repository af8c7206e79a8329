import assert from 'node:assert/strict';
import { PARTITION_ID_RESYNC } from '@iggy-ts/wire/commands/replies';
import { STATUS } from '@iggy-ts/wire/status';
import {
  type Client,
  codeOf,
  GROUP,
  granting,
  id,
  makeTopic,
  NEXT,
  name,
  type PolledTexts,
  SINGLE,
  World,
} from './world.ts';

const TOPIC = { streamId: id(0), topicId: id(0) };

/** A coordinator is member of the group; its data connection polls and stores for it. */
describe('routing of polls and offsets', () => {
  let world: World;
  let coordinator: Client;
  let data: Client;

  beforeEach(async () => {
    world = await World.start();
    coordinator = await world.login();
    data = await world.login();
    await makeTopic(coordinator, 1);
    await coordinator.send(['a', 'b']);
    await coordinator.done({ kind: 'createConsumerGroup', ...TOPIC, name: 'g' });
    await coordinator.done({ kind: 'joinConsumerGroup', ...TOPIC, groupId: id(0) });
  });

  afterEach(async () => {
    await world.stop();
  });

  function attach(change: object = {}, client = data) {
    const session = { clientId: coordinator.id, session: coordinator.epoch, metadataWatermark: 0 };
    return client.connection.read({ kind: 'attachConsumerSession', ...session, ...change });
  }

  function route(change: object = {}) {
    const command = coordinator.pollCommand({ consumer: GROUP, autoCommit: true });
    return coordinator.connection.read({ ...command, kind: 'getPollRouting', ...change });
  }

  async function pollOnPrimary(client: Client): Promise<PolledTexts> {
    const command = client.pollCommand({ consumer: GROUP, strategy: NEXT, autoCommit: true });
    return client.decode(
      await client.connection.poll({ ...command, kind: 'pollMessagesOnPrimary' }),
    );
  }

  it('names the own session and node', async () => {
    const reply = await route();
    assert.equal(reply.clientId, coordinator.id);
    assert.equal(reply.session, coordinator.epoch);
    assert.equal(reply.metadataWatermark, world.broker.metadataCommit);
    assert.deepEqual([reply.node.ip, reply.node.tcpPort], ['10.0.0.1', 8090]);
    const offset = { kind: 'getConsumerOffsetRouting', ...TOPIC, partitionId: 0 } as const;
    const command = { ...offset, consumer: GROUP };
    assert.deepEqual(await coordinator.connection.read(command), reply);
  });

  it('checks like the poll or the store it is asked for', async () => {
    const { consumerGroupPartitionNotOwned, invalidCommand, streamIdNotFound } = STATUS;
    assert.equal(await codeOf(route({ autoCommit: false })), invalidCommand);
    assert.equal(await codeOf(route({ streamId: id(9) })), streamIdNotFound);
    assert.equal(await codeOf(route({ partitionId: 1 })), STATUS.partitionNotFound);
    const named = { kind: 'group', id: name('x') } as const;
    assert.equal(await codeOf(route({ consumer: named })), STATUS.consumerGroupNameNotFound);
    const numbered = { kind: 'group', id: id(9) } as const;
    assert.equal(await codeOf(route({ consumer: numbered })), STATUS.consumerGroupIdNotFound);
    assert.equal(await codeOf(route({ consumer: SINGLE })), 0);
    // A partition on its way to another member may be stored to, not polled.
    await coordinator.poll({ consumer: GROUP });
    const second = await world.login();
    await coordinator.done({ kind: 'createPartitions', ...TOPIC, partitionsCount: 1 });
    await coordinator.poll({ consumer: GROUP, partitionId: 1 });
    await coordinator.send(['c'], { partitioning: { kind: 'partition', partitionId: 1 } });
    await coordinator.poll({ consumer: GROUP, partitionId: 1 });
    await second.done({ kind: 'joinConsumerGroup', ...TOPIC, groupId: id(0) });
    assert.equal(await codeOf(route({ partitionId: 1 })), consumerGroupPartitionNotOwned);
    const offset = { kind: 'getConsumerOffsetRouting', ...TOPIC, consumer: GROUP } as const;
    const stored = { ...offset, partitionId: 1 };
    assert.equal(await codeOf(coordinator.connection.read(stored)), 0);
    assert.equal(await codeOf(second.connection.read(stored)), consumerGroupPartitionNotOwned);
    const http = { ...offset, partitionId: 0 };
    assert.equal(await codeOf(world.broker.actAs(0).read(http)), STATUS.featureUnavailable);
  });

  it('lends a session to a connection of the same user, while it is the current one', async () => {
    const { staleClient, transientNotAccepted } = STATUS;
    assert.equal(await codeOf(attach({ session: coordinator.epoch + 1 })), staleClient);
    assert.equal(await codeOf(attach({ session: coordinator.epoch - 1 })), staleClient);
    assert.equal(await codeOf(attach({ clientId: 'd'.repeat(32) })), staleClient);
    const ahead = { metadataWatermark: world.broker.metadataCommit + 1 };
    assert.equal(await codeOf(attach(ahead)), transientNotAccepted);
    const other = await world.loginAs(coordinator, 'other', granting('pollMessages'));
    assert.equal(await codeOf(attach({}, other)), staleClient);
    assert.equal(await attach(), null);
  });

  it('serves the attached connection as the member whose session it borrowed', async () => {
    assert.equal(await codeOf(pollOnPrimary(data)), STATUS.unauthenticated);
    await attach();
    assert.deepEqual((await pollOnPrimary(data)).texts, ['a', 'b']);
    assert.equal(await codeOf(data.store(GROUP, 0, 0)), 0);
    // A plain poll counts the own memberships only, and none was made by attaching.
    assert.equal((await data.poll({ consumer: GROUP })).partitionId, PARTITION_ID_RESYNC);
    const command = { kind: 'syncConsumerGroup', ...TOPIC, groupId: id(0) } as const;
    assert.equal(await data.connection.read(command), null);
    const single = data.pollCommand({ autoCommit: true });
    const polled = await data.connection.poll({ ...single, kind: 'pollMessagesOnPrimary' });
    assert.deepEqual(data.decode(polled).texts, ['a', 'b']);
  });

  it('ends with the session that was lent', async () => {
    await attach();
    await coordinator.connection.logout();
    assert.equal(await codeOf(pollOnPrimary(data)), STATUS.staleClient);
    assert.equal(await codeOf(data.store(GROUP, 0, 0)), STATUS.staleClient);
    assert.equal(await codeOf(data.store(SINGLE, 0, 0)), 0);
  });
});
