import assert from 'node:assert/strict';
import { xxh3 } from '@node-rs/xxhash';
import fc from 'fast-check';
import { Pool } from '../base/pool.ts';
import { type Checks, Kernel, type Slice } from './kernel.ts';

// The batch functions held against a slow model that reads like wire.md 12. Every batch lies
// between poisoned bytes and is judged twice, with another poison: a result that depends on what
// lies outside differs, and a write outside shows.

interface Message {
  readonly offsetDelta: number;
  readonly timestampDelta: number;
  readonly payload: Uint8Array;
  readonly headers: Uint8Array;
}

interface Batch {
  readonly partitionId: number;
  readonly baseOffset: number;
  readonly baseTimestampUs: number;
  readonly originTimestampUs: number;
  readonly messages: readonly Message[];
}

const HEADER_BYTES = 256;
const FRAME_BYTES = 48;
const GUARD_BYTES = 512;
const CHECK_ALL = { limits: true, messages: true, batch: true };
const EVERY_CHECKS: readonly Checks[] = Array.from({ length: 8 }, (_, bits) => ({
  limits: (bits & 1) !== 0,
  messages: (bits & 2) !== 0,
  batch: (bits & 4) !== 0,
}));

const pool = new Pool({ bytes: 16 * 1024 * 1024, slotBytesMax: 4 * 1024 * 1024 });
const kernel = new Kernel(pool);
const slot = pool.take(2 * 1024 * 1024);

// The model.

function encode(batch: Batch): Uint8Array {
  const frames = batch.messages.map(encodeFrame);
  const bytes = HEADER_BYTES + frames.reduce((sum, frame) => sum + frame.length, 0);
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setBigUint64(0, BigInt(batch.partitionId), true);
  view.setBigUint64(8, BigInt(batch.baseOffset), true);
  view.setBigUint64(16, BigInt(batch.baseTimestampUs), true);
  view.setBigUint64(24, BigInt(batch.originTimestampUs), true);
  view.setBigUint64(32, BigInt(bytes), true);
  view.setUint32(48, batch.messages.length, true);
  const checksums = frames.map((frame) => frame.subarray(0, 8));
  const covered = [header.subarray(0, 40), header.subarray(48, 52), ...checksums];
  view.setBigUint64(40, xxh3.xxh64(Buffer.concat(covered)), true);
  return new Uint8Array(Buffer.concat([header, ...frames]));
}

function encodeFrame(message: Message, index: number): Uint8Array {
  const { payload, headers } = message;
  const frame = new Uint8Array(FRAME_BYTES + payload.length + headers.length);
  const view = new DataView(frame.buffer);
  view.setUint32(8, index + 1, true);
  view.setUint32(24, message.offsetDelta, true);
  view.setUint32(28, message.timestampDelta, true);
  view.setUint32(32, headers.length, true);
  view.setUint32(36, payload.length, true);
  frame.set(payload, FRAME_BYTES);
  frame.set(headers, FRAME_BYTES + payload.length);
  view.setBigUint64(0, xxh3.xxh64(frame.subarray(8)), true);
  return frame;
}

/** Places of the frames, or null when the layout is broken; 12.5 rows 6 to 8. */
function framesIn(bytes: Uint8Array): number[] | null {
  if (bytes.length < HEADER_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getBigUint64(32, true) !== BigInt(bytes.length)) return null;
  if (bytes.subarray(52, HEADER_BYTES).some((byte) => byte !== 0)) return null;
  const places: number[] = [];
  for (let at = HEADER_BYTES; at < bytes.length; ) {
    if (at + FRAME_BYTES > bytes.length) return null;
    if (bytes.subarray(at + 40, at + FRAME_BYTES).some((byte) => byte !== 0)) return null;
    const next = at + FRAME_BYTES + view.getUint32(at + 32, true) + view.getUint32(at + 36, true);
    if (next > bytes.length) return null;
    places.push(at);
    at = next;
  }
  return places.length === view.getUint32(48, true) ? places : null;
}

/** What check must answer; batches here are too small to break a limit. */
function judge(bytes: Uint8Array, what: Checks): number {
  const places = framesIn(bytes);
  if (places === null) return 3;
  if (places.length === 0) return 4009;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const checksums = places.map((at) => bytes.subarray(at, at + 8));
  if (what.messages) {
    for (const [index, at] of places.entries()) {
      const frame = bytes.subarray(at + 8, places[index + 1] ?? bytes.length);
      if (xxh3.xxh64(frame) !== view.getBigUint64(at, true)) return 4027;
    }
  }
  const covered = [bytes.subarray(0, 40), bytes.subarray(48, 52), ...checksums];
  if (what.batch && xxh3.xxh64(Buffer.concat(covered)) !== view.getBigUint64(40, true)) return 4039;
  return 0;
}

// Batches between guards.

/** Calls `use` on a copy of the bytes between guards of each poison; the results are the same. */
function between<T>(bytes: Uint8Array, use: (at: number) => T): T {
  const results = [0x00, 0xff, 0x5a].map((poison) => {
    const end = slot + GUARD_BYTES + bytes.length + GUARD_BYTES;
    pool.bytes.fill(poison, slot, end);
    // Every alignment comes by, because lengths vary.
    const at = slot + GUARD_BYTES - (bytes.length % 16);
    pool.bytes.set(bytes, at);
    const result = use(at);
    assert(pool.bytes.subarray(slot, at).every((byte) => byte === poison));
    assert(pool.bytes.subarray(at + bytes.length, end).every((byte) => byte === poison));
    return result;
  });
  assert.deepEqual(results[1], results[0]);
  assert.deepEqual(results[2], results[0]);
  return results[0]!;
}

function after(at: number, bytes: number): Uint8Array {
  return new Uint8Array(pool.bytes.subarray(at, at + bytes));
}

const messages = fc.record({
  offsetDelta: fc.nat(1),
  timestampDelta: fc.nat(1000),
  payload: fc.uint8Array({ maxLength: 400 }),
  headers: fc.uint8Array({ maxLength: 40 }),
});

/** Deltas grow by one, at times by two, as in batches of which messages were dropped. */
const batches: fc.Arbitrary<Batch> = fc
  .record({
    partitionId: fc.nat(),
    baseOffset: fc.maxSafeNat(),
    baseTimestampUs: fc.maxSafeNat(),
    originTimestampUs: fc.maxSafeNat(),
    messages: fc.array(messages, { minLength: 1, maxLength: 30 }),
  })
  .map((batch) => {
    let next = 0;
    return {
      ...batch,
      messages: batch.messages.map((message) => {
        const offsetDelta = next + message.offsetDelta;
        next = offsetDelta + 1;
        return { ...message, offsetDelta };
      }),
    };
  });

type Wound =
  | { readonly kind: 'flip'; readonly place: number; readonly bit: number }
  | { readonly kind: 'cut' | 'cut and told'; readonly place: number }
  | { readonly kind: 'word'; readonly place: number; readonly value: number };

/** One place and what is written there: mostly where lengths and counts stand. */
const wounds: fc.Arbitrary<Wound> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), place: fc.nat(), bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('cut' as const), place: fc.nat() }),
  fc.record({ kind: fc.constant('cut and told' as const), place: fc.nat() }),
  fc.record({
    kind: fc.constant('word' as const),
    place: fc.constantFrom(32, 36, 48, 52, 252, 280, 284, 288, 292, 296, 300),
    value: fc.oneof(fc.nat(600), fc.constantFrom(0x7fff_ffff, 0x8000_0000, 0xffff_ffff)),
  }),
);

function wounded(whole: Uint8Array, wound: Wound): Uint8Array {
  const bytes = new Uint8Array(whole);
  if (bytes.length < HEADER_BYTES) return bytes;
  const view = new DataView(bytes.buffer);
  switch (wound.kind) {
    case 'flip':
      bytes[wound.place % bytes.length]! ^= 1 << wound.bit;
      return bytes;
    case 'word':
      if (wound.place + 4 <= bytes.length) view.setUint32(wound.place, wound.value, true);
      return bytes;
    case 'cut':
    case 'cut and told': {
      const size = wound.place % bytes.length;
      if (wound.kind === 'cut and told') view.setBigUint64(32, BigInt(size), true);
      return bytes.subarray(0, size);
    }
  }
}

describe('check', () => {
  it('accepts whole batches and tells count, density and origin', () => {
    fc.assert(
      fc.property(batches, (batch) => {
        const bytes = encode(batch);
        const told = between(bytes, (at) => [
          kernel.check(at, bytes.length, CHECK_ALL),
          kernel.count,
          kernel.dense,
          kernel.originTimestampUs,
        ]);
        const dense = batch.messages.every(({ offsetDelta }, index) => offsetDelta === index);
        assert.deepEqual(told, [0, batch.messages.length, dense, batch.originTimestampUs]);
      }),
    );
  });

  it('answers as the model does to cut, flipped and forged batches, and reads nothing outside', () => {
    fc.assert(
      fc.property(batches, fc.array(wounds, { minLength: 1, maxLength: 3 }), (batch, list) => {
        const bytes = list.reduce(wounded, encode(batch));
        for (const what of EVERY_CHECKS) {
          const status = between(bytes, (at) => kernel.check(at, bytes.length, what));
          assert.equal(status, judge(bytes, what));
        }
      }),
      { numRuns: 400 },
    );
  });

  it('answers as the model does to a batch cut at every byte and flipped at every bit', () => {
    const bytes = encode(numbered(3));
    for (let size = 0; size < bytes.length; size += 1) {
      for (const told of [bytes.length, size]) {
        const cut = new Uint8Array(bytes);
        new DataView(cut.buffer).setUint32(32, told, true);
        const part = cut.subarray(0, size);
        const status = between(part, (at) => kernel.check(at, size, CHECK_ALL));
        assert.equal(status, judge(part, CHECK_ALL));
        assert.notEqual(status, 0);
      }
    }
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = new Uint8Array(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const status = between(flipped, (at) => kernel.check(at, flipped.length, CHECK_ALL));
      assert.equal(status, judge(flipped, CHECK_ALL));
      assert.notEqual(status, 0);
    }
  });

  it('takes random bytes for what they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const status = between(bytes, (at) => kernel.check(at, bytes.length, CHECK_ALL));
        assert.equal(status, judge(bytes, CHECK_ALL));
      }),
    );
  });

  it('prefers a broken layout to a broken checksum, wherever each stands', () => {
    const bytes = encode(numbered(4));
    bytes[HEADER_BYTES] = ~bytes[HEADER_BYTES]!;
    assert.equal(
      between(bytes, (at) => kernel.check(at, bytes.length, CHECK_ALL)),
      4027,
    );
    // The reserved bytes of the last frame.
    bytes[framesIn(bytes)!.at(-1)! + 47] = 1;
    assert.equal(
      between(bytes, (at) => kernel.check(at, bytes.length, CHECK_ALL)),
      3,
    );
  });
});

describe('seal and stamp', () => {
  it('make the checksums of the model for every count that fits one pass of the list and some', () => {
    // The list of the batch checksum is absorbed past 8192 bytes, 1018 messages.
    const counts = [...Array(60).keys(), 1017, 1018, 1019, 1020, 2041, 2042, 2043, 2044, 5000];
    for (const count of counts) {
      const bytes = encode(numbered(count));
      const bare = new Uint8Array(bytes).fill(0, 40, 48);
      for (const at of framesIn(bytes)!) bare.fill(0, at, at + 8);
      const sealed = between(bare, (at) => {
        assert.equal(kernel.seal(at, bare.length), true);
        return after(at, bare.length);
      });
      assert.deepEqual(sealed, bytes);
      const status = between(bytes, (at) => kernel.check(at, bytes.length, CHECK_ALL));
      assert.equal(status, count === 0 ? 4009 : 0);
    }
  });

  it('write what the server decides and nothing else', () => {
    fc.assert(
      fc.property(batches, batches, (batch, { partitionId, baseOffset, baseTimestampUs }) => {
        const bytes = encode(batch);
        const stamped = between(bytes, (at) => {
          const size = bytes.length;
          kernel.stamp({ at, bytes: size, partitionId, baseOffset, timestampUs: baseTimestampUs });
          return after(at, size);
        });
        const wanted = { ...batch, partitionId, baseOffset, baseTimestampUs };
        assert.deepEqual(stamped, encode(wanted));
      }),
    );
  });

  it('refuse what does not tile, and stay inside of it', () => {
    fc.assert(
      fc.property(batches, fc.array(wounds, { minLength: 1, maxLength: 2 }), (batch, list) => {
        const bytes = list.reduce(wounded, encode(batch));
        const sealed = between(bytes, (at) => kernel.seal(at, bytes.length));
        if (framesIn(bytes) !== null) assert.equal(sealed, true);
        if (bytes.length < HEADER_BYTES) assert.equal(sealed, false);
      }),
      { numRuns: 300 },
    );
    const torn = encode(numbered(2)).subarray(0, -1);
    assert.throws(() =>
      between(torn, (at) => {
        const stamp = { partitionId: 1, baseOffset: 1, timestampUs: 1 };
        kernel.stamp({ at, bytes: torn.length, ...stamp });
      }),
    );
  });
});

describe('slice', () => {
  const cuts = fc.record({ deltaFirst: fc.nat(40), countMax: fc.nat(35) });

  it('keeps what the model keeps, with a true header directly in front', () => {
    fc.assert(
      fc.property(batches, cuts, (batch, { deltaFirst, countMax }) => {
        const bytes = encode(batch);
        const kept = batch.messages
          .map((message, index) => ({ message, index }))
          .filter(({ message }) => message.offsetDelta >= deltaFirst)
          .slice(0, countMax);
        const { sliced, place, status } = between(bytes, (at) => {
          const slice = kernel.slice({ at, bytes: bytes.length, deltaFirst, countMax });
          return placed(slice, at);
        });
        assert.equal(status, 0);
        if (kept.length === 0) {
          assert.equal(sliced, null);
          return;
        }
        const first = framesIn(bytes)![kept[0]!.index]!;
        assert.equal(place, first - HEADER_BYTES);
        const frames = kept.map(({ message, index }) => encodeFrame(message, index));
        const model = encode({ ...batch, messages: kept.map(({ message }) => message) });
        // The model numbers its ids anew: the frames are the old ones, the header is sealed over them.
        const wanted = Buffer.concat([model.subarray(0, HEADER_BYTES), ...frames]);
        assert.deepEqual(
          sliced!.subarray(HEADER_BYTES),
          new Uint8Array(wanted).subarray(HEADER_BYTES),
        );
        assert.deepEqual(sliced!.subarray(0, 40), model.subarray(0, 40));
        assert.deepEqual(sliced!.subarray(48, HEADER_BYTES), model.subarray(48, HEADER_BYTES));
        assert.equal(judge(sliced!, CHECK_ALL), 0);
      }),
      { numRuns: 300 },
    );
  });

  it('leaves a batch that is kept whole as it is', () => {
    const bytes = encode(numbered(5));
    const { sliced, place } = between(bytes, (at) =>
      placed(kernel.slice({ at, bytes: bytes.length, deltaFirst: 0, countMax: 5 }), at),
    );
    assert.equal(place, 0);
    assert.deepEqual(sliced, bytes);
  });

  it('can be sliced again, to every part', () => {
    const bytes = encode(numbered(6));
    for (let first = 0; first < 6; first += 1) {
      for (let count = 1; first + count <= 6; count += 1) {
        const { sliced } = between(bytes, (at) => {
          const whole = { at, bytes: bytes.length };
          const upper = kernel.slice({ ...whole, deltaFirst: first, countMax: 6 })!;
          return placed(kernel.slice({ ...upper, deltaFirst: 0, countMax: count }), at);
        });
        assert.equal(judge(sliced!, CHECK_ALL), 0);
        assert.equal(framesIn(sliced!)!.length, count);
        const view = new DataView(sliced!.buffer);
        assert.equal(view.getUint32(HEADER_BYTES + 24, true), first);
      }
    }
  });

  it('refuses malformed batches or keeps whole frames of them, and reads nothing outside', () => {
    fc.assert(
      fc.property(
        batches,
        fc.array(wounds, { minLength: 1, maxLength: 2 }),
        cuts,
        (batch, list, cut) => {
          const bytes = list.reduce(wounded, encode(batch));
          const { sliced, status } = between(bytes, (at) =>
            placed(kernel.slice({ at, bytes: bytes.length, ...cut }), at),
          );
          if (status === 3) {
            assert.equal(sliced, null);
            assert.equal(framesIn(bytes), null);
          } else if (sliced !== null) {
            assert.notEqual(framesIn(sliced), null);
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it('refuses a batch that holds more or fewer messages than it says', () => {
    const short = encode(numbered(4));
    new DataView(short.buffer).setUint32(48, 2, true);
    const more = between(short, (at) =>
      placed(kernel.slice({ at, bytes: short.length, deltaFirst: 0, countMax: 3 }), at),
    );
    assert.equal(more.sliced, null);
    assert.equal(more.status, 3);
    for (const lie of [0, 3, 5, 0xffff_ffff]) {
      const bytes = encode(numbered(4));
      new DataView(bytes.buffer).setUint32(48, lie, true);
      for (const deltaFirst of [0, 2, 100]) {
        const { sliced, status } = between(bytes, (at) =>
          placed(kernel.slice({ at, bytes: bytes.length, deltaFirst, countMax: 100 }), at),
        );
        assert.equal(sliced, null);
        assert.equal(status, 3);
      }
      assert.equal(
        between(bytes, (at) => kernel.seal(at, bytes.length)),
        false,
      );
    }
  });

  it('asserts that delta and count are u32', () => {
    const at = slot + GUARD_BYTES;
    for (const wrong of [-1, 0.5, 2 ** 32, Number.NaN]) {
      const cut = { at, bytes: 300, deltaFirst: 0, countMax: 1 };
      assert.throws(() => kernel.slice({ ...cut, deltaFirst: wrong }), assert.AssertionError);
      assert.throws(() => kernel.slice({ ...cut, countMax: wrong }), assert.AssertionError);
    }
  });
});

describe('find', () => {
  it('finds the first frame at or above an offset or an origin timestamp', () => {
    fc.assert(
      fc.property(batches, fc.integer({ min: -3, max: 40 }), (batch, step) => {
        const bytes = encode(batch);
        const places = framesIn(bytes)!;
        const offset = clamp(batch.baseOffset + step);
        const timestamp = clamp(batch.originTimestampUs + step * 25);
        const found = between(bytes, (at) => [
          kernel.findByOffset(at, bytes.length, offset),
          kernel.findByOriginTimestamp(at, bytes.length, timestamp),
        ]);
        const { baseOffset, originTimestampUs } = batch;
        const first = (reaches: (message: Message) => boolean): number =>
          places[batch.messages.findIndex(reaches)] ?? -1;
        assert.deepEqual(found, [
          first(({ offsetDelta }) => BigInt(baseOffset) + BigInt(offsetDelta) >= BigInt(offset)),
          first((message) => {
            const origin = BigInt(originTimestampUs) + BigInt(message.timestampDelta);
            return origin >= BigInt(timestamp);
          }),
        ]);
      }),
      { numRuns: 300 },
    );
  });

  it('reads nothing outside of a malformed batch', () => {
    fc.assert(
      fc.property(batches, fc.array(wounds, { minLength: 1, maxLength: 2 }), (batch, list) => {
        const bytes = list.reduce(wounded, encode(batch));
        const place = between(bytes, (at) =>
          kernel.findByOffset(at, bytes.length, batch.baseOffset),
        );
        assert(place === -1 || place + FRAME_BYTES <= bytes.length);
        between(bytes, (at) => kernel.findByOriginTimestamp(at, bytes.length, 0));
      }),
      { numRuns: 300 },
    );
  });
});

/** What a slice holds, free of addresses, so that two runs can be compared. */
function placed(
  slice: Slice | null,
  at: number,
): { sliced: Uint8Array | null; place: number; status: number } {
  const { status } = kernel;
  if (slice === null) return { sliced: null, place: -1, status };
  const sliced = after(slice.at, slice.bytes);
  assert.equal(new DataView(sliced.buffer).getUint32(48, true), slice.count);
  return { sliced, place: slice.at - at, status };
}

/** A plain batch of `count` messages of different lengths. */
function numbered(count: number): Batch {
  const numbers = { partitionId: 7, baseOffset: 1000, baseTimestampUs: 5, originTimestampUs: 99 };
  const list = Array.from({ length: count }, (_, index) => ({
    offsetDelta: index,
    timestampDelta: index * 10,
    payload: new Uint8Array((index * 37) % 90).fill(index),
    headers: new Uint8Array(index % 3).fill(1),
  }));
  return { ...numbers, messages: list };
}

function clamp(value: number): number {
  return Math.min(Math.max(value, 0), Number.MAX_SAFE_INTEGER);
}
