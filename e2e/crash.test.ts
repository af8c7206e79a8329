import assert from 'node:assert/strict';
import { sealedBatch } from '@iggy-ts/sdk/batch';
import { IggyClient } from '@iggy-ts/sdk/client';
import { ConnectionLost } from '@iggy-ts/sdk/failures';
import { readMessages } from '@iggy-ts/wire/batch';
import { type Draws, drawInteger, drawsOf } from './harness/draws.ts';
import { ROOT, ServerProcess } from './harness/server-process.ts';

// kill -9 at random moments under load. What was acknowledged is written down here; after every
// restart all of it must be there, at the offset that was confirmed, in order and once. A batch
// whose answer was lost may be there whole or not at all.
//
// A round: start ─► check ─► producers and a consumer work ─► SIGKILL after k acknowledgements

const ROUNDS = Number(process.env['CRASH_ROUNDS'] ?? 200);
const SEED = Number(process.env['CRASH_SEED'] ?? 1);
const ACKNOWLEDGED_MAX = 60;
const MESSAGES_MAX = 40;
const FULL_CHECK_EVERY = 25;

const STREAM = { kind: 'name', name: 'crash' } as const;
const TOPIC = { kind: 'name', name: 'topic' } as const;
const CONSUMER = { kind: 'consumer', id: { kind: 'id', id: 7 } } as const;

/** One partition with its only producer, and what that knows. */
class Track {
  readonly partitionId: number;
  /** Number of the next message; never used twice. */
  next = 1;
  /** Offset → number, of acknowledged messages. */
  readonly acknowledged: Map<number, number> = new Map();
  /** Last offset whose store was acknowledged, or -1. */
  stored = -1;
  /** Everything below was checked in an earlier round. */
  checked = 0;

  constructor(partitionId: number) {
    this.partitionId = partitionId;
  }
}

async function open(server: ServerProcess): Promise<IggyClient> {
  const client = await IggyClient.connect({ host: '127.0.0.1', port: server.tcpPort });
  await client.login(ROOT.username, ROOT.password);
  return client;
}

/** Polls the partition from `offset` to its end. */
async function readAll(client: IggyClient, partitionId: number, offset: number): Promise<number[]> {
  const numbers: number[] = [];
  for (;;) {
    const polled = await client.poll({
      kind: 'pollMessages',
      consumer: CONSUMER,
      streamId: STREAM,
      topicId: TOPIC,
      partitionId,
      strategy: { kind: 'offset', offset: offset + numbers.length },
      count: 1000,
      autoCommit: false,
    });
    if (polled.messagesCount === 0) return numbers;
    const messages = readMessages(polled.records, 0, polled.records.length);
    assert(typeof messages !== 'string', 'records are well-formed');
    for (const message of messages) {
      assert.equal(message.offset, offset + numbers.length, 'offsets are dense');
      const { payload } = message;
      const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
      numbers.push(view.getUint32(0, true));
    }
  }
}

async function check(client: IggyClient, track: Track, from: number): Promise<void> {
  const numbers = await readAll(client, track.partitionId, from);
  for (const [index, number] of numbers.entries()) {
    if (index > 0) assert(number > numbers[index - 1]!, 'every message once, in order');
  }
  for (const [offset, number] of track.acknowledged) {
    if (offset < from) continue;
    assert.equal(numbers[offset - from], number, `acknowledged message at offset ${offset}`);
  }
  track.checked = from + numbers.length;
  const stored = await client.request({
    kind: 'getConsumerOffset',
    consumer: CONSUMER,
    streamId: STREAM,
    topicId: TOPIC,
    partitionId: track.partitionId,
  });
  assert((stored?.storedOffset ?? -1) >= track.stored, 'stored offsets never go back');
}

/** Sends and stores offsets until the connection is cut. */
async function work(
  client: IggyClient,
  track: Track,
  draws: Draws,
  done: () => void,
): Promise<void> {
  const { partitionId } = track;
  try {
    for (;;) {
      const count = drawInteger(draws, 1, MESSAGES_MAX);
      const first = track.next;
      track.next += count;
      const messages = Array.from({ length: count }, (_, index) => {
        const payload = new Uint8Array(drawInteger(draws, 4, 2000));
        new DataView(payload.buffer).setUint32(0, first + index, true);
        return { payload };
      });
      const { confirmations } = await client.send(
        {
          kind: 'sendMessages',
          streamId: STREAM,
          topicId: TOPIC,
          partitioning: { kind: 'partition', partitionId },
          messagesCount: count,
        },
        sealedBatch(messages),
      );
      const { baseOffset } = confirmations[0]!;
      for (let index = 0; index < count; index += 1) {
        track.acknowledged.set(baseOffset + index, first + index);
      }
      done();
      if (drawInteger(draws, 1, 4) > 1) continue;
      const offset = baseOffset + count - 1;
      await client.request({
        kind: 'storeConsumerOffset',
        consumer: CONSUMER,
        streamId: STREAM,
        topicId: TOPIC,
        partitionId,
        offset,
        ack: 'quorum',
      });
      track.stored = offset;
      done();
    }
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error;
  }
}

describe('kill -9', () => {
  it(`loses nothing acknowledged in ${ROUNDS} rounds (seed ${SEED})`, async function () {
    this.timeout(ROUNDS * 10_000);
    const draws = drawsOf(SEED);
    const tracks = [new Track(0), new Track(1)];
    let server = await ServerProcess.own();
    try {
      const first = await open(server);
      await first.request({ kind: 'createStream', name: STREAM.name, options: [] });
      await first.request({
        kind: 'createTopic',
        streamId: STREAM,
        partitionsCount: tracks.length,
        name: TOPIC.name,
        options: [],
      });
      first.close();
      for (let round = 1; round <= ROUNDS; round += 1) {
        const clients = await Promise.all(tracks.map(() => open(server)));
        let left = drawInteger(draws, 1, ACKNOWLEDGED_MAX);
        const worked = tracks.map((track, index) =>
          work(clients[index]!, track, draws, () => {
            left -= 1;
            if (left === 0) server.signal('SIGKILL');
          }),
        );
        await Promise.all(worked);
        await server.kill();
        for (const client of clients) client.close();
        server = await ServerProcess.own({ folder: server.folder });
        const reader = await open(server);
        const isFull = round % FULL_CHECK_EVERY === 0 || round === ROUNDS;
        for (const track of tracks) await check(reader, track, isFull ? 0 : track.checked);
        reader.close();
        if (isFull) {
          const count = tracks.reduce((sum, track) => sum + track.acknowledged.size, 0);
          console.log(`    round ${round}: ${count} acknowledged messages, all there`);
        }
      }
    } finally {
      await server.remove();
    }
  });
});
