import type { Socket } from 'node:net';
import type { Transport, TransportEvents } from './transport.ts';

/**
 * The transport of one TCP or TLS socket. All that is sent in one turn of the event loop leaves in
 * one write: the socket is corked until the microtasks of the turn are done.
 */
export class SocketTransport implements Transport {
  readonly #socket: Socket;
  readonly #written = (): void => this.#onWritten();
  #events: TransportEvents | null = null;
  #pendingCount = 0;
  #isCorked = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    // A small answer is the last thing its client waits for; it must not wait for company.
    socket.setNoDelay(true);
    // The reason of a lost connection changes nothing: `close` follows and is what counts.
    socket.on('error', () => {});
  }

  /** Begins to deliver; once. */
  start(events: TransportEvents): void {
    this.#events = events;
    this.#socket.on('data', (chunk: Buffer) => events.onData(chunk));
    this.#socket.on('drain', () => events.onDrain());
    this.#socket.on('end', () => events.onEnd());
    this.#socket.on('close', () => this.#onClose());
  }

  sendData(view: Uint8Array): boolean {
    this.#pendingCount += 1;
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(uncork, this);
    }
    return this.#socket.write(view, this.#written);
  }

  sendClose(): void {
    this.#socket.end();
  }

  sendReset(): void {
    this.#socket.destroy();
  }

  sendPause(): void {
    this.#socket.pause();
  }

  sendResume(): void {
    this.#socket.resume();
  }

  /** Lets the corked bytes go. */
  uncork(): void {
    this.#isCorked = false;
    this.#socket.uncork();
  }

  #onWritten(): void {
    if (this.#pendingCount === 0) return;
    this.#pendingCount -= 1;
    this.#events!.onSent();
  }

  // The handle is closed, so nothing reads the views any more, whichever callbacks are missing.
  #onClose(): void {
    while (this.#pendingCount > 0) this.#onWritten();
    this.#events!.onClosed();
  }
}

function uncork(transport: SocketTransport): void {
  transport.uncork();
}
