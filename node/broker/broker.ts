import type { Confirmation } from '@iggy-ts/wire/commands/replies';
import type { SendMessages } from '@iggy-ts/wire/commands/requests';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Pool } from '../base/pool.ts';
import type { Groups } from '../cluster/port.ts';
import type { Actor } from './actor.ts';
import { Admin } from './admin.ts';
import { Append } from './append.ts';
import { Authorizer } from './authorize.ts';
import { Clients } from './clients.ts';
import type { Reachability } from './cluster-node.ts';
import { CredentialCaller, DispatchingCaller, LocalConnection, type Peer } from './connection.ts';
import { Credentials, isPassword, isUsername } from './credentials.ts';
import type { BrokerDependencies, BrokerOptions, Hasher } from './dependencies.ts';
import { Dispatch } from './dispatch.ts';
import { Flights } from './flights.ts';
import { Offsets } from './offsets.ts';
import { Poll } from './poll.ts';
import type { Broker, Caller, Connection, Executed, Polled } from './port.ts';
import { Proposer } from './propose.ts';
import { Reads } from './reads.ts';
import { Rebalancing } from './rebalancing.ts';
import { Routing } from './routing.ts';
import { Sessions } from './sessions.ts';
import { Ticker } from './ticker.ts';

/** Head of a SendMessages frame without its batch: the frame header at least. */
const FRAME_HEADER_BYTES = 256;
const ROOT_USER_ID = 0;

/**
 * The use cases on this node's groups.
 *
 *   transports, http ─► Connection, Caller ─► Dispatch ─► admin · append · poll · offsets · reads
 *
 * Call `start` before the first connection and `stop` after the last one is closed.
 */
export class LocalBroker implements Broker {
  readonly #groups: Groups;
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #hasher: Hasher;
  readonly #clients = new Clients();
  readonly #authorizer: Authorizer;
  readonly #credentials: Credentials;
  readonly #proposer: Proposer;
  readonly #rebalancing: Rebalancing;
  readonly #sessions: Sessions;
  readonly #dispatch: Dispatch;
  readonly #tokenCleaner: Ticker | null;
  #ready = false;

  constructor(options: BrokerOptions, dependencies: BrokerDependencies) {
    const { groups, pool, clock, logger, hasher, observer } = dependencies;
    const { state } = groups.metadata;
    const { frameBytesMax, topicDefaults } = options;
    this.#groups = groups;
    this.#pool = pool;
    this.#clock = clock;
    this.#logger = logger;
    this.#hasher = hasher;
    const clients = this.#clients;
    const flights = new Flights();
    const authorizer = new Authorizer({ state });
    const proposer = new Proposer({ groups, flights });
    const timeoutUs = options.revocationTimeoutUs;
    const rebalancing = new Rebalancing({ timeoutUs }, { groups, clock, logger, flights });
    const reachabilityOf = ({ localAddress }: Actor): Reachability => ({
      advertisedAddress: options.advertisedAddress,
      localAddress,
      bound: dependencies.nodeAddress(),
    });
    const offsets = new Offsets({ groups, authorizer, rebalancing });
    this.#authorizer = authorizer;
    this.#proposer = proposer;
    this.#rebalancing = rebalancing;
    this.#credentials = new Credentials({ state, hasher, clock });
    this.#sessions = new Sessions(options, {
      ...{ groups, proposer, clients, clock, logger },
      credentials: this.#credentials,
    });
    this.#dispatch = new Dispatch({
      admin: new Admin(
        { topicDefaults, tokensPerUserMax: options.tokens.perUserMax },
        { ...dependencies, proposer, authorizer, rebalancing },
      ),
      append: new Append(
        { batchBytesMax: frameBytesMax - FRAME_HEADER_BYTES },
        { ...dependencies, authorizer },
      ),
      offsets,
      poll: new Poll({ frameBytesMax }, { ...dependencies, authorizer, flights, rebalancing }),
      reads: new Reads(
        { frameBytesMax, topicDefaults },
        { ...dependencies, authorizer, clients, reachabilityOf },
      ),
      routing: new Routing({ groups, authorizer, offsets, reachabilityOf }),
      observer,
    });
    const { cleanerEnabled, cleanerIntervalUs } = options.tokens;
    const intervalMs = Math.max(1, Math.round(cleanerIntervalUs / 1000));
    const run = (): Promise<void> => this.#cleanTokens();
    this.#tokenCleaner = cleanerEnabled ? new Ticker({ intervalMs, run }, { clock }) : null;
  }

  /** Whether there is a root user: false at the first start of a data folder. */
  get hasRoot(): boolean {
    return this.#groups.metadata.state.findUser({ kind: 'id', id: ROOT_USER_ID }) !== null;
  }

  /** Creates the root user; nothing happens when there is one. errors: 43, 44, 58, 10005 */
  async createRoot(root: { readonly username: string; readonly password: string }): Promise<void> {
    const { username, password } = root;
    if (!isUsername(username)) throw new OperatingError(STATUS.invalidUsername);
    if (!isPassword(password)) throw new OperatingError(STATUS.invalidPassword);
    if (this.hasRoot) return;
    const passwordHash = await this.#hasher.hash(password);
    const op = { kind: 'createRoot', caller: null, username, passwordHash } as const;
    const outcome = await this.#proposer.propose(op, null);
    if (outcome.code !== 0) throw new OperatingError(outcome.code);
  }

  /**
   * Takes the members of the previous run out of their groups, of whom none can be connected, and
   * serves. errors: 58, 10005
   */
  async start(): Promise<void> {
    const { state } = this.#groups.metadata;
    for (const { client } of state.sessions()) {
      if (state.memberships(client).length === 0) continue;
      await this.#proposer.propose({ kind: 'endMemberships', caller: null }, null);
      break;
    }
    await this.#credentials.prepare();
    this.#sessions.start();
    this.#tokenCleaner?.start();
    this.#ready = true;
  }

  /** Settles when the sessions of closed connections have ended, as far as that is possible. */
  async stop(): Promise<void> {
    this.#ready = false;
    this.#tokenCleaner?.stop();
    this.#rebalancing.stop();
    await this.#sessions.stop();
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** Open connections. */
  get clientsCount(): number {
    return this.#clients.heard().length;
  }

  get metadataCommit(): number {
    return this.#groups.metadata.commit;
  }

  connect(peer: Peer): Connection {
    const id = this.#clients.nextNumber();
    const nowUs = this.#clock.monotonicUs();
    const dependencies = { sessions: this.#sessions, dispatch: this.#dispatch };
    const connection = new LocalConnection({ id, peer, nowUs }, dependencies);
    this.#clients.add(connection);
    return connection;
  }

  actAs(userId: number): Caller {
    return new CredentialCaller(userId, this.#dispatch);
  }

  sendUnsealed(
    caller: Caller,
    command: SendMessages,
    batch: Uint8Array,
  ): Promise<Executed<readonly Confirmation[]>> {
    const actor = caller instanceof DispatchingCaller ? caller.actor : null;
    return this.#dispatch.sendUnsealed(actor, command, batch);
  }

  recordsOf({ recordsAt, recordsBytes }: Polled): Uint8Array {
    return this.#pool.bytes.subarray(recordsAt, recordsAt + recordsBytes);
  }

  verifyPassword(username: string, password: string): Promise<number> {
    return this.#credentials.verifyPassword(username, password);
  }

  verifyToken(token: string): number {
    return this.#credentials.verifyToken(token);
  }

  userSinceUs(userId: number): number | null {
    const user = this.#groups.metadata.state.findUser({ kind: 'id', id: userId });
    return user?.status === 'active' ? user.createdAtUs : null;
  }

  userMayAct(userId: number): boolean {
    return this.userSinceUs(userId) !== null;
  }

  durabilityOf(command: SendMessages): 'replicated' | 'persisted' {
    return this.#authorizer.findTopic(command)?.settings.durability ?? 'replicated';
  }

  /** Removes expired tokens, when there are any. */
  async #cleanTokens(): Promise<void> {
    const { state } = this.#groups.metadata;
    const nowUs = this.#clock.wallUs();
    const isExpired = ({ id }: { readonly id: number }): boolean =>
      state.tokens(id).some(({ expiryAtUs }) => expiryAtUs !== null && expiryAtUs <= nowUs);
    if (!state.users().some(isExpired)) return;
    try {
      await this.#proposer.propose({ kind: 'cleanTokens', caller: null }, null);
    } catch (error) {
      // The next pass tries again.
      if (!(error instanceof OperatingError)) throw error;
      this.#logger.warn('expired tokens not removed yet', { error });
    }
  }
}
