import { sealedBatch } from '@iggy-ts/sdk/batch';
import { IggyClient } from '@iggy-ts/sdk/client';
import type { Option } from '@iggy-ts/wire/commands/values';
import { HEADER_KIND } from '@iggy-ts/wire/commands/values';
import type { ServerProcess } from '../e2e/harness/server-process.ts';
import { ROOT } from '../e2e/harness/server-process.ts';
import type { Cell } from './cells.ts';

// One cell against one running server: connections that send or poll as fast as they are answered,
// one request at a time each, for a fixed time. The batch is built once and sent again and again.

const TOPIC = { kind: 'name', name: 'topic' } as const;
const WARM_UP_SHARE = 0.2;

export interface Figures {
  /** Payload bytes per second, in units of 10^6. */
  readonly megabytesPerSecond: number;
  readonly messagesPerSecond: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly requests: number;
}

export interface MeasureOptions {
  readonly seconds: number;
  /** Option of a topic whose batches are synced before they are acknowledged. */
  readonly syncOption: Option;
}

let streamNext = 1;

/** Runs a cell; streams are made before and removed after it. */
export async function measure(
  server: ServerProcess,
  cell: Cell,
  options: MeasureOptions,
): Promise<Figures> {
  const payload = new Uint8Array(cell.messageBytes).fill(0x78);
  const batch = sealedBatch(Array.from({ length: cell.messagesPerBatch }, () => ({ payload })));
  const names = Array.from({ length: cell.connections }, () => `bench-${streamNext++}`);
  const clients = await Promise.all(names.map(() => open(server)));
  const topicOptions = cell.isSynced ? [options.syncOption] : [];
  for (const [index, name] of names.entries()) {
    await createTopic(clients[index]!, name, topicOptions);
    if (cell.kind === 'poll') await fill(clients[index]!, name, batch, cell);
  }
  const endMs = performance.now() + options.seconds * 1000;
  const countFromMs = endMs - options.seconds * 1000 * (1 - WARM_UP_SHARE);
  const latencies: number[] = [];
  await Promise.all(
    clients.map((client, index) => {
      const request = requestOf(client, names[index]!, batch, cell);
      return repeat(request, { endMs, countFromMs }, latencies);
    }),
  );
  const seconds = (performance.now() - countFromMs) / 1000;
  for (const [index, name] of names.entries()) {
    await clients[index]!.request({ kind: 'deleteStream', streamId: { kind: 'name', name } });
    clients[index]!.close();
  }
  return figuresOf(latencies, seconds, cell);
}

async function open(server: ServerProcess): Promise<IggyClient> {
  const client = await IggyClient.connect({ host: '127.0.0.1', port: server.tcpPort });
  await client.login(ROOT.username, ROOT.password);
  return client;
}

async function createTopic(
  client: IggyClient,
  name: string,
  options: readonly Option[],
): Promise<void> {
  await client.request({ kind: 'createStream', name, options: [] });
  const streamId = { kind: 'name', name } as const;
  const topic = { streamId, partitionsCount: 1, name: TOPIC.name, options };
  await client.request({ kind: 'createTopic', ...topic });
}

function send(client: IggyClient, name: string, batch: Uint8Array, cell: Cell): Promise<unknown> {
  return client.send(
    {
      kind: 'sendMessages',
      streamId: { kind: 'name', name },
      topicId: TOPIC,
      partitioning: { kind: 'partition', partitionId: 0 },
      messagesCount: cell.messagesPerBatch,
    },
    batch,
  );
}

/** Batches that a poll cell reads round and round. */
const FILL_BATCHES = 100;

async function fill(
  client: IggyClient,
  name: string,
  batch: Uint8Array,
  cell: Cell,
): Promise<void> {
  for (let count = 0; count < FILL_BATCHES; count += 1) await send(client, name, batch, cell);
}

function requestOf(
  client: IggyClient,
  name: string,
  batch: Uint8Array,
  cell: Cell,
): () => Promise<unknown> {
  if (cell.kind === 'send') return () => send(client, name, batch, cell);
  const count = cell.messagesPerBatch;
  let round = 0;
  return async () => {
    const offset = (round % FILL_BATCHES) * count;
    round += 1;
    const polled = await client.poll({
      kind: 'pollMessages',
      consumer: { kind: 'consumer', id: { kind: 'id', id: 1 } },
      streamId: { kind: 'name', name },
      topicId: TOPIC,
      partitionId: 0,
      strategy: { kind: 'offset', offset },
      count,
      autoCommit: false,
    });
    if (polled.messagesCount !== count) throw new Error(`polled ${polled.messagesCount} messages`);
  };
}

async function repeat(
  request: () => Promise<unknown>,
  time: { readonly endMs: number; readonly countFromMs: number },
  latencies: number[],
): Promise<void> {
  for (let atMs = performance.now(); atMs < time.endMs; ) {
    await request();
    const nowMs = performance.now();
    if (atMs >= time.countFromMs) latencies.push(nowMs - atMs);
    atMs = nowMs;
  }
}

function figuresOf(latencies: number[], seconds: number, cell: Cell): Figures {
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  const messages = latencies.length * cell.messagesPerBatch;
  return {
    megabytesPerSecond: (messages * cell.messageBytes) / seconds / 1e6,
    messagesPerSecond: messages / seconds,
    latencyMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
    requests: latencies.length,
  };
}

/** The option of this server. */
export const DURABILITY_PERSISTED: Option = {
  key: 'durability',
  kind: HEADER_KIND.string,
  value: Buffer.from('persisted'),
};
