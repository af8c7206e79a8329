import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Pool } from '../base/pool.ts';
import { Kernel } from '../kernel/kernel.ts';
import { LogWorld } from '../sim/log-world.ts';
import { OP_KIND } from './op-header.ts';

const pool = new Pool({ bytes: 16 * 1024 * 1024, slotBytesMax: 4 * 1024 * 1024 });
const kernel = new Kernel(pool);

async function newWorld(seed = 1): Promise<LogWorld> {
  const options = { seed, policy: 'os', segmentBytes: 1_000_000 } as const;
  const world = new LogWorld(options, { pool, kernel });
  await world.create();
  return world;
}

type Step = { readonly kind: 'append' | 'op' | 'roll' | 'trim' | 'reopen'; readonly count: number };

const stepArbitrary: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('append', 'append', 'append', 'op', 'roll', 'trim', 'reopen'),
  count: fc.integer({ min: 1, max: 12 }),
});

async function runStep(world: LogWorld, { kind, count }: Step): Promise<void> {
  if (kind === 'append') await world.append(count, 200);
  else if (kind === 'op') await world.propose(OP_KIND.storeOffsets);
  else if (kind === 'roll') await world.roll();
  else if (kind === 'trim') await world.trim(Math.min(world.log.nextOffset, count * 3));
  else {
    await world.close();
    await world.open();
  }
}

describe('reads', () => {
  afterEach(() => assert.equal(pool.takenBytes, 0));

  it('agree with a plain list of messages for every offset, count and limit', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(stepArbitrary, { minLength: 1, maxLength: 12 }),
        fc.array(fc.tuple(fc.nat(100), fc.nat(20), fc.nat(3000), fc.nat(100)), { minLength: 5 }),
        fc.nat(),
        async (steps, reads, seed) => {
          const world = await newWorld(seed);
          for (const step of steps) await runStep(world, step);
          const { log } = world;
          const messages = world.messages();
          const { firstOffset, nextOffset } = log;
          assert.equal(nextOffset, messages.length);
          assert.equal(log.messagesCount, nextOffset - firstOffset);
          for (const [at, count, bytesMax, end] of reads) {
            const offset = at % (nextOffset + 2);
            const offsetEnd = Math.min(end, nextOffset);
            const found = await world.read(offset, count, bytesMax, offsetEnd);
            const limit = Math.min(offset + count, offsetEnd);
            if (offset < firstOffset || offset >= limit) assert.equal(found.length, 0);
            else assert(found.length >= 1 && found.length <= limit - offset);
            assert.deepEqual(found, messages.slice(offset, offset + found.length));
          }
          await world.close();
        },
      ),
      { numRuns: 80 },
    );
  });

  it('reach the wanted count within one segment when bytes allow', async () => {
    const world = await newWorld();
    for (let index = 0; index < 10; index += 1) {
      await world.append(3, 100);
      await world.propose(OP_KIND.noop);
    }
    assert.equal((await world.read(4, 20, 1_000_000)).length, 20);
    assert.equal((await world.read(4, 1000, 1_000_000)).length, 26);
    assert.equal((await world.read(4, 1000, 0)).length, 2);
    assert.equal((await world.read(29, 1, 1_000_000)).length, 1);
  });

  it('find offsets by time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(stepArbitrary, { maxLength: 12 }),
        fc.nat(),
        async (steps, seed) => {
          const world = await newWorld(seed);
          /** First offset and log time of every batch. */
          const batches: { offset: number; timestampUs: number }[] = [];
          for (const step of steps) {
            const offset = world.log.nextOffset;
            await runStep(world, step);
            const { lastTimestampUs } = world.log;
            if (step.kind === 'append') batches.push({ offset, timestampUs: lastTimestampUs });
          }
          const { log } = world;
          const end = log.nextOffset;
          const live = batches.filter(({ offset }) => offset >= log.firstOffset);
          for (const at of [0, ...batches.flatMap(({ timestampUs: us }) => [us - 1, us, us + 1])]) {
            const expected = live.find(({ timestampUs }) => timestampUs >= at)?.offset ?? end;
            assert.equal(await log.offsetAtTime(at, end), expected);
            assert.equal(await log.offsetAtTime(at, Math.min(end, 2)), Math.min(expected, end, 2));
          }
          await world.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are empty when the messages go meanwhile, whatever step they have reached', async () => {
    for (let turns = 0; turns < 24; turns += 1) {
      for (const kind of ['trim', 'purge', 'close'] as const) {
        const world = await newWorld();
        await world.append(3, 100);
        await world.roll();
        await world.append(3, 100);
        const reads = [world.read(1, 2, 1000), world.log.offsetAtTime(0, 6)] as const;
        for (let turn = 0; turn < turns; turn += 1) await null;
        if (kind === 'trim') await world.trim(3);
        else if (kind === 'purge') await world.purge();
        else await world.close();
        const [found, offset] = await Promise.all(reads);
        assert([0, 2].includes(found.length));
        assert([0, 3, 6].includes(offset));
      }
    }
  });

  it('do not come from below what was trimmed, nor from a closed log', async () => {
    const world = await newWorld();
    await world.append(3);
    await world.roll();
    await world.append(3);
    await world.trim(3);
    const { log } = world;
    assert.equal(log.firstOffset, 3);
    assert.deepEqual(await world.read(2, 5, 1000), []);
    const request = { offset: 3, count: 1, bytesMax: 1, headroom: 0, offsetEnd: 6 };
    await world.close();
    assert.equal(await log.read(request), null);
    assert.equal(await log.offsetAtTime(0, 6), 6);
  });

  it('answer 4027 or 4039 for what is damaged or unreadable, and give their slot back', async () => {
    const world = await newWorld();
    await world.append(1, 2);
    await world.append(2, 400);
    await world.roll();
    await world.append(1);
    const path = `${world.options.directory}/00000000000000000001.log`;
    const size = world.disk.contentOf(path).length;
    const seen = new Set<number>();
    for (let at = 0; at < size; at += 11) {
      world.disk.damage(path, (bytes) => {
        bytes[at]! ^= 1;
        return bytes;
      });
      await assert.rejects(world.read(0, 3, 10_000), ({ code }) => {
        seen.add(code);
        return [4027, 4039].includes(code);
      });
      world.disk.damage(path, (bytes) => {
        bytes[at]! ^= 1;
        return bytes;
      });
    }
    assert.deepEqual([...seen].sort(), [4027, 4039]);
    world.disk.onStep = (kind) => (kind === 'read' ? 'EIO' : null);
    await assert.rejects(world.read(0, 3, 10_000), { code: 4039 });
    world.disk.onStep = () => null;
    world.disk.damage(path, (bytes) => bytes.slice(0, -1));
    await assert.rejects(world.read(0, 3, 10_000), { code: 4039 });
    assert.equal((await world.read(3, 1, 10_000)).length, 1);
  });

  it('read around a damaged op, and answer 4039 for its messages only', async () => {
    const world = await newWorld();
    for (let index = 0; index < 5; index += 1) await world.append(2, 100);
    await world.roll();
    await world.append(1);
    await world.close();
    const path = `${world.options.directory}/00000000000000000001.ops`;
    world.disk.damage(path, (bytes) => {
      bytes[3 * 256 + 200]! ^= 1;
      return bytes;
    });
    await world.open();
    const messages = world.messages();
    for (let offset = 0; offset < 10; offset += 1) {
      if (offset === 4 || offset === 5) {
        await assert.rejects(world.read(offset, 1, 1000), { code: 4039 });
      } else {
        assert.deepEqual(await world.read(offset, 1, 1000), [messages[offset]]);
      }
    }
    assert.equal((await world.read(0, 10, 100_000)).length, 4);
  });
});
