// One file: each row of the table below is held beside its reader and writer, and half of them
// share shapes; split by resource, every file would import the others.
import assert from 'node:assert/strict';
import type {
  AssignmentReply,
  ClientDetailsReply,
  ClientReply,
  ClusterMetadataReply,
  ClusterNode,
  ConsumerGroupDetailsReply,
  ConsumerGroupReply,
  ConsumerOffsetReply,
  NodeRole,
  NodeStatus,
  OptionDescription,
  PartitionReply,
  PolledHeader,
  ReplyOf,
  RoutingReply,
  SendMessagesReply,
  StatsReply,
  StreamDetailsReply,
  StreamReply,
  TokenReply,
  TopicDetailsReply,
  TopicReply,
  UserDetailsReply,
  UserReply,
} from '../commands/replies.ts';
import type { CommandKind } from '../commands/requests.ts';
import { readMaybePermissions, writeSomePermissions } from '../permissions.ts';
import {
  COMPRESSION,
  readPrefixedOptions,
  readWord,
  TRANSPORT,
  USER_STATUS,
  type WordTable,
  wordTable,
  writePrefixedOptions,
  writeWord,
} from '../primitives.ts';
import { type Fault, Reader } from '../reader.ts';
import { Writer } from '../writer.ts';
import { hasResultSection, SERVER_OPERATION } from './operations.ts';
import { operationOf } from './requests.ts';

// Bodies of replies, one row per command that answers something, read and written.
//
//   result section   u32 count | count × (u32 index, u32 code)   where the operation has one
//   payload          what the rows below say; empty is "no such thing" where one thing is asked for

/** What a command of this kind is answered with when it succeeds. */
export type ReplyFor<K extends CommandKind> = K extends keyof ReplyOf ? ReplyOf[K] : null;

/** Polls have a head of their own and records behind it. */
export type BodyKind = Exclude<CommandKind, 'pollMessages' | 'pollMessagesOnPrimary'>;

interface Row<R> {
  readonly read: (reader: Reader) => R;
  readonly write: (writer: Writer, reply: R) => void;
  /** An empty payload is null. */
  readonly maybe?: true;
}
type Rows = { readonly [K in keyof ReplyOf]: Row<NonNullable<ReplyOf[K]>> };

const NO_USER = 0xffff_ffff;
const NODE_ROLE: WordTable<NodeRole> = wordTable({ leader: 0, follower: 1 });
const NODE_STATUS: WordTable<NodeStatus> = wordTable({
  healthy: 0,
  starting: 1,
  stopping: 2,
  unreachable: 3,
  maintenance: 4,
});

const CLIENT_DETAILS: Row<ClientDetailsReply> = {
  read: readClientDetails,
  write: writeClientDetails,
};
const ROUTING: Row<RoutingReply> = {
  read: (reader) => ({
    clientId: reader.u128(),
    session: reader.u64(),
    metadataWatermark: reader.u64(),
    node: readNode(reader),
  }),
  write: (writer, reply) => {
    writer.u128(reply.clientId);
    writer.u64(reply.session);
    writer.u64(reply.metadataWatermark);
    writeNode(writer, reply.node);
  },
};
const TOPIC_DETAILS: Row<TopicDetailsReply> = {
  read: (reader) => {
    const topic = readTopic(reader);
    return { ...topic, partitions: readTimes(reader, topic.partitionsCount, readPartition) };
  },
  write: (writer, reply) => {
    assert(reply.partitions.length === reply.partitionsCount);
    writeTopic(writer, reply);
    for (const partition of reply.partitions) writePartition(writer, partition);
  },
};
const GROUP_DETAILS: Row<ConsumerGroupDetailsReply> = {
  read: (reader) => {
    const group = readGroup(reader);
    return { ...group, members: readTimes(reader, group.membersCount, readMember) };
  },
  write: (writer, reply) => {
    assert(reply.members.length === reply.membersCount);
    writeGroup(writer, reply);
    for (const { id, partitions } of reply.members) {
      writer.u32(id);
      writeNumbers(writer, partitions);
    }
  },
};
const USER_DETAILS: Row<UserDetailsReply> = { read: readUserDetails, write: writeUserDetails };

const ROWS: Rows = {
  getStats: { read: readStats, write: writeStats },
  getSnapshot: {
    read: (reader) => reader.copy(reader.remaining),
    write: (writer, archive) => writer.bytes(archive),
  },
  getClusterMetadata: {
    read: (reader): ClusterMetadataReply => ({
      name: reader.text32(),
      nodes: readTimes(reader, reader.u32(), readNode),
    }),
    write: (writer, { name, nodes }) => {
      writer.text32(name);
      writer.u32(nodes.length);
      for (const node of nodes) writeNode(writer, node);
    },
  },
  describeOptions: {
    read: (reader) => readTimes(reader, reader.u32(), readOptionDescription),
    write: (writer, entries) => {
      writer.u32(entries.length);
      for (const { key, kind, defaultValue, description } of entries) {
        writer.name(key);
        writer.u8(kind);
        writer.u32(defaultValue.length);
        writer.bytes(defaultValue);
        writer.text32(description);
      }
    },
  },
  getMe: CLIENT_DETAILS,
  getClient: { ...CLIENT_DETAILS, maybe: true },
  getClients: toTheEnd(readClient, writeClient),
  getUser: { ...USER_DETAILS, maybe: true },
  getUsers: toTheEnd(readUser, writeUser),
  createUser: USER_DETAILS,
  getPersonalAccessTokens: toTheEnd(
    (reader): TokenReply => {
      const name = reader.name();
      const expiryAtUs = reader.u64();
      return { name, expiryAtUs: expiryAtUs === 0 ? null : expiryAtUs };
    },
    (writer, { name, expiryAtUs }) => {
      writer.name(name);
      writer.u64(expiryAtUs ?? 0);
    },
  ),
  createPersonalAccessToken: {
    read: (reader) => ({ token: reader.name() }),
    write: (writer, { token }) => writer.name(token),
  },
  sendMessages: { read: readConfirmations, write: writeConfirmations },
  getConsumerOffset: {
    maybe: true,
    read: (reader): ConsumerOffsetReply => ({
      partitionId: reader.u32(),
      currentOffset: reader.u64(),
      storedOffset: reader.u64(),
    }),
    write: (writer, reply) => {
      writer.u32(reply.partitionId);
      writer.u64(reply.currentOffset);
      writer.u64(reply.storedOffset);
    },
  },
  getPollRouting: ROUTING,
  getConsumerOffsetRouting: ROUTING,
  getStream: {
    maybe: true,
    read: (reader): StreamDetailsReply => {
      const stream = readStream(reader);
      return { ...stream, topics: readTimes(reader, stream.topicsCount, readTopic) };
    },
    write: (writer, reply) => {
      assert(reply.topics.length === reply.topicsCount);
      writeStream(writer, reply);
      for (const topic of reply.topics) writeTopic(writer, topic);
    },
  },
  getStreams: toTheEnd(readStream, writeStream),
  createStream: { read: readStream, write: writeStream },
  getTopic: { ...TOPIC_DETAILS, maybe: true },
  getTopics: {
    read: (reader) => readTimes(reader, reader.u32(), readTopic),
    write: (writer, topics) => {
      writer.u32(topics.length);
      for (const topic of topics) writeTopic(writer, topic);
    },
  },
  createTopic: TOPIC_DETAILS,
  getConsumerGroup: { ...GROUP_DETAILS, maybe: true },
  getConsumerGroups: toTheEnd(readGroup, writeGroup),
  createConsumerGroup: GROUP_DETAILS,
  syncConsumerGroup: {
    maybe: true,
    read: (reader): AssignmentReply => ({
      generation: reader.u64(),
      partitions: readNumbers(reader),
    }),
    write: (writer, { generation, partitions }) => {
      writer.u64(generation);
      writeNumbers(writer, partitions);
    },
  },
};

function rowOf(kind: CommandKind): Row<unknown> | null {
  return Object.hasOwn(ROWS, kind) ? (ROWS[kind as keyof ReplyOf] as Row<unknown>) : null;
}

/**
 * Operation number a successful reply carries. Three commands are answered under the number of the
 * server operation that carries them out, as clients have always seen it.
 */
export function replyOperation(kind: CommandKind): number {
  if (kind === 'createTopic') return SERVER_OPERATION.createTopicWithAssignments;
  if (kind === 'createPartitions') return SERVER_OPERATION.createPartitionsWithAssignments;
  if (kind === 'deleteSegments') return SERVER_OPERATION.truncatePartition;
  return operationOf(kind);
}

/**
 * Body of the reply to a command that succeeded, its result section included.
 *
 * shape    owned bytes; null is an empty payload
 */
export function encodeReply<K extends BodyKind>(kind: K, reply: ReplyFor<K>): Uint8Array {
  const writer = new Writer();
  if (hasResultSection(replyOperation(kind))) writer.u32(0);
  const row = rowOf(kind);
  if (reply === null) assert(row === null || row.maybe === true);
  else row!.write(writer, reply);
  return writer.finish();
}

/**
 * Body of the reply to an operation that was carried out and said no; status stays 0. Only for
 * operations with a result section: elsewhere a failure is a status and an empty body.
 */
export function encodeRejection(code: number): Uint8Array {
  assert(code > 0);
  const writer = new Writer(12);
  writer.u32(1);
  writer.u32(0);
  writer.u32(code);
  return writer.finish();
}

/**
 * The result section at the head of a body, where there must be one.
 *
 * shape    code: that of the first entry, 0 is success and the payload starts at payloadAt
 * errors   a fault; a section that does not decode is never a success
 */
export function decodeResultSection(
  bytes: Uint8Array,
  at: number,
  end: number,
): { readonly code: number; readonly payloadAt: number } | Fault {
  const reader = new Reader(bytes, at, end);
  const count = reader.u32();
  if (count === 0) return reader.fault ?? { code: 0, payloadAt: reader.at };
  reader.skip(4);
  const code = reader.u32();
  reader.skip((count - 1) * 8);
  if (reader.fault === null && code === 0) reader.fail('invalid');
  return reader.fault ?? { code, payloadAt: end };
}

/** How a reply with status 0 came out. */
export type DecodedReply<R> =
  | { readonly code: 0; readonly reply: R; readonly fault: null }
  | { readonly code: number; readonly reply: null; readonly fault: null }
  | { readonly code: null; readonly reply: null; readonly fault: Fault };

/**
 * Decodes the body of a reply with status 0, for clients.
 *
 * shape    operation: that of the reply, which decides whether there is a result section; `code`
 *          is 0 with a reply, or the rejection; everything is owned
 */
export function decodeReply<K extends BodyKind>(
  kind: K,
  body: Uint8Array,
  operation: number = replyOperation(kind),
): DecodedReply<ReplyFor<K>> {
  let payloadAt = 0;
  if (hasResultSection(operation)) {
    const section = decodeResultSection(body, 0, body.length);
    if (typeof section === 'string') return { code: null, reply: null, fault: section };
    if (section.code !== 0) return { code: section.code, reply: null, fault: null };
    payloadAt = section.payloadAt;
  }
  const row = rowOf(kind);
  if (row === null || (row.maybe === true && payloadAt === body.length)) {
    return { code: 0, reply: null as ReplyFor<K>, fault: null };
  }
  const reader = new Reader(body, payloadAt, body.length);
  const reply = row.read(reader) as ReplyFor<K>;
  if (reader.fault !== null) return { code: null, reply: null, fault: reader.fault };
  return { code: 0, reply, fault: null };
}

// The head of a poll's reply, in front of the records:
//
//   0 partition u32 | 4 current offset u64 | 12 message count u32

export const POLLED_HEADER_BYTES = 16;

/** Writes the head of a poll's reply at `at`, all 16 bytes. */
export function encodePolledHeader(view: DataView, at: number, header: PolledHeader): void {
  const { currentOffset } = header;
  assert(Number.isSafeInteger(currentOffset) && currentOffset >= 0);
  view.setUint32(at, header.partitionId, true);
  view.setUint32(at + 4, currentOffset >>> 0, true);
  view.setUint32(at + 8, Math.floor(currentOffset / 0x1_0000_0000), true);
  view.setUint32(at + 12, header.messagesCount, true);
}

/** The head of a poll's reply in bytes [at, end); records start behind it. */
export function decodePolledHeader(
  bytes: Uint8Array,
  at: number,
  end: number,
): PolledHeader | Fault {
  const reader = new Reader(bytes, at, end);
  const header = {
    partitionId: reader.u32(),
    currentOffset: reader.u64(),
    messagesCount: reader.u32(),
  };
  return reader.fault ?? header;
}

// Shapes that several replies share.

function readTimes<R>(reader: Reader, count: number, read: (reader: Reader) => R): R[] {
  const list: R[] = [];
  while (list.length < count && reader.fault === null) list.push(read(reader));
  return list;
}

function toTheEnd<R>(
  read: (reader: Reader) => R,
  write: (writer: Writer, entry: R) => void,
): Row<readonly R[]> {
  return {
    read: (reader) => {
      const list: R[] = [];
      while (reader.remaining > 0) list.push(read(reader));
      return list;
    },
    write: (writer, list) => {
      for (const entry of list) write(writer, entry);
    },
  };
}

function readNumbers(reader: Reader): number[] {
  return readTimes(reader, reader.u32(), (from) => from.u32());
}

function writeNumbers(writer: Writer, numbers: readonly number[]): void {
  writer.u32(numbers.length);
  for (const number of numbers) writer.u32(number);
}

function readConfirmations(reader: Reader): SendMessagesReply {
  // Nothing at all: the batch was recognised as a repeat and its place is not known.
  if (reader.remaining === 0) return { confirmations: [] };
  const confirmations = readTimes(reader, reader.u32(), (from) => ({
    streamId: from.u32(),
    topicId: from.u32(),
    partitionId: from.u32(),
    baseOffset: from.u64(),
  }));
  if (reader.remaining > 0) reader.fail('invalid');
  return { confirmations };
}

function writeConfirmations(writer: Writer, { confirmations }: SendMessagesReply): void {
  writer.u32(confirmations.length);
  for (const { streamId, topicId, partitionId, baseOffset } of confirmations) {
    writer.u32(streamId);
    writer.u32(topicId);
    writer.u32(partitionId);
    writer.u64(baseOffset);
  }
}

function readNode(reader: Reader): ClusterNode {
  return {
    name: reader.text32(),
    ip: reader.text32(),
    tcpPort: reader.u16(),
    quicPort: reader.u16(),
    httpPort: reader.u16(),
    websocketPort: reader.u16(),
    role: readWord(reader, NODE_ROLE),
    status: readWord(reader, NODE_STATUS),
  };
}

function writeNode(writer: Writer, node: ClusterNode): void {
  writer.text32(node.name);
  writer.text32(node.ip);
  writer.u16(node.tcpPort);
  writer.u16(node.quicPort);
  writer.u16(node.httpPort);
  writer.u16(node.websocketPort);
  writeWord(writer, NODE_ROLE, node.role);
  writeWord(writer, NODE_STATUS, node.status);
}

function readOptionDescription(reader: Reader): OptionDescription {
  return {
    key: reader.name(),
    kind: reader.u8(),
    defaultValue: reader.copy(reader.u32()),
    description: reader.text32(),
  };
}

function readClient(reader: Reader): ClientReply {
  const clientId = reader.u32();
  const userId = reader.u32();
  return {
    clientId,
    userId: userId === NO_USER ? null : userId,
    transport: readWord(reader, TRANSPORT),
    address: reader.text32(),
    consumerGroupsCount: reader.u32(),
  };
}

function writeClient(writer: Writer, client: ClientReply): void {
  writer.u32(client.clientId);
  writer.u32(client.userId ?? NO_USER);
  writeWord(writer, TRANSPORT, client.transport);
  writer.text32(client.address);
  writer.u32(client.consumerGroupsCount);
}

function readClientDetails(reader: Reader): ClientDetailsReply {
  const client = readClient(reader);
  const consumerGroups = readTimes(reader, client.consumerGroupsCount, (from) => ({
    streamId: from.u32(),
    topicId: from.u32(),
    groupId: from.u32(),
  }));
  return { ...client, consumerGroups };
}

function writeClientDetails(writer: Writer, reply: ClientDetailsReply): void {
  assert(reply.consumerGroups.length === reply.consumerGroupsCount);
  writeClient(writer, reply);
  for (const { streamId, topicId, groupId } of reply.consumerGroups) {
    writer.u32(streamId);
    writer.u32(topicId);
    writer.u32(groupId);
  }
}

function readUser(reader: Reader): UserReply {
  return {
    id: reader.u32(),
    createdAtUs: reader.u64(),
    status: readWord(reader, USER_STATUS),
    username: reader.name(),
    options: readPrefixedOptions(reader),
  };
}

function writeUser(writer: Writer, user: UserReply): void {
  writer.u32(user.id);
  writer.u64(user.createdAtUs);
  writeWord(writer, USER_STATUS, user.status);
  writer.name(user.username);
  writePrefixedOptions(writer, user.options);
}

function readUserDetails(reader: Reader): UserDetailsReply {
  const user = readUser(reader);
  const permissions = readMaybePermissions(reader, reader.bool());
  if (permissions === null) reader.skip(3);
  return { ...user, permissions };
}

function writeUserDetails(writer: Writer, reply: UserDetailsReply): void {
  writeUser(writer, reply);
  // No permissions are four zero bytes here, and one in a request.
  if (reply.permissions === null) writer.u32(0);
  else writeSomePermissions(writer, reply.permissions);
}

function readStream(reader: Reader): StreamReply {
  return {
    id: reader.u32(),
    createdAtUs: reader.u64(),
    topicsCount: reader.u32(),
    sizeBytes: reader.u64(),
    messagesCount: reader.u64(),
    name: reader.name(),
    options: readPrefixedOptions(reader),
  };
}

function writeStream(writer: Writer, stream: StreamReply): void {
  writer.u32(stream.id);
  writer.u64(stream.createdAtUs);
  writer.u32(stream.topicsCount);
  writer.u64(stream.sizeBytes);
  writer.u64(stream.messagesCount);
  writer.name(stream.name);
  writePrefixedOptions(writer, stream.options);
}

function readTopic(reader: Reader): TopicReply {
  return {
    id: reader.u32(),
    createdAtUs: reader.u64(),
    partitionsCount: reader.u32(),
    messageExpiryUs: reader.u64OrInfinity(),
    compression: readWord(reader, COMPRESSION),
    maxTopicSizeBytes: reader.u64OrInfinity(),
    sizeBytes: reader.u64(),
    messagesCount: reader.u64(),
    name: reader.name(),
    explicitOptions: readPrefixedOptions(reader),
    derivedOptions: readPrefixedOptions(reader),
  };
}

function writeTopic(writer: Writer, topic: TopicReply): void {
  writer.u32(topic.id);
  writer.u64(topic.createdAtUs);
  writer.u32(topic.partitionsCount);
  writer.u64OrInfinity(topic.messageExpiryUs);
  writeWord(writer, COMPRESSION, topic.compression);
  writer.u64OrInfinity(topic.maxTopicSizeBytes);
  writer.u64(topic.sizeBytes);
  writer.u64(topic.messagesCount);
  writer.name(topic.name);
  writePrefixedOptions(writer, topic.explicitOptions);
  writePrefixedOptions(writer, topic.derivedOptions);
}

function readPartition(reader: Reader): PartitionReply {
  return {
    id: reader.u32(),
    createdAtUs: reader.u64(),
    segmentsCount: reader.u32(),
    currentOffset: reader.u64(),
    sizeBytes: reader.u64(),
    messagesCount: reader.u64(),
  };
}

function writePartition(writer: Writer, partition: PartitionReply): void {
  writer.u32(partition.id);
  writer.u64(partition.createdAtUs);
  writer.u32(partition.segmentsCount);
  writer.u64(partition.currentOffset);
  writer.u64(partition.sizeBytes);
  writer.u64(partition.messagesCount);
}

function readGroup(reader: Reader): ConsumerGroupReply {
  return {
    id: reader.u32(),
    partitionsCount: reader.u32(),
    membersCount: reader.u32(),
    name: reader.name(),
  };
}

function writeGroup(writer: Writer, group: ConsumerGroupReply): void {
  writer.u32(group.id);
  writer.u32(group.partitionsCount);
  writer.u32(group.membersCount);
  writer.name(group.name);
}

function readMember(reader: Reader): ConsumerGroupDetailsReply['members'][number] {
  return { id: reader.u32(), partitions: readNumbers(reader) };
}

function readStats(reader: Reader): StatsReply {
  return {
    processId: reader.u32(),
    cpuUsage: reader.f32(),
    totalCpuUsage: reader.f32(),
    memoryUsageBytes: reader.u64(),
    totalMemoryBytes: reader.u64(),
    availableMemoryBytes: reader.u64(),
    runTimeUs: reader.u64(),
    startTimeUs: reader.u64(),
    readBytes: reader.u64(),
    writtenBytes: reader.u64(),
    messagesSizeBytes: reader.u64(),
    streamsCount: reader.u32(),
    topicsCount: reader.u32(),
    partitionsCount: reader.u32(),
    segmentsCount: reader.u32(),
    messagesCount: reader.u64(),
    clientsCount: reader.u32(),
    consumerGroupsCount: reader.u32(),
    hostname: reader.text32(),
    osName: reader.text32(),
    osVersion: reader.text32(),
    kernelVersion: reader.text32(),
    serverVersion: reader.text32(),
    serverSemver: reader.u32(),
    cacheMetrics: readTimes(reader, reader.u32(), readCacheMetrics),
    threadsCount: reader.u32(),
    freeDiskBytes: reader.u64(),
    totalDiskBytes: reader.u64(),
  };
}

function readCacheMetrics(reader: Reader): StatsReply['cacheMetrics'][number] {
  return {
    streamId: reader.u32(),
    topicId: reader.u32(),
    partitionId: reader.u32(),
    hits: reader.u64(),
    misses: reader.u64(),
    hitRatio: reader.f32(),
  };
}

function writeStats(writer: Writer, stats: StatsReply): void {
  writer.u32(stats.processId);
  writer.f32(stats.cpuUsage);
  writer.f32(stats.totalCpuUsage);
  writer.u64(stats.memoryUsageBytes);
  writer.u64(stats.totalMemoryBytes);
  writer.u64(stats.availableMemoryBytes);
  writer.u64(stats.runTimeUs);
  writer.u64(stats.startTimeUs);
  writer.u64(stats.readBytes);
  writer.u64(stats.writtenBytes);
  writer.u64(stats.messagesSizeBytes);
  writer.u32(stats.streamsCount);
  writer.u32(stats.topicsCount);
  writer.u32(stats.partitionsCount);
  writer.u32(stats.segmentsCount);
  writer.u64(stats.messagesCount);
  writer.u32(stats.clientsCount);
  writer.u32(stats.consumerGroupsCount);
  writer.text32(stats.hostname);
  writer.text32(stats.osName);
  writer.text32(stats.osVersion);
  writer.text32(stats.kernelVersion);
  writer.text32(stats.serverVersion);
  writer.u32(stats.serverSemver);
  writer.u32(stats.cacheMetrics.length);
  for (const { streamId, topicId, partitionId, hits, misses, hitRatio } of stats.cacheMetrics) {
    writer.u32(streamId);
    writer.u32(topicId);
    writer.u32(partitionId);
    writer.u64(hits);
    writer.u64(misses);
    writer.f32(hitRatio);
  }
  writer.u32(stats.threadsCount);
  writer.u64(stats.freeDiskBytes);
  writer.u64(stats.totalDiskBytes);
}
