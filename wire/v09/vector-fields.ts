import assert from 'node:assert/strict';
import type {
  ClientReply,
  ClusterNode,
  ConsumerGroupReply,
  NodeRole,
  NodeStatus,
  StatsReply,
  StreamReply,
  TopicReply,
  UserReply,
} from '../commands/replies.ts';
import type { Command, CommandKind } from '../commands/requests.ts';
import type {
  Identifier,
  Option,
  Partitioning,
  Permissions,
  PollingStrategy,
  SnapshotCompression,
  SnapshotType,
} from '../commands/values.ts';
import { parseHex } from '../hex.ts';
import type { UserHeader } from '../user-headers.ts';

// Only for tests: turns the fields of testdata/vectors.json into commands and replies. The names on
// the right are those of the vectors, the names on the left are ours.

/** Decoded values of a vector; 64-bit and larger numbers are decimal text. */
// biome-ignore lint/suspicious/noExplicitAny: JSON from the outside, checked by what it is compared with
export type Fields = any;

const KINDS: Readonly<Record<CommandKind, true>> = {
  ping: true,
  getStats: true,
  getSnapshot: true,
  getClusterMetadata: true,
  describeOptions: true,
  attachConsumerSession: true,
  getMe: true,
  getClient: true,
  getClients: true,
  getUser: true,
  getUsers: true,
  createUser: true,
  deleteUser: true,
  updateUser: true,
  updatePermissions: true,
  changePassword: true,
  getPersonalAccessTokens: true,
  createPersonalAccessToken: true,
  deletePersonalAccessToken: true,
  pollMessages: true,
  sendMessages: true,
  flushUnsavedBuffer: true,
  getPollRouting: true,
  pollMessagesOnPrimary: true,
  getConsumerOffset: true,
  storeConsumerOffset: true,
  deleteConsumerOffset: true,
  getConsumerOffsetRouting: true,
  getStream: true,
  getStreams: true,
  createStream: true,
  deleteStream: true,
  updateStream: true,
  purgeStream: true,
  getTopic: true,
  getTopics: true,
  createTopic: true,
  deleteTopic: true,
  updateTopic: true,
  purgeTopic: true,
  createPartitions: true,
  deletePartitions: true,
  deleteSegments: true,
  getConsumerGroup: true,
  getConsumerGroups: true,
  createConsumerGroup: true,
  deleteConsumerGroup: true,
  joinConsumerGroup: true,
  leaveConsumerGroup: true,
  syncConsumerGroup: true,
};

/** Every command there is. */
export const COMMAND_KINDS: readonly CommandKind[] = Object.keys(KINDS) as CommandKind[];

/** Thrown by `u64` for a number that this house refuses to decode. */
export class TooLarge extends Error {}

function u64(text: string): number {
  const value = BigInt(text);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new TooLarge();
  return Number(value);
}

function u64OrInfinity(text: string): number {
  return BigInt(text) === 2n ** 64n - 1n ? Number.POSITIVE_INFINITY : u64(text);
}

export function u128(text: string): string {
  const value = BigInt(text).toString(16).padStart(32, '0');
  return Buffer.from(value, 'hex').reverse().toString('hex');
}

export function identifier(fields: Fields): Identifier {
  if (fields.name === undefined) return { kind: 'id', id: fields.id };
  return { kind: 'name', name: fields.name };
}

export function strategy({ kind, value }: Fields): PollingStrategy {
  if (kind === 'offset') return { kind, offset: u64(value) };
  if (kind === 'timestamp') return { kind, timestampUs: u64(value) };
  assert(value === '0');
  return { kind };
}

export function partitioning({ kind, partition, keyHex }: Fields): Partitioning {
  if (kind === 'partition') return { kind, partitionId: partition };
  if (kind === 'key') return { kind, key: parseHex(keyHex) };
  return { kind };
}

export function options(list: readonly Fields[]): Option[] {
  return list.map(({ key, kind, valueHex }) => ({ key, kind, value: parseHex(valueHex) }));
}

export function userHeaders(list: readonly Fields[]): UserHeader[] {
  return list.map(({ keyKind, keyHex, valueKind, valueHex }) => ({
    keyKind,
    key: parseHex(keyHex),
    valueKind,
    value: parseHex(valueHex),
  }));
}

/** manage_servers → manageServers, for all flags of a block; ids are left out. */
function flags(fields: Fields): Record<string, boolean> {
  const camel = (name: string) => name.replaceAll(/_(\w)/gu, (_, letter) => letter.toUpperCase());
  const entries = Object.entries(fields).filter(([, value]) => typeof value === 'boolean');
  return Object.fromEntries(entries.map(([name, value]) => [camel(name), value as boolean]));
}

export function permissions(fields: Fields): Permissions | null {
  if (fields === null) return null;
  const topics = (list: Fields[]) =>
    list.length === 0 ? null : new Map(list.map((topic) => [topic.topic_id, flags(topic)]));
  const streams = fields.streams.map((stream: Fields) => [
    stream.stream_id,
    { ...flags(stream), topics: topics(stream.topics) },
  ]);
  const named = streams.length === 0 ? null : new Map(streams);
  return { global: flags(fields.global), streams: named } as unknown as Permissions;
}

const STATUS_WORDS = ['', 'active', 'inactive'] as const;
const COMPRESSION_WORDS = ['', 'none', 'gzip'] as const;
const TRANSPORT_WORDS = ['', 'tcp', 'quic', 'http', 'websocket'] as const;
const ACK_WORDS = ['none', 'quorum'] as const;
const SCOPE_WORDS = ['', 'topic', 'stream', 'user'] as const;
const SNAPSHOT_COMPRESSIONS = ['', 'stored', 'deflated', 'bzip2', 'zstd', 'lzma', 'xz'];
const SNAPSHOT_TYPES = [
  '',
  'filesystemOverview',
  'processList',
  'resourceUsage',
  'test',
  'serverLogs',
  'serverConfig',
];

/** The command that a request body stands for, as the vector's fields say it. */
export function commandOf(kind: CommandKind, fields: Fields): Command {
  return { kind, ...ofRequest(kind, fields) } as unknown as Command;
}

function ofRequest(kind: CommandKind, f: Fields): object {
  const ids = {
    ...(f.user === undefined ? {} : { userId: identifier(f.user) }),
    ...(f.stream === undefined ? {} : { streamId: identifier(f.stream) }),
    ...(f.topic === undefined ? {} : { topicId: identifier(f.topic) }),
    ...(f.group === undefined ? {} : { groupId: identifier(f.group) }),
  };
  const name = f.name === undefined ? {} : { name: f.name };
  const optionsOf = f.options === undefined ? {} : { options: options(f.options) };
  const common = { ...ids, ...name, ...optionsOf };
  const ofConsumer = () => ({
    ...common,
    consumer: { kind: f.consumer.kind, id: identifier(f.consumer.id) },
    partitionId: f.partition,
  });
  switch (kind) {
    case 'getSnapshot':
      return {
        compression: SNAPSHOT_COMPRESSIONS[f.compression] as SnapshotCompression,
        types: f.types.map(
          (type: number) => (type === 100 ? 'all' : SNAPSHOT_TYPES[type]) as SnapshotType,
        ),
      };
    case 'describeOptions':
      return { scope: SCOPE_WORDS[f.scope] };
    case 'attachConsumerSession':
      return {
        clientId: u128(f.client_id),
        session: u64(f.session),
        metadataWatermark: u64(f.metadata_watermark),
      };
    case 'getClient':
      return { clientId: f.client_id };
    case 'createUser':
      return {
        ...common,
        username: f.username,
        password: f.password,
        status: STATUS_WORDS[f.status],
        permissions: permissions(f.permissions),
      };
    case 'updateUser':
      return {
        ...common,
        username: f.username,
        status: f.status === null ? null : STATUS_WORDS[f.status],
      };
    case 'updatePermissions':
      return { ...common, permissions: permissions(f.permissions) };
    case 'changePassword':
      return { ...common, currentPassword: f.current, newPassword: f.new };
    case 'createPersonalAccessToken':
      return { ...common, expiryUs: u64OrInfinity(f.expiry) };
    case 'pollMessages':
    case 'pollMessagesOnPrimary':
    case 'getPollRouting':
      return {
        ...ofConsumer(),
        strategy: strategy(f.strategy),
        count: f.count,
        autoCommit: f.auto_commit,
      };
    case 'sendMessages':
      return {
        ...common,
        partitioning: partitioning(f.partitioning),
        messagesCount: f.messages_count,
      };
    case 'flushUnsavedBuffer':
      return { ...common, partitionId: f.partition, fsync: f.fsync };
    case 'getConsumerOffset':
    case 'getConsumerOffsetRouting':
      return ofConsumer();
    case 'storeConsumerOffset':
      return { ...ofConsumer(), offset: u64(f.offset), ack: ACK_WORDS[f.ack] };
    case 'deleteConsumerOffset':
      return { ...ofConsumer(), ack: ACK_WORDS[f.ack] };
    case 'createTopic':
    case 'createPartitions':
    case 'deletePartitions':
      return { ...common, partitionsCount: f.partitions };
    case 'deleteSegments':
      return { ...common, partitionId: f.partition, segmentsCount: f.segments };
    default:
      return common;
  }
}

const NODE_ROLES: readonly NodeRole[] = ['leader', 'follower'];
const NODE_STATUSES: readonly NodeStatus[] = [
  'healthy',
  'starting',
  'stopping',
  'unreachable',
  'maintenance',
];

function node(f: Fields): ClusterNode {
  return {
    name: f.name,
    ip: f.ip,
    tcpPort: f.tcp,
    quicPort: f.quic,
    httpPort: f.http,
    websocketPort: f.websocket,
    role: NODE_ROLES[f.role]!,
    status: NODE_STATUSES[f.status]!,
  };
}

function client(f: Fields): ClientReply {
  return {
    clientId: f.client_id,
    userId: f.user_id === 0xffff_ffff ? null : f.user_id,
    transport: TRANSPORT_WORDS[f.transport] as ClientReply['transport'],
    address: f.address,
    consumerGroupsCount: f.groups,
  };
}

function user(f: Fields): UserReply {
  return {
    id: f.id,
    createdAtUs: u64(f.created_at),
    status: STATUS_WORDS[f.status] as UserReply['status'],
    username: f.username,
    options: options(f.options),
  };
}

function stream(f: Fields): StreamReply {
  return {
    id: f.id,
    createdAtUs: u64(f.created_at),
    topicsCount: f.topics,
    sizeBytes: u64(f.size),
    messagesCount: u64(f.messages),
    name: f.name,
    options: options(f.options),
  };
}

function topic(f: Fields): TopicReply {
  return {
    id: f.id,
    createdAtUs: u64(f.created_at),
    partitionsCount: f.partitions,
    messageExpiryUs: u64OrInfinity(f.message_expiry),
    compression: COMPRESSION_WORDS[f.compression] as TopicReply['compression'],
    maxTopicSizeBytes: u64OrInfinity(f.max_topic_size),
    sizeBytes: u64(f.size),
    messagesCount: u64(f.messages),
    name: f.name,
    explicitOptions: options(f.options),
    derivedOptions: options(f.derived),
  };
}

function group(f: Fields): ConsumerGroupReply {
  return { id: f.id, partitionsCount: f.partitions, membersCount: f.members, name: f.name };
}

function stats(f: Fields): StatsReply {
  return {
    processId: f.process_id,
    cpuUsage: f.cpu,
    totalCpuUsage: f.total_cpu,
    memoryUsageBytes: u64(f.memory),
    totalMemoryBytes: u64(f.total_memory),
    availableMemoryBytes: u64(f.available_memory),
    runTimeUs: u64(f.run_time),
    startTimeUs: u64(f.start_time),
    readBytes: u64(f.read_bytes),
    writtenBytes: u64(f.written_bytes),
    messagesSizeBytes: u64(f.messages_size),
    streamsCount: f.streams,
    topicsCount: f.topics,
    partitionsCount: f.partitions,
    segmentsCount: f.segments,
    messagesCount: u64(f.messages),
    clientsCount: f.clients,
    consumerGroupsCount: f.groups,
    hostname: f.hostname,
    osName: f.os_name,
    osVersion: f.os_version,
    kernelVersion: f.kernel_version,
    serverVersion: f.server_version,
    serverSemver: f.semver,
    cacheMetrics: f.cache.map((entry: Fields) => ({
      streamId: entry.stream_id,
      topicId: entry.topic_id,
      partitionId: entry.partition_id,
      hits: u64(entry.hits),
      misses: u64(entry.misses),
      hitRatio: entry.hit_ratio,
    })),
    threadsCount: f.threads,
    freeDiskBytes: u64(f.free_disk),
    totalDiskBytes: u64(f.total_disk),
  };
}

/** Readers of reply fields by the `what` of a vector, with the kinds that answer so. */
export const REPLIES: Readonly<
  Record<string, { readonly kinds: readonly CommandKind[]; readonly of: (f: Fields) => unknown }>
> = {
  stats: { kinds: ['getStats'], of: stats },
  snapshot: { kinds: ['getSnapshot'], of: (f) => parseHex(f.dataHex) },
  cluster_metadata: {
    kinds: ['getClusterMetadata'],
    of: (f) => ({ name: f.name, nodes: f.nodes.map(node) }),
  },
  describe_options_reply: {
    kinds: ['describeOptions'],
    of: (f) =>
      f.entries.map(({ key, kind, defaultHex, description }: Fields) => ({
        key,
        kind,
        defaultValue: parseHex(defaultHex),
        description,
      })),
  },
  client_details: {
    kinds: ['getMe', 'getClient'],
    of: (f) => ({
      ...client(f.client),
      consumerGroups: f.groups.map((entry: Fields) => ({
        streamId: entry.stream_id,
        topicId: entry.topic_id,
        groupId: entry.group_id,
      })),
    }),
  },
  clients: { kinds: ['getClients'], of: (f) => f.clients.map(client) },
  user_details: {
    kinds: ['getUser', 'createUser'],
    of: (f) => ({ ...user(f.user), permissions: permissions(f.permissions) }),
  },
  users: { kinds: ['getUsers'], of: (f) => f.users.map(user) },
  tokens: {
    kinds: ['getPersonalAccessTokens'],
    of: (f) =>
      f.tokens.map((token: Fields) => ({
        name: token.name,
        expiryAtUs: token.expiry_at === '0' ? null : u64(token.expiry_at),
      })),
  },
  raw_token: { kinds: ['createPersonalAccessToken'], of: (f) => ({ token: f.token }) },
  send_messages_reply: {
    kinds: ['sendMessages'],
    of: (f) => ({
      confirmations: f.confirmations.map((entry: Fields) => ({
        streamId: entry.stream_id,
        topicId: entry.topic_id,
        partitionId: entry.partition_id,
        baseOffset: u64(entry.base_offset),
      })),
    }),
  },
  consumer_offset: {
    kinds: ['getConsumerOffset'],
    of: (f) => ({
      partitionId: f.partition,
      currentOffset: u64(f.current_offset),
      storedOffset: u64(f.stored_offset),
    }),
  },
  poll_routing: {
    kinds: ['getPollRouting', 'getConsumerOffsetRouting'],
    of: (f) => ({
      clientId: u128(f.client_id),
      session: u64(f.session),
      metadataWatermark: u64(f.metadata_watermark),
      node: node(f.primary),
    }),
  },
  stream: { kinds: ['createStream'], of: stream },
  streams: { kinds: ['getStreams'], of: (f) => f.streams.map(stream) },
  stream_details: {
    kinds: ['getStream'],
    of: (f) => ({ ...stream(f.stream), topics: f.topics.map(topic) }),
  },
  topic_details: {
    kinds: ['getTopic', 'createTopic'],
    of: (f) => ({
      ...topic(f.topic),
      partitions: f.partitions.map((entry: Fields) => ({
        id: entry.id,
        createdAtUs: u64(entry.created_at),
        segmentsCount: entry.segments,
        currentOffset: u64(entry.current_offset),
        sizeBytes: u64(entry.size),
        messagesCount: u64(entry.messages),
      })),
    }),
  },
  topics: { kinds: ['getTopics'], of: (f) => f.topics.map(topic) },
  group_details: {
    kinds: ['getConsumerGroup', 'createConsumerGroup'],
    of: (f) => ({ ...group(f.group), members: f.members }),
  },
  groups: { kinds: ['getConsumerGroups'], of: (f) => f.groups.map(group) },
  sync_consumer_group_reply: {
    kinds: ['syncConsumerGroup'],
    of: (f) => ({ generation: u64(f.generation), partitions: f.partitions }),
  },
};
