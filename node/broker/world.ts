import assert from 'node:assert/strict';
import { encodeBatch, type Message, readMessages } from '@iggy-ts/wire/batch';
import type { Confirmation } from '@iggy-ts/wire/commands/replies';
import type {
  ClientVersion,
  MetadataCommand,
  PartitionCommand,
  PollMessages,
  SendMessages,
} from '@iggy-ts/wire/commands/requests';
import type {
  Consumer,
  GlobalPermissions,
  Identifier,
  Partitioning,
  Permissions,
  PollingStrategy,
} from '@iggy-ts/wire/commands/values';
import { OperatingError } from '@iggy-ts/wire/status';
import { PROTOCOL_VERSION } from '@iggy-ts/wire/v09/login';
import { Prng } from '../base/prng.ts';
import type { NodeStore } from '../cluster/node-store.ts';
import { Rig, SETTINGS } from '../cluster/rig.ts';
import { SimDisk } from '../sim/disk.ts';
import { LocalBroker } from './broker.ts';
import type { BrokerOptions } from './dependencies.ts';
import {
  type Connection,
  type Executed,
  type LoginRequest,
  type Numbering,
  type Polled,
  type ReplyFor,
  SessionEnded,
} from './port.ts';

/** For tests: a broker over a real node store on a simulated disk, and clients that count. */

export const ROOT = { username: 'iggy', password: 'iggy' };
export const VERSION: ClientVersion = {
  protocolVersion: PROTOCOL_VERSION,
  sdkName: 'test',
  sdkVersion: '1',
};
const CAPACITY_BYTES = 256 * 1024 * 1024;
const ALL: Identifier = { kind: 'id', id: 0 };

const OPTIONS: BrokerOptions = {
  frameBytesMax: 8 * 1024 * 1024,
  sessionsMax: 64,
  heartbeat: { enabled: true, intervalUs: 30_000_000 },
  revocationTimeoutUs: 30_000_000,
  tokens: { perUserMax: 3, cleanerEnabled: true, cleanerIntervalUs: 60_000_000 },
  topicDefaults: SETTINGS,
  advertisedAddress: '',
};

/** A hash that costs nothing and can be held up. */
export class PlainHasher {
  hashCount = 0;
  verifyCount = 0;
  held: Promise<void> | null = null;

  async hash(password: string): Promise<string> {
    this.hashCount += 1;
    await this.held;
    return `hash of ${password}`;
  }

  async verify(password: string, hash: string): Promise<boolean> {
    this.verifyCount += 1;
    await this.held;
    return hash === `hash of ${password}`;
  }
}

export class World {
  readonly rig: Rig = new Rig(
    '/data',
    new SimDisk({ capacityBytes: CAPACITY_BYTES }, { prng: new Prng(1) }),
  );
  readonly hasher: PlainHasher = new PlainHasher();
  /** What the broker told its observer. */
  readonly refused: number[] = [];
  readonly appended: { readonly bytes: number; readonly messages: number }[] = [];
  readonly polled: { readonly bytes: number; readonly messages: number }[] = [];
  makeSnapshot: () => Promise<Uint8Array> = () => Promise.resolve(Uint8Array.of(1));
  readonly #options: BrokerOptions;
  #store: NodeStore | null = null;
  #broker: LocalBroker | null = null;
  #clientsCount = 0;
  #randomCount = 0;

  private constructor(options: Partial<BrokerOptions>) {
    this.#options = { ...OPTIONS, ...options };
  }

  /** A node with its root user, serving. */
  static async start(options: Partial<BrokerOptions> = {}): Promise<World> {
    const world = new World(options);
    await world.#start();
    return world;
  }

  get broker(): LocalBroker {
    return this.#broker!;
  }

  get store(): NodeStore {
    return this.#store!;
  }

  /** Ends the process without a word: sessions stay in the metadata. */
  async crash(): Promise<void> {
    await this.store.close();
    await this.#start();
  }

  /** Every test ends here: nothing leaks, nothing failed. */
  async stop(): Promise<void> {
    await this.broker.stop();
    this.store.metadata.state.checkInvariants();
    await this.store.close();
    assert.deepEqual(this.rig.fatal, []);
    assert.equal(this.rig.pool.takenBytes, 0);
  }

  /** A connection with a client id of its own, not logged in. */
  connect(): Client {
    this.#clientsCount += 1;
    return new Client(this, this.#clientsCount.toString(16).padStart(32, '0'));
  }

  /** A connection of root. */
  async login(): Promise<Client> {
    const client = this.connect();
    await client.login();
    return client;
  }

  /** A connection of a new user with these permissions. */
  async loginAs(root: Client, username: string, permissions: Permissions | null): Promise<Client> {
    const user = { username, password: 'secret', status: 'active', permissions } as const;
    await root.done({ kind: 'createUser', ...user, options: [] });
    const client = this.connect();
    await client.login({ username, password: 'secret' });
    return client;
  }

  async #start(): Promise<void> {
    const { pool, kernel, clock, logger } = this.rig;
    this.#store = await this.rig.open();
    const broker = new LocalBroker(this.#options, {
      ...{ groups: this.#store, kernel, pool, clock, logger, hasher: this.hasher },
      randomBytes: (count) => this.#draw(count),
      systemStats: { read: () => FIGURES },
      nodeAddress: () => ADDRESS,
      snapshots: { make: () => this.makeSnapshot() },
      observer: {
        appended: (batch) => this.appended.push(batch),
        polled: (records) => this.polled.push(records),
        refused: (code) => this.refused.push(code),
      },
    });
    this.#broker = broker;
    await broker.createRoot(ROOT);
    await broker.start();
  }

  #draw(count: number): Uint8Array {
    this.#randomCount += 1;
    return new Uint8Array(count).fill(this.#randomCount);
  }
}

const ADDRESS = { host: '0.0.0.0', tcpPort: 8090, quicPort: 0, httpPort: 3000, websocketPort: 0 };

const FIGURES = {
  processId: 1,
  cpuUsage: 0,
  totalCpuUsage: 0,
  memoryUsageBytes: 0,
  totalMemoryBytes: 0,
  availableMemoryBytes: 0,
  runTimeUs: 0,
  startTimeUs: 0,
  readBytes: 0,
  writtenBytes: 0,
  hostname: 'host',
  osName: 'os',
  osVersion: '1',
  kernelVersion: '1',
  threadsCount: 1,
  freeDiskBytes: 0,
  totalDiskBytes: 0,
};

type OffsetCommand = Exclude<PartitionCommand, SendMessages>;

export interface PollOptions {
  readonly topic?: Identifier;
  readonly consumer?: Consumer;
  readonly partitionId?: number | null;
  readonly strategy?: PollingStrategy;
  readonly count?: number;
  readonly autoCommit?: boolean;
}

/** What a poll gave, decoded; its slot is given back. */
export interface PolledTexts {
  readonly partitionId: number;
  readonly currentOffset: number;
  readonly texts: readonly string[];
  readonly offsets: readonly number[];
  readonly messages: readonly Message[];
}

/** One connection that numbers its requests. */
export class Client {
  readonly id: string;
  readonly connection: Connection;
  readonly evictions: number[] = [];
  readonly #world: World;
  #request = 0;

  constructor(world: World, id: string) {
    this.#world = world;
    this.id = id;
    this.connection = world.broker.connect({
      transport: 'tcp',
      address: '10.0.0.9:5000',
      localAddress: '10.0.0.1:8090',
    });
    this.connection.onEvicted = (reason) => this.evictions.push(reason);
    this.connection.touch();
  }

  get epoch(): number {
    return this.connection.session!.epoch;
  }

  login(
    user: { readonly username: string; readonly password: string } = ROOT,
    changed: Partial<LoginRequest> = {},
  ): ReturnType<Connection['login']> {
    const request = { kind: 'password', client: this.id, version: VERSION, ...user, ...changed };
    return this.connection.login(request as LoginRequest);
  }

  /** The next number; the stamp stands for the body. */
  number(stamp = 0): Numbering {
    this.#request += 1;
    return this.repeat(this.#request, stamp);
  }

  repeat(request: number, stamp = 0): Numbering {
    return { client: this.id, session: 0, request, checksumLow: stamp, checksumHigh: 0 };
  }

  execute<C extends MetadataCommand>(
    command: C,
    numbering: Numbering | null = this.number(),
  ): Promise<Executed<ReplyFor<C['kind']>>> {
    return this.connection.execute(command, numbering);
  }

  /** Executes and asserts success. */
  async done<C extends MetadataCommand>(command: C): Promise<ReplyFor<C['kind']>> {
    const { code, reply } = await this.execute(command);
    assert.equal(code, 0);
    return reply as ReplyFor<C['kind']>;
  }

  write(
    command: OffsetCommand,
    numbering: Numbering | null = this.number(),
  ): Promise<Executed<null>> {
    return this.connection.write(command, numbering);
  }

  /** Stores an offset of topic 0. */
  store(consumer: Consumer, partitionId: number | null, offset: number): Promise<Executed<null>> {
    const target = { consumer, streamId: ALL, topicId: ALL, partitionId };
    return this.write({ kind: 'storeConsumerOffset', ...target, offset, ack: 'quorum' });
  }

  /** Sends texts to topic 0 of stream 0, partition 0, unless told otherwise. */
  async send(
    texts: readonly string[],
    options: {
      readonly topic?: Identifier;
      readonly partitioning?: Partitioning;
      readonly numbering?: Numbering;
      readonly change?: (batch: Uint8Array) => Uint8Array;
      readonly changeCommand?: Partial<SendMessages>;
    } = {},
  ): Promise<Executed<readonly Confirmation[]>> {
    const { pool, kernel } = this.#world.rig;
    const plain = batchOf(texts);
    const batchAt = await pool.takeWhenFree(plain.length + 1024);
    try {
      pool.bytes.set(plain, batchAt);
      assert(kernel.seal(batchAt, plain.length));
      const sealed = pool.bytes.slice(batchAt, batchAt + plain.length);
      const batch = options.change?.(sealed) ?? sealed;
      pool.bytes.set(batch, batchAt);
      const command: SendMessages = {
        kind: 'sendMessages',
        streamId: ALL,
        topicId: options.topic ?? ALL,
        partitioning: options.partitioning ?? { kind: 'partition', partitionId: 0 },
        messagesCount: texts.length,
        ...options.changeCommand,
      };
      const stamp = new DataView(batch.buffer).getUint32(40, true);
      const numbering = options.numbering ?? this.number(stamp);
      return await this.connection.send(command, batchAt, batch.length, numbering);
    } finally {
      pool.give(batchAt);
    }
  }

  pollCommand(options: PollOptions = {}): PollMessages {
    return {
      kind: 'pollMessages',
      consumer: options.consumer ?? SINGLE,
      streamId: ALL,
      topicId: options.topic ?? ALL,
      partitionId: options.partitionId === undefined ? 0 : options.partitionId,
      strategy: options.strategy ?? { kind: 'first' },
      count: options.count ?? 100,
      autoCommit: options.autoCommit ?? false,
    };
  }

  async poll(options: PollOptions = {}): Promise<PolledTexts> {
    return this.decode(await this.connection.poll(this.pollCommand(options)));
  }

  /** Reads what was polled and gives its slot back. */
  decode(polled: Polled): PolledTexts {
    const records = this.#world.broker.recordsOf(polled);
    const messages = readMessages(records, 0, records.length);
    assert(Array.isArray(messages));
    assert.equal(messages.length, polled.messagesCount);
    const { partitionId, currentOffset } = polled;
    polled.release();
    const texts = messages.map(({ payload }) => new TextDecoder().decode(payload));
    const offsets = messages.map(({ offset }) => offset);
    return { partitionId, currentOffset, texts, offsets, messages };
  }
}

/** A single consumer, number 1. */
export const SINGLE: Consumer = { kind: 'consumer', id: { kind: 'id', id: 1 } };
/** Group 0 of its topic. */
export const GROUP: Consumer = { kind: 'group', id: ALL };
export const NEXT: PollingStrategy = { kind: 'next' };

/** Makes stream 0 `s` with topic 0 `t`. */
export async function makeTopic(root: Client, partitionsCount: number): Promise<void> {
  await root.done({ kind: 'createStream', name: 's', options: [] });
  const topic = { streamId: ALL, partitionsCount, name: 't', options: [] };
  await root.done({ kind: 'createTopic', ...topic });
}

/** Global permissions with these flags. */
export function granting(...flags: readonly (keyof GlobalPermissions)[]): Permissions {
  const has = (flag: keyof GlobalPermissions): boolean => flags.includes(flag);
  const global = {
    manageServers: has('manageServers'),
    readServers: has('readServers'),
    manageUsers: has('manageUsers'),
    readUsers: has('readUsers'),
    manageStreams: has('manageStreams'),
    readStreams: has('readStreams'),
    manageTopics: has('manageTopics'),
    readTopics: has('readTopics'),
    pollMessages: has('pollMessages'),
    sendMessages: has('sendMessages'),
  };
  return { global, streams: null };
}

/** Texts as a batch without checksums. */
export function batchOf(texts: readonly string[]): Uint8Array {
  const batch = encodeBatch(
    texts.map((text, index) => ({
      id: (index + 1).toString(16).padStart(32, '0'),
      originTimestampUs: 1,
      payload: new TextEncoder().encode(text),
      userHeaders: new Uint8Array(0),
    })),
  );
  assert(batch instanceof Uint8Array);
  return batch;
}

/** Code of a refusal, before or in the execution; 0 for success. */
export async function codeOf(request: Promise<unknown>): Promise<number> {
  try {
    const answer = await request;
    return isExecuted(answer) ? answer.code : 0;
  } catch (error) {
    if (error instanceof OperatingError) return error.code;
    throw error;
  }
}

function isExecuted(answer: unknown): answer is Executed {
  return typeof answer === 'object' && answer !== null && 'code' in answer;
}

/** Reason for which a session ended; 0 when it did not. */
export async function evictionOf(request: Promise<unknown>): Promise<number> {
  try {
    await request;
    return 0;
  } catch (error) {
    if (error instanceof SessionEnded) return error.reason;
    throw error;
  }
}

/** A number as an identifier. */
export function id(number: number): Identifier {
  return { kind: 'id', id: number };
}

/** A text as an identifier. */
export function name(text: string): Identifier {
  return { kind: 'name', name: text };
}
