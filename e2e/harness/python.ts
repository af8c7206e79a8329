import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

// The official Python client in a virtual environment of its own, kept in .cache/.

const TOP = join(import.meta.dirname, '..', '..');
const ENVIRONMENT = join(TOP, '.cache', 'e2e-python');
const REQUIREMENTS = join(import.meta.dirname, '..', 'python', 'requirements.txt');
export const SCENARIO: string = join(import.meta.dirname, '..', 'python', 'scenario.py');

const run = promisify(execFile);

/** Path of a Python that has the client, or the reason why this machine has none. */
export async function preparePython(): Promise<{ readonly python: string } | { why: string }> {
  const version = spawnSync('python3', ['-c', 'import sys; print(sys.version_info >= (3, 10))']);
  if (version.error !== undefined || version.stdout.toString().trim() !== 'True') {
    return { why: 'python3 of version 3.10 or newer is not installed' };
  }
  const python = join(ENVIRONMENT, 'bin', 'python');
  const stamp = join(ENVIRONMENT, 'installed.txt');
  const wanted = readFileSync(REQUIREMENTS, 'utf8');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    await run('python3', ['-m', 'venv', '--clear', ENVIRONMENT]);
    await run(python, ['-m', 'pip', 'install', '--quiet', '-r', REQUIREMENTS]);
    writeFileSync(stamp, wanted);
  }
  return { python };
}
