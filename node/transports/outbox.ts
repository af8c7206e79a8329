import assert from 'node:assert/strict';
import type { Transport } from './transport.ts';

// Answers on their way out of one connection, first in, first out.
//
//   | sent | given to the transport | waiting until it drains |
//          ^#sentAt                 ^#givenAt                 ^#items.length
//
// Invariant: 0 <= #sentAt <= #givenAt <= #items.length; a release runs once, when the last piece
// of its view has been sent or the transport is gone.

/** A larger view is given to the transport in pieces, so that a slow reader's progress shows. */
const PIECE_BYTES = 4 * 1024 * 1024;
/** Items that were sent are forgotten when so many have gathered. */
const SENT_KEPT = 64;

interface Item {
  readonly view: Uint8Array;
  readonly release: (() => void) | null;
}

/** Sends views in order, as fast as the transport takes them, and gives each back afterwards. */
export class Outbox {
  readonly #transport: Transport;
  readonly #items: Item[] = [];
  #sentAt = 0;
  #givenAt = 0;
  #bytes = 0;
  #sentCount = 0;
  #isBlocked = false;
  #isClosed = false;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Bytes that are not sent yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Grows with every piece that is sent. */
  get sentCount(): number {
    return this.#sentCount;
  }

  /** Sends `view`, borrowed until `release` is called, which happens exactly once. */
  send(view: Uint8Array, release: (() => void) | null): void {
    assert(view.length > 0);
    if (this.#isClosed) {
      release?.();
      return;
    }
    this.#bytes += view.length;
    for (let at = 0; at < view.length; at += PIECE_BYTES) {
      const isLast = at + PIECE_BYTES >= view.length;
      const piece = view.length <= PIECE_BYTES ? view : view.subarray(at, at + PIECE_BYTES);
      this.#items.push({ view: piece, release: isLast ? release : null });
    }
    this.#give();
  }

  onSent(): void {
    assert(this.#sentAt < this.#givenAt);
    const { view, release } = this.#items[this.#sentAt]!;
    this.#sentAt += 1;
    this.#sentCount += 1;
    this.#bytes -= view.length;
    if (this.#sentAt === this.#items.length || this.#sentAt === SENT_KEPT) {
      this.#items.splice(0, this.#sentAt);
      this.#givenAt -= this.#sentAt;
      this.#sentAt = 0;
    }
    release?.();
  }

  onDrain(): void {
    this.#isBlocked = false;
    this.#give();
  }

  /** The transport is gone: nothing is sent any more, everything is given back. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const unsent = this.#items.splice(0).slice(this.#sentAt);
    this.#sentAt = 0;
    this.#givenAt = 0;
    this.#bytes = 0;
    for (const { release } of unsent) release?.();
  }

  #give(): void {
    while (!this.#isBlocked && this.#givenAt < this.#items.length) {
      const { view } = this.#items[this.#givenAt]!;
      this.#givenAt += 1;
      this.#isBlocked = !this.#transport.sendData(view);
    }
  }
}
