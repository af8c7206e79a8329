import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type Draws, drawInteger, drawsOf } from '../harness/draws.ts';

// A program of its own, so that the attack does not slow down the client that is watched:
//
//   node attack.ts PORT FRAMES SEED
//
// It keeps some connections busy with frames that a server can tell apart but not make sense of,
// and ends each of them with one that breaks the stream: cut, random, a lie about its size, the
// first bytes of another generation. Every frame is delivered before the next connection begins.

const CONNECTIONS = 16;
const HEADER_BYTES = 256;
/** A stream is broken after this many frames at the latest. */
const FRAMES_PER_CONNECTION_MAX = 60;
const VECTORS_FILE = join(import.meta.dirname, '..', '..', 'wire', 'testdata', 'vectors.json');

interface Vector {
  readonly direction: string;
  readonly hex: string;
}

/** Bodies as real clients send them, whole frames, and what a decoder must refuse. */
const BODIES = (JSON.parse(readFileSync(VECTORS_FILE, 'utf8')) as readonly Vector[])
  .filter(({ direction }) => direction === 'request' || direction === 'malformed')
  .map(({ hex }) => Buffer.from(hex, 'hex'))
  .filter((bytes) => bytes.length < 64 * 1024);
const OPERATIONS = [
  ...[1, 2, 2, 2, 3, 64, 68, 160, 160, 161, 162],
  ...Array.from({ length: 22 }, (_, index) => 128 + index),
];
const CODES = [
  ...[0, 1, 10, 11, 12, 13, 14, 20, 21, 22, 31, 32, 38, 41, 100, 103, 104, 120, 123],
  ...[200, 201, 202, 300, 301, 600, 601, 606, 9999],
];

function pick<T>(draws: Draws, from: readonly T[]): T {
  return from[drawInteger(draws, 0, from.length - 1)]!;
}

/** A frame that can be told from the next one, and makes no sense. */
function nonsense(draws: Draws): Buffer {
  const body = pick(draws, BODIES);
  const frame = Buffer.alloc(HEADER_BYTES + body.length);
  frame.set(body, HEADER_BYTES);
  frame.writeUInt32LE(frame.length, 48);
  frame[60] = drawInteger(draws, 0, 9) === 0 ? drawInteger(draws, 0, 29) : 5;
  frame.writeUInt32LE(draws(), 128);
  frame[176] = pick(draws, OPERATIONS);
  const isRegister = frame[176] === 1;
  frame.writeUInt32LE(isRegister ? 0 : drawInteger(draws, 0, 3), 168);
  frame.writeUInt32LE(isRegister ? 0 : drawInteger(draws, 0, 3), 184);
  if (frame[176] === 2) frame.writeUInt32LE(pick(draws, CODES), 196);
  const roll = drawInteger(draws, 0, 3);
  // A flipped bit behind the fields that frame the stream, or bytes of no meaning at all.
  if (roll === 0) flip(draws, frame, 61);
  if (roll === 1) for (let at = 61; at < frame.length; at += 1) frame[at] = draws() & 0xff;
  return frame;
}

function flip(draws: Draws, frame: Buffer, first: number): void {
  const at = drawInteger(draws, first, frame.length - 1);
  frame[at] = frame[at]! ^ (1 << drawInteger(draws, 0, 7));
}

/** A frame behind which nothing can be told apart any more. */
function breaking(draws: Draws): Buffer {
  const frame = nonsense(draws);
  switch (drawInteger(draws, 0, 4)) {
    case 0:
      return frame.subarray(0, drawInteger(draws, 1, frame.length - 1));
    case 1:
      frame.writeUInt32LE(pick(draws, [0, 255, 0x0400_0001, 0xffff_ffff]), 48);
      return frame;
    case 2:
      frame.writeUInt32LE(drawInteger(draws, 1, 0xffff), 0);
      return frame;
    case 3:
      frame[60] = drawInteger(draws, 30, 255);
      return frame;
    default:
      for (let at = 0; at < frame.length; at += 1) frame[at] = draws() & 0xff;
      return frame;
  }
}

async function attack(port: number, draws: Draws, take: () => boolean): Promise<void> {
  let isOver = false;
  while (!isOver) {
    const socket: Socket = connect({ host: '127.0.0.1', port });
    let isClosed = false;
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => {
        isClosed = true;
        resolve();
      });
    });
    socket.on('error', () => undefined).on('data', () => undefined);
    const frames = drawInteger(draws, 1, FRAMES_PER_CONNECTION_MAX);
    for (let count = 1; count <= frames && !isClosed && !isOver; count += 1) {
      if (!take()) isOver = true;
      else if (count === frames) socket.end(breaking(draws));
      else if (!socket.write(nonsense(draws))) {
        await Promise.race([once(socket, 'drain').catch(() => undefined), closed]);
      }
    }
    socket.end();
    await closed;
  }
}

const [port, frames, seed] = process.argv.slice(2).map(Number);
let left = frames!;
const take = (): boolean => {
  left -= 1;
  return left >= 0;
};
const attacks = Array.from({ length: CONNECTIONS }, (_, index) =>
  attack(port!, drawsOf(seed! * 1000 + index), take),
);
await Promise.all(attacks);
