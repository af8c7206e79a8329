import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { countedAs, formatTally, parseTally, run } from './run.ts';

const NODE = process.execPath;
const LONG = { minutesMax: 1 };
/** 0.3 seconds. */
const SHORT = { minutesMax: 0.005 };

describe('the closing line of a tier', () => {
  it('is read as it is written', () => {
    for (const tally of [
      { passed: 0, failed: 0, skipped: 0 },
      { passed: 12, failed: 3, skipped: 0 },
      { passed: 1, failed: 0, skipped: 40 },
    ]) {
      assert.deepEqual(parseTally(formatTally(tally)), tally);
    }
    assert.equal(formatTally({ passed: 2, failed: 1, skipped: 0 }), '2 passed, 1 failed');
  });

  it('is nothing else', () => {
    const lines = ['', '2 passed', '2 passed, 1 failed.', ' 2 passed, 1 failed', '2 passing (3ms)'];
    for (const line of [...lines, '-1 passed, 0 failed', '1 passed, 0 failed, 2 skipped, 3']) {
      assert.equal(parseTally(line), null);
    }
  });
});

describe('what a command counts for', () => {
  it('is its own tally when it has one', () => {
    const tally = { passed: 5, failed: 2, skipped: 1 };
    assert.deepEqual(countedAs({ code: 1, tally }), tally);
    assert.deepEqual(countedAs({ code: 0, tally }), tally);
  });

  it('is one check when it has none', () => {
    assert.deepEqual(countedAs({ code: 0, tally: null }), { passed: 1, failed: 0, skipped: 0 });
    assert.deepEqual(countedAs({ code: 7, tally: null }), { passed: 0, failed: 1, skipped: 0 });
  });

  it('is one failure more when it failed after counting only successes', () => {
    const tally = { passed: 5, failed: 0, skipped: 0 };
    assert.deepEqual(countedAs({ code: 1, tally }), { ...tally, failed: 1 });
  });
});

describe('run', () => {
  it('gives the exit code and the last closing line', async () => {
    const script = `console.log('1 passed, 0 failed'); console.log('4 passed, 2 failed');
      process.exitCode = 3;`;
    const outcome = await run(NODE, ['-e', script], LONG);
    assert.deepEqual(outcome, { code: 3, tally: { passed: 4, failed: 2, skipped: 0 } });
  });

  it('reads a closing line without an end of line', async () => {
    const outcome = await run(NODE, ['-e', `process.stdout.write('4 passed, 0 failed')`], LONG);
    assert.deepEqual(outcome, { code: 0, tally: { passed: 4, failed: 0, skipped: 0 } });
  });

  it('fails for a command that does not exist, and for one that a signal ends', async () => {
    assert.deepEqual(await run('no-such-command', [], LONG), { code: 1, tally: null });
    const script = `process.kill(process.pid, 'SIGKILL')`;
    assert.deepEqual(await run(NODE, ['-e', script], LONG), { code: 1, tally: null });
  });

  it('ends a command whose time is over', async () => {
    const script = `console.log('9 passed, 0 failed'); setInterval(() => {}, 1000);`;
    const outcome = await run(NODE, ['-e', script], SHORT);
    assert.equal(outcome.code, 1);
    assert.equal(countedAs(outcome).failed, 1);
  });

  it('fails when a process left behind holds the output until the time is over', async () => {
    const script = `require('node:child_process')
      .spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' }).unref();`;
    assert.equal((await run(NODE, ['-e', script], SHORT)).code, 1);
  });

  describe('with a process that it starts in the background', () => {
    // The process left behind holds a connection, which closes when it is ended.
    let server: Server;
    let port = 0;
    let held: Promise<Socket>;

    beforeEach(async () => {
      server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      ({ port } = server.address() as AddressInfo);
      held = once(server, 'connection').then(([socket]) => socket as Socket);
    });

    afterEach(() => {
      server.close();
    });

    /** Connects and stays; sends a message to its parent when connected. */
    const holder = (): string =>
      `require('node:net').connect(${port}, '127.0.0.1').on('error', () => {})
        .on('connect', () => process.send?.('up')); setInterval(() => {}, 1000);`;

    it('ends that process when the command has ended', async () => {
      const script = `const child = require('node:child_process').spawn(process.execPath,
        ['-e', ${JSON.stringify(holder())}], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
        child.on('message', () => process.exit(0));`;
      assert.equal((await run(NODE, ['-e', script], LONG)).code, 0);
      const socket = await held;
      await closed(socket);
    });

    it('ends the command when it is itself told to end', async () => {
      const path = join(import.meta.dirname, 'run.ts');
      const script = `import(${JSON.stringify(path)}).then(({ run }) =>
        run(process.execPath, ['-e', ${JSON.stringify(holder())}], { minutesMax: 1 }));`;
      const runner = spawn(NODE, ['-e', script], { stdio: 'ignore' });
      const exited = once(runner, 'exit');
      const socket = await held;
      runner.kill('SIGTERM');
      assert.deepEqual(await exited, [130, null]);
      await closed(socket);
    });
  });
});

async function closed(socket: Socket): Promise<void> {
  socket.on('error', () => {}).resume();
  if (!socket.closed) await once(socket, 'close');
}
