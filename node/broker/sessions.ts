import type { LoginReply } from '@iggy-ts/wire/commands/replies';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { acceptsVersion, PROTOCOL_VERSION } from '@iggy-ts/wire/v09/login';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Groups } from '../cluster/port.ts';
import type { SessionView } from '../state/metadata-tables.ts';
import type { Session } from './actor.ts';
import type { Clients } from './clients.ts';
import type { LocalConnection } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { type LoginRequest, SessionEnded } from './port.ts';
import type { Proposer } from './propose.ts';
import { Ticker } from './ticker.ts';
import { SERVER_VERSION } from './versions.ts';

// Sessions stand in the replicated metadata; here is which connection has which.
//
//   register op ──► session in the metadata ◄── #bound ── connection
//   logout op   ◄── #ending (until it is committed)
//
// Invariant: a client id is bound to at most one connection.

const NO_SESSION = 1;
const SESSION_ERROR = 12;
const STALE_CLIENT = 13;
const INCOMPATIBLE_PROTOCOL = 14;

/** A connection is stale after this much of the heartbeat interval without a frame. */
const STALE_FACTOR = 1.2;
/** Logouts that could not be committed are tried again after this time. */
const RETRY_MS = 1000;
const ENDINGS_AT_ONCE_MAX = 64;

export interface SessionsOptions {
  readonly sessionsMax: number;
  readonly heartbeat: { readonly enabled: boolean; readonly intervalUs: number };
}

export interface SessionsDependencies {
  readonly groups: Groups;
  readonly proposer: Proposer;
  readonly credentials: Credentials;
  readonly clients: Clients;
  readonly clock: Clock;
  readonly logger: Logger;
}

type Commit = { readonly commit: number };

/**
 * Opens and ends the sessions of connections.
 *
 * source   semantics 0.9, 2 and 3
 */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #dependencies: SessionsDependencies;
  /** By client id. */
  readonly #bound = new Map<string, LocalConnection>();
  /** Client ids whose register op is under way, with the session that makes room for each. */
  readonly #registering = new Map<string, { count: number; readonly evict: string | null }>();
  /** Epochs of sessions whose connection is gone and whose logout is not committed, by client id. */
  readonly #ending = new Map<string, number>();
  #endingPass: Promise<void> | null = null;
  #cancelRetry: (() => void) | null = null;
  readonly #heartbeat: Ticker;
  #stopped = false;

  constructor(options: SessionsOptions, dependencies: SessionsDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    const intervalMs = Math.max(1, Math.round(options.heartbeat.intervalUs / 1000));
    this.#heartbeat = new Ticker(
      { intervalMs, run: () => this.evictStale() },
      { clock: dependencies.clock },
    );
  }

  start(): void {
    if (this.#options.heartbeat.enabled) this.#heartbeat.start();
  }

  /** Settles when the logouts of closed connections are committed, or could not be. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#heartbeat.stop();
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    while (this.#endingPass !== null) await this.#endingPass;
  }

  /** Whether the session is still the one of its client. */
  isLive({ client, epoch }: Session): boolean {
    return this.#dependencies.groups.metadata.state.findSession(client)?.epoch === epoch;
  }

  touch(connection: LocalConnection): void {
    connection.isHeard = true;
    connection.lastSeenUs = this.#dependencies.clock.monotonicUs();
  }

  /**
   * Version, credentials, session, in this order. A failed login leaves the connection as it was.
   *
   * errors   SessionEnded 9, 10, 11, 12, 14; OperatingError 58
   */
  async login(connection: LocalConnection, request: LoginRequest): Promise<LoginReply & Commit> {
    if (!acceptsVersion(request.version.protocolVersion)) {
      throw new SessionEnded(INCOMPATIBLE_PROTOCOL);
    }
    if (connection.isChanging) throw new SessionEnded(SESSION_ERROR);
    connection.isChanging = true;
    try {
      const userId = await this.#dependencies.credentials.loginUser(request);
      const session = await this.#sessionFor(connection, request, userId);
      return {
        userId,
        session: session.epoch,
        serverProtocolVersion: PROTOCOL_VERSION,
        serverVersion: SERVER_VERSION,
        commit: this.#dependencies.groups.metadata.commit,
      };
    } finally {
      connection.isChanging = false;
    }
  }

  /** Ends the session and its memberships. A connection without one is answered the same. */
  async logout(connection: LocalConnection): Promise<Commit> {
    const { session } = connection;
    if (session !== null) await this.#endNow(connection, session);
    return { commit: this.#dependencies.groups.metadata.commit };
  }

  /** The socket is gone: the session ends as soon as its logout can be committed. */
  close(connection: LocalConnection): void {
    if (connection.isClosed) return;
    connection.isClosed = true;
    connection.onEvicted = null;
    this.#dependencies.clients.remove(connection);
    const { session } = connection;
    if (session === null) return;
    this.#unbind(connection, session);
    this.#endLater(session);
  }

  /** Ends the sessions of silent members of groups. Other idle connections stay as they are. */
  evictStale(): void {
    const { clock, groups, logger } = this.#dependencies;
    const staleUs = this.#options.heartbeat.intervalUs * STALE_FACTOR;
    for (const [client, connection] of [...this.#bound]) {
      const { session } = connection;
      if (session === null || clock.monotonicUs() - connection.lastSeenUs <= staleUs) continue;
      if (groups.metadata.state.memberships(client).length === 0) continue;
      logger.info('silent member of a group evicted', { connection: connection.id });
      this.#unbind(connection, session);
      this.#endLater(session);
      connection.onEvicted?.(STALE_CLIENT);
    }
  }

  async #sessionFor(
    connection: LocalConnection,
    request: LoginRequest,
    userId: number,
  ): Promise<Session> {
    const present = connection.session;
    if (present?.userId === userId) return present;
    if (present !== null) await this.#endNow(connection, present);
    const epoch = await this.#register(request, userId);
    const { client } = request;
    const session = { userId, client, epoch, attached: null, lastBalanced: null };
    const opened: Session = { ...session, turns: new WeakMap() };
    // The socket may have closed, or another login of the same client may have overtaken this one.
    if (connection.isClosed) this.#endLater(opened);
    if (connection.isClosed || !this.isLive(opened)) throw new SessionEnded(NO_SESSION);
    // A connection that had the client id before finds its session no longer live.
    this.#bound.set(client, connection);
    connection.bind(opened);
    return opened;
  }

  async #register({ client, version }: LoginRequest, userId: number): Promise<number> {
    const known = this.#dependencies.groups.metadata.state.findSession(client);
    if (known !== null && known.userId !== userId) throw new SessionEnded(SESSION_ERROR);
    const entry = this.#registering.get(client) ?? {
      count: 0,
      evict: known === null ? this.#requirePlace() : null,
    };
    entry.count += 1;
    this.#registering.set(client, entry);
    try {
      const { evict } = entry;
      const outcome = await this.#dependencies.proposer.propose(
        { kind: 'register', caller: null, client, userId, evict, version },
        null,
      );
      if (outcome.code !== 0) throw new OperatingError(outcome.code);
      return outcome.op;
    } finally {
      entry.count -= 1;
      if (entry.count === 0) this.#registering.delete(client);
    }
  }

  /** A session without a connection to remove, when the table is full; null when it is not. */
  #requirePlace(): string | null {
    const { state } = this.#dependencies.groups.metadata;
    const leaving = new Set<string>();
    let coming = 0;
    for (const [client, { evict }] of this.#registering) {
      if (evict !== null) leaving.add(evict);
      else if (state.findSession(client) === null) coming += 1;
    }
    if (state.counts().sessions + coming < this.#options.sessionsMax) return null;
    let oldest: SessionView | null = null;
    for (const session of state.sessions()) {
      const { client } = session;
      if (this.#bound.has(client) || this.#registering.has(client) || leaving.has(client)) continue;
      if (oldest === null || session.opLast < oldest.opLast) oldest = session;
    }
    if (oldest === null) throw new OperatingError(STATUS.transientNotAccepted);
    return oldest.client;
  }

  /** On failure the session stays bound, unless the socket closed meanwhile. */
  async #endNow(connection: LocalConnection, session: Session): Promise<void> {
    this.#unbind(connection, session);
    try {
      await this.#proposeLogout(session.client, session.epoch);
    } catch (error) {
      if (connection.isClosed || this.#bound.has(session.client)) this.#endLater(session);
      else if (this.isLive(session)) this.#rebind(connection, session);
      throw error;
    }
  }

  #rebind(connection: LocalConnection, session: Session): void {
    this.#bound.set(session.client, connection);
    connection.bind(session);
  }

  #unbind(connection: LocalConnection, { client }: Session): void {
    if (this.#bound.get(client) === connection) this.#bound.delete(client);
    connection.unbind();
  }

  #endLater({ client, epoch }: Session): void {
    this.#ending.set(client, epoch);
    this.#startEnding();
  }

  #startEnding(): void {
    if (this.#endingPass !== null || this.#ending.size === 0) return;
    this.#endingPass = this.#end().then((isThrough) => {
      this.#endingPass = null;
      if (isThrough) this.#startEnding();
      else if (!this.#stopped) this.#retryLater();
    });
  }

  #retryLater(): void {
    this.#cancelRetry ??= this.#dependencies.clock.startTimer(RETRY_MS, () => {
      this.#cancelRetry = null;
      this.#startEnding();
    });
  }

  /**
   * Ends some of the sessions that wait; false when one of them could not be ended now. A logout
   * names its epoch, so one that is late harms nobody.
   */
  async #end(): Promise<boolean> {
    const some = [...this.#ending].slice(0, ENDINGS_AT_ONCE_MAX);
    const ended = await Promise.all(
      some.map(async ([client, epoch]) => {
        try {
          await this.#proposeLogout(client, epoch);
        } catch (error) {
          if (!(error instanceof OperatingError)) throw error;
          this.#dependencies.logger.warn('session not ended yet', { client, error });
          return false;
        }
        if (this.#ending.get(client) === epoch) this.#ending.delete(client);
        return true;
      }),
    );
    return ended.every(Boolean);
  }

  async #proposeLogout(client: string, session: number): Promise<void> {
    const op = { kind: 'logout', caller: null, client, session } as const;
    await this.#dependencies.proposer.propose(op, null);
  }
}
