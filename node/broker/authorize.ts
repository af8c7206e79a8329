import type { Identifier } from '@iggy-ts/wire/commands/values';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { MetadataState } from '../state/metadata-state.ts';
import type { GroupView, StreamView, TopicView, UserView } from '../state/metadata-tables.ts';
import type { PermissionName } from '../state/permissions.ts';
import type { Actor } from './actor.ts';

export interface TopicName {
  readonly streamId: Identifier;
  readonly topicId: Identifier;
}

/** A topic with its stream. */
export interface FoundTopic {
  readonly stream: StreamView;
  readonly topic: TopicView;
}

/**
 * Finds what a request names and whether its user may do that, both as they are now: existence
 * first, then the permission. Metadata operations are judged once more when they are executed.
 *
 * errors   40 the user is inactive, 41 it is gone or may not, 1009, 2010
 * source   semantics 0.9, 16.2
 */
export class Authorizer {
  readonly #state: MetadataState;

  constructor(dependencies: { readonly state: MetadataState }) {
    this.#state = dependencies.state;
  }

  /** The user who asks: sessions and credentials of a user end with its activity. */
  requireUser(actor: Actor): UserView {
    const user = this.#state.findUser({ kind: 'id', id: actor.userId });
    if (user === null) throw new OperatingError(STATUS.unauthorized);
    if (user.status !== 'active') throw new OperatingError(STATUS.unauthenticated);
    return user;
  }

  /** An action that is done to no stream. */
  require(actor: Actor, name: PermissionName): void {
    this.requireUser(actor);
    this.#requirePermission(actor, name, null, null);
  }

  requireStream(actor: Actor, streamId: Identifier, name: PermissionName): StreamView {
    this.requireUser(actor);
    const stream = this.#state.findStream(streamId);
    if (stream === null) throw new OperatingError(STATUS.streamIdNotFound);
    this.#requirePermission(actor, name, stream.id, null);
    return stream;
  }

  requireTopic(actor: Actor, named: TopicName, name: PermissionName): FoundTopic {
    this.requireUser(actor);
    const stream = this.#state.findStream(named.streamId);
    if (stream === null) throw new OperatingError(STATUS.streamIdNotFound);
    const topic = this.#state.findTopic(stream.id, named.topicId);
    if (topic === null) throw new OperatingError(STATUS.topicIdNotFound);
    this.#requirePermission(actor, name, stream.id, topic.id);
    return { stream, topic };
  }

  /** The topic, whoever asks; null when it is missing. */
  findTopic(named: TopicName): TopicView | null {
    const stream = this.#state.findStream(named.streamId);
    return stream === null ? null : this.#state.findTopic(stream.id, named.topicId);
  }

  findGroup(topic: TopicView, groupId: Identifier): GroupView | null {
    return this.#state.findGroup(topic, groupId);
  }

  /** Whether a group that was found before is still there: deleted ones keep their last members. */
  isGroupAlive(topic: TopicView, group: GroupView): boolean {
    return this.#state.findGroup(topic, { kind: 'id', id: group.id }) === group;
  }

  #requirePermission(
    actor: Actor,
    name: PermissionName,
    streamId: number | null,
    topicId: number | null,
  ): void {
    if (this.#state.permits(actor.userId, name, streamId, topicId)) return;
    throw new OperatingError(STATUS.unauthorized);
  }
}
