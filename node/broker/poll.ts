import assert from 'node:assert/strict';
import { PARTITION_ID_RESYNC } from '@iggy-ts/wire/commands/replies';
import type { PollMessages, PollMessagesOnPrimary } from '@iggy-ts/wire/commands/requests';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Clock } from '../base/clock.ts';
import type { Pool } from '../base/pool.ts';
import type { ConsumerKind, Groups, PartitionGroup } from '../cluster/port.ts';
import type { Records } from '../log/log-reader.ts';
import type { GroupView, TopicView } from '../state/metadata-tables.ts';
import type { Actor } from './actor.ts';
import type { Authorizer } from './authorize.ts';
import type { BrokerObserver } from './dependencies.ts';
import type { Flights } from './flights.ts';
import { borrowingMember, consumerKey } from './membership.ts';
import { POLL_HEADROOM, type Polled } from './port.ts';
import { flightPlace, type Rebalancing } from './rebalancing.ts';
import { lastOffsetOf, RecordReader } from './record-reader.ts';

export interface PollDependencies {
  readonly groups: Groups;
  readonly pool: Pool;
  readonly clock: Clock;
  readonly authorizer: Authorizer;
  readonly flights: Flights;
  readonly rebalancing: Rebalancing;
  readonly observer: BrokerObserver;
}

type PollCommand = PollMessages | PollMessagesOnPrimary;

/** Who reads, and behind which offset `next` continues. */
interface Reader {
  readonly kind: ConsumerKind;
  readonly id: number;
  /** Whether the messages may still leave when they have been read. */
  readonly isOwner: () => boolean;
}

interface Membership {
  readonly topic: TopicView;
  readonly group: GroupView;
  readonly member: string;
}

interface Place {
  readonly partition: PartitionGroup;
  readonly partitionId: number;
}

/**
 * Polls: target, permission, group fence, start, read, auto-commit, in this order. The fence is
 * looked at again after the read, which may wait for the disk.
 *
 * source   semantics 0.9, 9 and 12.7
 */
export class Poll {
  readonly #reader: RecordReader;
  readonly #groups: Groups;
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #authorizer: Authorizer;
  readonly #flights: Flights;
  readonly #rebalancing: Rebalancing;
  readonly #observer: BrokerObserver;

  /** frameBytesMax: a reply with its head stays below it. */
  constructor(options: { readonly frameBytesMax: number }, dependencies: PollDependencies) {
    this.#groups = dependencies.groups;
    this.#pool = dependencies.pool;
    this.#clock = dependencies.clock;
    this.#authorizer = dependencies.authorizer;
    this.#flights = dependencies.flights;
    this.#rebalancing = dependencies.rebalancing;
    this.#observer = dependencies.observer;
    const bytesMax = Math.min(options.frameBytesMax, this.#pool.slotBytesMax) - POLL_HEADROOM;
    this.#reader = new RecordReader({ bytesMax }, dependencies);
  }

  /**
   * Reads messages into a slot of the pool.
   *
   * errors   1009, 2010, 3007, 41, 40 (on primary, without an attached session), 3024, 4027, 4039,
   *          72, 58
   */
  async poll(actor: Actor, command: PollCommand): Promise<Polled> {
    const startedUs = this.#clock.monotonicUs();
    const polled =
      command.consumer.kind === 'group'
        ? await this.#pollAsMember(actor, command)
        : await this.#pollAsConsumer(actor, command);
    if (polled.messagesCount > 0) {
      const us = this.#clock.monotonicUs() - startedUs;
      this.#observer.polled({ bytes: polled.recordsBytes, messages: polled.messagesCount, us });
    }
    return polled;
  }

  #pollAsConsumer(actor: Actor, command: PollCommand): Promise<Polled> {
    requireAttachment(actor, command);
    const { topic } = this.#authorizer.requireTopic(actor, command, 'poll');
    const partitionId = command.partitionId ?? 0;
    const partition = this.#requirePartition(topic, partitionId);
    const id = consumerKey(command.consumer.id);
    const reader = { kind: 'consumer', id, isOwner: always } as const;
    return this.#readAndCommit({ partition, partitionId }, command, reader);
  }

  /** The member's own partition, or the next of its assignment when the request names none. */
  async #pollAsMember(actor: Actor, command: PollCommand): Promise<Polled> {
    let { topic } = this.#authorizer.requireTopic(actor, command, 'poll');
    for (let gate = this.#rebalancing.gateOf(topic); gate !== null; ) {
      await gate;
      // Everything is looked up behind the wait, and from here on the flight begins before
      // anything else can run.
      topic = this.#authorizer.requireTopic(actor, command, 'poll').topic;
      gate = this.#rebalancing.gateOf(topic);
    }
    const member = requireAttachment(actor, command)
      ? borrowingMember(this.#groups.metadata.state, actor)
      : (actor.session?.client ?? null);
    if (command.partitionId !== null && command.partitionId >= topic.partitions.length) {
      throw new OperatingError(STATUS.partitionNotFound);
    }
    const group = this.#authorizer.findGroup(topic, command.consumer.id);
    if (member === null || group?.assignment.hasMember(member) !== true) return resync();
    const partitionId = command.partitionId ?? nextInTurn(actor, group, member);
    if (partitionId === null) return new EmptyPolled(0, 0);
    if (!group.assignment.mayPoll(member, partitionId)) return resync();
    const place = { partition: this.#requirePartition(topic, partitionId), partitionId };
    return this.#readAsMember(place, command, { topic, group, member });
  }

  async #readAsMember(
    place: Place,
    command: PollCommand,
    { topic, group, member }: Membership,
  ): Promise<Polled> {
    const { partition, partitionId } = place;
    const flight = this.#flights.begin(flightPlace(partition, group.id), member);
    // A member that is losing the partition may still work on what it has read; one that has lost
    // it may not.
    const isOwner = (): boolean =>
      group.assignment.mayStore(member, partitionId) && this.#authorizer.isGroupAlive(topic, group);
    const reader = { kind: 'group', id: group.id, isOwner } as const;
    let served = -1;
    try {
      const polled = await this.#readAndCommit(place, command, reader);
      if (polled instanceof LocalPolled) served = polled.lastOffset;
      return polled;
    } finally {
      this.#flights.end(flight, served);
      this.#rebalancing.progressed({ topic, group, partitionId });
    }
  }

  async #readAndCommit(place: Place, command: PollCommand, reader: Reader): Promise<Polled> {
    const { partition, partitionId } = place;
    const { count } = command;
    const { isOwner } = reader;
    const { purge } = partition.state;
    const nothing = (): Polled => new EmptyPolled(partitionId, currentOffsetOf(partition));
    if (count === 0) return nothing();
    const offset = await startOf(partition, command, reader);
    // The log is read up to the committed end, so an offset above it finds nothing.
    if (offset >= partition.state.nextOffset) return isOwner() ? nothing() : resync();
    const records = await this.#reader.read(partition, offset, count);
    if (!isOwner()) return this.#drop(records, resync());
    // What was read before a purge does not exist any more.
    if (records === null || partition.state.purge !== purge) return this.#drop(records, nothing());
    const polled = new LocalPolled(this.#pool, place, records);
    try {
      if (command.autoCommit) partition.autoCommit(reader.kind, reader.id, polled.lastOffset);
    } catch (error) {
      polled.release();
      throw error;
    }
    return polled;
  }

  #drop(records: Records | null, polled: Polled): Polled {
    if (records !== null) this.#pool.give(records.slotAt);
    return polled;
  }

  #requirePartition(topic: TopicView, partitionId: number): PartitionGroup {
    const partition = topic.partitions[partitionId];
    if (partition === undefined) throw new OperatingError(STATUS.partitionNotFound);
    const group = this.#groups.partition(partition.uuid);
    if (group === null) throw new OperatingError(STATUS.transientNotAccepted);
    return group;
  }
}

/** A reply without records. */
class EmptyPolled implements Polled {
  readonly partitionId: number;
  readonly currentOffset: number;
  readonly messagesCount = 0;
  readonly recordsAt = 0;
  readonly recordsBytes = 0;
  #released = false;

  constructor(partitionId: number, currentOffset: number) {
    this.partitionId = partitionId;
    this.currentOffset = currentOffset;
  }

  release(): void {
    assert(!this.#released, 'a poll is released once');
    this.#released = true;
  }
}

/** Records in a slot that is given back exactly once. */
class LocalPolled implements Polled {
  readonly partitionId: number;
  readonly currentOffset: number;
  readonly messagesCount: number;
  readonly recordsAt: number;
  readonly recordsBytes: number;
  /** Offset of the last message. */
  readonly lastOffset: number;
  readonly #pool: Pool;
  readonly #slotAt: number;
  #released = false;

  constructor(pool: Pool, { partition, partitionId }: Place, records: Records) {
    assert(records.recordsAt - records.slotAt >= POLL_HEADROOM);
    assert(records.messagesCount > 0);
    this.#pool = pool;
    this.#slotAt = records.slotAt;
    this.partitionId = partitionId;
    this.currentOffset = currentOffsetOf(partition);
    this.messagesCount = records.messagesCount;
    this.recordsAt = records.recordsAt;
    this.recordsBytes = records.recordsBytes;
    this.lastOffset = lastOffsetOf(pool.view, records);
  }

  release(): void {
    assert(!this.#released, 'a poll is released once');
    this.#released = true;
    this.#pool.give(this.#slotAt);
  }
}

function always(): boolean {
  return true;
}

/** Tells a group member to fetch its assignment. */
function resync(): Polled {
  return new EmptyPolled(PARTITION_ID_RESYNC, 0);
}

function currentOffsetOf(partition: PartitionGroup): number {
  return Math.max(0, partition.state.nextOffset - 1);
}

/** The first offset that is wanted; what lies below the oldest message is moved up by the read. */
async function startOf(
  partition: PartitionGroup,
  { strategy, count }: PollCommand,
  reader: Reader,
): Promise<number> {
  switch (strategy.kind) {
    case 'offset':
      return strategy.offset;
    case 'first':
      return 0;
    case 'last':
      return Math.max(0, partition.state.nextOffset - count);
    case 'next':
      return (partition.storedOffset(reader.kind, reader.id) ?? -1) + 1;
    case 'timestamp':
      return Number.isFinite(strategy.timestampUs)
        ? await partition.offsetAtTime(strategy.timestampUs)
        : Number.POSITIVE_INFINITY;
  }
}

/** Whether the request came over a route, for which another session must be attached. */
function requireAttachment({ session }: Actor, { kind }: PollCommand): boolean {
  if (kind !== 'pollMessagesOnPrimary') return false;
  if ((session?.attached ?? null) === null) throw new OperatingError(STATUS.unauthenticated);
  return true;
}

/** The next partition of the member's assignment, one per poll; null when it may poll none. */
function nextInTurn({ session }: Actor, group: GroupView, member: string): number | null {
  const partitions = group.assignment.pollableBy(member);
  assert(session !== null && partitions !== null);
  if (partitions.length === 0) return null;
  const turn = session.turns.get(group) ?? 0;
  session.turns.set(group, turn + 1);
  return partitions[turn % partitions.length]!;
}
