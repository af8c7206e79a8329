import assert from 'node:assert/strict';
import { Pool } from '../base/pool.ts';
import { Kernel } from '../kernel/kernel.ts';
import { LogWorld } from '../sim/log-world.ts';
import { LogDamaged } from './damage.ts';
import { OP_BYTES, OP_KIND } from './op-header.ts';

// What cannot come from a power failure is reported with file, range and op, and nothing is
// changed; accepting the loss leaves a log that opens cleanly from then on.

const pool = new Pool({ bytes: 16 * 1024 * 1024, slotBytesMax: 4 * 1024 * 1024 });
const kernel = new Kernel(pool);

const FIRST = '00000000000000000001';

async function newWorld(seed = 1): Promise<LogWorld> {
  const options = { seed, policy: 'always', segmentBytes: 1_000_000 } as const;
  const world = new LogWorld(options, { pool, kernel });
  await world.create();
  return world;
}

function pathOf(world: LogWorld, name: string): string {
  return `${world.options.directory}/${name}`;
}

function flip(at: number): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => {
    assert(at < bytes.length);
    bytes[at]! ^= 0x10;
    return bytes;
  };
}

function cut(size: number): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => bytes.slice(0, size);
}

function clear(at: number, end: number): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => bytes.fill(0, at, end);
}

/** Every byte of every file, to see that nothing was changed. */
async function contents(world: LogWorld): Promise<{ [name: string]: Uint8Array }> {
  const all: { [name: string]: Uint8Array } = {};
  for (const name of await world.disk.list(world.options.directory)) {
    all[name] = world.disk.contentOf(pathOf(world, name));
  }
  return all;
}

async function refuses(world: LogWorld, expected: RegExp): Promise<LogDamaged> {
  const before = await contents(world);
  let damaged: unknown;
  await assert.rejects(
    world.open(),
    (error) => {
      damaged = error;
      return error instanceof LogDamaged && expected.test(error.message);
    },
    `the message is like ${expected}`,
  );
  assert.deepEqual(await contents(world), before, 'nothing was changed');
  return damaged as LogDamaged;
}

/** Loss is accepted once; the log that is left opens without, is dense and takes appends. */
async function acceptsLoss(world: LogWorld, headOp: number): Promise<void> {
  const log = await world.open({ acceptDataLoss: true });
  assert.equal(log.headOp, headOp);
  world.toldOp = headOp;
  await world.log.replay(1, () => undefined, { bodies: false });
  await world.append(2);
  await world.log.close();
  await world.open();
  assert.equal(world.log.headOp, headOp + 1);
  await world.verify();
}

describe('recovery', () => {
  afterEach(() => assert.equal(pool.takenBytes, 0));

  it('cuts a last op whose slot, or part of it, never reached the disk', async () => {
    for (const size of [3 * OP_BYTES, 3 * OP_BYTES + 1, 4 * OP_BYTES - 1]) {
      const world = await newWorld();
      for (let index = 0; index < 3; index += 1) await world.append(1);
      world.disk.damage(pathOf(world, `${FIRST}.ops`), cut(size));
      // The third op was told, but no header says so: the disk looks as if it had not been.
      world.toldOp = 2;
      assert.equal((await world.open()).headOp, 2);
      await world.verify();
    }
  });

  it('cuts a last op whose slot is zero or whose body is cut short', async () => {
    for (const body of [true, false]) {
      const world = await newWorld();
      for (let index = 0; index < 3; index += 1) await world.append(1);
      const path = pathOf(world, body ? `${FIRST}.log` : `${FIRST}.ops`);
      world.disk.damage(path, (bytes) => (body ? bytes.slice(0, -1) : bytes.fill(0, 3 * OP_BYTES)));
      world.toldOp = 2;
      assert.equal((await world.open()).headOp, 2);
      await world.verify();
    }
  });

  it('refuses a slot in the middle that is zero or wrong', async () => {
    for (const damage of [clear(2 * OP_BYTES, 3 * OP_BYTES), flip(2 * OP_BYTES + 99)]) {
      const world = await newWorld();
      for (let index = 0; index < 5; index += 1) await world.append(1);
      world.disk.damage(pathOf(world, `${FIRST}.ops`), damage);
      const { faults } = await refuses(world, /op 2/);
      assert.equal(faults[0]!.byteFirst, 2 * OP_BYTES);
      assert.equal(faults[0]!.byteEnd, 3 * OP_BYTES);
      await acceptsLoss(world, 1);
    }
  });

  it('refuses any flipped bit of any slot of a log without snapshots', async () => {
    const world = await newWorld();
    for (let index = 0; index < 4; index += 1) await world.append(1);
    const path = pathOf(world, `${FIRST}.ops`);
    for (let at = OP_BYTES; at < 5 * OP_BYTES; at += 37) {
      const op = Math.floor(at / OP_BYTES);
      world.disk.damage(path, flip(at));
      await refuses(world, new RegExp(`ops bytes ${op * OP_BYTES} to .*op ${op},`));
      world.disk.damage(path, flip(at));
    }
    await world.open();
    await world.verify();
  });

  it('refuses a flipped bit in the last body, and names the offsets', async () => {
    const world = await newWorld();
    await world.append(3, 300);
    await world.append(2, 300);
    world.disk.damage(pathOf(world, `${FIRST}.log`), (bytes) => flip(bytes.length - 1)(bytes));
    const { faults } = await refuses(world, /log bytes \d+ to \d+ \(op 2, offsets 3 to 4\)/);
    assert.equal(faults.length, 1);
    await acceptsLoss(world, 1);
  });

  it('does not read bodies that are known durable, a read finds what is wrong', async () => {
    const world = await newWorld();
    await world.append(20, 300);
    for (let index = 0; index < 2; index += 1) await world.append(1, 300);
    world.disk.damage(pathOf(world, `${FIRST}.log`), flip(305));
    await world.open();
    await assert.rejects(world.read(0, 1, 1000), { code: 4027 });
    assert.equal((await world.read(20, 10, 100_000)).length, 2);
  });

  it('refuses a log that ends before the op of its snapshot', async () => {
    const world = await newWorld();
    for (let index = 0; index < 3; index += 1) await world.append(1);
    await world.saveSnapshot();
    world.disk.damage(pathOf(world, `${FIRST}.ops`), cut(3 * OP_BYTES));
    await refuses(world, /ends before its snapshot|is missing/);
    await acceptsLoss(world, 2);
  });

  it('refuses a `.log` that ends before an op known durable', async () => {
    const world = await newWorld();
    for (let index = 0; index < 5; index += 1) await world.append(1);
    world.disk.damage(pathOf(world, `${FIRST}.log`), cut(10));
    await refuses(world, /the file ends before it does/);
    await acceptsLoss(world, 0);
  });

  it('falls back to the older snapshot when the newest is not whole', async () => {
    for (const damage of [flip(3), flip(70), cut(100), cut(10), cut(0)]) {
      const world = await newWorld();
      await world.append(1);
      await world.saveSnapshot();
      await world.append(1);
      await world.saveSnapshot();
      world.disk.damage(pathOf(world, '00000000000000000002.snap'), damage);
      assert.equal((await world.open()).snapshot?.op, 1);
      await world.verify();
      assert(
        !(await world.disk.list(world.options.directory)).includes('00000000000000000002.snap'),
      );
    }
  });

  it('refuses a missing directory, an empty one and one without the first ops', async () => {
    const world = await newWorld();
    await world.append(1);
    await world.roll();
    await world.append(1);
    await world.close();
    await world.disk.removeFile(pathOf(world, `${FIRST}.ops`));
    await world.disk.removeFile(pathOf(world, `${FIRST}.log`));
    await refuses(world, /ops before it are missing/);
    await assert.rejects(world.open({ acceptDataLoss: true }), LogDamaged);
    await world.disk.removeDir(world.options.directory);
    await refuses(world, /there is no segment/);
    await assert.rejects(world.open({ acceptDataLoss: true }), LogDamaged);
  });

  it('refuses files of another group or cluster, of a newer format or another name', async () => {
    const world = await newWorld();
    await world.append(1);
    const other = new Uint8Array(16).fill(5);
    await assert.rejects(world.open({ group: other }), /another group/);
    await assert.rejects(world.open({ cluster: other }), /another cluster/);
    world.disk.damage(pathOf(world, `${FIRST}.ops`), flip(40));
    await refuses(world, /checksum is wrong/);
    await acceptsLoss(world, 1);
  });

  it('reports what the device cannot read', async () => {
    const world = await newWorld();
    await world.append(1);
    await world.append(1);
    world.disk.onStep = (kind, path) => (kind === 'read' && path.endsWith('.ops') ? 'EIO' : null);
    await refuses(world, /cannot be read/);
    world.disk.onStep = (kind, path) => (kind === 'read' && path.endsWith('.log') ? 'EIO' : null);
    await refuses(world, /the device cannot read it/);
    world.disk.onStep = () => null;
    await world.open();
    await world.verify();
  });

  it('refuses an op that does not follow the one before it', async () => {
    const [one, two] = [await newWorld(1), await newWorld(2)];
    for (const world of [one, two]) {
      for (let index = 0; index < 3; index += 1) await world.append(1);
    }
    // A whole slot of another history in its own place: a misdirected or lost write.
    const foreign = two.disk.contentOf(pathOf(two, `${FIRST}.ops`));
    one.disk.damage(pathOf(one, `${FIRST}.ops`), (bytes) => {
      bytes.set(foreign.subarray(2 * OP_BYTES, 3 * OP_BYTES), 2 * OP_BYTES);
      return bytes;
    });
    await refuses(one, /op 2, .*does not follow/);
  });
});

describe('recovery of sealed segments', () => {
  async function twoSegments(): Promise<LogWorld> {
    const world = await newWorld();
    await world.append(2, 200);
    await world.append(3, 200);
    await world.roll();
    await world.append(4, 200);
    return world;
  }

  const damages: readonly [string, string, (bytes: Uint8Array) => Uint8Array][] = [
    ['the header is wrong', 'ops', flip(100)],
    ['the last op is wrong', 'ops', flip(3 * OP_BYTES + 20)],
    ['the ops are cut', 'ops', cut(3 * OP_BYTES)],
    ['the ops are empty', 'ops', cut(0)],
    ['the bodies are cut', 'log', cut(100)],
    ['the bodies are longer', 'log', (bytes) => new Uint8Array([...bytes, 1])],
  ];
  for (const [name, extension, damage] of damages) {
    it(`refuses one when ${name}, and once accepted keeps the rest`, async () => {
      const world = await twoSegments();
      world.disk.damage(pathOf(world, `${FIRST}.${extension}`), damage);
      await refuses(world, new RegExp(`${FIRST}\\.${extension}`));
      const log = await world.open({ acceptDataLoss: true });
      await log.replay(1, () => undefined, { bodies: false });
      assert.equal(log.nextOffset, 9);
      assert.equal((await world.read(5, 10, 100_000)).length, 4);
      await world.append(1);
      await world.close();
      await world.open();
      await world.log.replay(1, () => undefined, { bodies: false });
      assert.equal((await world.read(9, 10, 100_000)).length, 1);
      // What can still be found is served, the rest is an error, never other messages.
      for (let offset = 0; offset < 5; offset += 1) {
        const [found] = await Promise.allSettled([world.read(offset, 1, 10)]);
        if (found!.status === 'rejected') assert([4027, 4039].includes(found!.reason.code));
        else assert.deepEqual(found!.value, [world.messages()[offset]]);
      }
    });
  }

  it('refuses one whose files are missing', async () => {
    for (const extension of ['ops', 'log']) {
      const world = await twoSegments();
      await world.disk.removeFile(pathOf(world, `${FIRST}.${extension}`));
      await refuses(world, extension === 'ops' ? /it does not end|cannot/ : /file is missing/);
    }
  });

  it('meets a wrong op in the middle of one in the replay', async () => {
    const world = await twoSegments();
    world.disk.damage(pathOf(world, `${FIRST}.ops`), flip(OP_BYTES + 30));
    await world.open();
    const seen: number[] = [];
    const replay = (): Promise<void> =>
      world.log.replay(1, (fields) => seen.push(fields.op), { bodies: true });
    await assert.rejects(replay(), /op 1, .*not readable/);
    await world.open({ acceptDataLoss: true });
    await replay();
    assert.deepEqual(seen, [2, 3, 4]);
    // Accepted once is accepted.
    await world.open();
    await replay();
    assert.deepEqual(seen, [2, 3, 4, 2, 3, 4]);
  });

  it('meets a wrong body in the replay of a group that needs bodies', async () => {
    const world = await newWorld();
    const bodies = [10, 20, 30].map((size) => new Uint8Array(size).fill(size));
    for (const body of bodies) await world.propose(OP_KIND.command, [], body);
    await world.open();
    const seen: number[] = [];
    const replay = (): Promise<void> =>
      world.log.replay(2, (_, body) => seen.push(body!.length), { bodies: true });
    await replay();
    assert.deepEqual(seen, [20, 30]);
    world.disk.damage(pathOf(world, `${FIRST}.log`), flip(15));
    await world.open();
    await assert.rejects(replay(), /log bytes 10 to 30 \(op 2, no messages\): the body is wrong/);
  });
});

describe('the start of a log', () => {
  it('reads a bounded number of bytes, whatever is stored', async () => {
    for (const batches of [4, 40]) {
      const world = await newWorld();
      for (let segment = 0; segment < 3; segment += 1) {
        for (let index = 0; index < batches; index += 1) await world.append(3, 4000);
        if (segment < 2) await world.roll();
      }
      await world.saveSnapshot();
      await world.append(1, 100);
      const before = world.disk.bytesRead;
      await world.open();
      await world.log.replay(world.toldOp, () => undefined, { bodies: false });
      assert(world.disk.bytesRead - before < 4000);
    }
  });

  it('after a crash reads the bodies behind the last op known committed, and no other', async () => {
    const world = await newWorld();
    for (let index = 0; index < 50; index += 1) await world.append(1, 4000);
    const before = world.disk.bytesRead;
    await world.open();
    assert(world.disk.bytesRead - before < 51 * OP_BYTES + 5000);
  });
});
