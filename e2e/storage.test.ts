import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sealedBatch } from '@iggy-ts/sdk/batch';
import { IggyClient } from '@iggy-ts/sdk/client';
import { RequestFailed } from '@iggy-ts/sdk/failures';
import { ROOT, ServerProcess } from './harness/server-process.ts';
import { until } from './harness/until.ts';

// A large log and a full disk, on real file systems.

const GIB = 1024 ** 3;
const STORED_BYTES = Number(process.env['STORED_GIB'] ?? 10) * GIB;
const MEMORY_MIB_MAX = 512;
/** What a start may read at most: the program, the metadata and the tail of one segment. */
const START_READ_BYTES_MAX = 256 * 1024 * 1024;

const streamId = { kind: 'name', name: 's' } as const;
const topicId = { kind: 'name', name: 't' } as const;

function sendTo(messagesCount: number) {
  const partitioning = { kind: 'partition', partitionId: 0 } as const;
  return { kind: 'sendMessages', streamId, topicId, partitioning, messagesCount } as const;
}

function pollAt(offset: number, count: number) {
  const consumer = { kind: 'consumer', id: { kind: 'id', id: 1 } } as const;
  const strategy = { kind: 'offset', offset } as const;
  const place = { streamId, topicId, partitionId: 0 };
  return { kind: 'pollMessages', consumer, ...place, strategy, count, autoCommit: false } as const;
}

async function clientOf(server: ServerProcess): Promise<IggyClient> {
  const client = await IggyClient.connect({ host: '127.0.0.1', port: server.tcpPort });
  await client.login(ROOT.username, ROOT.password);
  return client;
}

async function createTopic(client: IggyClient): Promise<void> {
  await client.request({ kind: 'createStream', name: 's', options: [] });
  await client.request({
    kind: 'createTopic',
    streamId,
    partitionsCount: 1,
    name: 't',
    options: [],
  });
}

describe('a log of 10 GiB', () => {
  it('is written, read and started again in little memory and with little reading', async function () {
    this.timeout(900_000);
    const { bavail, bsize } = statfsSync(tmpdir());
    if (bavail * bsize < STORED_BYTES + 4 * GIB) {
      console.log('    skipped: not enough room for the log in the folder for temporary files');
      this.skip();
    }
    const env = { IGGY_PARTITION_FSYNC: 'os' };
    let server = await ServerProcess.own({ env });
    try {
      const client = await clientOf(server);
      await createTopic(client);
      const payload = new Uint8Array(64 * 1024);
      const batch = sealedBatch(Array.from({ length: 64 }, () => ({ payload })));
      const batches = Math.ceil(STORED_BYTES / batch.length);
      for (let number = 0; number < batches; number += 1) await client.send(sendTo(64), batch);
      const last = batches * 64 - 1;
      for (const offset of [0, Math.floor(last / 3), last]) {
        assert.equal((await client.poll(pollAt(offset, 1))).messagesCount, 1);
      }
      assert(server.residentMib < MEMORY_MIB_MAX, `${server.residentMib.toFixed(0)} MiB resident`);
      client.close();
      await server.kill();
      const startedMs = performance.now();
      server = await ServerProcess.own({ folder: server.folder, env });
      const startMs = performance.now() - startedMs;
      const read = Number(
        /^rchar: (\d+)$/mu.exec(readFileSync(`/proc/${server.pid}/io`, 'utf8'))![1],
      );
      const again = await clientOf(server);
      const polled = await again.poll(pollAt(last, 1));
      assert.equal(polled.currentOffset, last);
      assert.equal(polled.messagesCount, 1);
      again.close();
      const mib = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(0)} MiB`;
      console.log(
        `    ready after ${startMs.toFixed(0)} ms, ${mib(read)} read, ` +
          `${server.residentMib.toFixed(0)} MiB resident`,
      );
      assert(read < START_READ_BYTES_MAX, `${mib(read)} read at the start`);
      assert(server.residentMib < MEMORY_MIB_MAX);
    } finally {
      await server.remove();
    }
  });
});

describe('a full disk', () => {
  let folder = '';
  let isMounted = false;

  before(function () {
    folder = mkdtempSync(join(tmpdir(), 'iggy-full-'));
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', folder]);
    isMounted = mount.status === 0;
    if (!isMounted) {
      console.log('    skipped: this user may not mount a small file system');
      this.skip();
    }
  });

  after(() => {
    if (isMounted) spawnSync('umount', [folder]);
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  });

  /** Sends until the server refuses; returns the messages acknowledged so far. */
  async function sendUntilRefused(client: IggyClient, batch: Uint8Array): Promise<number> {
    for (let sent = 0; ; sent += 16) {
      try {
        await client.send(sendTo(16), batch);
      } catch (error) {
        assert(error instanceof RequestFailed, String(error));
        assert.equal(error.code, 10_005);
        return sent;
      }
    }
  }

  for (const [name, reserve] of [
    ['to the last byte', '0'],
    ['down to the reserve', '16 MiB'],
  ] as const) {
    it(`refuses sends ${name}, reads on, and goes on when there is room`, async () => {
      const place = join(folder, name.replaceAll(' ', '-'));
      mkdirSync(place);
      const ballast = join(folder, 'ballast');
      writeFileSync(ballast, new Uint8Array(20 * 1024 * 1024));
      const env = { IGGY_DISK_RESERVE: reserve };
      const server = await ServerProcess.own({ folder: place, env });
      try {
        const client = await clientOf(server);
        await createTopic(client);
        const payload = new Uint8Array(16 * 1024).fill(1);
        const batch = sealedBatch(Array.from({ length: 16 }, () => ({ payload })));
        const before = await sendUntilRefused(client, batch);
        assert(before > 0);
        await assert.rejects(client.send(sendTo(16), batch), { code: 10_005 });
        const polled = await client.poll(pollAt(before - 1, 10));
        assert.equal(polled.currentOffset, before - 1);
        assert.equal(polled.messagesCount, 1);
        rmSync(ballast);
        const confirmed = await until('sends are accepted again', async () => {
          try {
            return await client.send(sendTo(16), batch);
          } catch (error) {
            assert(error instanceof RequestFailed && error.code === 10_005, String(error));
            return null;
          }
        });
        assert.equal(confirmed.confirmations[0]!.baseOffset, before);
        client.close();
        await server.kill();
        const again = await ServerProcess.own({ folder: place, env });
        const reader = await clientOf(again);
        assert.equal((await reader.poll(pollAt(0, 1))).currentOffset, before + 15);
        reader.close();
        await again.remove();
      } finally {
        await server.remove();
        rmSync(ballast, { force: true });
      }
    });
  }
});
