import assert from 'node:assert/strict';
import type { ClientVersion } from '@iggy-ts/wire/commands/requests';
import type { Options, Permissions, UserStatus } from '@iggy-ts/wire/commands/values';
import type { Assignment, AssignmentView } from './assignment.ts';
import { NamedTable } from './named-table.ts';
import type { StoredReply } from './outcome.ts';
import type { TopicSettings } from './topic-options.ts';

// What the metadata consists of. Views are what readers get: the objects themselves, read-only,
// changed under them by the next op. Tables are what ops change.

interface PartitionView {
  readonly id: number;
  /** 32 hex characters; the identity of its files. Ids come back, uuids do not. */
  readonly uuid: string;
  readonly createdAtUs: number;
  /** The op of its last purge, 0 for none. */
  readonly purge: number;
  /** Whole segments below may go once no consumer holds them; 0 for none. */
  readonly trimOffset: number;
}
export interface TopicView {
  readonly streamId: number;
  readonly id: number;
  readonly name: string;
  readonly createdAtUs: number;
  readonly explicit: Options;
  readonly derived: Options;
  readonly settings: TopicSettings;
  /** By id, which are dense. */
  readonly partitions: readonly PartitionView[];
}
export interface StreamView {
  readonly id: number;
  readonly name: string;
  readonly createdAtUs: number;
  readonly topicsCount: number;
}
export interface GroupView {
  readonly streamId: number;
  readonly topicId: number;
  readonly id: number;
  readonly name: string;
  readonly assignment: AssignmentView;
}
export interface TokenView {
  readonly userId: number;
  readonly name: string;
  readonly tokenHash: string;
  readonly expiryAtUs: number | null;
}
export interface UserView {
  readonly id: number;
  readonly name: string;
  readonly createdAtUs: number;
  readonly passwordHash: string;
  readonly status: UserStatus;
  readonly permissions: Permissions | null;
}
export interface SessionView {
  readonly client: string;
  readonly userId: number;
  /** The op of its last login. */
  readonly epoch: number;
  /** Highest request number that was executed. */
  readonly watermark: number;
  readonly version: ClientVersion | null;
  /** The op it was last heard of by. */
  readonly opLast: number;
}
/** A partition with what it belongs to. */
export interface Placement {
  readonly topic: TopicView;
  readonly partition: PartitionView;
}

export interface Partition {
  readonly id: number;
  readonly uuid: string;
  readonly createdAtUs: number;
  purge: number;
  trimOffset: number;
}
export interface Group {
  readonly streamId: number;
  readonly topicId: number;
  readonly id: number;
  name: string;
  readonly assignment: Assignment;
}
export interface Topic {
  readonly streamId: number;
  readonly id: number;
  name: string;
  readonly createdAtUs: number;
  explicit: Options;
  derived: Options;
  settings: TopicSettings;
  readonly partitions: Partition[];
  readonly groups: NamedTable<Group>;
}
export interface Stream {
  readonly id: number;
  name: string;
  readonly createdAtUs: number;
  readonly topics: NamedTable<Topic>;
  readonly topicsCount: number;
}
export interface User {
  readonly id: number;
  name: string;
  readonly createdAtUs: number;
  passwordHash: string;
  status: UserStatus;
  permissions: Permissions | null;
  /** By name. */
  readonly tokens: Map<string, TokenView>;
}
export interface Session {
  readonly client: string;
  readonly userId: number;
  epoch: number;
  watermark: number;
  version: ClientVersion | null;
  opLast: number;
  /** Replies of the last requests, in the order of execution. */
  readonly replies: StoredReply[];
  /** Derived: the groups whose member it is. */
  readonly groups: Set<Group>;
}

interface PlacedPartition {
  readonly topic: Topic;
  readonly partition: Partition;
}

/** Everything the metadata group replicates, with the indices that are derived from it. */
export class Tables {
  readonly streams: NamedTable<Stream> = new NamedTable({ reusesIds: true });
  readonly users: NamedTable<User> = new NamedTable({ reusesIds: true });
  /** By client id, in the order of their first login. */
  readonly sessions: Map<string, Session> = new Map();
  /** Derived. */
  readonly partitionByUuid: Map<string, PlacedPartition> = new Map();
  /** Derived. */
  readonly tokenByHash: Map<string, TokenView> = new Map();
  /** Derived: groups with a pending revocation. */
  readonly groupsPending: Set<Group> = new Set();
  /** Derived. */
  topicsCount = 0;
  /** Derived. */
  groupsCount = 0;

  addStream(stream: Omit<Stream, 'topics' | 'topicsCount'>): Stream {
    const topics: NamedTable<Topic> = new NamedTable({ reusesIds: true });
    const added = {
      ...stream,
      topics,
      get topicsCount(): number {
        return topics.size;
      },
    };
    this.streams.add(added);
    return added;
  }

  addTopic(stream: Stream, topic: Topic): void {
    stream.topics.add(topic);
    this.topicsCount += 1;
    for (const partition of topic.partitions) this.#indexPartition(topic, partition);
    for (const group of topic.groups.list()) this.#indexGroup(group);
  }

  deleteTopic(stream: Stream, topic: Topic): void {
    for (const group of topic.groups.list()) this.deleteGroup(topic, group);
    this.deletePartitions(topic, 0);
    stream.topics.delete(topic);
    this.topicsCount -= 1;
  }

  addPartition(topic: Topic, partition: Partition): void {
    assert.equal(partition.id, topic.partitions.length);
    topic.partitions.push(partition);
    this.#indexPartition(topic, partition);
  }

  /** Deletes the partitions from `first` on and returns their uuids. */
  deletePartitions(topic: Topic, first: number): readonly string[] {
    const deleted = topic.partitions.splice(first).map(({ uuid }) => uuid);
    for (const uuid of deleted) this.partitionByUuid.delete(uuid);
    return deleted;
  }

  addGroup(topic: Topic, group: Group): void {
    topic.groups.add(group);
    this.#indexGroup(group);
  }

  deleteGroup(topic: Topic, group: Group): void {
    for (const { client } of group.assignment.members) {
      this.sessions.get(client)?.groups.delete(group);
    }
    topic.groups.delete(group);
    this.groupsPending.delete(group);
    this.groupsCount -= 1;
  }

  /** To be called after every change of the group's assignment. */
  notePending(group: Group): void {
    if (group.assignment.pending.size > 0) this.groupsPending.add(group);
    else this.groupsPending.delete(group);
  }

  addToken(user: User, token: TokenView): void {
    user.tokens.set(token.name, token);
    this.tokenByHash.set(token.tokenHash, token);
  }

  deleteToken(user: User, token: TokenView): void {
    user.tokens.delete(token.name);
    this.tokenByHash.delete(token.tokenHash);
  }

  /** Asserts that indices and counts say the same as the tables. */
  checkInvariants(): void {
    this.streams.checkInvariants();
    this.users.checkInvariants();
    const counts = { topics: 0, groups: 0, partitions: 0, tokens: 0, memberships: 0, pending: 0 };
    for (const stream of this.streams.list()) {
      stream.topics.checkInvariants();
      for (const topic of stream.topics.list()) {
        assert.equal(topic.streamId, stream.id);
        topic.groups.checkInvariants();
        counts.topics += 1;
        counts.groups += topic.groups.size;
        counts.partitions += topic.partitions.length;
        this.#checkTopic(topic);
        for (const { assignment } of topic.groups.list()) {
          counts.memberships += assignment.membersCount;
          if (assignment.pending.size > 0) counts.pending += 1;
        }
      }
    }
    for (const user of this.users.list()) {
      counts.tokens += user.tokens.size;
      for (const [name, token] of user.tokens) {
        assert.equal(token.name, name);
        assert.equal(token.userId, user.id);
        assert(this.tokenByHash.get(token.tokenHash) === token);
      }
    }
    let memberships = 0;
    for (const [client, session] of this.sessions) {
      assert.equal(session.client, client);
      assert(this.users.get(session.userId) !== null);
      memberships += session.groups.size;
      for (const group of session.groups) assert(group.assignment.hasMember(client));
    }
    assert.equal(this.topicsCount, counts.topics);
    assert.equal(this.groupsCount, counts.groups);
    assert.equal(this.partitionByUuid.size, counts.partitions);
    assert.equal(this.tokenByHash.size, counts.tokens);
    assert.equal(this.groupsPending.size, counts.pending);
    assert.equal(memberships, counts.memberships);
  }

  #checkTopic(topic: Topic): void {
    for (const [id, partition] of topic.partitions.entries()) {
      assert.equal(partition.id, id);
      assert(this.partitionByUuid.get(partition.uuid)?.partition === partition);
    }
    for (const group of topic.groups.list()) {
      assert.equal(group.streamId, topic.streamId);
      assert.equal(group.topicId, topic.id);
      group.assignment.checkInvariants();
      assert.equal(this.groupsPending.has(group), group.assignment.pending.size > 0);
      const owned = group.assignment.members.flatMap(({ partitions }) => partitions);
      assert.equal(owned.length, group.assignment.membersCount === 0 ? 0 : topic.partitions.length);
    }
  }

  #indexPartition(topic: Topic, partition: Partition): void {
    assert(!this.partitionByUuid.has(partition.uuid));
    this.partitionByUuid.set(partition.uuid, { topic, partition });
  }

  #indexGroup(group: Group): void {
    this.groupsCount += 1;
    this.notePending(group);
    for (const { client } of group.assignment.members) {
      const session = this.sessions.get(client);
      assert(session !== undefined);
      session.groups.add(group);
    }
  }
}
