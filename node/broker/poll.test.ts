import assert from 'node:assert/strict';
import type { PollingStrategy } from '@iggy-ts/wire/commands/values';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { PartitionGroup } from '../cluster/port.ts';
import { POLL_HEADROOM } from './port.ts';
import {
  type Client,
  codeOf,
  granting,
  id,
  makeTopic,
  NEXT,
  name,
  SINGLE,
  World,
} from './world.ts';

const TOPIC = { streamId: id(0), topicId: id(0) };

describe('polling', () => {
  let world: World;
  let client: Client;

  beforeEach(async () => {
    world = await World.start();
    client = await world.login();
    await makeTopic(client, 2);
  });

  afterEach(async () => {
    await world.stop();
  });

  function partition(partitionId = 0): PartitionGroup {
    const topic = world.store.metadata.state.findTopic(0, id(0))!;
    return world.store.partition(topic.partitions[partitionId]!.uuid)!;
  }

  it('says which of stream, topic and partition is missing, before it judges the right', async () => {
    const nobody = await world.loginAs(client, 'nobody', null);
    for (const reader of [client, nobody]) {
      const missing = async (change: object): Promise<number> =>
        codeOf(reader.connection.poll({ ...reader.pollCommand(), ...change }));
      assert.equal(await missing({ streamId: id(9) }), STATUS.streamIdNotFound);
      assert.equal(await missing({ topicId: name('none') }), STATUS.topicIdNotFound);
    }
    assert.equal(await codeOf(client.poll({ partitionId: 2 })), STATUS.partitionNotFound);
    assert.equal(await codeOf(nobody.poll()), STATUS.unauthorized);
    const sender = await world.loginAs(client, 'sender', granting('sendMessages'));
    assert.equal(await codeOf(sender.poll()), STATUS.unauthorized);
    const reader = await world.loginAs(client, 'reader', granting('readTopics'));
    assert.equal(await codeOf(reader.poll()), 0);
  });

  it('finds nothing in an empty partition, whatever the strategy', async () => {
    const strategies: readonly PollingStrategy[] = [
      { kind: 'first' },
      { kind: 'last' },
      NEXT,
      { kind: 'offset', offset: 0 },
      { kind: 'timestamp', timestampUs: 0 },
    ];
    for (const strategy of strategies) {
      const { partitionId, currentOffset, texts } = await client.poll({ strategy, partitionId: 1 });
      assert.deepEqual(
        { partitionId, currentOffset, texts },
        {
          partitionId: 1,
          currentOffset: 0,
          texts: [],
        },
      );
    }
  });

  it('starts where the strategy says and gives at most what was asked for', async () => {
    await client.send(['a', 'b', 'c']);
    await client.send(['d']);
    await client.send(['e', 'f']);
    const rows: readonly [PollingStrategy, count: number, texts: string][] = [
      [{ kind: 'first' }, 2, 'ab'],
      [{ kind: 'first' }, 100, 'abcdef'],
      [{ kind: 'last' }, 1, 'f'],
      [{ kind: 'last' }, 4, 'cdef'],
      [{ kind: 'last' }, 100, 'abcdef'],
      [{ kind: 'offset', offset: 1 }, 3, 'bcd'],
      [{ kind: 'offset', offset: 5 }, 3, 'f'],
      [{ kind: 'offset', offset: 6 }, 3, ''],
      [{ kind: 'offset', offset: Number.MAX_SAFE_INTEGER }, 3, ''],
      [{ kind: 'timestamp', timestampUs: Number.POSITIVE_INFINITY }, 3, ''],
      [{ kind: 'first' }, 0, ''],
    ];
    for (const [strategy, count, texts] of rows) {
      const polled = await client.poll({ strategy, count });
      assert.equal(polled.texts.join(''), texts);
      assert.equal(polled.currentOffset, 5);
      const first = polled.offsets[0] ?? 0;
      assert.deepEqual(
        polled.offsets,
        polled.offsets.map((_, index) => first + index),
      );
    }
  });

  it('includes the batch whose time is the timestamp', async () => {
    await client.send(['a', 'b']);
    world.rig.clock.pass(10);
    await client.send(['c']);
    const { messages } = await client.poll();
    const at = (timestampUs: number): Promise<string> =>
      client
        .poll({ strategy: { kind: 'timestamp', timestampUs } })
        .then(({ texts }) => texts.join(''));
    assert.equal(await at(messages[0]!.timestampUs), 'abc');
    assert.equal(await at(messages[0]!.timestampUs + 1), 'c');
    assert.equal(await at(messages[2]!.timestampUs), 'c');
    assert.equal(await at(messages[2]!.timestampUs + 1), '');
  });

  it('continues behind the stored offset, from the oldest message without one', async () => {
    await client.send(['a', 'b', 'c']);
    assert.deepEqual((await client.poll({ strategy: NEXT, count: 2 })).texts, ['a', 'b']);
    assert.deepEqual((await client.poll({ strategy: NEXT, count: 2 })).texts, ['a', 'b']);
    await client.store(SINGLE, 0, 1);
    assert.deepEqual((await client.poll({ strategy: NEXT })).texts, ['c']);
    await client.store(SINGLE, 0, 2);
    assert.deepEqual((await client.poll({ strategy: NEXT })).texts, []);
  });

  it('commits what it returned when asked to, only forward, and nothing when it found nothing', async () => {
    await client.send(['a', 'b', 'c']);
    const auto = { strategy: NEXT, autoCommit: true } as const;
    assert.deepEqual((await client.poll({ ...auto, count: 2 })).texts, ['a', 'b']);
    assert.equal(partition().storedOffset('consumer', 1), 1);
    assert.deepEqual((await client.poll(auto)).texts, ['c']);
    assert.deepEqual((await client.poll(auto)).texts, []);
    assert.equal(partition().storedOffset('consumer', 1), 2);
    await client.poll({ count: 1, autoCommit: true });
    assert.equal(partition().storedOffset('consumer', 1), 2);
    await client.poll({ partitionId: 1, autoCommit: true });
    assert.equal(partition(1).storedOffset('consumer', 1), null);
    await client.store(SINGLE, 0, 0);
    assert.deepEqual((await client.poll(auto)).texts, ['b', 'c']);
  });

  it('reads partition 0 for a consumer that names none, and any consumer id will do', async () => {
    await client.send(['a']);
    const consumer = { kind: 'consumer', id: name('somebody') } as const;
    const polled = await client.poll({ consumer, partitionId: null, autoCommit: true });
    assert.deepEqual([polled.partitionId, polled.texts], [0, ['a']]);
    assert.deepEqual((await client.poll({ consumer, strategy: NEXT })).texts, []);
  });

  it('returns no messages when the offset of a new consumer finds no room', async () => {
    await client.send(['a']);
    for (let consumer = 0; consumer < 8; consumer += 1) {
      const polled = {
        consumer: { kind: 'consumer', id: id(consumer) },
        autoCommit: true,
      } as const;
      assert.equal(await codeOf(client.poll(polled)), 0);
    }
    const ninth = { consumer: { kind: 'consumer', id: id(8) }, autoCommit: true } as const;
    assert.equal(await codeOf(client.poll(ninth)), STATUS.tooManyConsumerOffsets);
    assert.equal(await codeOf(client.poll({ ...ninth, autoCommit: false })), 0);
  });

  it('says when what is stored is damaged', async () => {
    await client.send(['a']);
    for (const code of [STATUS.invalidMessageChecksum, STATUS.invalidBatchChecksum]) {
      const damaged = partition();
      const { read } = damaged;
      Object.assign(damaged, { read: () => Promise.reject(new OperatingError(code)) });
      assert.equal(await codeOf(client.poll()), code);
      Object.assign(damaged, { read });
    }
    assert.deepEqual((await client.poll()).texts, ['a']);
  });

  it('gives nothing of what was purged while it read', async () => {
    await client.send(['a']);
    const slow = partition();
    const { read } = slow;
    Object.assign(slow, {
      read: async (...args: Parameters<typeof read>) => {
        const records = await read.apply(slow, args);
        await client.done({ kind: 'purgeTopic', ...TOPIC });
        return records;
      },
    });
    const polled = await client.poll({ autoCommit: true });
    assert.deepEqual(polled.texts, []);
    assert.equal(polled.currentOffset, 0);
    assert.equal(slow.storedOffset('consumer', 1), null);
    Object.assign(slow, { read });
  });

  it('lends its slot until release, which may be called once', async () => {
    await client.send(['a']);
    const polled = await client.connection.poll(client.pollCommand());
    assert(world.rig.pool.takenBytes > 0);
    // The head of a reply finds room before the records, in the same slot.
    assert(polled.recordsAt % 4096 >= POLL_HEADROOM % 4096);
    polled.release();
    assert.equal(world.rig.pool.takenBytes, 0);
    assert.throws(() => polled.release());
    const empty = await client.connection.poll(client.pollCommand({ partitionId: 1 }));
    empty.release();
    assert.throws(() => empty.release());
  });

  it('crosses from segment to segment', async () => {
    const text = 'x'.repeat(300 * 1024);
    for (let turn = 0; turn < 12; turn += 1) await client.send([text, `${turn}`]);
    assert(partition().stats().segmentsCount > 3);
    const rows: readonly [PollingStrategy, count: number, first: number][] = [
      [{ kind: 'last' }, 20, 4],
      [{ kind: 'first' }, 24, 0],
      [{ kind: 'offset', offset: 3 }, 9, 3],
      [{ kind: 'offset', offset: 5 }, 12, 5],
    ];
    // At the same time: they take turns and do not wait for each other's slots.
    const polls = rows.map(([strategy, count]) => client.poll({ strategy, count }));
    for (const [index, { offsets }] of (await Promise.all(polls)).entries()) {
      const [, count, first] = rows[index]!;
      assert.deepEqual(
        offsets,
        Array.from({ length: count }, (_, at) => first + at),
      );
    }
  });

  it('gives what lies before damage, and says so behind it', async () => {
    const text = 'x'.repeat(700 * 1024);
    for (let turn = 0; turn < 4; turn += 1) await client.send([text]);
    const damaged = partition();
    const { read } = damaged;
    Object.assign(damaged, {
      read: (...args: Parameters<typeof read>) =>
        args[0].offset > 1
          ? Promise.reject(new OperatingError(STATUS.invalidBatchChecksum))
          : read.apply(damaged, args),
    });
    assert.deepEqual((await client.poll()).offsets, [0, 1]);
    const strategy = { kind: 'offset', offset: 2 } as const;
    assert.equal(await codeOf(client.poll({ strategy })), STATUS.invalidBatchChecksum);
    Object.assign(damaged, { read });
  });

  it('stays below the size of a frame', async () => {
    const large = 'x'.repeat(3 * 1024 * 1024);
    for (let turn = 0; turn < 4; turn += 1) await client.send([large]);
    const polled = await client.connection.poll(client.pollCommand());
    assert(polled.recordsBytes + POLL_HEADROOM <= 8 * 1024 * 1024);
    assert.equal(polled.messagesCount, 2);
    assert.deepEqual(client.decode(polled).offsets, [0, 1]);
    assert.equal(world.polled.at(-1)!.messages, 2);
  });

  it('reads over HTTP as well', async () => {
    await client.send(['a']);
    const caller = world.broker.actAs(0);
    const { texts } = client.decode(await caller.poll(client.pollCommand()));
    assert.deepEqual(texts, ['a']);
    assert.equal(
      await codeOf(world.broker.actAs(9).poll(client.pollCommand())),
      STATUS.unauthorized,
    );
  });

  it('keeps messages and the places of consumers over a restart', async () => {
    await client.send(['a', 'b']);
    await client.poll({ strategy: NEXT, count: 1, autoCommit: true });
    await world.crash();
    client = await world.login();
    assert.equal((await client.send(['c'])).reply![0]!.baseOffset, 2);
    assert.deepEqual((await client.poll({ strategy: NEXT })).texts, ['b', 'c']);
  });
});
