// Walks over message batches. Layout: wire/batch.ts (this copy is held equal by kernel.test.ts).
//
//   at                 frame                              at + bytes
//   | header 256 bytes | 48 | payload | user headers | 48 | payload | ... |
//
// Nothing outside [at, at + bytes) is read, whatever the lengths say: a frame's size is summed in
// 64 bits and compared with what is left before anything behind its 48 bytes is touched.

import { checksumCovered, gather, gatherHeader } from './batch-checksum';
import {
  RESULT_AT,
  RESULT_BYTES,
  RESULT_COUNT,
  RESULT_DENSE,
  RESULT_LENGTH,
  RESULT_ORIGIN,
  RESULT_STATUS,
  here,
  messageAcc,
} from './thread-area';
import { hash64 } from './xxh3';

export const HEADER_BYTES: u32 = 256;
export const PARTITION_ID: usize = 0;
export const BASE_OFFSET: usize = 8;
export const BASE_TIMESTAMP: usize = 16;
export const ORIGIN_TIMESTAMP: usize = 24;
export const BATCH_LENGTH: usize = 32;
export const BATCH_CHECKSUM: usize = 40;
export const MESSAGE_COUNT: usize = 48;
export const RESERVED: usize = 52;

export const FRAME_BYTES: u32 = 48;
export const MESSAGE_CHECKSUM: usize = 0;
export const MESSAGE_COVERED: u32 = 8;
export const OFFSET_DELTA: usize = 24;
export const TIMESTAMP_DELTA: usize = 28;
export const HEADERS_BYTES: usize = 32;
export const PAYLOAD_BYTES: usize = 36;
export const FRAME_RESERVED: usize = 40;

const PAYLOAD_BYTES_MAX: u32 = 64_000_000;
const HEADERS_BYTES_MAX: u32 = 100_000;

const STATUS_OK: u32 = 0;
const STATUS_MALFORMED: u32 = 3;
const STATUS_COUNT_ZERO: u32 = 4009;
const STATUS_HEADERS_TOO_BIG: u32 = 4017;
const STATUS_PAYLOAD_TOO_BIG: u32 = 4022;
const STATUS_MESSAGE_CHECKSUM: u32 = 4027;
const STATUS_BATCH_CHECKSUM: u32 = 4039;

const CHECK_LIMITS: u32 = 1;
const CHECK_MESSAGES: u32 = 2;
const CHECK_BATCH: u32 = 4;

/** The layout always, and what `checks` names; the whole of it in one pass over the bytes. */
export function checkBatch(at: usize, bytes: u32, checks: u32): u32 {
  if (!hasHeader(at, bytes) || load<u64>(at, BATCH_LENGTH) != <u64>bytes) return STATUS_MALFORMED;
  const count = load<u32>(at, MESSAGE_COUNT);
  const checksBatch = (checks & CHECK_BATCH) != 0;
  let checksMessages = (checks & CHECK_MESSAGES) != 0;
  let limits = STATUS_OK;
  let checksums = STATUS_OK;
  let dense: u32 = 1;
  let seen: u32 = 0;
  if (checksBatch) gatherHeader(at);
  const end = at + bytes;
  for (let frame = at + HEADER_BYTES; frame < end; seen += 1) {
    const size = frameBytes(frame, end);
    if (size == 0 || seen == count) return STATUS_MALFORMED;
    if (load<u32>(frame, OFFSET_DELTA) != seen) dense = 0;
    if (limits == STATUS_OK) limits = limitsOf(frame);
    if (checksMessages && !hasChecksum(frame, size)) {
      // The walk goes on, because a broken layout counts more than a broken checksum.
      checksums = STATUS_MESSAGE_CHECKSUM;
      checksMessages = false;
    }
    if (checksBatch) gather(load<u64>(frame, MESSAGE_CHECKSUM));
    frame += size;
  }
  if (seen != count) return STATUS_MALFORMED;
  if (count == 0) return STATUS_COUNT_ZERO;
  if ((checks & CHECK_LIMITS) != 0 && limits != STATUS_OK) return limits;
  if (checksums != STATUS_OK) return checksums;
  if (checksBatch && checksumCovered(count) != load<u64>(at, BATCH_CHECKSUM)) {
    return STATUS_BATCH_CHECKSUM;
  }
  store<u32>(here(RESULT_COUNT), count);
  store<u32>(here(RESULT_DENSE), dense);
  store<f64>(here(RESULT_LENGTH), <f64>bytes);
  store<f64>(here(RESULT_ORIGIN), <f64>load<u64>(at, ORIGIN_TIMESTAMP));
  return STATUS_OK;
}

/** Writes what the server decides and the checksum that follows; false if the frames don't tile. */
export function stampBatch(
  at: usize,
  bytes: u32,
  partitionId: f64,
  baseOffset: f64,
  baseTimestamp: f64,
): bool {
  store<u64>(at, <u64>partitionId, PARTITION_ID);
  store<u64>(at, <u64>baseOffset, BASE_OFFSET);
  store<u64>(at, <u64>baseTimestamp, BASE_TIMESTAMP);
  return sealHeader(at, bytes, load<u32>(at, MESSAGE_COUNT));
}

/** Writes every message checksum, then the batch checksum; false if the frames don't tile. */
export function sealBatch(at: usize, bytes: u32): bool {
  const end = at + bytes;
  for (let frame = at + HEADER_BYTES; frame < end; ) {
    const size = frameBytes(frame, end);
    if (size == 0) return false;
    store<u64>(frame, messageChecksum(frame, size), MESSAGE_CHECKSUM);
    frame += size;
  }
  return sealHeader(at, bytes, load<u32>(at, MESSAGE_COUNT));
}

/**
 * Keeps at most `countMax` frames from the first whose delta is at least `deltaFirst`. Their
 * header goes directly in front of them, over frames that are not kept.
 */
export function sliceBatch(at: usize, bytes: u32, deltaFirst: u32, countMax: u32): bool {
  store<u32>(here(RESULT_STATUS), STATUS_MALFORMED);
  if (!hasHeader(at, bytes) || load<u64>(at, BATCH_LENGTH) != <u64>bytes) return false;
  const count = load<u32>(at, MESSAGE_COUNT);
  const end = at + bytes;
  let seen: u32 = 0;
  let first = at + HEADER_BYTES;
  for (; first < end; seen += 1) {
    const size = frameBytes(first, end);
    if (size == 0 || seen == count) return false;
    if (load<u32>(first, OFFSET_DELTA) >= deltaFirst) break;
    first += size;
  }
  let kept: u32 = 0;
  let last = first;
  for (; last < end && kept < countMax; kept += 1) {
    const size = frameBytes(last, end);
    if (size == 0 || seen + kept == count) return false;
    last += size;
  }
  if (last == end && seen + kept != count) return false;
  store<u32>(here(RESULT_STATUS), STATUS_OK);
  if (kept == 0) return false;
  const header = first - HEADER_BYTES;
  const length: u32 = <u32>(last - header);
  if (header != at || length != bytes) {
    memory.copy(header, at, HEADER_BYTES);
    store<u64>(header, <u64>length, BATCH_LENGTH);
    store<u32>(header, kept, MESSAGE_COUNT);
    sealHeader(header, length, kept);
  }
  store<u32>(here(RESULT_AT), <u32>header);
  store<u32>(here(RESULT_BYTES), length);
  store<u32>(here(RESULT_COUNT), kept);
  return true;
}

/** The first frame whose offset is at least `offset`, relative to `at`, or -1. */
export function findByOffset(at: usize, bytes: u32, offset: f64): i32 {
  return findAbove(at, bytes, BASE_OFFSET, OFFSET_DELTA, <u64>offset);
}

/** The first frame whose origin timestamp is at least `timestamp`, relative to `at`, or -1. */
export function findByOriginTimestamp(at: usize, bytes: u32, timestamp: f64): i32 {
  return findAbove(at, bytes, ORIGIN_TIMESTAMP, TIMESTAMP_DELTA, <u64>timestamp);
}

function findAbove(at: usize, bytes: u32, base: usize, delta: usize, wanted: u64): i32 {
  if (!hasHeader(at, bytes)) return -1;
  const start = load<u64>(at + base);
  const least = wanted > start ? wanted - start : 0;
  const length = load<u64>(at, BATCH_LENGTH);
  const end = at + (length < <u64>bytes ? <u32>length : bytes);
  for (let frame = at + HEADER_BYTES; frame < end; ) {
    const size = frameBytes(frame, end);
    if (size == 0) return -1;
    if (<u64>load<u32>(frame + delta) >= least) return <i32>(frame - at);
    frame += size;
  }
  return -1;
}

/** Batch checksum of a header and the frames behind it, written into the header. */
function sealHeader(at: usize, bytes: u32, count: u32): bool {
  const end = at + bytes;
  let seen: u32 = 0;
  gatherHeader(at);
  for (let frame = at + HEADER_BYTES; frame < end; seen += 1) {
    const size = frameBytes(frame, end);
    if (size == 0) return false;
    gather(load<u64>(frame, MESSAGE_CHECKSUM));
    frame += size;
  }
  if (seen != count) return false;
  store<u64>(at, checksumCovered(count), BATCH_CHECKSUM);
  return true;
}

/** A whole header, a length that can be, zeros where zeros must be. */
function hasHeader(at: usize, bytes: u32): bool {
  if (bytes < HEADER_BYTES || load<u64>(at, BATCH_LENGTH) < <u64>HEADER_BYTES) return false;
  let set = v128.load(at, 64);
  for (let place = at + 80; place < at + HEADER_BYTES; place += 16) {
    set = v128.or(set, v128.load(place));
  }
  return load<u32>(at, RESERVED) == 0 && load<u64>(at, 56) == 0 && !v128.any_true(set);
}

/** Size of a frame that lies whole before `end` with its reserved bytes zero, or 0. */
// @ts-ignore: decorator
@inline
function frameBytes(frame: usize, end: usize): u32 {
  const left = <u32>(end - frame);
  if (left < FRAME_BYTES) return 0;
  const body = <u64>load<u32>(frame, HEADERS_BYTES) + <u64>load<u32>(frame, PAYLOAD_BYTES);
  if (body > <u64>(left - FRAME_BYTES) || load<u64>(frame, FRAME_RESERVED) != 0) return 0;
  return FRAME_BYTES + <u32>body;
}

// @ts-ignore: decorator
@inline
function messageChecksum(frame: usize, size: u32): u64 {
  return hash64(frame + MESSAGE_COVERED, size - MESSAGE_COVERED, messageAcc());
}

// @ts-ignore: decorator
@inline
function hasChecksum(frame: usize, size: u32): bool {
  return messageChecksum(frame, size) == load<u64>(frame, MESSAGE_CHECKSUM);
}

function limitsOf(frame: usize): u32 {
  if (load<u32>(frame, PAYLOAD_BYTES) > PAYLOAD_BYTES_MAX) return STATUS_PAYLOAD_TOO_BIG;
  if (load<u32>(frame, HEADERS_BYTES) > HEADERS_BYTES_MAX) return STATUS_HEADERS_TOO_BIG;
  return STATUS_OK;
}
