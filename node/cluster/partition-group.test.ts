import assert from 'node:assert/strict';
import { OperatingError } from '@iggy-ts/wire/status';
import { Prng } from '../base/prng.ts';
import { BatchCipher } from '../log/encryption.ts';
import { SimDisk } from '../sim/disk.ts';
import type { NodeStore } from './node-store.ts';
import type { PartitionGroup, RequestNumber } from './port.ts';
import { createTopic, execute, partitionOf, Rig } from './rig.ts';

const MIB = 1024 * 1024;
const TOPIC = {
  caller: null,
  streamId: { kind: 'id', id: 0 },
  topicId: { kind: 'id', id: 0 },
} as const;
const CLIENT = 'c'.repeat(32);

describe('a partition group', () => {
  let disk: SimDisk;
  let rig: Rig;
  let store: NodeStore;
  let partition: PartitionGroup;

  beforeEach(async () => {
    disk = new SimDisk({ capacityBytes: 256 * MIB }, { prng: new Prng(1) });
    rig = new Rig('/data', disk);
    store = await rig.open();
    [partition] = (await createTopic(store, 't', {
      partitions: 1,
      settings: { segmentBytes: 2000 },
    })) as [PartitionGroup];
  });

  afterEach(async () => {
    await store.close();
    assert.deepEqual(rig.fatal, []);
    assert.equal(rig.pool.takenBytes, 0);
  });

  /** Ten messages of a hundred bytes: two such batches fill a segment. */
  async function fill(batches: number): Promise<void> {
    for (let batch = 0; batch < batches; batch += 1) {
      const texts = Array.from({ length: 4 }, (_, index) => `${batch}.${index}`.padEnd(100));
      await rig.append(partition, texts);
    }
  }

  it('gives offsets without gaps and timestamps that never go back', async () => {
    const first = await rig.append(partition, ['a', 'b']);
    rig.clock.turnBack(60_000);
    const second = await rig.append(partition, ['c']);
    rig.clock.pass(120_000);
    const third = await rig.append(partition, ['d']);
    assert.deepEqual([first.baseOffset, second.baseOffset, third.baseOffset], [0, 2, 3]);
    assert.equal(second.timestampUs, first.timestampUs);
    assert.equal(third.timestampUs, first.timestampUs + 60_000_000);
    assert.equal(await partition.offsetAtTime(first.timestampUs + 1), 3);
    assert.equal(await partition.offsetAtTime(third.timestampUs + 1), 4);
  });

  it('answers a repeat with the place of the original, also after a restart', async () => {
    const original = await rig.append(partition, ['a'], numbered(1, 7));
    await rig.append(partition, ['b'], numbered(2, 8));
    const repeat = await rig.append(partition, ['a'], numbered(1, 7));
    assert.deepEqual([repeat.baseOffset, repeat.repeated], [original.baseOffset, true]);
    await store.close();
    store = await rig.open();
    partition = partitionOf(store, partition.uuid);
    assert.equal((await rig.append(partition, ['b'], numbered(2, 8))).baseOffset, 1);
    assert.deepEqual(await rig.textsFrom(partition, 0), ['a', 'b']);
  });

  it('appends under a number that was used with other bytes', async () => {
    await rig.append(partition, ['a'], numbered(1, 7));
    const other = await rig.append(partition, ['b'], numbered(1, 8));
    assert.deepEqual([other.baseOffset, other.repeated], [1, false]);
  });

  it('lets a repeat wait for the first copy in flight and appends once', async () => {
    const copies = await Promise.all([
      rig.append(partition, ['a'], numbered(1, 7)),
      rig.append(partition, ['a'], numbered(1, 7)),
      rig.append(partition, ['a'], numbered(1, 7)),
    ]);
    assert.deepEqual(
      copies.map(({ baseOffset, repeated }) => [baseOffset, repeated]),
      [
        [0, false],
        [0, true],
        [0, true],
      ],
    );
    assert.deepEqual(await rig.textsFrom(partition, 0), ['a']);
  });

  it('refuses an older session of a client that has come back', async () => {
    await rig.append(partition, ['a'], { ...numbered(1, 7), session: 9 });
    const late = { ...numbered(2, 8), session: 8 };
    await assert.rejects(rig.append(partition, ['b'], late), refusedWith(40));
  });

  it('shows the answer to a failed first copy to the repeats, too, and takes the next one', async () => {
    disk.onStep = (kind, path) => (kind === 'write' && path.includes('/groups/') ? 'ENOSPC' : null);
    const copies = await Promise.allSettled([
      rig.append(partition, ['a'], numbered(1, 7)),
      rig.append(partition, ['a'], numbered(1, 7)),
    ]);
    for (const copy of copies) {
      assert.ok(copy.status === 'rejected' && refusedWith(10005)(copy.reason));
    }
    disk.onStep = () => null;
    const again = await rig.append(partition, ['a'], numbered(1, 7));
    assert.deepEqual([again.baseOffset, again.repeated], [0, false]);
  });

  it('stores offsets backwards on request, and says why not', async () => {
    const kind = 'consumer';
    const numbering = null;
    await assert.rejects(
      partition.storeOffset({ kind, id: 1, offset: 0, numbering }),
      refusedWith(4100),
    );
    await rig.append(partition, ['a', 'b', 'c']);
    await assert.rejects(
      partition.storeOffset({ kind, id: 1, offset: 3, numbering }),
      refusedWith(4100),
    );
    await partition.storeOffset({ kind, id: 1, offset: 2, numbering });
    await partition.storeOffset({ kind, id: 1, offset: 0, numbering });
    assert.equal(partition.storedOffset(kind, 1), 0);
    for (let id = 2; id <= 8; id += 1) {
      await partition.storeOffset({ kind, id, offset: 0, numbering });
    }
    await assert.rejects(
      partition.storeOffset({ kind, id: 9, offset: 0, numbering }),
      refusedWith(3024),
    );
    await partition.deleteOffset({ kind, id: 1, numbering });
    await assert.rejects(partition.deleteOffset({ kind, id: 1, numbering }), refusedWith(3021));
    await partition.storeOffset({ kind, id: 9, offset: 0, numbering });
  });

  it('takes a repeated store or delete for done', async () => {
    await rig.append(partition, ['a', 'b']);
    const target = { kind: 'consumer', id: 1 } as const;
    await partition.storeOffset({ ...target, offset: 1, numbering: numbered(1, 5) });
    await partition.storeOffset({ ...target, offset: 0, numbering: numbered(2, 6) });
    await partition.storeOffset({ ...target, offset: 1, numbering: numbered(1, 5) });
    assert.equal(partition.storedOffset('consumer', 1), 0);
    await partition.deleteOffset({ ...target, numbering: numbered(3, 7) });
    await partition.deleteOffset({ ...target, numbering: numbered(3, 7) });
  });

  it('syncs explicit offsets of a topic that asks for it, under a relaxed policy', async () => {
    await store.close();
    store = await rig.open({ fsync: { policy: 'os', intervalMs: 1000 } });
    const settings = { consumerOffsetDurability: 'persisted' } as const;
    const [strict] = await createTopic(store, 'strict', { partitions: 1, settings });
    await rig.append(strict!, ['a', 'b']);
    await strict!.storeOffset({ kind: 'consumer', id: 1, offset: 1, numbering: null });
    disk.powerCycle();
    store = await rig.open();
    assert.equal(store.partition(strict!.uuid)?.storedOffset('consumer', 1), 1);
  });

  it('deletes a cursor that nothing has stored yet', async () => {
    await rig.append(partition, ['a', 'b']);
    partition.autoCommit('consumer', 1, 1);
    await partition.deleteOffset({ kind: 'consumer', id: 1, numbering: null });
    assert.equal(partition.storedOffset('consumer', 1), null);
  });

  it('keeps an auto-commit from before a purge out of what comes after it', async () => {
    await rig.append(partition, ['a', 'b', 'c']);
    const purged = execute(store, { ...TOPIC, kind: 'purgeTopic' });
    partition.autoCommit('consumer', 1, 2);
    await purged;
    partition.autoCommit('consumer', 1, 2);
    assert.equal(partition.storedOffset('consumer', 1), null);
    await rig.append(partition, ['d']);
    assert.equal(partition.storedOffset('consumer', 1), null);
    assert.deepEqual(await rig.textsFrom(partition, 0), ['d']);
  });

  it('reads no more than asked, with the headroom asked for, to the end of a segment', async () => {
    await fill(6);
    assert.ok(partition.stats().segmentsCount > 2);
    const records = await partition.read({ offset: 2, count: 5, bytesMax: MIB, headroom: 64 });
    assert.equal(records?.messagesCount, 5);
    assert.ok(records.recordsAt - records.slotAt >= 64);
    rig.pool.give(records.slotAt);
    assert.equal((await rig.textsFrom(partition, 0)).length, 24);
    assert.equal(await partition.read({ offset: 24, count: 1, bytesMax: MIB, headroom: 0 }), null);
  });

  it('trims by age, never the active segment, and goes on at the same offsets', async () => {
    const expiry = { messageExpiryUs: 60_000_000, segmentBytes: 2000 };
    [partition] = (await createTopic(store, 'short', {
      partitions: 1,
      settings: expiry,
    })) as [PartitionGroup];
    await fill(4);
    rig.clock.pass(60_000);
    await fill(1);
    await store.runRetention();
    const { firstOffset } = partition.stats();
    assert.ok(firstOffset > 0 && firstOffset < 20);
    assert.equal(partition.stats().messagesCount, 20 - firstOffset);
    const texts = await rig.textsFrom(partition, 0);
    assert.equal(texts.length, 20 - firstOffset);
    await store.close();
    store = await rig.open();
    partition = partitionOf(store, partition.uuid);
    assert.equal(partition.stats().firstOffset, firstOffset);
    assert.equal((await rig.append(partition, ['x'])).baseOffset, 20);
  });

  it('runs retention at its interval, within the size limit and one segment', async () => {
    const limits = { maxTopicSizeBytes: 4000, segmentBytes: 2000 };
    [partition] = (await createTopic(store, 'small', {
      partitions: 1,
      settings: limits,
    })) as [PartitionGroup];
    await fill(12);
    assert.ok(partition.stats().sizeBytes > 6000);
    rig.clock.pass(60_000);
    await settled(() => partition.stats().sizeBytes <= 6000);
    assert.ok(partition.stats().sizeBytes > 2000);
    await fill(12);
    rig.clock.pass(60_000);
    await settled(() => partition.stats().sizeBytes <= 6000);
  });

  it('keeps what a consumer has not processed, until it has', async () => {
    await fill(6);
    await partition.storeOffset({ kind: 'consumer', id: 1, offset: 1, numbering: null });
    const { uuid, state } = partition;
    const trimOffset = partition.sealedEnd(2);
    const what = { uuid, purge: state.purge, trimOffset, partitionId: 0 };
    await execute(store, { ...TOPIC, kind: 'deleteSegments', ...what });
    assert.equal(partition.stats().firstOffset, 0);
    await partition.storeOffset({ kind: 'consumer', id: 1, offset: 20, numbering: null });
    await store.runRetention();
    assert.equal(partition.stats().firstOffset, trimOffset);
  });

  it('knows where the n-th oldest sealed segment ends', async () => {
    assert.equal(partition.sealedEnd(1), 0);
    await fill(6);
    assert.equal(partition.sealedEnd(0), 0);
    const ends = [1, 2, 99].map((count) => partition.sealedEnd(count));
    assert.ok(ends[0]! > 0 && ends[1]! > ends[0]! && ends[2]! >= ends[1]!);
    assert.ok(ends[2]! < 24);
  });

  it('removes the offsets of a deleted group, even when it was cut off', async () => {
    await execute(store, { ...TOPIC, kind: 'createConsumerGroup', name: 'g' });
    const id = store.metadata.state.groups({ streamId: 0, id: 0 })[0]!.id;
    await rig.append(partition, ['a']);
    await partition.storeOffset({ kind: 'group', id, offset: 0, numbering: null });
    disk.onStep = (kind, path) => (kind === 'write' && path.includes('/groups/') ? 'ENOSPC' : null);
    const groupId = { kind: 'name', name: 'g' } as const;
    const deleted = store.metadata.propose(
      { ...TOPIC, kind: 'deleteConsumerGroup', groupId },
      null,
    );
    await assert.rejects(deleted, refusedWith(57));
    assert.equal(partition.storedOffset('group', id), 0);
    disk.onStep = () => null;
    await store.runRetention();
    assert.equal(partition.storedOffset('group', id), null);
  });

  it('stores encrypted messages and reads them back', async () => {
    await store.close();
    rig.cipher = new BatchCipher(new Uint8Array(32).fill(7), rig);
    store = await rig.open();
    partition = partitionOf(store, partition.uuid);
    await rig.append(partition, ['secret word'], numbered(1, 7));
    await rig.append(partition, ['secret word'], numbered(1, 7));
    assert.deepEqual(await rig.textsFrom(partition, 0), ['secret word']);
    const names = await disk.list(`/data/groups/${partition.uuid}`);
    for (const name of names) {
      const bytes = disk.contentOf(`/data/groups/${partition.uuid}/${name}`);
      assert.ok(!new TextDecoder('latin1').decode(bytes).includes('secret'));
    }
  });
});

function numbered(request: number, checksumLow: number): RequestNumber {
  return { client: CLIENT, session: 5, request, checksumLow, checksumHigh: 0 };
}

function refusedWith(code: number): (error: unknown) => boolean {
  return (error) => error instanceof OperatingError && error.code === code;
}

/** Gives what is under way its turns; the disk of the simulator answers within a turn. */
async function settled(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !holds(); turn += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  assert.ok(holds());
}
