import { OP_KIND } from '../log/op-header.ts';
import { decodePartitionOp, type PartitionOp } from '../state/partition-op.ts';
import type { PartitionState } from '../state/partition-state.ts';
import { type Entry, type Machine, originOf } from './group.ts';
import type { ConsumerKind } from './port.ts';

/** Told after an op was applied while serving, not during the replay of a start. */
export interface PartitionEvents {
  /** An explicit store or delete; auto-commits are not told. */
  offsetChanged(kind: ConsumerKind, id: number): void;
  purged(): void;
  trimmed(): void;
}

/** Makes a partition's state a replicated state machine: ops of the log in, calls of the state out. */
export class PartitionMachine implements Machine {
  /** Batches change the state by their headers alone. */
  readonly replaysBodies = false;
  readonly #state: PartitionState;
  #events: PartitionEvents | null = null;

  constructor(state: PartitionState) {
    this.#state = state;
  }

  /** The replay is over: from now on events are told. */
  serve(events: PartitionEvents): void {
    this.#events = events;
  }

  /** 0, or the code of an op that was refused at its place in the log. */
  apply(entry: Entry): number {
    switch (entry.kind) {
      case OP_KIND.batch:
        this.#state.appended(originOf(entry), entry.offsetFirst, entry.count);
        return 0;
      case OP_KIND.storeOffsets:
      case OP_KIND.deleteOffset:
      case OP_KIND.trimTo:
      case OP_KIND.purge: {
        const op = decodePartitionOp(entry.inline);
        const code = this.#state.apply(originOf(entry), op);
        this.#tell(op);
        return code;
      }
      default:
        // roll, noop, checkpoint: files change, the state does not.
        return 0;
    }
  }

  snapshot(): Uint8Array {
    return this.#state.snapshot();
  }

  restore(bytes: Uint8Array): void {
    this.#state.restore(bytes);
  }

  #tell(op: PartitionOp): void {
    const events = this.#events;
    if (events === null) return;
    switch (op.kind) {
      case 'storeOffsets':
        for (const { kind, id, mode } of op.entries) {
          if (mode === 'explicit') events.offsetChanged(kind, id);
        }
        break;
      case 'deleteOffset':
        events.offsetChanged(op.of.kind, op.of.id);
        break;
      case 'trimTo':
        events.trimmed();
        break;
      case 'purge':
        events.purged();
        break;
    }
  }
}
