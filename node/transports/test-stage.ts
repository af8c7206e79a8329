import { xxh3 } from '@node-rs/xxhash';
import { PAGE_BYTES, Pool } from '../base/pool.ts';
import type { ConnectionDependencies, ConnectionLimits } from './connection.ts';
import type { BodyHasher } from './dispatch.ts';
import { FakeBroker } from './fake-broker.ts';
import { ManualClock } from './manual-clock.ts';
import { passwordBody, requestFrame, type ServerFrame, type TestClient } from './test-client.ts';

const MIB = 1024 * 1024;

/** Everything around a listener in a test. */
export interface Stage {
  readonly clock: ManualClock;
  readonly pool: Pool;
  readonly broker: FakeBroker;
  readonly bugs: unknown[];
  /** Reasons that were counted, in order. */
  readonly refused: string[];
  readonly counts: { opened: number; closed: number; received: number; sent: number };
  readonly deps: ConnectionDependencies;
}

/** What listeners of tests are given when the test does not say otherwise. */
export const TEST_LIMITS: ConnectionLimits & { readonly connectionsMax: number } = {
  frameBytesMax: 2 * MIB,
  idleTimeoutMs: 0,
  frameTimeoutMs: 30_000,
  writeTimeoutMs: 30_000,
  connectionsMax: 100,
};

/** XXH3-64 by somebody else's hand. */
const HASHER: BodyHasher = {
  hash64Of(bytes) {
    const hash = xxh3.xxh64(Buffer.from(bytes));
    return { low: Number(hash & 0xffff_ffffn), high: Number(hash >> 32n) };
  },
};

/** units    poolBytes: of the slots */
export function makeStage(poolBytes: number = 16 * MIB): Stage {
  const clock = new ManualClock();
  const pool = new Pool({ bytes: 2 * MIB + poolBytes, slotBytesMax: Math.min(poolBytes, 4 * MIB) });
  const broker = new FakeBroker(pool);
  const bugs: unknown[] = [];
  const refused: string[] = [];
  const counts = { opened: 0, closed: 0, received: 0, sent: 0 };
  const silent = (): void => {};
  const deps = {
    broker,
    pool,
    kernel: HASHER,
    clock,
    logger: { debug: silent, info: silent, warn: silent, error: silent },
    observer: {
      opened: () => {
        counts.opened += 1;
      },
      closed: () => {
        counts.closed += 1;
      },
      refusedFrame: (reason: string) => void refused.push(reason),
      received: (bytes: number) => {
        counts.received += bytes;
      },
      sent: (bytes: number) => {
        counts.sent += bytes;
      },
    },
    onBug: (error: unknown) => void bugs.push(error),
  };
  return { clock, pool, broker, bugs, refused, counts, deps };
}

/** Takes every page of the pool; the returned function gives them back. */
export function fillPool(pool: Pool): () => void {
  const slots: number[] = [];
  for (let at = pool.take(PAGE_BYTES); at >= 0; at = pool.take(PAGE_BYTES)) slots.push(at);
  return () => {
    for (const at of slots) pool.give(at);
  };
}

export async function login(client: TestClient): Promise<ServerFrame | null> {
  const body = passwordBody({ username: 'iggy', password: 'secret' });
  return await client.ask(requestFrame({ operation: 1, body }));
}

/** A promise and the function that lets those who await it go on. */
export function makeGate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

/** Lets the event loop turn until the condition holds; mocha's time limit is the bound. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets the event loop turn often enough for whatever is under way in this process. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
