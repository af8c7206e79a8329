// Times one small function against the clock of the machine. The function runs in samples long
// enough that reading the clock costs nothing; the median of the samples counts, and the spread
// tells how far it can be trusted.

const SAMPLE_MS = 40;
const SAMPLES = 7;

export interface Row {
  readonly name: string;
  /** What is done per call, for MB/s; null where bytes say nothing. */
  readonly bytes: number | null;
  run(): void;
}

export interface Timing {
  readonly name: string;
  readonly bytes: number | null;
  /** Median of the samples. */
  readonly ns: number;
  /** Slowest sample minus fastest, in parts of the median. */
  readonly spread: number;
}

/** Times every row, sample by sample in turn, so that a busy moment falls on all of them. */
export function timeRows(rows: readonly Row[]): readonly Timing[] {
  const calls = rows.map(callsPerSample);
  const samples: number[][] = rows.map(() => []);
  for (let round = 0; round < SAMPLES; round += 1) {
    for (const [index, row] of rows.entries()) {
      samples[index]!.push(sampleNs(row, calls[index]!));
    }
  }
  return rows.map(({ name, bytes }, index) => {
    const sorted = samples[index]!.toSorted((a, b) => a - b);
    const ns = sorted[SAMPLES >> 1]!;
    return { name, bytes, ns, spread: (sorted.at(-1)! - sorted[0]!) / ns };
  });
}

/** Doubles the calls until they last, which warms the function up as well. */
function callsPerSample(row: Row): number {
  for (let calls = 1; ; calls *= 2) {
    const ns = sampleNs(row, calls) * calls;
    if (ns * 2 > SAMPLE_MS * 1e6) return Math.max(1, Math.round((SAMPLE_MS * 1e6 * calls) / ns));
  }
}

function sampleNs({ run }: Row, calls: number): number {
  const startedMs = performance.now();
  for (let call = 0; call < calls; call += 1) run();
  return ((performance.now() - startedMs) * 1e6) / calls;
}

/** A table with units in its head; 1 MB = 10^6 bytes. */
export function formatTimings(title: string, timings: readonly Timing[]): string {
  const width = Math.max(...timings.map(({ name }) => name.length));
  const head = `${title.padEnd(width)}  ${'ns/op'.padStart(11)}  ${'MB/s'.padStart(8)}  spread`;
  const rows = timings.map(({ name, bytes, ns, spread }) => {
    const speed = bytes === null ? '' : ((bytes / ns) * 1e3).toFixed(0);
    const cost = ns < 100 ? ns.toFixed(1) : ns.toFixed(0);
    const percent = `${(spread * 100).toFixed(0)} %`;
    return `${name.padEnd(width)}  ${cost.padStart(11)}  ${speed.padStart(8)}  ${percent.padStart(6)}`;
  });
  return [head, '-'.repeat(head.length), ...rows].join('\n');
}
