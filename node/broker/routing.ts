import type { RoutingReply } from '@iggy-ts/wire/commands/replies';
import type {
  AttachConsumerSession,
  GetConsumerOffsetRouting,
  GetPollRouting,
} from '@iggy-ts/wire/commands/requests';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Groups } from '../cluster/port.ts';
import type { Actor, Session } from './actor.ts';
import type { Authorizer } from './authorize.ts';
import { type Reachability, thisNode } from './cluster-node.ts';
import type { Offsets } from './offsets.ts';

export interface RoutingDependencies {
  readonly groups: Groups;
  readonly authorizer: Authorizer;
  readonly offsets: Offsets;
  readonly reachabilityOf: (actor: Actor) => Reachability;
}

/**
 * Where polls with auto-commit and offset writes go, and the loan of a group membership to the
 * connection that makes them. With one node everything goes where it is asked.
 *
 * source   semantics 0.9, 10
 */
export class Routing {
  readonly #groups: Groups;
  readonly #authorizer: Authorizer;
  readonly #offsets: Offsets;
  readonly #reachabilityOf: (actor: Actor) => Reachability;

  constructor(dependencies: RoutingDependencies) {
    this.#groups = dependencies.groups;
    this.#authorizer = dependencies.authorizer;
    this.#offsets = dependencies.offsets;
    this.#reachabilityOf = dependencies.reachabilityOf;
  }

  /** errors: 3 without auto-commit; those of a poll; 5000, 5003, 5009 in place of its sentinel. */
  pollRoute(actor: Actor, command: GetPollRouting): RoutingReply {
    this.#authorizer.requireUser(actor);
    if (!command.autoCommit) throw new OperatingError(STATUS.invalidCommand);
    const session = requireSession(actor);
    const { group, partitionId } = this.#offsets.requireOwned(actor, command);
    if (group !== null && !group.assignment.mayPoll(session.client, partitionId)) {
      throw new OperatingError(STATUS.consumerGroupPartitionNotOwned);
    }
    return this.#route(actor, session);
  }

  /** errors: those of a store, before it is carried out. */
  offsetRoute(actor: Actor, command: GetConsumerOffsetRouting): RoutingReply {
    const session = requireSession(actor);
    this.#offsets.requireOwned(actor, command);
    return this.#route(actor, session);
  }

  /** errors: 30 the session is gone, not the current one or of another user; 58 not that far yet. */
  attach(actor: Actor, command: AttachConsumerSession): void {
    this.#authorizer.requireUser(actor);
    const session = requireSession(actor);
    const lender = this.#groups.metadata.state.findSession(command.clientId);
    if (lender?.userId !== actor.userId || lender.epoch !== command.session) {
      throw new OperatingError(STATUS.staleClient);
    }
    if (this.#groups.metadata.commit < command.metadataWatermark) {
      throw new OperatingError(STATUS.transientNotAccepted);
    }
    session.attached = { client: lender.client, epoch: lender.epoch };
  }

  #route(actor: Actor, { client, epoch }: Session): RoutingReply {
    return {
      clientId: client,
      session: epoch,
      metadataWatermark: this.#groups.metadata.commit,
      node: thisNode(this.#reachabilityOf(actor)),
    };
  }
}

function requireSession({ session }: Actor): Session {
  if (session === null) throw new OperatingError(STATUS.featureUnavailable);
  return session;
}
