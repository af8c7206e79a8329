// XXH3 with seed 0 and the default secret, 64 and 128 bits, for every length; the long form runs on
// SIMD. Specification: xxHash, doc/xxhash_spec.md, version 0.8.
//
//   length   0   1..3   4..8   9..16   17..128   129..240   241..
//            one formula each            pairs of 16 bytes    64-byte stripes, 16 to a block
//
// The long form of an input that does not lie in one piece: begin(), absorb(blocks) as often as
// wanted, absorb(the last 1..1024 bytes), then mergeLow and mergeHigh. A block is absorbed only
// when more input follows it, and the 64 bytes before the last piece must lie in front of it.

const PRIME32_1: u64 = 0x9e3779b1;
const PRIME32_2: u64 = 0x85ebca77;
const PRIME32_3: u64 = 0xc2b2ae3d;
const PRIME64_1: u64 = 0x9e3779b185ebca87;
const PRIME64_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME64_3: u64 = 0x165667b19e3779f9;
const PRIME64_4: u64 = 0x85ebca77c2b2ae63;
const PRIME64_5: u64 = 0x27d4eb2f165667c5;
const PRIME_MX1: u64 = 0x165667919e3779f9;
const PRIME_MX2: u64 = 0x9fb21c651e98df25;

export const BLOCK_BYTES: u32 = 1024;
const STRIPE_BYTES: u32 = 64;
const SHORT_BYTES_MAX: u32 = 240;

// Constant, so every thread's instance writes the same bytes over the same place.
const SECRET: usize = memory.data<u8>([
  0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
  0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
  0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
  0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
  0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
  0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
  0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
  0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
  0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
  0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
  0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
  0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
]);
const SECRET_BYTES: usize = 192;
/** Where the secret of the last stripe, of the scramble and of the merges begins. */
const SECRET_LAST: usize = SECRET + SECRET_BYTES - 64 - 7;
const SECRET_SCRAMBLE: usize = SECRET + SECRET_BYTES - 64;
const SECRET_MERGE_LOW: usize = SECRET + 11;
const SECRET_MERGE_HIGH: usize = SECRET + SECRET_BYTES - 64 - 11;
/** The smallest secret of the specification; the middle form counts back from its end. */
const SECRET_BYTES_MIN: usize = 136;

/** 64-bit hash of `bytes` at `at`; `acc` names 64 bytes of scratch for the long form. */
export function hash64(at: usize, bytes: u32, acc: usize): u64 {
  if (bytes > SHORT_BYTES_MAX) {
    absorbWhole(at, bytes, acc);
    return mergeLow(acc, bytes);
  }
  if (bytes > 128) return hash64Middle(at, bytes);
  if (bytes > 16) return hash64Pairs(at, bytes);
  if (bytes > 8) {
    const low = load<u64>(at) ^ (secret64(24) ^ secret64(32));
    const high = load<u64>(at + bytes - 8) ^ (secret64(40) ^ secret64(48));
    return avalanche(<u64>bytes + bswap<u64>(low) + high + fold(low, high));
  }
  if (bytes > 3) {
    const word = <u64>load<u32>(at + bytes - 4) + (<u64>load<u32>(at) << 32);
    return mixShort(word ^ secret64(8) ^ secret64(16), bytes);
  }
  if (bytes > 0) return avalanche64(<u64>join(at, bytes) ^ <u64>(secret32(0) ^ secret32(4)));
  return avalanche64(secret64(56) ^ secret64(64));
}

/** 128-bit hash: the low half at `out`, the high half at `out + 8`, little-endian. */
export function hash128(at: usize, bytes: u32, acc: usize, out: usize): void {
  if (bytes > SHORT_BYTES_MAX) {
    absorbWhole(at, bytes, acc);
    store<u64>(out, mergeLow(acc, bytes));
    store<u64>(out, mergeHigh(acc, bytes), 8);
  } else if (bytes > 16) {
    hash128Pairs(at, bytes, out);
  } else if (bytes > 8) {
    hash128Word(at, bytes, out);
  } else if (bytes > 3) {
    const word = <u64>load<u32>(at) + (<u64>load<u32>(at + bytes - 4) << 32);
    const keyed = word ^ secret64(16) ^ secret64(24);
    const factor = PRIME64_1 + (<u64>bytes << 2);
    let low = keyed * factor;
    const high = multiplyHigh(keyed, factor) + (low << 1);
    low ^= high >> 3;
    low ^= low >> 35;
    low *= PRIME_MX2;
    low ^= low >> 28;
    store<u64>(out, low);
    store<u64>(out, avalanche(high), 8);
  } else if (bytes > 0) {
    const low = join(at, bytes);
    const high = rotl<u32>(bswap<u32>(low), 13);
    store<u64>(out, avalanche64(<u64>low ^ <u64>(secret32(0) ^ secret32(4))));
    store<u64>(out, avalanche64(<u64>high ^ <u64>(secret32(8) ^ secret32(12))), 8);
  } else {
    store<u64>(out, avalanche64(secret64(64) ^ secret64(72)));
    store<u64>(out, avalanche64(secret64(80) ^ secret64(88)), 8);
  }
}

// The long form.

/** Sets the eight accumulators at `acc` to their start. */
export function begin(acc: usize): void {
  store<u64>(acc, PRIME32_3);
  store<u64>(acc, PRIME64_1, 8);
  store<u64>(acc, PRIME64_2, 16);
  store<u64>(acc, PRIME64_3, 24);
  store<u64>(acc, PRIME64_4, 32);
  store<u64>(acc, PRIME32_2, 40);
  store<u64>(acc, PRIME64_5, 48);
  store<u64>(acc, PRIME32_1, 56);
}

/** Absorbs `blocks` whole blocks, then the last `tail` bytes: 0 for none yet, else 1..1024. */
export function absorb(at: usize, blocks: u32, tail: u32, acc: usize): void {
  let a0 = v128.load(acc);
  let a1 = v128.load(acc, 16);
  let a2 = v128.load(acc, 32);
  let a3 = v128.load(acc, 48);
  for (; blocks > 0; blocks -= 1) {
    for (let key = SECRET; key < SECRET + 128; key += 8, at += STRIPE_BYTES) {
      a0 = stripe(a0, v128.load(at), v128.load(key));
      a1 = stripe(a1, v128.load(at, 16), v128.load(key, 16));
      a2 = stripe(a2, v128.load(at, 32), v128.load(key, 32));
      a3 = stripe(a3, v128.load(at, 48), v128.load(key, 48));
    }
    a0 = scramble(a0, v128.load(SECRET_SCRAMBLE));
    a1 = scramble(a1, v128.load(SECRET_SCRAMBLE, 16));
    a2 = scramble(a2, v128.load(SECRET_SCRAMBLE, 32));
    a3 = scramble(a3, v128.load(SECRET_SCRAMBLE, 48));
  }
  if (tail > 0) {
    const last = at + tail - STRIPE_BYTES;
    const stripes = (tail - 1) / STRIPE_BYTES;
    const keyEnd = SECRET + 8 * stripes;
    for (let key = SECRET; key < keyEnd; key += 8, at += STRIPE_BYTES) {
      a0 = stripe(a0, v128.load(at), v128.load(key));
      a1 = stripe(a1, v128.load(at, 16), v128.load(key, 16));
      a2 = stripe(a2, v128.load(at, 32), v128.load(key, 32));
      a3 = stripe(a3, v128.load(at, 48), v128.load(key, 48));
    }
    a0 = stripe(a0, v128.load(last), v128.load(SECRET_LAST));
    a1 = stripe(a1, v128.load(last, 16), v128.load(SECRET_LAST, 16));
    a2 = stripe(a2, v128.load(last, 32), v128.load(SECRET_LAST, 32));
    a3 = stripe(a3, v128.load(last, 48), v128.load(SECRET_LAST, 48));
  }
  v128.store(acc, a0);
  v128.store(acc, a1, 16);
  v128.store(acc, a2, 32);
  v128.store(acc, a3, 48);
}

/** The 64-bit hash, and the low half of the 128-bit one. */
export function mergeLow(acc: usize, total: u64): u64 {
  return merge(acc, SECRET_MERGE_LOW, total * PRIME64_1);
}

export function mergeHigh(acc: usize, total: u64): u64 {
  return merge(acc, SECRET_MERGE_HIGH, ~(total * PRIME64_2));
}

function absorbWhole(at: usize, bytes: u32, acc: usize): void {
  const blocks = (bytes - 1) / BLOCK_BYTES;
  begin(acc);
  absorb(at, blocks, bytes - blocks * BLOCK_BYTES, acc);
}

// @ts-ignore: decorator
@inline
function stripe(acc: v128, input: v128, key: v128): v128 {
  const keyed = v128.xor(input, key);
  const product = i64x2.extmul_low_i32x4_u(
    v128.shuffle<i32>(keyed, keyed, 0, 2, 0, 2),
    v128.shuffle<i32>(keyed, keyed, 1, 3, 1, 3),
  );
  return i64x2.add(i64x2.add(acc, v128.shuffle<i64>(input, input, 1, 0)), product);
}

// @ts-ignore: decorator
@inline
function scramble(acc: v128, key: v128): v128 {
  const mixed = v128.xor(v128.xor(acc, i64x2.shr_u(acc, 47)), key);
  return i64x2.mul(mixed, i64x2.splat(PRIME32_1));
}

function merge(acc: usize, key: usize, start: u64): u64 {
  let sum = start;
  sum += fold(load<u64>(acc) ^ load<u64>(key), load<u64>(acc, 8) ^ load<u64>(key, 8));
  sum += fold(load<u64>(acc, 16) ^ load<u64>(key, 16), load<u64>(acc, 24) ^ load<u64>(key, 24));
  sum += fold(load<u64>(acc, 32) ^ load<u64>(key, 32), load<u64>(acc, 40) ^ load<u64>(key, 40));
  sum += fold(load<u64>(acc, 48) ^ load<u64>(key, 48), load<u64>(acc, 56) ^ load<u64>(key, 56));
  return avalanche(sum);
}

// The short forms.

function hash64Pairs(at: usize, bytes: u32): u64 {
  const end = at + bytes;
  let sum = <u64>bytes * PRIME64_1;
  if (bytes > 32) {
    if (bytes > 64) {
      if (bytes > 96) sum += mix16(at + 48, 96) + mix16(end - 64, 112);
      sum += mix16(at + 32, 64) + mix16(end - 48, 80);
    }
    sum += mix16(at + 16, 32) + mix16(end - 32, 48);
  }
  return avalanche(sum + mix16(at, 0) + mix16(end - 16, 16));
}

function hash64Middle(at: usize, bytes: u32): u64 {
  let sum = <u64>bytes * PRIME64_1;
  for (let i: usize = 0; i < 128; i += 16) sum += mix16(at + i, i);
  sum = avalanche(sum);
  const end: usize = bytes & ~15;
  for (let i: usize = 128; i < end; i += 16) sum += mix16(at + i, i - 128 + 3);
  return avalanche(sum + mix16(at + bytes - 16, SECRET_BYTES_MIN - 17));
}

function hash128Pairs(at: usize, bytes: u32, out: usize): void {
  const end = at + bytes;
  let low = <u64>bytes * PRIME64_1;
  let high: u64 = 0;
  if (bytes <= 128) {
    // Pairs from the outside in are mixed innermost first.
    for (let i: usize = <usize>((bytes - 1) >> 5) << 4; ; i -= 16) {
      const front = at + i;
      const back = end - 16 - i;
      low = (low + mix16(front, i * 2)) ^ words(back);
      high = (high + mix16(back, i * 2 + 16)) ^ words(front);
      if (i == 0) break;
    }
  } else {
    for (let i: usize = 0; i < 128; i += 32) {
      low = (low + mix16(at + i, i)) ^ words(at + i + 16);
      high = (high + mix16(at + i + 16, i + 16)) ^ words(at + i);
    }
    low = avalanche(low);
    high = avalanche(high);
    for (let i: usize = 160; i <= bytes; i += 32) {
      low = (low + mix16(at + i - 32, i - 160 + 3)) ^ words(at + i - 16);
      high = (high + mix16(at + i - 16, i - 160 + 19)) ^ words(at + i - 32);
    }
    low = (low + mix16(end - 16, SECRET_BYTES_MIN - 33)) ^ words(end - 32);
    high = (high + mix16(end - 32, SECRET_BYTES_MIN - 17)) ^ words(end - 16);
  }
  store<u64>(out, avalanche(low + high));
  const mixed = low * PRIME64_1 + high * PRIME64_4 + <u64>bytes * PRIME64_2;
  store<u64>(out, 0 - avalanche(mixed), 8);
}

function hash128Word(at: usize, bytes: u32, out: usize): void {
  const front = load<u64>(at);
  let back = load<u64>(at + bytes - 8);
  const keyed = front ^ back ^ (secret64(32) ^ secret64(40));
  let low = keyed * PRIME64_1 + (<u64>(bytes - 1) << 54);
  back ^= secret64(48) ^ secret64(56);
  const high = multiplyHigh(keyed, PRIME64_1) + back + (back & 0xffffffff) * (PRIME32_2 - 1);
  low ^= bswap<u64>(high);
  store<u64>(out, avalanche(low * PRIME64_2));
  store<u64>(out, avalanche(multiplyHigh(low, PRIME64_2) + high * PRIME64_2), 8);
}

/** The 1 to 3 bytes at `at` and their count in one word. */
// @ts-ignore: decorator
@inline
function join(at: usize, bytes: u32): u32 {
  const first = <u32>load<u8>(at);
  const middle = <u32>load<u8>(at + (bytes >> 1));
  const last = <u32>load<u8>(at + bytes - 1);
  return (first << 16) | (middle << 24) | last | (bytes << 8);
}

// @ts-ignore: decorator
@inline
function mix16(at: usize, key: usize): u64 {
  return fold(load<u64>(at) ^ secret64(key), load<u64>(at, 8) ^ secret64(key + 8));
}

// @ts-ignore: decorator
@inline
function words(at: usize): u64 {
  return load<u64>(at) + load<u64>(at, 8);
}

function mixShort(keyed: u64, bytes: u32): u64 {
  let hash = keyed ^ rotl<u64>(keyed, 49) ^ rotl<u64>(keyed, 24);
  hash *= PRIME_MX2;
  hash ^= (hash >> 35) + <u64>bytes;
  hash *= PRIME_MX2;
  return hash ^ (hash >> 28);
}

// @ts-ignore: decorator
@inline
function avalanche(word: u64): u64 {
  let hash = word ^ (word >> 37);
  hash *= PRIME_MX1;
  return hash ^ (hash >> 32);
}

/** The avalanche of XXH64, which the shortest forms keep. */
function avalanche64(word: u64): u64 {
  let hash = word ^ (word >> 33);
  hash *= PRIME64_2;
  hash ^= hash >> 29;
  hash *= PRIME64_3;
  return hash ^ (hash >> 32);
}

// @ts-ignore: decorator
@inline
function fold(a: u64, b: u64): u64 {
  return (a * b) ^ multiplyHigh(a, b);
}

/** The upper 64 bits of a 128-bit product: WebAssembly multiplies 64 bits to 64. */
// @ts-ignore: decorator
@inline
function multiplyHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const cross = aLow * bHigh;
  // At most (2^32-1)^2 + 2 * (2^32-1) = 2^64-1: no carry is lost.
  const middle = aHigh * bLow + ((aLow * bLow) >> 32) + (cross & 0xffffffff);
  return aHigh * bHigh + (middle >> 32) + (cross >> 32);
}

// @ts-ignore: decorator
@inline
function secret64(at: usize): u64 {
  return load<u64>(SECRET + at);
}

// @ts-ignore: decorator
@inline
function secret32(at: usize): u32 {
  return load<u32>(SECRET + at);
}
