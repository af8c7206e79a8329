import assert from 'node:assert/strict';
import { Pool } from '../base/pool.ts';
import { Kernel } from '../kernel/kernel.ts';
import { LogWorld } from '../sim/log-world.ts';
import { OPS_PER_SEGMENT_MAX } from './limits.ts';
import { OP_KIND } from './op-header.ts';
import type { SyncPolicy } from './sync-rounds.ts';

const pool = new Pool({ bytes: 16 * 1024 * 1024, slotBytesMax: 4 * 1024 * 1024 });
const kernel = new Kernel(pool);

async function newWorld(policy: SyncPolicy = 'always'): Promise<LogWorld> {
  const world = new LogWorld({ seed: 1, policy, segmentBytes: 10_000 }, { pool, kernel });
  await world.create();
  return world;
}

/** Names and sizes of the files. */
async function files(world: LogWorld): Promise<string[]> {
  const { directory } = world.options;
  return (await world.disk.list(directory)).sort().map((name) => {
    const { length } = world.disk.contentOf(`${directory}/${name}`);
    return `${Number(name.slice(0, 20))}${name.slice(20)} ${length}`;
  });
}

describe('the log of a group', () => {
  it('is empty when it is new, and durable at once', async () => {
    const world = await newWorld();
    const { log } = world;
    world.disk.powerCycle();
    assert.deepEqual(await files(world), ['1.log 0', '1.ops 256']);
    for (const found of [log, await world.open()]) {
      const { headOp, nextOffset, firstOffset, sizeBytes, messagesCount, snapshot } = found;
      assert.deepEqual(
        [headOp, nextOffset, firstOffset, sizeBytes, messagesCount],
        [0, 0, 0, 0, 0],
      );
      assert.equal(snapshot, null);
      assert.equal(found.segments().length, 1);
    }
  });

  it('stores bodies as they are, back to back, and one slot of 256 bytes per op', async () => {
    const world = await newWorld();
    const bodies = [new Uint8Array(10).fill(1), new Uint8Array(0), new Uint8Array(300).fill(2)];
    await Promise.all(bodies.map((body) => world.propose(OP_KIND.command, [], body)));
    await world.propose(OP_KIND.noop);
    assert.deepEqual(await files(world), ['1.log 310', '1.ops 1280']);
    const log = world.disk.contentOf(`${world.options.directory}/00000000000000000001.log`);
    assert.deepEqual(log, new Uint8Array([...bodies[0]!, ...bodies[2]!]));
    assert.equal(world.log.sizeBytes, 310);
  });

  it('writes bodies that lie in the pool', async () => {
    const world = await newWorld();
    const at = pool.take(5000);
    pool.bytes.fill(7, at, at + 5000);
    await world.propose(OP_KIND.command, [], pool.bytes.subarray(at, at + 5000));
    pool.give(at);
    await world.open();
    const seen: Uint8Array[] = [];
    await world.log.replay(1, (_, body) => seen.push(body!.slice()), { bodies: true });
    assert.deepEqual(seen, [new Uint8Array(5000).fill(7)]);
  });

  it('carries what arrives during a round in the next one: two writes and two syncs each', async () => {
    const world = await newWorld();
    const steps: string[] = [];
    world.disk.onStep = (kind) => {
      if (kind !== 'read') steps.push(kind);
      return null;
    };
    const first = world.append(1);
    // Once the first round is on its way.
    while (steps.length === 0) await null;
    await Promise.all([first, ...[1, 2, 3, 4].map((count) => world.append(count))]);
    const round = ['write', 'write', 'sync', 'sync'];
    assert.deepEqual(steps, [...round, ...round]);
  });

  it('syncs nothing under `os` until it is asked to, and then once', async () => {
    const world = await newWorld('os');
    let syncs = 0;
    world.disk.onStep = (kind) => {
      if (kind === 'sync') syncs += 1;
      return null;
    };
    await world.append(1);
    await world.append(1);
    assert.equal(syncs, 0);
    await world.log.sync();
    await world.log.sync();
    assert.equal(syncs, 2);
    await world.append(1);
    await world.saveSnapshot();
    // The log before the snapshot, then the snapshot itself.
    assert.equal(syncs, 5);
  });

  it('calls for a roll when a body would pass the segment size, but never for the first', async () => {
    const world = await newWorld();
    const { log } = world;
    assert(!log.needsRoll(50_000));
    await world.propose(OP_KIND.noop);
    assert(!log.needsRoll(50_000));
    await world.propose(OP_KIND.command, [], new Uint8Array(9_000));
    assert(!log.needsRoll(1_000) && log.needsRoll(1_001));
    await world.roll();
    assert(!log.needsRoll(50_000));
  });

  it('calls for a roll when the ops of a segment are used up', async function () {
    const world = await newWorld('os');
    const { log } = world;
    let left = OPS_PER_SEGMENT_MAX;
    assert(!log.needsRoll(0));
    // In groups, for the sake of time; the model of the world is not needed here.
    const fields = { view: 0, epoch: 1, kind: OP_KIND.noop, flags: 0, client: '0'.repeat(32) };
    const numbers = { session: 0, request: 0, requestChecksumLow: 0, requestChecksumHigh: 0 };
    const place = { timestampUs: 1, offsetFirst: 0, count: 0, bodyBytes: 0, commit: 0 };
    const all = { ...fields, ...numbers, ...place, inline: new Uint8Array(0) };
    this.timeout(20_000);
    for (let op = 1; op < OPS_PER_SEGMENT_MAX; op += 1) {
      assert(!log.needsRoll(0));
      log.append(log.prepare({ ...all, op }, null), null, op);
      left -= 1;
      if (op % 4096 === 0) await log.sync();
    }
    assert(log.needsRoll(0));
    const op = OPS_PER_SEGMENT_MAX;
    assert.equal(left, 1);
    log.append(log.prepare({ ...all, op, kind: OP_KIND.roll }, null), null, op);
    await log.sync();
    await log.applyRoll(op);
    assert(!log.needsRoll(0));
  });

  it('rolls into new files, made with their first op', async () => {
    const world = await newWorld();
    await world.append(2, 100);
    await world.roll();
    assert.equal((await files(world)).length, 2);
    assert.deepEqual(
      world.log
        .segments()
        .map(({ offsetFirst, offsetEnd, sealed }) => [offsetFirst, offsetEnd, sealed]),
      [
        [0, 2, true],
        [2, 2, false],
      ],
    );
    await world.append(3, 100);
    assert.equal((await files(world)).length, 4);
    const [first, second] = world.log.segments();
    assert.equal(first!.bytes + second!.bytes, world.log.sizeBytes);
    assert(first!.timestampLastUs <= second!.timestampLastUs);
    assert.equal(second!.timestampLastUs, world.log.lastTimestampUs);
    assert.equal(second!.offsetEnd, 5);
  });

  it('trims whole sealed segments only, and their ops when two snapshots cover them', async () => {
    const world = await newWorld();
    for (let index = 0; index < 3; index += 1) {
      await world.append(2, 100);
      await world.roll();
    }
    await world.append(1, 100);
    await world.trim(3);
    assert.equal(world.log.firstOffset, 2);
    const names = async (): Promise<string> =>
      (await files(world)).map((f) => f.split(' ')[0]).join();
    assert.equal(await names(), '1.trim,3.log,3.ops,5.log,5.ops,7.log,7.ops');
    await world.trim(100);
    assert.equal(world.log.firstOffset, 6);
    assert.equal(await names(), '1.trim,3.trim,5.trim,7.log,7.ops');
    await world.saveSnapshot();
    assert.equal(await names(), '1.trim,3.trim,5.trim,7.log,7.ops,7.snap');
    await world.append(1, 100);
    await world.saveSnapshot();
    assert.equal(await names(), '7.log,7.ops,7.snap,8.snap');
    await world.append(1, 100);
    await world.saveSnapshot();
    assert.equal(await names(), '7.log,7.ops,8.snap,9.snap');
    assert.equal(world.log.messagesCount, 3);
  });

  it('drops segments without messages below the older snapshot', async () => {
    const world = await newWorld();
    for (let index = 0; index < 3; index += 1) {
      await world.propose(OP_KIND.command, [], new Uint8Array(100));
      await world.saveSnapshot();
      await world.roll();
    }
    await world.log.dropBelowSnapshots();
    const names = (await files(world)).map((file) => file.split(' ')[0]).join();
    assert.equal(names, '3.log,3.ops,3.snap,5.log,5.ops,5.snap');
    await world.open();
    assert.equal(world.log.snapshot?.op, 5);
    await world.verify();
  });

  it('starts again at offset 0 behind a purge, with one empty segment', async () => {
    const world = await newWorld();
    await world.append(2);
    await world.roll();
    await world.append(3);
    await world.purge();
    for (const log of [world.log, await world.open()]) {
      assert.deepEqual(
        [log.nextOffset, log.firstOffset, log.sizeBytes, log.messagesCount],
        [0, 0, 0, 0],
      );
      const segments = log.segments();
      assert.equal(segments.length, 1);
      assert.deepEqual([segments[0]!.offsetFirst, segments[0]!.offsetEnd], [0, 0]);
      assert.equal(await log.offsetAtTime(0, 0), 0);
    }
    await world.append(2);
    assert.equal((await world.read(0, 10, 10_000)).length, 2);
    await world.verify();
  });

  it('is as before after a full disk: reads go on, appends again when there is space', async () => {
    const world = await newWorld();
    await world.append(3, 300);
    const before = await files(world);
    for (const room of [0, 1, 255, 256, 300, 600]) {
      world.disk.setCapacity(world.disk.usedBytes + room);
      const appends = [world.append(2, 3000), world.append(4, 3000)];
      for (const append of appends) await assert.rejects(append, { code: 10_005 });
      assert.deepEqual(await files(world), before);
      assert.deepEqual([world.log.headOp, world.log.nextOffset], [1, 3]);
      assert.equal((await world.read(0, 10, 10_000)).length, 3);
    }
    world.disk.setCapacity(1_000_000);
    await world.append(2);
    await world.open();
    await world.verify();
    assert.equal(world.log.nextOffset, 5);
  });

  it('fails what was prepared behind an append that failed, too', async () => {
    const world = await newWorld();
    await world.append(1);
    world.disk.setCapacity(world.disk.usedBytes);
    let isCut = false;
    world.disk.onStep = (kind) => {
      if (kind === 'truncate') isCut = true;
      return null;
    };
    const first = assert.rejects(world.append(1), { code: 10_005 });
    while (!isCut) await null;
    // The files are being cut: this op was prepared on top of the one that is going.
    const second = assert.rejects(world.append(1), { code: 10_005 });
    await Promise.all([first, second]);
    world.disk.setCapacity(1_000_000);
    await world.append(1);
    assert.equal(world.log.headOp, 2);
    await world.open();
    await world.verify();
  });

  it('takes EDQUOT for a full disk, and any other error of a write for the end', async () => {
    for (const [code, expected] of [
      ['EDQUOT', /Disk is full/],
      ['EIO', /the process has to end/],
      ['EBADF', /the process has to end/],
    ] as const) {
      const world = await newWorld();
      world.disk.onStep = (kind) => (kind === 'write' ? code : null);
      await assert.rejects(world.append(1), expected);
    }
  });

  it('counts an error of one file more than a full disk of the other', async () => {
    const world = await newWorld();
    world.disk.onStep = (kind, path) => {
      if (kind !== 'write') return null;
      return path.endsWith('.log') ? 'ENOSPC' : 'EIO';
    };
    await assert.rejects(world.append(1), /the process has to end/);
  });

  it('ends with any error of a sync, even a full disk, and tries none again', async () => {
    for (const code of ['EIO', 'ENOSPC', 'EDQUOT']) {
      const world = await newWorld();
      await world.append(1);
      let syncs = 0;
      world.disk.onStep = (kind) => {
        if (kind !== 'sync') return null;
        syncs += 1;
        return code;
      };
      await assert.rejects(world.append(1), /the process has to end/);
      world.disk.onStep = () => null;
      await assert.rejects(world.log.sync(), /the process has to end/);
      await assert.rejects(world.log.applyTrim(0), /the process has to end/);
      assert.equal(syncs, 2);
      assert.equal(world.toldOp, 1);
    }
  });

  it('keeps its snapshots when a new one cannot be written', async () => {
    const world = await newWorld();
    await world.append(1);
    await world.saveSnapshot();
    await world.append(1);
    world.disk.setCapacity(world.disk.usedBytes);
    await assert.rejects(world.saveSnapshot(), { code: 'ENOSPC' });
    world.disk.setCapacity(1_000_000);
    assert.equal((await world.open()).snapshot?.op, 1);
    await world.verify();
    assert.equal(world.log.snapshot, null);
  });

  it('makes everything durable when it is closed, under any policy', async () => {
    const world = await newWorld('os');
    await world.append(3);
    await world.append(3);
    await world.close();
    world.disk.powerCycle();
    assert.equal((await world.open()).headOp, 2);
    await world.verify();
    await world.log.close();
    await world.log.close();
  });

  it('asserts that ops come in order and are appended as prepared', async () => {
    const world = await newWorld();
    const { log } = world;
    await world.append(2);
    const fields = {
      ...{ op: 2, view: 0, epoch: 1, commit: 0, kind: OP_KIND.noop, flags: 0, session: 0 },
      ...{ client: '0'.repeat(32), request: 0, requestChecksumLow: 0, requestChecksumHigh: 0 },
      ...{ timestampUs: log.lastTimestampUs, offsetFirst: 2, count: 0, bodyBytes: 0 },
      inline: new Uint8Array(0),
    };
    for (const wrong of [
      { op: 3 },
      { op: 1 },
      { offsetFirst: 1 },
      { timestampUs: fields.timestampUs - 1 },
      { bodyBytes: 1 },
    ]) {
      assert.throws(() => log.prepare({ ...fields, ...wrong }, null), { code: 'ERR_ASSERTION' });
    }
    const header = log.prepare(fields, null);
    log.prepare({ ...fields, op: 3 }, null);
    assert.throws(() => log.append(header, null, 9), { code: 'ERR_ASSERTION' });
  });
});
