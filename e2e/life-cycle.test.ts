import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sealedBatch } from '@iggy-ts/sdk/batch';
import { IggyClient } from '@iggy-ts/sdk/client';
import { ROOT, ServerProcess } from './harness/server-process.ts';

// Start, stop, refuse: what an operator sees of the process itself.

const MAIN = join(import.meta.dirname, '..', 'node', 'main.ts');
const TOP = join(import.meta.dirname, '..');

interface Ended {
  readonly code: number | null;
  readonly text: string;
}

describe('the server process', () => {
  const folders: string[] = [];
  const servers: ServerProcess[] = [];

  function newFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'iggy-life-'));
    folders.push(folder);
    return folder;
  }

  async function start(options: Parameters<typeof ServerProcess.own>[0]): Promise<ServerProcess> {
    const server = await ServerProcess.own(options);
    servers.push(server);
    return server;
  }

  /** Runs the server with arguments with which it must end by itself. */
  function runToEnd(args: readonly string[], env: Record<string, string> = {}): Ended {
    const ended = spawnSync(process.execPath, [MAIN, ...args], {
      cwd: newFolder(),
      env: { PATH: process.env['PATH'], ...env },
      encoding: 'utf8',
      timeout: 60_000,
    });
    return { code: ended.status, text: `${ended.stdout}${ended.stderr}` };
  }

  async function clientOf(server: ServerProcess): Promise<IggyClient> {
    const client = await IggyClient.connect({ host: '127.0.0.1', port: server.tcpPort });
    await client.login(ROOT.username, ROOT.password);
    return client;
  }

  afterEach(async () => {
    for (const server of servers.splice(0)) await server.remove();
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  it('explains itself with --help and --version and checks a configuration', () => {
    const help = runToEnd(['--help']);
    assert.equal(help.code, 0);
    assert.match(help.text, /Example[\s\S]*--tcp-address[\s\S]*Exit codes/u);
    assert.match(runToEnd(['--version']).text, /^iggy-server \d+\.\d+\.\d+$/mu);
    assert.equal(runToEnd(['config', 'check']).code, 0);
    const shown = runToEnd(['config', 'show'], { IGGY_HTTP_JWT_ENCODING_SECRET: 'very-secret' });
    assert.match(shown.text, /^\[tcp\]$/mu);
    assert(!shown.text.includes('very-secret'));
  });

  it('refuses wrong use and wrong settings with what to do and its own exit code', () => {
    const usage = runToEnd(['--tcp-adress', '127.0.0.1:1']);
    assert.equal(usage.code, 2);
    assert.match(usage.text, /did you mean --tcp-address\?/u);
    const config = runToEnd([], { IGGY_POOL_BYTES: 'many' });
    assert.equal(config.code, 3);
    assert.match(config.text, /IGGY_POOL_BYTES: expected a size/u);
    const half = runToEnd([], { IGGY_ROOT_USERNAME: 'admin' });
    assert.equal(half.code, 3);
    assert.match(half.text, /set both of them or none/u);
    const missing = runToEnd([], { IGGY_CONFIG_PATH: 'nowhere.toml' });
    assert.equal(missing.code, 3);
    assert.match(missing.text, /nowhere\.toml/u);
  });

  it('reads a configuration file, and variables over it', async () => {
    const folder = newFolder();
    writeFileSync(
      join(folder, 'config.toml'),
      '[heartbeat]\ninterval = "7 s"\n[quic]\nenabled = true\n',
    );
    const server = await start({ folder, env: { IGGY_SHUTDOWN_TIMEOUT: '9 s' } });
    const written = readFileSync(
      join(folder, 'local_data', 'runtime', 'current_config.toml'),
      'utf8',
    );
    assert.match(written, /^\[heartbeat\]\nenabled = true\ninterval = "7 s"$/mu);
    assert.match(written, /^\[shutdown\]\ntimeout = "9 s"$/mu);
    assert(written.includes(`address = "127.0.0.1:${server.tcpPort}"`));
    assert(!written.includes(ROOT.password));
    assert.match(server.output, /quic\.enabled has no effect/u);
  });

  it('draws a root password once, prints it once and stores no trace of it', async () => {
    const folder = newFolder();
    const env = { IGGY_ROOT_USERNAME: '', IGGY_ROOT_PASSWORD: '' };
    const server = await start({ folder, env });
    const password = /Generated root user password: (?<password>[A-Za-z0-9]{20,39})/u.exec(
      server.output,
    )?.groups?.['password'];
    assert(password !== undefined, server.output);
    const client = await IggyClient.connect({ host: '127.0.0.1', port: server.tcpPort });
    await client.login('iggy', password);
    client.close();
    assert.equal(await server.stop(), 0);
    assert(!existsInFolder(join(folder, 'local_data'), password));
    const again = await start({ folder, env });
    assert.doesNotMatch(again.output, /Generated root user password/u);
    const later = await IggyClient.connect({ host: '127.0.0.1', port: again.tcpPort });
    await later.login('iggy', password);
    later.close();
  });

  it('refuses a data folder that another process uses', async () => {
    const server = await start({});
    const second = spawnSync(process.execPath, [MAIN], {
      cwd: server.folder,
      env: {
        PATH: process.env['PATH'],
        IGGY_TCP_ADDRESS: '127.0.0.1:0',
        IGGY_HTTP_ADDRESS: '127.0.0.1:0',
      },
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(second.status, 4);
    assert.match(second.stderr, new RegExp(String.raw`\b${server.pid}\b`, 'u'));
    assert(server.isRunning);
    (await clientOf(server)).close();
  });

  it('refuses an address that is in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const ended = runToEnd(['--tcp-address', `127.0.0.1:${port}`, '--http-address', '127.0.0.1:0']);
    taken.close();
    assert.equal(ended.code, 5);
    assert.match(ended.text, new RegExp(String.raw`127\.0\.0\.1:${port}`, 'u'));
  });

  it('removes the data folder with --fresh and only then', async () => {
    const folder = newFolder();
    const first = await start({ folder });
    const client = await clientOf(first);
    await client.request({ kind: 'createStream', name: 'old', options: [] });
    client.close();
    await first.stop();
    const second = await start({ folder });
    const there = await clientOf(second);
    assert.equal((await there.request({ kind: 'getStreams' })).length, 1);
    there.close();
    await second.stop();
    const third = await start({ folder, args: ['--fresh'] });
    const gone = await clientOf(third);
    assert.equal((await gone.request({ kind: 'getStreams' })).length, 0);
    gone.close();
  });

  it('answers what is in flight after SIGTERM, closes and exits with 0', async () => {
    const server = await start({});
    const client = await clientOf(server);
    const streamId = { kind: 'name', name: 's' } as const;
    const topicId = { kind: 'name', name: 't' } as const;
    await client.request({ kind: 'createStream', name: 's', options: [] });
    const topic = {
      kind: 'createTopic',
      streamId,
      partitionsCount: 1,
      name: 't',
      options: [],
    } as const;
    await client.request(topic);
    const batch = sealedBatch([{ payload: Buffer.from('last words') }]);
    const partitioning = { kind: 'partition', partitionId: 0 } as const;
    const command = {
      kind: 'sendMessages',
      streamId,
      topicId,
      partitioning,
      messagesCount: 1,
    } as const;
    const acknowledged: number[] = [];
    const sending = (async () => {
      for (;;) {
        const { confirmations } = await client.send(command, batch);
        acknowledged.push(confirmations[0]!.baseOffset);
        if (acknowledged.length === 20) server.signal('SIGTERM');
      }
    })().catch(() => undefined);
    assert.equal(await server.exited, 0);
    await sending;
    assert(acknowledged.length >= 20);
    const again = await start({ folder: server.folder });
    const reader = await clientOf(again);
    const found = await reader.request({ kind: 'getTopic', streamId, topicId });
    assert(found!.messagesCount >= acknowledged.length);
    reader.close();
  });

  it('gets the signals itself when it is started by npm', async () => {
    const folder = newFolder();
    const child = spawn(
      'npm',
      [
        'start',
        '--silent',
        '--',
        '--path',
        folder,
        '--tcp-address',
        '127.0.0.1:0',
        '--http-address',
        '127.0.0.1:0',
      ],
      {
        cwd: TOP,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, IGGY_ROOT_USERNAME: '', IGGY_ROOT_PASSWORD: '' },
      },
    );
    const ended = once(child, 'exit');
    let text = '';
    const ready = new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (/ready/u.test(text)) resolve();
      });
    });
    await Promise.race([ready, ended]);
    child.kill('SIGTERM');
    const [code, signal] = await ended;
    assert(code === 0 || signal === 'SIGTERM', text);
    assert(existsSync(join(folder, 'node.json')));
  });

  it('encrypts what it stores when told to, and needs the same key to read it', async () => {
    const folder = newFolder();
    const keyFile = join(folder, 'key');
    writeFileSync(keyFile, `${Buffer.alloc(32, 7).toString('base64')}\n`);
    const env = { IGGY_ENCRYPTION_ENABLED: 'true', IGGY_ENCRYPTION_KEY_FILE: keyFile };
    const secret = 'a very recognisable payload';
    const streamId = { kind: 'name', name: 's' } as const;
    const topicId = { kind: 'name', name: 't' } as const;
    const server = await start({ folder, env });
    const client = await clientOf(server);
    await client.request({ kind: 'createStream', name: 's', options: [] });
    await client.request({
      kind: 'createTopic',
      streamId,
      partitionsCount: 1,
      name: 't',
      options: [],
    });
    await client.send(
      {
        kind: 'sendMessages',
        streamId,
        topicId,
        partitioning: { kind: 'balanced' },
        messagesCount: 1,
      },
      sealedBatch([{ payload: Buffer.from(secret) }]),
    );
    const poll = {
      kind: 'pollMessages',
      consumer: { kind: 'consumer', id: { kind: 'id', id: 1 } },
      streamId,
      topicId,
      partitionId: 0,
      strategy: { kind: 'first' },
      count: 1,
      autoCommit: false,
    } as const;
    assert(Buffer.from((await client.poll(poll)).records).includes(secret));
    client.close();
    await server.stop();
    assert(!existsInFolder(join(folder, 'local_data'), secret));
    const again = await start({ folder, env });
    const reader = await clientOf(again);
    assert(Buffer.from((await reader.poll(poll)).records).includes(secret));
    reader.close();
    await again.stop();
    writeFileSync(keyFile, `${Buffer.alloc(32, 8).toString('base64')}\n`);
    const wrong = await start({ folder, env });
    const stranger = await clientOf(wrong);
    await assert.rejects(stranger.poll(poll), { code: 72 });
    stranger.close();
  });
});

/** Whether any file below holds this text. */
function existsInFolder(folder: string, text: string): boolean {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.some(
    (entry) => entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes(text),
  );
}
