import assert from 'node:assert/strict';
import { OP_KIND } from '../log/op-header.ts';
import { decodeMetadataOp, encodeMetadataOp, type MetadataOp } from '../state/metadata-op.ts';
import type { MetadataState } from '../state/metadata-state.ts';
import type { Change, Outcome } from '../state/outcome.ts';
import {
  type Entry,
  Group,
  type GroupDependencies,
  type GroupOptions,
  type Machine,
  originOf,
} from './group.ts';
import type { MetadataGroup, RequestNumber } from './port.ts';

// One op of the metadata on this node:
//
//   propose ─► log ─► commit ─► apply ─► changes begin, in the order of the ops
//                                        ─► all of this op's changes done ─► the proposer's promise

/**
 * Carries out what an op asks of the partitions of this node. Begins at once; settles when done.
 * Rejects with OperatingError when a change could not be made now; it is made up for later.
 */
export type CarryOut = (changes: readonly Change[]) => Promise<void>;

interface Applied {
  readonly outcome: Outcome;
  readonly done: Promise<void>;
}

const NOTHING: Promise<void> = Promise.resolve();

/** Makes the metadata a replicated state machine: commands of the log in, outcomes out. */
class MetadataMachine implements Machine {
  readonly replaysBodies = true;
  readonly #state: MetadataState;
  #carryOut: CarryOut | null = null;

  constructor(state: MetadataState) {
    this.#state = state;
  }

  /** The replay is over: from now on changes are carried out. */
  serve(carryOut: CarryOut): void {
    this.#carryOut = carryOut;
  }

  apply(entry: Entry): Applied | null {
    if (entry.kind !== OP_KIND.command) return null;
    assert(entry.body !== null, 'a command has a body');
    const outcome = this.#state.apply(originOf(entry), decodeMetadataOp(entry.body));
    const carryOut = this.#carryOut;
    if (carryOut === null || outcome.changes.length === 0) return { outcome, done: NOTHING };
    const done = carryOut(outcome.changes);
    // The proposer hears of a failure; without one, the error is nobody's.
    done.catch(() => undefined);
    return { outcome, done };
  }

  snapshot(): Uint8Array {
    return this.#state.snapshot();
  }

  restore(bytes: Uint8Array): void {
    this.#state.restore(bytes);
  }
}

/**
 * The metadata of this node: streams, topics, users, sessions.
 *
 * errors   58 certainly not carried out; 10005 the disk is full; 57 committed, but a partition
 *          could not follow yet (a purge on a full disk)
 */
export class Metadata implements MetadataGroup {
  readonly state: MetadataState;
  readonly #machine: MetadataMachine;
  readonly #group: Group;

  private constructor(state: MetadataState, machine: MetadataMachine, group: Group) {
    this.state = state;
    this.#machine = machine;
    this.#group = group;
  }

  /** Restores and replays the metadata. Nothing is carried out before `serve`. */
  static async open(
    options: GroupOptions,
    dependencies: Omit<GroupDependencies, 'machine'> & { readonly state: MetadataState },
  ): Promise<Metadata> {
    const { state, log } = dependencies;
    const machine = new MetadataMachine(state);
    const group = await Group.open(options, { ...dependencies, machine }, log.snapshot);
    return new Metadata(state, machine, group);
  }

  get commit(): number {
    return this.#group.commit;
  }

  /** From now on the changes of every op are carried out. */
  serve(carryOut: CarryOut): void {
    this.#machine.serve(carryOut);
  }

  async propose(op: MetadataOp, numbering: RequestNumber | null): Promise<Outcome> {
    const applied = await this.#group.propose({
      kind: OP_KIND.command,
      body: encodeMetadataOp(op),
      ...(numbering ?? {}),
    });
    const { outcome, done } = applied.result as Applied;
    await done;
    return outcome;
  }

  /** Takes no more ops; settles when those under way are applied. */
  retire(): Promise<void> {
    return this.#group.retire();
  }

  /** Lets what is under way finish, syncs, snapshots, closes the files. */
  close(): Promise<void> {
    return this.#group.close();
  }
}
