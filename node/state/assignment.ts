import assert from 'node:assert/strict';

// Who of a consumer group reads which partition.
//
// Invariants: every partition is in the list of at most one member; of exactly one when there is a
// member. A pending revocation names a partition in the list of its source and a member as target.

/** A partition on its way: the source may still store offsets, the target waits. */
export interface Revocation {
  readonly partitionId: number;
  /** Slots of members. */
  readonly source: number;
  readonly target: number;
  /** The op that began it, and its time in the log. */
  readonly sinceOp: number;
  readonly sinceUs: number;
}

export interface MemberView {
  /** Lowest free slot when it joined; the member id that clients see. */
  readonly slot: number;
  /** Client id of its session. */
  readonly client: string;
  /** In the order of assignment, with those that are being revoked. */
  readonly partitions: readonly number[];
}

/** The assignment of one group, as readers see it. */
export interface AssignmentView {
  /** Grows with every change of the assignment. */
  readonly generation: number;
  readonly membersCount: number;
  /** In slot order. */
  readonly members: readonly MemberView[];
  readonly pending: ReadonlyMap<number, Revocation>;
  hasMember(client: string): boolean;
  /** What the client may poll now; null when it is no member. */
  pollableBy(client: string): readonly number[] | null;
  /** It owns the partition and nobody waits for it. */
  mayPoll(client: string, partitionId: number): boolean;
  /** It owns the partition. */
  mayStore(client: string, partitionId: number): boolean;
  /** Client id of the owner, pending or not; null when the group has no member. */
  ownerOf(partitionId: number): string | null;
}

interface Member {
  readonly slot: number;
  readonly client: string;
  partitions: number[];
}

/** When and on what knowledge an assignment changes. */
export interface Moment {
  readonly op: number;
  readonly timestampUs: number;
}

/** What a snapshot keeps of an assignment. */
export interface AssignmentRecord {
  readonly generation: number;
  readonly members: readonly MemberView[];
  readonly pending: readonly Revocation[];
}

/**
 * The members of a group and their partitions.
 *
 * cost     reads for one client and partition: two map look-ups; changes: members + partitions
 * source   semantics 0.9, 12.3 to 12.5
 */
export class Assignment implements AssignmentView {
  #generation = 0;
  #partitionsCount: number;
  /** In slot order. */
  #members: Member[] = [];
  readonly #byClient = new Map<string, Member>();
  /** By partition id. */
  #owners: (Member | null)[] = [];
  readonly #pending = new Map<number, Revocation>();

  constructor(partitionsCount: number) {
    this.#partitionsCount = partitionsCount;
    this.#indexOwners();
  }

  static restore(record: AssignmentRecord, partitionsCount: number): Assignment {
    const assignment = new Assignment(partitionsCount);
    assignment.#generation = record.generation;
    for (const { slot, client, partitions } of record.members) {
      assignment.#insert({ slot, client, partitions: [...partitions] });
    }
    for (const revocation of record.pending) {
      assignment.#pending.set(revocation.partitionId, revocation);
    }
    assignment.#indexOwners();
    assignment.checkInvariants();
    return assignment;
  }

  get generation(): number {
    return this.#generation;
  }

  get membersCount(): number {
    return this.#members.length;
  }

  get members(): readonly MemberView[] {
    return this.#members;
  }

  get pending(): ReadonlyMap<number, Revocation> {
    return this.#pending;
  }

  hasMember(client: string): boolean {
    return this.#byClient.has(client);
  }

  pollableBy(client: string): readonly number[] | null {
    const member = this.#byClient.get(client);
    if (member === undefined) return null;
    return member.partitions.filter((partitionId) => !this.#pending.has(partitionId));
  }

  mayPoll(client: string, partitionId: number): boolean {
    return this.mayStore(client, partitionId) && !this.#pending.has(partitionId);
  }

  mayStore(client: string, partitionId: number): boolean {
    return this.#owners[partitionId]?.client === client;
  }

  ownerOf(partitionId: number): string | null {
    return this.#owners[partitionId]?.client ?? null;
  }

  /** Takes a new member in and gives it its share; a member that joins again changes nothing. */
  join(client: string, inFlight: readonly number[], moment: Moment): void {
    if (this.#byClient.has(client)) return;
    let slot = 0;
    while (slot < this.#members.length && this.#members[slot]!.slot === slot) slot += 1;
    this.#insert({ slot, client, partitions: [] });
    this.#generation += 1;
    this.#dealUnowned();
    this.#spread(new Set(inFlight), moment);
    this.#indexOwners();
  }

  /** Whether it was a member. */
  leave(client: string): boolean {
    const member = this.#byClient.get(client);
    if (member === undefined) return false;
    this.#byClient.delete(client);
    this.#members.splice(this.#members.indexOf(member), 1);
    this.#rebalance();
    return true;
  }

  /** Takes every member out; whether there was one. */
  clear(): boolean {
    if (this.#members.length === 0) return false;
    this.#members = [];
    this.#byClient.clear();
    this.#rebalance();
    return true;
  }

  /** Partitions were added or deleted. */
  resize(partitionsCount: number): void {
    this.#partitionsCount = partitionsCount;
    this.#rebalance();
  }

  /**
   * Hands over the revocations that are still the named ones. When none is left and somebody has
   * nothing, the excess of the others is spread once more: a member that joined while partitions
   * were pending would else starve until the next join.
   */
  complete(
    revocations: readonly { readonly partitionId: number; readonly sinceOp: number }[],
    inFlight: readonly number[],
    moment: Moment,
  ): void {
    let moved = false;
    // In one order, whatever order the proposer met them in.
    const sorted = [...revocations].sort((left, right) => left.partitionId - right.partitionId);
    for (const { partitionId, sinceOp } of sorted) {
      const revocation = this.#pending.get(partitionId);
      if (revocation?.sinceOp !== sinceOp) continue;
      this.#pending.delete(partitionId);
      this.#move(partitionId, this.#memberAt(revocation.source), this.#memberAt(revocation.target));
      moved = true;
    }
    if (!moved) return;
    this.#generation += 1;
    if (this.#pending.size === 0) this.#spread(new Set(inFlight), moment);
    this.#indexOwners();
  }

  record(): AssignmentRecord {
    const byPartition = (left: Revocation, right: Revocation): number =>
      left.partitionId - right.partitionId;
    return {
      generation: this.#generation,
      members: this.#members,
      pending: [...this.#pending.values()].sort(byPartition),
    };
  }

  /** Asserts what the head of this file says. */
  checkInvariants(): void {
    const seen = new Set<number>();
    for (const [index, member] of this.#members.entries()) {
      assert(index === 0 || this.#members[index - 1]!.slot < member.slot);
      assert(this.#byClient.get(member.client) === member);
      for (const partitionId of member.partitions) {
        assert(partitionId >= 0 && partitionId < this.#partitionsCount);
        assert(!seen.has(partitionId));
        assert(this.#owners[partitionId] === member);
        seen.add(partitionId);
      }
    }
    assert.equal(this.#byClient.size, this.#members.length);
    assert.equal(seen.size, this.#members.length === 0 ? 0 : this.#partitionsCount);
    for (const [partitionId, revocation] of this.#pending) {
      assert.equal(revocation.partitionId, partitionId);
      assert(this.#owners[partitionId]?.slot === revocation.source);
      assert(revocation.target !== revocation.source);
      this.#memberAt(revocation.target);
    }
  }

  #insert(member: Member): void {
    const at = this.#members.findIndex(({ slot }) => slot > member.slot);
    this.#members.splice(at === -1 ? this.#members.length : at, 0, member);
    this.#byClient.set(member.client, member);
  }

  #memberAt(slot: number): Member {
    const member = this.#members.find((candidate) => candidate.slot === slot);
    assert(member !== undefined);
    return member;
  }

  /** Step 1 of a join: what nobody owns goes round robin to those who own nothing. */
  #dealUnowned(): void {
    const owned = new Set(this.#members.flatMap(({ partitions }) => partitions));
    const empty = this.#members.filter(({ partitions }) => partitions.length === 0);
    if (empty.length === 0) return;
    let turn = 0;
    for (let partitionId = 0; partitionId < this.#partitionsCount; partitionId += 1) {
      if (owned.has(partitionId)) continue;
      empty[turn % empty.length]!.partitions.push(partitionId);
      turn += 1;
    }
  }

  /** Steps 2 to 4: excess is taken from the ends of the lists and dealt to the idle. */
  #spread(inFlight: ReadonlySet<number>, moment: Moment): void {
    const targets = new Set([...this.#pending.values()].map(({ target }) => target));
    const idle = this.#members.filter(
      ({ slot, partitions }) => partitions.length === 0 && !targets.has(slot),
    );
    if (idle.length === 0) return;
    for (const [turn, { partitionId, source }] of this.#excess().entries()) {
      const target = idle[turn % idle.length]!;
      if (inFlight.has(partitionId)) {
        this.#pending.set(partitionId, {
          partitionId,
          source: source.slot,
          target: target.slot,
          sinceOp: moment.op,
          sinceUs: moment.timestampUs,
        });
      } else {
        this.#move(partitionId, source, target);
      }
    }
  }

  #excess(): { partitionId: number; source: Member }[] {
    const fair = Math.floor(this.#partitionsCount / this.#members.length);
    let rest = this.#partitionsCount % this.#members.length;
    const excess: { partitionId: number; source: Member }[] = [];
    for (const source of this.#members) {
      const kept = source.partitions.filter((partitionId) => !this.#pending.has(partitionId));
      let allowed = fair;
      // Only who has more than the fair share uses up a place of the rest; else a list that is
      // short already could leave two too many to the newcomer.
      if (kept.length > fair && rest > 0) {
        allowed += 1;
        rest -= 1;
      }
      while (kept.length > allowed) excess.push({ partitionId: kept.pop()!, source });
    }
    return excess;
  }

  #move(partitionId: number, source: Member, target: Member): void {
    // Excess comes from the end of the list, so that is where it is found.
    const at = source.partitions.lastIndexOf(partitionId);
    assert(at !== -1);
    source.partitions.splice(at, 1);
    target.partitions.push(partitionId);
  }

  /** The eager rebalance: everything anew, round robin in slot order. */
  #rebalance(): void {
    this.#generation += 1;
    this.#pending.clear();
    for (const member of this.#members) member.partitions = [];
    if (this.#members.length > 0) {
      for (let partitionId = 0; partitionId < this.#partitionsCount; partitionId += 1) {
        this.#members[partitionId % this.#members.length]!.partitions.push(partitionId);
      }
    }
    this.#indexOwners();
  }

  #indexOwners(): void {
    this.#owners = new Array<Member | null>(this.#partitionsCount).fill(null);
    for (const member of this.#members) {
      for (const partitionId of member.partitions) this.#owners[partitionId] = member;
    }
  }
}
