import type {
  AssignmentReply,
  ClientDetailsReply,
  ClientReply,
  ClusterMetadataReply,
  ConsumerGroupDetailsReply,
  ConsumerGroupReply,
  OptionDescription,
  StatsReply,
  StreamDetailsReply,
  StreamReply,
  TokenReply,
  TopicDetailsReply,
  TopicReply,
  UserDetailsReply,
  UserReply,
} from '@iggy-ts/wire/commands/replies';
import type {
  DescribeOptions,
  GetConsumerGroup,
  GetConsumerGroups,
  GetSnapshot,
  GetStream,
  GetTopic,
  GetTopics,
  GetUser,
  SyncConsumerGroup,
} from '@iggy-ts/wire/commands/requests';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Logger } from '../base/logger.ts';
import type { Groups } from '../cluster/port.ts';
import type { GroupView, TopicView, UserView } from '../state/metadata-tables.ts';
import { describeTopicOptions, type TopicSettings } from '../state/topic-options.ts';
import type { Actor } from './actor.ts';
import type { Authorizer } from './authorize.ts';
import type { Clients } from './clients.ts';
import { type Reachability, singleNodeCluster } from './cluster-node.ts';
import type { LocalConnection } from './connection.ts';
import { Counters } from './counters.ts';
import type { SnapshotMaker, SystemStats } from './dependencies.ts';
import { SERVER_SEMVER, SERVER_VERSION } from './versions.ts';

/** A reply's head in a frame. */
const REPLY_HEADER_BYTES = 256;

export interface ReadsOptions {
  readonly frameBytesMax: number;
  readonly topicDefaults: TopicSettings;
}

export interface ReadsDependencies {
  readonly groups: Groups;
  readonly authorizer: Authorizer;
  readonly clients: Clients;
  readonly logger: Logger;
  readonly systemStats: SystemStats;
  readonly snapshots: SnapshotMaker;
  readonly reachabilityOf: (actor: Actor) => Reachability;
}

/**
 * Everything that is looked up and changes nothing. A single thing that is missing is null, not
 * an error; what exists and may not be seen is 41.
 *
 * source   semantics 0.9, 6, 12.2, 13, 16, 17; wire 0.9, 13 and 15
 */
export class Reads {
  readonly #options: ReadsOptions;
  readonly #dependencies: ReadsDependencies;
  readonly #counters: Counters;
  #snapshotRunning = false;

  constructor(options: ReadsOptions, dependencies: ReadsDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#counters = new Counters(dependencies);
  }

  async stats(actor: Actor): Promise<StatsReply> {
    const { authorizer, groups, clients, systemStats } = this.#dependencies;
    authorizer.require(actor, 'servers');
    const figures = await systemStats.read();
    const counts = groups.metadata.state.counts();
    const { sizeBytes, messagesCount, segmentsCount } = this.#counters.allTotals();
    return {
      ...figures,
      messagesSizeBytes: sizeBytes,
      streamsCount: counts.streams,
      topicsCount: counts.topics,
      partitionsCount: counts.partitions,
      segmentsCount,
      messagesCount,
      clientsCount: clients.heard().length,
      consumerGroupsCount: counts.groups,
      serverVersion: SERVER_VERSION,
      serverSemver: SERVER_SEMVER,
      cacheMetrics: [],
    };
  }

  /** One at a time. errors: 41; 9000 another one runs, it failed, or it is larger than a frame. */
  async snapshot(actor: Actor, { types, compression }: GetSnapshot): Promise<Uint8Array> {
    const { authorizer, snapshots, logger } = this.#dependencies;
    authorizer.require(actor, 'servers');
    if (this.#snapshotRunning) throw new OperatingError(STATUS.snapshotFileCompletionFailed);
    this.#snapshotRunning = true;
    try {
      const archive = await snapshots.make(types, compression);
      if (archive.length <= this.#options.frameBytesMax - REPLY_HEADER_BYTES) return archive;
      throw new OperatingError(STATUS.snapshotFileCompletionFailed, 'larger than a frame');
    } catch (cause) {
      if (cause instanceof OperatingError) throw cause;
      logger.error('snapshot failed', { error: cause });
      throw new OperatingError(STATUS.snapshotFileCompletionFailed, undefined, { cause });
    } finally {
      this.#snapshotRunning = false;
    }
  }

  clusterMetadata(actor: Actor): ClusterMetadataReply {
    this.#dependencies.authorizer.requireUser(actor);
    return singleNodeCluster(this.#dependencies.reachabilityOf(actor));
  }

  describeOptions(actor: Actor, { scope }: DescribeOptions): readonly OptionDescription[] {
    this.#dependencies.authorizer.requireUser(actor);
    return scope === 'topic' ? describeTopicOptions(this.#options.topicDefaults) : [];
  }

  me(actor: Actor): ClientDetailsReply {
    const { authorizer, clients } = this.#dependencies;
    authorizer.requireUser(actor);
    const own = actor.connectionId === null ? null : clients.get(actor.connectionId);
    if (own === null) throw new OperatingError(STATUS.featureUnavailable);
    return this.#clientDetails(own);
  }

  client(actor: Actor, number: number): ClientDetailsReply | null {
    const { authorizer, clients } = this.#dependencies;
    authorizer.require(actor, 'servers');
    const connection = clients.get(number);
    return connection?.isHeard === true ? this.#clientDetails(connection) : null;
  }

  clients(actor: Actor): readonly ClientReply[] {
    const { authorizer, clients } = this.#dependencies;
    authorizer.require(actor, 'servers');
    return clients.heard().map((connection) => this.#clientReply(connection));
  }

  user(actor: Actor, { userId }: GetUser): UserDetailsReply | null {
    const { authorizer, groups } = this.#dependencies;
    authorizer.requireUser(actor);
    const user = groups.metadata.state.findUser(userId);
    if (user === null) return null;
    if (user.id !== actor.userId) authorizer.require(actor, 'usersRead');
    return { ...userReply(user), permissions: user.permissions };
  }

  users(actor: Actor): readonly UserReply[] {
    const { authorizer, groups } = this.#dependencies;
    authorizer.require(actor, 'usersRead');
    return groups.metadata.state.users().map(userReply);
  }

  /** Without hashes. */
  tokens(actor: Actor): readonly TokenReply[] {
    const { authorizer, groups } = this.#dependencies;
    authorizer.requireUser(actor);
    const tokens = groups.metadata.state.tokens(actor.userId);
    return tokens.map(({ name, expiryAtUs }) => ({ name, expiryAtUs }));
  }

  stream(actor: Actor, { streamId }: GetStream): StreamDetailsReply | null {
    const { authorizer, groups } = this.#dependencies;
    authorizer.requireUser(actor);
    if (groups.metadata.state.findStream(streamId) === null) return null;
    const stream = authorizer.requireStream(actor, streamId, 'streamRead');
    const topics = groups.metadata.state.topics(stream.id);
    return {
      ...this.#counters.streamReply(stream),
      topics: topics.map((topic) => this.#counters.topicReply(topic)),
    };
  }

  streams(actor: Actor): readonly StreamReply[] {
    const { authorizer, groups } = this.#dependencies;
    authorizer.require(actor, 'streamsRead');
    return groups.metadata.state.streams().map((stream) => this.#counters.streamReply(stream));
  }

  topic(actor: Actor, command: GetTopic): TopicDetailsReply | null {
    const { authorizer } = this.#dependencies;
    authorizer.requireUser(actor);
    if (authorizer.findTopic(command) === null) return null;
    const { topic } = authorizer.requireTopic(actor, command, 'topicRead');
    return this.#counters.topicDetailsReply(topic);
  }

  /** A missing stream has no topics. */
  topics(actor: Actor, { streamId }: GetTopics): readonly TopicReply[] {
    const { authorizer, groups } = this.#dependencies;
    authorizer.requireUser(actor);
    if (groups.metadata.state.findStream(streamId) === null) return [];
    const stream = authorizer.requireStream(actor, streamId, 'topicsRead');
    const topics = groups.metadata.state.topics(stream.id);
    return topics.map((topic) => this.#counters.topicReply(topic));
  }

  /** errors: 1009, 2010, 41; a missing group is null. */
  group(actor: Actor, command: GetConsumerGroup): ConsumerGroupDetailsReply | null {
    const { authorizer } = this.#dependencies;
    const { topic } = authorizer.requireTopic(actor, command, 'topicRead');
    const group = authorizer.findGroup(topic, command.groupId);
    if (group === null) return null;
    const members = group.assignment.members.map(({ slot: id, partitions }) => ({
      id,
      partitions: [...partitions],
    }));
    return { ...groupReply(topic, group), members };
  }

  groups(actor: Actor, command: GetConsumerGroups): readonly ConsumerGroupReply[] {
    const { authorizer, groups } = this.#dependencies;
    const { topic } = authorizer.requireTopic(actor, command, 'topicRead');
    return groups.metadata.state.groups(topic).map((group) => groupReply(topic, group));
  }

  /** null: not a member, for whatever reason. A member without partitions has an empty list. */
  assignment(actor: Actor, command: SyncConsumerGroup): AssignmentReply | null {
    const { authorizer } = this.#dependencies;
    authorizer.requireUser(actor);
    const topic = authorizer.findTopic(command);
    const group = topic === null ? null : authorizer.findGroup(topic, command.groupId);
    if (group === null || actor.session === null) return null;
    const partitions = group.assignment.pollableBy(actor.session.client);
    return partitions === null ? null : { generation: group.assignment.generation, partitions };
  }

  #clientReply(connection: LocalConnection): ClientReply {
    const { state } = this.#dependencies.groups.metadata;
    const { session, peer, id: clientId } = connection;
    return {
      clientId,
      userId: session?.userId ?? null,
      transport: peer.transport,
      address: peer.address,
      consumerGroupsCount: session === null ? 0 : state.memberships(session.client).length,
    };
  }

  #clientDetails(connection: LocalConnection): ClientDetailsReply {
    const { state } = this.#dependencies.groups.metadata;
    const { session } = connection;
    const memberships = session === null ? [] : state.memberships(session.client);
    return {
      ...this.#clientReply(connection),
      consumerGroups: memberships.map(({ streamId, topicId, id: groupId }) => ({
        streamId,
        topicId,
        groupId,
      })),
    };
  }
}

function userReply({ id, createdAtUs, status, name }: UserView): UserReply {
  return { id, createdAtUs, status, username: name, options: [] };
}

function groupReply(topic: TopicView, group: GroupView): ConsumerGroupReply {
  const { id, name, assignment } = group;
  const partitionsCount = topic.partitions.length;
  return { id, partitionsCount, membersCount: assignment.membersCount, name };
}
