import assert from 'node:assert/strict';
import type { Consumer } from '@iggy-ts/wire/commands/values';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { xxh32 } from '@iggy-ts/wire/xxh32';
import {
  type Client,
  codeOf,
  evictionOf,
  GROUP,
  granting,
  id,
  makeTopic,
  name,
  SINGLE,
  World,
} from './world.ts';

const TOPIC = { streamId: id(0), topicId: id(0) };
const GROUP_ID = { ...TOPIC, groupId: id(0) };

describe('consumer offsets', () => {
  let world: World;
  let client: Client;

  beforeEach(async () => {
    world = await World.start();
    client = await world.login();
    await makeTopic(client, 2);
    await client.send(['a', 'b', 'c']);
  });

  afterEach(async () => {
    await world.stop();
  });

  function get(consumer: Consumer, partitionId: number | null, of: object = {}) {
    const target = { ...TOPIC, consumer, partitionId, ...of };
    return client.connection.read({ kind: 'getConsumerOffset', ...target });
  }

  function remove(consumer: Consumer, partitionId: number | null): Promise<unknown> {
    const target = { ...TOPIC, consumer, partitionId };
    return client.write({ kind: 'deleteConsumerOffset', ...target, ack: 'quorum' });
  }

  it('are stored forward and back, and told with the end of the partition', async () => {
    const executed = await client.store(SINGLE, 0, 2);
    assert.deepEqual([executed.code, executed.reply], [0, null]);
    assert(executed.op > 0);
    assert.deepEqual(await get(SINGLE, 0), { partitionId: 0, currentOffset: 2, storedOffset: 2 });
    await client.store(SINGLE, 0, 0);
    assert.equal((await get(SINGLE, 0))!.storedOffset, 0);
    await remove(SINGLE, 0);
    assert.equal(await get(SINGLE, 0), null);
  });

  it('use partition 0 for a consumer that names none', async () => {
    await client.store(SINGLE, null, 1);
    assert.equal((await get(SINGLE, null))!.partitionId, 0);
    await remove(SINGLE, null);
    assert.equal(await get(SINGLE, 0), null);
  });

  it('are kept under the hash of a name', async () => {
    const consumer = { kind: 'consumer', id: name('somebody') } as const;
    await client.store(consumer, 0, 1);
    const key = xxh32(new TextEncoder().encode('somebody'));
    assert.equal((await get({ kind: 'consumer', id: id(key) }, 0))!.storedOffset, 1);
  });

  it('do not lie behind the last message, nor in an empty partition', async () => {
    assert.equal(await codeOf(client.store(SINGLE, 0, 3)), STATUS.invalidOffset);
    assert.equal(await codeOf(client.store(SINGLE, 1, 0)), STATUS.invalidOffset);
  });

  it('are limited in number', async () => {
    for (let number = 0; number < 8; number += 1) {
      await client.store({ kind: 'consumer', id: id(number) }, 0, 0);
    }
    const ninth = { kind: 'consumer', id: id(8) } as const;
    assert.equal(await codeOf(client.store(ninth, 0, 0)), STATUS.tooManyConsumerOffsets);
    assert.equal(await codeOf(client.store({ kind: 'consumer', id: id(0) }, 0, 2)), 0);
    assert.equal(await codeOf(remove({ kind: 'consumer', id: id(0) }, 0)), 0);
    assert.equal(await codeOf(client.store(ninth, 0, 0)), 0);
  });

  it('say what is missing', async () => {
    const store = (change: object): Promise<number> => {
      const command = { kind: 'storeConsumerOffset', ...TOPIC, consumer: SINGLE } as const;
      const request = { ...command, partitionId: 0, offset: 0, ack: 'quorum', ...change } as const;
      return codeOf(client.write(request));
    };
    assert.equal(await store({ streamId: id(9) }), STATUS.streamIdNotFound);
    assert.equal(await store({ topicId: id(9) }), STATUS.topicIdNotFound);
    assert.equal(await store({ partitionId: 2 }), STATUS.partitionNotFound);
    assert.equal(await codeOf(remove(SINGLE, 0)), STATUS.consumerOffsetNotFound);
    assert.equal(await codeOf(remove(GROUP, 0)), STATUS.consumerGroupIdNotFound);
    const named = { kind: 'group', id: name('g') } as const;
    assert.equal(await codeOf(remove(named, 0)), STATUS.consumerGroupNameNotFound);
    assert.equal(await codeOf(remove(GROUP, null)), STATUS.invalidIdentifier);
    assert.equal(await codeOf(client.store(GROUP, null, 0)), STATUS.invalidIdentifier);
  });

  it('are none where nothing can be, except in a missing partition', async () => {
    assert.equal(await get(SINGLE, 0), null);
    assert.equal(await get(SINGLE, 0, { streamId: id(9) }), null);
    assert.equal(await get(SINGLE, 0, { topicId: id(9) }), null);
    assert.equal(await get(GROUP, 0), null);
    assert.equal(await codeOf(get(SINGLE, 2)), STATUS.partitionNotFound);
  });

  it('need the right to poll', async () => {
    const nobody = await world.loginAs(client, 'nobody', granting('sendMessages'));
    assert.equal(await codeOf(nobody.store(SINGLE, 0, 0)), STATUS.unauthorized);
    const read = { kind: 'getConsumerOffset', ...TOPIC, consumer: SINGLE, partitionId: 0 } as const;
    assert.equal(await codeOf(nobody.connection.read(read)), STATUS.unauthorized);
    const poller = await world.loginAs(client, 'poller', granting('pollMessages'));
    assert.equal(await codeOf(poller.store(SINGLE, 0, 0)), 0);
  });

  it('of a group are written by the owner of the partition and read by anybody', async () => {
    await client.done({ kind: 'createConsumerGroup', ...TOPIC, name: 'g' });
    const { consumerGroupPartitionNotOwned } = STATUS;
    assert.equal(await codeOf(client.store(GROUP, 0, 0)), consumerGroupPartitionNotOwned);
    await client.done({ kind: 'joinConsumerGroup', ...GROUP_ID });
    assert.equal(await codeOf(client.store(GROUP, 0, 0)), 0);
    const other = await world.login();
    assert.equal(await codeOf(other.store(GROUP, 0, 1)), consumerGroupPartitionNotOwned);
    assert.equal((await get(GROUP, 0))!.storedOffset, 0);
    assert.equal(await codeOf(remove(GROUP, 0)), 0);
    const http = world.broker.actAs(0);
    const write = { kind: 'storeConsumerOffset', ...TOPIC, consumer: GROUP } as const;
    assert.equal(
      await codeOf(http.write({ ...write, partitionId: 0, offset: 0, ack: 'none' }, null)),
      consumerGroupPartitionNotOwned,
    );
  });

  it('are gone with their group, and after a purge', async () => {
    await client.done({ kind: 'createConsumerGroup', ...TOPIC, name: 'g' });
    await client.done({ kind: 'joinConsumerGroup', ...GROUP_ID });
    await client.store(GROUP, 0, 0);
    await client.store(SINGLE, 0, 0);
    await client.done({ kind: 'deleteConsumerGroup', ...GROUP_ID });
    await client.done({ kind: 'createConsumerGroup', ...TOPIC, name: 'g' });
    assert.equal(await get({ kind: 'group', id: name('g') }, 0), null);
    assert.equal((await get(SINGLE, 0))!.storedOffset, 0);
    await client.done({ kind: 'purgeTopic', ...TOPIC });
    assert.equal(await get(SINGLE, 0), null);
  });

  it('are stored once per request number and stamp', async () => {
    const numbering = client.number(7);
    const command = { kind: 'storeConsumerOffset', ...TOPIC, consumer: SINGLE } as const;
    const store = { ...command, partitionId: 0, offset: 1, ack: 'quorum' } as const;
    await client.write(store, numbering);
    await client.store(SINGLE, 0, 2);
    assert.equal(await codeOf(client.write(store, numbering)), 0);
    assert.equal((await get(SINGLE, 0))!.storedOffset, 2);
  });

  it('end a session that a later one of the client has overtaken in the partition', async () => {
    const { uuid } = world.store.metadata.state.findTopic(0, id(0))!.partitions[0]!;
    Object.assign(world.store.partition(uuid)!, {
      storeOffset: () => Promise.reject(new OperatingError(STATUS.unauthenticated)),
    });
    assert.equal(await evictionOf(client.store(SINGLE, 0, 0)), 7);
  });
});
