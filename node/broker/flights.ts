import assert from 'node:assert/strict';

// Which messages of a group are on their way: served to a member whose stored offset has not
// reached them. A partition in flight is not handed to another member of the group at once, else
// two members would work on the same messages.
//
//     stored          served
//   ────┴───────────────┴──────────► offsets        in flight: stored < served, or a read runs
//
// Kept in memory only: a member does not outlive the process that served it.

/** What one member of a group has been served from one partition. */
export interface Flight {
  readonly client: string;
  /** Counter of the partition's last purge: what was served before it does not exist any more. */
  readonly purge: number;
  /** Polls that read at this moment. */
  readingCount: number;
  /** Last offset served; -1 for none. */
  served: number;
}

/** A partition as a group reads it. */
export interface FlightPlace {
  readonly uuid: string;
  readonly purge: number;
  readonly groupId: number;
}

/**
 * Marks of partitions in flight, by partition uuid and group id.
 *
 * cost     two map lookups per group poll; one entry per partition and group with an open mark
 */
export class Flights {
  readonly #byPartition = new Map<string, Map<number, Flight>>();

  /** A member begins to read; marks that another client or a purge left behind are void. */
  begin({ uuid, purge, groupId }: FlightPlace, client: string): Flight {
    let flights = this.#byPartition.get(uuid);
    if (flights === undefined) {
      flights = new Map();
      this.#byPartition.set(uuid, flights);
    }
    let flight = flights.get(groupId);
    if (flight?.client !== client || flight.purge !== purge) {
      flight = { client, purge, readingCount: 0, served: -1 };
      flights.set(groupId, flight);
    }
    flight.readingCount += 1;
    return flight;
  }

  /** The read is over and its messages leave; `served` is the last of them, -1 for none. */
  end(flight: Flight, served: number): void {
    assert(flight.readingCount > 0);
    flight.readingCount -= 1;
    flight.served = Math.max(flight.served, served);
  }

  /** Whether `client` has messages of the partition that it has not stored. */
  isInFlight(place: FlightPlace, client: string, stored: number | null): boolean {
    const flight = this.#byPartition.get(place.uuid)?.get(place.groupId);
    if (flight?.client !== client || flight.purge !== place.purge) return false;
    return flight.readingCount > 0 || flight.served > (stored ?? -1);
  }

  /** Drops the mark when nothing is in flight any more. */
  settle(place: FlightPlace, stored: number | null): void {
    const flight = this.#byPartition.get(place.uuid)?.get(place.groupId);
    if (flight === undefined || this.isInFlight(place, flight.client, stored)) return;
    this.forgetGroup(place.uuid, place.groupId);
  }

  /** The group is gone. A read that still runs ends on its own mark, which nobody sees. */
  forgetGroup(uuid: string, groupId: number): void {
    const flights = this.#byPartition.get(uuid);
    if (flights === undefined) return;
    flights.delete(groupId);
    if (flights.size === 0) this.#byPartition.delete(uuid);
  }

  /** The partition is gone. */
  forgetPartition(uuid: string): void {
    this.#byPartition.delete(uuid);
  }

  /** Marks that are kept. */
  get size(): number {
    let count = 0;
    for (const flights of this.#byPartition.values()) count += flights.size;
    return count;
  }
}
