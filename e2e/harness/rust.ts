import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

// The official Rust client, built into .cache/. There is no lock file in git, because one names a
// package registry; the client itself is pinned in rust/Cargo.toml.

const TOP = join(import.meta.dirname, '..', '..');
const MANIFEST = join(import.meta.dirname, '..', 'rust', 'Cargo.toml');
const TARGET = join(TOP, '.cache', 'e2e-rust');

const run = promisify(execFile);

/** Path of the built scenario, or the reason why this machine cannot build it. */
export async function prepareRust(): Promise<{ readonly program: string } | { why: string }> {
  const version = spawnSync('cargo', ['--version']);
  if (version.error !== undefined || version.status !== 0) {
    return { why: 'cargo is not installed' };
  }
  const args = ['build', '--release', '--quiet', '--manifest-path', MANIFEST];
  await run('cargo', [...args, '--target-dir', TARGET], { maxBuffer: 16 * 1024 * 1024 });
  return { program: join(TARGET, 'release', 'iggy-e2e') };
}
