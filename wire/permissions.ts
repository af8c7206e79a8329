import type {
  GlobalPermissions,
  Permissions,
  StreamPermissions,
  TopicPermissions,
} from './commands/values.ts';
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

// What a user may do, as one block:
//
//   10 bools global | bool has streams | { stream | bool another follows } ...
//   stream: u32 id | 6 bools | bool has topics | { topic | bool another follows } ...
//   topic:  u32 id | 4 bools
//
// 11 bytes, 12 more for each stream, 9 more for each topic.

/** Streams and topics one block may name. A frame has room for millions, a user has no need. */
export const PERMISSION_ENTRIES_MAX = 100_000;

/** A block of its own, from the reader's place on; how long it is shows in the reader. */
export function readPermissions(reader: Reader): Permissions {
  const global = readGlobal(reader);
  if (!reader.bool()) return { global, streams: null };
  const streams = new Map<number, StreamPermissions>();
  let room = PERMISSION_ENTRIES_MAX;
  do {
    const id = reader.u32();
    const stream = readStream(reader, room);
    streams.set(id, stream);
    room -= 1 + (stream.topics?.size ?? 0);
    if (room < 0) reader.fail('invalid');
  } while (reader.bool());
  return { global, streams };
}

function readGlobal(reader: Reader): GlobalPermissions {
  return {
    manageServers: reader.bool(),
    readServers: reader.bool(),
    manageUsers: reader.bool(),
    readUsers: reader.bool(),
    manageStreams: reader.bool(),
    readStreams: reader.bool(),
    manageTopics: reader.bool(),
    readTopics: reader.bool(),
    pollMessages: reader.bool(),
    sendMessages: reader.bool(),
  };
}

function readStream(reader: Reader, room: number): StreamPermissions {
  return {
    manageStream: reader.bool(),
    readStream: reader.bool(),
    manageTopics: reader.bool(),
    readTopics: reader.bool(),
    pollMessages: reader.bool(),
    sendMessages: reader.bool(),
    topics: reader.bool() ? readTopics(reader, room) : null,
  };
}

function readTopics(reader: Reader, room: number): Map<number, TopicPermissions> {
  const topics = new Map<number, TopicPermissions>();
  do {
    const id = reader.u32();
    topics.set(id, {
      manageTopic: reader.bool(),
      readTopic: reader.bool(),
      pollMessages: reader.bool(),
      sendMessages: reader.bool(),
    });
    if (topics.size >= room) reader.fail('invalid');
  } while (reader.bool());
  return topics;
}

/** Streams and topics go out in ascending order of their ids, whatever order the maps have. */
export function writePermissions(writer: Writer, permissions: Permissions): void {
  writeGlobal(writer, permissions.global);
  const streams = ascending(permissions.streams);
  writer.bool(streams.length > 0);
  for (const [index, [id, stream]] of streams.entries()) {
    writer.u32(id);
    writeStream(writer, stream);
    writer.bool(index + 1 < streams.length);
  }
}

function writeGlobal(writer: Writer, global: GlobalPermissions): void {
  writer.bool(global.manageServers);
  writer.bool(global.readServers);
  writer.bool(global.manageUsers);
  writer.bool(global.readUsers);
  writer.bool(global.manageStreams);
  writer.bool(global.readStreams);
  writer.bool(global.manageTopics);
  writer.bool(global.readTopics);
  writer.bool(global.pollMessages);
  writer.bool(global.sendMessages);
}

function writeStream(writer: Writer, stream: StreamPermissions): void {
  writer.bool(stream.manageStream);
  writer.bool(stream.readStream);
  writer.bool(stream.manageTopics);
  writer.bool(stream.readTopics);
  writer.bool(stream.pollMessages);
  writer.bool(stream.sendMessages);
  const topics = ascending(stream.topics);
  writer.bool(topics.length > 0);
  for (const [index, [id, topic]] of topics.entries()) {
    writer.u32(id);
    writer.bool(topic.manageTopic);
    writer.bool(topic.readTopic);
    writer.bool(topic.pollMessages);
    writer.bool(topic.sendMessages);
    writer.bool(index + 1 < topics.length);
  }
}

function ascending<V>(entries: ReadonlyMap<number, V> | null): [number, V][] {
  return [...(entries ?? [])].sort(([left], [right]) => left - right);
}

/** The block behind flag and length, as requests and user details hold it; null is none. */
export function readMaybePermissions(reader: Reader, present: boolean): Permissions | null {
  if (!present) return null;
  const length = reader.u32();
  const start = reader.at;
  const permissions = readPermissions(reader);
  if (reader.at - start !== length) reader.fail('invalid');
  return permissions;
}

/** Flag 1, length and block. The four bytes of "none" differ by place and are the caller's. */
export function writeSomePermissions(writer: Writer, permissions: Permissions): void {
  writer.u8(1);
  const lengthAt = writer.reserveU32();
  const start = writer.length;
  writePermissions(writer, permissions);
  writer.setU32(lengthAt, writer.length - start);
}
