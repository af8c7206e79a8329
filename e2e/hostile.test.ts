import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { sealedBatch } from '@iggy-ts/sdk/batch';
import { IggyClient } from '@iggy-ts/sdk/client';
import { type Draws, drawInteger, drawsOf } from './harness/draws.ts';
import { ROOT, ServerProcess } from './harness/server-process.ts';

// Hostile bytes on many connections while a normal client goes on: cut, flipped and random frames,
// huge sizes, well-formed headers with nonsense behind them. Nothing may crash, stall or grow.

const FRAMES = Number(process.env['HOSTILE_FRAMES'] ?? 100_000);
const SEED = Number(process.env['HOSTILE_SEED'] ?? 1);
const CONNECTIONS = 16;
const HEADER_BYTES = 256;
const MEMORY_MIB_MAX = 512;

interface Vector {
  readonly what: string;
  readonly direction: string;
  readonly hex: string;
}

const VECTORS = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'wire', 'testdata', 'vectors.json'), 'utf8'),
) as readonly Vector[];

/** Bodies and whole frames as real clients send them; the raw material. */
const BODIES = VECTORS.filter(
  ({ direction }) => direction === 'request' || direction === 'malformed',
)
  .map(({ hex }) => Buffer.from(hex, 'hex'))
  .filter((bytes) => bytes.length < 64 * 1024);
const OPERATIONS = [
  1,
  2,
  3,
  64,
  68,
  ...Array.from({ length: 22 }, (_, i) => 128 + i),
  160,
  161,
  162,
];
const CODES = [
  1, 10, 11, 12, 13, 14, 20, 21, 22, 31, 32, 38, 41, 100, 103, 104, 120, 123, 200, 201,
];
const MORE_CODES = [300, 301, 600, 601, 606, 0, 202, 9999];

function pick<T>(draws: Draws, from: readonly T[]): T {
  return from[drawInteger(draws, 0, from.length - 1)]!;
}

/** A header that a server can frame, with a body that may be anything. */
function frameOf(draws: Draws, body: Uint8Array): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + body.length);
  frame.writeUInt32LE(frame.length, 48);
  frame[60] = drawInteger(draws, 0, 9) === 0 ? drawInteger(draws, 0, 255) : 5;
  frame.writeUInt32LE(draws(), 128);
  frame[176] = pick(draws, OPERATIONS);
  const isRegister = frame[176] === 1;
  frame.writeUInt32LE(isRegister ? 0 : drawInteger(draws, 0, 3), 168);
  frame.writeUInt32LE(isRegister ? 0 : drawInteger(draws, 0, 3), 184);
  if (frame[176] === 2) frame.writeUInt32LE(pick(draws, [...CODES, ...MORE_CODES]), 196);
  frame.set(body, HEADER_BYTES);
  return frame;
}

function hostileFrame(draws: Draws): Buffer {
  const frame = frameOf(draws, pick(draws, BODIES));
  switch (drawInteger(draws, 0, 6)) {
    case 0: // random bytes behind a zero first word, so that the generation is taken for 0.9
      for (let at = 4; at < frame.length; at += 1) frame[at] = draws() & 0xff;
      return frame;
    case 1: // one flipped bit
      frame[drawInteger(draws, 0, frame.length - 1)]! ^= 1 << drawInteger(draws, 0, 7);
      return frame;
    case 2: // cut anywhere: the rest of the stream is out of step
      return frame.subarray(0, drawInteger(draws, 1, frame.length));
    case 3: // a size that is a lie
      frame.writeUInt32LE(pick(draws, [0, 255, 256, 0x0400_0000, 0x0400_0001, 0xffff_ffff]), 48);
      return frame;
    case 4: // the first bytes of another generation
      frame.writeUInt32LE(draws(), 0);
      return frame;
    default:
      return frame;
  }
}

/** Writes hostile frames to one connection after another until there are none left. */
async function attack(port: number, draws: Draws, take: () => boolean): Promise<void> {
  let isOver = false;
  while (!isOver) {
    const socket: Socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => undefined).on('data', () => undefined);
    const closed = once(socket, 'close');
    await Promise.race([once(socket, 'connect'), closed]).catch(() => undefined);
    while (!socket.destroyed && !socket.writableEnded) {
      if (!take()) {
        isOver = true;
        break;
      }
      if (socket.write(hostileFrame(draws))) continue;
      await Promise.race([once(socket, 'drain').catch(() => undefined), closed]);
      // Sometimes leave in the middle of a frame.
      if (drawInteger(draws, 0, 20) === 0) break;
    }
    socket.destroy();
    await closed.catch(() => undefined);
  }
}

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
      let left = FRAMES;
      const take = (): boolean => {
        left -= 1;
        return left >= 0;
      };
      const attacks = Array.from({ length: CONNECTIONS }, (_, index) =>
        attack(server.tcpPort, drawsOf(SEED * 1000 + index), take),
      );
      let isOver = false;
      const all = Promise.all(attacks).then(() => {
        isOver = true;
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
      await all;
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
