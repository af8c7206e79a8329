import assert from 'node:assert/strict';
import type { Partitioning } from '@iggy-ts/wire/commands/values';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { xxh32 } from '@iggy-ts/wire/xxh32';
import {
  batchOf,
  type Client,
  codeOf,
  evictionOf,
  granting,
  id,
  makeTopic,
  name,
  World,
} from './world.ts';

const BALANCED: Partitioning = { kind: 'balanced' };

describe('sending', () => {
  let world: World;
  let client: Client;

  beforeEach(async () => {
    world = await World.start();
    client = await world.login();
    await makeTopic(client, 3);
  });

  afterEach(async () => {
    await world.stop();
  });

  it('gives offsets from 0 on and confirms the place of the first message', async () => {
    const first = await client.send(['a', 'b', 'c']);
    assert.deepEqual(first.reply, [{ streamId: 0, topicId: 0, partitionId: 0, baseOffset: 0 }]);
    const second = await client.send(['d']);
    assert.equal(second.reply![0]!.baseOffset, 3);
    assert(second.op > first.op);
    assert.deepEqual((await client.poll()).texts, ['a', 'b', 'c', 'd']);
    assert.deepEqual(
      world.appended.map(({ messages }) => messages),
      [3, 1],
    );
  });

  it('walks the partitions round robin from 0 on for balanced batches, per topic', async () => {
    const topic = { streamId: id(0), partitionsCount: 2, name: 'u', options: [] };
    await client.done({ kind: 'createTopic', ...topic });
    const places: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      const { reply } = await client.send(['x'], { partitioning: BALANCED });
      places.push(reply![0]!.partitionId);
    }
    assert.deepEqual(places, [0, 1, 2, 0]);
    const { reply } = await client.send(['x'], { partitioning: BALANCED, topic: name('u') });
    assert.equal(reply![0]!.partitionId, 0);
  });

  it('does not count a balanced batch that it refuses', async () => {
    const change = (batch: Uint8Array): Uint8Array => flipped(batch, 256 + 48);
    assert.equal(
      await codeOf(client.send(['x'], { partitioning: BALANCED, change })),
      STATUS.invalidMessageChecksum,
    );
    const { reply } = await client.send(['x'], { partitioning: BALANCED });
    assert.equal(reply![0]!.partitionId, 0);
  });

  it('puts a key on the partition of its hash', async () => {
    for (const text of ['a', 'key', 'another key']) {
      const key = new TextEncoder().encode(text);
      const { reply } = await client.send(['x'], { partitioning: { kind: 'key', key } });
      assert.equal(reply![0]!.partitionId, xxh32(key) % 3);
    }
  });

  it('says which of stream, topic and partition is missing, before it judges the right', async () => {
    const nobody = await world.loginAs(client, 'nobody', null);
    for (const sender of [client, nobody]) {
      const missing = async (change: object): Promise<number> =>
        codeOf(sender.send(['x'], { changeCommand: change }));
      assert.equal(await missing({ streamId: id(9) }), STATUS.streamIdNotFound);
      assert.equal(await missing({ streamId: name('none') }), STATUS.streamIdNotFound);
      assert.equal(await missing({ topicId: id(9) }), STATUS.topicIdNotFound);
      assert.equal(await missing({ topicId: name('none') }), STATUS.topicIdNotFound);
    }
    const partitioning: Partitioning = { kind: 'partition', partitionId: 3 };
    assert.equal(await codeOf(client.send(['x'], { partitioning })), STATUS.partitionNotFound);
    assert.equal(await codeOf(nobody.send(['x'])), STATUS.unauthorized);
  });

  it('has nowhere to put a balanced or keyed batch in a topic without partitions', async () => {
    await client.done({ kind: 'deletePartitions', ...TOPIC, partitionsCount: 3 });
    const key: Partitioning = { kind: 'key', key: Uint8Array.of(1) };
    for (const partitioning of [BALANCED, key]) {
      assert.equal(await codeOf(client.send(['x'], { partitioning })), STATUS.resourceNotFound);
    }
    assert.equal(await codeOf(client.send(['x'])), STATUS.partitionNotFound);
  });

  it('needs the right to send, which the right to manage the topic implies', async () => {
    const reader = await world.loginAs(client, 'reader', granting('pollMessages'));
    assert.equal(await codeOf(reader.send(['x'])), STATUS.unauthorized);
    const sender = await world.loginAs(client, 'sender', granting('sendMessages'));
    assert.equal(await codeOf(sender.send(['x'])), 0);
    const manager = await world.loginAs(client, 'manager', granting('manageTopics'));
    assert.equal(await codeOf(manager.send(['x'])), 0);
  });

  const broken: readonly [
    title: string,
    code: number,
    change: (batch: Uint8Array) => Uint8Array,
  ][] = [
    ['a flipped payload', STATUS.invalidMessageChecksum, (batch) => flipped(batch, 256 + 48)],
    ['a flipped batch checksum', STATUS.invalidBatchChecksum, (batch) => flipped(batch, 40)],
    ['a reserved byte that is set', STATUS.invalidCommand, (batch) => flipped(batch, 255)],
    ['a length beyond the body', STATUS.invalidCommand, (batch) => flipped(batch, 33)],
    ['a cut frame', STATUS.invalidCommand, (batch) => batch.subarray(0, batch.length - 1)],
    ['a cut header', STATUS.invalidCommand, (batch) => batch.subarray(0, 100)],
  ];
  for (const [title, code, change] of broken) {
    it(`refuses ${title}`, async () => {
      const copied = (batch: Uint8Array): Uint8Array => change(batch).slice();
      assert.equal(await codeOf(client.send(['one', 'two'], { change: copied })), code);
      assert.deepEqual((await client.poll()).texts, []);
      assert.equal(world.refused.at(-1), code);
    });
  }

  it('refuses a batch whose routing says another count', async () => {
    const changeCommand = { messagesCount: 2 };
    assert.equal(await codeOf(client.send(['x'], { changeCommand })), STATUS.invalidCommand);
  });

  it('refuses offset deltas that are not 0, 1, 2', async () => {
    const change = (batch: Uint8Array): Uint8Array => {
      const twice = batch.slice();
      // The second message says delta 0, too.
      new DataView(twice.buffer).setUint32(256 + 48 + 1 + 24, 0, true);
      return resealed(world, twice);
    };
    assert.equal(await codeOf(client.send(['x', 'y'], { change })), STATUS.invalidCommand);
  });

  it('answers a repeat with the first confirmation and stores it once', async () => {
    const first = await client.send(['a']);
    const again = await client.send(['a'], { numbering: client.repeat(3, stampOf(world, ['a'])) });
    assert.deepEqual(again.reply, first.reply);
    assert.equal(again.op, first.op);
    assert.deepEqual((await client.poll()).texts, ['a']);
    assert.equal(world.appended.length, 1);
  });

  it('stores another batch under a number that was used before', async () => {
    await client.send(['a']);
    await client.send(['b'], { numbering: client.repeat(3, stampOf(world, ['b'])) });
    assert.deepEqual((await client.poll()).texts, ['a', 'b']);
  });

  it('sends the repeat of a balanced batch to the same partition', async () => {
    await client.send(['a'], { partitioning: BALANCED });
    const numbering = client.repeat(3, stampOf(world, ['a']));
    const again = await client.send(['a'], { partitioning: BALANCED, numbering });
    assert.equal(again.reply![0]!.partitionId, 0);
    const { reply } = await client.send(['b'], { partitioning: BALANCED });
    assert.equal(reply![0]!.partitionId, 1);
    assert.deepEqual((await client.poll()).texts, ['a']);
  });

  it('ends the session of a connection that is not logged in', async () => {
    assert.equal(await evictionOf(world.connect().send(['x'])), 1);
  });

  it('seals and stores a batch that comes without checksums', async () => {
    const caller = world.broker.actAs(0);
    const command = {
      kind: 'sendMessages',
      ...TOPIC,
      partitioning: BALANCED,
      messagesCount: 2,
    } as const;
    const executed = await world.broker.sendUnsealed(caller, command, batchOf(['a', 'b']));
    assert.deepEqual(executed.reply, [{ streamId: 0, topicId: 0, partitionId: 0, baseOffset: 0 }]);
    const { messages } = await client.poll();
    assert.equal(messages.length, 2);
    for (const { checksum } of messages) assert.notEqual(checksum, 0n);
  });

  it('refuses an unsealed batch that is empty, cut, too large or of nobody', async () => {
    const caller = world.broker.actAs(0);
    const command = {
      kind: 'sendMessages',
      ...TOPIC,
      partitioning: BALANCED,
      messagesCount: 1,
    } as const;
    const code = (batch: Uint8Array, of = caller): Promise<number> =>
      codeOf(world.broker.sendUnsealed(of, command, batch));
    assert.equal(await code(new Uint8Array(0)), STATUS.invalidCommand);
    assert.equal(await code(batchOf(['x']).subarray(0, 300)), STATUS.invalidCommand);
    assert.equal(await code(new Uint8Array(9 * 1024 * 1024)), STATUS.tooBigMessagePayload);
    assert.equal(await code(batchOf(['x']), world.broker.actAs(7)), STATUS.unauthorized);
    assert.equal(world.rig.pool.takenBytes, 0);
  });

  it('tells the durability of the topic', () => {
    const command = { kind: 'sendMessages', partitioning: BALANCED, messagesCount: 1 } as const;
    assert.equal(world.broker.durabilityOf({ ...command, ...TOPIC }), 'replicated');
    const missing = { ...command, streamId: id(9), topicId: id(0) };
    assert.equal(world.broker.durabilityOf(missing), 'replicated');
  });

  it('passes on that the disk is full', async () => {
    const uuid = world.store.metadata.state.findTopic(0, id(0))!.partitions[0]!.uuid;
    const partition = world.store.partition(uuid)!;
    Object.assign(partition, {
      append: () => Promise.reject(new OperatingError(STATUS.cannotAppendToFile)),
    });
    assert.equal(await codeOf(client.send(['x'])), STATUS.cannotAppendToFile);
  });

  it('ends a session that a later one of the client has overtaken in the partition', async () => {
    const uuid = world.store.metadata.state.findTopic(0, id(0))!.partitions[0]!.uuid;
    Object.assign(world.store.partition(uuid)!, {
      append: () => Promise.reject(new OperatingError(STATUS.unauthenticated)),
    });
    assert.equal(await evictionOf(client.send(['x'])), 7);
  });
});

const TOPIC = { streamId: id(0), topicId: id(0) };

function flipped(batch: Uint8Array, at: number): Uint8Array {
  const bytes = batch.slice();
  bytes[at] = bytes[at]! ^ 1;
  return bytes;
}

/** Low half of the batch checksum that the client gives these texts. */
function stampOf(world: World, texts: readonly string[]): number {
  return new DataView(resealed(world, batchOf(texts)).buffer).getUint32(40, true);
}

function resealed({ rig }: World, batch: Uint8Array): Uint8Array {
  const at = rig.pool.take(batch.length);
  assert(at >= 0);
  rig.pool.bytes.set(batch, at);
  assert(rig.kernel.seal(at, batch.length));
  const sealed = rig.pool.bytes.slice(at, at + batch.length);
  rig.pool.give(at);
  return sealed;
}
