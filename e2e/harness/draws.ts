/** A sequence of 32-bit numbers that a seed reproduces (mulberry32). */
export type Draws = () => number;

export function drawsOf(seed: number): Draws {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** A whole number, `first` to `last`, both possible. */
export function drawInteger(draws: Draws, first: number, last: number): number {
  return first + (draws() % (last - first + 1));
}
