import type { Confirmation, LoginReply, ReplyOf } from '@iggy-ts/wire/commands/replies';
import type {
  ClientVersion,
  CommandKind,
  MetadataCommand,
  PartitionCommand,
  PollMessages,
  PollMessagesOnPrimary,
  ReadCommand,
  SendMessages,
} from '@iggy-ts/wire/commands/requests';
import type { TransportKind } from '@iggy-ts/wire/commands/values';

/**
 * The door of the broker, as transports and HTTP see it. They know this file and nothing behind it.
 *
 * errors   OperatingError: refused before it was carried out (a status on the wire).
 *          SessionEnded: the session of the connection is dead (an eviction on the wire).
 *          An operation that was carried out and said no comes back as `Executed.code`.
 */

/** Identity of one request, for duplicate detection. Zeros in checksum: not stamped. */
export interface Numbering {
  /** Client id of the frame, 32 hex characters. */
  readonly client: string;
  readonly session: number;
  readonly request: number;
  /** Halves of the XXH3-64 of the request (metadata: body; send: the client's batch checksum). */
  readonly checksumLow: number;
  readonly checksumHigh: number;
}

/** A metadata or partition operation that was carried out. */
export interface Executed<R = unknown> {
  /** 0 or the code of a business rejection (result section on the wire). */
  readonly code: number;
  /** null when code is not 0 or the command answers nothing. */
  readonly reply: R | null;
  /** Position of the operation in its group's log. */
  readonly op: number;
  readonly timestampUs: number;
}

export type ReplyFor<K extends CommandKind> = K extends keyof ReplyOf ? ReplyOf[K] : null;

export interface Polled {
  readonly partitionId: number;
  readonly currentOffset: number;
  readonly messagesCount: number;
  /**
   * Batch records back to back in one pool slot, or null when nothing was found. Borrowed until
   * `release()`, which must be called exactly once. In front of `recordsAt` lie at least
   * `POLL_HEADROOM` writable bytes of the same slot, for the head of the reply.
   */
  readonly recordsAt: number;
  readonly recordsBytes: number;
  release(): void;
}

/** Bytes free in front of polled records: frame header 256 + poll head 16, rounded up. */
export const POLL_HEADROOM = 320;

export type LoginRequest = {
  /** Client id chosen by the client, 32 hex characters. */
  readonly client: string;
  readonly version: ClientVersion;
} & (
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }
);

/** Why a session ended; numbers of the eviction reasons of wire 0.9. */
export class SessionEnded extends Error {
  readonly reason: number;

  constructor(reason: number) {
    super(`session ended, eviction reason ${reason}`);
    this.reason = reason;
  }
}

/** What a user can do: a connection that is logged in, or an HTTP credential. */
export interface Caller {
  /** Reads: everything that takes no request number, except polls. */
  read<C extends Exclude<ReadCommand, PollMessages | PollMessagesOnPrimary>>(
    command: C,
  ): Promise<ReplyFor<C['kind']>>;
  poll(command: PollMessages | PollMessagesOnPrimary): Promise<Polled>;
  /** Metadata operations. HTTP passes null: the broker numbers them. */
  execute<C extends MetadataCommand>(
    command: C,
    numbering: Numbering | null,
  ): Promise<Executed<ReplyFor<C['kind']>>>;
  /** Consumer offset writes. */
  write(
    command: Exclude<PartitionCommand, SendMessages>,
    numbering: Numbering | null,
  ): Promise<Executed<null>>;
  /**
   * Appends the batch that lies at `batchAt` in the pool, `batchBytes` long, checksums unverified.
   * The slot stays the caller's and is borrowed until the promise settles; the batch header in it
   * is stamped. `confirmations` is empty when the batch was recognised as a repeat whose place is
   * no longer known.
   */
  send(
    command: SendMessages,
    batchAt: number,
    batchBytes: number,
    numbering: Numbering | null,
  ): Promise<Executed<readonly Confirmation[]>>;
}

/** One client connection of a binary transport. */
export interface Connection extends Caller {
  /** Connection number, as clients see it in GetMe. */
  readonly id: number;
  /** null before login and after logout. */
  readonly session: {
    readonly userId: number;
    readonly client: string;
    readonly epoch: number;
  } | null;
  login(request: LoginRequest): Promise<LoginReply & { readonly commit: number }>;
  /** Ends the session and its group memberships; the connection stays. */
  logout(): Promise<{ readonly commit: number }>;
  /** A frame arrived: the client lives. */
  touch(): void;
  /** Called by the broker when the session is ended from its side (missed heartbeats: reason 13). */
  onEvicted: ((reason: number) => void) | null;
  /** The socket is gone: ends the session. Idempotent. */
  close(): void;
}

export interface Broker {
  connect(peer: {
    readonly transport: TransportKind;
    readonly address: string;
    readonly localAddress: string;
  }): Connection;
  /** A caller for an HTTP credential of this user; not listed among the clients. */
  actAs(userId: number): Caller;
  /** HTTP: appends a batch without checksums (wire/batch encodeBatch); sealed and copied inside. */
  sendUnsealed(
    caller: Caller,
    command: SendMessages,
    batch: Uint8Array,
  ): Promise<Executed<readonly Confirmation[]>>;
  /** Records of a poll as bytes, borrowed until polled.release(). */
  recordsOf(polled: Polled): Uint8Array;
  /** User id; throws OperatingError invalidCredentials for every failure. */
  verifyPassword(username: string, password: string): Promise<number>;
  /** User id; throws OperatingError 53 unknown or expired, 47 inactive user. */
  verifyToken(token: string): number;
  /**
   * When the user was created, µs; null when it is unknown or inactive. Numbers of users are given
   * out again: who remembers a user remembers this moment, too.
   */
  userSinceUs(userId: number): number | null;
  /** False when the user is unknown or inactive. */
  userMayAct(userId: number): boolean;
  /** Durability words of the topic, for HTTP's `iggy-durability` header. */
  durabilityOf(command: SendMessages): 'replicated' | 'persisted';
  /** Highest committed metadata operation. */
  readonly metadataCommit: number;
  readonly ready: boolean;
}
