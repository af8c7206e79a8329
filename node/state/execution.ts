import type { Identifier } from '@iggy-ts/wire/commands/values';
import { STATUS } from '@iggy-ts/wire/status';
import { encodeUtf8 } from '@iggy-ts/wire/utf8';
import type { Group, Stream, Tables, Topic, User } from './metadata-tables.ts';
import type { Change, MetadataReply, Origin } from './outcome.ts';
import { type PermissionName, permits } from './permissions.ts';

/** User 0: has every right, which nobody can take from it, and cannot be deleted. */
export const ROOT_USER_ID = 0;
const NAME_BYTES_MAX = 255;

/** One op being applied: the tables it changes, and what it asks of other rooms. */
export interface Execution {
  readonly tables: Tables;
  readonly origin: Origin;
  readonly changes: Change[];
}

/** How an op ended: `code` 0 with its reply, or a refusal, or the end of the session. */
export interface Result {
  readonly code: number;
  readonly reply: MetadataReply;
  readonly eviction: number;
}

export const DONE: Result = { code: 0, reply: null, eviction: 0 };

export function answer(reply: MetadataReply): Result {
  return { code: 0, reply, eviction: 0 };
}

export function refuse(code: number): Result {
  return { code, reply: null, eviction: 0 };
}

export function evict(reason: number): Result {
  return { code: 0, reply: null, eviction: reason };
}

/** Whether the caller of an op may do this; null is the server itself. */
export function mayExecute(
  tables: Tables,
  caller: number | null,
  name: PermissionName,
  of: { readonly streamId: number; readonly topicId: number } | null,
): boolean {
  if (caller === null) return true;
  const user = tables.users.get(caller);
  if (user === null) return false;
  if (of === null) return permits(user.permissions, name, null, null);
  return permits(user.permissions, name, of.streamId, of.topicId < 0 ? null : of.topicId);
}

interface OfStream {
  readonly caller: number | null;
  readonly streamId: Identifier;
}

/** The stream an op names, or why it is refused: existence first, then the permission. */
export function reachStream(
  tables: Tables,
  op: OfStream,
  name: PermissionName,
): { readonly stream: Stream } | number {
  const stream = tables.streams.find(op.streamId);
  if (stream === null) return STATUS.streamIdNotFound;
  const allowed = mayExecute(tables, op.caller, name, { streamId: stream.id, topicId: -1 });
  return allowed ? { stream } : STATUS.unauthorized;
}

interface OfTopic extends OfStream {
  readonly topicId: Identifier;
}

/** The topic an op names, or why it is refused. */
export function reachTopic(
  tables: Tables,
  op: OfTopic,
  name: PermissionName,
): { readonly stream: Stream; readonly topic: Topic } | number {
  const stream = tables.streams.find(op.streamId);
  if (stream === null) return STATUS.streamIdNotFound;
  const topic = stream.topics.find(op.topicId);
  if (topic === null) return STATUS.topicIdNotFound;
  const allowed = mayExecute(tables, op.caller, name, { streamId: stream.id, topicId: topic.id });
  return allowed ? { stream, topic } : STATUS.unauthorized;
}

/** The group an op names, or why it is refused. Whoever may read the topic may use its groups. */
export function reachGroup(
  tables: Tables,
  op: OfTopic & { readonly groupId: Identifier },
): { readonly topic: Topic; readonly group: Group } | number {
  const stream = tables.streams.find(op.streamId);
  if (stream === null) return STATUS.streamIdNotFound;
  const topic = stream.topics.find(op.topicId);
  if (topic === null) return STATUS.topicIdNotFound;
  const of = { streamId: stream.id, topicId: topic.id };
  if (!mayExecute(tables, op.caller, 'topicRead', of)) return STATUS.unauthorized;
  const group = topic.groups.find(op.groupId);
  return group === null ? STATUS.consumerGroupIdNotFound : { topic, group };
}

/**
 * The user an op names, or why it is refused: the permission first, so that who may not manage
 * users does not learn which of them exist. The real server does the same.
 */
export function reachUser(
  tables: Tables,
  op: { readonly caller: number | null; readonly userId: Identifier },
): { readonly user: User } | number {
  if (!mayExecute(tables, op.caller, 'usersManage', null)) return STATUS.unauthorized;
  const user = tables.users.find(op.userId);
  return user === null ? STATUS.resourceNotFound : { user };
}

/** Length of a text in UTF-8. */
export function utf8Bytes(text: string): number {
  return encodeUtf8(text).length;
}

/** Whether a text may name a stream, topic or group. */
export function isName(text: string): boolean {
  return text.length > 0 && text.length <= NAME_BYTES_MAX && utf8Bytes(text) <= NAME_BYTES_MAX;
}
