import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type KeyObject,
  randomFillSync,
} from 'node:crypto';
import { BATCH, BATCH_HEADER_BYTES, MESSAGE, MESSAGE_HEADER_BYTES } from '@iggy-ts/wire/batch';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Pool } from '../base/pool.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Records } from './log-reader.ts';

// A message at rest, each section by itself, empty user headers left empty:
//
//   | frame header 48 | payload                     | user headers                |
//   | frame header 48 | nonce 12 | cipher | tag 16 | nonce 12 | cipher | tag 16 |
//
// Lengths and checksums are those of what is stored, so that everything but these two functions
// sees an ordinary batch. Nonces are drawn: a key should be replaced before 2^32 sections.

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Bytes by which a section grows. */
const GROWTH_BYTES: number = NONCE_BYTES + TAG_BYTES;
const NONCES_DRAWN = 1024;

/**
 * The key in the text of a key file: base64 of 32 bytes, white space around it.
 *
 * errors   Error with a sentence for the operator; it never contains the text
 */
export function parseEncryptionKey(text: string): Uint8Array {
  const trimmed = text.trim();
  if (trimmed === '') throw new Error('the encryption key is empty');
  let key: Uint8Array;
  try {
    key = Uint8Array.fromBase64(trimmed);
  } catch {
    throw new Error('the encryption key is not base64');
  }
  if (key.length !== KEY_BYTES) {
    throw new Error(`the encryption key has ${key.length} bytes, not ${KEY_BYTES}`);
  }
  return key;
}

/**
 * Encrypts batches before they are appended and decrypts records after they are read.
 *
 * cost     two calls of OpenSSL per section, one copy; on the calling thread
 * source   wire.md 12.6
 */
export class BatchCipher {
  readonly #key: KeyObject;
  readonly #pool: Pool;
  readonly #kernel: Kernel;
  readonly #nonces: Uint8Array = new Uint8Array(NONCES_DRAWN * NONCE_BYTES);
  #nonceAt: number = NONCES_DRAWN * NONCE_BYTES;

  constructor(key: Uint8Array, dependencies: { readonly pool: Pool; readonly kernel: Kernel }) {
    this.#key = createSecretKey(key);
    this.#pool = dependencies.pool;
    this.#kernel = dependencies.kernel;
  }

  /**
   * A copy of a checked batch, encrypted and sealed, in a slot of its own that the caller gives
   * back; the slot is as large as the batch or larger and begins with it.
   *
   * errors   RangeError: larger than a slot of the pool can be
   */
  async encrypt(
    at: number,
    bytes: number,
  ): Promise<{ readonly at: number; readonly bytes: number }> {
    const grown = this.#grownBytes(at, bytes);
    const slotAt = await this.#pool.takeWhenFree(grown);
    const memory = this.#pool.bytes;
    memory.copyWithin(slotAt, at, at + BATCH_HEADER_BYTES);
    let to = slotAt + BATCH_HEADER_BYTES;
    for (let from = at + BATCH_HEADER_BYTES; from < at + bytes; ) {
      const { payloadBytes, headersBytes } = this.#lengthsOf(from);
      memory.copyWithin(to, from, from + MESSAGE_HEADER_BYTES);
      const payloadAt = from + MESSAGE_HEADER_BYTES;
      const headersAt = payloadAt + payloadBytes;
      let end = this.#seal(payloadAt, headersAt, to + MESSAGE_HEADER_BYTES);
      if (headersBytes > 0) end = this.#seal(headersAt, headersAt + headersBytes, end);
      this.#setLengths(
        to,
        payloadBytes + GROWTH_BYTES,
        headersBytes && headersBytes + GROWTH_BYTES,
      );
      from = headersAt + headersBytes;
      to = end;
    }
    this.#finish(slotAt, to - slotAt);
    return { at: slotAt, bytes: to - slotAt };
  }

  /**
   * The records as the producer sent them, in the same slot.
   *
   * errors   72: not encrypted with this key, or damaged; the slot has been given back
   */
  decrypt(records: Records): Promise<Records> {
    const end = records.recordsAt + records.recordsBytes;
    let to = records.recordsAt;
    try {
      for (let from = records.recordsAt; from < end; ) {
        const bytes = this.#batchBytes(from, end);
        to += this.#open(from, bytes, to);
        from += bytes;
      }
    } catch (cause) {
      this.#pool.give(records.slotAt);
      return Promise.reject(new OperatingError(STATUS.cannotDecryptData, undefined, { cause }));
    }
    return Promise.resolve({ ...records, recordsBytes: to - records.recordsAt });
  }

  /** Decrypts one batch towards the front; what is written never passes what is read. */
  #open(at: number, bytes: number, target: number): number {
    const memory = this.#pool.bytes;
    memory.copyWithin(target, at, at + BATCH_HEADER_BYTES);
    let to = target + BATCH_HEADER_BYTES;
    for (let from = at + BATCH_HEADER_BYTES; from < at + bytes; ) {
      const { payloadBytes, headersBytes } = this.#lengthsOf(from);
      const payloadAt = from + MESSAGE_HEADER_BYTES;
      const headersAt = payloadAt + payloadBytes;
      const next = headersAt + headersBytes;
      if (next > at + bytes) throw new RangeError('a message runs past its batch');
      memory.copyWithin(to, from, payloadAt);
      const opened = this.#unseal(payloadAt, headersAt, to + MESSAGE_HEADER_BYTES);
      const end = headersBytes === 0 ? opened : this.#unseal(headersAt, next, opened);
      this.#setLengths(to, opened - to - MESSAGE_HEADER_BYTES, end - opened);
      from = next;
      to = end;
    }
    this.#finish(target, to - target);
    return to - target;
  }

  #grownBytes(at: number, bytes: number): number {
    let grown = bytes;
    for (let from = at + BATCH_HEADER_BYTES; from < at + bytes; ) {
      const { payloadBytes, headersBytes } = this.#lengthsOf(from);
      grown += headersBytes > 0 ? 2 * GROWTH_BYTES : GROWTH_BYTES;
      from += MESSAGE_HEADER_BYTES + payloadBytes + headersBytes;
    }
    return grown;
  }

  #batchBytes(at: number, end: number): number {
    if (at + BATCH_HEADER_BYTES > end) throw new RangeError('a batch is cut short');
    const bytes = this.#pool.view.getUint32(at + BATCH.length, true);
    if (bytes < BATCH_HEADER_BYTES || at + bytes > end)
      throw new RangeError('a batch is cut short');
    return bytes;
  }

  #lengthsOf(at: number): { readonly payloadBytes: number; readonly headersBytes: number } {
    const { view } = this.#pool;
    const payloadBytes = view.getUint32(at + MESSAGE.payloadLength, true);
    const headersBytes = view.getUint32(at + MESSAGE.userHeadersLength, true);
    return { payloadBytes, headersBytes };
  }

  #setLengths(at: number, payloadBytes: number, headersBytes: number): void {
    const { view } = this.#pool;
    view.setUint32(at + MESSAGE.payloadLength, payloadBytes, true);
    view.setUint32(at + MESSAGE.userHeadersLength, headersBytes, true);
  }

  #finish(at: number, bytes: number): void {
    this.#pool.view.setUint32(at + BATCH.length, bytes, true);
    if (!this.#kernel.seal(at, bytes)) throw new RangeError('the messages do not tile the batch');
  }

  /** Encrypts `[at, end)` to `to`; returns the end of what it wrote. */
  #seal(at: number, end: number, to: number): number {
    const memory = this.#pool.bytes;
    const nonce = this.#nonce();
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce);
    memory.set(nonce, to);
    const sealed = cipher.update(memory.subarray(at, end));
    cipher.final();
    const sealedAt = to + NONCE_BYTES;
    memory.set(sealed, sealedAt);
    memory.set(cipher.getAuthTag(), sealedAt + sealed.length);
    return sealedAt + sealed.length + TAG_BYTES;
  }

  /** Decrypts `[at, end)` to `to`; returns the end of what it wrote. */
  #unseal(at: number, end: number, to: number): number {
    if (end - at < GROWTH_BYTES) throw new RangeError('a section is shorter than nonce and tag');
    const memory = this.#pool.bytes;
    const nonce = memory.subarray(at, at + NONCE_BYTES);
    const decipher = createDecipheriv(ALGORITHM, this.#key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAuthTag(memory.subarray(end - TAG_BYTES, end));
    const opened = decipher.update(memory.subarray(at + NONCE_BYTES, end - TAG_BYTES));
    decipher.final();
    memory.set(opened, to);
    return to + opened.length;
  }

  #nonce(): Uint8Array {
    if (this.#nonceAt === this.#nonces.length) {
      randomFillSync(this.#nonces);
      this.#nonceAt = 0;
    }
    const nonce = this.#nonces.subarray(this.#nonceAt, this.#nonceAt + NONCE_BYTES);
    this.#nonceAt += NONCE_BYTES;
    return nonce;
  }
}
