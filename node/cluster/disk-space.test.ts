import assert from 'node:assert/strict';
import { OperatingError } from '@iggy-ts/wire/status';
import { Prng } from '../base/prng.ts';
import { SimDisk } from '../sim/disk.ts';
import type { NodeStore } from './node-store.ts';
import type { PartitionGroup } from './port.ts';
import { createTopic, execute, Rig, SETTINGS } from './rig.ts';
import { partitionSettingsOf } from './topology.ts';

const MIB = 1024 * 1024;
const TOPIC = {
  caller: null,
  streamId: { kind: 'id', id: 0 },
  topicId: { kind: 'id', id: 0 },
} as const;

describe('a node on a full or broken disk', () => {
  let disk: SimDisk;
  let rig: Rig;
  let store: NodeStore;
  let partition: PartitionGroup;

  beforeEach(async () => {
    disk = new SimDisk({ capacityBytes: 64 * MIB }, { prng: new Prng(1) });
    rig = new Rig('/data', disk);
    store = await rig.open({ diskReserveBytes: MIB });
    [partition] = (await createTopic(store, 't', { partitions: 1 })) as [PartitionGroup];
    await rig.append(partition, ['a', 'b']);
  });

  /** Leaves so many bytes free and lets the store notice. */
  async function leave(freeBytes: number): Promise<void> {
    disk.setCapacity(disk.usedBytes + freeBytes);
    rig.clock.pass(1000);
    await turns();
  }

  it('refuses appends below the reserve, and nothing else', async () => {
    await leave(MIB - 1);
    assert.ok(store.diskFull);
    await assert.rejects(rig.append(partition, ['c']), refusedWith(10005));
    assert.deepEqual(await rig.textsFrom(partition, 0), ['a', 'b']);
    await partition.storeOffset({ kind: 'consumer', id: 1, offset: 1, numbering: null });
    partition.autoCommit('consumer', 2, 1);
    await partition.deleteOffset({ kind: 'consumer', id: 1, numbering: null });
    await execute(store, { ...TOPIC, kind: 'purgeTopic' });
    await execute(store, { ...TOPIC, kind: 'deleteTopic' });
    await store.close();
  });

  it('takes appends again when there is space, and says both', async () => {
    await leave(MIB - 1);
    await leave(2 * MIB);
    assert.ok(!store.diskFull);
    assert.equal((await rig.append(partition, ['c'])).baseOffset, 2);
    const said = rig.logger.lines.filter((line) => line.includes('disk'));
    assert.deepEqual(said, [
      'error disk below its reserve, appends are refused until space is free',
      'info disk has space again, appends go on',
    ]);
    await store.close();
  });

  it('looks at once when a write finds no room', async () => {
    disk.setCapacity(disk.usedBytes + 10);
    await assert.rejects(rig.append(partition, ['c']), refusedWith(10005));
    await turns();
    assert.ok(store.diskFull);
    await leave(2 * MIB);
    assert.equal((await rig.append(partition, ['d'])).baseOffset, 2);
    assert.deepEqual(await rig.textsFrom(partition, 0), ['a', 'b', 'd']);
    await store.close();
  });

  it('does not take ignorance of the free space for a full disk', async () => {
    disk.freeBytes = () => Promise.reject(new Error('no statfs'));
    rig.clock.pass(1000);
    await turns();
    assert.ok(!store.diskFull);
    await store.close();
  });

  it('keeps what was acknowledged through every kind of full disk, and stops in peace', async () => {
    for (const room of [0, 100, 256, 300, 700]) {
      disk.setCapacity(disk.usedBytes + room);
      await Promise.allSettled([
        rig.append(partition, ['x'.repeat(room)]),
        rig.append(partition, ['y']),
        partition.storeOffset({ kind: 'consumer', id: 1, offset: 0, numbering: null }),
        store.metadata.propose({ ...TOPIC, kind: 'updateStream', name: `s${room}` }, null),
      ]);
      await turns();
    }
    disk.setCapacity(disk.usedBytes);
    const before = await rig.textsFrom(partition, 0);
    await store.close();
    disk.powerCycle();
    disk.setCapacity(64 * MIB);
    store = await rig.open();
    const again = store.partition(partition.uuid)!;
    assert.deepEqual(await rig.textsFrom(again, 0), before);
    assert.equal((await rig.append(again, ['z'])).baseOffset, before.length);
    await store.close();
    assert.deepEqual(rig.fatal, []);
  });

  it('leaves nothing behind of partitions that found no room', async () => {
    const uuids = [store.newUuid(), store.newUuid()];
    disk.setCapacity(disk.usedBytes + 300);
    const prepared = store.prepare(uuids, partitionSettingsOf(SETTINGS));
    await assert.rejects(prepared, refusedWith(10005));
    await turns();
    assert.deepEqual(await disk.list('/data/groups'), [partition.uuid]);
    disk.setCapacity(64 * MIB);
    await store.prepare(uuids, partitionSettingsOf(SETTINGS));
    await store.close();
  });

  it('ends the process when a sync fails, and acknowledges nothing more', async () => {
    disk.onStep = (kind) => (kind === 'sync' ? 'EIO' : null);
    let acknowledged = false;
    void rig.append(partition, ['c']).then(() => {
      acknowledged = true;
    });
    await turns();
    assert.equal(rig.fatal.length, 1);
    assert.ok(!acknowledged);
  });

  it('opens with a reserve that is already touched', async () => {
    await store.close();
    disk.setCapacity(disk.usedBytes + 1000);
    store = await rig.open({ diskReserveBytes: MIB });
    assert.ok(store.diskFull);
    assert.deepEqual(await rig.textsFrom(store.partition(partition.uuid)!, 0), ['a', 'b']);
    await store.close();
  });
});

/** The disk of the simulator answers within a turn. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

function refusedWith(code: number): (error: unknown) => boolean {
  return (error) => error instanceof OperatingError && error.code === code;
}
