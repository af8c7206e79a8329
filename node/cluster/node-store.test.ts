import assert from 'node:assert/strict';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { OperatingError } from '@iggy-ts/wire/status';
import { LogDamaged } from '../log/damage.ts';
import { SystemDisk } from '../log/file.ts';
import { FolderLock } from '../log/lock-file.ts';
import { FolderRefused } from './identity.ts';
import { createTopic, execute, partitionOf, Rig, SETTINGS } from './rig.ts';
import { partitionSettingsOf } from './topology.ts';

const DAY_MS = 24 * 3600 * 1000;
const CALLER = { caller: null, streamId: { kind: 'id', id: 0 } } as const;
const TOPIC = { ...CALLER, topicId: { kind: 'id', id: 0 } } as const;

describe('NodeStore on a real folder', () => {
  let parent: string;
  let data: string;
  let rig: Rig;

  beforeEach(async () => {
    parent = await mkdtemp(`${tmpdir()}/node-store-`);
    data = `${parent}/data`;
    rig = new Rig(data, new SystemDisk());
  });

  afterEach(async () => {
    assert.deepEqual(rig.fatal, []);
    assert.equal(rig.pool.takenBytes, 0);
    await rm(parent, { recursive: true });
  });

  it('keeps identity, metadata, messages and offsets over a restart', async () => {
    let store = await rig.open();
    const { identity } = store;
    const [partition] = await createTopic(store, 't', { partitions: 1 });
    await execute(store, { ...TOPIC, kind: 'createConsumerGroup', name: 'g' });
    const [group] = store.metadata.state.groups({ streamId: 0, id: 0 });
    assert.equal((await rig.append(partition!, ['a', 'b'])).baseOffset, 0);
    assert.equal((await rig.append(partition!, ['c'])).baseOffset, 2);
    await partition!.storeOffset({ kind: 'consumer', id: 7, offset: 1, numbering: null });
    partition!.autoCommit('group', group!.id, 2);
    await store.close();

    store = await rig.open();
    assert.deepEqual(store.identity, identity);
    const again = partitionOf(store, partition!.uuid);
    assert.deepEqual(await rig.textsFrom(again, 0), ['a', 'b', 'c']);
    assert.equal(again.storedOffset('consumer', 7), 1);
    assert.equal(again.storedOffset('group', group!.id), 2);
    assert.equal((await rig.append(again, ['d'])).baseOffset, 3);
    await store.close();
  });

  it('answers 58 to whatever comes after close, and closes twice in peace', async () => {
    const store = await rig.open();
    const [partition] = await createTopic(store, 't', { partitions: 1 });
    await rig.append(partition!, ['a']);
    await Promise.all([store.close(), store.close()]);
    const late = [
      rig.append(partition!, ['b']),
      partition!.storeOffset({ kind: 'consumer', id: 1, offset: 0, numbering: null }),
      store.metadata.propose({ kind: 'endMemberships', caller: null }, null),
      store.prepare([store.newUuid()], partitionSettingsOf(SETTINGS)),
    ];
    for (const promise of late) await assert.rejects(promise, refusedWith(58));
    assert.throws(() => partition!.autoCommit('consumer', 1, 0), refusedWith(58));
  });

  it('makes up its mind about a folder in use before it reads anything', async () => {
    const store = rig.open({}, () => Promise.reject(new Error('in use')));
    await assert.rejects(store, /in use/u);
    assert.deepEqual(await readdir(data), []);
  });

  it('leaves a folder alone that another store has open, until that is closed', async () => {
    const take = (): Promise<FolderLock> =>
      FolderLock.take({ directory: data, pid: process.pid, procDirectory: '/proc' });
    const store = await rig.open({}, take);
    const [partition] = await createTopic(store, 't', { partitions: 1 });
    await assert.rejects(rig.open({}, take), /in use/u);
    assert.equal((await rig.append(partition!, ['a'])).baseOffset, 0);
    await store.close();
    const next = await rig.open({}, take);
    await next.close();
  });

  it('gives the lock back when it refuses to start, and when it is closed', async () => {
    let held = 0;
    const lock = async (): Promise<{ release(): Promise<void> }> => {
      held += 1;
      return {
        release: async () => {
          held -= 1;
        },
      };
    };
    const store = await rig.open({}, lock);
    assert.equal(held, 1);
    await store.close();
    assert.equal(held, 0);
    await writeFile(`${data}/node.json`, '{');
    await assert.rejects(rig.open({}, lock), FolderRefused);
    assert.equal(held, 0);
  });

  it('refuses data without a readable node.json, with a sentence', async () => {
    const store = await rig.open();
    await store.close();
    const text = await readFile(`${data}/node.json`, 'utf8');
    await writeFile(`${data}/node.json`, text.replace('"format": 1', '"format": 9'));
    await assert.rejects(rig.open(), /has format 9, this release reads 1/u);
    await writeFile(`${data}/node.json`, text.replace('"diskUuid"', '"disk"'));
    await assert.rejects(rig.open(), /lacks an id/u);
    await rm(`${data}/node.json`);
    await assert.rejects(rig.open(), /holds data but no node.json/u);
    await writeFile(`${data}/node.json`, text);
    await (await rig.open()).close();
  });

  it('begins anew what a first start left unfinished', async () => {
    const store = await rig.open();
    await store.close();
    await rename(`${data}/node.json`, `${data}/node.json.tmp`);
    const again = await rig.open();
    assert.notEqual(again.identity.clusterId, store.identity.clusterId);
    await again.close();
  });

  it('refuses to start when the metadata are gone', async () => {
    await (await rig.open()).close();
    await rm(`${data}/meta`, { recursive: true });
    await assert.rejects(rig.open(), LogDamaged);
    await assert.rejects(rig.open({ acceptDataLoss: true }), LogDamaged);
  });

  it('takes a missing partition for damage, never for an empty partition', async () => {
    const store = await rig.open();
    const [lost, kept] = await createTopic(store, 't', { partitions: 2 });
    await rig.append(lost!, ['a']);
    await rig.append(kept!, ['b']);
    await store.close();
    await rm(`${data}/groups/${lost!.uuid}`, { recursive: true });
    const sentence = /partition 0 of topic t .* directory is missing.*--accept-data-loss/u;
    await assert.rejects(rig.open(), sentence);
    await assert.rejects(rig.open(), LogDamaged);

    const again = await rig.open({ acceptDataLoss: true });
    assert.deepEqual(await rig.textsFrom(partitionOf(again, lost!.uuid), 0), []);
    assert.deepEqual(await rig.textsFrom(partitionOf(again, kept!.uuid), 0), ['b']);
    assert.ok(rig.logger.lines.some((line) => line.startsWith('error partition is missing')));
    await again.close();
  });

  it('names every damaged partition at once', async () => {
    const store = await rig.open();
    const partitions = await createTopic(store, 't', { partitions: 3 });
    for (const partition of partitions) await rig.append(partition, ['a']);
    await store.close();
    for (const { uuid } of partitions.slice(1)) {
      const [name] = (await readdir(`${data}/groups/${uuid}`)).filter((n) => n.endsWith('.log'));
      await truncate(`${data}/groups/${uuid}/${name}`, 3);
    }
    await assert.rejects(rig.open(), (error) => {
      assert.ok(error instanceof LogDamaged);
      const reasons = error.faults.map(({ reason }) => reason).join('\n');
      assert.match(reasons, /partition 1 of topic t/u);
      assert.match(reasons, /partition 2 of topic t/u);
      assert.doesNotMatch(reasons, /partition 0 of topic t/u);
      return true;
    });
  });

  it('keeps for a day what no metadata names', async () => {
    await (await rig.open()).close();
    await mkdir(`${data}/groups/stranger`);
    await (await rig.open()).close();
    assert.deepEqual(await readdir(`${data}/groups`), []);
    assert.match((await readdir(`${data}/trash`)).join(), /^unknown-stranger-\d+$/u);
    rig.clock.pass(DAY_MS - 1);
    await (await rig.open()).close();
    assert.equal((await readdir(`${data}/trash`)).length, 1);
    rig.clock.pass(1);
    await (await rig.open()).close();
    assert.deepEqual(await readdir(`${data}/trash`), []);
  });

  it('removes the files of deleted partitions and topics', async () => {
    const store = await rig.open();
    const partitions = await createTopic(store, 't', { partitions: 3 });
    await rig.append(partitions[2]!, ['a']);
    await execute(store, { ...TOPIC, kind: 'deletePartitions', partitionsCount: 1 });
    assert.equal(store.partition(partitions[2]!.uuid), null);
    assert.equal((await readdir(`${data}/groups`)).length, 2);
    await assert.rejects(rig.append(partitions[2]!, ['b']), refusedWith(58));
    assert.deepEqual(await rig.textsFrom(partitions[2]!, 0), []);
    await execute(store, { ...TOPIC, kind: 'deleteTopic' });
    assert.deepEqual(await readdir(`${data}/groups`), []);
    await store.close();
    const again = await rig.open();
    await again.close();
    assert.deepEqual(await readdir(`${data}/trash`), []);
  });

  it('takes back what was prepared and is not named', async () => {
    const store = await rig.open();
    const [partition] = await createTopic(store, 't', { partitions: 1 });
    const uuids = [store.newUuid(), store.newUuid()];
    await store.prepare(uuids, partitionSettingsOf(SETTINGS));
    assert.ok(store.partition(uuids[0]!) !== null);
    await store.discard([...uuids, partition!.uuid]);
    assert.equal(store.partition(uuids[0]!), null);
    assert.ok(store.partition(partition!.uuid) !== null);
    assert.deepEqual(await readdir(`${data}/groups`), [partition!.uuid]);
    await store.close();
  });

  it('empties a purged topic, for good', async () => {
    let store = await rig.open();
    const [partition] = await createTopic(store, 't', { partitions: 1 });
    await rig.append(partition!, ['a', 'b', 'c']);
    await partition!.storeOffset({ kind: 'consumer', id: 1, offset: 2, numbering: null });
    partition!.autoCommit('consumer', 2, 1);
    await execute(store, { ...TOPIC, kind: 'purgeTopic' });
    assert.deepEqual(partition!.stats(), {
      segmentsCount: 1,
      sizeBytes: 0,
      messagesCount: 0,
      firstOffset: 0,
      currentOffset: 0,
    });
    assert.equal(partition!.storedOffset('consumer', 1), null);
    assert.equal(partition!.storedOffset('consumer', 2), null);
    assert.equal((await rig.append(partition!, ['d'])).baseOffset, 0);
    await store.close();
    store = await rig.open();
    assert.deepEqual(await rig.textsFrom(partitionOf(store, partition!.uuid), 0), ['d']);
    await store.close();
  });

  it('opens hundreds of partitions with few open files', async () => {
    let store = await rig.open();
    const partitions = await createTopic(store, 't', { partitions: 200 });
    await Promise.all(partitions.map((partition, index) => rig.append(partition, [`${index}`])));
    await store.close();
    store = await rig.open({ openFilesMax: 16 });
    for (const [index, { uuid }] of partitions.entries()) {
      assert.deepEqual(await rig.textsFrom(partitionOf(store, uuid), 0), [`${index}`]);
    }
    await store.close();
  });
});

function refusedWith(code: number): (error: unknown) => boolean {
  return (error) => error instanceof OperatingError && error.code === code;
}
