// The hashes for callers outside: of bytes in the memory, and of bytes that are brought in pieces.

import { BLOCK_BYTES, absorb, begin, hash128, hash64, mergeHigh, mergeLow } from './xxh3';
import { RESULT_HASH_LOW, here, messageAcc } from './thread-area';

/** XXH3-64 into the results. */
export function digest64(at: usize, bytes: u32): void {
  store<u64>(here(RESULT_HASH_LOW), hash64(at, bytes, messageAcc()));
}

/** XXH3-128 to `out`, low half first. */
export function digest128(at: usize, bytes: u32, out: usize): void {
  hash128(at, bytes, messageAcc(), out);
}

export function openDigest(): void {
  begin(messageAcc());
}

/** Whole blocks, more bytes follow. */
export function addToDigest(at: usize, bytes: u32): void {
  absorb(at, bytes / BLOCK_BYTES, 0, messageAcc());
}

/** The last 1 or more bytes; the 64 bytes before them lie in front. `total` > 240. */
function endDigest(at: usize, bytes: u32): void {
  const blocks = (bytes - 1) / BLOCK_BYTES;
  absorb(at, blocks, bytes - blocks * BLOCK_BYTES, messageAcc());
}

export function closeDigest64(at: usize, bytes: u32, total: f64): void {
  endDigest(at, bytes);
  store<u64>(here(RESULT_HASH_LOW), mergeLow(messageAcc(), <u64>total));
}

export function closeDigest128(at: usize, bytes: u32, total: f64, out: usize): void {
  endDigest(at, bytes);
  store<u64>(out, mergeLow(messageAcc(), <u64>total));
  store<u64>(out, mergeHigh(messageAcc(), <u64>total), 8);
}
