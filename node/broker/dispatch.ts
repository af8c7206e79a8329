import type { Confirmation } from '@iggy-ts/wire/commands/replies';
import type {
  MetadataCommand,
  PartitionCommand,
  PollMessages,
  PollMessagesOnPrimary,
  ReadCommand,
  SendMessages,
} from '@iggy-ts/wire/commands/requests';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Actor } from './actor.ts';
import type { Admin } from './admin.ts';
import type { Append, BatchPlace } from './append.ts';
import type { BrokerObserver } from './dependencies.ts';
import type { Offsets } from './offsets.ts';
import type { Poll } from './poll.ts';
import { type Executed, type Numbering, type Polled, type ReplyFor, SessionEnded } from './port.ts';
import type { Reads } from './reads.ts';
import type { Routing } from './routing.ts';

const NO_SESSION = 1;

type PlainRead = Exclude<ReadCommand, PollMessages | PollMessagesOnPrimary>;
type OffsetWrite = Exclude<PartitionCommand, SendMessages>;

export interface DispatchDependencies {
  readonly admin: Admin;
  readonly append: Append;
  readonly offsets: Offsets;
  readonly poll: Poll;
  readonly reads: Reads;
  readonly routing: Routing;
  readonly observer: BrokerObserver;
}

/**
 * From a command to its use case. Without a login there is ping; reads are answered 40 then, and
 * operations, which belong to a session, end it.
 *
 * source   semantics 0.9, 2.1
 */
export class Dispatch {
  readonly #admin: Admin;
  readonly #append: Append;
  readonly #offsets: Offsets;
  readonly #poll: Poll;
  readonly #reads: Reads;
  readonly #routing: Routing;
  readonly #observer: BrokerObserver;

  constructor(dependencies: DispatchDependencies) {
    this.#admin = dependencies.admin;
    this.#append = dependencies.append;
    this.#offsets = dependencies.offsets;
    this.#poll = dependencies.poll;
    this.#reads = dependencies.reads;
    this.#routing = dependencies.routing;
    this.#observer = dependencies.observer;
  }

  async read<C extends PlainRead>(actor: Actor | null, command: C): Promise<ReplyFor<C['kind']>> {
    try {
      if (command.kind === 'ping') return null as ReplyFor<C['kind']>;
      // The table below answers each kind with its own reply; the compiler cannot follow that.
      return (await this.#readAs(requireLogin(actor), command)) as ReplyFor<C['kind']>;
    } catch (error) {
      throw this.#counted(error);
    }
  }

  async poll(actor: Actor | null, command: PollMessages | PollMessagesOnPrimary): Promise<Polled> {
    try {
      return await this.#poll.poll(requireLogin(actor), command);
    } catch (error) {
      throw this.#counted(error);
    }
  }

  async execute<C extends MetadataCommand>(
    actor: Actor | null,
    command: C,
    numbering: Numbering | null,
  ): Promise<Executed<ReplyFor<C['kind']>>> {
    try {
      const known = requireSession(actor);
      const executed = await this.#admin.execute(known, command, ownNumbering(known, numbering));
      if (executed.code !== 0) this.#observer.refused(executed.code);
      return executed as Executed<ReplyFor<C['kind']>>;
    } catch (error) {
      throw this.#counted(error);
    }
  }

  async write(
    actor: Actor | null,
    command: OffsetWrite,
    numbering: Numbering | null,
  ): Promise<Executed<null>> {
    try {
      const known = requireSession(actor);
      return await this.#offsets.write(known, command, ownNumbering(known, numbering));
    } catch (error) {
      throw this.#counted(error);
    }
  }

  async send(
    actor: Actor | null,
    command: SendMessages,
    place: BatchPlace,
  ): Promise<Executed<readonly Confirmation[]>> {
    try {
      const known = requireSession(actor);
      const numbering = ownNumbering(known, place.numbering);
      const own = numbering === place.numbering ? place : { ...place, numbering };
      return await this.#append.send(known, command, own);
    } catch (error) {
      throw this.#counted(error);
    }
  }

  async sendUnsealed(
    actor: Actor | null,
    command: SendMessages,
    batch: Uint8Array,
  ): Promise<Executed<readonly Confirmation[]>> {
    try {
      return await this.#append.sendUnsealed(requireSession(actor), command, batch);
    } catch (error) {
      throw this.#counted(error);
    }
  }

  #readAs(actor: Actor, command: Exclude<PlainRead, { readonly kind: 'ping' }>): unknown {
    const reads = this.#reads;
    switch (command.kind) {
      case 'getStats':
        return reads.stats(actor);
      case 'getSnapshot':
        return reads.snapshot(actor, command);
      case 'getClusterMetadata':
        return reads.clusterMetadata(actor);
      case 'describeOptions':
        return reads.describeOptions(actor, command);
      case 'attachConsumerSession':
        this.#routing.attach(actor, command);
        return null;
      case 'getMe':
        return reads.me(actor);
      case 'getClient':
        return reads.client(actor, command.clientId);
      case 'getClients':
        return reads.clients(actor);
      case 'getUser':
        return reads.user(actor, command);
      case 'getUsers':
        return reads.users(actor);
      case 'getPersonalAccessTokens':
        return reads.tokens(actor);
      case 'getPollRouting':
        return this.#routing.pollRoute(actor, command);
      case 'flushUnsavedBuffer':
        // Nothing is ever unsaved here, and the clients of 0.9 expect this answer.
        throw new OperatingError(STATUS.featureUnavailable);
      case 'getConsumerOffset':
        return this.#offsets.get(actor, command);
      case 'getConsumerOffsetRouting':
        return this.#routing.offsetRoute(actor, command);
      case 'getStream':
        return reads.stream(actor, command);
      case 'getStreams':
        return reads.streams(actor);
      case 'getTopic':
        return reads.topic(actor, command);
      case 'getTopics':
        return reads.topics(actor, command);
      case 'getConsumerGroup':
        return reads.group(actor, command);
      case 'getConsumerGroups':
        return reads.groups(actor, command);
      case 'syncConsumerGroup':
        return reads.assignment(actor, command);
    }
  }

  #counted(error: unknown): unknown {
    if (error instanceof OperatingError) this.#observer.refused(error.code);
    return error;
  }
}

function requireLogin(actor: Actor | null): Actor {
  if (actor === null) throw new OperatingError(STATUS.unauthenticated);
  return actor;
}

function requireSession(actor: Actor | null): Actor {
  if (actor === null) throw new SessionEnded(NO_SESSION);
  return actor;
}

/** The connection says whose request it is, not the frame. HTTP has no session to number it in. */
function ownNumbering({ session }: Actor, numbering: Numbering | null): Numbering | null {
  if (session === null || numbering === null) return null;
  const { client, epoch } = session;
  if (numbering.client === client && numbering.session === epoch) return numbering;
  const { request, checksumLow, checksumHigh } = numbering;
  return { client, session: epoch, request, checksumLow, checksumHigh };
}
