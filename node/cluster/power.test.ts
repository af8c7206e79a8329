import assert from 'node:assert/strict';
import { Prng } from '../base/prng.ts';
import { LogDamaged } from '../log/damage.ts';
import { SimDisk } from '../sim/disk.ts';
import type { NodeStore } from './node-store.ts';
import type { PartitionGroup } from './port.ts';
import { createTopic, execute, partitionOf, Rig } from './rig.ts';

// The power goes behind every step of the disk in turn, in a life with all that changes files:
// first start, topics, appends over several segments, offsets, DeleteSegments, purge, deletion,
// clean stop. What was acknowledged must be there afterwards, and the node must start by itself.

const CAPACITY_BYTES = 64 * 1024 * 1024;
const SEGMENT_BYTES = 1500;
const SEED = 5000;
/** Each part takes a second or less. */
const PARTS = 4;
/** A restart takes about as many steps. */
const RESTART_STEPS = 40;
const TOPIC = {
  caller: null,
  streamId: { kind: 'id', id: 0 },
  topicId: { kind: 'id', id: 0 },
} as const;
const GONE = { ...TOPIC, topicId: { kind: 'id', id: 1 } } as const;

/** What a client was told, step by step. */
interface Told {
  uuid: string | null;
  /** Acknowledged messages by offset, since the last purge that was begun. */
  messages: Map<number, string>;
  /** Messages that were sent and not acknowledged. */
  pending: Set<string>;
  offset: number | null;
  offsetPending: number | null;
  trimmedTo: number;
  trimPending: number;
  purge: 'none' | 'begun' | 'done';
  deleted: 'none' | 'begun' | 'done';
  goneUuid: string | null;
}

const memory = new Rig('/data', new SimDisk({ capacityBytes: 0 }, { prng: new Prng(0) }));

describe('NodeStore and the power', () => {
  for (let part = 0; part < PARTS; part += 1) {
    it(`loses nothing acknowledged, wherever the power goes (${part + 1} of ${PARTS})`, async () => {
      const whole = new SimDisk({ capacityBytes: CAPACITY_BYTES }, { prng: new Prng(0) });
      await live(new Rig('/data', whole, memory), newTold());
      assert.ok(whole.stepCount > 100);
      for (let step = part; step < whole.stepCount; step += PARTS) await loseAt(step);
    });
  }
});

async function loseAt(step: number): Promise<void> {
  const prng = new Prng(step + SEED);
  const disk = new SimDisk({ capacityBytes: CAPACITY_BYTES }, { prng });
  const told = newTold();
  await dieIn(disk, step, (rig) => live(rig, told));
  // Every other time it goes a second time, in the start that makes up for the first.
  if (prng.below(2) === 1) {
    await dieIn(disk, disk.stepCount + prng.below(RESTART_STEPS), async (rig) => {
      await rig.open();
    });
  }
  try {
    await verify(new Rig('/data', disk, memory), told);
  } catch (cause) {
    throw new Error(`power off behind step ${step}`, { cause });
  }
}

/** Runs a life until the disk fails; what waits for it then waits for ever. */
async function dieIn(disk: SimDisk, step: number, run: (rig: Rig) => Promise<void>): Promise<void> {
  disk.stopAfter(step);
  const rig = new Rig('/data', disk, memory);
  const death = new Promise<void>((resolve) => {
    rig.onDeath = () => resolve();
  });
  // It may end well: a last snapshot or the trash may fail without harm.
  const life = run(rig).catch((error: unknown) => {
    if (error instanceof assert.AssertionError || error instanceof LogDamaged) throw error;
  });
  await Promise.race([life, death]);
  // The disk answers at once, with errors: one turn later nothing of this life moves any more.
  await new Promise<void>((resolve) => setImmediate(resolve));
  disk.powerCycle();
}

async function live(rig: Rig, told: Told): Promise<void> {
  const store = await rig.open();
  const settings = { segmentBytes: SEGMENT_BYTES };
  const [partition] = await createTopic(store, 't', { partitions: 1, settings });
  const [gone] = await createTopic(store, 'gone', { partitions: 1, settings });
  assert(partition !== undefined && gone !== undefined);
  told.uuid = partition.uuid;
  told.goneUuid = gone.uuid;
  await rig.append(gone, ['x']);
  for (let batch = 0; batch < 4; batch += 1) {
    await Promise.all([
      send(rig, partition, told, [`a${batch}`, `b${batch}`]),
      send(rig, partition, told, [`c${batch}${'.'.repeat(700)}`]),
    ]);
  }
  await storeOffset(partition, told);
  await trim(store, partition, told);
  told.deleted = 'begun';
  await execute(store, { ...GONE, kind: 'deleteTopic' });
  told.deleted = 'done';
  await purge(store, told);
  await send(rig, partition, told, ['after']);
  await store.close();
}

async function send(
  rig: Rig,
  partition: PartitionGroup,
  told: Told,
  texts: readonly string[],
): Promise<void> {
  for (const text of texts) told.pending.add(text);
  const { baseOffset } = await rig.append(partition, texts);
  assert(baseOffset !== null);
  for (const [index, text] of texts.entries()) {
    told.pending.delete(text);
    told.messages.set(baseOffset + index, text);
  }
}

async function storeOffset(partition: PartitionGroup, told: Told): Promise<void> {
  told.offsetPending = 4;
  await partition.storeOffset({ kind: 'consumer', id: 1, offset: 4, numbering: null });
  told.offset = 4;
}

async function trim(store: NodeStore, partition: PartitionGroup, told: Told): Promise<void> {
  const trimOffset = partition.sealedEnd(1);
  assert.ok(trimOffset > 0 && trimOffset <= 5, 'the stored offset lets one segment go');
  told.trimPending = trimOffset;
  const { uuid, state } = partition;
  const what = { uuid, purge: state.purge, trimOffset, partitionId: 0 };
  await execute(store, { ...TOPIC, kind: 'deleteSegments', ...what });
  assert.equal(partition.stats().firstOffset, trimOffset);
  told.trimmedTo = trimOffset;
}

async function purge(store: NodeStore, told: Told): Promise<void> {
  told.purge = 'begun';
  await execute(store, { ...TOPIC, kind: 'purgeTopic' });
  told.purge = 'done';
  told.messages.clear();
}

async function verify(rig: Rig, told: Told): Promise<void> {
  const store = await rig.open();
  const { state } = store.metadata;
  if (told.uuid !== null) {
    verifyDeletion(store, told);
    const placement = state.findPartition(told.uuid);
    assert(placement !== null, 'an acknowledged topic is there');
    const partition = partitionOf(store, told.uuid);
    const purged = placement.partition.purge > 0;
    if (told.purge === 'done') assert.ok(purged);
    if (told.purge === 'none') assert.ok(!purged);
    assert.equal(partition.state.purge, placement.partition.purge);
    const { firstOffset } = partition.stats();
    if (!purged) {
      assert.ok(firstOffset === told.trimmedTo || firstOffset === told.trimPending);
      assert.equal(firstOffset, placement.partition.trimOffset);
      const stored = partition.storedOffset('consumer', 1);
      assert.ok(stored === told.offset || stored === told.offsetPending);
    }
    const texts = await rig.textsFrom(partition, firstOffset);
    const found = new Map(texts.map((text, index) => [firstOffset + index, text]));
    if (purged && told.purge === 'begun') told.messages.clear();
    for (const [offset, text] of told.messages) {
      if (offset >= firstOffset) assert.equal(found.get(offset), text);
    }
    for (const [offset, text] of found) {
      assert.ok(told.messages.get(offset) === text || told.pending.has(text));
    }
    const { baseOffset } = await rig.append(partition, ['new']);
    assert.equal(baseOffset, firstOffset + texts.length);
  }
  const [fresh] = await createTopic(store, 'fresh', { partitions: 1 });
  await rig.append(fresh!, ['y']);
  await store.close();
  assert.deepEqual(rig.fatal, []);
}

function verifyDeletion(store: NodeStore, told: Told): void {
  const isThere = store.partition(told.goneUuid!) !== null;
  if (told.deleted === 'none') assert.ok(isThere);
  if (told.deleted === 'done') assert.ok(!isThere);
}

function newTold(): Told {
  return {
    uuid: null,
    messages: new Map(),
    pending: new Set(),
    offset: null,
    offsetPending: null,
    trimmedTo: 0,
    trimPending: 0,
    purge: 'none',
    deleted: 'none',
    goneUuid: null,
  };
}
