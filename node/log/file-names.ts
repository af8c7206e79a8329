// Names in the directory of a log: 20 digits, the op, and what the file is.

const NAME = /^(?<op>\d{20})\.(?<what>log|ops|trim|snap|accepted)$/u;

/** The files of one segment, by their presence. */
export interface Pair {
  readonly opFirst: number;
  readonly log: boolean;
  readonly ops: boolean;
  readonly trim: boolean;
  readonly accepted: boolean;
}

/** Ops of the files of one sort, in no order. */
export function opsNamed(names: readonly string[], what: string): number[] {
  const ops: number[] = [];
  for (const name of names) {
    const groups = NAME.exec(name)?.groups;
    if (groups?.['what'] === what) ops.push(Number(groups['op']));
  }
  return ops;
}

/** Segments by their files, oldest first. */
export function pairsOf(names: readonly string[]): Pair[] {
  const [log, ops, trim, accepted] = ['log', 'ops', 'trim', 'accepted'].map(
    (what) => new Set(opsNamed(names, what)),
  );
  const all = [...new Set([...log!, ...ops!, ...trim!])].sort((a, b) => a - b);
  return all.map((opFirst) => ({
    opFirst,
    log: log!.has(opFirst),
    ops: ops!.has(opFirst),
    trim: trim!.has(opFirst),
    accepted: accepted!.has(opFirst),
  }));
}
