import type { Clock } from '../base/clock.ts';

const NS_PER_US = 1000n;
/** Longest delay a timer of Node takes; a longer one would fire at once. */
const TIMER_MS_MAX = 0x7fff_ffff;
/** Below this the wall clock was slewed or rounded, above it was set. */
const SET_MS_MIN = 20;

/** The time of this machine. Its timers do not keep the process alive. */
export class SystemClock implements Clock {
  // performance.now() counts microseconds but does not notice when the machine's time is set;
  // Date.now() does, in milliseconds. So the first is used and follows the second in steps.
  #offsetMs = performance.timeOrigin;

  monotonicUs(): number {
    return Number(process.hrtime.bigint() / NS_PER_US);
  }

  wallUs(): number {
    const elapsedMs = performance.now();
    const behindMs = Date.now() - (this.#offsetMs + elapsedMs);
    if (Math.abs(behindMs) >= SET_MS_MIN) this.#offsetMs += behindMs;
    return Math.floor((this.#offsetMs + elapsedMs) * 1000);
  }

  startTimer(ms: number, run: () => void): () => void {
    const timer = setTimeout(run, Math.min(Math.max(0, ms), TIMER_MS_MAX));
    timer.unref();
    return () => clearTimeout(timer);
  }
}
