import assert from 'node:assert/strict';
import type {
  Command,
  MetadataCommand,
  PartitionCommand,
  PollMessages,
  PollMessagesOnPrimary,
  ReadCommand,
  SendMessages,
} from '@iggy-ts/wire/commands/requests';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { EVICTION, formatU128, HEADER_BYTES, isZeroU128, type U128 } from '@iggy-ts/wire/v09/frame';
import {
  acceptsVersion,
  decodeClientVersion,
  decodePasswordForm,
  decodeTokenForm,
  encodeLoginReply,
  PROTOCOL_VERSION,
  PROTOCOL_VERSION_MIN,
} from '@iggy-ts/wire/v09/login';
import { hasResultSection, isServerOperation, OPERATION } from '@iggy-ts/wire/v09/operations';
import { encodeRejection, encodeReply, replyOperation } from '@iggy-ts/wire/v09/replies';
import {
  codeOf,
  decodeCommand,
  decodeSendRouting,
  isLegacyLogin,
  PING_CODE,
} from '@iggy-ts/wire/v09/requests';
import type { Pool } from '../base/pool.ts';
import {
  type Broker,
  type Executed,
  type LoginRequest,
  type Numbering,
  POLL_HEADROOM,
  type ReplyFor,
  type Connection as Session,
  SessionEnded,
} from '../broker/port.ts';
import {
  type Answer,
  emptyPollAnswer,
  evictionAnswer,
  POLL_ANSWER_HEAD_BYTES,
  type ReplyFields,
  replyAnswer,
  writePollAnswer,
} from './answer.ts';
import { NO_SLOT, type Request } from './request.ts';

// What a frame of generation 0.9 means: which use case of the broker it asks for, and which way of
// saying yes or no its outcome takes (status, result section, eviction, payload).
//
//   header rules ─► request checksum ─► login state ─► body ─► the broker
//
// The first that fails is the answer. Whatever is well framed gets exactly one answer.

assert(POLL_ANSWER_HEAD_BYTES <= POLL_HEADROOM);

/** Where a batch header has the checksum of the client, and where that ends. */
const BATCH_CHECKSUM_AT = 40;
const BATCH_CHECKSUM_END = 48;

const FLUSH_CODE = codeOf('flushUnsavedBuffer');
const NO_BODY = new Uint8Array(0);

/** Hashes a body: XXH3-64, seed 0. The halves are read before the next call. */
export interface BodyHasher {
  hash64Of(bytes: Uint8Array): { readonly low: number; readonly high: number };
}

type Operation = MetadataCommand | PartitionCommand;

/** How a refused login is told, for the codes that have an eviction of their own. */
const LOGIN_EVICTION: ReadonlyMap<number, number> = new Map([
  [STATUS.invalidCredentials, EVICTION.invalidCredentials],
  [STATUS.invalidPersonalAccessToken, EVICTION.invalidToken],
  [STATUS.personalAccessTokenExpired, EVICTION.invalidToken],
  [STATUS.userInactive, EVICTION.userInactive],
]);

export interface DispatchOptions {
  readonly session: Session;
  readonly broker: Pick<Broker, 'metadataCommit'>;
  readonly pool: Pool;
  readonly kernel: BodyHasher;
  /** No reply is larger. */
  readonly frameBytesMax: number;
}

/** Answers the requests of one connection. */
export class Dispatch {
  readonly #options: DispatchOptions;
  readonly #session: Session;
  /** The client id of the last login. */
  #client: U128 | null = null;

  constructor(options: DispatchOptions) {
    this.#options = options;
    this.#session = options.session;
  }

  /**
   * The answer to a request. Its body and slot are borrowed until the promise settles.
   *
   * errors   only bugs; what the broker refuses is an answer
   */
  async answer(request: Request): Promise<Answer> {
    const refusal = this.#check(request);
    if (refusal !== null) return refusal;
    try {
      return await this.#carryOut(request);
    } catch (error) {
      if (error instanceof SessionEnded) return evictionOf(request, error.reason);
      if (error instanceof OperatingError) return this.#deny(request, error.code);
      throw error;
    }
  }

  /** The frame that tells the client that the broker ended its session. Null: it has none. */
  eviction(reason: number): Answer | null {
    return this.#client === null ? null : evictionAnswer({ client: this.#client, reason });
  }

  /** Header rules and request checksum. Null: none is broken. */
  #check(request: Request): Answer | null {
    const { header, fault } = request;
    if (isServerOperation(header.operation) && !isZeroU128(header.client)) {
      return evictionOf(request, EVICTION.invalidRequestOperation);
    }
    if (fault !== null && !this.#isBareLogout(request)) {
      return this.#deny(request, STATUS.invalidCommand);
    }
    // A body that was dropped is refused anyway, for a reason that says more.
    if (request.bodyStatus === 0 && !this.#isStampRight(request)) {
      return this.#deny(request, STATUS.invalidFormat);
    }
    return null;
  }

  /** Clients log out before every login, whether or not there is a session to name. */
  #isBareLogout({ header, fault }: Request): boolean {
    const isBare = fault === 'sessionMissing' || fault === 'requestMissing';
    return isBare && header.operation === OPERATION.logout && this.#session.session === null;
  }

  #isStampRight({ header, body }: Request): boolean {
    const stamp = header.requestChecksum;
    if (isZeroU128(stamp)) return true;
    const { low, high } = this.#options.kernel.hash64Of(body ?? NO_BODY);
    const isSame = stamp[0] === low >>> 0 && stamp[1] === high >>> 0;
    return isSame && stamp[2] === 0 && stamp[3] === 0;
  }

  #carryOut(request: Request): Promise<Answer> {
    switch (request.header.operation) {
      case OPERATION.register:
        return this.#login(request);
      case OPERATION.logout:
        return this.#logout(request);
      case OPERATION.nonReplicated:
        return this.#read(request);
      case OPERATION.sendMessages:
        return this.#send(request);
      default:
        return this.#operate(request);
    }
  }

  // Sessions

  async #login(request: Request): Promise<Answer> {
    const body = request.body ?? NO_BODY;
    const head = decodeClientVersion(body, 0, body.length);
    if (head === null) return evictionOf(request, EVICTION.malformedLogin);
    const { version, formAt } = head;
    if (!acceptsVersion(version.protocolVersion)) return versionEviction(request);
    const client = formatU128(request.header.client);
    const byPassword = decodePasswordForm(body, formAt, body.length);
    let rejection: Answer | null = null;
    if (byPassword !== null) {
      const { username, password } = byPassword;
      const login = { kind: 'password', client, version, username, password } as const;
      const { answer, reason } = await this.#tryLogin(request, login);
      if (reason !== EVICTION.invalidCredentials) return answer;
      rejection = answer;
    }
    // The two forms can look alike, so what is no password that we know may still be a token.
    const byToken = decodeTokenForm(body, formAt, body.length);
    if (byToken !== null) {
      const login = { kind: 'token', client, version, token: byToken.token } as const;
      return (await this.#tryLogin(request, login)).answer;
    }
    return rejection ?? evictionOf(request, EVICTION.malformedLogin);
  }

  /** shape    reason: of the eviction that is the answer, 0 when it is none */
  async #tryLogin(
    request: Request,
    login: LoginRequest,
  ): Promise<{ readonly answer: Answer; readonly reason: number }> {
    try {
      const reply = await this.#session.login(login);
      this.#client = request.header.client.slice();
      const fields = { op: reply.session, commit: Math.max(reply.commit, reply.session) };
      return { answer: replyAnswer(request, fields, encodeLoginReply(reply)), reason: 0 };
    } catch (error) {
      if (error instanceof SessionEnded) {
        return { answer: evictionOf(request, error.reason), reason: error.reason };
      }
      if (!(error instanceof OperatingError)) throw error;
      const reason = LOGIN_EVICTION.get(error.code) ?? 0;
      if (reason > 0) return { answer: evictionOf(request, reason), reason };
      // Not now (57, 58): clients look for these codes in the result section of a login.
      const body = encodeRejection(error.code);
      return { answer: replyAnswer(request, this.#denyFields(request), body), reason };
    }
  }

  async #logout(request: Request): Promise<Answer> {
    const { session } = this.#session;
    if (session === null) return replyAnswer(request, { op: 0, commit: 0 });
    const { commit } = await this.#session.logout();
    return replyAnswer(request, { op: session.epoch, commit });
  }

  // Reads

  async #read(request: Request): Promise<Answer> {
    const { code, operation } = request.header;
    if (isLegacyLogin(code)) return evictionOf(request, EVICTION.malformedLogin);
    if (code === PING_CODE) return replyAnswer(request, this.#readFields());
    if (this.#session.session === null) return this.#deny(request, STATUS.unauthenticated);
    if (code === FLUSH_CODE) return this.#deny(request, STATUS.featureUnavailable);
    if (request.bodyStatus > 0) return this.#deny(request, request.bodyStatus);
    const body = request.body ?? NO_BODY;
    const command = decodeCommand(operation, code, body, 0, body.length);
    if (typeof command === 'number') return this.#deny(request, command);
    if (isPoll(command)) return this.#poll(request, command);
    const read = command as Exclude<ReadCommand, PollMessages | PollMessagesOnPrimary>;
    const reply = await this.#session.read(read);
    const payload = encodeReply(read.kind, reply);
    // A header and the payload; only the archive of a snapshot has no other bound.
    if (payload.length + HEADER_BYTES > this.#options.frameBytesMax) {
      return this.#deny(request, STATUS.snapshotFileCompletionFailed);
    }
    return replyAnswer(request, this.#readFields(), payload);
  }

  async #poll(request: Request, command: PollMessages | PollMessagesOnPrimary): Promise<Answer> {
    const polled = await this.#session.poll(command);
    const { recordsAt, recordsBytes } = polled;
    const fields = this.#readFields();
    if (recordsBytes === 0) {
      polled.release();
      return emptyPollAnswer(request, fields, polled);
    }
    const { bytes, view } = this.#options.pool;
    const at = recordsAt - POLL_ANSWER_HEAD_BYTES;
    writePollAnswer({ view, bytes, at, request, fields, head: polled, recordsBytes });
    return {
      view: bytes.subarray(at, recordsAt + recordsBytes),
      release: () => polled.release(),
    };
  }

  // Operations

  async #send(request: Request): Promise<Answer> {
    if (this.#session.session === null) return evictionOf(request, EVICTION.noSession);
    if (request.bodyStatus > 0) return this.#deny(request, request.bodyStatus);
    if (request.slotAt === NO_SLOT) return this.#deny(request, STATUS.resourceNotFound);
    const { bytes, view } = this.#options.pool;
    const end = request.slotAt + request.bodyBytes;
    const routed = decodeSendRouting(bytes, request.slotAt, end);
    if (typeof routed === 'number') return this.#deny(request, routed);
    const { command, batchAt } = routed;
    // The broker tells a batch that is cut; here only nothing behind the body may be read.
    const isCut = batchAt + BATCH_CHECKSUM_END > end;
    const executed = await this.#session.send(command, batchAt, end - batchAt, {
      ...this.#place(request),
      checksumLow: isCut ? 0 : view.getUint32(batchAt + BATCH_CHECKSUM_AT, true),
      checksumHigh: isCut ? 0 : view.getUint32(batchAt + BATCH_CHECKSUM_AT + 4, true),
    });
    const reply = { confirmations: executed.reply ?? [] };
    return this.#tell(request, command, { ...executed, reply });
  }

  async #operate(request: Request): Promise<Answer> {
    if (this.#session.session === null) return evictionOf(request, EVICTION.noSession);
    if (request.bodyStatus > 0) return this.#deny(request, request.bodyStatus);
    const body = request.body ?? NO_BODY;
    const { requestChecksum } = request.header;
    const command = decodeCommand(request.header.operation, 0, body, 0, body.length);
    if (typeof command === 'number') return this.#deny(request, command);
    const numbering = {
      ...this.#place(request),
      checksumLow: requestChecksum[0]!,
      checksumHigh: requestChecksum[1]!,
    };
    if (isOffsetWrite(command)) {
      return this.#tell(request, command, await this.#session.write(command, numbering));
    }
    const operation = command as MetadataCommand;
    return this.#tell(request, operation, await this.#session.execute(operation, numbering));
  }

  /** Whose request it is: the connection decides, not what the header claims. */
  #place(request: Request): Pick<Numbering, 'client' | 'session' | 'request'> {
    const { client, epoch } = this.#session.session!;
    return { client, session: epoch, request: request.header.request };
  }

  /** The answer to an operation that was carried out, or that said no while it was. */
  #tell(request: Request, command: Operation, executed: Executed): Answer {
    const { code, op, timestampUs, reply } = executed;
    const operation = replyOperation(command.kind);
    const fields = { op, commit: op, timestampUs, operation };
    if (code === 0) {
      const body = encodeReply(command.kind, reply as ReplyFor<typeof command.kind>);
      return replyAnswer(request, fields, body);
    }
    if (hasResultSection(operation)) return replyAnswer(request, fields, encodeRejection(code));
    return replyAnswer(request, { ...fields, status: code });
  }

  // Fields that are no echo

  /** A failure by status; before login nothing is said about the state of the server. */
  #deny(request: Request, status: number): Answer {
    return replyAnswer(request, { ...this.#denyFields(request), status });
  }

  #denyFields(request: Request): ReplyFields {
    const { session } = this.#session;
    if (session === null) return { op: 0, commit: 0 };
    if (request.header.operation === OPERATION.nonReplicated) return this.#readFields();
    return { op: 0, commit: this.#options.broker.metadataCommit };
  }

  #readFields(): ReplyFields {
    const { session } = this.#session;
    if (session === null) return { op: 0, commit: 0 };
    return { op: session.epoch, commit: this.#options.broker.metadataCommit };
  }
}

function evictionOf(request: Request, reason: number): Answer {
  return evictionAnswer({ client: request.header.client, reason });
}

function versionEviction(request: Request): Answer {
  return evictionAnswer({
    client: request.header.client,
    reason: EVICTION.incompatibleProtocol,
    protocolMax: PROTOCOL_VERSION,
    protocolMin: PROTOCOL_VERSION_MIN,
  });
}

function isPoll(command: Command): command is PollMessages | PollMessagesOnPrimary {
  return command.kind === 'pollMessages' || command.kind === 'pollMessagesOnPrimary';
}

function isOffsetWrite(command: Command): command is Exclude<PartitionCommand, SendMessages> {
  return command.kind === 'storeConsumerOffset' || command.kind === 'deleteConsumerOffset';
}
