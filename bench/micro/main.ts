import { Pool } from '@iggy-ts/node/base/pool';
import { Prng } from '@iggy-ts/node/base/prng';
import { Kernel } from '@iggy-ts/node/kernel/kernel';
import { xxh3 } from '@node-rs/xxhash';
import { formatTimings, type Row, timeRows } from './timing.ts';

// node bench/micro/main.ts [WORD]: the parts that run per message or per batch, each on its own,
// beside a native hash in the same run. With a word: only tables whose title holds it.

const HEADER_BYTES = 256;
const FRAME_BYTES = 48;
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
const CHECK_ALL = { limits: true, messages: true, batch: true };
const CHECK_LAYOUT = { limits: true, messages: false, batch: false };

const pool = new Pool({ bytes: 64 * 1024 * 1024, slotBytesMax: 16 * 1024 * 1024 });
const kernel = new Kernel(pool);

const TABLES: Readonly<Record<string, () => readonly Row[]>> = {
  'hash of bytes': hashRows,
  'batch of messages': batchRows,
  'pool of slots': poolRows,
};

const word = process.argv[2] ?? '';
console.log(`node ${process.version}, V8 ${process.versions.v8}, ${process.arch}\n`);
for (const [title, rowsOf] of Object.entries(TABLES)) {
  if (title.includes(word)) console.log(`${formatTimings(title, timeRows(rowsOf()))}\n`);
}

function hashRows(): readonly Row[] {
  return [100, 1024, 65_536, 1_048_576].flatMap((bytes) => {
    const at = pool.take(bytes);
    const inside = pool.bytes.subarray(at, at + bytes);
    new Prng(bytes).fill(inside);
    const outside = new Uint8Array(inside);
    const out = new Uint8Array(16);
    const size = sizeName(bytes);
    return [
      { name: `${size}  kernel 64, in the pool`, bytes, run: () => kernel.hash64Of(inside) },
      { name: `${size}  kernel 64, from outside`, bytes, run: () => kernel.hash64Of(outside) },
      { name: `${size}  native 64`, bytes, run: () => xxh3.xxh64(inside) },
      { name: `${size}  kernel 128, in the pool`, bytes, run: () => kernel.hash128Of(inside, out) },
      { name: `${size}  native 128`, bytes, run: () => xxh3.xxh128(inside) },
    ];
  });
}

function batchRows(): readonly Row[] {
  const rows: Row[] = [];
  for (const messageBytes of [100, 1024, 65_536]) {
    for (const count of [1, 10, 100, 1000]) {
      const bytes = HEADER_BYTES + count * (FRAME_BYTES + messageBytes);
      if (bytes > BATCH_BYTES_MAX) continue;
      const at = writeBatch(count, messageBytes);
      const name = `${String(count).padStart(4)} x ${sizeName(messageBytes)}`;
      const stamp = {
        at,
        bytes,
        partitionId: 1,
        baseOffset: 7,
        timestampUs: 1_700_000_000_000_000,
      };
      rows.push(
        { name: `${name}  check all`, bytes, run: () => kernel.check(at, bytes, CHECK_ALL) },
        {
          name: `${name}  check layout`,
          bytes: null,
          run: () => kernel.check(at, bytes, CHECK_LAYOUT),
        },
        { name: `${name}  stamp`, bytes: null, run: () => kernel.stamp(stamp) },
        { name: `${name}  native hash per message`, bytes, run: hashEach(at, count, messageBytes) },
      );
    }
  }
  return rows;
}

/** What a check costs without the kernel: a call into the native hash for every message. */
function hashEach(at: number, count: number, messageBytes: number): () => void {
  const size = FRAME_BYTES + messageBytes;
  const end = at + HEADER_BYTES + count * size;
  return () => {
    for (let place = at + HEADER_BYTES; place < end; place += size) {
      xxh3.xxh64(pool.bytes.subarray(place + 8, place + size));
    }
  };
}

/** A sealed batch in a slot of its own. */
function writeBatch(count: number, messageBytes: number): number {
  const size = FRAME_BYTES + messageBytes;
  const bytes = HEADER_BYTES + count * size;
  const at = pool.take(bytes);
  pool.bytes.fill(0, at, at + bytes);
  pool.view.setUint32(at + 32, bytes, true);
  pool.view.setUint32(at + 48, count, true);
  const prng = new Prng(count);
  for (let index = 0; index < count; index += 1) {
    const frame = at + HEADER_BYTES + index * size;
    pool.view.setUint32(frame + 24, index, true);
    pool.view.setUint32(frame + 36, messageBytes, true);
    prng.fill(pool.bytes.subarray(frame + FRAME_BYTES, frame + size));
  }
  if (!kernel.seal(at, bytes) || kernel.check(at, bytes, CHECK_ALL) !== 0) {
    throw new Error('the batch of the benchmark is malformed');
  }
  return at;
}

function poolRows(): readonly Row[] {
  return [4096, 20_480, 1_048_576].flatMap((bytes) => {
    const size = sizeName(bytes);
    const own = new Pool({ bytes: 256 * 1024 * 1024, slotBytesMax: 4 * 1024 * 1024 });
    const mixed = new Pool({ bytes: 256 * 1024 * 1024, slotBytesMax: 4 * 1024 * 1024 });
    const prng = new Prng(bytes);
    const draw = (): number => 1 + prng.below(2 * bytes);
    // Half of the memory stays taken, in slots of many sizes, and one of them changes per call.
    const slots: number[] = [];
    while (mixed.takenBytes < mixed.freeBytes) slots.push(mixed.take(draw()));
    return [
      { name: `${size}  take, give`, bytes: null, run: () => own.give(own.take(bytes)) },
      {
        name: `${size}  take, give at random, half full`,
        bytes: null,
        run: () => {
          const which = prng.below(slots.length);
          mixed.give(slots[which]!);
          // A large one may not fit between the others, a small one does.
          let at = mixed.take(draw());
          while (at < 0) at = mixed.take(draw());
          slots[which] = at;
        },
      },
    ];
  });
}

function sizeName(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`.padStart(7);
  if (bytes < 1_048_576) return `${bytes / 1024} KiB`.padStart(7);
  return `${bytes / 1_048_576} MiB`.padStart(7);
}
