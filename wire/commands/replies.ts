import type {
  CompressionAlgorithm,
  Options,
  Permissions,
  TransportKind,
  UserStatus,
} from './values.ts';

/**
 * What a command is answered with when it succeeds, free of any wire generation. `ReplyOf` maps a
 * command's kind to its reply; null is "no such thing" where the command asks for one thing.
 */

export interface LoginReply {
  readonly userId: number;
  readonly session: number;
  readonly serverProtocolVersion: number;
  readonly serverVersion: string;
}

export interface StatsReply {
  readonly processId: number;
  /** Percent of one machine's cores, 0..100 × cores for the process. */
  readonly cpuUsage: number;
  readonly totalCpuUsage: number;
  readonly memoryUsageBytes: number;
  readonly totalMemoryBytes: number;
  readonly availableMemoryBytes: number;
  readonly runTimeUs: number;
  readonly startTimeUs: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly messagesSizeBytes: number;
  readonly streamsCount: number;
  readonly topicsCount: number;
  readonly partitionsCount: number;
  readonly segmentsCount: number;
  readonly messagesCount: number;
  readonly clientsCount: number;
  readonly consumerGroupsCount: number;
  readonly hostname: string;
  readonly osName: string;
  readonly osVersion: string;
  readonly kernelVersion: string;
  readonly serverVersion: string;
  /** major × 1 000 000 + minor × 1 000 + patch, 0 is absent. */
  readonly serverSemver: number;
  readonly cacheMetrics: readonly CacheMetrics[];
  readonly threadsCount: number;
  readonly freeDiskBytes: number;
  readonly totalDiskBytes: number;
}
export interface CacheMetrics {
  readonly streamId: number;
  readonly topicId: number;
  readonly partitionId: number;
  readonly hits: number;
  readonly misses: number;
  readonly hitRatio: number;
}

export type NodeRole = 'leader' | 'follower';
export type NodeStatus = 'healthy' | 'starting' | 'stopping' | 'unreachable' | 'maintenance';
/** Ports: 0 is a transport that is not offered. */
export interface ClusterNode {
  readonly name: string;
  readonly ip: string;
  readonly tcpPort: number;
  readonly quicPort: number;
  readonly httpPort: number;
  readonly websocketPort: number;
  readonly role: NodeRole;
  readonly status: NodeStatus;
}
export interface ClusterMetadataReply {
  readonly name: string;
  readonly nodes: readonly ClusterNode[];
}

export interface OptionDescription {
  readonly key: string;
  readonly kind: number;
  readonly defaultValue: Uint8Array;
  readonly description: string;
}

/** clientId: the server's connection number. userId: null before login. */
export interface ClientReply {
  readonly clientId: number;
  readonly userId: number | null;
  readonly transport: TransportKind;
  readonly address: string;
  readonly consumerGroupsCount: number;
}
export interface ClientDetailsReply extends ClientReply {
  readonly consumerGroups: readonly {
    readonly streamId: number;
    readonly topicId: number;
    readonly groupId: number;
  }[];
}

export interface UserReply {
  readonly id: number;
  readonly createdAtUs: number;
  readonly status: UserStatus;
  readonly username: string;
  readonly options: Options;
}
export interface UserDetailsReply extends UserReply {
  readonly permissions: Permissions | null;
}

/** expiryAtUs: absolute time, null is without end. */
export interface TokenReply {
  readonly name: string;
  readonly expiryAtUs: number | null;
}
export interface RawTokenReply {
  readonly token: string;
}

export interface StreamReply {
  readonly id: number;
  readonly createdAtUs: number;
  readonly topicsCount: number;
  readonly sizeBytes: number;
  readonly messagesCount: number;
  readonly name: string;
  readonly options: Options;
}
export interface StreamDetailsReply extends StreamReply {
  readonly topics: readonly TopicReply[];
}

/** explicit: options the client sent; derived: defaults the server filled in. */
export interface TopicReply {
  readonly id: number;
  readonly createdAtUs: number;
  readonly partitionsCount: number;
  readonly messageExpiryUs: number;
  readonly compression: CompressionAlgorithm;
  readonly maxTopicSizeBytes: number;
  readonly sizeBytes: number;
  readonly messagesCount: number;
  readonly name: string;
  readonly explicitOptions: Options;
  readonly derivedOptions: Options;
}
export interface PartitionReply {
  readonly id: number;
  readonly createdAtUs: number;
  readonly segmentsCount: number;
  readonly currentOffset: number;
  readonly sizeBytes: number;
  readonly messagesCount: number;
}
export interface TopicDetailsReply extends TopicReply {
  readonly partitions: readonly PartitionReply[];
}

export interface ConsumerGroupReply {
  readonly id: number;
  readonly partitionsCount: number;
  readonly membersCount: number;
  readonly name: string;
}
export interface ConsumerGroupDetailsReply extends ConsumerGroupReply {
  readonly members: readonly { readonly id: number; readonly partitions: readonly number[] }[];
}
export interface AssignmentReply {
  readonly generation: number;
  readonly partitions: readonly number[];
}

export interface Confirmation {
  readonly streamId: number;
  readonly topicId: number;
  readonly partitionId: number;
  readonly baseOffset: number;
}
export interface SendMessagesReply {
  readonly confirmations: readonly Confirmation[];
}
export interface ConsumerOffsetReply {
  readonly partitionId: number;
  readonly currentOffset: number;
  readonly storedOffset: number;
}

/** The head of a poll reply; batch records follow it on the wire. */
export interface PolledHeader {
  readonly partitionId: number;
  readonly currentOffset: number;
  readonly messagesCount: number;
}
/** Partition id of a poll reply that says: synchronise your group assignment. */
export const PARTITION_ID_RESYNC = 0xffff_ffff;

export interface RoutingReply {
  readonly clientId: string;
  readonly session: number;
  readonly metadataWatermark: number;
  readonly node: ClusterNode;
}

/** Reply of each command kind that has one of its own; every other command answers nothing. */
export interface ReplyOf {
  getStats: StatsReply;
  getSnapshot: Uint8Array;
  getClusterMetadata: ClusterMetadataReply;
  describeOptions: readonly OptionDescription[];
  getMe: ClientDetailsReply;
  getClient: ClientDetailsReply | null;
  getClients: readonly ClientReply[];
  getUser: UserDetailsReply | null;
  getUsers: readonly UserReply[];
  createUser: UserDetailsReply;
  getPersonalAccessTokens: readonly TokenReply[];
  createPersonalAccessToken: RawTokenReply;
  sendMessages: SendMessagesReply;
  getConsumerOffset: ConsumerOffsetReply | null;
  getPollRouting: RoutingReply;
  getConsumerOffsetRouting: RoutingReply;
  getStream: StreamDetailsReply | null;
  getStreams: readonly StreamReply[];
  createStream: StreamReply;
  getTopic: TopicDetailsReply | null;
  getTopics: readonly TopicReply[];
  createTopic: TopicDetailsReply;
  getConsumerGroup: ConsumerGroupDetailsReply | null;
  getConsumerGroups: readonly ConsumerGroupReply[];
  createConsumerGroup: ConsumerGroupDetailsReply;
  syncConsumerGroup: AssignmentReply | null;
}
