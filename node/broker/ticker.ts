import type { Clock } from '../base/clock.ts';

/** Runs something again and again, each time after the one before is over. */
export class Ticker {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #run: () => void | Promise<void>;
  #cancel: (() => void) | null = null;
  #stopped = false;

  constructor(
    options: { readonly intervalMs: number; readonly run: () => void | Promise<void> },
    dependencies: { readonly clock: Clock },
  ) {
    this.#clock = dependencies.clock;
    this.#intervalMs = options.intervalMs;
    this.#run = options.run;
  }

  start(): void {
    if (this.#stopped) return;
    this.#cancel = this.#clock.startTimer(this.#intervalMs, () => {
      void this.#tick();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = null;
  }

  async #tick(): Promise<void> {
    await this.#run();
    this.start();
  }
}
