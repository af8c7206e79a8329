import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PEERS } from './harness/peers.ts';
import { ROOT, ServerProcess } from './harness/server-process.ts';

// The official command line of the 0.9 generation, a released binary, unchanged, over TCP and HTTP.

const run = promisify(execFile);

interface Outcome {
  readonly code: number;
  readonly text: string;
}

describe('the official command line', () => {
  let server: ServerProcess;
  let home = '';

  before(async function () {
    if (!PEERS.areHere) {
      console.log('  skipped: the released iggy-cli 0.14 is not on this machine (IGGY_PEERS)');
      this.skip();
    }
    home = mkdtempSync(join(tmpdir(), 'iggy-cli-'));
    server = await ServerProcess.own();
  });

  after(async () => {
    await server?.remove();
    if (home !== '') rmSync(home, { recursive: true, force: true });
  });

  async function cli(transport: 'tcp' | 'http', ...words: string[]): Promise<Outcome> {
    const place =
      transport === 'tcp'
        ? ['--tcp-server-address', server.tcpAddress]
        : ['--http-api-url', server.httpUrl];
    const args = ['--transport', transport, ...place, '-u', ROOT.username, '-p', ROOT.password];
    const env = { PATH: process.env['PATH'], HOME: home, IGGY_HOME: home };
    try {
      const options = { env, timeout: 60_000 };
      const { stdout, stderr } = await run(
        PEERS.path('iggy-cli-0.14'),
        [...args, ...words],
        options,
      );
      return { code: 0, text: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, text: `${stdout}${stderr}` };
    }
  }

  for (const transport of ['tcp', 'http'] as const) {
    const name = `cli-${transport}`;

    /** Runs a command that must succeed and say something like `pattern`. */
    async function ok(pattern: RegExp, ...words: string[]): Promise<void> {
      const { code, text } = await cli(transport, ...words);
      assert.equal(code, 0, `${words.join(' ')}: ${text}`);
      assert.match(text, pattern, words.join(' '));
    }

    /** Runs a command that must fail. */
    async function fails(pattern: RegExp, ...words: string[]): Promise<void> {
      const { code, text } = await cli(transport, ...words);
      assert.notEqual(code, 0, `${words.join(' ')}: ${text}`);
      assert.match(text, pattern, words.join(' '));
    }

    describe(`over ${transport}`, () => {
      it('manages streams and topics', async () => {
        await ok(/created/u, 'stream', 'create', name);
        await fails(/./u, 'stream', 'create', name);
        await ok(new RegExp(name, 'u'), 'stream', 'list');
        await ok(new RegExp(name, 'u'), 'stream', 'get', name);
        await ok(/updated/u, 'stream', 'update', name, `${name}-2`);
        await ok(/updated/u, 'stream', 'update', `${name}-2`, name);
        await ok(/created/u, 'topic', 'create', name, 'events', '2', 'none', '1day');
        await ok(/events/u, 'topic', 'list', name);
        await ok(/events/u, 'topic', 'get', name, 'events');
        await ok(/updated/u, 'topic', 'update', name, 'events', 'events', 'none', '2days');
        await ok(/created/iu, 'partition', 'create', name, 'events', '1');
        await ok(/deleted/iu, 'partition', 'delete', name, 'events', '1');
        await fails(/./u, 'partition', 'delete', name, 'events', '9');
        await ok(/segment_size/u, 'options', 'topic');
      });

      it('sends and polls messages with headers', async () => {
        const headers = ['-H', 'kind:string:test,n:uint32:7'];
        const to = [name, 'events', '-p', '0'];
        const place = [name, 'events', '0'];
        await ok(/sent/iu, 'message', 'send', ...headers, ...to, 'first', 'second');
        await ok(/first[\s\S]*second/u, 'message', 'poll', '--first', '-m', '2', ...place);
        await ok(/second/u, 'message', 'poll', '--offset', '1', ...place);
        await ok(/second/u, 'message', 'poll', '--last', '-m', '1', ...place);
        await ok(/first/u, 'message', 'poll', '--next', '-a', '-m', '1', ...place);
        await ok(/second/u, 'message', 'poll', '--next', '-a', '-m', '1', ...place);
      });

      it('stores and shows consumer offsets', async () => {
        await ok(/set/iu, 'consumer-offset', 'set', 'worker', name, 'events', '0', '1');
        await ok(/1/u, 'consumer-offset', 'get', 'worker', name, 'events', '0');
      });

      it('manages consumer groups', async () => {
        await ok(/created/u, 'consumer-group', 'create', name, 'events', 'group');
        await ok(/group/u, 'consumer-group', 'list', name, 'events');
        await ok(/group/u, 'consumer-group', 'get', name, 'events', 'group');
        await ok(/deleted/u, 'consumer-group', 'delete', name, 'events', 'group');
      });

      it('manages users and tokens', async () => {
        await ok(/created/u, 'user', 'create', `${name}-user`, 'user-secret');
        await ok(new RegExp(`${name}-user`, 'u'), 'user', 'list');
        await ok(/./u, 'user', 'get', `${name}-user`);
        await ok(/./u, 'user', 'permissions', `${name}-user`, '-g', 'p_msg');
        await ok(/./u, 'user', 'password', `${name}-user`, 'user-secret', 'new-secret');
        await ok(/./u, 'user', 'status', `${name}-user`, 'inactive');
        await ok(/deleted/u, 'user', 'delete', `${name}-user`);
        await ok(/./u, 'pat', 'create', `${name}-pat`, '1day');
        await ok(new RegExp(`${name}-pat`, 'u'), 'pat', 'list');
      });

      it('looks at the server', async () => {
        await ok(/ping/iu, 'ping', '-c', '1');
        await ok(/Streams/iu, 'stats');
        await ok(/./u, 'client', 'list');
        if (transport === 'tcp') await ok(/iggy-node|single-node/u, 'cluster', 'metadata');
        if (transport === 'tcp') await ok(/./u, 'me');
      });

      it('purges and deletes', async () => {
        await ok(/purged/u, 'topic', 'purge', name, 'events');
        await ok(/purged/u, 'stream', 'purge', name);
        await ok(/deleted/iu, 'segment', 'delete', name, 'events', '0', '1');
        await ok(/deleted/u, 'topic', 'delete', name, 'events');
        await ok(/deleted/u, 'stream', 'delete', name);
      });
    });
  }
});
