import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// Whether a server can be started, asked and stopped, as `npm start` does it: on ports that the
// system chooses, with a data folder of its own, twice, because the second start reads what the
// first one wrote. Prints one line when all is well, else what the server said.

const TOP = join(import.meta.dirname, '..');
const START_MS_MAX = 30_000;
const ANSWER_MS_MAX = 5_000;
const STOP_MS_MAX = 15_000;

const folder = mkdtempSync(join(tmpdir(), 'iggy-smoke-'));
let output = '';

try {
  const first = await startAskStop();
  const second = await startAskStop();
  console.log(`start, serve, stop: ${first}, again: ${second}`);
} catch (error) {
  console.log(`${(error as Error).message}\n--- the server said:\n${output}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function startAskStop(): Promise<string> {
  const data = join(folder, 'data');
  const written = join(data, 'runtime', 'current_config.toml');
  rmSync(written, { force: true });
  const startedMs = performance.now();
  const server = start(data);
  try {
    const address = await withinMs(START_MS_MAX, 'a start', readyAddress(server, written));
    const readyMs = performance.now() - startedMs;
    await askHealth(`http://${address}/healthz`);
    const stoppingMs = performance.now();
    const exited = once(server, 'exit');
    server.kill('SIGTERM');
    const [code, signal] = await withinMs(STOP_MS_MAX, 'a stop', exited);
    if (code !== 0) throw new Error(`the server ended with ${code ?? signal} after SIGTERM`);
    const stopMs = performance.now() - stoppingMs;
    return `ready in ${readyMs.toFixed(0)} ms, stopped in ${stopMs.toFixed(0)} ms`;
  } finally {
    server.kill('SIGKILL');
  }
}

function start(data: string): ChildProcess {
  const flags = ['--path', data, '--tcp-address', '127.0.0.1:0', '--http-address', '127.0.0.1:0'];
  const server = spawn(process.execPath, [join(TOP, 'node', 'main.ts'), ...flags], {
    // A folder without a configuration file and without a .env.
    cwd: folder,
    env: { PATH: process.env['PATH'], UV_THREADPOOL_SIZE: '16' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [server.stdout, server.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  return server;
}

/** The HTTP address that the server writes down when its listeners are up. */
async function readyAddress(server: ChildProcess, written: string): Promise<string> {
  for (;;) {
    if (server.exitCode !== null || server.signalCode !== null) {
      throw new Error(`the server ended with ${server.exitCode ?? server.signalCode} at its start`);
    }
    const text = existsSync(written) ? readFileSync(written, 'utf8') : '';
    const table = /^\[http\]\n(?<rows>(?:[^[].*\n|\n)*)/mu.exec(text)?.groups?.['rows'] ?? '';
    const address = /^address = "(?<address>.+:[1-9]\d*)"$/mu.exec(table)?.groups?.['address'];
    if (address !== undefined) return address;
    await sleep(20);
  }
}

async function askHealth(url: string): Promise<void> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  await answer.text();
  if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}`);
}

async function withinMs<T>(limitMs: number, what: string, promise: Promise<T>): Promise<T> {
  const late = new AbortController();
  const limit = sleep(limitMs, null, { signal: late.signal }).then(() => {
    throw new Error(`${what} took more than ${limitMs} ms`);
  });
  // Aborting the timer rejects it, too.
  limit.catch(() => {});
  try {
    return await Promise.race([promise, limit]);
  } finally {
    late.abort();
  }
}
