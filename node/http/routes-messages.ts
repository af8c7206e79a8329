import { encodeBatch, readMessages } from '@iggy-ts/wire/batch';
import type { Consumer, PollingStrategy } from '@iggy-ts/wire/commands/values';
import { OperatingError } from '@iggy-ts/wire/status';
import type { Polled } from '../broker/port.ts';
import { RequestRefused } from './failure.ts';
import { messageJson, sendBodyOf } from './json-messages.ts';
import { identifierOf, type Query } from './request-values.ts';
import { type Call, found, inTime, outcomeOf, type Route } from './route.ts';

// Sending, polling and the offsets of single consumers. A group cannot be named over HTTP.

const TOPIC = '/streams/:stream_id/topics/:topic_id';
const MESSAGES = `${TOPIC}/messages`;
const OFFSETS = `${TOPIC}/consumer-offsets`;

const COUNT_DEFAULT = 10;
const CONSUMER_DEFAULT = '1';
const DURABILITY_HEADER = 'iggy-durability';

function consumerOf(text: string): Consumer {
  return { kind: 'consumer', id: identifierOf(text) };
}

function strategyOf(query: Query): PollingStrategy {
  const value = query.u64('value') ?? 0;
  switch (query.text('kind') ?? 'offset') {
    case 'offset':
    case 'o':
      return { kind: 'offset', offset: value };
    case 'timestamp':
    case 't':
      return { kind: 'timestamp', timestampUs: value };
    case 'first':
    case 'f':
      return { kind: 'first' };
    case 'last':
    case 'l':
      return { kind: 'last' };
    case 'next':
    case 'n':
      return { kind: 'next' };
    default:
      throw new RequestRefused(400, 'kind must be offset, timestamp, first, last or next');
  }
}

async function poll(call: Call): Promise<object> {
  const { query, caller, deps } = call;
  const polling = caller.poll({
    kind: 'pollMessages',
    consumer: consumerOf(query.text('consumer_id') ?? CONSUMER_DEFAULT),
    ...call.topic(),
    partitionId: query.u32('partition_id') ?? 0,
    strategy: strategyOf(query),
    count: query.u32('count') ?? COUNT_DEFAULT,
    autoCommit: query.bool('auto_commit') ?? false,
  });
  let polled: Polled;
  try {
    polled = await inTime(deps.clock, 'partition_read_timeout', polling);
  } catch (error) {
    // Records that come after the answer has gone are given back all the same.
    polling.then(
      (late) => late.release(),
      () => {},
    );
    throw error;
  }
  try {
    return polledJson(polled, deps.broker.recordsOf(polled));
  } finally {
    polled.release();
  }
}

function polledJson(polled: Polled, records: Uint8Array): object {
  const messages = readMessages(records, 0, records.length);
  if (typeof messages === 'string') throw new Error(`polled records are damaged: ${messages}`);
  return {
    partition_id: polled.partitionId,
    current_offset: polled.currentOffset,
    count: messages.length,
    messages: messages.map(messageJson),
  };
}

async function send(call: Call): Promise<object | undefined> {
  const { query, caller, deps } = call;
  const ack = query.text('ack') ?? 'replicated';
  if (ack !== 'replicated' && ack !== 'none') {
    throw new RequestRefused(400, 'ack must be replicated or none');
  }
  const { partitioning, messages } = sendBodyOf(call.body(), deps.clock.wallUs());
  const batch = encodeBatch(messages);
  if (typeof batch === 'number') throw new OperatingError(batch);
  const messagesCount = messages.length;
  const command = { kind: 'sendMessages', ...call.topic(), partitioning, messagesCount } as const;
  const sending = deps.broker.sendUnsealed(caller, command, batch);
  call.underWay = sending;
  if (ack === 'none') {
    sending.then(
      ({ code }) => code !== 0 && deps.logger.debug('unacknowledged send refused', { code }),
      (cause: unknown) => deps.logger.debug('unacknowledged send failed', { cause }),
    );
    call.headers[DURABILITY_HEADER] = 'none';
    call.status = 202;
    return;
  }
  const confirmations = outcomeOf(await inTime(deps.clock, 'produce_timeout', sending)) ?? [];
  call.headers[DURABILITY_HEADER] = deps.broker.durabilityOf(command);
  return {
    confirmations: confirmations.map(({ streamId, topicId, partitionId, baseOffset }) => ({
      stream_id: streamId,
      topic_id: topicId,
      partition_id: partitionId,
      base_offset: baseOffset,
    })),
  };
}

async function getOffset(call: Call): Promise<object> {
  const reading = call.caller.read({
    kind: 'getConsumerOffset',
    consumer: consumerOf(call.query.text('consumer_id') ?? CONSUMER_DEFAULT),
    ...call.topic(),
    partitionId: call.query.u32('partition_id') ?? 0,
  });
  const offset = found(await inTime(call.deps.clock, 'partition_read_timeout', reading));
  return {
    partition_id: offset.partitionId,
    current_offset: offset.currentOffset,
    stored_offset: offset.storedOffset,
  };
}

async function storeOffset(call: Call): Promise<void> {
  const body = call.body();
  const given = body.value('consumer_id') ?? CONSUMER_DEFAULT;
  const consumerId = typeof given === 'number' ? String(body.u32('consumer_id')) : given;
  if (typeof consumerId !== 'string') return body.refuse('consumer_id', 'a number or a name');
  const partitionId = body.value('partition_id') === null ? 0 : body.u32('partition_id');
  const consumer = consumerOf(consumerId);
  const offset = body.u64('offset');
  const place = { consumer, ...call.topic(), partitionId, offset, ack: 'quorum' } as const;
  const writing = call.caller.write({ kind: 'storeConsumerOffset', ...place }, null);
  call.underWay = writing;
  outcomeOf(await inTime(call.deps.clock, 'offset_write_timeout', writing));
}

async function deleteOffset(call: Call): Promise<void> {
  const consumer = consumerOf(call.param('consumer_id'));
  const partitionId = call.query.u32('partition_id') ?? 0;
  const place = { consumer, ...call.topic(), partitionId, ack: 'quorum' } as const;
  const writing = call.caller.write({ kind: 'deleteConsumerOffset', ...place }, null);
  call.underWay = writing;
  outcomeOf(await inTime(call.deps.clock, 'offset_write_timeout', writing));
}

export const MESSAGE_ROUTES: readonly Route[] = [
  { method: 'GET', path: MESSAGES, run: poll },
  { method: 'POST', path: MESSAGES, status: 201, run: send },
  { method: 'GET', path: OFFSETS, run: getOffset },
  { method: 'PUT', path: OFFSETS, status: 204, run: storeOffset },
  { method: 'DELETE', path: `${OFFSETS}/:consumer_id`, status: 204, run: deleteOffset },
];
