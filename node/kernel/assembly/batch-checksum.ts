// What the batch checksum covers, 44 + 8n bytes, does not lie in one piece: five words and the
// count of the header, then the checksum of every frame. It is gathered here and hashed.
//
//   | 64 bytes before | the list, up to 8 blocks | 8 |
//   ^GATHER           ^LIST          ^LIST + fill
//
// Invariant: fill <= LIST_BYTES between calls. A full list is absorbed only when more comes, and
// its last 64 bytes stay in front for the last stripe of the hash.

import { GATHER, GATHER_BLOCKS, batchAcc, here } from './thread-area';
import { BLOCK_BYTES, absorb, begin, hash64, mergeLow } from './xxh3';

const LIST: usize = GATHER + 64;
const LIST_BYTES: u32 = GATHER_BLOCKS * BLOCK_BYTES;
const HEADER_COVERED_BYTES: u32 = 44;
const WORD_BYTES: u32 = 8;

let fill: u32 = 0;
let absorbed: bool = false;

/** Starts a list with the fields of a batch header. */
export function gatherHeader(at: usize): void {
  const list = here(LIST);
  // Partition id to batch length, without the checksum behind them; then the message count.
  v128.store(list, v128.load(at));
  v128.store(list, v128.load(at, 16), 16);
  store<u64>(list, load<u64>(at, 32), 32);
  store<u32>(list, load<u32>(at, 48), 40);
  fill = HEADER_COVERED_BYTES;
  absorbed = false;
}

/** Adds the checksum of one frame. */
// @ts-ignore: decorator
@inline
export function gather(checksum: u64): void {
  store<u64>(here(LIST) + fill, checksum);
  fill += WORD_BYTES;
  if (fill > LIST_BYTES) drain();
}

/** The hash of the header and `count` checksums. */
export function checksumCovered(count: u32): u64 {
  const acc = batchAcc();
  if (!absorbed) return hash64(here(LIST), fill, acc);
  const blocks = (fill - 1) / BLOCK_BYTES;
  absorb(here(LIST), blocks, fill - blocks * BLOCK_BYTES, acc);
  return mergeLow(acc, <u64>HEADER_COVERED_BYTES + <u64>WORD_BYTES * <u64>count);
}

function drain(): void {
  const acc = batchAcc();
  const list = here(LIST);
  if (!absorbed) begin(acc);
  absorbed = true;
  absorb(list, GATHER_BLOCKS, 0, acc);
  memory.copy(here(GATHER), list + LIST_BYTES - 64, 64 + WORD_BYTES);
  fill -= LIST_BYTES;
}
