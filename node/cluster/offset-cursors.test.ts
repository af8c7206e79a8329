import assert from 'node:assert/strict';
import { OperatingError } from '@iggy-ts/wire/status';
import { OffsetCursors, type StoredOffset } from './offset-cursors.ts';
import type { ConsumerKind } from './port.ts';

/** A state that stores what it is told when the test says so. */
class Bench {
  readonly stored: Map<string, number> = new Map();
  readonly submitted: StoredOffset[][] = [];
  readonly cursors: OffsetCursors;
  #settle: { resolve(): void; reject(error: Error): void } | null = null;

  constructor(offsetsMax = 8) {
    this.cursors = new OffsetCursors(
      { offsetsMax },
      {
        stored: (kind, id) => this.stored.get(`${kind}${id}`) ?? null,
        storedCount: (kind) => [...this.stored.keys()].filter((key) => key.startsWith(kind)).length,
        submit: (offsets) => {
          assert.equal(this.#settle, null, 'one op is in flight');
          this.submitted.push([...offsets]);
          const { promise, resolve, reject } = Promise.withResolvers<void>();
          this.#settle = { resolve, reject };
          return promise;
        },
      },
    );
  }

  store(kind: ConsumerKind, id: number, offset: number): void {
    this.stored.set(`${kind}${id}`, offset);
  }

  /** The op in flight is applied. */
  async apply(): Promise<void> {
    for (const { kind, id, offset } of this.submitted.at(-1)!) {
      this.store(kind, id, Math.max(offset, this.stored.get(`${kind}${id}`) ?? 0));
    }
    this.#take().resolve();
    await turn();
  }

  async fail(): Promise<void> {
    this.#take().reject(new OperatingError(10005));
    await turn();
  }

  #take(): { resolve(): void; reject(error: Error): void } {
    const settle = this.#settle;
    assert(settle !== null);
    this.#settle = null;
    return settle;
  }
}

describe('OffsetCursors', () => {
  it('moves at once and only forward, and stores later', async () => {
    const bench = new Bench();
    const { cursors, submitted } = bench;
    cursors.move('consumer', 1, 5);
    cursors.move('consumer', 1, 3);
    assert.equal(cursors.offsetOf('consumer', 1), 5);
    assert.equal(cursors.offsetOf('group', 1), null);
    assert.deepEqual(submitted, [[{ kind: 'consumer', id: 1, offset: 5 }]]);
    await bench.apply();
    assert.equal(cursors.offsetOf('consumer', 1), 5);
    cursors.move('consumer', 1, 5);
    assert.equal(submitted.length, 1);
  });

  it('merges what comes while an op is in flight, up to three consumers an op', async () => {
    const bench = new Bench();
    const { cursors, submitted } = bench;
    for (let id = 0; id < 5; id += 1) {
      for (let offset = 0; offset < 9; offset += 1) cursors.move('group', id, offset);
    }
    assert.deepEqual(submitted, [[{ kind: 'group', id: 0, offset: 0 }]]);
    await bench.apply();
    await bench.apply();
    assert.deepEqual(
      submitted.slice(1).map((offsets) => offsets.map(({ id, offset }) => [id, offset])),
      [
        [
          [0, 8],
          [1, 8],
          [2, 8],
        ],
        [
          [3, 8],
          [4, 8],
        ],
      ],
    );
  });

  it('tries a failed op again with the next move, not before', async () => {
    const bench = new Bench();
    const { cursors, submitted } = bench;
    cursors.move('consumer', 1, 5);
    await bench.fail();
    assert.equal(submitted.length, 1);
    assert.equal(cursors.offsetOf('consumer', 1), 5);
    cursors.move('consumer', 2, 6);
    assert.deepEqual(submitted[1], [
      { kind: 'consumer', id: 1, offset: 5 },
      { kind: 'consumer', id: 2, offset: 6 },
    ]);
    await bench.apply();
  });

  it('lets an explicit store win over what waits and over what failed', async () => {
    const bench = new Bench();
    const { cursors, submitted } = bench;
    cursors.move('consumer', 1, 5);
    cursors.move('consumer', 1, 9);
    bench.store('consumer', 1, 2);
    cursors.override('consumer', 1);
    assert.equal(cursors.offsetOf('consumer', 1), 2);
    await bench.fail();
    cursors.move('consumer', 2, 0);
    assert.deepEqual(submitted[1], [{ kind: 'consumer', id: 2, offset: 0 }]);
    await bench.apply();
    assert.equal(cursors.offsetOf('consumer', 1), 2);
  });

  it('forgets everything with a purge', async () => {
    const bench = new Bench();
    const { cursors, submitted } = bench;
    cursors.move('consumer', 1, 5);
    cursors.move('consumer', 2, 5);
    cursors.clear();
    assert.equal(cursors.offsetOf('consumer', 2), null);
    await bench.fail();
    assert.equal(submitted.length, 1);
  });

  it('refuses one consumer too many with 3024, counting stored and moved ones once', async () => {
    const bench = new Bench(2);
    const { cursors } = bench;
    bench.store('consumer', 1, 0);
    cursors.move('consumer', 1, 1);
    cursors.move('consumer', 2, 1);
    assert.throws(() => cursors.move('consumer', 3, 1), refusedWith(3024));
    assert.equal(cursors.offsetOf('consumer', 3), null);
    cursors.move('group', 3, 1);
    cursors.move('consumer', 2, 2);
    await bench.apply();
    await bench.apply();
  });

  it('stores what was moved before it closes, and takes nothing after', async () => {
    const bench = new Bench();
    const { cursors, submitted } = bench;
    for (let id = 0; id < 3; id += 1) cursors.move('consumer', id, 7);
    const closed = cursors.close();
    assert.throws(() => cursors.move('consumer', 0, 8), refusedWith(58));
    await bench.apply();
    await bench.apply();
    await closed;
    assert.equal(submitted.flat().length, 3);
  });

  it('does not wait for ever for an op that fails while it closes', async () => {
    const bench = new Bench();
    const { cursors } = bench;
    cursors.move('consumer', 1, 7);
    const closed = cursors.close();
    await bench.fail();
    await closed;
  });
});

function refusedWith(code: number): (error: unknown) => boolean {
  return (error) => error instanceof OperatingError && error.code === code;
}

async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}
