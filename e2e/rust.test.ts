import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { prepareRust } from './harness/rust.ts';
import { ROOT, ServerProcess } from './harness/server-process.ts';

// The official Rust client of the 0.9 generation, unchanged, from its package registry. The steps
// are in rust/src/main.rs; the program ends with "done" or fails.

const run = promisify(execFile);
const MEMORY_MIB_MAX = 512;
const VOLUME_MESSAGES = 1_000_000;

describe('the official Rust client', () => {
  let program = '';
  let server: ServerProcess;

  before(async function () {
    this.timeout(1_200_000);
    const prepared = await prepareRust();
    if ('why' in prepared) {
      console.log(`  skipped: ${prepared.why}`);
      this.skip();
    }
    program = prepared.program;
    server = await ServerProcess.own();
  });

  after(async () => {
    await server?.remove();
  });

  it('gets every answer and every error code it expects', async () => {
    const { stdout } = await run(program, [server.tcpAddress, ROOT.password, 'before']);
    assert.match(stdout, /^done$/mu);
  });

  it('finds everything again after kill -9', async () => {
    await server.kill();
    server = await ServerProcess.own({ folder: server.folder });
    const { stdout } = await run(program, [server.tcpAddress, ROOT.password, 'after']);
    assert.match(stdout, /^done$/mu);
  });

  it('moves 1,000,000 messages of 1 KiB in and out within 512 MiB of memory', async function () {
    this.timeout(300_000);
    const args = [server.tcpAddress, ROOT.password, 'volume', String(VOLUME_MESSAGES)];
    const { stdout } = await run(program, args);
    assert.match(stdout, /^done$/mu);
    console.log(stdout.replaceAll(/^(?=sent|read)/gmu, '  ').trimEnd());
    const resident = server.residentMib;
    assert(resident < MEMORY_MIB_MAX, `${resident.toFixed(0)} MiB resident`);
  });
});
