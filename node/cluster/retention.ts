import assert from 'node:assert/strict';
import type { Clock } from '../base/clock.ts';

export interface RetentionDependencies {
  readonly clock: Clock;
  /** Brings every partition up to what the metadata and its retention say. Never rejects. */
  readonly runPass: () => Promise<void>;
}

/** Runs a pass over all partitions, then waits the interval, again and again until `stop`. */
export class Retention {
  readonly #intervalMs: number;
  readonly #dependencies: RetentionDependencies;
  #cancelTimer: (() => void) | null = null;
  #pass: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: { readonly intervalMs: number }, dependencies: RetentionDependencies) {
    assert(options.intervalMs > 0);
    this.#intervalMs = options.intervalMs;
    this.#dependencies = dependencies;
  }

  start(): void {
    if (this.#stopped) return;
    this.#cancelTimer = this.#dependencies.clock.startTimer(this.#intervalMs, () => {
      this.#cancelTimer = null;
      this.#pass = this.#dependencies.runPass().then(() => this.start());
    });
  }

  /** Settles when no pass is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    await this.#pass;
  }
}
