import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Prng } from '../base/prng.ts';
import { SECTOR_BYTES, SimDisk } from './disk.ts';

const FILE = '/d/f';

async function newDisk(seed: number, capacityBytes = 1_000_000): Promise<SimDisk> {
  const disk = new SimDisk({ capacityBytes }, { prng: new Prng(seed) });
  await disk.makeDir('/d');
  await disk.syncDir('/');
  return disk;
}

/** A file that is durable, with so many bytes of 1. */
async function newFile(disk: SimDisk, bytes: number): Promise<void> {
  const file = await disk.openFile(FILE, { create: true });
  await file.write([new Uint8Array(bytes).fill(1)], 0);
  await file.sync();
  await file.close();
  await disk.syncDir('/d');
}

/** What was seen over many seeds. */
async function outcomes(run: (disk: SimDisk) => Promise<string>): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let seed = 0; seed < 200; seed += 1) seen.add(await run(await newDisk(seed)));
  return seen;
}

describe('the simulated disk', () => {
  it('reads back what was written, in pieces and with holes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(3000), fc.array(fc.uint8Array({ maxLength: 900 })))),
        async (writes) => {
          const disk = await newDisk(1);
          const file = await disk.openFile(FILE, { create: true });
          const model = new Uint8Array(10_000_000);
          let size = 0;
          for (const [at, pieces] of writes) {
            await file.write(pieces, at);
            let to = at;
            for (const piece of pieces) {
              model.set(piece, to);
              to += piece.length;
            }
            size = Math.max(size, to);
          }
          assert.equal(await file.size(), size);
          const found = new Uint8Array(size + 10);
          assert.equal(await file.readInto(found, 0), size);
          assert.deepEqual(found.subarray(0, size), model.subarray(0, size));
          assert.equal(disk.bytesRead, size);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('keeps what was synced and loses, keeps or tears by sectors what was not', async () => {
    const seen = await outcomes(async (disk) => {
      await newFile(disk, 700);
      const file = await disk.openFile(FILE, { create: false });
      await file.write([new Uint8Array(1500).fill(2)], 700);
      disk.powerCycle();
      const bytes = disk.contentOf(FILE);
      assert.deepEqual(bytes.subarray(0, 700), new Uint8Array(700).fill(1));
      let sectors = '';
      for (let at = 700; at < 2200; ) {
        const end = Math.min(2200, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
        const values = new Set(bytes.subarray(at, end));
        assert(values.size <= 1, 'a sector is not torn');
        sectors += values.size === 0 ? '-' : String([...values][0]);
        at = end;
      }
      return sectors;
    });
    // Nothing, everything, holes, and sizes without bytes.
    for (const outcome of ['----', '2222', '0222', '0000']) assert(seen.has(outcome), outcome);
    assert(seen.size > 8);
  });

  it('never keeps a later write of a sector without the earlier one', async () => {
    const seen = await outcomes(async (disk) => {
      await newFile(disk, 0);
      const file = await disk.openFile(FILE, { create: false });
      await file.write([new Uint8Array(100).fill(1)], 0);
      await file.write([new Uint8Array(100).fill(2)], 100);
      disk.powerCycle();
      const bytes = disk.contentOf(FILE);
      return `${bytes[0] ?? '-'}${bytes[100] ?? '-'}`;
    });
    assert(seen.has('12') && seen.has('1-') && seen.has('--'));
    assert(!seen.has('02'));
  });

  it('keeps or loses a cut that was not synced', async () => {
    const seen = await outcomes(async (disk) => {
      await newFile(disk, 700);
      const file = await disk.openFile(FILE, { create: false });
      await file.truncate(10);
      disk.powerCycle();
      return String(disk.contentOf(FILE).length);
    });
    assert.deepEqual([...seen].sort(), ['10', '700']);
  });

  it('keeps names only after a sync of their directory', async () => {
    const seen = await outcomes(async (disk) => {
      await newFile(disk, 1);
      const file = await disk.openFile('/d/new', { create: true });
      await file.sync();
      await disk.rename(FILE, '/d/other');
      disk.powerCycle();
      return (await disk.list('/d')).sort().join();
    });
    assert.deepEqual([...seen].sort(), ['f', 'f,new', 'new,other', 'other']);
    const synced = await outcomes(async (disk) => {
      await newFile(disk, 1);
      await disk.removeFile(FILE);
      await disk.syncDir('/d');
      disk.powerCycle();
      return (await disk.list('/d')).join();
    });
    assert.deepEqual([...synced], ['']);
  });

  it('loses everything in a directory that has lost its name', async () => {
    const seen = await outcomes(async (disk) => {
      assert.equal(await disk.makeDir('/d/e/f'), '/d/e');
      await disk.syncDir('/d/e');
      disk.powerCycle();
      const [one, two] = [await disk.list('/d'), await disk.list('/d/e')];
      if (one.length === 0) assert.deepEqual(two, []);
      return one.join();
    });
    assert.deepEqual([...seen].sort(), ['', 'e']);
  });

  it('removes directories with what is in them, and lists an absent one as empty', async () => {
    const disk = await newDisk(1);
    await newFile(disk, 5);
    await disk.removeDir('/d');
    await disk.removeDir('/d');
    await disk.removeFile(FILE);
    assert.deepEqual(await disk.list('/d'), []);
    await assert.rejects(disk.openFile(FILE, { create: false }), { code: 'ENOENT' });
    await assert.rejects(disk.openFile(FILE, { create: true }), { code: 'ENOENT' });
    await assert.rejects(disk.rename(FILE, '/x'), { code: 'ENOENT' });
  });

  it('is full when it is full: the part that fits is written', async () => {
    const disk = await newDisk(1, 1000);
    await newFile(disk, 900);
    const file = await disk.openFile(FILE, { create: false });
    assert.equal(await disk.freeBytes(), 100);
    await file.write([new Uint8Array(900).fill(3)], 0);
    await assert.rejects(file.write([new Uint8Array(200)], 900), { code: 'ENOSPC' });
    assert.equal(await file.size(), 1000);
    await file.truncate(0);
    await file.write([new Uint8Array(1000)], 0);
    disk.setCapacity(2000);
    await file.write([new Uint8Array(1000)], 1000);
    assert.equal(disk.usedBytes, 2000);
  });

  it('fails the step that it is told to fail, which then does not happen', async () => {
    const disk = await newDisk(1);
    await newFile(disk, 10);
    const file = await disk.openFile(FILE, { create: false });
    for (const kind of ['write', 'read', 'sync', 'truncate'] as const) {
      disk.onStep = (step, path) => (step === kind && path === FILE ? 'EIO' : null);
      const steps = {
        write: () => file.write([new Uint8Array(20)], 0),
        read: () => file.readInto(new Uint8Array(1), 0),
        sync: () => file.sync(),
        truncate: () => file.truncate(0),
      };
      await assert.rejects(async () => steps[kind](), { code: 'EIO' });
      disk.onStep = () => null;
      assert.equal(await file.size(), 10);
    }
  });

  it('stops behind any step: every later one fails until the power is back', async () => {
    for (let steps = 0; steps < 5; steps += 1) {
      const disk = await newDisk(1);
      const before = disk.stepCount;
      disk.stopAfter(before + steps);
      const run = async (): Promise<void> => {
        const file = await disk.openFile(FILE, { create: true });
        await file.write([new Uint8Array(10)], 0);
        await file.sync();
        await disk.syncDir('/d');
        await disk.removeFile(FILE);
      };
      await assert.rejects(run(), { code: 'EPOWER' });
      assert.equal(disk.stepCount, before + steps);
      await assert.rejects(disk.list('/d'), { code: 'EPOWER' });
      disk.powerCycle();
      await disk.list('/d');
      if (steps === 4) assert.deepEqual(await disk.list('/d'), ['f']);
    }
  });

  it('leaves files that were open dead when the power goes', async () => {
    const disk = await newDisk(1);
    await newFile(disk, 10);
    const file = await disk.openFile(FILE, { create: false });
    disk.powerCycle();
    await assert.rejects(file.readInto(new Uint8Array(1), 0), { code: 'EPOWER' });
    await assert.rejects(file.write([new Uint8Array(1)], 0), { code: 'EPOWER' });
    await file.close();
  });

  it('does not count as synced what is written while a sync is under way', async () => {
    const seen = await outcomes(async (disk) => {
      await newFile(disk, 0);
      const file = await disk.openFile(FILE, { create: false });
      await file.write([new Uint8Array(512).fill(1)], 0);
      const sync = file.sync();
      await file.write([new Uint8Array(512).fill(2)], 512);
      await sync;
      disk.powerCycle();
      return String(disk.contentOf(FILE).length);
    });
    assert(seen.has('512') && seen.has('1024') && !seen.has('0'));
  });

  it('tells the same story for the same seed', async () => {
    const story = async (seed: number): Promise<Uint8Array> => {
      const disk = await newDisk(seed);
      await newFile(disk, 100);
      const file = await disk.openFile(FILE, { create: false });
      for (let at = 0; at < 20; at += 1) await file.write([new Uint8Array(700).fill(at)], at * 600);
      disk.powerCycle();
      return disk.contentOf(FILE);
    };
    for (let seed = 0; seed < 10; seed += 1) assert.deepEqual(await story(seed), await story(seed));
  });

  it('rots where it is told to', async () => {
    const disk = await newDisk(1);
    await newFile(disk, 4);
    disk.damage(FILE, (bytes) => {
      bytes[2] = 9;
      return bytes.subarray(0, 3);
    });
    assert.deepEqual([...disk.contentOf(FILE)], [1, 1, 9]);
    disk.powerCycle();
    assert.deepEqual([...disk.contentOf(FILE)], [1, 1, 9]);
  });
});
