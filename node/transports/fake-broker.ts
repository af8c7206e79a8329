import type { Confirmation, LoginReply } from '@iggy-ts/wire/commands/replies';
import type {
  Command,
  MetadataCommand,
  PartitionCommand,
  PollMessages,
  PollMessagesOnPrimary,
  ReadCommand,
  SendMessages,
} from '@iggy-ts/wire/commands/requests';
import type { Pool } from '../base/pool.ts';
import {
  type Broker,
  type Caller,
  type Connection,
  type Executed,
  type LoginRequest,
  type Numbering,
  POLL_HEADROOM,
  type Polled,
  type ReplyFor,
} from '../broker/port.ts';

type Poll = PollMessages | PollMessagesOnPrimary;

/** What a test lets the fake do in place of the usual success. */
export interface Script {
  /** Awaited before every command; may throw what a broker throws. */
  before?: (command: Command | LoginRequest, connection: FakeConnection) => Promise<void> | void;
  /** Reply of a read; null without. */
  read?: (command: ReadCommand) => unknown;
  /** Outcome of a metadata operation or offset write. */
  execute?: (command: Command) => Executed<unknown>;
  /** Bytes of the records of a poll. */
  pollBytes?: number;
}

/**
 * A broker for tests of transports: it obeys every rule of the port and keeps nothing but a list
 * of what it was asked.
 */
export class FakeBroker implements Broker {
  readonly pool: Pool;
  readonly script: Script = {};
  readonly asked: { command: Command | LoginRequest; numbering: Numbering | null }[] = [];
  readonly connections: FakeConnection[] = [];
  /** Copies of batches that were sent. */
  readonly batches: Buffer[] = [];
  metadataCommit = 7;
  readonly ready = true;
  /** Polled records that were not given back. */
  borrowedCount = 0;
  keepsBatches = true;

  constructor(pool: Pool) {
    this.pool = pool;
  }

  connect(): FakeConnection {
    const connection = new FakeConnection(this, this.connections.length + 1);
    this.connections.push(connection);
    return connection;
  }

  async poll(): Promise<Polled> {
    const recordsBytes = this.script.pollBytes ?? 0;
    const head = { partitionId: 3, currentOffset: 41, messagesCount: recordsBytes > 0 ? 1 : 0 };
    if (recordsBytes === 0) return { ...head, recordsAt: 0, recordsBytes, release: () => {} };
    const slotAt = await this.pool.takeWhenFree(POLL_HEADROOM + recordsBytes);
    const recordsAt = slotAt + POLL_HEADROOM;
    this.pool.bytes.fill(0xab, recordsAt, recordsAt + recordsBytes);
    this.borrowedCount += 1;
    let isReleased = false;
    const release = (): void => {
      if (isReleased) throw new Error('records were given back twice');
      isReleased = true;
      this.borrowedCount -= 1;
      this.pool.bytes.fill(0, recordsAt, recordsAt + recordsBytes);
      this.pool.give(slotAt);
    };
    return { ...head, recordsAt, recordsBytes, release };
  }

  actAs(): Caller {
    throw new Error('transports do not act for users of HTTP');
  }

  sendUnsealed(): never {
    throw new Error('transports send sealed batches only');
  }

  recordsOf({ recordsAt, recordsBytes }: Polled): Uint8Array {
    return this.pool.bytes.subarray(recordsAt, recordsAt + recordsBytes);
  }

  verifyPassword(): Promise<number> {
    return Promise.reject(new Error('transports verify nothing'));
  }

  verifyToken(): number {
    throw new Error('transports verify nothing');
  }

  userSinceUs(): number | null {
    return this.userMayAct() ? 1 : null;
  }

  userMayAct(): boolean {
    return true;
  }

  durabilityOf(): 'replicated' {
    return 'replicated';
  }
}

/** One connection of the fake. */
export class FakeConnection implements Connection {
  readonly id: number;
  readonly #broker: FakeBroker;
  session: { userId: number; client: string; epoch: number } | null = null;
  onEvicted: ((reason: number) => void) | null = null;
  touchedCount = 0;
  isClosed = false;

  constructor(broker: FakeBroker, id: number) {
    this.#broker = broker;
    this.id = id;
  }

  async login(request: LoginRequest): Promise<LoginReply & { readonly commit: number }> {
    await this.#ask(request, null);
    this.#broker.metadataCommit += 1;
    const epoch = this.#broker.metadataCommit;
    this.session = { userId: 1, client: request.client, epoch };
    const version = { serverProtocolVersion: 11_264, serverVersion: '0.9.0' };
    return { userId: 1, session: epoch, ...version, commit: epoch };
  }

  logout(): Promise<{ readonly commit: number }> {
    this.session = null;
    return Promise.resolve({ commit: this.#broker.metadataCommit });
  }

  async read<C extends Exclude<ReadCommand, Poll>>(command: C): Promise<ReplyFor<C['kind']>> {
    await this.#ask(command, null);
    return (this.#broker.script.read?.(command) ?? null) as ReplyFor<C['kind']>;
  }

  async poll(command: Poll): Promise<Polled> {
    await this.#ask(command, null);
    return this.#broker.poll();
  }

  async execute<C extends MetadataCommand>(
    command: C,
    numbering: Numbering | null,
  ): Promise<Executed<ReplyFor<C['kind']>>> {
    await this.#ask(command, numbering);
    return this.#execute(command) as Executed<ReplyFor<C['kind']>>;
  }

  async write(
    command: Exclude<PartitionCommand, SendMessages>,
    numbering: Numbering | null,
  ): Promise<Executed<null>> {
    await this.#ask(command, numbering);
    return this.#execute(command) as Executed<null>;
  }

  async send(
    command: SendMessages,
    batchAt: number,
    batchBytes: number,
    numbering: Numbering | null,
  ): Promise<Executed<readonly Confirmation[]>> {
    await this.#ask(command, numbering);
    const { pool, batches, keepsBatches, script } = this.#broker;
    if (keepsBatches) batches.push(Buffer.from(pool.bytes.subarray(batchAt, batchAt + batchBytes)));
    if (script.execute !== undefined) {
      return script.execute(command) as Executed<readonly Confirmation[]>;
    }
    const place = { streamId: 1, topicId: 2, partitionId: 3, baseOffset: batches.length };
    return { code: 0, reply: [place], op: 12, timestampUs: 99 };
  }

  touch(): void {
    this.touchedCount += 1;
  }

  close(): void {
    this.isClosed = true;
    this.session = null;
  }

  async #ask(command: Command | LoginRequest, numbering: Numbering | null): Promise<void> {
    if (this.isClosed) throw new Error('a closed connection asks nothing');
    const { script, asked, keepsBatches } = this.#broker;
    if (keepsBatches) asked.push({ command, numbering });
    await script.before?.(command, this);
  }

  #execute(command: Command): Executed<unknown> {
    this.#broker.metadataCommit += 1;
    const op = this.#broker.metadataCommit;
    return this.#broker.script.execute?.(command) ?? { code: 0, reply: null, op, timestampUs: 99 };
  }
}
