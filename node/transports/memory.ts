import assert from 'node:assert/strict';
import type { ConnectionSet } from './connection-set.ts';
import type { Transport, TransportEvents } from './transport.ts';

// A transport without a socket, for tests: two ends in one process, joined crosswise.
//
//   client end ── outgoing ──► events of the server's end
//              ◄─ outgoing ──  server end
//
// Bytes travel one turn later, as those of a socket do; an end whose other side is paused holds
// them back, and says false when more than BUFFERED_BYTES_MAX wait.

const BUFFERED_BYTES_MAX = 64 * 1024;

/** One end of a pair. The other one is `peer`. */
export class MemoryTransport implements Transport {
  #peer: MemoryTransport | null = null;
  #events: TransportEvents | null = null;
  readonly #outgoing: Uint8Array[] = [];
  #outgoingBytes = 0;
  #mustDrain = false;
  #saysEnd = false;
  #hasEnded = false;
  #isPaused = false;
  #isClosed = false;
  #isPlanned = false;

  /** Two ends, joined. */
  static pair(): [MemoryTransport, MemoryTransport] {
    const first = new MemoryTransport();
    const second = new MemoryTransport();
    first.#peer = second;
    second.#peer = first;
    return [first, second];
  }

  start(events: TransportEvents): void {
    this.#events = events;
    this.#peer!.#plan();
  }

  sendData(view: Uint8Array): boolean {
    assert(!this.#saysEnd, 'nothing is sent behind the end');
    this.#outgoing.push(view);
    this.#outgoingBytes += view.length;
    this.#plan();
    this.#mustDrain ||= this.#outgoingBytes > BUFFERED_BYTES_MAX;
    return !this.#mustDrain;
  }

  sendClose(): void {
    this.#saysEnd = true;
    this.#plan();
  }

  sendReset(): void {
    queueMicrotask(() => {
      this.#close();
      this.#peer!.#close();
    });
  }

  sendPause(): void {
    this.#isPaused = true;
  }

  sendResume(): void {
    this.#isPaused = false;
    this.#peer!.#plan();
  }

  #plan(): void {
    if (this.#isPlanned || this.#isClosed) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const peer = this.#peer!;
    if (peer.#events === null) return;
    while (this.#outgoing.length > 0 && !peer.#isPaused && !this.#isClosed) {
      const view = this.#outgoing.shift()!;
      this.#outgoingBytes -= view.length;
      const copy = Buffer.from(view);
      this.#events?.onSent();
      if (!peer.#isClosed) peer.#events.onData(copy);
    }
    if (this.#isClosed || this.#outgoing.length > 0) return;
    if (this.#mustDrain) {
      this.#mustDrain = false;
      this.#events?.onDrain();
    }
    this.#maybeEnd();
  }

  #maybeEnd(): void {
    const peer = this.#peer!;
    if (!this.#saysEnd || this.#hasEnded || peer.#isPaused || this.#outgoing.length > 0) return;
    this.#hasEnded = true;
    peer.#events!.onEnd();
    if (!peer.#hasEnded) return;
    this.#close();
    peer.#close();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const _ of this.#outgoing.splice(0)) this.#events?.onSent();
    this.#events?.onClosed();
  }
}

/** Dials into a set of connections, as a client does at a listener; refused ones are cut. */
export function dialMemory(set: ConnectionSet): MemoryTransport {
  const [client, server] = MemoryTransport.pair();
  const connection = set.add(server, { address: 'memory:1', localAddress: 'memory:0' });
  if (connection !== null) server.start(connection);
  return client;
}
