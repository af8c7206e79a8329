import assert from 'node:assert/strict';
import { STATUS } from '@iggy-ts/wire/status';
import { Pool } from '../base/pool.ts';
import { Kernel } from '../kernel/kernel.ts';
import { LogWorld } from '../sim/log-world.ts';
import { OP_KIND } from './op-header.ts';
import type { SyncPolicy } from './sync-rounds.ts';

// Proves that a power failure behind any single step of the disk leaves a log that opens, holds
// everything that was told durable, in order and once, nothing that was not handed over, and can
// be appended to. Each scenario runs once for its number of steps, then once per step and seed.

const pool = new Pool({ bytes: 16 * 1024 * 1024, slotBytesMax: 4 * 1024 * 1024 });
const kernel = new Kernel(pool);
const SEEDS = [1, 2, 3, 4];

type Scenario = (world: LogWorld) => Promise<void>;

const SCENARIOS: { readonly [name: string]: Scenario } = {
  async 'appends, one after another'(world) {
    for (let count = 1; count <= 5; count += 1) await world.append(count);
  },

  async 'appends of one round and several'(world) {
    await Promise.all([world.append(1), world.append(3), world.propose(OP_KIND.noop)]);
    const first = world.append(2, 3000);
    await null;
    await Promise.all([first, world.append(2), world.append(1), world.append(4, 100)]);
  },

  async 'ops without messages'(world) {
    await world.propose(OP_KIND.storeOffsets);
    await Promise.all([world.propose(OP_KIND.noop), world.append(1), world.propose(OP_KIND.noop)]);
  },

  async 'a roll between appends'(world) {
    await world.append(2);
    await world.roll();
    await world.append(3);
    await world.append(1);
    await world.roll();
    await world.roll();
    await world.append(1);
  },

  async snapshots(world) {
    for (let index = 0; index < 4; index += 1) {
      await world.append(2);
      await world.saveSnapshot();
    }
    await world.append(1);
  },

  async 'a trim, with and without snapshots'(world) {
    for (let index = 0; index < 3; index += 1) {
      await world.append(3);
      await world.roll();
    }
    await world.trim(4);
    await world.append(1);
    await world.saveSnapshot();
    await world.append(1);
    await world.saveSnapshot();
    await world.trim(9);
    await world.append(1);
  },

  async 'a purge of several segments'(world) {
    await world.append(3);
    await world.roll();
    await world.append(3);
    await world.purge();
    await world.append(2);
    await world.saveSnapshot();
    await world.purge();
    await world.saveSnapshot();
    await world.append(1);
  },

  async 'a full disk in the middle of appends'(world) {
    await world.append(2);
    world.disk.setCapacity(world.disk.usedBytes + 700);
    await rejectsFull(world.append(2, 2000), world.append(6, 2000));
    world.disk.setCapacity(1_000_000);
    await world.append(1);
    await world.append(2);
  },

  async 'a full disk when new files are due'(world) {
    await world.append(2);
    await world.roll();
    world.disk.setCapacity(world.disk.usedBytes + 100);
    await rejectsFull(world.append(1));
    world.disk.setCapacity(1_000_000);
    await world.append(1);
  },

  async 'a close and a second life'(world) {
    await world.append(2);
    await world.saveSnapshot();
    await world.close();
    await world.open();
    await world.append(3);
  },
};

async function rejectsFull(...appends: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(appends)) {
    assert(result.status === 'rejected');
    if (isPowerOff(result.reason)) throw result.reason;
    assert.equal(result.reason.code, STATUS.diskFull);
  }
}

function isPowerOff(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && cause.code === 'EPOWER') return true;
  }
  return false;
}

async function runUntilPowerOff(world: LogWorld, scenario: Scenario): Promise<void> {
  try {
    await scenario(world);
  } catch (error) {
    if (!isPowerOff(error)) throw error;
  }
}

async function newWorld(seed: number, policy: SyncPolicy): Promise<LogWorld> {
  const world = new LogWorld({ seed, policy, segmentBytes: 100_000 }, { pool, kernel });
  await world.create();
  return world;
}

async function crashBehindStep(
  step: number,
  run: { readonly seed: number; readonly policy: SyncPolicy; readonly scenario: Scenario },
): Promise<void> {
  const world = await newWorld(run.seed, run.policy);
  world.disk.stopAfter(world.disk.stepCount + step);
  await runUntilPowerOff(world, run.scenario);
  world.disk.powerCycle();
  world.disk.setCapacity(1_000_000);
  try {
    await world.open();
    await world.verify();
    // A second failure, while what recovery did is not synced by anybody else.
    world.disk.powerCycle();
    await world.open();
    await world.verify();
    await world.append(2);
    await world.append(1);
    await world.close();
    await world.open();
    await world.verify();
    await world.close();
  } catch (cause) {
    throw new Error(`power off behind step ${step}, seed ${run.seed}`, { cause });
  }
  assert.equal(pool.takenBytes, 0);
}

describe('a power failure behind any step', () => {
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    for (const policy of ['always', 'os'] as const) {
      it(`loses nothing of: ${name} (${policy})`, async () => {
        const whole = await newWorld(1, policy);
        const stepFirst = whole.disk.stepCount;
        await scenario(whole);
        await whole.close();
        const steps = whole.disk.stepCount - stepFirst;
        assert(steps > 3);
        for (let step = 0; step <= steps; step += 1) {
          for (const seed of SEEDS) await crashBehindStep(step, { seed, policy, scenario });
        }
      });
    }
  }
});
