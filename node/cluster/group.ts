import assert from 'node:assert/strict';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Logger } from '../base/logger.ts';
import { type Effects, type Prepare, Replica } from '../consensus/replica.ts';
import type { GroupLog } from '../log/group-log.ts';
import { OP_KIND, type OpFields, type OpKind } from '../log/op-header.ts';

// The hands of one replica: it asks the core what to do and does it, in this order.
//
//   propose ─► queue ─► stamp, header ─► core.propose ─► log.append ─► (sync round)
//   ─► core.persisted ─► commit ─► machine.apply ─► the proposer's promise
//
// A barrier op (roll, purge) changes the files: nothing is prepared behind it until it is applied.

/** Proposals that may wait for a place in the pipeline; beyond it: 58, try again. */
const QUEUE_MAX = 4096;
/** A snapshot of the machine is taken after every op divisible by this, and after every roll. */
const SNAPSHOT_OPS = 16_384;

const NO_CLIENT = '0'.repeat(32);
const NO_BYTES = new Uint8Array(0);

/** One committed op, as a state machine sees it. `body` and `inline` are borrowed. */
export interface Entry {
  readonly op: number;
  readonly kind: OpKind;
  readonly timestampUs: number;
  readonly client: string;
  readonly session: number;
  readonly request: number;
  readonly checksumLow: number;
  readonly checksumHigh: number;
  readonly offsetFirst: number;
  readonly count: number;
  readonly inline: Uint8Array;
  /** null in a replay of a group whose machine does not ask for bodies. */
  readonly body: Uint8Array | null;
  /** What the proposer handed over; null in a replay. */
  readonly context: unknown;
}

/** Where an op came from, as the state rooms want to know it. `client` is null for the server itself. */
export interface Origin {
  readonly op: number;
  readonly timestampUs: number;
  readonly client: string | null;
  readonly session: number;
  readonly request: number;
  readonly checksumLow: number;
  readonly checksumHigh: number;
}

export function originOf(entry: Entry): Origin {
  const { op, timestampUs, client, session, request, checksumLow, checksumHigh } = entry;
  return {
    op,
    timestampUs,
    client: client === NO_CLIENT ? null : client,
    session,
    request,
    checksumLow,
    checksumHigh,
  };
}

/** A replicated state machine: deterministic, no clock, no promise. */
export interface Machine {
  /** Whether a replay after a restart needs the bodies of the ops (metadata: yes, partitions: no). */
  readonly replaysBodies: boolean;
  apply(entry: Entry): unknown;
  snapshot(): Uint8Array;
  restore(bytes: Uint8Array): void;
}

export interface Proposal {
  readonly kind: OpKind;
  /** Borrowed until the promise of `propose` settles. */
  readonly body: Uint8Array | null;
  readonly inline?: Uint8Array;
  readonly count?: number;
  readonly client?: string;
  readonly session?: number;
  readonly request?: number;
  readonly checksumLow?: number;
  readonly checksumHigh?: number;
  readonly context?: unknown;
  /** Called once with the op's final place, before any checksum over the body is taken. */
  readonly stamp?: (offsetFirst: number, timestampUs: number) => void;
}

export interface Applied {
  readonly op: number;
  readonly timestampUs: number;
  readonly offsetFirst: number;
  /** What the machine returned. */
  readonly result: unknown;
}

interface Pending {
  readonly proposal: Proposal;
  readonly resolve: (applied: Applied) => void;
  readonly reject: (error: unknown) => void;
  fields: OpFields | null;
}

export interface GroupOptions {
  readonly uuid: string;
  readonly nodeUuid: string;
  /** Whether sealed segments go once snapshots cover them: for a group whose log is not read. */
  readonly dropsCovered: boolean;
}

export interface GroupDependencies {
  readonly log: GroupLog;
  readonly machine: Machine;
  readonly wallUs: () => number;
  readonly logger: Logger;
  /** A write that must not fail did: the process has to end. */
  readonly onFatal: (error: Error) => void;
}

/**
 * One group on this node: takes proposals, makes them durable, commits and applies them in order.
 *
 * errors   58 queue full or group closed (certainly not appended); 10005 disk full
 * cost     one promise and two small objects per op
 * source   replication rules 3.4, 4.4, 4.5
 */
export class Group {
  readonly uuid: string;
  readonly log: GroupLog;
  readonly #machine: Machine;
  readonly #replica: Replica;
  readonly #dropsCovered: boolean;
  readonly #wallUs: () => number;
  readonly #logger: Logger;
  readonly #onFatal: (error: Error) => void;
  readonly #effects: Effects = { persist: [], commit: [] };
  readonly #queue: Pending[] = [];
  #barrier = false;
  #closed = false;
  #offsetNext: number;
  #timestampUs: number;
  #idle: (() => void)[] = [];
  /** Changes of the files other than appends: one after another. Never rejects. */
  #filing: Promise<void> = Promise.resolve();
  #opSnapshot = 0;

  private constructor(options: GroupOptions, dependencies: GroupDependencies) {
    const { log } = dependencies;
    this.uuid = options.uuid;
    this.log = log;
    this.#machine = dependencies.machine;
    this.#dropsCovered = options.dropsCovered;
    this.#wallUs = dependencies.wallUs;
    this.#logger = dependencies.logger;
    this.#onFatal = dependencies.onFatal;
    this.#replica = new Replica({
      members: [options.nodeUuid],
      self: options.nodeUuid,
      epoch: 1,
      view: 0,
      head: log.headOp,
      commit: log.headOp,
    });
    this.#offsetNext = log.nextOffset;
    this.#timestampUs = log.lastTimestampUs;
    log.onDurable = (ticket) => this.#persisted(ticket);
    log.onAppendFailed = (ticketFirst, error) => this.#appendFailed(ticketFirst, error);
  }

  /** Restores the machine from the snapshot, replays the ops behind it and serves. */
  static async open(
    options: GroupOptions,
    dependencies: GroupDependencies,
    snapshot: { readonly op: number; readonly bytes: Uint8Array } | null,
  ): Promise<Group> {
    const { log, machine } = dependencies;
    if (snapshot !== null) machine.restore(snapshot.bytes);
    const opFirst = snapshot === null ? 1 : snapshot.op + 1;
    await log.replay(
      opFirst,
      (fields, body) => {
        machine.apply(entryOf(fields, body, null));
      },
      { bodies: machine.replaysBodies },
    );
    const group = new Group(options, dependencies);
    group.#opSnapshot = snapshot?.op ?? 0;
    return group;
  }

  /** Highest committed op. */
  get commit(): number {
    return this.#replica.commit;
  }

  /** Log time: what an op proposed now would be stamped with. Never goes back. */
  get timestampUs(): number {
    return Math.max(this.#timestampUs, this.#wallUs());
  }

  /** Takes an op; the promise settles when it is applied, or was certainly not appended. */
  propose(proposal: Proposal): Promise<Applied> {
    return new Promise((resolve, reject) => {
      if (this.#closed || this.#queue.length >= QUEUE_MAX) {
        reject(new OperatingError(STATUS.transientNotAccepted));
        return;
      }
      this.#queue.push({ proposal, resolve, reject, fields: null });
      this.#pump();
    });
  }

  /** Removes what lies below `offset`, after an op said so; settles when the files are gone. */
  trimFiles(offset: number): Promise<void> {
    return this.#file('a committed trim', () => this.log.applyTrim(offset));
  }

  /** Lets what is under way finish, makes it durable whatever the policy, and closes the files. */
  async close(): Promise<void> {
    await this.retire();
    await this.log.sync();
    if (this.#replica.commit > this.#opSnapshot) {
      this.#saveSnapshot(this.#replica.commit);
      await this.#filing;
    }
    await this.log.close();
  }

  /** Stops taking proposals and waits until nothing is under way; the files stay open. */
  async retire(): Promise<void> {
    this.#closed = true;
    for (const pending of this.#queue.splice(0)) {
      pending.reject(new OperatingError(STATUS.transientNotAccepted));
    }
    while (this.#replica.head > this.#replica.commit || this.#barrier) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
    await this.#filing;
  }

  #pump(): void {
    while (this.#queue.length > 0 && !this.#barrier && this.#replica.pipelineRoom > 0) {
      const bodyBytes = this.#queue[0]!.proposal.body?.length ?? 0;
      if (this.log.needsRoll(bodyBytes)) {
        this.#start({ proposal: ROLL, resolve: ignore, reject: ignore, fields: null });
        return;
      }
      this.#start(this.#queue.shift()!);
    }
  }

  #start(pending: Pending): void {
    const { proposal } = pending;
    this.#timestampUs = this.timestampUs;
    const prepare = this.#replica.propose(pending, this.#effects);
    const count = proposal.count ?? 0;
    proposal.stamp?.(this.#offsetNext, this.#timestampUs);
    const fields = {
      op: prepare.op,
      view: prepare.view,
      epoch: prepare.epoch,
      commit: this.#replica.commit,
      kind: proposal.kind,
      flags: 0,
      client: proposal.client ?? NO_CLIENT,
      session: proposal.session ?? 0,
      request: proposal.request ?? 0,
      requestChecksumLow: proposal.checksumLow ?? 0,
      requestChecksumHigh: proposal.checksumHigh ?? 0,
      timestampUs: this.#timestampUs,
      offsetFirst: this.#offsetNext,
      count,
      bodyBytes: proposal.body?.length ?? 0,
      inline: proposal.inline ?? NO_BYTES,
    };
    pending.fields = { ...fields, position: 0 };
    this.#offsetNext += count;
    this.#barrier = proposal.kind === OP_KIND.roll || proposal.kind === OP_KIND.purge;
    const header = this.log.prepare(fields, proposal.body);
    const request = this.#effects.persist.pop();
    assert(request !== undefined && this.#effects.persist.length === 0);
    this.log.append(header, proposal.body, request.ticket);
  }

  #persisted(ticket: number): void {
    this.#replica.persisted(ticket, this.#effects);
    for (const prepare of this.#effects.commit.splice(0)) this.#apply(prepare);
    this.#pump();
    this.#maybeIdle();
  }

  #apply(prepare: Prepare): void {
    const pending = prepare.handle as Pending;
    const { fields, proposal } = pending;
    assert(fields !== null && fields.op === prepare.op);
    const result = this.#machine.apply(entryOf(fields, proposal.body, proposal.context ?? null));
    const applied = {
      op: fields.op,
      timestampUs: fields.timestampUs,
      offsetFirst: fields.offsetFirst,
      result,
    };
    if (proposal.kind === OP_KIND.roll || proposal.kind === OP_KIND.purge) {
      this.#applyBarrier(fields, () => pending.resolve(applied));
      return;
    }
    if (fields.op % SNAPSHOT_OPS === 0) this.#saveSnapshot(fields.op);
    pending.resolve(applied);
  }

  /** The files of a roll or purge change before anything else is prepared. */
  #applyBarrier(fields: OpFields, done: () => void): void {
    const { log } = this;
    const purge = fields.kind === OP_KIND.purge;
    if (purge) this.#offsetNext = 0;
    void this.#file('a committed roll or purge', async () => {
      if (purge) await log.applyPurge(fields.op);
      else await log.applyRoll(fields.op);
      this.#barrier = false;
      this.#saveSnapshot(fields.op);
      done();
      this.#pump();
      this.#maybeIdle();
    });
  }

  /** Written behind the service; a failed snapshot costs only a longer replay. */
  #saveSnapshot(op: number): void {
    const bytes = this.#machine.snapshot();
    void this.#file('covered segments', async () => {
      try {
        await this.log.saveSnapshot(op, bytes);
        this.#opSnapshot = op;
      } catch (error) {
        this.#logger.warn('snapshot not written', { group: this.uuid, op, error });
        return;
      }
      if (this.#dropsCovered) await this.log.dropBelowSnapshots();
    });
  }

  #file(what: string, change: () => Promise<void>): Promise<void> {
    this.#filing = this.#filing.then(change).catch((cause: unknown) => {
      this.#onFatal(new Error(`log: the files of ${what} could not be changed`, { cause }));
    });
    return this.#filing;
  }

  #appendFailed(ticketFirst: number, error: OperatingError): void {
    const gone = this.#replica.truncate(ticketFirst);
    const first = gone[0];
    if (first === undefined) return;
    const fields = (first.handle as Pending).fields;
    assert(fields !== null);
    this.#offsetNext = fields.offsetFirst;
    this.#barrier = false;
    for (const prepare of gone) (prepare.handle as Pending).reject(error);
    for (const pending of this.#queue.splice(0)) pending.reject(error);
    this.#maybeIdle();
  }

  #maybeIdle(): void {
    if (this.#replica.head > this.#replica.commit || this.#barrier) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

const ROLL: Proposal = { kind: OP_KIND.roll, body: null };

function ignore(): void {
  // A roll nobody waits for: those behind it in the queue do.
}

function entryOf(fields: OpFields, body: Uint8Array | null, context: unknown): Entry {
  return {
    op: fields.op,
    kind: fields.kind,
    timestampUs: fields.timestampUs,
    client: fields.client,
    session: fields.session,
    request: fields.request,
    checksumLow: fields.requestChecksumLow,
    checksumHigh: fields.requestChecksumHigh,
    offsetFirst: fields.offsetFirst,
    count: fields.count,
    inline: fields.inline,
    body,
    context,
  };
}
