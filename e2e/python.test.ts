import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { preparePython, SCENARIO } from './harness/python.ts';
import { ROOT, ServerProcess } from './harness/server-process.ts';

// The official Python client of the 0.9 generation, unchanged, from its package registry. The
// steps are in python/scenario.py; the script ends with "done" or fails.

const run = promisify(execFile);

describe('the official Python client', () => {
  let python = '';
  let server: ServerProcess;

  before(async function () {
    this.timeout(300_000);
    const prepared = await preparePython();
    if ('why' in prepared) {
      console.log(`  skipped: ${prepared.why}`);
      this.skip();
    }
    python = prepared.python;
    server = await ServerProcess.own();
  });

  after(async () => {
    await server?.remove();
  });

  async function play(phase: string): Promise<void> {
    try {
      const { stdout } = await run(python, scenario(phase));
      assert.match(stdout, /^done$/mu);
    } catch (error) {
      const { code, signal, stdout } = error as { code?: number; signal?: string; stdout?: string };
      throw new Error(`exit ${code}, signal ${signal}:\n${stdout}`, { cause: error });
    }
  }

  function scenario(phase: string): string[] {
    return [SCENARIO, '--address', server.tcpAddress, '--password', ROOT.password, phase];
  }

  it('creates, sends, polls, groups and manages users', async () => {
    await play('before');
  });

  it('finds everything again after kill -9', async () => {
    await server.kill();
    server = await ServerProcess.own({ folder: server.folder });
    await play('after');
  });

  it('goes on by itself after a restart of the server', async () => {
    const client = spawn(python, scenario('reconnect'), { stdio: ['pipe', 'pipe', 'inherit'] });
    let stdout = '';
    const sent = new Promise<void>((resolve) => {
      createInterface({ input: client.stdout }).on('line', (line) => {
        stdout += `${line}\n`;
        if (line === 'sent') resolve();
      });
    });
    const ended = new Promise<number | null>((resolve) => client.once('close', resolve));
    await Promise.race([sent, ended]);
    assert.equal(await server.stop(), 0);
    const { folder, tcpPort } = server;
    server = await ServerProcess.own({ folder, tcpPort });
    client.stdin.end('go on\n');
    assert.equal(await ended, 0, stdout);
    assert.match(stdout, /^done$/mu);
  });
});
