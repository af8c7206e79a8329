import type { Groups, RequestNumber } from '../cluster/port.ts';
import type { MetadataOp } from '../state/metadata-op.ts';
import type { Outcome } from '../state/metadata-state.ts';
import type { Flights } from './flights.ts';
import { SessionEnded } from './port.ts';

/** Proposes ops of the metadata and follows what came of them. */
export class Proposer {
  readonly #groups: Groups;
  readonly #flights: Flights;

  constructor(dependencies: { readonly groups: Groups; readonly flights: Flights }) {
    this.#groups = dependencies.groups;
    this.#flights = dependencies.flights;
  }

  /** errors: SessionEnded; 58 certainly not carried out; 57 carried out in part; 10005. */
  async propose(op: MetadataOp, numbering: RequestNumber | null): Promise<Outcome> {
    const outcome = await this.#groups.metadata.propose(op, numbering);
    for (const change of outcome.changes) {
      // Neither uuids nor ids of groups come back, so it does not matter that this happens late.
      if (change.kind === 'partitionsDeleted') {
        for (const uuid of change.uuids) this.#flights.forgetPartition(uuid);
      } else if (change.kind === 'groupDeleted') {
        for (const uuid of change.uuids) this.#flights.forgetGroup(uuid, change.groupId);
      }
    }
    if (outcome.eviction !== 0) throw new SessionEnded(outcome.eviction);
    return outcome;
  }
}
