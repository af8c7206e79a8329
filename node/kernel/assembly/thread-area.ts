// Memory that one thread's instance of the kernel owns: everything that is not constant lies here,
// so that instances of several threads share one memory and never write the same byte.
//
//   | results | message acc | batch acc | digest |  gather  |  input  |
//   0         64            128         192      256        16384     64 KiB
//
// The results are read by kernel.ts, which has the same offsets.

export const RESULT_STATUS: usize = 0;
export const RESULT_COUNT: usize = 4;
export const RESULT_DENSE: usize = 8;
export const RESULT_AT: usize = 12;
export const RESULT_BYTES: usize = 16;
export const RESULT_HASH_LOW: usize = 20;
export const RESULT_HASH_HIGH: usize = 24;
export const RESULT_LENGTH: usize = 32;
export const RESULT_ORIGIN: usize = 40;

/** 64 bytes of the bytes that came before, then the list of what the batch checksum covers. */
export const GATHER: usize = 256;
export const GATHER_BLOCKS: u32 = 8;

/** 64 bytes of the bytes that came before, then bytes from outside the memory. */
export const INPUT: usize = 16384;

let area: usize = 0;

/** Tells the instance which area is its own. */
export function attach(at: usize): void {
  area = at;
}

// @ts-ignore: decorator
@inline
export function here(offset: usize): usize {
  return area + offset;
}

// @ts-ignore: decorator
@inline
export function messageAcc(): usize {
  return area + 64;
}

// @ts-ignore: decorator
@inline
export function batchAcc(): usize {
  return area + 128;
}
