import { sealedBatch } from '@iggy-ts/sdk/batch';
import type { IggyClient } from '@iggy-ts/sdk/client';
import { RequestFailed, SessionEvicted } from '@iggy-ts/sdk/failures';
import { readMessages } from '@iggy-ts/wire/batch';
import type { Drawn } from './commands.ts';

// What a server answered, without what must differ between two servers.

export type Outcome =
  | { readonly kind: 'reply'; readonly reply: unknown }
  | { readonly kind: 'failed'; readonly code: number }
  | { readonly kind: 'evicted'; readonly reason: number };

/**
 * Fields that are left out, each with its reason:
 *
 * - times of creation: two clocks
 * - the raw token: drawn at random
 * - options of topics: the peer's tree knows `enforce_fsync` where the release has `durability`
 * - segments of a partition: the peer shows 0 for a fresh one, the specification says 1
 * - totals of a stream: the peer keeps counting the messages of topics that were deleted
 */
const LEFT_OUT = new Set([
  'createdAtUs',
  'token',
  'explicitOptions',
  'derivedOptions',
  'segmentsCount',
]);

const STREAM_TOTALS = new Set(['sizeBytes', 'messagesCount']);

/** Runs one command and takes its answer apart. */
export async function outcomeOf(client: IggyClient, drawn: Drawn): Promise<Outcome> {
  try {
    return { kind: 'reply', reply: comparable(await run(client, drawn)) };
  } catch (error) {
    if (error instanceof RequestFailed) return { kind: 'failed', code: error.code };
    if (error instanceof SessionEvicted) return { kind: 'evicted', reason: error.reason };
    throw error;
  }
}

async function run(client: IggyClient, drawn: Drawn): Promise<unknown> {
  if (drawn.kind === 'request') {
    const reply = await client.request(drawn.command);
    // The peer lists tokens in no order.
    if (drawn.command.kind !== 'getPersonalAccessTokens') return reply;
    const tokens = reply as readonly { readonly name: string }[];
    return tokens.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
  if (drawn.kind === 'send') {
    const drafts = drawn.payloads.map((bytes, index) => ({
      payload: new Uint8Array(bytes + 1).fill(index),
      id: (index + 1).toString(16).padStart(32, '0'),
    }));
    return client.send(drawn.command, sealedBatch(drafts));
  }
  const { records, ...head } = await client.poll(drawn.command);
  const messages = readMessages(records, 0, records.length);
  if (typeof messages === 'string') throw new Error(`records of a poll: ${messages}`);
  return {
    ...head,
    messages: messages.map(({ offset, id, checksum, payload }) => ({
      offset,
      id,
      checksum: String(checksum),
      payload: Buffer.from(payload).toString('hex'),
    })),
  };
}

function comparable(value: unknown): unknown {
  if (value instanceof Map) return [...value].map(([key, entry]) => [key, comparable(entry)]);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !LEFT_OUT.has(name))
      .filter(([name]) => !('topicsCount' in value && STREAM_TOTALS.has(name)))
      .map(([name, entry]) => [name, comparable(entry)]),
  );
}

/**
 * Whether two answers to the same command may differ all the same, and why:
 *
 * - a send or an offset write to something missing: the peer has one code (20) for every cause,
 *   the specification recommends the code of the cause, and clients of one SDK rely on it
 */
export function mayDiffer(drawn: Drawn, own: Outcome, peer: Outcome): boolean {
  const name = drawn.command.kind;
  const collapses =
    name === 'sendMessages' || name === 'storeConsumerOffset' || name === 'deleteConsumerOffset';
  const causes = [1009, 1010, 2010, 2011, 3007];
  return (
    collapses &&
    own.kind === 'failed' &&
    peer.kind === 'failed' &&
    peer.code === 20 &&
    causes.includes(own.code)
  );
}
