import type {
  ChangePassword,
  CreatePartitions,
  CreatePersonalAccessToken,
  CreateTopic,
  CreateUser,
  DeletePartitions,
  DeleteSegments,
  JoinConsumerGroup,
  LeaveConsumerGroup,
  MetadataCommand,
  UpdateTopic,
} from '@iggy-ts/wire/commands/requests';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Groups } from '../cluster/port.ts';
import type { MetadataOp } from '../state/metadata-op.ts';
import type { Outcome } from '../state/metadata-state.ts';
import type { PermissionName } from '../state/permissions.ts';
import {
  resolveTopicOptions,
  resolveTopicUpdate,
  type TopicSettings,
} from '../state/topic-options.ts';
import type { Actor } from './actor.ts';
import type { Authorizer, TopicName } from './authorize.ts';
import { isPassword } from './credentials.ts';
import type { Hasher, RandomBytes } from './dependencies.ts';
import { plainOp, requireNoOptions } from './plain-ops.ts';
import { type Executed, type Numbering, SessionEnded } from './port.ts';
import type { Proposer } from './propose.ts';
import type { Rebalancing } from './rebalancing.ts';
import { drawToken, hashToken } from './tokens.ts';

const ROOT_USER_ID = 0;
const PARTITIONS_PER_REQUEST_MAX = 1000;
const NO_UUID = '0'.repeat(32);

export interface AdminOptions {
  readonly topicDefaults: TopicSettings;
  readonly tokensPerUserMax: number;
}

export interface AdminDependencies {
  readonly groups: Groups;
  readonly proposer: Proposer;
  readonly authorizer: Authorizer;
  readonly rebalancing: Rebalancing;
  readonly hasher: Hasher;
  readonly randomBytes: RandomBytes;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Metadata operations: commands in, ops out. What the op itself cannot do is done here, before it
 * is proposed: options resolved, passwords hashed, tokens drawn, directories of partitions made.
 * Names and permissions are judged when the op is executed, in its place in the log; they are
 * looked at before as well where the work in front of the op would be wasted.
 *
 * One file: one method per command, in the order of the command codes; they share one life cycle.
 *
 * source   semantics 0.9, 4.3, 12 to 16, 22
 */
export class Admin {
  readonly #options: AdminOptions;
  readonly #groups: Groups;
  readonly #proposer: Proposer;
  readonly #authorizer: Authorizer;
  readonly #rebalancing: Rebalancing;
  readonly #hasher: Hasher;
  readonly #randomBytes: RandomBytes;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Client ids with an operation under way. */
  readonly #executing = new Set<string>();

  constructor(options: AdminOptions, dependencies: AdminDependencies) {
    this.#options = options;
    this.#groups = dependencies.groups;
    this.#proposer = dependencies.proposer;
    this.#authorizer = dependencies.authorizer;
    this.#rebalancing = dependencies.rebalancing;
    this.#hasher = dependencies.hasher;
    this.#randomBytes = dependencies.randomBytes;
    this.#clock = dependencies.clock;
    this.#logger = dependencies.logger;
  }

  /**
   * Carries a command out once per request number.
   *
   * errors   57 another operation of this client is under way; 2015, 4041, 4042, 1019, 44, 52
   *          refused before execution; 40, 41; SessionEnded; every other code is in the result
   */
  async execute(
    actor: Actor,
    command: MetadataCommand,
    numbering: Numbering | null,
  ): Promise<Executed> {
    this.#authorizer.requireUser(actor);
    const client = actor.session?.client ?? null;
    if (client === null) return this.#run(actor, command, null);
    if (this.#executing.has(client)) throw new OperatingError(STATUS.transientNotCommitted);
    this.#executing.add(client);
    try {
      return await this.#run(actor, command, numbering);
    } finally {
      this.#executing.delete(client);
    }
  }

  #run(actor: Actor, command: MetadataCommand, numbering: Numbering | null): Promise<Executed> {
    if (this.#isRepeat(numbering)) {
      // It is answered from the session's memory, whatever the op is; one that would do no harm.
      return this.#propose({ kind: 'cleanTokens', caller: null }, numbering);
    }
    switch (command.kind) {
      case 'createUser':
        return this.#createUser(actor, command, numbering);
      case 'changePassword':
        return this.#changePassword(actor, command, numbering);
      case 'createPersonalAccessToken':
        return this.#createToken(actor, command, numbering);
      case 'createTopic':
        return this.#createTopic(actor, command, numbering);
      case 'updateTopic':
        return this.#updateTopic(actor, command, numbering);
      case 'createPartitions':
        return this.#createPartitions(actor, command, numbering);
      case 'deletePartitions':
        return this.#deletePartitions(actor, command, numbering);
      case 'deleteSegments':
        return this.#deleteSegments(actor, command, numbering);
      case 'joinConsumerGroup':
        return this.#joinGroup(actor, command, numbering);
      case 'leaveConsumerGroup':
        return this.#leaveGroup(actor, command, numbering);
      default:
        return this.#propose(plainOp(command, actor.userId), numbering);
    }
  }

  async #createUser(
    actor: Actor,
    command: CreateUser,
    numbering: Numbering | null,
  ): Promise<Executed> {
    requireNoOptions(command.options);
    if (!isPassword(command.password)) throw new OperatingError(STATUS.invalidPassword);
    if (!this.#may(actor, 'usersManage', null)) return this.#refused(STATUS.unauthorized);
    const { username, status, permissions } = command;
    const passwordHash = await this.#hasher.hash(command.password);
    const user = { username, passwordHash, status, permissions };
    return this.#propose({ kind: 'createUser', caller: actor.userId, ...user }, numbering);
  }

  /** The op names the hash that was verified: another one at its execution is a wrong password. */
  async #changePassword(
    actor: Actor,
    command: ChangePassword,
    numbering: Numbering | null,
  ): Promise<Executed> {
    if (!isPassword(command.newPassword)) throw new OperatingError(STATUS.invalidPassword);
    const user = this.#groups.metadata.state.findUser(command.userId);
    if (user === null) return this.#refused(STATUS.resourceNotFound);
    const isOwn = user.id === actor.userId;
    if (!isOwn && !this.#may(actor, 'usersManage', null)) {
      return this.#refused(STATUS.unauthorized);
    }
    const currentHash = user.passwordHash;
    if (!(await this.#hasher.verify(command.currentPassword, currentHash))) {
      return this.#refused(STATUS.invalidCredentials);
    }
    const passwordHash = await this.#hasher.hash(command.newPassword);
    const { userId } = command;
    const op = { caller: actor.userId, userId, currentHash, passwordHash };
    return this.#propose({ kind: 'changePassword', ...op }, numbering);
  }

  /** The raw token is in this reply and nowhere else. */
  async #createToken(
    { userId }: Actor,
    { name, expiryUs }: CreatePersonalAccessToken,
    numbering: Numbering | null,
  ): Promise<Executed> {
    const { state } = this.#groups.metadata;
    if (state.tokens(userId).length >= this.#options.tokensPerUserMax) {
      throw new OperatingError(STATUS.personalAccessTokensLimitReached);
    }
    const isForever = expiryUs === 0 || expiryUs === Number.POSITIVE_INFINITY;
    const expiryAtUs = isForever ? null : this.#clock.wallUs() + expiryUs;
    if (expiryAtUs !== null && !Number.isSafeInteger(expiryAtUs)) {
      return this.#refused(STATUS.invalidPersonalAccessTokenExpiry);
    }
    const token = drawToken(this.#randomBytes);
    const tokenHash = hashToken(token)!;
    const op = { caller: userId, userId, name, tokenHash, expiryAtUs };
    const executed = await this.#propose({ kind: 'createToken', ...op }, numbering);
    return executed.code === 0 ? { ...executed, reply: { token } } : executed;
  }

  async #createTopic(
    actor: Actor,
    command: CreateTopic,
    numbering: Numbering | null,
  ): Promise<Executed> {
    const { partitionsCount, name, streamId } = command;
    if (partitionsCount > PARTITIONS_PER_REQUEST_MAX) {
      throw new OperatingError(STATUS.tooManyPartitions);
    }
    const { topicDefaults } = this.#options;
    const resolved = resolveTopicOptions(command.options, topicDefaults, partitionsCount);
    if (resolved.code !== 0) throw new OperatingError(resolved.code);
    const refusal = this.#refusalOfCreateTopic(actor, command);
    if (refusal !== 0) return this.#refused(refusal);
    const { explicit, derived, settings } = resolved;
    const uuids = this.#newUuids(partitionsCount);
    const op = { caller: actor.userId, streamId, name, explicit, derived, uuids };
    const outcome = await this.#withDirectories(uuids, settings, () =>
      this.#proposer.propose({ kind: 'createTopic', ...op }, numbering),
    );
    return executedOf(outcome);
  }

  /** What would be refused at execution: then no directories are made for it. */
  #refusalOfCreateTopic(actor: Actor, { streamId, name }: CreateTopic): number {
    const { state } = this.#groups.metadata;
    const stream = state.findStream(streamId);
    if (stream === null) return STATUS.streamIdNotFound;
    if (!this.#may(actor, 'topicsManage', { streamId: stream.id, topicId: null })) {
      return STATUS.unauthorized;
    }
    const holder = state.findTopic(stream.id, { kind: 'name', name });
    return holder === null ? 0 : STATUS.topicNameAlreadyExists;
  }

  #updateTopic(
    { userId: caller }: Actor,
    command: UpdateTopic,
    numbering: Numbering | null,
  ): Promise<Executed> {
    const { streamId, topicId, name } = command;
    const settings = this.#authorizer.findTopic(command)?.settings ?? null;
    const { code, options } = resolveTopicUpdate(command.options, settings);
    if (code !== 0) throw new OperatingError(code);
    return this.#propose(
      { kind: 'updateTopic', caller, streamId, topicId, name, options },
      numbering,
    );
  }

  async #createPartitions(
    actor: Actor,
    command: CreatePartitions,
    numbering: Numbering | null,
  ): Promise<Executed> {
    requirePartitionsCount(command.partitionsCount);
    const refusal = this.#refusalOnTopic(actor, command);
    if (refusal !== 0) return this.#refused(refusal);
    const { settings } = this.#authorizer.findTopic(command)!;
    const { streamId, topicId } = command;
    const uuids = this.#newUuids(command.partitionsCount);
    const op = { caller: actor.userId, streamId, topicId, uuids };
    const outcome = await this.#withDirectories(uuids, settings, () =>
      this.#proposer.propose({ kind: 'createPartitions', ...op }, numbering),
    );
    return executedOf(outcome);
  }

  #refusalOnTopic(actor: Actor, named: TopicName): number {
    const { state } = this.#groups.metadata;
    const stream = state.findStream(named.streamId);
    if (stream === null) return STATUS.streamIdNotFound;
    const topic = state.findTopic(stream.id, named.topicId);
    if (topic === null) return STATUS.topicIdNotFound;
    const of = { streamId: stream.id, topicId: topic.id };
    return this.#may(actor, 'topicManage', of) ? 0 : STATUS.unauthorized;
  }

  #deletePartitions(
    { userId: caller }: Actor,
    { streamId, topicId, partitionsCount }: DeletePartitions,
    numbering: Numbering | null,
  ): Promise<Executed> {
    requirePartitionsCount(partitionsCount);
    const op = { caller, streamId, topicId, partitionsCount };
    return this.#propose({ kind: 'deletePartitions', ...op }, numbering);
  }

  /** Resolved here to an offset of this incarnation of the partition; executed on no other. */
  #deleteSegments(
    { userId: caller }: Actor,
    command: DeleteSegments,
    numbering: Numbering | null,
  ): Promise<Executed> {
    const { streamId, topicId, partitionId, segmentsCount } = command;
    const uuid = this.#authorizer.findTopic(command)?.partitions[partitionId]?.uuid ?? NO_UUID;
    const partition = this.#groups.partition(uuid);
    const purge = partition?.state.purge ?? 0;
    const trimOffset = partition?.sealedEnd(segmentsCount) ?? 0;
    const op = { caller, streamId, topicId, partitionId, uuid, purge, trimOffset };
    return this.#propose({ kind: 'deleteSegments', ...op }, numbering);
  }

  /** Without a session there is nothing that could be a member. */
  #joinGroup(
    { userId: caller, session }: Actor,
    command: JoinConsumerGroup,
    numbering: Numbering | null,
  ): Promise<Executed> {
    if (session === null) throw new OperatingError(STATUS.featureUnavailable);
    const { client } = session;
    const { streamId, topicId, groupId } = command;
    const join = (inFlight: readonly number[]): Promise<Executed> => {
      const op = { caller, streamId, topicId, groupId, client, inFlight };
      return this.#propose({ kind: 'joinConsumerGroup', ...op }, numbering);
    };
    const topic = this.#authorizer.findTopic(command);
    const group = topic === null ? null : this.#authorizer.findGroup(topic, groupId);
    if (topic === null || group === null) return join([]);
    return this.#rebalancing.change({ topic, group }, join);
  }

  #leaveGroup(
    { userId: caller, session }: Actor,
    { streamId, topicId, groupId }: LeaveConsumerGroup,
    numbering: Numbering | null,
  ): Promise<Executed> {
    if (session === null) throw new OperatingError(STATUS.featureUnavailable);
    const op = { caller, streamId, topicId, groupId, client: session.client };
    return this.#propose({ kind: 'leaveConsumerGroup', ...op }, numbering);
  }

  /**
   * Directories are durable before the op that names them, so that no partition of the metadata is
   * ever without its own; those of an op that was refused are taken back.
   */
  async #withDirectories(
    uuids: readonly string[],
    settings: TopicSettings,
    propose: () => Promise<Outcome>,
  ): Promise<Outcome> {
    if (uuids.length === 0) return propose();
    await this.#groups.prepare(uuids, {
      segmentBytes: settings.segmentBytes,
      durabilityPersisted: settings.durability === 'persisted',
      offsetsPersisted: settings.consumerOffsetDurability === 'persisted',
    });
    try {
      const outcome = await propose();
      if (outcome.code !== 0 || outcome.repeated) await this.#discard(uuids);
      return outcome;
    } catch (error) {
      // 57 is no refusal: the op may be in the log, and then its partitions are needed.
      const isRefusal =
        error instanceof SessionEnded ||
        (error instanceof OperatingError && error.code !== STATUS.transientNotCommitted);
      if (isRefusal) await this.#discard(uuids);
      throw error;
    }
  }

  /** What stays behind is swept away at the next start. */
  async #discard(uuids: readonly string[]): Promise<void> {
    try {
      await this.#groups.discard(uuids);
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
      this.#logger.warn('directories of partitions left behind', { count: uuids.length, error });
    }
  }

  #newUuids(count: number): readonly string[] {
    return Array.from({ length: count }, () => this.#groups.newUuid());
  }

  #may(
    { userId }: Actor,
    name: PermissionName,
    of: { readonly streamId: number; readonly topicId: number | null } | null,
  ): boolean {
    if (userId === ROOT_USER_ID) return true;
    const { state } = this.#groups.metadata;
    return state.permits(userId, name, of?.streamId ?? null, of?.topicId ?? null);
  }

  #isRepeat(numbering: Numbering | null): boolean {
    if (numbering === null) return false;
    const session = this.#groups.metadata.state.findSession(numbering.client);
    return session !== null && numbering.request <= session.watermark;
  }

  /** A refusal that needs no op: it is answered as if it had been executed. */
  #refused(code: number): Executed {
    const { commit } = this.#groups.metadata;
    return { code, reply: null, op: commit, timestampUs: this.#clock.wallUs() };
  }

  async #propose(op: MetadataOp, numbering: Numbering | null): Promise<Executed> {
    return executedOf(await this.#proposer.propose(op, numbering));
  }
}

function executedOf({ code, reply, op, timestampUs }: Outcome): Executed {
  return { code, reply, op, timestampUs };
}

function requirePartitionsCount(count: number): void {
  if (count === 0 || count > PARTITIONS_PER_REQUEST_MAX) {
    throw new OperatingError(STATUS.tooManyPartitions);
  }
}
