import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PAGE_BYTES, Pool, RESERVED_BYTES, WAITING_COUNT_MAX } from './pool.ts';

const MIB = 1024 * 1024;
const WASM_PAGE_BYTES = 65_536;

describe('Pool', () => {
  it('takes slots in pages above the reserved part and gives them back whole', () => {
    const pool = new Pool({ bytes: 4 * MIB, slotBytesMax: MIB });
    assert.equal(pool.slotBytesMax, MIB);
    assert.equal(pool.freeBytes, 2 * MIB);
    const at = pool.take(1);
    assert(at >= RESERVED_BYTES);
    assert.equal(at % PAGE_BYTES, 0);
    assert.equal(pool.slotBytes(at), PAGE_BYTES);
    assert.equal(pool.takenBytes, PAGE_BYTES);
    assert.equal(pool.freeBytes, 2 * MIB - PAGE_BYTES);
    pool.give(at);
    assert.equal(pool.takenBytes, 0);
    assert.notEqual(pool.take(MIB), -1);
    assert.notEqual(pool.take(MIB), -1);
    assert.equal(pool.take(1), -1);
    pool.checkInvariants();
  });

  it('takes at most an eighth of a block more than is asked for', () => {
    const pool = new Pool({ bytes: 64 * MIB, slotBytesMax: 16 * MIB });
    for (let pages = 1; pages <= 4096; pages += 13) {
      const at = pool.take(pages * PAGE_BYTES - 1);
      const slotPages = pool.slotBytes(at) / PAGE_BYTES;
      assert(slotPages >= pages);
      const block = 2 ** Math.ceil(Math.log2(pages));
      assert(slotPages - pages < Math.max(1, block / 8));
      pool.give(at);
    }
    pool.checkInvariants();
    assert.equal(pool.takenBytes, 0);
  });

  it('says what its largest slot is when the memory has none of the size wished for', () => {
    const pool = new Pool({ bytes: 4 * MIB, slotBytesMax: 64 * MIB });
    assert.equal(pool.slotBytesMax, 2 * MIB);
    assert.notEqual(pool.take(2 * MIB), -1);
  });

  it('shares one memory that is zero at first, and shows all of it', () => {
    const pool = new Pool({ bytes: 3 * MIB, slotBytesMax: 4096 });
    assert(pool.memory.buffer instanceof SharedArrayBuffer);
    assert.equal(pool.bytes.length, 3 * MIB);
    pool.view.setUint8(3 * MIB - 1, 7);
    assert.equal(pool.bytes[3 * MIB - 1], 7);
  });

  it('refuses sizes of memory it cannot cut', () => {
    const sizes = [0, RESERVED_BYTES, 3 * MIB + 1, 4 * 1024 * MIB, Number.NaN];
    for (const bytes of sizes) {
      assert.throws(() => new Pool({ bytes, slotBytesMax: 4096 }), assert.AssertionError);
    }
    assert.throws(() => new Pool({ bytes: 3 * MIB, slotBytesMax: 4095 }), assert.AssertionError);
    const least = RESERVED_BYTES + WASM_PAGE_BYTES;
    assert.equal(new Pool({ bytes: least, slotBytesMax: MIB }).slotBytesMax, WASM_PAGE_BYTES);
  });

  it('asserts that sizes asked for are possible', () => {
    const pool = new Pool({ bytes: 4 * MIB, slotBytesMax: MIB });
    for (const bytes of [0, -1, 0.5, Number.NaN, MIB + 1]) {
      assert.throws(() => pool.take(bytes), assert.AssertionError);
    }
  });

  it('asserts that what is given back was taken, once', () => {
    const pool = new Pool({ bytes: 4 * MIB, slotBytesMax: MIB });
    const at = pool.take(3 * PAGE_BYTES);
    const wrong = [-1, 0, at + 1, at + PAGE_BYTES, 4 * MIB, RESERVED_BYTES - PAGE_BYTES];
    for (const place of wrong) assert.throws(() => pool.give(place), assert.AssertionError);
    pool.give(at);
    assert.throws(() => pool.give(at), assert.AssertionError);
    assert.throws(() => pool.slotBytes(at), assert.AssertionError);
    pool.checkInvariants();
  });
});

describe('waiting for the pool', () => {
  /** A pool of exactly two slots of 1 MiB, both taken. */
  function full(): { pool: Pool; first: number; second: number } {
    const pool = new Pool({ bytes: 4 * MIB, slotBytesMax: MIB });
    return { pool, first: pool.take(MIB), second: pool.take(MIB) };
  }

  it('takes at once when there is room', async () => {
    const pool = new Pool({ bytes: 4 * MIB, slotBytesMax: MIB });
    const at = await pool.takeWhenFree(PAGE_BYTES);
    assert.equal(pool.slotBytes(at), PAGE_BYTES);
    assert.equal(pool.waitingCount, 0);
  });

  it('serves first come first served, also small ones behind a large one', async () => {
    const { pool, first, second } = full();
    const order: string[] = [];
    const large = pool.takeWhenFree(MIB).then(() => order.push('large'));
    const small = pool.takeWhenFree(1).then(() => order.push('small'));
    assert.equal(pool.waitingCount, 2);
    pool.give(first);
    await large;
    assert.deepEqual(order, ['large']);
    pool.give(second);
    await small;
    assert.deepEqual(order, ['large', 'small']);
    assert.equal(pool.waitingCount, 0);
  });

  it('lets nobody overtake who waits', async () => {
    const pool = new Pool({ bytes: 4 * MIB, slotBytesMax: MIB });
    const whole = pool.take(MIB);
    const half = pool.take(MIB / 2);
    const waits = pool.takeWhenFree(MIB);
    // There is room for a page, not for who waits.
    assert.equal(pool.take(1), -1);
    pool.give(whole);
    assert.equal(await waits, whole);
    assert.notEqual(pool.take(1), -1);
    pool.give(half);
  });

  it('leaves the queue with the reason of the signal, and lets those behind it pass', async () => {
    const pool = new Pool({ bytes: 4 * MIB, slotBytesMax: MIB });
    const whole = pool.take(MIB);
    const half = pool.take(MIB / 2);
    const leaving = new AbortController();
    const large = pool.takeWhenFree(MIB, leaving.signal);
    const small = pool.takeWhenFree(PAGE_BYTES);
    const reason = new Error('closing');
    leaving.abort(reason);
    await assert.rejects(large, reason);
    // There was room for the small one all the time.
    assert.equal(pool.slotBytes(await small), PAGE_BYTES);
    assert.equal(pool.waitingCount, 0);
    pool.give(whole);
    pool.give(half);
    pool.checkInvariants();
  });

  it('refuses at once when the signal has fired before', async () => {
    const pool = new Pool({ bytes: 4 * MIB, slotBytesMax: MIB });
    const reason = new Error('closed');
    await assert.rejects(pool.takeWhenFree(1, AbortSignal.abort(reason)), reason);
    assert.equal(pool.takenBytes, 0);
  });

  it('leaves the slot to who got it when the signal fires afterwards', async () => {
    const { pool, first } = full();
    const leaving = new AbortController();
    const waits = pool.takeWhenFree(MIB, leaving.signal);
    pool.give(first);
    leaving.abort(new Error('too late'));
    assert.equal(await waits, first);
    assert.equal(pool.takenBytes, 2 * MIB);
  });

  it('refuses what no slot can hold, and more than so many who wait', async () => {
    const { pool, first } = full();
    await assert.rejects(pool.takeWhenFree(MIB + 1), RangeError);
    for (let count = 0; count < WAITING_COUNT_MAX; count += 1) void pool.takeWhenFree(1);
    assert.equal(pool.waitingCount, WAITING_COUNT_MAX);
    await assert.rejects(pool.takeWhenFree(1), RangeError);
    // One slot less in the queue makes room for one more who waits.
    pool.give(first);
    assert(pool.waitingCount < WAITING_COUNT_MAX);
    void pool.takeWhenFree(1);
  });
});

// The model: which pages are taken. A slot can be had exactly if a block of the least power of two
// that holds it lies free at an address that is a multiple of its size.

interface Waiting {
  readonly bytes: number;
  readonly leave: AbortController;
  at: number;
  left: boolean;
}

const FIRST_PAGE = RESERVED_BYTES / PAGE_BYTES;

class Model {
  readonly pool: Pool;
  readonly taken: Uint8Array;
  readonly slots: number[] = [];
  readonly waiting: Waiting[] = [];

  constructor(pool: Pool) {
    this.pool = pool;
    this.taken = new Uint8Array(pool.bytes.length / PAGE_BYTES);
  }

  fits(bytes: number): boolean {
    const block = 2 ** Math.ceil(Math.log2(Math.ceil(bytes / PAGE_BYTES)));
    const start = Math.ceil(FIRST_PAGE / block) * block;
    for (let page = start; page + block <= this.taken.length; page += block) {
      if (this.taken.subarray(page, page + block).every((taken) => taken === 0)) return true;
    }
    return false;
  }

  /** Marks a slot that the pool gave. */
  add(at: number, bytes: number): void {
    assert(this.pool.slotBytes(at) >= bytes);
    const pages = this.taken.subarray(at / PAGE_BYTES, (at + this.pool.slotBytes(at)) / PAGE_BYTES);
    assert(pages.every((taken) => taken === 0));
    pages.fill(1);
    this.slots.push(at);
  }

  take(bytes: number): void {
    const fits = this.waiting.length === 0 && this.fits(bytes);
    const at = this.pool.take(bytes);
    assert.equal(at >= 0, fits);
    if (fits) this.add(at, bytes);
  }

  wait(bytes: number): void {
    const waiting: Waiting = { bytes, leave: new AbortController(), at: -1, left: false };
    this.waiting.push(waiting);
    this.pool.takeWhenFree(bytes, waiting.leave.signal).then(
      (at) => {
        waiting.at = at;
      },
      () => {
        waiting.left = true;
      },
    );
  }

  give(which: number): void {
    if (this.slots.length === 0) return;
    const [at] = this.slots.splice(which % this.slots.length, 1);
    const page = at! / PAGE_BYTES;
    this.taken.fill(0, page, page + this.pool.slotBytes(at!) / PAGE_BYTES);
    this.pool.give(at!);
  }

  leave(which: number): void {
    this.waiting[which % this.waiting.length]?.leave.abort(new Error('left'));
  }

  /** Takes note of who got a slot or left, once promises have run. */
  async settle(): Promise<void> {
    for (let i = 0; i < 3; i += 1) await null;
    for (let index = this.waiting.length - 1; index >= 0; index -= 1) {
      if (this.waiting[index]!.left) this.waiting.splice(index, 1);
    }
    while (this.waiting[0] !== undefined && this.waiting[0].at >= 0) {
      const { at, bytes } = this.waiting.shift()!;
      this.add(at, bytes);
    }
    // Who is served stood before all who still wait.
    assert(this.waiting.every(({ at }) => at < 0));
    assert.equal(this.pool.waitingCount, this.waiting.length);
    if (this.waiting.length > 0) assert.equal(this.fits(this.waiting[0]!.bytes), false);
    const pages = this.taken.reduce((sum, taken) => sum + taken, 0);
    assert.equal(this.pool.takenBytes, pages * PAGE_BYTES);
    this.pool.checkInvariants();
  }
}

describe('the pool against a map of pages', () => {
  // 1.5 MiB of slots: 384 pages in blocks of at most 64.
  const options = { bytes: RESERVED_BYTES + 24 * WASM_PAGE_BYTES, slotBytesMax: 64 * PAGE_BYTES };
  const bytes = fc.oneof(
    fc.integer({ min: 1, max: 64 * PAGE_BYTES }),
    fc.integer({ min: 1, max: 8 }).map((pages) => pages * PAGE_BYTES),
  );
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('take' as const), size: bytes }),
      fc.record({ kind: fc.constant('wait' as const), size: bytes }),
      fc.record({ kind: fc.constant('give' as const), size: fc.nat() }),
      fc.record({ kind: fc.constant('give' as const), size: fc.nat() }),
      fc.record({ kind: fc.constant('leave' as const), size: fc.nat() }),
    ),
    { maxLength: 120, size: 'max' },
  );

  it('gives every slot that there is room for, to whoever waits longest', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const model = new Model(new Pool(options));
        for (const { kind, size } of list) {
          model[kind](size);
          await model.settle();
        }
        // Whoever waits is served in the end, and the memory is whole again.
        while (model.slots.length > 0) {
          model.give(0);
          await model.settle();
        }
        assert.equal(model.waiting.length, 0);
        assert.equal(model.pool.freeBytes, options.bytes - RESERVED_BYTES);
        for (let left = 6; left > 0; left -= 1)
          assert.notEqual(model.pool.take(64 * PAGE_BYTES), -1);
      }),
      { numRuns: 150 },
    );
  });
});
