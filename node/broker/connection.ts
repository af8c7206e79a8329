import type { Confirmation, LoginReply } from '@iggy-ts/wire/commands/replies';
import type {
  MetadataCommand,
  PartitionCommand,
  PollMessages,
  PollMessagesOnPrimary,
  ReadCommand,
  SendMessages,
} from '@iggy-ts/wire/commands/requests';
import type { TransportKind } from '@iggy-ts/wire/commands/values';
import type { Actor, Session } from './actor.ts';
import type { Dispatch } from './dispatch.ts';
import type {
  Caller,
  Connection,
  Executed,
  LoginRequest,
  Numbering,
  Polled,
  ReplyFor,
} from './port.ts';
import type { Sessions } from './sessions.ts';

export interface Peer {
  readonly transport: TransportKind;
  readonly address: string;
  readonly localAddress: string;
}

type PlainRead = Exclude<ReadCommand, PollMessages | PollMessagesOnPrimary>;
type OffsetWrite = Exclude<PartitionCommand, SendMessages>;

/** Hands the commands of whoever `actor` names to the use cases. */
export abstract class DispatchingCaller implements Caller {
  readonly #dispatch: Dispatch;

  constructor(dispatch: Dispatch) {
    this.#dispatch = dispatch;
  }

  /** Who asks now; null: nobody is logged in. */
  abstract get actor(): Actor | null;

  read<C extends PlainRead>(command: C): Promise<ReplyFor<C['kind']>> {
    return this.#dispatch.read(this.actor, command);
  }

  poll(command: PollMessages | PollMessagesOnPrimary): Promise<Polled> {
    return this.#dispatch.poll(this.actor, command);
  }

  execute<C extends MetadataCommand>(
    command: C,
    numbering: Numbering | null,
  ): Promise<Executed<ReplyFor<C['kind']>>> {
    return this.#dispatch.execute(this.actor, command, numbering);
  }

  write(command: OffsetWrite, numbering: Numbering | null): Promise<Executed<null>> {
    return this.#dispatch.write(this.actor, command, numbering);
  }

  send(
    command: SendMessages,
    batchAt: number,
    batchBytes: number,
    numbering: Numbering | null,
  ): Promise<Executed<readonly Confirmation[]>> {
    return this.#dispatch.send(this.actor, command, { batchAt, batchBytes, numbering });
  }
}

/** A user whom HTTP has recognised; it has no session and appears in no list. */
export class CredentialCaller extends DispatchingCaller {
  readonly actor: Actor;

  constructor(userId: number, dispatch: Dispatch) {
    super(dispatch);
    const none = { session: null, connectionId: null, localAddress: null };
    this.actor = { userId, ...none };
  }
}

/**
 * One connection of a binary transport.
 *
 *   connected ── login ──► bound ── logout, another login of the client id, eviction ──► connected
 *       └───────────────────┴────────── close ──► closed, for good
 */
export class LocalConnection extends DispatchingCaller implements Connection {
  readonly id: number;
  readonly peer: Peer;
  onEvicted: ((reason: number) => void) | null = null;
  /** Monotonic time of the last frame. */
  lastSeenUs: number;
  /** At least one frame arrived. */
  isHeard = false;
  isClosed = false;
  /** A login, logout or close of this connection is under way. */
  isChanging = false;
  readonly #sessions: Sessions;
  #actor: Actor | null = null;

  constructor(
    options: { readonly id: number; readonly peer: Peer; readonly nowUs: number },
    dependencies: { readonly sessions: Sessions; readonly dispatch: Dispatch },
  ) {
    super(dependencies.dispatch);
    this.id = options.id;
    this.peer = options.peer;
    this.lastSeenUs = options.nowUs;
    this.#sessions = dependencies.sessions;
  }

  /** Looked up at every use: a session can end in the metadata without this connection's doing. */
  get actor(): Actor | null {
    const session = this.#actor?.session ?? null;
    if (session !== null && !this.#sessions.isLive(session)) this.#actor = null;
    return this.#actor;
  }

  get session(): Session | null {
    return this.actor?.session ?? null;
  }

  /** Called by the sessions when the connection gains its session. */
  bind(session: Session): void {
    const { userId } = session;
    const { id: connectionId, peer } = this;
    this.#actor = { userId, session, connectionId, localAddress: peer.localAddress };
  }

  /** Called by the sessions when the connection loses it. */
  unbind(): void {
    this.#actor = null;
  }

  login(request: LoginRequest): Promise<LoginReply & { readonly commit: number }> {
    return this.#sessions.login(this, request);
  }

  logout(): Promise<{ readonly commit: number }> {
    return this.#sessions.logout(this);
  }

  touch(): void {
    this.#sessions.touch(this);
  }

  close(): void {
    this.#sessions.close(this);
  }
}
