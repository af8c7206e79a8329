import { execFileSync } from 'node:child_process';
import { countedAs, formatTally, run, type Tally } from './run.ts';

// Everything a change has to pass, one tier after the other, on a clean clone after `npm ci`
// (see .ci/run). A tier that prints a closing line counts as its tests, any other as one check.
// All tiers run even when one fails: one run shows everything that is wrong.

interface Tier {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly minutesMax: number;
}

const TIERS: readonly Tier[] = [
  { name: 'lint and format', command: ['biome', 'ci', '--colors=off', '.'], minutesMax: 2 },
  { name: 'types', command: ['tsc', '-p', '.'], minutesMax: 2 },
  { name: 'dead files and exports', command: ['knip', '--no-progress'], minutesMax: 2 },
  { name: 'unit and property tests', command: ['npm', 'test'], minutesMax: 10 },
  { name: 'generated files', command: ['npm', 'run', 'gen'], minutesMax: 5 },
  { name: 'start, serve, stop', command: ['node', 'scripts/smoke.ts'], minutesMax: 2 },
  { name: 'end to end', command: ['npm', 'run', 'e2e'], minutesMax: 35 },
];

/** What git sees of the working tree; a tier must leave it as it found it. */
function treeState(): string {
  const options = { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 } as const;
  const changed = execFileSync('git', ['diff', 'HEAD'], options);
  return changed + execFileSync('git', ['status', '--porcelain'], options);
}

const sum = { passed: 0, failed: 0, skipped: 0 };
const rows: string[] = [];

function count(name: string, tally: Tally, seconds: number): void {
  sum.passed += tally.passed;
  sum.failed += tally.failed;
  sum.skipped += tally.skipped;
  const verdict = tally.failed === 0 ? 'ok    ' : 'FAILED';
  const checks = `${tally.passed} of ${tally.passed + tally.failed}`;
  rows.push(`${verdict}  ${checks.padStart(12)}  ${seconds.toFixed(0).padStart(5)} s  ${name}`);
}

for (const { name, command, minutesMax } of TIERS) {
  console.log(`\n== ${name}: ${command.join(' ')}`);
  const before = treeState();
  const startedMs = performance.now();
  const outcome = await run(command[0], command.slice(1), { minutesMax });
  count(name, countedAs(outcome), (performance.now() - startedMs) / 1000);
  console.log(rows.at(-1));
  if (treeState() !== before) {
    console.log('the tier changed files that git watches:');
    console.log(execFileSync('git', ['status', '--short'], { encoding: 'utf8' }));
    count(`${name} leaves the tree as it was`, { passed: 0, failed: 1, skipped: 0 }, 0);
  }
}

console.log(`\n${rows.join('\n')}\n`);
console.log(formatTally(sum));
process.exitCode = sum.failed > 0 ? 1 : 0;
