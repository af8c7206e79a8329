import assert from 'node:assert/strict';
import { type NewMessage, readMessages } from '@iggy-ts/wire/batch';
import type { Confirmation } from '@iggy-ts/wire/commands/replies';
import type { Command, SendMessages } from '@iggy-ts/wire/commands/requests';
import type { Identifier } from '@iggy-ts/wire/commands/values';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Broker, Caller, Connection, Executed, Polled } from '../broker/port.ts';

export const PASSWORD = 'secret';
export const RAW_TOKEN = 'raw+token/of=root';
/** Users of the fake: the root, and one who may nothing. */
export const ROOT_ID = 0;
const POWERLESS_ID = 7;

const OPTIONS: never[] = [];
const STREAM = {
  ...{ id: 3, createdAtUs: 11, topicsCount: 1, sizeBytes: 2048, messagesCount: 5, name: 's' },
  options: OPTIONS,
};
const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));
const TOPIC = {
  ...{ id: 4, createdAtUs: 12, partitionsCount: 1, messageExpiryUs: Number.POSITIVE_INFINITY },
  ...{ compression: 'none', maxTopicSizeBytes: Number.POSITIVE_INFINITY, sizeBytes: 69_092 },
  ...{ messagesCount: 5, name: 't' },
  explicitOptions: [{ key: 'durability', kind: 2, value: text('persisted') }],
  derivedOptions: [
    { key: 'segment_size', kind: 12, value: new Uint8Array([0, 0, 0, 64, 0, 0, 0, 0]) },
    { key: 'preallocate_segments', kind: 3, value: new Uint8Array([0]) },
  ],
};
const PARTITION = {
  ...{ id: 0, createdAtUs: 13, segmentsCount: 1, currentOffset: 4, sizeBytes: 0, messagesCount: 5 },
};
const GROUP = { id: 2, partitionsCount: 1, membersCount: 1, name: 'g' };
const GROUP_DETAILS = { ...GROUP, members: [{ id: 1, partitions: [0] }] };
const USER = { id: 1, createdAtUs: 14, status: 'active', username: 'bob', options: OPTIONS };
const CLIENT = {
  ...{ clientId: 9, userId: null, transport: 'websocket', address: '127.0.0.1:1' },
  ...{ consumerGroupsCount: 1, consumerGroups: [{ streamId: 3, topicId: 4, groupId: 2 }] },
};
const NODE = {
  ...{ name: 'iggy-node', ip: '127.0.0.1', role: 'leader', status: 'healthy' },
  ...{ tcpPort: 1, quicPort: 0, httpPort: 3, websocketPort: 0 },
};
const SIZES = {
  ...{ memoryUsageBytes: 1024, totalMemoryBytes: 0, availableMemoryBytes: 1000, readBytes: 1 },
  ...{ writtenBytes: 2, messagesSizeBytes: 3, freeDiskBytes: 4, totalDiskBytes: 5 },
};
const CACHE = { streamId: 1, topicId: 2, partitionId: 3, hits: 4, misses: 5, hitRatio: 0.5 };

/** What the fake answers to each kind of command; absent is nothing. */
const REPLIES: Readonly<Record<string, unknown>> = {
  getStreams: [STREAM],
  getStream: { ...STREAM, topics: [TOPIC] },
  createStream: STREAM,
  getTopics: [TOPIC],
  getTopic: { ...TOPIC, partitions: [PARTITION] },
  createTopic: { ...TOPIC, partitions: [PARTITION] },
  getConsumerGroups: [GROUP],
  getConsumerGroup: GROUP_DETAILS,
  createConsumerGroup: GROUP_DETAILS,
  getConsumerOffset: { partitionId: 0, currentOffset: 4, storedOffset: 2 },
  getUsers: [USER],
  getUser: { ...USER, permissions: null },
  createUser: { ...USER, permissions: null },
  getPersonalAccessTokens: [{ name: 'ci', expiryAtUs: null }],
  createPersonalAccessToken: { token: 'raw' },
  getClients: [CLIENT],
  getClient: CLIENT,
  getClusterMetadata: { name: 'single-node', nodes: [NODE] },
  getStats: { ...SIZES, serverSemver: 9000, cacheMetrics: [CACHE], hostname: 'h' },
  describeOptions: [
    { key: 'durability', kind: 2, defaultValue: text('no'), description: 'What it promises.' },
  ],
  getSnapshot: text('PK'),
};

/** A broker for tests of this room: plain memory, one partition, and a list of what was asked. */
export class FakeBroker implements Broker {
  readonly metadataCommit = 1;
  ready = true;
  readonly asked: Command[] = [];
  readonly gone: Set<number> = new Set();
  /** When all users were created. */
  sinceUs = 14;
  /** Thrown, or awaited, in place of the next answer. */
  before: ((command: Command) => Promise<void> | void) | null = null;
  /** Code of every metadata operation and write. */
  code = 0;
  releasedCount = 0;
  messages: readonly NewMessage[] = [];
  #records: Uint8Array = new Uint8Array(0);

  connect(): Connection {
    throw new Error('HTTP opens no connection');
  }

  actAs(userId: number): Caller {
    const carryOut = async (command: Command): Promise<Executed<never>> => {
      const reply = await this.#answer(command, userId);
      return { code: this.code, reply: (reply ?? null) as never, op: 1, timestampUs: 1 };
    };
    return {
      read: async (command) => (await this.#answer(command, userId)) as never,
      poll: (command) => this.#poll(command, userId),
      execute: carryOut as Caller['execute'],
      write: carryOut as Caller['write'],
      send: () => Promise.reject(new Error('HTTP sends unsealed batches only')),
    };
  }

  async sendUnsealed(
    _caller: Caller,
    command: SendMessages,
    batch: Uint8Array,
  ): Promise<Executed<readonly Confirmation[]>> {
    await this.#answer(command, ROOT_ID);
    const messages = readMessages(batch, 0, batch.length);
    assert(typeof messages !== 'string');
    assert.equal(messages.length, command.messagesCount);
    this.#records = batch;
    this.messages = messages;
    const reply = [{ streamId: 3, topicId: 4, partitionId: 0, baseOffset: 0 }];
    return { code: 0, reply, op: 1, timestampUs: 1 };
  }

  recordsOf(): Uint8Array {
    return this.#records;
  }

  verifyPassword(username: string, password: string): Promise<number> {
    const ids: Record<string, number> = { iggy: ROOT_ID, powerless: POWERLESS_ID };
    const id = ids[username];
    if (id !== undefined && password === PASSWORD) return Promise.resolve(id);
    return Promise.reject(new OperatingError(STATUS.invalidCredentials));
  }

  verifyToken(token: string): number {
    if (token === 'broken') throw new TypeError('a bug');
    if (token === RAW_TOKEN) return ROOT_ID;
    throw new OperatingError(STATUS.invalidPersonalAccessToken);
  }

  userSinceUs(userId: number): number | null {
    return this.userMayAct(userId) ? this.sinceUs : null;
  }

  userMayAct(userId: number): boolean {
    return !this.gone.has(userId);
  }

  durabilityOf(): 'persisted' {
    return 'persisted';
  }

  async #poll(command: Command, userId: number): Promise<Polled> {
    await this.#answer(command, userId);
    return {
      ...{ partitionId: 0, currentOffset: 4, messagesCount: this.messages.length },
      ...{ recordsAt: 0, recordsBytes: this.#records.length },
      release: () => {
        this.releasedCount += 1;
      },
    };
  }

  async #answer(command: Command, userId: number): Promise<unknown> {
    this.asked.push(command);
    await this.before?.(command);
    if (userId === POWERLESS_ID) throw new OperatingError(STATUS.unauthorized);
    if (!isMissing(command)) return REPLIES[command.kind];
    if (command.kind.startsWith('get')) return null;
    throw new OperatingError(STATUS.streamIdNotFound);
  }
}

/** Whether a command names a thing called "missing". */
function isMissing(command: Command): boolean {
  return Object.values(command).some((value: unknown) => {
    if (typeof value !== 'object' || value === null) return value === 404;
    const { name, id } = value as Partial<{ name: string; id: Identifier }>;
    return (
      name === 'missing' || (typeof id === 'object' && id.kind === 'name' && id.name === 'missing')
    );
  });
}
