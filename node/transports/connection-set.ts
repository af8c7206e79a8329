import assert from 'node:assert/strict';
import {
  ClientConnection,
  type ConnectionDependencies,
  type ConnectionLimits,
  type Peer,
} from './connection.ts';
import { REFUSED, type Transport } from './transport.ts';

/** How often stalled connections are looked for: an eighth of the shortest timeout, in bounds. */
const TICK_MS_MIN = 5;
const TICK_MS_MAX = 1000;
const TICKS_PER_TIMEOUT = 8;

export interface ConnectionSetOptions extends ConnectionLimits {
  /** Name of the transport in metrics: tcp, tls, memory. */
  readonly kind: string;
  readonly connectionsMax: number;
}

/**
 * The connections of one listener: how many there may be, who stands still, how they end.
 *
 * cost     one timer while there are connections; a tick looks at each of them once
 */
export class ConnectionSet {
  readonly #options: ConnectionSetOptions;
  readonly #deps: ConnectionDependencies;
  readonly #connections: Set<ClientConnection> = new Set();
  readonly #tickMs: number;
  #cancelTick: (() => void) | null = null;
  #isDraining = false;
  #onEmpty: (() => void) | null = null;

  constructor(options: ConnectionSetOptions, deps: ConnectionDependencies) {
    assert(options.connectionsMax >= 1);
    assert(options.frameBytesMax <= deps.pool.slotBytesMax);
    this.#options = options;
    this.#deps = deps;
    const { idleTimeoutMs, frameTimeoutMs, writeTimeoutMs } = options;
    const shortest = Math.min(
      ...[idleTimeoutMs, frameTimeoutMs, writeTimeoutMs].map((ms) => (ms === 0 ? Infinity : ms)),
    );
    this.#tickMs = Math.max(TICK_MS_MIN, Math.min(TICK_MS_MAX, shortest / TICKS_PER_TIMEOUT));
  }

  get size(): number {
    return this.#connections.size;
  }

  /** Makes a connection of a transport that is then started with it. Null: one too many, cut. */
  add(transport: Transport, peer: Peer): ClientConnection | null {
    const { kind, connectionsMax } = this.#options;
    if (this.#isDraining || this.#connections.size >= connectionsMax) {
      this.#deps.observer.refusedFrame(REFUSED.connectionsMax);
      transport.sendReset();
      return null;
    }
    const connection = new ClientConnection({
      transport,
      peer,
      limits: this.#options,
      deps: this.#deps,
      onGone: (gone) => this.#remove(gone),
    });
    this.#connections.add(connection);
    this.#deps.observer.opened(kind);
    this.#startTick();
    return connection;
  }

  /**
   * Refuses new connections, lets the others answer what they were asked, then closes them; cuts
   * those that are not closed after `drainMs`. Resolves when all are gone.
   */
  drain(drainMs: number): Promise<void> {
    assert(!this.#isDraining);
    this.#isDraining = true;
    if (this.#connections.size === 0) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#deps.clock.startTimer(drainMs, () => {
      for (const connection of this.#connections) connection.reset();
    });
    this.#onEmpty = () => {
      cancel();
      resolve();
    };
    for (const connection of this.#connections) connection.drain();
    return promise;
  }

  #remove(connection: ClientConnection): void {
    const wasThere = this.#connections.delete(connection);
    assert(wasThere);
    this.#deps.observer.closed(this.#options.kind);
    if (this.#connections.size > 0) return;
    this.#cancelTick?.();
    this.#cancelTick = null;
    this.#onEmpty?.();
    this.#onEmpty = null;
  }

  #startTick(): void {
    this.#cancelTick ??= this.#deps.clock.startTimer(this.#tickMs, () => this.#tick());
  }

  #tick(): void {
    const nowUs = this.#deps.clock.monotonicUs();
    for (const connection of this.#connections) connection.tick(nowUs);
    this.#cancelTick = null;
    if (this.#connections.size > 0) this.#startTick();
  }
}
