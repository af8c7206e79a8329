import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PEERS } from './harness/peers.ts';
import { ROOT, ServerProcess } from './harness/server-process.ts';

// The official benchmark tool of the 0.9 generation, a released binary: every kind of it must get
// through without an error. Speed is the business of bench/.

const run = promisify(execFile);

/** A kind and its arguments; small, so that all of them take seconds. */
const KINDS: readonly (readonly [string, ...string[]])[] = [
  ['pinned-producer', '-p', '4'],
  ['pinned-consumer', '-c', '4'],
  ['pinned-producer-and-consumer', '-p', '2', '-c', '2'],
  ['balanced-producer', '-p', '3', '-a', '6'],
  ['balanced-consumer-group', '-c', '3', '-g', '1'],
  ['balanced-producer-and-consumer-group', '-p', '2', '-c', '2', '-g', '1', '-a', '4'],
  ['end-to-end-producing-consumer', '-p', '2', '-s', '2'],
  ['end-to-end-producing-consumer-group', '-p', '2', '-g', '1'],
];

describe('the official benchmark tool', () => {
  let server: ServerProcess;
  let home = '';

  before(async function () {
    if (!PEERS.areHere) {
      console.log('  skipped: the released iggy-bench 0.9 is not on this machine (IGGY_PEERS)');
      this.skip();
    }
    home = mkdtempSync(join(tmpdir(), 'iggy-bench-'));
    server = await ServerProcess.own();
  });

  after(async () => {
    await server?.remove();
    if (home !== '') rmSync(home, { recursive: true, force: true });
  });

  for (const [kind, ...args] of KINDS) {
    it(`runs ${kind} without an error`, async () => {
      // Consumers alone read what the kind before them has stored.
      const reuse = kind.endsWith('-consumer') && !kind.includes('and') && !kind.includes('end-to');
      const keeps = reuse || kind === 'balanced-consumer-group' ? ['--reuse-streams'] : [];
      const batches = ['-m', '1000', '-P', '100', '-b', '30'];
      const login = ['-u', ROOT.username, '-p', ROOT.password];
      const target = ['tcp', '--server-address', server.tcpAddress, '--nodelay'];
      const words = [...batches, ...login, ...keeps, kind, ...args, ...target];
      const env = { PATH: process.env['PATH'], HOME: home };
      const { stdout, stderr } = await run(PEERS.path('iggy-bench-0.9'), words, { cwd: home, env });
      const text = `${stdout}${stderr}`;
      assert.match(text, /Total throughput: |throughput/iu, text.slice(-2000));
      assert.doesNotMatch(text, /\bERROR\b|panicked/u);
    });
  }
});
