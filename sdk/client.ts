import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { LoginReply, PolledHeader, SendMessagesReply } from '@iggy-ts/wire/commands/replies';
import type { Command, PollMessages, SendMessages } from '@iggy-ts/wire/commands/requests';
import { STATUS } from '@iggy-ts/wire/status';
import {
  COMMAND_BYTE,
  decodeEviction,
  decodeReplyHeader,
  encodeRequestHeader,
  frameBytes,
  frameCommand,
  HEADER_BYTES,
  ReplyHeader,
  RequestHeader,
} from '@iggy-ts/wire/v09/frame';
import { decodeLoginReply, encodeLogin, PROTOCOL_VERSION } from '@iggy-ts/wire/v09/login';
import { hasResultSection, OPERATION } from '@iggy-ts/wire/v09/operations';
import {
  type BodyKind,
  decodePolledHeader,
  decodeReply,
  decodeResultSection,
  POLLED_HEADER_BYTES,
  type ReplyFor,
} from '@iggy-ts/wire/v09/replies';
import { encodeCommand } from '@iggy-ts/wire/v09/requests';
import { ConnectionLost, RequestFailed, SessionEvicted } from './failures.ts';

// One connection, one request at a time:
//
//   request ─► header 256 | body ─► socket ... socket ─► chunks ─► one whole frame ─► reply
//
// Requests that are made before the answer to the last one wait in the order they were made.

const VERSION = { protocolVersion: PROTOCOL_VERSION, sdkName: 'iggy-ts', sdkVersion: '0.1.0' };

/** How often and how long a request is repeated that the server could not carry out yet. */
const TRANSIENT_EVERY_MS = 50;
const TRANSIENT_MS_MAX = 30_000;

/** A whole answer, undecoded. */
export interface RawReply {
  readonly header: ReplyHeader;
  /** Owned. */
  readonly body: Uint8Array;
}

export interface Polled extends PolledHeader {
  /** Batch records back to back, owned. */
  readonly records: Uint8Array;
}

interface Waiter {
  readonly resolve: (frame: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

/** One connection to a server of the 0.9 generation. */
export class IggyClient {
  readonly #socket: Socket;
  readonly #header: RequestHeader = new RequestHeader();
  readonly #waiters: Waiter[] = [];
  #chunks: Uint8Array[] = [];
  #received = 0;
  #wanted = HEADER_BYTES;
  #lost: ConnectionLost | null = null;
  #session = 0;
  #requestNext = 1;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#drawClientId();
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.#lose(error));
    socket.on('close', () => this.#lose());
  }

  /** errors: those of the system when nobody listens there. */
  static async connect(address: {
    readonly host: string;
    readonly port: number;
  }): Promise<IggyClient> {
    const socket = connect(address);
    await once(socket, 'connect');
    return new IggyClient(socket);
  }

  /** Id of this client, 32 hex characters. */
  get clientId(): string {
    const { client } = this.#header;
    return Buffer.from(client.buffer, client.byteOffset, 16).toString('hex');
  }

  get isOpen(): boolean {
    return this.#lost === null;
  }

  /** errors: SessionEvicted when the server does not want us. */
  async login(username: string, password: string): Promise<LoginReply> {
    this.#drawClientId();
    this.#session = 0;
    this.#requestNext = 1;
    const body = encodeLogin(VERSION, { username, password, context: null });
    const { header, body: reply } = await this.requestRaw(OPERATION.register, 0, body);
    if (header.status !== 0) throw new RequestFailed(header.status);
    const section = decodeResultSection(reply, 0, reply.length);
    if (typeof section === 'string') throw new ConnectionLost(section);
    if (section.code !== 0) throw new RequestFailed(section.code);
    const login = decodeLoginReply(reply, section.payloadAt, reply.length);
    if (login === null) throw new ConnectionLost('login reply not readable');
    this.#session = login.session;
    return login;
  }

  /** Any command but sends, polls and logins. errors: RequestFailed, SessionEvicted, ConnectionLost. */
  async request<C extends Exclude<Command, SendMessages | PollMessages>>(
    command: C,
  ): Promise<ReplyFor<C['kind'] & BodyKind>> {
    const { operation, code, body } = encodeCommand(command);
    const reply = await this.requestRaw(operation, code, body);
    return replyOf(command.kind as C['kind'] & BodyKind, reply);
  }

  /** Sends a sealed batch (batch.ts). errors: as request. */
  async send(command: SendMessages, batch: Uint8Array): Promise<SendMessagesReply> {
    const { operation, code, body } = encodeCommand(command);
    const reply = await this.requestRaw(operation, code, body, batch);
    return replyOf('sendMessages', reply);
  }

  /** errors: as request. */
  async poll(command: PollMessages): Promise<Polled> {
    const { operation, code, body } = encodeCommand(command);
    const reply = await this.requestRaw(operation, code, body);
    if (reply.header.status !== 0) throw new RequestFailed(reply.header.status);
    const head = decodePolledHeader(reply.body, 0, reply.body.length);
    if (typeof head === 'string') throw new ConnectionLost(head);
    return { ...head, records: reply.body.subarray(POLLED_HEADER_BYTES) };
  }

  /** One request as bytes, and its answer as bytes. errors: SessionEvicted, ConnectionLost. */
  requestRaw(
    operation: number,
    code: number,
    body: Uint8Array,
    more: Uint8Array | null = null,
  ): Promise<RawReply> {
    const answer = this.#turn.then(() => this.#exchange(operation, code, body, more));
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  close(): void {
    this.#socket.destroy();
    this.#lose();
  }

  async #exchange(
    operation: number,
    code: number,
    body: Uint8Array,
    more: Uint8Array | null,
  ): Promise<RawReply> {
    const head = new Uint8Array(HEADER_BYTES);
    const header = this.#header;
    const isRegister = operation === OPERATION.register;
    header.size = HEADER_BYTES + body.length + (more?.length ?? 0);
    header.operation = operation;
    header.code = code;
    header.session = isRegister ? 0 : this.#session;
    header.request = isRegister ? 0 : this.#requestNext;
    if (!isRegister && operation !== OPERATION.nonReplicated) this.#requestNext += 1;
    encodeRequestHeader(new DataView(head.buffer), 0, header);
    const pieces = [head, body, ...(more === null ? [] : [more])];
    const endMs = performance.now() + TRANSIENT_MS_MAX;
    for (;;) {
      const reply = await this.#writeAndRead(pieces);
      if (!isTransient(reply) || performance.now() > endMs) return reply;
      // The same frame again, number and all: the server knows what it has carried out.
      await wait(TRANSIENT_EVERY_MS);
    }
  }

  async #writeAndRead(pieces: readonly Uint8Array[]): Promise<RawReply> {
    const frame = await this.#write(pieces);
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    if (frameCommand(view, 0) === COMMAND_BYTE.eviction) {
      const eviction = decodeEviction(view, 0, frame.length);
      throw typeof eviction === 'string'
        ? new ConnectionLost(eviction)
        : new SessionEvicted(eviction.reason);
    }
    const reply = new ReplyHeader();
    const fault = decodeReplyHeader(view, 0, frame.length, reply);
    if (fault !== null) throw new ConnectionLost(fault);
    return { header: reply, body: frame.subarray(HEADER_BYTES) };
  }

  #write(pieces: readonly Uint8Array[]): Promise<Uint8Array> {
    if (this.#lost !== null) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#socket.cork();
      for (const piece of pieces) this.#socket.write(piece);
      this.#socket.uncork();
    });
  }

  #receive(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#received += chunk.length;
    while (this.#received >= this.#wanted) {
      // Joined once when the size is known and once when all is there, not for every chunk.
      const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
      this.#chunks = [bytes];
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const size = frameBytes(view, 0);
      if (size < HEADER_BYTES) {
        this.close();
        return;
      }
      this.#wanted = size;
      if (bytes.length < size) return;
      const frame = bytes.slice(0, size);
      this.#chunks = bytes.length === size ? [] : [bytes.subarray(size)];
      this.#received = bytes.length - size;
      this.#wanted = HEADER_BYTES;
      this.#waiters.shift()?.resolve(frame);
    }
  }

  #lose(cause?: unknown): void {
    this.#lost ??= new ConnectionLost(cause);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#lost);
  }

  #drawClientId(): void {
    const bytes = randomBytes(16);
    this.#header.client.set(
      new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 16)),
    );
  }
}

/** Codes 57 and 58 say: the same request again. */
function isTransient({ header, body }: RawReply): boolean {
  let code = header.status;
  if (code === 0 && hasResultSection(header.operation)) {
    const section = decodeResultSection(body, 0, body.length);
    if (typeof section !== 'string') code = section.code;
  }
  return code === STATUS.transientNotCommitted || code === STATUS.transientNotAccepted;
}

/** The decoded answer, or the failure that it says. */
function replyOf<K extends BodyKind>(kind: K, { header, body }: RawReply): ReplyFor<K> {
  if (header.status !== 0) throw new RequestFailed(header.status);
  const decoded = decodeReply(kind, body, header.operation);
  if (decoded.code === null) throw new ConnectionLost(decoded.fault);
  if (decoded.code !== 0) throw new RequestFailed(decoded.code);
  return decoded.reply as ReplyFor<K>;
}
