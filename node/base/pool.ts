import assert from 'node:assert/strict';

// One shared memory, cut into slots by a buddy allocator.
//
//   |   reserved   | block | block |        block        | ...   blocks: 2^n pages, aligned to it
//   0              2 MiB                                 bytes
//
// A slot begins at a block and has an eighth of that block as its granule; what the last granule
// leaves over goes back at once, so a slot is at most an eighth larger than asked, not the double.
// `#state[page]` says what begins at a page:
//
//   INSIDE        nothing, the page lies inside a block or slot
//   TAKEN         a slot of `#next[page]` pages
//   order + 1     a free block of 2^order pages, in the list of its order by #next and #previous
//
// Invariants: free blocks never overlap, no two free buddies exist, taken + free pages = all pages.

/** What a slot is made of, and its least size. */
export const PAGE_BYTES = 4096;

/** Addresses below belong to whoever computes on the memory. */
export const RESERVED_BYTES: number = 2 * 1024 * 1024;

/** The most callers that may wait at once. */
export const WAITING_COUNT_MAX = 65_536;

const WASM_PAGE_BYTES = 65_536;
const BYTES_MAX = 4 * 1024 * 1024 * 1024 - WASM_PAGE_BYTES;
const GRANULES_PER_BLOCK = 8;

const INSIDE = 0;
const TAKEN = 255;
const NONE = -1;

export interface PoolOptions {
  /** Size of the whole memory: a multiple of 64 KiB, more than 2 MiB, at most 4 GiB - 64 KiB. */
  readonly bytes: number;
  /** No slot is larger; less when the memory has no block of that size. */
  readonly slotBytesMax: number;
}

interface Waiter {
  readonly bytes: number;
  resolve(at: number): void;
}

/**
 * The buffers of a node: slots of one shared memory that never grows and never moves.
 *
 * shape    a slot is named by its address; its bytes are not cleared, the taker writes them first
 * cost     take and give are O(log of the slot's pages), no allocation; 9 bytes per 4 KiB page
 */
export class Pool {
  readonly memory: WebAssembly.Memory;
  /** All of the memory. */
  readonly bytes: Uint8Array;
  /** All of the memory. */
  readonly view: DataView;
  /** The largest slot there can be. */
  readonly slotBytesMax: number;
  readonly #state: Uint8Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** First free block of each order. */
  readonly #heads: Int32Array;
  readonly #orderMax: number;
  readonly #waiters: Set<Waiter> = new Set();
  #takenPages = 0;
  #freePages = 0;

  constructor(options: PoolOptions) {
    const { bytes, slotBytesMax } = options;
    assert(Number.isSafeInteger(bytes) && bytes % WASM_PAGE_BYTES === 0);
    assert(bytes > RESERVED_BYTES && bytes <= BYTES_MAX);
    assert(slotBytesMax >= PAGE_BYTES);
    const pages = bytes / PAGE_BYTES;
    const initial = bytes / WASM_PAGE_BYTES;
    this.memory = new WebAssembly.Memory({ initial, maximum: initial, shared: true });
    this.bytes = new Uint8Array(this.memory.buffer);
    this.view = new DataView(this.memory.buffer);
    this.#state = new Uint8Array(pages);
    this.#next = new Int32Array(pages).fill(NONE);
    this.#previous = new Int32Array(pages).fill(NONE);
    this.#orderMax = orderOf(Math.min(pagesOf(slotBytesMax), pages));
    this.#heads = new Int32Array(this.#orderMax + 1).fill(NONE);
    this.#release(RESERVED_BYTES / PAGE_BYTES, pages - RESERVED_BYTES / PAGE_BYTES);
    const largest = this.#heads.findLastIndex((head) => head !== NONE);
    this.slotBytesMax = Math.min(slotBytesMax, 2 ** largest * PAGE_BYTES);
    assert(this.slotBytesMax >= PAGE_BYTES);
  }

  /** Bytes in slots that are taken. */
  get takenBytes(): number {
    return this.#takenPages * PAGE_BYTES;
  }

  /** Bytes in no slot; not always in one piece. */
  get freeBytes(): number {
    return this.#freePages * PAGE_BYTES;
  }

  /** Callers of takeWhenFree that have no slot yet. */
  get waitingCount(): number {
    return this.#waiters.size;
  }

  /**
   * Takes a slot of at least `bytes`, aligned to 4 KiB, or returns -1 when there is no room now or
   * others wait: who does not wait may not overtake those who do.
   *
   * units    bytes: 1..slotBytesMax
   */
  take(bytes: number): number {
    assert(Number.isSafeInteger(bytes) && bytes > 0);
    assert(bytes <= this.slotBytesMax);
    return this.#waiters.size > 0 ? -1 : this.#takeNow(bytes);
  }

  /**
   * Takes a slot as soon as there is room, first come first served. Once the promise is settled
   * the slot is the caller's, even if the signal fires before the caller runs on.
   *
   * errors   RangeError: larger than slotBytesMax, or WAITING_COUNT_MAX callers wait already;
   *          the reason of the signal
   */
  takeWhenFree(bytes: number, signal?: AbortSignal): Promise<number> {
    assert(Number.isSafeInteger(bytes) && bytes > 0);
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (bytes > this.slotBytesMax) {
      return Promise.reject(new RangeError('more than the largest slot of the pool'));
    }
    const at = this.take(bytes);
    if (at >= 0) return Promise.resolve(at);
    if (this.#waiters.size === WAITING_COUNT_MAX) {
      return Promise.reject(new RangeError('too many wait for the pool'));
    }
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const waiter: Waiter = {
      bytes,
      resolve: (slot) => {
        signal?.removeEventListener('abort', leave);
        resolve(slot);
      },
    };
    const leave = (): void => {
      this.#waiters.delete(waiter);
      reject(signal!.reason);
      // A large request at the front may have kept out small ones behind it.
      this.#serveWaiters();
    };
    signal?.addEventListener('abort', leave, { once: true });
    this.#waiters.add(waiter);
    return promise;
  }

  /** Gives a slot back; `at` is what take returned. */
  give(at: number): void {
    const page = this.#slotPage(at);
    const pages = this.#next[page]!;
    this.#state[page] = INSIDE;
    this.#takenPages -= pages;
    this.#release(page, pages);
    this.#serveWaiters();
  }

  /** Size of a taken slot: at least what was asked for. */
  slotBytes(at: number): number {
    return this.#next[this.#slotPage(at)]! * PAGE_BYTES;
  }

  #serveWaiters(): void {
    for (const waiter of this.#waiters) {
      const at = this.#takeNow(waiter.bytes);
      if (at < 0) return;
      this.#waiters.delete(waiter);
      waiter.resolve(at);
    }
  }

  #slotPage(at: number): number {
    assert(at >= RESERVED_BYTES && at < this.bytes.length && at % PAGE_BYTES === 0);
    const page = at / PAGE_BYTES;
    assert(this.#state[page] === TAKEN, 'this address names no taken slot');
    return page;
  }

  #takeNow(bytes: number): number {
    const asked = pagesOf(bytes);
    const order = orderOf(asked);
    let from = order;
    while (from <= this.#orderMax && this.#heads[from] === NONE) from += 1;
    if (from > this.#orderMax) return -1;
    const page = this.#heads[from]!;
    this.#unlink(page, from);
    this.#freePages -= 2 ** from;
    const granule = Math.max(1, 2 ** order / GRANULES_PER_BLOCK);
    const pages = Math.ceil(asked / granule) * granule;
    this.#release(page + pages, 2 ** from - pages);
    this.#state[page] = TAKEN;
    this.#next[page] = pages;
    this.#takenPages += pages;
    return page * PAGE_BYTES;
  }

  /** Makes a run of pages free: in blocks as large as alignment and order allow. */
  #release(first: number, count: number): void {
    const end = first + count;
    for (let page = first; page < end; ) {
      // The lowest set bit of the page number is what it is aligned to.
      const aligned = 31 - Math.clz32(page & -page);
      const fitting = 31 - Math.clz32(end - page);
      const order = Math.min(aligned, fitting, this.#orderMax);
      this.#releaseBlock(page, order);
      page += 2 ** order;
    }
    this.#freePages += count;
  }

  /** Frees one block, joined with its buddy as often as that is free, too. */
  #releaseBlock(first: number, firstOrder: number): void {
    let page = first;
    let order = firstOrder;
    while (order < this.#orderMax) {
      const buddy = page ^ (2 ** order);
      if (this.#state[buddy] !== order + 1) break;
      this.#unlink(buddy, order);
      page = Math.min(page, buddy);
      order += 1;
    }
    const head = this.#heads[order]!;
    this.#state[page] = order + 1;
    this.#next[page] = head;
    this.#previous[page] = NONE;
    if (head !== NONE) this.#previous[head] = page;
    this.#heads[order] = page;
  }

  #unlink(page: number, order: number): void {
    const next = this.#next[page]!;
    const previous = this.#previous[page]!;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous === NONE) this.#heads[order] = next;
    else this.#next[previous] = next;
    this.#state[page] = INSIDE;
  }

  /** Walks all pages, for tests: every page is in exactly one slot or free block. */
  checkInvariants(): void {
    const pages = this.#state.length;
    const counts = { taken: 0, free: 0 };
    for (let page = RESERVED_BYTES / PAGE_BYTES; page < pages; ) {
      const state = this.#state[page]!;
      assert(state !== INSIDE);
      const size = state === TAKEN ? this.#next[page]! : 2 ** (state - 1);
      counts[state === TAKEN ? 'taken' : 'free'] += size;
      for (let inside = page + 1; inside < page + size; inside += 1) {
        assert(this.#state[inside] === INSIDE);
      }
      if (state !== TAKEN) {
        assert(page % size === 0);
        if (state <= this.#orderMax) assert(this.#state[page ^ size] !== state);
      }
      page += size;
    }
    assert(counts.taken === this.#takenPages);
    assert(counts.free === this.#freePages);
  }
}

function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

/** The order of the least block that holds so many pages. */
function orderOf(pages: number): number {
  return pages <= 1 ? 0 : 32 - Math.clz32(pages - 1);
}
