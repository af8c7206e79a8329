import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BATCH,
  BATCH_HEADER_BYTES,
  MESSAGE,
  MESSAGE_HEADER_BYTES,
  PAYLOAD_BYTES_MAX,
  USER_HEADERS_BYTES_MAX,
} from '@iggy-ts/wire/batch';
import { STATUS } from '@iggy-ts/wire/status';
import { xxh3 } from '@node-rs/xxhash';
import { Pool, RESERVED_BYTES } from '../base/pool.ts';
import { Kernel } from './kernel.ts';
import { KERNEL_WASM } from './kernel-wasm.ts';

// The golden bytes of the protocol, and hashes held against an independent XXH3.

interface Vector {
  readonly name: string;
  readonly what: string;
  readonly direction: string;
  readonly verdict?: string;
  readonly rule?: {
    readonly length?: number;
    readonly payload_length?: number;
    readonly message_count?: number;
  };
  // biome-ignore lint/suspicious/noExplicitAny: the fields differ from vector to vector.
  readonly fields: any;
  readonly hex: string;
}

const HEADER_BYTES = 256;
const FRAME_BYTES = 48;
const CHECK_ALL = { limits: true, messages: true, batch: true };
const CHECK_LAYOUT = { limits: false, messages: false, batch: false };
const INPUT_BYTES = 48_128;

const VECTORS: readonly Vector[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../wire/testdata/vectors.json'), 'utf8'),
);

function vectorsOf(what: string): readonly Vector[] {
  const found = VECTORS.filter((vector) => vector.what === what);
  assert(found.length > 0);
  return found;
}

/** The byte pattern of the vectors. */
function patternOf(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => index * 31 + 7);
}

function bytesOf(hex: string, more: Uint8Array = new Uint8Array(0)): Uint8Array {
  return new Uint8Array(Buffer.concat([Buffer.from(hex, 'hex'), more]));
}

const pool = new Pool({ bytes: 8 * 1024 * 1024, slotBytesMax: 1024 * 1024 });
const kernel = new Kernel(pool);
const slot = pool.take(512 * 1024);

/** Puts bytes into the slot at an odd address. */
function put(bytes: Uint8Array): number {
  pool.bytes.set(bytes, slot + 3);
  return slot + 3;
}

function hash64(bytes: Uint8Array): bigint {
  const { low, high } = kernel.hash64Of(bytes);
  return (BigInt(high) << 32n) | BigInt(low);
}

function hash128(bytes: Uint8Array): bigint {
  const out = new Uint8Array(16);
  kernel.hash128Of(bytes, out);
  const view = new DataView(out.buffer);
  return (view.getBigUint64(8, true) << 64n) | view.getBigUint64(0, true);
}

function inPool(bytes: Uint8Array): Uint8Array {
  const at = put(bytes);
  return pool.bytes.subarray(at, at + bytes.length);
}

/** Batch checksum in the header at `at`. */
function batchChecksum(at: number): string {
  return pool.view.getBigUint64(at + 40, true).toString();
}

describe('the module of the kernel', () => {
  it('keeps its own data below 4 KiB, far from the thread area', () => {
    const module = Buffer.from(KERNEL_WASM, 'base64');
    const segments = dataSegments(module);
    assert(segments.length > 0);
    for (const { at, bytes } of segments) {
      assert(at + bytes <= 4096);
      assert(at + bytes <= RESERVED_BYTES);
    }
  });

  it('has the layout and the codes of wire', () => {
    const path = join(import.meta.dirname, 'assembly/batch.ts');
    const constants = new Map<string, number>();
    const rows = readFileSync(path, 'utf8').matchAll(
      /^(?:export )?const (\w+): \w+ = ([\d_]+);$/gmu,
    );
    for (const [, name, value] of rows) constants.set(name!, Number(value!.replaceAll('_', '')));
    assert.deepEqual(Object.fromEntries(constants), {
      HEADER_BYTES: BATCH_HEADER_BYTES,
      PARTITION_ID: BATCH.partitionId,
      BASE_OFFSET: BATCH.baseOffset,
      BASE_TIMESTAMP: BATCH.baseTimestamp,
      ORIGIN_TIMESTAMP: BATCH.originTimestamp,
      BATCH_LENGTH: BATCH.length,
      BATCH_CHECKSUM: BATCH.checksum,
      MESSAGE_COUNT: BATCH.messagesCount,
      RESERVED: BATCH.reserved,
      FRAME_BYTES: MESSAGE_HEADER_BYTES,
      MESSAGE_CHECKSUM: MESSAGE.checksum,
      // The checksum covers what stands behind it.
      MESSAGE_COVERED: MESSAGE.id,
      OFFSET_DELTA: MESSAGE.offsetDelta,
      TIMESTAMP_DELTA: MESSAGE.timestampDelta,
      HEADERS_BYTES: MESSAGE.userHeadersLength,
      PAYLOAD_BYTES: MESSAGE.payloadLength,
      FRAME_RESERVED: MESSAGE.reserved,
      PAYLOAD_BYTES_MAX,
      HEADERS_BYTES_MAX: USER_HEADERS_BYTES_MAX,
      STATUS_OK: 0,
      STATUS_MALFORMED: STATUS.invalidCommand,
      STATUS_COUNT_ZERO: STATUS.invalidMessagesCount,
      STATUS_HEADERS_TOO_BIG: STATUS.tooBigUserHeaders,
      STATUS_PAYLOAD_TOO_BIG: STATUS.tooBigMessagePayload,
      STATUS_MESSAGE_CHECKSUM: STATUS.invalidMessageChecksum,
      STATUS_BATCH_CHECKSUM: STATUS.invalidBatchChecksum,
      CHECK_LIMITS: 1,
      CHECK_MESSAGES: 2,
      CHECK_BATCH: 4,
    });
  });

  it('writes nothing into the slots when it starts', () => {
    const fresh = new Pool({ bytes: 4 * 1024 * 1024, slotBytesMax: 4096 });
    new Kernel(fresh);
    assert(fresh.bytes.subarray(RESERVED_BYTES).every((byte) => byte === 0));
  });
});

describe('hashes of the kernel', () => {
  it('agree with the vectors', () => {
    for (const { name, rule, fields } of vectorsOf('xxh3_64')) {
      const bytes = patternOf(rule!.length!);
      assert.equal(hash64(bytes).toString(), fields.xxh3_64, name);
      assert.equal(hash64(inPool(bytes)).toString(), fields.xxh3_64, name);
    }
  });

  it('agree with another XXH3 for every length up to 5000, inside the pool and outside', () => {
    const outside = patternOf(5000).map((byte, index) => byte ^ (index >> 8));
    const inside = inPool(outside);
    for (let bytes = 0; bytes <= outside.length; bytes += 1) {
      const part = outside.subarray(outside.length - bytes);
      const low = xxh3.xxh64(part);
      const wide = xxh3.xxh128(part);
      assert.equal(hash64(part), low);
      assert.equal(hash128(part), wide);
      const slotPart = inside.subarray(outside.length - bytes);
      assert.equal(hash64(slotPart), low);
      assert.equal(hash128(slotPart), wide);
    }
  });

  it('agree where bytes from outside come in pieces', () => {
    const bytes = patternOf(4 * INPUT_BYTES).map((byte, index) => byte ^ (index >> 7));
    for (const pieces of [1, 2, 3]) {
      for (const more of [-1025, -1024, -1, 0, 1, 63, 64, 65, 240, 241, 1023, 1024, 1025]) {
        const part = bytes.subarray(5, 5 + pieces * INPUT_BYTES + more);
        assert.equal(hash64(part), xxh3.xxh64(part));
        assert.equal(hash128(part), xxh3.xxh128(part));
      }
    }
  });

  it('leave the bytes alone and write 16 bytes', () => {
    const bytes = patternOf(100_000);
    const out = new Uint8Array(20).fill(0xee);
    kernel.hash128Of(bytes, out);
    assert.deepEqual(bytes, patternOf(100_000));
    assert.deepEqual(out.subarray(16), new Uint8Array(4).fill(0xee));
    const inside = inPool(bytes);
    hash64(inside);
    assert.deepEqual(new Uint8Array(inside), bytes);
  });

  it('may be written over the bytes they cover', () => {
    const bytes = patternOf(300);
    const wide = xxh3.xxh128(bytes);
    kernel.hash128Of(bytes, bytes);
    const view = new DataView(bytes.buffer);
    assert.equal(view.getBigUint64(0, true), wide & 0xffff_ffff_ffff_ffffn);
    assert.equal(view.getBigUint64(8, true), wide >> 64n);
  });

  it('refuse an out of less than 16 bytes', () => {
    assert.throws(() => kernel.hash128Of(patternOf(3), new Uint8Array(15)));
  });

  it('do not disturb each other between two kernels on two pools', () => {
    const other = new Kernel(new Pool({ bytes: 4 * 1024 * 1024, slotBytesMax: 4096 }));
    const bytes = patternOf(1000);
    const mine = kernel.hash64Of(bytes);
    const { low, high } = mine;
    other.hash64Of(patternOf(999));
    assert.equal(mine.low, low);
    assert.equal(mine.high, high);
    // A slot of one pool is outside of the other.
    const inside = inPool(bytes);
    assert.equal(other.hash64Of(inside).low, low);
  });
});

describe('batches of the vectors', () => {
  it('are accepted as sent, stamped and sliced', () => {
    for (const { name, fields, hex, direction } of vectorsOf('batch')) {
      if (direction !== 'batch') continue;
      const bytes = bytesOf(hex);
      const at = put(bytes);
      assert.equal(kernel.check(at, bytes.length, CHECK_ALL), 0, name);
      assert.equal(kernel.count, fields.message_count, name);
      assert.equal(kernel.originTimestampUs, Number(fields.origin_timestamp), name);
      assert.equal(kernel.dense, fields.messages[0].offset_delta === 0, name);
    }
  });

  it('become the stamped vectors when stamped', () => {
    const sent = bytesOf(vectorNamed('batch_as_sent').hex);
    for (const name of ['batch_stamped', 'batch_stamped_offset_zero']) {
      const { fields, hex } = vectorNamed(name);
      const at = put(sent);
      kernel.stamp({
        at,
        bytes: sent.length,
        partitionId: Number(fields.partition_id),
        baseOffset: Number(fields.base_offset),
        timestampUs: Number(fields.base_timestamp),
      });
      assert.deepEqual(slotBytes(at, sent.length), bytesOf(hex), name);
    }
  });

  it('become the sliced vector when sliced', () => {
    const stamped = bytesOf(vectorNamed('batch_stamped').hex);
    const wanted = bytesOf(vectorNamed('batch_sliced_from_second_message').hex);
    const at = put(stamped);
    const slice = kernel.slice({ at, bytes: stamped.length, deltaFirst: 1, countMax: 100 });
    assert.deepEqual(slice, {
      at: at + stamped.length - wanted.length,
      bytes: wanted.length,
      count: 2,
    });
    assert.deepEqual(slotBytes(slice!.at, slice!.bytes), wanted);
  });

  it('have the message and batch checksums of the vectors, as sent and as stamped', () => {
    for (const { name, rule, fields, hex } of vectorsOf('message_checksum')) {
      const bytes = bytesOf(hex, patternOf(rule!.payload_length!));
      const at = put(bytes);
      assert.equal(kernel.check(at, bytes.length, CHECK_ALL), 0, name);
      pool.bytes.fill(0, at + HEADER_BYTES, at + HEADER_BYTES + 8);
      assert.equal(kernel.check(at, bytes.length, CHECK_ALL), 4027, name);
      assert.equal(kernel.seal(at, bytes.length), true);
      assert.deepEqual(slotBytes(at, bytes.length), bytes, name);
      const { partition_id, base_offset, base_timestamp, batch_checksum } = fields.stamped;
      kernel.stamp({
        at,
        bytes: bytes.length,
        partitionId: Number(partition_id),
        baseOffset: Number(base_offset),
        timestampUs: Number(base_timestamp),
      });
      assert.equal(batchChecksum(at), batch_checksum, name);
      assert.equal(kernel.check(at, bytes.length, CHECK_ALL), 0, name);
    }
  });

  it('have the batch checksums of the vectors for 1 to 100 messages', () => {
    for (const { name, rule, fields, hex } of vectorsOf('batch_checksum')) {
      const { message_count: count } = rule!;
      const bytes = bytesOf(hex.slice(0, 2 * HEADER_BYTES), framesOf(count!));
      assert.equal(bytes.length, Number(fields.batch_length));
      const at = put(bytes);
      pool.view.setBigUint64(at + 40, 0n);
      assert.equal(kernel.seal(at, bytes.length), true);
      assert.equal(batchChecksum(at), fields.batch_checksum, name);
      assert.equal(kernel.check(at, bytes.length, CHECK_ALL), 0, name);
      const sealed = slotBytes(at, bytes.length);
      assert.equal(hash64(sealed).toString(), fields.xxh3_64_of_whole_batch);
      // The smaller vectors give all of their bytes.
      if (hex.length > 2 * HEADER_BYTES) assert.deepEqual(sealed, bytesOf(hex));
    }
  });

  it('are refused for the reasons of the malformed vectors', () => {
    const codes: Readonly<Record<string, number>> = {
      accepted: 0,
      invalid: 3,
      truncated: 3,
      bad_message_checksum: 4027,
      bad_batch_checksum: 4039,
    };
    const malformed = vectorsOf('batch').filter(({ direction }) => direction === 'malformed');
    assert(malformed.length >= 15);
    for (const { name, hex, verdict } of malformed) {
      const bytes = bytesOf(hex);
      const at = put(bytes);
      const code = kernel.check(at, bytes.length, CHECK_ALL);
      // What only a decoder accepts: bytes behind the batch, and a batch of no messages.
      if (name.endsWith('_trailing_accepted_by_decoder')) {
        assert.equal(code, 3);
        assert.equal(kernel.check(at, bytes.length - 1, CHECK_ALL), 0);
      } else if (name.endsWith('_empty')) {
        assert.equal(code, 4009);
        assert.equal(kernel.check(at, bytes.length, CHECK_LAYOUT), 4009);
      } else {
        assert.equal(code, codes[verdict!], name);
      }
    }
  });
});

describe('limits of messages', () => {
  // Only the few pages that are written cost memory.
  const big = new Pool({ bytes: 256 * 1024 * 1024, slotBytesMax: 65 * 1024 * 1024 });
  const judge = new Kernel(big);
  const at = big.take(65 * 1024 * 1024);

  /** Status for one message with so many bytes, checksums not looked at. */
  function statusOf(payload: number, headers: number, limits = true): number {
    const bytes = HEADER_BYTES + FRAME_BYTES + payload + headers;
    big.view.setUint32(at + 32, bytes, true);
    big.view.setUint32(at + 48, 1, true);
    big.view.setUint32(at + HEADER_BYTES + 32, headers, true);
    big.view.setUint32(at + HEADER_BYTES + 36, payload, true);
    return judge.check(at, bytes, { ...CHECK_LAYOUT, limits });
  }

  it('are 64,000,000 bytes of payload and 100,000 bytes of user headers', () => {
    assert.equal(statusOf(64_000_000, 100_000), 0);
    assert.equal(statusOf(64_000_001, 0), 4022);
    assert.equal(statusOf(0, 100_001), 4017);
    assert.equal(statusOf(64_000_001, 100_001), 4022);
  });

  it('are not looked at unless asked', () => {
    assert.equal(statusOf(64_000_001, 100_001, false), 0);
  });
});

describe('addresses given to the kernel', () => {
  const bytes = bytesOf(vectorNamed('batch_as_sent').hex);

  it('lie in slots, never in the reserved part or past the end', () => {
    const end = pool.bytes.length;
    for (const [at, size] of [
      [0, 465],
      [RESERVED_BYTES - 1, 465],
      [end - 464, 465],
      [end, 1],
      [slot, -1],
      [slot, 2 ** 32],
      [slot + 0.5, 465],
      [Number.NaN, 465],
    ] as const) {
      assert.throws(() => kernel.check(at, size, CHECK_ALL), assert.AssertionError);
      assert.throws(() => kernel.seal(at, size), assert.AssertionError);
      assert.throws(() => kernel.findByOffset(at, size, 0), assert.AssertionError);
    }
  });

  it('may reach to the last byte of the memory', () => {
    const small = new Pool({ bytes: 2 * 1024 * 1024 + 65_536, slotBytesMax: 65_536 });
    const last = new Kernel(small);
    const at = small.bytes.length - bytes.length;
    small.bytes.set(bytes, at);
    assert.equal(last.check(at, bytes.length, CHECK_ALL), 0);
    assert.equal(last.seal(at, bytes.length), true);
    assert.equal(last.findByOffset(at, bytes.length, 2), bytes.length - 53);
    for (let cut = 1; cut <= bytes.length; cut += 1) {
      small.bytes.set(bytes.subarray(0, bytes.length - cut), at + cut);
      assert.equal(last.check(at + cut, bytes.length - cut, CHECK_ALL), 3);
    }
  });

  it('are stamped with numbers that a u64 and a double both hold', () => {
    const at = put(bytes);
    const stamp = { at, bytes: bytes.length, partitionId: 0, baseOffset: 0, timestampUs: 0 };
    for (const wrong of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      assert.throws(() => kernel.stamp({ ...stamp, baseOffset: wrong }), assert.AssertionError);
      assert.throws(() => kernel.stamp({ ...stamp, timestampUs: wrong }), assert.AssertionError);
      assert.throws(() => kernel.findByOffset(at, bytes.length, wrong), assert.AssertionError);
    }
    const baseOffset = Number.MAX_SAFE_INTEGER;
    kernel.stamp({ ...stamp, baseOffset });
    assert.equal(pool.view.getBigUint64(at + 8, true), BigInt(baseOffset));
  });
});

function vectorNamed(name: string): Vector {
  const vector = VECTORS.find((candidate) => candidate.name === name);
  assert(vector !== undefined);
  return vector;
}

/** Frames by the rule of the batch_checksum vectors, without their checksums. */
function framesOf(count: number): Uint8Array {
  const frames: Uint8Array[] = [];
  for (let index = 0; index < count; index += 1) {
    const frame = new Uint8Array(FRAME_BYTES + index);
    const view = new DataView(frame.buffer);
    view.setUint32(8, 1 + index, true);
    view.setUint32(24, index, true);
    view.setUint32(28, index, true);
    view.setUint32(36, index, true);
    frame.set(patternOf(index), FRAME_BYTES);
    frames.push(frame);
  }
  return Buffer.concat(frames);
}

function slotBytes(at: number, bytes: number): Uint8Array {
  return new Uint8Array(pool.bytes.subarray(at, at + bytes));
}

/** Where the active data segments of a module lie: section 11, each with a constant address. */
function dataSegments(module: Uint8Array): { at: number; bytes: number }[] {
  let place = 8;
  const readLeb = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[place]!;
      place += 1;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const segments: { at: number; bytes: number }[] = [];
  while (place < module.length) {
    const section = module[place]!;
    place += 1;
    const end = readLeb() + place;
    if (section === 11) {
      for (let left = readLeb(); left > 0; left -= 1) {
        assert.equal(readLeb(), 0, 'active, memory 0');
        assert.equal(module[place], 0x41, 'i32.const');
        place += 1;
        const at = readLeb();
        assert.equal(module[place], 0x0b, 'end');
        place += 1;
        const bytes = readLeb();
        segments.push({ at, bytes });
        place += bytes;
      }
    }
    place = end;
  }
  return segments;
}
