import type { Clock } from '../base/clock.ts';

interface Timer {
  readonly atUs: number;
  run(): void;
}

/** A clock for tests: it stands still until it is told to go on. */
export class ManualClock implements Clock {
  readonly #timers: Set<Timer> = new Set();
  #nowUs = 1_000_000;

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

  /** Timers that have not run. */
  get timersCount(): number {
    return this.#timers.size;
  }

  /** Goes on by `ms` and runs what became due, earliest first. */
  advance(ms: number): void {
    const endUs = this.#nowUs + ms * 1000;
    for (;;) {
      const due = [...this.#timers].filter(({ atUs }) => atUs <= endUs);
      if (due.length === 0) break;
      const next = due.reduce((first, timer) => (timer.atUs < first.atUs ? timer : first));
      this.#timers.delete(next);
      this.#nowUs = next.atUs;
      next.run();
    }
    this.#nowUs = endUs;
  }
}
