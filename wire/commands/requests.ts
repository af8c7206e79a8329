import type {
  Consumer,
  Identifier,
  Options,
  OptionsScope,
  Partitioning,
  Permissions,
  PollingStrategy,
  SnapshotCompression,
  SnapshotType,
  UserStatus,
} from './values.ts';

/**
 * Every command a client can give, free of any wire generation: one type per command, told apart
 * by `kind`. Codecs of a generation (`v09/`, `v08/`) decode frames into these and encode them.
 */

export interface Ping {
  readonly kind: 'ping';
}
export interface GetStats {
  readonly kind: 'getStats';
}
export interface GetSnapshot {
  readonly kind: 'getSnapshot';
  readonly compression: SnapshotCompression;
  readonly types: readonly SnapshotType[];
}
export interface GetClusterMetadata {
  readonly kind: 'getClusterMetadata';
}
export interface DescribeOptions {
  readonly kind: 'describeOptions';
  readonly scope: OptionsScope;
}
/** Lends the group identity of another session to this connection. */
export interface AttachConsumerSession {
  readonly kind: 'attachConsumerSession';
  readonly clientId: string;
  readonly session: number;
  readonly metadataWatermark: number;
}
export interface GetMe {
  readonly kind: 'getMe';
}
export interface GetClient {
  readonly kind: 'getClient';
  readonly clientId: number;
}
export interface GetClients {
  readonly kind: 'getClients';
}

export interface GetUser {
  readonly kind: 'getUser';
  readonly userId: Identifier;
}
export interface GetUsers {
  readonly kind: 'getUsers';
}
export interface CreateUser {
  readonly kind: 'createUser';
  readonly username: string;
  readonly password: string;
  readonly status: UserStatus;
  readonly permissions: Permissions | null;
  readonly options: Options;
}
export interface DeleteUser {
  readonly kind: 'deleteUser';
  readonly userId: Identifier;
}
/** null: unchanged. */
export interface UpdateUser {
  readonly kind: 'updateUser';
  readonly userId: Identifier;
  readonly username: string | null;
  readonly status: UserStatus | null;
  readonly options: Options;
}
/** null removes all permissions. */
export interface UpdatePermissions {
  readonly kind: 'updatePermissions';
  readonly userId: Identifier;
  readonly permissions: Permissions | null;
}
export interface ChangePassword {
  readonly kind: 'changePassword';
  readonly userId: Identifier;
  readonly currentPassword: string;
  readonly newPassword: string;
}
export interface GetPersonalAccessTokens {
  readonly kind: 'getPersonalAccessTokens';
}
/** expiryUs: life from now; 0 or Infinity is without end. */
export interface CreatePersonalAccessToken {
  readonly kind: 'createPersonalAccessToken';
  readonly name: string;
  readonly expiryUs: number;
}
export interface DeletePersonalAccessToken {
  readonly kind: 'deletePersonalAccessToken';
  readonly name: string;
}

export interface PollMessages {
  readonly kind: 'pollMessages';
  readonly consumer: Consumer;
  readonly streamId: Identifier;
  readonly topicId: Identifier;
  readonly partitionId: number | null;
  readonly strategy: PollingStrategy;
  readonly count: number;
  readonly autoCommit: boolean;
}
/** The same request, answered only by the primary of the partition. */
export type PollMessagesOnPrimary = Omit<PollMessages, 'kind'> & {
  readonly kind: 'pollMessagesOnPrimary';
};
export type GetPollRouting = Omit<PollMessages, 'kind'> & { readonly kind: 'getPollRouting' };

/** The routing part of SendMessages. The batch itself stays where it was received. */
export interface SendMessages {
  readonly kind: 'sendMessages';
  readonly streamId: Identifier;
  readonly topicId: Identifier;
  readonly partitioning: Partitioning;
  readonly messagesCount: number;
}
export interface FlushUnsavedBuffer {
  readonly kind: 'flushUnsavedBuffer';
  readonly streamId: Identifier;
  readonly topicId: Identifier;
  readonly partitionId: number;
  readonly fsync: boolean;
}

export interface GetConsumerOffset {
  readonly kind: 'getConsumerOffset';
  readonly consumer: Consumer;
  readonly streamId: Identifier;
  readonly topicId: Identifier;
  readonly partitionId: number | null;
}
export type GetConsumerOffsetRouting = Omit<GetConsumerOffset, 'kind'> & {
  readonly kind: 'getConsumerOffsetRouting';
};
export type AckLevel = 'none' | 'quorum';
export type StoreConsumerOffset = Omit<GetConsumerOffset, 'kind'> & {
  readonly kind: 'storeConsumerOffset';
  readonly offset: number;
  readonly ack: AckLevel;
};
export type DeleteConsumerOffset = Omit<GetConsumerOffset, 'kind'> & {
  readonly kind: 'deleteConsumerOffset';
  readonly ack: AckLevel;
};

export interface GetStream {
  readonly kind: 'getStream';
  readonly streamId: Identifier;
}
export interface GetStreams {
  readonly kind: 'getStreams';
}
export interface CreateStream {
  readonly kind: 'createStream';
  readonly name: string;
  readonly options: Options;
}
export interface DeleteStream {
  readonly kind: 'deleteStream';
  readonly streamId: Identifier;
}
export interface UpdateStream {
  readonly kind: 'updateStream';
  readonly streamId: Identifier;
  readonly name: string;
  readonly options: Options;
}
export interface PurgeStream {
  readonly kind: 'purgeStream';
  readonly streamId: Identifier;
}

interface OfTopic {
  readonly streamId: Identifier;
  readonly topicId: Identifier;
}
export interface GetTopic extends OfTopic {
  readonly kind: 'getTopic';
}
export interface GetTopics {
  readonly kind: 'getTopics';
  readonly streamId: Identifier;
}
export interface CreateTopic {
  readonly kind: 'createTopic';
  readonly streamId: Identifier;
  readonly partitionsCount: number;
  readonly name: string;
  readonly options: Options;
}
export interface DeleteTopic extends OfTopic {
  readonly kind: 'deleteTopic';
}
export interface UpdateTopic extends OfTopic {
  readonly kind: 'updateTopic';
  readonly name: string;
  readonly options: Options;
}
export interface PurgeTopic extends OfTopic {
  readonly kind: 'purgeTopic';
}
export interface CreatePartitions extends OfTopic {
  readonly kind: 'createPartitions';
  readonly partitionsCount: number;
}
export interface DeletePartitions extends OfTopic {
  readonly kind: 'deletePartitions';
  readonly partitionsCount: number;
}
export interface DeleteSegments extends OfTopic {
  readonly kind: 'deleteSegments';
  readonly partitionId: number;
  readonly segmentsCount: number;
}

interface OfGroup extends OfTopic {
  readonly groupId: Identifier;
}
export interface GetConsumerGroup extends OfGroup {
  readonly kind: 'getConsumerGroup';
}
export interface GetConsumerGroups extends OfTopic {
  readonly kind: 'getConsumerGroups';
}
export interface CreateConsumerGroup extends OfTopic {
  readonly kind: 'createConsumerGroup';
  readonly name: string;
}
export interface DeleteConsumerGroup extends OfGroup {
  readonly kind: 'deleteConsumerGroup';
}
export interface JoinConsumerGroup extends OfGroup {
  readonly kind: 'joinConsumerGroup';
}
export interface LeaveConsumerGroup extends OfGroup {
  readonly kind: 'leaveConsumerGroup';
}
export interface SyncConsumerGroup extends OfGroup {
  readonly kind: 'syncConsumerGroup';
}

/** What an SDK says of itself at login. protocolVersion: major << 20 | minor << 10 | patch. */
export interface ClientVersion {
  readonly protocolVersion: number;
  readonly sdkName: string;
  readonly sdkVersion: string;
}

/** Commands that change the replicated metadata, in the session's sequence of request numbers. */
export type MetadataCommand =
  | CreateUser
  | DeleteUser
  | UpdateUser
  | UpdatePermissions
  | ChangePassword
  | CreatePersonalAccessToken
  | DeletePersonalAccessToken
  | CreateStream
  | DeleteStream
  | UpdateStream
  | PurgeStream
  | CreateTopic
  | DeleteTopic
  | UpdateTopic
  | PurgeTopic
  | CreatePartitions
  | DeletePartitions
  | DeleteSegments
  | CreateConsumerGroup
  | DeleteConsumerGroup
  | JoinConsumerGroup
  | LeaveConsumerGroup;

/** Commands that append to a partition's group, in the same sequence of request numbers. */
export type PartitionCommand = SendMessages | StoreConsumerOffset | DeleteConsumerOffset;

/** Commands that change nothing durable and carry no request number. */
export type ReadCommand =
  | Ping
  | GetStats
  | GetSnapshot
  | GetClusterMetadata
  | DescribeOptions
  | AttachConsumerSession
  | GetMe
  | GetClient
  | GetClients
  | GetUser
  | GetUsers
  | GetPersonalAccessTokens
  | PollMessages
  | PollMessagesOnPrimary
  | GetPollRouting
  | FlushUnsavedBuffer
  | GetConsumerOffset
  | GetConsumerOffsetRouting
  | GetStream
  | GetStreams
  | GetTopic
  | GetTopics
  | GetConsumerGroup
  | GetConsumerGroups
  | SyncConsumerGroup;

export type Command = MetadataCommand | PartitionCommand | ReadCommand;
export type CommandKind = Command['kind'];
