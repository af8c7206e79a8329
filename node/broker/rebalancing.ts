import assert from 'node:assert/strict';
import { OperatingError } from '@iggy-ts/wire/status';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Groups, PartitionGroup } from '../cluster/port.ts';
import type { Revocation } from '../state/assignment.ts';
import type { GroupView, TopicView } from '../state/metadata-tables.ts';
import type { FlightPlace, Flights } from './flights.ts';

// Partitions on their way from one member of a group to another:
//
//   join ─► in flight? ── no ──► moves at once
//                └────── yes ─► pending ── stored, or timed out ─► completeRevocations ─► moves
//
// Whoever proposes such an op says what is in flight as the polls know it at that moment. So group
// polls of the topic wait while one is under way: one that began in between would be served
// messages that the next owner is served, too.

const CHECK_INTERVAL_MS = 1000;

interface Gate {
  changesCount: number;
  readonly opened: Promise<void>;
  readonly open: () => void;
}

export interface RebalancingDependencies {
  readonly groups: Groups;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly flights: Flights;
}

/**
 * Keeps polls and changes of assignments apart, and completes revocations.
 *
 * cost     one timer per second while something is pending, none otherwise
 * source   semantics 0.9, 12.3 to 12.5
 */
export class Rebalancing {
  readonly #timeoutUs: number;
  readonly #groups: Groups;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #flights: Flights;
  readonly #gates = new Map<TopicView, Gate>();
  /** Monotonic time at which this process first saw a revocation. */
  readonly #seenUs = new WeakMap<Revocation, number>();
  readonly #completing = new Set<GroupView>();
  #cancelTimer: (() => void) | null = null;
  #stopped = false;

  constructor(options: { readonly timeoutUs: number }, dependencies: RebalancingDependencies) {
    this.#timeoutUs = options.timeoutUs;
    this.#groups = dependencies.groups;
    this.#clock = dependencies.clock;
    this.#logger = dependencies.logger;
    this.#flights = dependencies.flights;
  }

  /** Settles when a change of the topic's groups that is under way is over; null when none is. */
  gateOf(topic: TopicView): Promise<void> | null {
    return this.#gates.get(topic)?.opened ?? null;
  }

  /** Runs a change of the group's assignment, with the partitions in flight, while polls wait. */
  async change<T>(
    of: { readonly topic: TopicView; readonly group: GroupView },
    run: (inFlight: readonly number[]) => Promise<T>,
  ): Promise<T> {
    const gate = this.#shut(of.topic);
    try {
      return await run(this.#inFlight(of.topic, of.group));
    } finally {
      gate.changesCount -= 1;
      if (gate.changesCount === 0) {
        this.#gates.delete(of.topic);
        gate.open();
      }
      this.#watch(of.group);
    }
  }

  /** Something was served, stored or deleted: a revocation of the partition may be complete now. */
  progressed(of: {
    readonly topic: TopicView;
    readonly group: GroupView;
    readonly partitionId: number;
  }): void {
    const { topic, group, partitionId } = of;
    const partition = this.#partitionOf(topic, partitionId);
    if (partition === null) return;
    const place = flightPlace(partition, group.id);
    this.#flights.settle(place, partition.storedOffset('group', group.id));
    if (group.assignment.pending.has(partitionId)) this.#maybeComplete(topic, group);
  }

  /** Looks after all pending revocations. */
  check(): void {
    const { state } = this.#groups.metadata;
    for (const group of [...state.groupsPending()]) {
      const topic = state.findTopic(group.streamId, { kind: 'id', id: group.topicId });
      if (topic !== null) this.#maybeComplete(topic, group);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #shut(topic: TopicView): Gate {
    let gate = this.#gates.get(topic);
    if (gate === undefined) {
      const { promise: opened, resolve: open } = Promise.withResolvers<void>();
      gate = { changesCount: 0, opened, open };
      this.#gates.set(topic, gate);
    }
    gate.changesCount += 1;
    return gate;
  }

  #inFlight(topic: TopicView, group: GroupView): readonly number[] {
    const ids = topic.partitions.map(({ id }) => id);
    return ids.filter((partitionId) => this.#isInFlight(topic, group, partitionId));
  }

  #isInFlight(topic: TopicView, group: GroupView, partitionId: number): boolean {
    const owner = group.assignment.ownerOf(partitionId);
    const partition = this.#partitionOf(topic, partitionId);
    if (owner === null || partition === null) return false;
    const stored = partition.storedOffset('group', group.id);
    return this.#flights.isInFlight(flightPlace(partition, group.id), owner, stored);
  }

  #partitionOf(topic: TopicView, partitionId: number): PartitionGroup | null {
    const partition = topic.partitions[partitionId];
    return partition === undefined ? null : this.#groups.partition(partition.uuid);
  }

  #isDue(topic: TopicView, group: GroupView, revocation: Revocation): boolean {
    const now = this.#clock.monotonicUs();
    const seenUs = this.#seenUs.get(revocation) ?? now;
    this.#seenUs.set(revocation, seenUs);
    if (now - seenUs >= this.#timeoutUs) return true;
    return !this.#isInFlight(topic, group, revocation.partitionId);
  }

  /** One completion per group at a time; what becomes due meanwhile is looked at when it is over. */
  #maybeComplete(topic: TopicView, group: GroupView): void {
    if (this.#stopped || this.#completing.has(group)) return;
    // A deleted group keeps its last assignment, which nobody can complete.
    const { state } = this.#groups.metadata;
    if (state.findGroup(topic, { kind: 'id', id: group.id }) !== group) return;
    const due = [...group.assignment.pending.values()].filter((revocation) =>
      this.#isDue(topic, group, revocation),
    );
    if (due.length === 0) return;
    this.#completing.add(group);
    this.#complete(topic, group, due).then(
      () => {
        this.#completing.delete(group);
        this.#maybeComplete(topic, group);
      },
      (error: unknown) => {
        this.#completing.delete(group);
        // Not carried out: the next check tries again.
        if (!(error instanceof OperatingError)) throw error;
        this.#logger.warn('partitions not handed over yet', { group: group.name, error });
      },
    );
  }

  async #complete(topic: TopicView, group: GroupView, due: readonly Revocation[]): Promise<void> {
    assert(due.length > 0);
    await this.change({ topic, group }, (inFlight) =>
      this.#groups.metadata.propose(
        {
          kind: 'completeRevocations',
          caller: null,
          streamId: topic.streamId,
          topicId: topic.id,
          groupId: group.id,
          revocations: due.map(({ partitionId, sinceOp }) => ({ partitionId, sinceOp })),
          inFlight,
        },
        null,
      ),
    );
  }

  /** From the first pending revocation on there is a check every second, until none is left. */
  #watch(group: GroupView): void {
    const now = this.#clock.monotonicUs();
    for (const revocation of group.assignment.pending.values()) {
      if (!this.#seenUs.has(revocation)) this.#seenUs.set(revocation, now);
    }
    if (group.assignment.pending.size > 0) this.#arm();
  }

  #arm(): void {
    if (this.#cancelTimer !== null || this.#stopped) return;
    this.#cancelTimer = this.#clock.startTimer(CHECK_INTERVAL_MS, () => {
      this.#cancelTimer = null;
      this.check();
      for (const _ of this.#groups.metadata.state.groupsPending()) {
        this.#arm();
        break;
      }
    });
  }
}

/** Names a partition of a group in the marks of what is in flight. */
export function flightPlace({ uuid, state }: PartitionGroup, groupId: number): FlightPlace {
  return { uuid, purge: state.purge, groupId };
}
