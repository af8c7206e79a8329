/** Time as the server sees it. The real one lives in observe, the simulated one in sim. */
export interface Clock {
  /** Microseconds since some fixed moment; never goes back. */
  monotonicUs(): number;
  /** Microseconds since 1970-01-01 UTC, as the machine believes; may jump. */
  wallUs(): number;
  /** Runs `run` once after `ms`; the returned function cancels it. */
  startTimer(ms: number, run: () => void): () => void;
}
