import type { ConsumerOffsetReply } from '@iggy-ts/wire/commands/replies';
import type {
  DeleteConsumerOffset,
  GetConsumerOffset,
  StoreConsumerOffset,
} from '@iggy-ts/wire/commands/requests';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { ConsumerKind, Groups, PartitionGroup, Position } from '../cluster/port.ts';
import type { GroupView, TopicView } from '../state/metadata-tables.ts';
import type { Actor } from './actor.ts';
import type { Authorizer } from './authorize.ts';
import { borrowingMember, consumerKey } from './membership.ts';
import type { Executed, Numbering } from './port.ts';
import type { Rebalancing } from './rebalancing.ts';
import { orReplaced } from './replaced.ts';

type OffsetWrite = StoreConsumerOffset | DeleteConsumerOffset;

/** Whose offset, on which partition. `group` is null for a single consumer. */
interface Target {
  readonly topic: TopicView;
  readonly group: GroupView | null;
  readonly partitionId: number;
  readonly partition: PartitionGroup;
  readonly kind: ConsumerKind;
  readonly id: number;
}

export interface OffsetsDependencies {
  readonly groups: Groups;
  readonly authorizer: Authorizer;
  readonly rebalancing: Rebalancing;
}

/**
 * Consumer offsets. A group's offset is stored by the member that owns the partition, also while
 * the partition is on its way to another.
 *
 * source   semantics 0.9, 11 and 12.7
 */
export class Offsets {
  readonly #groups: Groups;
  readonly #authorizer: Authorizer;
  readonly #rebalancing: Rebalancing;

  constructor(dependencies: OffsetsDependencies) {
    this.#groups = dependencies.groups;
    this.#authorizer = dependencies.authorizer;
    this.#rebalancing = dependencies.rebalancing;
  }

  /**
   * Stores or deletes an offset.
   *
   * errors   1009, 2010, 41, 6 (group without partition), 3007, 5000, 5003, 5009, 4100, 3024, 3021,
   *          30, 58, 10005
   */
  async write(
    actor: Actor,
    command: OffsetWrite,
    numbering: Numbering | null,
  ): Promise<Executed<null>> {
    const target = this.requireOwned(actor, command);
    const position = await orReplaced(this.#carryOut(target, command, numbering));
    const { topic, group, partitionId } = target;
    if (group !== null) this.#rebalancing.progressed({ topic, group, partitionId });
    return { code: 0, reply: null, op: position.op, timestampUs: position.timestampUs };
  }

  /**
   * The stored offset; null when nothing is stored or the stream, topic or group is missing.
   *
   * errors   41, 3007
   */
  get(actor: Actor, command: GetConsumerOffset): ConsumerOffsetReply | null {
    this.#authorizer.requireUser(actor);
    if (this.#authorizer.findTopic(command) === null) return null;
    const { topic } = this.#authorizer.requireTopic(actor, command, 'poll');
    const partitionId = command.partitionId ?? 0;
    const partition = this.#requirePartition(topic, partitionId);
    const { kind, id: name } = command.consumer;
    const group = kind === 'group' ? this.#authorizer.findGroup(topic, name) : null;
    if (kind === 'group' && group === null) return null;
    const storedOffset = partition.storedOffset(kind, group?.id ?? consumerKey(name));
    if (storedOffset === null) return null;
    const currentOffset = Math.max(0, partition.state.nextOffset - 1);
    return { partitionId, currentOffset, storedOffset };
  }

  /** The target of a write, with the fence of the group. Nothing waits between this and its use. */
  requireOwned(actor: Actor, command: Omit<GetConsumerOffset, 'kind'>): Target {
    const { topic } = this.#authorizer.requireTopic(actor, command, 'poll');
    const { kind, id: name } = command.consumer;
    if (kind === 'group' && command.partitionId === null) {
      throw new OperatingError(STATUS.invalidIdentifier);
    }
    const partitionId = command.partitionId ?? 0;
    const partition = this.#requirePartition(topic, partitionId);
    if (kind === 'consumer') {
      return { topic, group: null, partitionId, partition, kind, id: consumerKey(name) };
    }
    const group = this.#authorizer.findGroup(topic, name);
    if (group === null) {
      const { consumerGroupIdNotFound, consumerGroupNameNotFound } = STATUS;
      throw new OperatingError(
        name.kind === 'id' ? consumerGroupIdNotFound : consumerGroupNameNotFound,
      );
    }
    const member = borrowingMember(this.#groups.metadata.state, actor);
    if (member === null || !group.assignment.mayStore(member, partitionId)) {
      throw new OperatingError(STATUS.consumerGroupPartitionNotOwned);
    }
    return { topic, group, partitionId, partition, kind, id: group.id };
  }

  #carryOut(
    { partition, kind, id }: Target,
    command: OffsetWrite,
    numbering: Numbering | null,
  ): Promise<Position> {
    if (command.kind === 'deleteConsumerOffset') {
      return partition.deleteOffset({ kind, id, numbering });
    }
    return partition.storeOffset({ kind, id, offset: command.offset, numbering });
  }

  #requirePartition(topic: TopicView, partitionId: number): PartitionGroup {
    const partition = topic.partitions[partitionId];
    if (partition === undefined) throw new OperatingError(STATUS.partitionNotFound);
    const group = this.#groups.partition(partition.uuid);
    if (group === null) throw new OperatingError(STATUS.transientNotAccepted);
    return group;
  }
}
