import assert from 'node:assert/strict';
import type { ClientVersion } from '@iggy-ts/wire/commands/requests';
import type { Identifier, Options, Permissions, UserStatus } from '@iggy-ts/wire/commands/values';
import { decodeValue, encodeValue } from './value-codec.ts';

/**
 * Every operation of the metadata group. Things are named as the client named them and looked up
 * when the op is applied, so that what an op means depends on its place in the log alone.
 *
 * shape    caller: user id whose permissions are checked at execution; null is the server itself.
 *          client: id of a session, 32 hex characters. uuid: of a partition, 32 hex characters,
 *          given out by the proposer. hashes: text made by the proposer; no secret is in an op.
 */
interface Op {
  readonly caller: number | null;
}

/** Opens a session, or takes over the one of the same client and user. Its epoch is the op number. */
export interface RegisterOp extends Op {
  readonly kind: 'register';
  readonly client: string;
  readonly userId: number;
  /** A session to remove for its place, because the table is full. */
  readonly evict: string | null;
  readonly version: ClientVersion | null;
}
/** Ends a session, unless somebody registered it again since: `session` is the epoch to end. */
export interface LogoutOp extends Op {
  readonly kind: 'logout';
  readonly client: string;
  readonly session: number;
}
/** After a start of the server nobody is connected: takes every member out of every group. */
export interface EndMembershipsOp extends Op {
  readonly kind: 'endMemberships';
}
/** Creates user 0; does nothing when it exists. */
export interface CreateRootOp extends Op {
  readonly kind: 'createRoot';
  readonly username: string;
  readonly passwordHash: string;
}

export interface CreateStreamOp extends Op {
  readonly kind: 'createStream';
  readonly name: string;
}
interface OfStream extends Op {
  readonly streamId: Identifier;
}
export interface UpdateStreamOp extends OfStream {
  readonly kind: 'updateStream';
  readonly name: string;
}
export interface DeleteStreamOp extends OfStream {
  readonly kind: 'deleteStream';
}
export interface PurgeStreamOp extends OfStream {
  readonly kind: 'purgeStream';
}

/** Options as `resolveTopicOptions` made them; one uuid per partition, 0..1000. */
export interface CreateTopicOp extends OfStream {
  readonly kind: 'createTopic';
  readonly name: string;
  readonly explicit: Options;
  readonly derived: Options;
  readonly uuids: readonly string[];
}
interface OfTopic extends OfStream {
  readonly topicId: Identifier;
}
/** Options as `resolveTopicUpdate` made them: only what changes. */
export interface UpdateTopicOp extends OfTopic {
  readonly kind: 'updateTopic';
  readonly name: string;
  readonly options: Options;
}
export interface DeleteTopicOp extends OfTopic {
  readonly kind: 'deleteTopic';
}
export interface PurgeTopicOp extends OfTopic {
  readonly kind: 'purgeTopic';
}
export interface CreatePartitionsOp extends OfTopic {
  readonly kind: 'createPartitions';
  readonly uuids: readonly string[];
}
export interface DeletePartitionsOp extends OfTopic {
  readonly kind: 'deletePartitions';
  readonly partitionsCount: number;
}
/**
 * Everything below `trimOffset` may go, for good. The offset was read from one incarnation of the
 * partition: on another one (`uuid`, `purge` differ) the op succeeds and does nothing.
 */
export interface DeleteSegmentsOp extends OfTopic {
  readonly kind: 'deleteSegments';
  readonly partitionId: number;
  readonly uuid: string;
  readonly purge: number;
  readonly trimOffset: number;
}

export interface CreateConsumerGroupOp extends OfTopic {
  readonly kind: 'createConsumerGroup';
  readonly name: string;
}
interface OfGroup extends OfTopic {
  readonly groupId: Identifier;
}
export interface DeleteConsumerGroupOp extends OfGroup {
  readonly kind: 'deleteConsumerGroup';
}
/** inFlight: partitions whose owner was served further than it stored, as the proposer saw it. */
export interface JoinConsumerGroupOp extends OfGroup {
  readonly kind: 'joinConsumerGroup';
  readonly client: string;
  readonly inFlight: readonly number[];
}
export interface LeaveConsumerGroupOp extends OfGroup {
  readonly kind: 'leaveConsumerGroup';
  readonly client: string;
}
/**
 * Hands partitions over to those who wait for them. A revocation is named by its partition and the
 * op that began it, so that none but the ones the proposer looked at is completed.
 */
export interface CompleteRevocationsOp extends Op {
  readonly kind: 'completeRevocations';
  readonly streamId: number;
  readonly topicId: number;
  readonly groupId: number;
  readonly revocations: readonly { readonly partitionId: number; readonly sinceOp: number }[];
  /** As in a join: members left without a partition are served when nothing is pending any more. */
  readonly inFlight: readonly number[];
}

export interface CreateUserOp extends Op {
  readonly kind: 'createUser';
  readonly username: string;
  readonly passwordHash: string;
  readonly status: UserStatus;
  readonly permissions: Permissions | null;
}
interface OfUser extends Op {
  readonly userId: Identifier;
}
export interface DeleteUserOp extends OfUser {
  readonly kind: 'deleteUser';
}
export interface UpdateUserOp extends OfUser {
  readonly kind: 'updateUser';
  readonly username: string | null;
  readonly status: UserStatus | null;
}
export interface UpdatePermissionsOp extends OfUser {
  readonly kind: 'updatePermissions';
  readonly permissions: Permissions | null;
}
/** currentHash: the hash the current password was verified against; another one since then: 42. */
export interface ChangePasswordOp extends OfUser {
  readonly kind: 'changePassword';
  readonly currentHash: string;
  readonly passwordHash: string;
}
/** expiryAtUs: absolute; null is without end. */
export interface CreateTokenOp extends Op {
  readonly kind: 'createToken';
  readonly userId: number;
  readonly name: string;
  readonly tokenHash: string;
  readonly expiryAtUs: number | null;
}
export interface DeleteTokenOp extends Op {
  readonly kind: 'deleteToken';
  readonly userId: number;
  readonly name: string;
}
/** Removes the tokens that have expired by the time of the log. */
export interface CleanTokensOp extends Op {
  readonly kind: 'cleanTokens';
}

export type MetadataOp =
  | RegisterOp
  | LogoutOp
  | EndMembershipsOp
  | CreateRootOp
  | CreateStreamOp
  | UpdateStreamOp
  | DeleteStreamOp
  | PurgeStreamOp
  | CreateTopicOp
  | UpdateTopicOp
  | DeleteTopicOp
  | PurgeTopicOp
  | CreatePartitionsOp
  | DeletePartitionsOp
  | DeleteSegmentsOp
  | CreateConsumerGroupOp
  | DeleteConsumerGroupOp
  | JoinConsumerGroupOp
  | LeaveConsumerGroupOp
  | CompleteRevocationsOp
  | CreateUserOp
  | DeleteUserOp
  | UpdateUserOp
  | UpdatePermissionsOp
  | ChangePasswordOp
  | CreateTokenOp
  | DeleteTokenOp
  | CleanTokensOp;

/** First byte of every body; raised when old bodies can no longer be read by the same code. */
const FORMAT = 1;

/** The body of an op in the log. */
export function encodeMetadataOp(op: MetadataOp): Uint8Array {
  const value = encodeValue(op);
  const bytes = new Uint8Array(1 + value.length);
  bytes[0] = FORMAT;
  bytes.set(value, 1);
  return bytes;
}

/** Reads a body back. The log has verified its checksum: anything unreadable is a bug. */
export function decodeMetadataOp(bytes: Uint8Array): MetadataOp {
  assert(bytes.length > 1);
  assert.equal(bytes[0], FORMAT, 'format of a metadata op');
  const op = decodeValue(bytes.subarray(1)) as MetadataOp;
  assert(typeof op === 'object' && op !== null);
  assert(typeof op.kind === 'string');
  return op;
}
