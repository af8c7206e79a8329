import assert from 'node:assert/strict';
import { quorums } from './quorum.ts';

// One group's replicated log, as ops:
//
// |  applied  | committed, being applied |  prepared, not committed  |  free  |
//             ^applied                   ^commit                     ^head    ^head + PIPELINE_MAX
// Invariant: applied <= commit <= head <= commit + PIPELINE_MAX

/** Ops that may be prepared beyond the committed one; a constant of the release (rule S16). */
export const PIPELINE_MAX: number = 128;

/** One op as the core sees it: numbers and a handle; the 256-byte header and the body stay outside. */
export interface Prepare {
  readonly op: number;
  readonly view: number;
  readonly epoch: number;
  /** Whatever the driver wants to find again at commit. */
  readonly handle: unknown;
}

interface PersistRequest {
  readonly kind: 'append';
  readonly ticket: number;
  readonly prepare: Prepare;
}

/** What a step asks the driver to do, in this order. Cleared and reused by the driver. */
export interface Effects {
  /** 1. Make durable, in order; report with `persisted(ticket)`. */
  persist: PersistRequest[];
  /** 2. Apply in order; only then may anybody be answered. */
  commit: Prepare[];
}

export interface ReplicaOptions {
  /** Node uuids in the order of the epoch; a single node is a group of one. */
  readonly members: readonly string[];
  readonly self: string;
  readonly epoch: number;
  readonly view: number;
  /** Highest op in the recovered log. */
  readonly head: number;
  /** Highest op known committed at start; in a group of one everything recovered is. */
  readonly commit: number;
}

/**
 * The Viewstamped Replication core of one group: numbers ops, counts votes, commits in order.
 * Synchronous, without clock, promise or randomness: inputs are `propose`, `persisted` and
 * `truncate`, outputs are effects.
 *
 * cost     O(members) per op, one Prepare object each
 * source   VR Revisited 4.1; durable log variant
 */
export class Replica {
  readonly #members: readonly string[];
  readonly #self: number;
  readonly #commitQuorum: number;
  readonly #epoch: number;
  readonly #view: number;
  #head: number;
  #commit: number;
  #ticketLast = 0;
  /** Prepares above commit, by op order: index i is op commit + 1 + i. */
  readonly #pipeline: { prepare: Prepare; ticket: number }[] = [];
  /** Highest op each member has voted for, own vote included. */
  readonly #acked: number[];

  constructor(options: ReplicaOptions) {
    assert(options.commit <= options.head);
    this.#members = options.members;
    this.#self = options.members.indexOf(options.self);
    assert(this.#self >= 0, 'a replica is a member of its group');
    assert(options.members.length === 1, 'groups of more than one member need the peer transport');
    this.#commitQuorum = quorums(options.members.length).commit;
    this.#epoch = options.epoch;
    this.#view = options.view;
    this.#head = options.head;
    this.#commit = options.commit;
    this.#acked = options.members.map(() => 0);
    this.#acked[this.#self] = options.head;
  }

  get head(): number {
    return this.#head;
  }

  get commit(): number {
    return this.#commit;
  }

  get view(): number {
    return this.#view;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get isPrimary(): boolean {
    return this.#view % this.#members.length === this.#self;
  }

  /** Ops that may still be proposed before one commits. */
  get pipelineRoom(): number {
    return PIPELINE_MAX - (this.#head - this.#commit);
  }

  /** Takes the next op into the log. The caller has checked `isPrimary` and `pipelineRoom`. */
  propose(handle: unknown, effects: Effects): Prepare {
    assert(this.isPrimary, 'only the primary proposes');
    assert(this.pipelineRoom > 0, 'the pipeline has room');
    const prepare = { op: this.#head + 1, view: this.#view, epoch: this.#epoch, handle };
    this.#head = prepare.op;
    this.#ticketLast += 1;
    this.#pipeline.push({ prepare, ticket: this.#ticketLast });
    effects.persist.push({ kind: 'append', ticket: this.#ticketLast, prepare });
    return prepare;
  }

  /** Everything up to `ticket` is durable here by the group's policy: that is the own vote. */
  persisted(ticket: number, effects: Effects): void {
    let opDurable = this.#acked[this.#self]!;
    for (const entry of this.#pipeline) {
      if (entry.ticket > ticket) break;
      opDurable = entry.prepare.op;
    }
    assert(opDurable >= this.#acked[this.#self]!, 'votes only grow');
    this.#acked[this.#self] = opDurable;
    this.#advanceCommit(effects);
  }

  /**
   * The ops from the one of `ticketFirst` on were never written anywhere (disk full): takes them
   * out of the log again. Only a group of one may forget its own prepares.
   *
   * returns  the prepares that are gone, in op order
   */
  truncate(ticketFirst: number): Prepare[] {
    assert(this.#members.length === 1);
    const at = this.#pipeline.findIndex((entry) => entry.ticket >= ticketFirst);
    if (at < 0) return [];
    const gone = this.#pipeline.splice(at).map((entry) => entry.prepare);
    this.#head = gone[0]!.op - 1;
    assert(this.#head >= this.#commit, 'a committed op is never truncated');
    assert(this.#head >= this.#acked[this.#self]!, 'a vote is never taken back');
    return gone;
  }

  #advanceCommit(effects: Effects): void {
    const votes = [...this.#acked].sort((a, b) => b - a);
    const op = votes[this.#commitQuorum - 1]!;
    while (this.#commit < op) {
      const entry = this.#pipeline.shift();
      assert(entry !== undefined && entry.prepare.op === this.#commit + 1, 'commit in op order');
      this.#commit = entry.prepare.op;
      effects.commit.push(entry.prepare);
    }
    assert(this.#commit <= this.#head);
  }
}
