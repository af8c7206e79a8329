import assert from 'node:assert/strict';
import type { Identifier } from '@iggy-ts/wire/commands/values';
import { STATUS } from '@iggy-ts/wire/status';
import * as groups from './apply-groups.ts';
import * as sessions from './apply-sessions.ts';
import * as streams from './apply-streams.ts';
import * as topics from './apply-topics.ts';
import * as users from './apply-users.ts';
import { type Execution, evict, type Result, refuse } from './execution.ts';
import type { MetadataOp } from './metadata-op.ts';
import { decodeTables, encodeTables } from './metadata-snapshot.ts';
import {
  type GroupView,
  type Placement,
  type Session,
  type SessionView,
  type StreamView,
  Tables,
  type TokenView,
  type Topic,
  type TopicView,
  type UserView,
} from './metadata-tables.ts';
import {
  type Change,
  EVICTION,
  type MetadataReply,
  type Origin,
  type Outcome,
  type StoredReply,
} from './outcome.ts';
import { type PermissionName, permits } from './permissions.ts';

export type { Outcome } from './outcome.ts';

/** Replies a session keeps for repeats of its requests. */
export const REPLIES_KEPT_MAX = 16;

type Kind = MetadataOp['kind'];
type Executor<K extends Kind> = (
  execution: Execution,
  op: Extract<MetadataOp, { readonly kind: K }>,
) => Result;

const EXECUTORS: { readonly [K in Kind]: Executor<K> } = {
  register: sessions.register,
  logout: sessions.logout,
  endMemberships: sessions.endMemberships,
  createRoot: sessions.createRoot,
  createStream: streams.createStream,
  updateStream: streams.updateStream,
  deleteStream: streams.deleteStream,
  purgeStream: streams.purgeStream,
  createTopic: topics.createTopic,
  updateTopic: topics.updateTopic,
  deleteTopic: topics.deleteTopic,
  purgeTopic: topics.purgeTopic,
  createPartitions: topics.createPartitions,
  deletePartitions: topics.deletePartitions,
  deleteSegments: topics.deleteSegments,
  createConsumerGroup: groups.createConsumerGroup,
  deleteConsumerGroup: groups.deleteConsumerGroup,
  joinConsumerGroup: groups.joinConsumerGroup,
  leaveConsumerGroup: groups.leaveConsumerGroup,
  completeRevocations: groups.completeRevocations,
  createUser: users.createUser,
  deleteUser: users.deleteUser,
  updateUser: users.updateUser,
  updatePermissions: users.updatePermissions,
  changePassword: users.changePassword,
  createToken: users.createToken,
  deleteToken: users.deleteToken,
  cleanTokens: users.cleanTokens,
};

/**
 * The replicated metadata: streams, topics, partitions, groups, users, tokens and sessions. The
 * same ops in the same order give the same state, outcomes and snapshots everywhere.
 *
 * errors   none: refusals are outcomes, everything else is a bug
 * cost     look-ups: one or two maps; an op: what it changes
 * source   semantics 0.9, 3, 4.3, 11 to 16, 18, 22
 */
export class MetadataState {
  #tables = new Tables();
  #opLast = 0;
  #timestampUs = 0;

  /** The op applied last, 0 for none. */
  get opLast(): number {
    return this.#opLast;
  }

  /** Log time of the op applied last. */
  get timestampUs(): number {
    return this.#timestampUs;
  }

  /** Applies a committed op; ops come in the order of the log. */
  apply(origin: Origin, op: MetadataOp): Outcome {
    assert(origin.op > this.#opLast);
    assert(origin.timestampUs >= this.#timestampUs);
    this.#opLast = origin.op;
    this.#timestampUs = origin.timestampUs;
    const numbered =
      origin.client !== null &&
      origin.request > 0 &&
      op.kind !== 'register' &&
      op.kind !== 'logout';
    if (!numbered) return this.#execute(origin, op);
    const session = this.#tables.sessions.get(origin.client);
    const early = this.#recognise(session, origin);
    if (early !== null) return early;
    assert(session !== undefined);
    session.watermark = origin.request;
    session.opLast = origin.op;
    const outcome = this.#execute(origin, op);
    // An op can end the session it came from (its user deletes itself); keeping is harmless then.
    if (outcome.eviction === 0) keep(session, origin, op.kind, outcome);
    return outcome;
  }

  /** All streams, by id. */
  streams(): readonly StreamView[] {
    return this.#tables.streams.list();
  }

  findStream(identifier: Identifier): StreamView | null {
    return this.#tables.streams.find(identifier);
  }

  /** The topics of a stream, by id; none when the stream is gone. */
  topics(streamId: number): readonly TopicView[] {
    return this.#tables.streams.get(streamId)?.topics.list() ?? [];
  }

  findTopic(streamId: number, identifier: Identifier): TopicView | null {
    return this.#tables.streams.get(streamId)?.topics.find(identifier) ?? null;
  }

  /** The groups of a topic, by id; none when the topic is gone. */
  groups(topic: { readonly streamId: number; readonly id: number }): readonly GroupView[] {
    return this.#topic(topic)?.groups.list() ?? [];
  }

  findGroup(
    topic: { readonly streamId: number; readonly id: number },
    identifier: Identifier,
  ): GroupView | null {
    return this.#topic(topic)?.groups.find(identifier) ?? null;
  }

  /** Groups in which a partition waits to change hands. */
  groupsPending(): readonly GroupView[] {
    return [...this.#tables.groupsPending];
  }

  /** The topic of a group; null when it is gone. */
  topicOf(group: { readonly streamId: number; readonly topicId: number }): TopicView | null {
    return this.#topic({ streamId: group.streamId, id: group.topicId });
  }

  /** Every partition with its topic. */
  partitions(): Iterable<Placement> {
    return this.#tables.partitionByUuid.values();
  }

  findPartition(uuid: string): Placement | null {
    return this.#tables.partitionByUuid.get(uuid) ?? null;
  }

  users(): readonly UserView[] {
    return this.#tables.users.list();
  }

  findUser(identifier: Identifier): UserView | null {
    return this.#tables.users.find(identifier);
  }

  /** The tokens of a user, expired ones too until they are cleaned, by name. */
  tokens(userId: number): readonly TokenView[] {
    const tokens = [...(this.#tables.users.get(userId)?.tokens.values() ?? [])];
    return tokens.sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** Whoever finds one checks its expiry against the clock. */
  findToken(tokenHash: string): TokenView | null {
    return this.#tables.tokenByHash.get(tokenHash) ?? null;
  }

  sessions(): Iterable<SessionView> {
    return this.#tables.sessions.values();
  }

  findSession(client: string): SessionView | null {
    return this.#tables.sessions.get(client) ?? null;
  }

  /** The groups a client is a member of. */
  memberships(client: string): readonly GroupView[] {
    return [...(this.#tables.sessions.get(client)?.groups ?? [])];
  }

  /** Whether a user may do this, now. Unknown users may nothing. Nulls as in `permits`. */
  permits(
    userId: number,
    name: PermissionName,
    streamId: number | null,
    topicId: number | null,
  ): boolean {
    const user = this.#tables.users.get(userId);
    return user !== null && permits(user.permissions, name, streamId, topicId);
  }

  counts(): {
    readonly streams: number;
    readonly topics: number;
    readonly partitions: number;
    readonly groups: number;
    readonly users: number;
    readonly sessions: number;
  } {
    const { streams, topicsCount, partitionByUuid, groupsCount, users, sessions } = this.#tables;
    return {
      streams: streams.size,
      topics: topicsCount,
      partitions: partitionByUuid.size,
      groups: groupsCount,
      users: users.size,
      sessions: sessions.size,
    };
  }

  /** The same state gives the same bytes. */
  snapshot(): Uint8Array {
    return encodeTables({
      tables: this.#tables,
      opLast: this.#opLast,
      timestampUs: this.#timestampUs,
    });
  }

  /** Replaces everything by what a snapshot holds. Damaged bytes are a bug: they were checksummed. */
  restore(bytes: Uint8Array): void {
    const { tables, opLast, timestampUs } = decodeTables(bytes);
    this.#tables = tables;
    this.#opLast = opLast;
    this.#timestampUs = timestampUs;
  }

  /** Asserts that ids, names, indices and assignments fit together. */
  checkInvariants(): void {
    this.#tables.checkInvariants();
    for (const { epoch, opLast, replies } of this.#tables.sessions.values()) {
      assert(epoch <= opLast && opLast <= this.#opLast);
      assert(replies.length <= REPLIES_KEPT_MAX);
    }
  }

  #topic(of: { readonly streamId: number; readonly id: number }): Topic | null {
    return this.#tables.streams.get(of.streamId)?.topics.get(of.id) ?? null;
  }

  /** What a request is answered without executing it; null when it is new. */
  #recognise(session: Session | undefined, origin: Origin): Outcome | null {
    const closed = (result: Result): Outcome => outcomeOf(result, origin, []);
    if (session === undefined) return closed(evict(EVICTION.noSession));
    if (origin.session < session.epoch) return closed(evict(EVICTION.sessionTooLow));
    if (origin.session > session.epoch) return closed(evict(EVICTION.sessionError));
    if (origin.request > session.watermark) return null;
    const stored = session.replies.find(({ request }) => request === origin.request);
    if (stored === undefined) return closed(refuse(STATUS.requestAlreadyApplied));
    if (stampsConflict(stored, origin)) return closed(refuse(STATUS.invalidCommand));
    // The answer held a secret that is not stored, and a new one would be of no use.
    if (stored.kind === 'createToken' && stored.code === 0) {
      return closed(refuse(STATUS.requestAlreadyApplied));
    }
    const { code, op, timestampUs } = stored;
    const reply = restoredReply(stored);
    return { code, reply, op, timestampUs, repeated: true, eviction: 0, changes: [] };
  }

  #execute(origin: Origin, op: MetadataOp): Outcome {
    const changes: Change[] = [];
    const executor = EXECUTORS[op.kind] as Executor<Kind> | undefined;
    assert(executor !== undefined, 'kind of a metadata op');
    const result = executor({ tables: this.#tables, origin, changes }, op);
    return outcomeOf(result, origin, changes);
  }
}

function outcomeOf(result: Result, origin: Origin, changes: readonly Change[]): Outcome {
  const { op, timestampUs } = origin;
  return { ...result, op, timestampUs, repeated: false, changes };
}

function keep(session: Session, origin: Origin, kind: Kind, outcome: Outcome): void {
  const { request, checksumLow, checksumHigh, op, timestampUs } = origin;
  const { code } = outcome;
  const reply = storedReply(outcome.reply);
  const stored = { request, checksumLow, checksumHigh, op, timestampUs, kind, code, reply };
  session.replies.push(stored);
  if (session.replies.length > REPLIES_KEPT_MAX) session.replies.shift();
}

/** A thousand fresh partitions differ in their number only: they are not kept. */
function storedReply(reply: MetadataReply): MetadataReply {
  return reply !== null && 'partitions' in reply ? { ...reply, partitions: [] } : reply;
}

function restoredReply({ reply }: StoredReply): MetadataReply {
  if (reply === null || !('partitions' in reply)) return reply;
  const partitions = topics.freshPartitions(reply.partitionsCount, reply.createdAtUs);
  return { ...reply, partitions };
}

function stampsConflict(stored: StoredReply, origin: Origin): boolean {
  const stamped = (of: { readonly checksumLow: number; readonly checksumHigh: number }): boolean =>
    of.checksumLow !== 0 || of.checksumHigh !== 0;
  if (!stamped(stored) || !stamped(origin)) return false;
  return stored.checksumLow !== origin.checksumLow || stored.checksumHigh !== origin.checksumHigh;
}
