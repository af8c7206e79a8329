// One file: the table of all commands is the point of it, one row beside the other.
import assert from 'node:assert/strict';
import type {
  AckLevel,
  Command,
  CommandKind,
  GetConsumerOffset,
  PollMessages,
  SendMessages,
} from '../commands/requests.ts';
import type {
  Identifier,
  OptionsScope,
  SnapshotCompression,
  SnapshotType,
} from '../commands/values.ts';
import { readMaybePermissions, writeSomePermissions } from '../permissions.ts';
import {
  readConsumer,
  readIdentifier,
  readOptions,
  readPartition,
  readPartitioning,
  readStrategy,
  readWord,
  USER_STATUS,
  type WordTable,
  wordTable,
  writeConsumer,
  writeIdentifier,
  writeOptions,
  writePartition,
  writePartitioning,
  writeStrategy,
  writeWord,
} from '../primitives.ts';
import { Reader } from '../reader.ts';
import { STATUS } from '../status.ts';
import { Writer } from '../writer.ts';
import { OPERATION } from './operations.ts';

// Bodies of requests, one row per command: code, operation and how its body is read and written.
// Bodies without an options block may have bytes behind them, which nobody looks at; an options
// block takes all bytes to the end.

const READ = OPERATION.nonReplicated;

const SCOPE: WordTable<OptionsScope> = wordTable({ topic: 1, stream: 2, user: 3 });
const SNAPSHOT_COMPRESSION: WordTable<SnapshotCompression> = wordTable({
  stored: 1,
  deflated: 2,
  bzip2: 3,
  zstd: 4,
  lzma: 5,
  xz: 6,
});
const SNAPSHOT_TYPE: WordTable<SnapshotType> = wordTable({
  filesystemOverview: 1,
  processList: 2,
  resourceUsage: 3,
  test: 4,
  serverLogs: 5,
  serverConfig: 6,
  all: 100,
});
const ACK: WordTable<AckLevel> = wordTable({ none: 0, quorum: 1 });

type CommandOf<K extends CommandKind> = Extract<Command, { readonly kind: K }>;

interface Row<K extends CommandKind> {
  readonly code: number;
  readonly operation: number;
  readonly read: (reader: Reader) => CommandOf<K>;
  readonly write: (writer: Writer, command: CommandOf<K>) => void;
}

/** What one kind means on the wire, with its type forgotten: looked up by number. */
type AnyRow = Row<CommandKind>;

interface OfTopic {
  readonly streamId: Identifier;
  readonly topicId: Identifier;
}
interface OfGroup extends OfTopic {
  readonly groupId: Identifier;
}
type OfConsumer = Omit<GetConsumerOffset, 'kind'>;
type OfPoll = Omit<PollMessages, 'kind'>;

const ROWS: { readonly [K in CommandKind]: Row<K> } = {
  ping: empty('ping', 1),
  getStats: empty('getStats', 10),
  getSnapshot: {
    code: 11,
    operation: READ,
    read: (reader) => ({
      kind: 'getSnapshot',
      compression: readWord(reader, SNAPSHOT_COMPRESSION),
      types: readSnapshotTypes(reader),
    }),
    write: (writer, { compression, types }) => {
      writeWord(writer, SNAPSHOT_COMPRESSION, compression);
      writer.u8(types.length);
      for (const type of types) writeWord(writer, SNAPSHOT_TYPE, type);
    },
  },
  getClusterMetadata: empty('getClusterMetadata', 12),
  describeOptions: {
    code: 13,
    operation: READ,
    read: (reader) => ({ kind: 'describeOptions', scope: readWord(reader, SCOPE) }),
    write: (writer, { scope }) => writeWord(writer, SCOPE, scope),
  },
  attachConsumerSession: {
    code: 14,
    operation: READ,
    read: (reader) => ({
      kind: 'attachConsumerSession',
      clientId: reader.u128(),
      session: reader.u64(),
      metadataWatermark: reader.u64(),
    }),
    write: (writer, { clientId, session, metadataWatermark }) => {
      writer.u128(clientId);
      writer.u64(session);
      writer.u64(metadataWatermark);
    },
  },
  getMe: empty('getMe', 20),
  getClient: {
    code: 21,
    operation: READ,
    read: (reader) => ({ kind: 'getClient', clientId: reader.u32() }),
    write: (writer, { clientId }) => writer.u32(clientId),
  },
  getClients: empty('getClients', 22),
  getUser: {
    code: 31,
    operation: READ,
    read: (reader) => ({ kind: 'getUser', userId: readIdentifier(reader) }),
    write: (writer, { userId }) => writeIdentifier(writer, userId),
  },
  getUsers: empty('getUsers', 32),
  createUser: {
    code: 33,
    operation: OPERATION.createUser,
    read: (reader) => ({
      kind: 'createUser',
      username: reader.name(),
      password: reader.text8(),
      status: readWord(reader, USER_STATUS),
      permissions: readMaybePermissions(reader, reader.u8() === 1),
      options: readOptions(reader),
    }),
    write: (writer, { username, password, status, permissions, options }) => {
      writer.name(username);
      writer.text8(password);
      writeWord(writer, USER_STATUS, status);
      if (permissions === null) writer.u8(0);
      else writeSomePermissions(writer, permissions);
      writeOptions(writer, options);
    },
  },
  deleteUser: {
    code: 34,
    operation: OPERATION.deleteUser,
    read: (reader) => ({ kind: 'deleteUser', userId: readIdentifier(reader) }),
    write: (writer, { userId }) => writeIdentifier(writer, userId),
  },
  updateUser: {
    code: 35,
    operation: OPERATION.updateUser,
    read: (reader) => ({
      kind: 'updateUser',
      userId: readIdentifier(reader),
      username: reader.u8() === 1 ? reader.name() : null,
      status: reader.u8() === 1 ? readWord(reader, USER_STATUS) : null,
      options: readOptions(reader),
    }),
    write: (writer, { userId, username, status, options }) => {
      writeIdentifier(writer, userId);
      writer.bool(username !== null);
      if (username !== null) writer.name(username);
      writer.bool(status !== null);
      if (status !== null) writeWord(writer, USER_STATUS, status);
      writeOptions(writer, options);
    },
  },
  updatePermissions: {
    code: 36,
    operation: OPERATION.updatePermissions,
    read: (reader) => ({
      kind: 'updatePermissions',
      userId: readIdentifier(reader),
      permissions: readMaybePermissions(reader, reader.u8() === 1),
    }),
    write: (writer, { userId, permissions }) => {
      writeIdentifier(writer, userId);
      if (permissions === null) writer.u8(0);
      else writeSomePermissions(writer, permissions);
    },
  },
  changePassword: {
    code: 37,
    operation: OPERATION.changePassword,
    read: (reader) => ({
      kind: 'changePassword',
      userId: readIdentifier(reader),
      currentPassword: reader.text8(),
      newPassword: reader.text8(),
    }),
    write: (writer, { userId, currentPassword, newPassword }) => {
      writeIdentifier(writer, userId);
      writer.text8(currentPassword);
      writer.text8(newPassword);
    },
  },
  getPersonalAccessTokens: empty('getPersonalAccessTokens', 41),
  createPersonalAccessToken: {
    code: 42,
    operation: OPERATION.createPersonalAccessToken,
    read: (reader) => ({
      kind: 'createPersonalAccessToken',
      name: reader.name(),
      expiryUs: reader.u64OrInfinity(),
    }),
    write: (writer, { name, expiryUs }) => {
      writer.name(name);
      writer.u64OrInfinity(expiryUs);
    },
  },
  deletePersonalAccessToken: {
    code: 43,
    operation: OPERATION.deletePersonalAccessToken,
    read: (reader) => ({ kind: 'deletePersonalAccessToken', name: reader.name() }),
    write: (writer, { name }) => writer.name(name),
  },
  pollMessages: {
    code: 100,
    operation: READ,
    read: (reader) => readPoll(reader, 'pollMessages'),
    write: writePoll,
  },
  sendMessages: {
    code: 101,
    operation: OPERATION.sendMessages,
    read: readRouting,
    write: writeRouting,
  },
  flushUnsavedBuffer: {
    code: 102,
    operation: READ,
    read: (reader) => ({
      kind: 'flushUnsavedBuffer',
      streamId: readIdentifier(reader),
      topicId: readIdentifier(reader),
      partitionId: reader.u32(),
      fsync: reader.bool(),
    }),
    write: (writer, command) => {
      writeTopic(writer, command);
      writer.u32(command.partitionId);
      writer.bool(command.fsync);
    },
  },
  getPollRouting: {
    code: 103,
    operation: READ,
    read: (reader) => readPoll(reader, 'getPollRouting'),
    write: writePoll,
  },
  pollMessagesOnPrimary: {
    code: 104,
    operation: READ,
    read: (reader) => readPoll(reader, 'pollMessagesOnPrimary'),
    write: writePoll,
  },
  getConsumerOffset: {
    code: 120,
    operation: READ,
    read: (reader) => ({ kind: 'getConsumerOffset', ...readOfConsumer(reader) }),
    write: writeOfConsumer,
  },
  storeConsumerOffset: {
    code: 121,
    operation: OPERATION.storeConsumerOffset,
    read: (reader) => ({
      kind: 'storeConsumerOffset',
      ...readOfConsumer(reader),
      offset: reader.u64(),
      ack: readWord(reader, ACK),
    }),
    write: (writer, command) => {
      writeOfConsumer(writer, command);
      writer.u64(command.offset);
      writeWord(writer, ACK, command.ack);
    },
  },
  deleteConsumerOffset: {
    code: 122,
    operation: OPERATION.deleteConsumerOffset,
    read: (reader) => ({
      kind: 'deleteConsumerOffset',
      ...readOfConsumer(reader),
      ack: readWord(reader, ACK),
    }),
    write: (writer, command) => {
      writeOfConsumer(writer, command);
      writeWord(writer, ACK, command.ack);
    },
  },
  getConsumerOffsetRouting: {
    code: 123,
    operation: READ,
    read: (reader) => ({ kind: 'getConsumerOffsetRouting', ...readOfConsumer(reader) }),
    write: writeOfConsumer,
  },
  getStream: ofStream('getStream', 200, READ),
  getStreams: empty('getStreams', 201),
  createStream: {
    code: 202,
    operation: OPERATION.createStream,
    read: (reader) => ({
      kind: 'createStream',
      name: reader.name(),
      options: readOptions(reader),
    }),
    write: (writer, { name, options }) => {
      writer.name(name);
      writeOptions(writer, options);
    },
  },
  deleteStream: ofStream('deleteStream', 203, OPERATION.deleteStream),
  updateStream: {
    code: 204,
    operation: OPERATION.updateStream,
    read: (reader) => ({
      kind: 'updateStream',
      streamId: readIdentifier(reader),
      name: reader.name(),
      options: readOptions(reader),
    }),
    write: (writer, { streamId, name, options }) => {
      writeIdentifier(writer, streamId);
      writer.name(name);
      writeOptions(writer, options);
    },
  },
  purgeStream: ofStream('purgeStream', 205, OPERATION.purgeStream),
  getTopic: ofTopic('getTopic', 300, READ),
  getTopics: ofStream('getTopics', 301, READ),
  createTopic: {
    code: 302,
    operation: OPERATION.createTopic,
    read: (reader) => ({
      kind: 'createTopic',
      streamId: readIdentifier(reader),
      partitionsCount: reader.u32(),
      name: reader.name(),
      options: readOptions(reader),
    }),
    write: (writer, { streamId, partitionsCount, name, options }) => {
      writeIdentifier(writer, streamId);
      writer.u32(partitionsCount);
      writer.name(name);
      writeOptions(writer, options);
    },
  },
  deleteTopic: ofTopic('deleteTopic', 303, OPERATION.deleteTopic),
  updateTopic: {
    code: 304,
    operation: OPERATION.updateTopic,
    read: (reader) => ({
      kind: 'updateTopic',
      streamId: readIdentifier(reader),
      topicId: readIdentifier(reader),
      name: reader.name(),
      options: readOptions(reader),
    }),
    write: (writer, command) => {
      writeTopic(writer, command);
      writer.name(command.name);
      writeOptions(writer, command.options);
    },
  },
  purgeTopic: ofTopic('purgeTopic', 305, OPERATION.purgeTopic),
  createPartitions: {
    code: 402,
    operation: OPERATION.createPartitions,
    read: (reader) => readPartitions(reader, 'createPartitions'),
    write: writePartitions,
  },
  deletePartitions: {
    code: 403,
    operation: OPERATION.deletePartitions,
    read: (reader) => readPartitions(reader, 'deletePartitions'),
    write: writePartitions,
  },
  deleteSegments: {
    code: 503,
    operation: OPERATION.deleteSegments,
    read: (reader) => ({
      kind: 'deleteSegments',
      streamId: readIdentifier(reader),
      topicId: readIdentifier(reader),
      partitionId: reader.u32(),
      segmentsCount: reader.u32(),
    }),
    write: (writer, command) => {
      writeTopic(writer, command);
      writer.u32(command.partitionId);
      writer.u32(command.segmentsCount);
    },
  },
  getConsumerGroup: ofGroup('getConsumerGroup', 600, READ),
  getConsumerGroups: ofTopic('getConsumerGroups', 601, READ),
  createConsumerGroup: {
    code: 602,
    operation: OPERATION.createConsumerGroup,
    read: (reader) => ({
      kind: 'createConsumerGroup',
      streamId: readIdentifier(reader),
      topicId: readIdentifier(reader),
      name: reader.name(),
    }),
    write: (writer, command) => {
      writeTopic(writer, command);
      writer.name(command.name);
    },
  },
  deleteConsumerGroup: ofGroup('deleteConsumerGroup', 603, OPERATION.deleteConsumerGroup),
  joinConsumerGroup: ofGroup('joinConsumerGroup', 604, OPERATION.joinConsumerGroup),
  leaveConsumerGroup: ofGroup('leaveConsumerGroup', 605, OPERATION.leaveConsumerGroup),
  syncConsumerGroup: ofGroup('syncConsumerGroup', 606, READ),
};

const BY_OPERATION: readonly (AnyRow | undefined)[] = rowsByOperation();
const BY_CODE: ReadonlyMap<number, AnyRow> = new Map(
  Object.values(ROWS).map((row) => [row.code, row as AnyRow]),
);

/** Codes of 0.8 logins; sent as a read of 0.9 they are answered with eviction 15. */
const LEGACY_LOGIN_CODES: readonly number[] = [38, 44];

/** Command code of a ping, the only read before login. */
export const PING_CODE = 1;

export function isLegacyLogin(code: number): boolean {
  return LEGACY_LOGIN_CODES.includes(code);
}

/**
 * Decodes the body in bytes [at, end) of a request with this operation and command code.
 *
 * shape    keys of partitionings are borrowed from the bytes, everything else is owned
 * errors   a status: 3 unknown code or a body that cannot be decoded, 5 a replicated command sent
 *          as a read, 20 the routing of SendMessages
 * cost     objects of the command only
 */
export function decodeCommand(
  operation: number,
  code: number,
  bytes: Uint8Array,
  at: number,
  end: number,
): Command | number {
  if (operation === OPERATION.sendMessages) {
    const routed = decodeSendRouting(bytes, at, end);
    return typeof routed === 'number' ? routed : routed.command;
  }
  const row = operation === READ ? BY_CODE.get(code) : BY_OPERATION[operation];
  if (row === undefined) return STATUS.invalidCommand;
  if (row.operation !== operation) return STATUS.featureUnavailable;
  const reader = new Reader(bytes, at, end);
  const command = row.read(reader);
  return reader.fault === null ? command : STATUS.invalidCommand;
}

/**
 * Decodes the routing in front of a batch; the batch itself is judged by the kernel.
 *
 * shape    batchAt: where the batch starts, up to the end of the body
 * errors   20 the routing cannot be decoded, 3 its length is not what it says
 */
export function decodeSendRouting(
  bytes: Uint8Array,
  at: number,
  end: number,
): { readonly command: SendMessages; readonly batchAt: number } | number {
  const reader = new Reader(bytes, at, end);
  const routingBytes = reader.u32();
  const routingAt = reader.at;
  if (reader.fault !== null || routingBytes > reader.remaining) return STATUS.resourceNotFound;
  const batchAt = routingAt + routingBytes;
  const routing = new Reader(bytes, routingAt, batchAt);
  const command = readRouting(routing);
  if (routing.fault !== null) return STATUS.resourceNotFound;
  return routing.remaining === 0 ? { command, batchAt } : STATUS.invalidCommand;
}

/**
 * The frame of a command, for clients.
 *
 * shape    code: 0 for replicated operations; body: owned; of SendMessages it is the part in front
 *          of the batch, its length included
 */
export function encodeCommand(command: Command): {
  readonly operation: number;
  readonly code: number;
  readonly body: Uint8Array;
} {
  const row = ROWS[command.kind] as AnyRow;
  const writer = new Writer();
  if (command.kind === 'sendMessages') {
    const lengthAt = writer.reserveU32();
    row.write(writer, command);
    writer.setU32(lengthAt, writer.length - 4);
  } else {
    row.write(writer, command);
  }
  return {
    operation: row.operation,
    code: row.operation === READ ? row.code : 0,
    body: writer.finish(),
  };
}

/** Operation of a command's request. */
export function operationOf(kind: CommandKind): number {
  return ROWS[kind].operation;
}

/** Command code of a command, whether it travels in the header or not. */
export function codeOf(kind: CommandKind): number {
  return ROWS[kind].code;
}

function rowsByOperation(): (AnyRow | undefined)[] {
  const rows = new Array<AnyRow | undefined>(256).fill(undefined);
  for (const row of Object.values(ROWS)) {
    if (row.operation === READ) continue;
    assert(rows[row.operation] === undefined);
    rows[row.operation] = row as AnyRow;
  }
  return rows;
}

// Shapes that several commands share.

function empty<K extends CommandKind>(kind: K, code: number): Row<K> {
  const command = Object.freeze({ kind }) as unknown as CommandOf<K>;
  return { code, operation: READ, read: () => command, write: () => undefined };
}

function ofStream<K extends 'getStream' | 'deleteStream' | 'purgeStream' | 'getTopics'>(
  kind: K,
  code: number,
  operation: number,
): Row<K> {
  return {
    code,
    operation,
    read: (reader) => ({ kind, streamId: readIdentifier(reader) }) as CommandOf<K>,
    write: (writer, command: { readonly streamId: Identifier }) =>
      writeIdentifier(writer, command.streamId),
  };
}

function ofTopic<K extends 'getTopic' | 'deleteTopic' | 'purgeTopic' | 'getConsumerGroups'>(
  kind: K,
  code: number,
  operation: number,
): Row<K> {
  return {
    code,
    operation,
    read: (reader) =>
      ({
        kind,
        streamId: readIdentifier(reader),
        topicId: readIdentifier(reader),
      }) as CommandOf<K>,
    write: writeTopic,
  };
}

function ofGroup<
  K extends
    | 'getConsumerGroup'
    | 'deleteConsumerGroup'
    | 'joinConsumerGroup'
    | 'leaveConsumerGroup'
    | 'syncConsumerGroup',
>(kind: K, code: number, operation: number): Row<K> {
  return {
    code,
    operation,
    read: (reader) =>
      ({
        kind,
        streamId: readIdentifier(reader),
        topicId: readIdentifier(reader),
        groupId: readIdentifier(reader),
      }) as CommandOf<K>,
    write: (writer, command: OfGroup) => {
      writeTopic(writer, command);
      writeIdentifier(writer, command.groupId);
    },
  };
}

function writeTopic(writer: Writer, { streamId, topicId }: OfTopic): void {
  writeIdentifier(writer, streamId);
  writeIdentifier(writer, topicId);
}

function readSnapshotTypes(reader: Reader): SnapshotType[] {
  const types: SnapshotType[] = [];
  for (let left = reader.u8(); left > 0 && reader.fault === null; left -= 1) {
    types.push(readWord(reader, SNAPSHOT_TYPE));
  }
  return types;
}

function readPoll<K extends 'pollMessages' | 'pollMessagesOnPrimary' | 'getPollRouting'>(
  reader: Reader,
  kind: K,
): CommandOf<K> {
  return {
    kind,
    consumer: readConsumer(reader),
    streamId: readIdentifier(reader),
    topicId: readIdentifier(reader),
    partitionId: readPartition(reader),
    strategy: readStrategy(reader),
    count: reader.u32(),
    autoCommit: reader.bool(),
  } as CommandOf<K>;
}

function writePoll(writer: Writer, poll: OfPoll): void {
  writeOfConsumer(writer, poll);
  writeStrategy(writer, poll.strategy);
  writer.u32(poll.count);
  writer.bool(poll.autoCommit);
}

function readOfConsumer(reader: Reader): OfConsumer {
  return {
    consumer: readConsumer(reader),
    streamId: readIdentifier(reader),
    topicId: readIdentifier(reader),
    partitionId: readPartition(reader),
  };
}

function writeOfConsumer(writer: Writer, command: OfConsumer): void {
  writeConsumer(writer, command.consumer);
  writeTopic(writer, command);
  writePartition(writer, command.partitionId);
}

function readRouting(reader: Reader): SendMessages {
  return {
    kind: 'sendMessages',
    streamId: readIdentifier(reader),
    topicId: readIdentifier(reader),
    partitioning: readPartitioning(reader),
    messagesCount: reader.u32(),
  };
}

function writeRouting(writer: Writer, command: SendMessages): void {
  writeTopic(writer, command);
  writePartitioning(writer, command.partitioning);
  writer.u32(command.messagesCount);
}

function readPartitions<K extends 'createPartitions' | 'deletePartitions'>(
  reader: Reader,
  kind: K,
): CommandOf<K> {
  return {
    kind,
    streamId: readIdentifier(reader),
    topicId: readIdentifier(reader),
    partitionsCount: reader.u32(),
  } as CommandOf<K>;
}

function writePartitions(
  writer: Writer,
  command: OfTopic & { readonly partitionsCount: number },
): void {
  writeTopic(writer, command);
  writer.u32(command.partitionsCount);
}
