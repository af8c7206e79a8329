import type { Clock } from '../base/clock.ts';

/** A clock for tests of this room: it stands still until it is told to go on. */
export class ManualClock implements Clock {
  readonly #timers: Set<{ readonly atUs: number; readonly run: () => void }> = new Set();
  #nowUs = 1_800_000_000_000_000;

  monotonicUs(): number {
    return this.#nowUs;
  }

  wallUs(): number {
    return this.#nowUs;
  }

  startTimer(ms: number, run: () => void): () => void {
    const timer = { atUs: this.#nowUs + ms * 1000, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Goes on by `ms` and runs what became due. */
  advance(ms: number): void {
    this.#nowUs += ms * 1000;
    for (const timer of [...this.#timers]) {
      if (timer.atUs > this.#nowUs) continue;
      this.#timers.delete(timer);
      timer.run();
    }
  }
}
