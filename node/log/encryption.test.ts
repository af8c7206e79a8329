import assert from 'node:assert/strict';
import fs from 'node:fs';
import { encodeBatch, readMessages } from '@iggy-ts/wire/batch';
import fc from 'fast-check';
import { Pool } from '../base/pool.ts';
import { Kernel } from '../kernel/kernel.ts';
import { BatchCipher, parseEncryptionKey } from './encryption.ts';
import type { Records } from './log-reader.ts';

const pool = new Pool({ bytes: 16 * 1024 * 1024, slotBytesMax: 4 * 1024 * 1024 });
const kernel = new Kernel(pool);
const cipher = new BatchCipher(new Uint8Array(32).fill(1), { pool, kernel });
const ALL = { limits: false, messages: true, batch: true };

interface Section {
  readonly payload: Uint8Array;
  readonly userHeaders: Uint8Array;
}

/** A sealed batch in a slot. */
function batchOf(sections: readonly Section[]): { readonly at: number; readonly bytes: number } {
  const batch = encodeBatch(
    sections.map((section) => ({ ...section, id: 'ab'.repeat(16), originTimestampUs: 5 })),
  );
  assert(typeof batch !== 'number');
  const at = pool.take(batch.length);
  pool.bytes.set(batch, at);
  assert(kernel.seal(at, batch.length));
  return { at, bytes: batch.length };
}

/** The batches one after another, as a read brings them. */
function recordsOf(batches: readonly { readonly at: number; readonly bytes: number }[]): Records {
  const recordsBytes = batches.reduce((sum, { bytes }) => sum + bytes, 0);
  const slotAt = pool.take(recordsBytes + 100);
  let to = slotAt + 100;
  for (const { at, bytes } of batches) {
    pool.bytes.copyWithin(to, at, at + bytes);
    to += bytes;
  }
  return { slotAt, recordsAt: slotAt + 100, recordsBytes, messagesCount: 0 };
}

const sectionsArbitrary = fc.array(
  fc.record({
    payload: fc.uint8Array({ maxLength: 300 }),
    userHeaders: fc.uint8Array({ maxLength: 60 }),
  }),
  { minLength: 1, maxLength: 8 },
);

describe('encryption at rest', () => {
  afterEach(() => assert.equal(pool.takenBytes, 0));

  it('opens the section of the vector', async () => {
    const vectors = JSON.parse(
      fs.readFileSync(new URL('../../wire/testdata/vectors.json', import.meta.url), 'utf8'),
    );
    const vector = vectors.find(({ name }: { name: string }) => name === 'aes256gcm_section');
    const key = Uint8Array.fromHex(vector.fields.keyHex);
    const stored = batchOf([
      { payload: Uint8Array.fromHex(vector.hex), userHeaders: new Uint8Array() },
    ]);
    const records = recordsOf([stored]);
    pool.give(stored.at);
    const opened = await new BatchCipher(key, { pool, kernel }).decrypt(records);
    const end = opened.recordsAt + opened.recordsBytes;
    const messages = readMessages(pool.bytes, opened.recordsAt, end);
    assert(Array.isArray(messages));
    assert.equal(messages[0]!.payload.toHex(), vector.fields.plainHex);
    pool.give(opened.slotAt);
  });

  it('gives back what was encrypted, whatever it is, with sound checksums on both sides', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(sectionsArbitrary, { minLength: 1, maxLength: 3 }), async (all) => {
        const plain = all.map(batchOf);
        const before = recordsOf(plain);
        const stored = [];
        for (const { at, bytes } of plain) stored.push(await cipher.encrypt(at, bytes));
        for (const { at, bytes } of stored) assert.equal(kernel.check(at, bytes, ALL), 0);
        const opened = await cipher.decrypt(recordsOf(stored));
        const { bytes } = pool;
        assert.deepEqual(
          bytes.slice(opened.recordsAt, opened.recordsAt + opened.recordsBytes),
          bytes.slice(before.recordsAt, before.recordsAt + before.recordsBytes),
        );
        for (const { at } of [...plain, ...stored]) pool.give(at);
        pool.give(before.slotAt);
        pool.give(opened.slotAt);
      }),
      { numRuns: 60 },
    );
  });

  it('makes 28 bytes of an empty payload and leaves empty user headers empty', async () => {
    const plain = batchOf([{ payload: new Uint8Array(), userHeaders: new Uint8Array() }]);
    const stored = await cipher.encrypt(plain.at, plain.bytes);
    assert.equal(stored.bytes, plain.bytes + 28);
    const messages = readMessages(pool.bytes, stored.at, stored.at + stored.bytes);
    assert(Array.isArray(messages));
    const message = messages[0]!;
    assert.equal(message.payload.length, 28);
    assert.equal(message.userHeaders.length, 0);
    pool.give(plain.at);
    pool.give(stored.at);
  });

  it('never stores the same bytes twice', async () => {
    const plain = batchOf([{ payload: new Uint8Array(40), userHeaders: new Uint8Array(8) }]);
    const one = await cipher.encrypt(plain.at, plain.bytes);
    const two = await cipher.encrypt(plain.at, plain.bytes);
    const bytesOf = (at: number): Uint8Array => pool.bytes.slice(at + 304, at + one.bytes);
    assert.notDeepEqual(bytesOf(one.at), bytesOf(two.at));
    for (const { at } of [plain, one, two]) pool.give(at);
  });

  it('refuses with 72 what another key made, and gives the slot back', async () => {
    const other = new BatchCipher(new Uint8Array(32).fill(2), { pool, kernel });
    const plain = batchOf([{ payload: new Uint8Array(40), userHeaders: new Uint8Array() }]);
    const stored = await other.encrypt(plain.at, plain.bytes);
    await assert.rejects(cipher.decrypt(recordsOf([stored])), { code: 72 });
    await assert.rejects(cipher.decrypt(recordsOf([plain])), { code: 72 });
    pool.give(plain.at);
    pool.give(stored.at);
  });

  it('refuses with 72 every flipped bit of nonce, cipher text and tag', async () => {
    const plain = batchOf([{ payload: new Uint8Array(5), userHeaders: new Uint8Array(2) }]);
    const stored = await cipher.encrypt(plain.at, plain.bytes);
    for (let at = 256 + 48; at < stored.bytes; at += 1) {
      const records = recordsOf([stored]);
      pool.bytes[records.recordsAt + at]! ^= 1 << (at % 8);
      await assert.rejects(cipher.decrypt(records), { code: 72 });
    }
    pool.give(plain.at);
    pool.give(stored.at);
  });

  it('refuses with 72 records that are cut anywhere, or lie about a length', async () => {
    const plain = batchOf([{ payload: new Uint8Array(5), userHeaders: new Uint8Array(2) }]);
    const stored = await cipher.encrypt(plain.at, plain.bytes);
    for (let bytes = 1; bytes < stored.bytes; bytes += 1) {
      await assert.rejects(cipher.decrypt({ ...recordsOf([stored]), recordsBytes: bytes }), {
        code: 72,
      });
    }
    for (const field of [256 + 32, 256 + 36, 32]) {
      for (const value of [0, 27, 0x7fff_ffff, 0xffff_ffff]) {
        const records = recordsOf([stored]);
        pool.view.setUint32(records.recordsAt + field, value, true);
        await assert.rejects(cipher.decrypt(records), { code: 72 });
      }
    }
    pool.give(plain.at);
    pool.give(stored.at);
  });
});

describe('the key file', () => {
  const key = new Uint8Array(32).map((_, index) => index * 7);

  it('is base64 of 32 bytes, with white space around it', () => {
    assert.deepEqual(parseEncryptionKey(`\n ${key.toBase64()}\r\n`), key);
  });

  const cases: readonly [string, RegExp][] = [
    ['', /key is empty/],
    ['  \n', /key is empty/],
    ['not base64!', /key is not base64/],
    [`${key.toBase64()}x`, /key is not base64/],
    [new Uint8Array(31).toBase64(), /has 31 bytes, not 32/],
    [new Uint8Array(33).toBase64(), /has 33 bytes, not 32/],
  ];
  for (const [text, message] of cases) {
    it(`is refused when it holds ${JSON.stringify(text)}, without repeating it`, () => {
      assert.throws(
        () => parseEncryptionKey(text),
        (error: Error) =>
          message.test(error.message) && !error.message.includes(text.trim() || '#'),
      );
    });
  }
});
