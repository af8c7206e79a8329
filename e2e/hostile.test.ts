import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { sealedBatch } from '@iggy-ts/sdk/batch';
import { IggyClient } from '@iggy-ts/sdk/client';
import { ROOT, ServerProcess } from './harness/server-process.ts';

// Hostile bytes on many connections while a normal client goes on: cut, flipped and random frames,
// huge sizes, well-formed headers with nonsense behind them. Nothing may crash, stall or grow.

const FRAMES = Number(process.env['HOSTILE_FRAMES'] ?? 100_000);
const SEED = Number(process.env['HOSTILE_SEED'] ?? 1);
const MEMORY_MIB_MAX = 512;
const ATTACK = join(import.meta.dirname, 'hostile', 'attack.ts');

describe('hostile frames', () => {
  it(`${FRAMES} of them (seed ${SEED}) harm nobody`, async function () {
    this.timeout(600_000);
    const server = await ServerProcess.own();
    try {
      const client = await IggyClient.connect({ host: '127.0.0.1', port: server.tcpPort });
      await client.login(ROOT.username, ROOT.password);
      const streamId = { kind: 'name', name: 'calm' } as const;
      const topicId = { kind: 'name', name: 'topic' } as const;
      await client.request({ kind: 'createStream', name: 'calm', options: [] });
      await client.request({
        kind: 'createTopic',
        streamId,
        partitionsCount: 1,
        name: 'topic',
        options: [],
      });
      const batch = sealedBatch([{ payload: Buffer.from('calm') }]);
      const attack = spawn(
        process.execPath,
        [ATTACK, String(server.tcpPort), String(FRAMES), String(SEED)],
        { stdio: 'inherit' },
      );
      let isOver = false;
      const ended = new Promise<number | null>((resolve) => {
        attack.once('close', (code) => {
          isOver = true;
          resolve(code);
        });
      });
      let sent = 0;
      while (!isOver) {
        const { confirmations } = await client.send(
          {
            kind: 'sendMessages',
            streamId,
            topicId,
            partitioning: { kind: 'partition', partitionId: 0 },
            messagesCount: 1,
          },
          batch,
        );
        assert.equal(confirmations[0]!.baseOffset, sent);
        sent += 1;
        const polled = await client.poll({
          kind: 'pollMessages',
          consumer: { kind: 'consumer', id: { kind: 'id', id: 1 } },
          streamId,
          topicId,
          partitionId: 0,
          strategy: { kind: 'last' },
          count: 1,
          autoCommit: false,
        });
        assert.equal(polled.currentOffset, sent - 1);
      }
      assert.equal(await ended, 0);
      assert(sent > 0);
      assert(server.isRunning, server.output.slice(-2000));
      const resident = server.residentMib;
      console.log(
        `    the client sent and polled ${sent} times; ${resident.toFixed(0)} MiB resident`,
      );
      assert(resident < MEMORY_MIB_MAX, `${resident.toFixed(0)} MiB resident`);
      client.close();
      assert.equal(await server.stop(), 0);
    } finally {
      await server.remove();
    }
  });
});
