import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

// Runs one command of a check and reads what it says at its end. Every tier of tests closes with
// one line "N passed, N failed" (", N skipped" may follow); it is held back here, so that whoever
// runs several tiers can print one line for all of them.

/** What a tier of tests came to. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface Outcome {
  /** Exit code of the command; 1 when it was ended by a signal or ran out of time. */
  readonly code: number;
  /** The last closing line it printed, or null. */
  readonly tally: Tally | null;
}

const CLOSING = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/;

/** Writes the closing line of a tally. */
export function formatTally(tally: Tally): string {
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : '';
  return `${tally.passed} passed, ${tally.failed} failed${skipped}`;
}

/** Reads a closing line; null for every other line. */
export function parseTally(line: string): Tally | null {
  const match = CLOSING.exec(line);
  if (match === null) return null;
  return { passed: Number(match[1]), failed: Number(match[2]), skipped: Number(match[3] ?? 0) };
}

/**
 * What a finished command counts for: its own tally, or one check that passed or failed. A command
 * that failed after counting only successes (a crash, a leaked handle) counts one failure more.
 */
export function countedAs(outcome: Outcome): Tally {
  const { code, tally } = outcome;
  if (tally === null) return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  if (code !== 0 && tally.failed === 0) return { ...tally, failed: 1 };
  return tally;
}

/**
 * Runs a command in a process group of its own, shows its output as it comes and ends the whole
 * group when the time is over, so that no server started by a test outlives it.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly minutesMax: number },
): Promise<Outcome> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const endGroup = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  const stop = (): void => {
    endGroup();
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    endGroup();
  }, options.minutesMax * 60_000);
  let tally: Tally | null = null;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const closing = parseTally(line);
    if (closing === null) process.stdout.write(`${line}\n`);
    else tally = closing;
  });
  const code = await new Promise<number>((resolve) => {
    child.once('error', (error) => {
      console.log(`${command}: ${error.message}`);
      resolve(1);
    });
    child.once('close', (exitCode) => resolve(exitCode ?? 1));
  });
  clearTimeout(limit);
  process.off('SIGINT', stop).off('SIGTERM', stop);
  endGroup();
  if (!late) return { code, tally };
  // The command itself may have succeeded, and left something behind that held its output.
  console.log(`${command}: ended after ${options.minutesMax} minutes`);
  return { code: 1, tally };
}
