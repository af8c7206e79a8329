import type {
  GlobalPermissions,
  Permissions,
  StreamPermissions,
  TopicPermissions,
} from '@iggy-ts/wire/commands/values';

// Which flags grant what: one row per permission name, any flag of its row is enough.

/** Names an action that somebody may or may not do. */
export type PermissionName =
  | 'servers'
  | 'usersRead'
  | 'usersManage'
  | 'streamsRead'
  | 'streamRead'
  | 'streamsManage'
  | 'streamManage'
  | 'topicsRead'
  | 'topicRead'
  | 'topicsManage'
  | 'topicManage'
  | 'poll'
  | 'send';

type StreamFlag = Exclude<keyof StreamPermissions, 'topics'>;

interface Row {
  readonly global: readonly (keyof GlobalPermissions)[];
  readonly stream: readonly StreamFlag[];
  readonly topic: readonly (keyof TopicPermissions)[];
}

const GLOBAL_TOPICS_READ = ['manageStreams', 'readStreams', 'manageTopics', 'readTopics'] as const;
const STREAM_TOPICS_READ = ['manageStream', 'readStream', 'manageTopics', 'readTopics'] as const;
const GLOBAL_TOPICS_MANAGE = ['manageStreams', 'manageTopics'] as const;
const STREAM_TOPICS_MANAGE = ['manageStream', 'manageTopics'] as const;

const ROWS: Readonly<Record<PermissionName, Row>> = {
  servers: { global: ['manageServers', 'readServers'], stream: [], topic: [] },
  usersRead: { global: ['manageUsers', 'readUsers'], stream: [], topic: [] },
  usersManage: { global: ['manageUsers'], stream: [], topic: [] },
  streamsRead: { global: ['manageStreams', 'readStreams'], stream: [], topic: [] },
  streamRead: {
    global: ['manageStreams', 'readStreams'],
    stream: ['manageStream', 'readStream'],
    topic: [],
  },
  streamsManage: { global: ['manageStreams'], stream: [], topic: [] },
  streamManage: { global: ['manageStreams'], stream: ['manageStream'], topic: [] },
  topicsRead: { global: GLOBAL_TOPICS_READ, stream: STREAM_TOPICS_READ, topic: [] },
  topicRead: {
    global: GLOBAL_TOPICS_READ,
    stream: STREAM_TOPICS_READ,
    topic: ['manageTopic', 'readTopic'],
  },
  topicsManage: { global: GLOBAL_TOPICS_MANAGE, stream: STREAM_TOPICS_MANAGE, topic: [] },
  topicManage: {
    global: GLOBAL_TOPICS_MANAGE,
    stream: STREAM_TOPICS_MANAGE,
    topic: ['manageTopic'],
  },
  poll: {
    global: ['pollMessages', ...GLOBAL_TOPICS_READ],
    stream: ['pollMessages', ...STREAM_TOPICS_READ],
    topic: ['manageTopic', 'readTopic', 'pollMessages'],
  },
  send: {
    global: ['sendMessages', ...GLOBAL_TOPICS_MANAGE],
    stream: ['sendMessages', ...STREAM_TOPICS_MANAGE],
    topic: ['manageTopic', 'sendMessages'],
  },
};

/**
 * Whether these permissions grant an action. Knows no root: its flags are all set anyway.
 *
 * shape    streamId, topicId: what the action is done to; null where the action has none
 * cost     no allocation, at most 17 flags looked at
 * source   wire 0.9, 13.1
 */
export function permits(
  permissions: Permissions | null,
  name: PermissionName,
  streamId: number | null,
  topicId: number | null,
): boolean {
  if (permissions === null) return false;
  const row = ROWS[name];
  for (const flag of row.global) if (permissions.global[flag]) return true;
  if (streamId === null) return false;
  const stream = permissions.streams?.get(streamId);
  if (stream === undefined) return false;
  for (const flag of row.stream) if (stream[flag]) return true;
  if (topicId === null) return false;
  const topic = stream.topics?.get(topicId);
  if (topic === undefined) return false;
  for (const flag of row.topic) if (topic[flag]) return true;
  return false;
}

/** What the root user may do: everything, and nobody can take it away. */
export const ROOT_PERMISSIONS: Permissions = {
  global: {
    manageServers: true,
    readServers: true,
    manageUsers: true,
    readUsers: true,
    manageStreams: true,
    readStreams: true,
    manageTopics: true,
    readTopics: true,
    pollMessages: true,
    sendMessages: true,
  },
  streams: null,
};

/** The same permissions without what they say of a stream; its id will be given to another one. */
export function withoutStream(permissions: Permissions, streamId: number): Permissions {
  if (permissions.streams?.has(streamId) !== true) return permissions;
  const streams = new Map(permissions.streams);
  streams.delete(streamId);
  return { global: permissions.global, streams: streams.size === 0 ? null : streams };
}

/** The same permissions without what they say of one topic. */
export function withoutTopic(
  permissions: Permissions,
  of: { readonly streamId: number; readonly topicId: number },
): Permissions {
  const stream = permissions.streams?.get(of.streamId);
  if (stream?.topics?.has(of.topicId) !== true) return permissions;
  const topics = new Map(stream.topics);
  topics.delete(of.topicId);
  const streams = new Map(permissions.streams);
  streams.set(of.streamId, { ...stream, topics: topics.size === 0 ? null : topics });
  return { global: permissions.global, streams };
}

/** The same permissions with their entries in ascending order of ids, whatever order they came in. */
export function sortedPermissions(permissions: Permissions): Permissions {
  const { global, streams } = permissions;
  if (streams === null) return permissions;
  const sorted = [...streams]
    .sort(([left], [right]) => left - right)
    .map(([id, stream]): [number, StreamPermissions] => {
      const topics =
        stream.topics === null
          ? null
          : new Map([...stream.topics].sort(([left], [right]) => left - right));
      return [id, { ...stream, topics }];
    });
  return { global, streams: new Map(sorted) };
}
