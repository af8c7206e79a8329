import assert from 'node:assert/strict';
import type { Options } from '@iggy-ts/wire/commands/values';
import { Assignment, type AssignmentRecord } from './assignment.ts';
import {
  type Group,
  type Partition,
  type Session,
  Tables,
  type Topic,
  type User,
} from './metadata-tables.ts';
import { NamedTable } from './named-table.ts';
import type { StoredReply } from './outcome.ts';
import { storedSettings } from './topic-options.ts';
import { decodeValue, encodeValue } from './value-codec.ts';

// A snapshot is one canonical value: what cannot be told from something else, everything by
// ascending id. Sessions stand in the order of their first login, which is part of the state.

/** Raised when an older server could not read what this one writes. */
const FORMAT = 1;

interface Content {
  readonly tables: Tables;
  readonly opLast: number;
  readonly timestampUs: number;
}

interface GroupRecord extends AssignmentRecord {
  readonly id: number;
  readonly name: string;
}
interface TopicRecord {
  readonly id: number;
  readonly name: string;
  readonly createdAtUs: number;
  readonly explicit: Options;
  readonly derived: Options;
  readonly partitions: readonly Partition[];
  readonly groups: readonly GroupRecord[];
  readonly groupIdNext: number;
}
interface StreamRecord {
  readonly id: number;
  readonly name: string;
  readonly createdAtUs: number;
  readonly topics: readonly TopicRecord[];
}
type UserRecord = Omit<User, 'tokens'> & {
  readonly tokens: readonly {
    readonly name: string;
    readonly tokenHash: string;
    readonly expiryAtUs: number | null;
  }[];
};
/** In rows: there may be a hundred thousand of them, and their names would be most of the bytes. */
type ReplyRow = readonly [
  request: number,
  checksumLow: number,
  checksumHigh: number,
  op: number,
  timestampUs: number,
  kind: StoredReply['kind'],
  code: number,
  reply: StoredReply['reply'],
];
type SessionRecord = Omit<Session, 'groups' | 'replies'> & {
  readonly replies: readonly ReplyRow[];
};
interface Snapshot {
  readonly format: number;
  readonly opLast: number;
  readonly timestampUs: number;
  readonly streams: readonly StreamRecord[];
  readonly users: readonly UserRecord[];
  readonly sessions: readonly SessionRecord[];
}

/** The same content gives the same bytes. */
export function encodeTables({ tables, opLast, timestampUs }: Content): Uint8Array {
  const snapshot: Snapshot = {
    format: FORMAT,
    opLast,
    timestampUs,
    streams: tables.streams.list().map(({ id, name, createdAtUs, topics }) => ({
      id,
      name,
      createdAtUs,
      topics: topics.list().map(topicRecord),
    })),
    users: tables.users.list().map(userRecord),
    sessions: [...tables.sessions.values()].map(({ groups: _, replies, ...session }) => ({
      ...session,
      replies: replies.map(replyRow),
    })),
  };
  return encodeValue(snapshot);
}

/** Reads a snapshot back and builds the indices anew. */
export function decodeTables(bytes: Uint8Array): Content {
  const snapshot = decodeValue(bytes) as Snapshot;
  assert.equal(snapshot.format, FORMAT, 'format of a metadata snapshot');
  const tables = new Tables();
  for (const { tokens, ...user } of snapshot.users) {
    const added = { ...user, tokens: new Map() };
    tables.users.add(added);
    for (const token of tokens) tables.addToken(added, { userId: user.id, ...token });
  }
  // Before the groups: their members are looked up.
  for (const { replies, ...session } of snapshot.sessions) {
    const restored = { ...session, replies: replies.map(replyOf), groups: new Set<Group>() };
    tables.sessions.set(session.client, restored);
  }
  for (const { topics, ...stream } of snapshot.streams) {
    const added = tables.addStream(stream);
    for (const topic of topics) tables.addTopic(added, topicOf(stream.id, topic));
  }
  tables.checkInvariants();
  return { tables, opLast: snapshot.opLast, timestampUs: snapshot.timestampUs };
}

function topicRecord(topic: Topic): TopicRecord {
  const { id, name, createdAtUs, explicit, derived, partitions, groups } = topic;
  return {
    id,
    name,
    createdAtUs,
    explicit,
    derived,
    partitions,
    groups: groups.list().map((group) => ({
      id: group.id,
      name: group.name,
      ...group.assignment.record(),
    })),
    groupIdNext: groups.idNext,
  };
}

function topicOf(streamId: number, record: TopicRecord): Topic {
  const { groups: records, groupIdNext, partitions, ...rest } = record;
  const groups: NamedTable<Group> = new NamedTable({ reusesIds: false, idNext: groupIdNext });
  for (const { id, name, ...assignment } of records) {
    groups.add({
      streamId,
      topicId: record.id,
      id,
      name,
      assignment: Assignment.restore(assignment, partitions.length),
    });
  }
  return {
    ...rest,
    streamId,
    settings: storedSettings([...record.explicit, ...record.derived]),
    partitions: [...partitions],
    groups,
  };
}

function userRecord({ tokens, ...user }: User): UserRecord {
  const sorted = [...tokens.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
  return {
    ...user,
    tokens: sorted.map(({ name, tokenHash, expiryAtUs }) => ({ name, tokenHash, expiryAtUs })),
  };
}

function replyRow(stored: StoredReply): ReplyRow {
  const { request, checksumLow, checksumHigh, op, timestampUs, kind, code, reply } = stored;
  return [request, checksumLow, checksumHigh, op, timestampUs, kind, code, reply];
}

function replyOf(row: ReplyRow): StoredReply {
  const [request, checksumLow, checksumHigh, op, timestampUs, kind, code, reply] = row;
  return { request, checksumLow, checksumHigh, op, timestampUs, kind, code, reply };
}
