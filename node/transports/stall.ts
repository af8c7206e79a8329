/**
 * Notices that something which ought to move stands still. It is asked at every tick of a
 * listener, so the hot path only moves a counter and reads no clock; a stall is found late by up
 * to one tick, never early.
 */
export class Stall {
  readonly #limitUs: number;
  #mark: number = NOTHING_DUE;
  #sinceUs = 0;

  /** units    limitUs: 0 or Infinity never finds one */
  constructor(limitUs: number) {
    this.#limitUs = limitUs === 0 ? Number.POSITIVE_INFINITY : limitUs;
  }

  /** True when `mark` is the same, and not NOTHING_DUE, for the whole limit. */
  observe(mark: number, nowUs: number): boolean {
    if (mark === NOTHING_DUE || mark !== this.#mark) {
      this.#mark = mark;
      this.#sinceUs = nowUs;
      return false;
    }
    return nowUs - this.#sinceUs >= this.#limitUs;
  }
}

/** The mark of a thing that is allowed to stand still. */
export const NOTHING_DUE = -1;
