import assert from 'node:assert/strict';
import type { Confirmation } from '@iggy-ts/wire/commands/replies';
import type { SendMessages } from '@iggy-ts/wire/commands/requests';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { xxh32 } from '@iggy-ts/wire/xxh32';
import type { Clock } from '../base/clock.ts';
import type { Pool } from '../base/pool.ts';
import type { Groups } from '../cluster/port.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { TopicView } from '../state/metadata-tables.ts';
import type { Actor } from './actor.ts';
import type { Authorizer } from './authorize.ts';
import type { BrokerObserver } from './dependencies.ts';
import type { Executed, Numbering } from './port.ts';
import { orReplaced } from './replaced.ts';

const CHECK_RECEIVED = { limits: true, messages: true, batch: true };
/** What this server has sealed itself needs no second look at its checksums. */
const CHECK_SEALED = { limits: true, messages: false, batch: false };

/** A batch in the pool, borrowed until the promise of the append settles. */
export interface BatchPlace {
  readonly batchAt: number;
  readonly batchBytes: number;
  readonly numbering: Numbering | null;
}

export interface AppendDependencies {
  readonly groups: Groups;
  readonly kernel: Kernel;
  readonly pool: Pool;
  readonly clock: Clock;
  readonly authorizer: Authorizer;
  readonly observer: BrokerObserver;
}

/**
 * Sends: target, permission, batch, partition, append, in this order. What the target and the
 * permission are is looked up once, before anything waits: a topic deleted meanwhile closes its
 * partitions, and then the append itself is refused.
 *
 * source   semantics 0.9, 7 and 8; wire 0.9, 12.5
 */
export class Append {
  readonly #groups: Groups;
  readonly #kernel: Kernel;
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #authorizer: Authorizer;
  readonly #observer: BrokerObserver;
  readonly #batchBytesMax: number;
  /** Batches that chose no partition, by topic; a deleted topic takes its count along. */
  readonly #turns = new WeakMap<TopicView, number>();

  constructor(options: { readonly batchBytesMax: number }, dependencies: AppendDependencies) {
    this.#groups = dependencies.groups;
    this.#kernel = dependencies.kernel;
    this.#pool = dependencies.pool;
    this.#clock = dependencies.clock;
    this.#authorizer = dependencies.authorizer;
    this.#observer = dependencies.observer;
    this.#batchBytesMax = options.batchBytesMax;
  }

  /**
   * Appends a batch as a client sent it.
   *
   * errors   1009, 2010, 3007, 20 (topic without partitions), 41, 3, 4009, 4017, 4022, 4027, 4039,
   *          58, 10005
   */
  send(
    actor: Actor,
    command: SendMessages,
    place: BatchPlace,
  ): Promise<Executed<readonly Confirmation[]>> {
    return this.#append(actor, command, place, CHECK_RECEIVED);
  }

  /** Appends a batch without checksums that lies outside the pool. */
  async sendUnsealed(
    actor: Actor,
    command: SendMessages,
    batch: Uint8Array,
  ): Promise<Executed<readonly Confirmation[]>> {
    if (batch.length > this.#batchBytesMax || batch.length > this.#pool.slotBytesMax) {
      throw new OperatingError(STATUS.tooBigMessagePayload);
    }
    if (batch.length === 0) throw new OperatingError(STATUS.invalidCommand);
    const batchAt = await this.#takeSlot(batch.length);
    try {
      this.#pool.bytes.set(batch, batchAt);
      if (!this.#kernel.seal(batchAt, batch.length)) {
        throw new OperatingError(STATUS.invalidCommand);
      }
      const place = { batchAt, batchBytes: batch.length, numbering: null };
      return await this.#append(actor, command, place, CHECK_SEALED);
    } finally {
      this.#pool.give(batchAt);
    }
  }

  async #append(
    actor: Actor,
    command: SendMessages,
    place: BatchPlace,
    checks: typeof CHECK_RECEIVED,
  ): Promise<Executed<readonly Confirmation[]>> {
    const startedUs = this.#clock.monotonicUs();
    this.#authorizer.requireUser(actor);
    const { batchAt, batchBytes, numbering } = place;
    // A missing partition is reported before a missing permission, like a missing topic.
    const found = this.#authorizer.findTopic(command);
    const fixed = found === null ? null : this.#fixedPartition(found, command);
    const { stream, topic } = this.#authorizer.requireTopic(actor, command, 'send');
    this.#requireBatch(command, place, checks);
    const partitionId = fixed ?? this.#balancedPartition(topic, actor, numbering);
    const partition = topic.partitions[partitionId];
    assert(partition !== undefined);
    const group = this.#groups.partition(partition.uuid);
    if (group === null) throw new OperatingError(STATUS.transientNotAccepted);
    const request = { batchAt, batchBytes, count: command.messagesCount, partitionId, numbering };
    const appended = await orReplaced(group.append(request));
    const { op, timestampUs, baseOffset } = appended;
    if (!appended.repeated) {
      const us = this.#clock.monotonicUs() - startedUs;
      this.#observer.appended({ bytes: batchBytes, messages: command.messagesCount, us });
    }
    const reply =
      baseOffset === null
        ? []
        : [{ streamId: stream.id, topicId: topic.id, partitionId, baseOffset }];
    return { code: 0, reply, op, timestampUs };
  }

  #requireBatch(command: SendMessages, place: BatchPlace, checks: typeof CHECK_RECEIVED): void {
    const { batchAt, batchBytes } = place;
    const status = this.#kernel.check(batchAt, batchBytes, checks);
    if (status !== 0) throw new OperatingError(status);
    if (this.#kernel.count !== command.messagesCount) {
      throw new OperatingError(STATUS.invalidCommand);
    }
    // Offsets are counted, not read from the frames: a batch that skips or repeats one would leave
    // messages that no poll finds.
    if (!this.#kernel.dense) throw new OperatingError(STATUS.invalidCommand);
  }

  /** The partition that the request itself decides; null when it is balanced. */
  #fixedPartition(topic: TopicView, { partitioning }: SendMessages): number | null {
    const count = topic.partitions.length;
    if (partitioning.kind === 'partition') {
      if (partitioning.partitionId >= count) throw new OperatingError(STATUS.partitionNotFound);
      return partitioning.partitionId;
    }
    if (count === 0) throw new OperatingError(STATUS.resourceNotFound);
    return partitioning.kind === 'key' ? xxh32(partitioning.key) % count : null;
  }

  /** Round robin; a repeated request goes where its first copy went, else it would be stored twice. */
  #balancedPartition(topic: TopicView, actor: Actor, numbering: Numbering | null): number {
    const count = topic.partitions.length;
    const last = actor.session?.lastBalanced ?? null;
    if (
      last !== null &&
      numbering !== null &&
      last.topic === topic &&
      last.request === numbering.request &&
      last.checksumLow === numbering.checksumLow &&
      last.checksumHigh === numbering.checksumHigh &&
      last.partitionId < count
    ) {
      return last.partitionId;
    }
    const turn = this.#turns.get(topic) ?? 0;
    // Kept below the count, so that a partition added later takes its turn from where this one ends.
    this.#turns.set(topic, (turn + 1) % count);
    const partitionId = turn % count;
    if (actor.session !== null && numbering !== null) {
      const { request, checksumLow, checksumHigh } = numbering;
      actor.session.lastBalanced = { request, checksumLow, checksumHigh, topic, partitionId };
    }
    return partitionId;
  }

  async #takeSlot(bytes: number): Promise<number> {
    try {
      return await this.#pool.takeWhenFree(bytes);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new OperatingError(STATUS.transientNotAccepted, undefined, { cause });
    }
  }
}
