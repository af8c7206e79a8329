import assert from 'node:assert/strict';
import { OP_BYTES } from './op-header.ts';

/** Slots of one block: 64 KiB, one read of the disk. */
export const BLOCK_SLOTS = 256;
export const BLOCK_BYTES: number = BLOCK_SLOTS * OP_BYTES;

/** Part of one `.ops` file. Slots from `slotCount` on have not been read. */
export interface Block {
  readonly owner: Map<number, Block>;
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  slotCount: number;
}

/**
 * The parts of all `.ops` files that were used last, in a bounded number of bytes.
 * A segment keeps the map of its own blocks; the cache only decides which may stay.
 */
export class OpsCache {
  readonly #blockCountMax: number;
  /** Oldest use first. */
  readonly #blocks: Set<Block> = new Set();

  constructor(options: { readonly bytesMax: number }) {
    assert(options.bytesMax >= BLOCK_BYTES);
    this.#blockCountMax = Math.floor(options.bytesMax / BLOCK_BYTES);
  }

  get bytes(): number {
    return this.#blocks.size * BLOCK_BYTES;
  }

  /** The block when it holds at least `slotCount` slots. */
  find(owner: Map<number, Block>, index: number, slotCount: number): Block | undefined {
    const block = owner.get(index);
    if (block === undefined || block.slotCount < slotCount) return undefined;
    this.#blocks.delete(block);
    this.#blocks.add(block);
    return block;
  }

  /** An empty block in place of what was there. */
  put(owner: Map<number, Block>, index: number, bytes: Uint8Array, slotCount: number): Block {
    assert(bytes.length === BLOCK_BYTES);
    assert(slotCount <= BLOCK_SLOTS);
    const old = owner.get(index);
    if (old !== undefined) this.#blocks.delete(old);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const block: Block = { owner, index, bytes, view, slotCount };
    owner.set(index, block);
    this.#blocks.add(block);
    if (this.#blocks.size > this.#blockCountMax) {
      const oldest = this.#blocks.values().next().value;
      assert(oldest !== undefined && oldest !== block);
      this.#blocks.delete(oldest);
      oldest.owner.delete(oldest.index);
    }
    return block;
  }

  /**
   * Adds a slot that was just written behind the last one, so that readers at the end of the log
   * do not read the same block again and again.
   */
  append(owner: Map<number, Block>, slot: number, header: Uint8Array): void {
    const index = Math.floor(slot / BLOCK_SLOTS);
    const within = slot % BLOCK_SLOTS;
    let block = owner.get(index);
    if (block === undefined && within === 0) {
      block = this.put(owner, index, new Uint8Array(BLOCK_BYTES), 0);
    }
    if (block === undefined || block.slotCount !== within) return;
    block.bytes.set(header, within * OP_BYTES);
    block.slotCount = within + 1;
  }
}
