import assert from 'node:assert/strict';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Logger } from '../base/logger.ts';
import type { Pool } from '../base/pool.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { GroupLog } from '../log/group-log.ts';
import type { Records } from '../log/log-reader.ts';
import { OP_KIND, type OpKind } from '../log/op-header.ts';
import { encodePartitionOp, type PartitionOp } from '../state/partition-op.ts';
import type { PartitionState } from '../state/partition-state.ts';
import type { DiskSpace } from './disk-space.ts';
import { type Applied, Group, type Proposal } from './group.ts';
import { OffsetCursors } from './offset-cursors.ts';
import { PartitionMachine } from './partition-machine.ts';
import type {
  Appended,
  AppendRequest,
  ConsumerKind,
  PartitionGroup,
  PartitionSettings,
  PartitionStats,
  Position,
  RequestNumber,
} from './port.ts';
import { planTrim, type RetentionRules } from './retention-plan.ts';

export interface PartitionOptions {
  readonly uuid: string;
  readonly nodeUuid: string;
  readonly settings: PartitionSettings;
  /** Stored offsets per kind of consumer. */
  readonly offsetsMax: number;
}

/** Encrypts what is stored; `log/encryption.ts` is the one there is. */
export interface Cipher {
  /** The batch, encrypted and sealed, in a slot of its own that the caller gives back. */
  encrypt(at: number, bytes: number): Promise<{ readonly at: number; readonly bytes: number }>;
  /** Readable records, in the same slot or in one that took its place. errors: 72. */
  decrypt(records: Records): Promise<Records>;
}

export interface PartitionDependencies {
  readonly log: GroupLog;
  readonly state: PartitionState;
  readonly kernel: Kernel;
  readonly pool: Pool;
  /** null: messages are stored as they came. */
  readonly cipher: Cipher | null;
  readonly space: DiskSpace;
  readonly logger: Logger;
  readonly wallUs: () => number;
  /** Whether what is acknowledged is synced by the node's policy or the log's own. */
  readonly isPersisted: (log: GroupLog) => boolean;
  readonly onFatal: (error: Error) => void;
}

/**
 * One partition on this node: batches and consumer offsets through its group, reads of the
 * committed prefix from its log.
 *
 * errors   58 while closing or with too many proposals waiting; 10005 the disk is full
 * source   replication rules 2.2, 3.11, 4.5; semantics 0.9 sections 8, 9.3, 11, 15
 */
export class Partition implements PartitionGroup {
  readonly uuid: string;
  readonly state: PartitionState;
  readonly settings: PartitionSettings;
  readonly #group: Group;
  readonly #dependencies: PartitionDependencies;
  readonly #cursors: OffsetCursors;
  /** Numbered requests between their first look-up and their end. */
  readonly #flights: Map<string, Promise<Appended>> = new Map();
  #closed = false;

  private constructor(
    options: PartitionOptions,
    dependencies: PartitionDependencies,
    group: Group,
  ) {
    this.uuid = options.uuid;
    this.settings = options.settings;
    this.state = dependencies.state;
    this.#group = group;
    this.#dependencies = dependencies;
    this.#cursors = new OffsetCursors(
      { offsetsMax: options.offsetsMax },
      {
        stored: (kind, id) => this.state.storedOffset(kind, id),
        storedCount: (kind) => this.state.offsetsCount(kind),
        submit: (offsets) =>
          this.#proposeOp(OP_KIND.storeOffsets, {
            kind: 'storeOffsets',
            purge: this.state.purge,
            entries: offsets.map((offset) => ({ ...offset, mode: 'auto' })),
          }),
      },
    );
  }

  /** Restores and replays; the files of a purge, roll or trim that a crash cut off are finished. */
  static async open(
    options: PartitionOptions,
    dependencies: PartitionDependencies,
  ): Promise<Partition> {
    const { log, state, wallUs, logger, onFatal } = dependencies;
    const machine = new PartitionMachine(state);
    const group = await Group.open(
      { uuid: options.uuid, nodeUuid: options.nodeUuid, dropsCovered: false },
      { log, machine, wallUs, logger, onFatal },
      log.snapshot,
    );
    // Less after an accepted loss: what the replay could not read does not count.
    assert(state.nextOffset <= log.nextOffset, 'the state knows no more than the log');
    const partition = new Partition(options, dependencies, group);
    machine.serve({
      offsetChanged: (kind, id) => partition.#cursors.override(kind, id),
      purged: () => partition.#cursors.clear(),
      trimmed: () => {
        void partition.#trimFiles();
      },
    });
    await partition.#trimFiles();
    return partition;
  }

  stats(): PartitionStats {
    const { log } = this.#group;
    const { nextOffset } = this.state;
    const firstOffset = this.#firstOffset();
    return {
      segmentsCount: Math.max(1, log.segments().length),
      sizeBytes: log.sizeBytes,
      messagesCount: nextOffset - firstOffset,
      firstOffset,
      currentOffset: Math.max(0, nextOffset - 1),
    };
  }

  async append(request: AppendRequest): Promise<Appended> {
    const { numbering } = request;
    if (numbering === null) return this.#appendOnce(request);
    const repeat = this.#repeatOf(numbering);
    if (repeat !== null) return repeat;
    const key = keyOf(numbering);
    const first = this.#flights.get(key);
    if (first !== undefined) return { ...(await first), repeated: true };
    const flight = this.#appendOnce(request);
    this.#flights.set(key, flight);
    try {
      return await flight;
    } finally {
      this.#flights.delete(key);
    }
  }

  async storeOffset(request: {
    readonly kind: ConsumerKind;
    readonly id: number;
    readonly offset: number;
    readonly numbering: RequestNumber | null;
  }): Promise<Position> {
    const { kind, id, offset, numbering } = request;
    const repeat = numbering === null ? null : this.#repeatOf(numbering);
    if (repeat !== null) return repeat;
    this.#requireOpen();
    if (offset >= this.state.nextOffset) throw new OperatingError(STATUS.invalidOffset);
    this.#cursors.requirePlace(kind, id);
    const op: PartitionOp = {
      kind: 'storeOffsets',
      purge: this.state.purge,
      entries: [{ kind, id, offset, mode: 'explicit' }],
    };
    return this.#changeOffset(OP_KIND.storeOffsets, op, numbering);
  }

  async deleteOffset(request: {
    readonly kind: ConsumerKind;
    readonly id: number;
    readonly numbering: RequestNumber | null;
  }): Promise<Position> {
    const { kind, id, numbering } = request;
    const repeat = numbering === null ? null : this.#repeatOf(numbering);
    if (repeat !== null) return repeat;
    this.#requireOpen();
    if (this.storedOffset(kind, id) === null) {
      throw new OperatingError(STATUS.consumerOffsetNotFound);
    }
    const op: PartitionOp = { kind: 'deleteOffset', purge: this.state.purge, of: { kind, id } };
    return this.#changeOffset(OP_KIND.deleteOffset, op, numbering);
  }

  autoCommit(kind: ConsumerKind, id: number, offset: number): void {
    // A poll that was read before a purge says nothing about what came after it.
    if (offset < this.state.nextOffset) this.#cursors.move(kind, id, offset);
  }

  storedOffset(kind: ConsumerKind, id: number): number | null {
    return this.#cursors.offsetOf(kind, id);
  }

  async read(request: {
    readonly offset: number;
    readonly count: number;
    readonly bytesMax: number;
    readonly headroom: number;
  }): Promise<Records | null> {
    const { cipher } = this.#dependencies;
    const offset = Math.max(request.offset, this.#firstOffset());
    const visible = { ...request, offset, offsetEnd: this.state.nextOffset };
    const records = await this.#group.log.read(visible);
    return records === null || cipher === null ? records : cipher.decrypt(records);
  }

  offsetAtTime(timestampUs: number): Promise<number> {
    return this.#group.log.offsetAtTime(timestampUs, this.state.nextOffset);
  }

  sealedEnd(segmentsCount: number): number {
    let end = this.#firstOffset();
    let count = 0;
    for (const segment of this.#group.log.segments()) {
      if (!segment.sealed || count === segmentsCount) break;
      end = Math.max(end, segment.offsetEnd);
      count += 1;
    }
    return end;
  }

  flush(): Promise<void> {
    return this.#group.log.sync();
  }

  /** Empties the partition; `purge` is its new counter. Settles when the files are gone. */
  async purge(purge: number): Promise<void> {
    if (this.state.purge >= purge) return;
    await this.#proposeOp(OP_KIND.purge, { kind: 'purge', purge });
  }

  /** Removes the offsets of a group that is gone. */
  async deleteGroup(groupId: number): Promise<void> {
    if (this.storedOffset('group', groupId) === null) return;
    const of = { kind: 'group', id: groupId } as const;
    const op: PartitionOp = { kind: 'deleteOffset', purge: this.state.purge, of };
    await this.#proposeOp(OP_KIND.deleteOffset, op);
  }

  /** Ids of the groups that have an offset here. */
  groupIds(): Iterable<number> {
    return this.state.offsetIds('group');
  }

  /** Trims what the rules let go; settles when the files are gone. */
  async retain(rules: Omit<RetentionRules, 'nowUs' | 'offsetStoredMin'>): Promise<void> {
    const offset = planTrim(this.#group.log.segments(), {
      ...rules,
      nowUs: this.#group.timestampUs,
      offsetStoredMin: this.state.lowestStoredOffset,
    });
    if (offset === null || offset <= this.state.firstOffset) return;
    await this.#proposeOp(OP_KIND.trimTo, { kind: 'trimTo', purge: this.state.purge, offset });
    await this.#trimFiles();
  }

  /** Stores what polls have moved, lets what is under way finish, syncs and closes the files. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#cursors.close();
    await this.#group.close();
  }

  /** The partition was deleted: closes the files and stores nothing more. */
  async abandon(): Promise<void> {
    this.#closed = true;
    await this.#group.retire();
    await this.#group.log.close();
  }

  #firstOffset(): number {
    return Math.max(this.state.firstOffset, this.#group.log.firstOffset);
  }

  async #appendOnce(request: AppendRequest): Promise<Appended> {
    const { cipher, kernel, pool, space } = this.#dependencies;
    this.#requireOpen();
    space.takeRoom(request.batchBytes);
    const { batchAt, batchBytes, count, partitionId, numbering } = request;
    const own = cipher === null ? null : await encrypt(cipher, batchAt, batchBytes);
    const at = own?.at ?? batchAt;
    const bytes = own?.bytes ?? batchBytes;
    try {
      const applied = await this.#propose({
        kind: OP_KIND.batch,
        body: pool.bytes.subarray(at, at + bytes),
        count,
        ...numberOf(numbering),
        stamp: (baseOffset, timestampUs) =>
          kernel.stamp({ at, bytes, partitionId, baseOffset, timestampUs }),
      });
      const { op, timestampUs, offsetFirst } = applied;
      return { op, timestampUs, baseOffset: offsetFirst, repeated: false };
    } finally {
      if (own !== null) pool.give(own.at);
    }
  }

  async #changeOffset(
    kind: OpKind,
    op: PartitionOp,
    numbering: RequestNumber | null,
  ): Promise<Position> {
    const { isPersisted } = this.#dependencies;
    const { log } = this.#group;
    const applied = await this.#proposeOp(kind, op, numbering);
    const code = applied.result as number;
    // A cursor that only memory knew has nothing stored to delete, and is gone all the same.
    if (code !== 0 && kind === OP_KIND.storeOffsets) throw new OperatingError(code);
    if (this.settings.offsetsPersisted && !isPersisted(log)) await log.sync();
    return { op: applied.op, timestampUs: applied.timestampUs };
  }

  #proposeOp(
    kind: OpKind,
    op: PartitionOp,
    numbering: RequestNumber | null = null,
  ): Promise<Applied> {
    return this.#propose({
      kind,
      body: null,
      inline: encodePartitionOp(op),
      ...numberOf(numbering),
    });
  }

  async #propose(proposal: Proposal): Promise<Applied> {
    try {
      return await this.#group.propose(proposal);
    } catch (error) {
      if (error instanceof OperatingError && error.code === STATUS.diskFull) {
        void this.#dependencies.space.check();
      }
      throw error;
    }
  }

  #repeatOf(numbering: RequestNumber): Appended | null {
    const repeat = this.state.findRepeat(numbering);
    if (repeat.kind === 'new') return null;
    if (repeat.kind === 'oldSession') throw new OperatingError(STATUS.unauthenticated);
    const { commit: op, timestampUs } = this.#group;
    return { op, timestampUs, baseOffset: repeat.baseOffset, repeated: true };
  }

  #requireOpen(): void {
    if (this.#closed) throw new OperatingError(STATUS.transientNotAccepted);
  }

  /** What the state has given up leaves the disk. */
  #trimFiles(): Promise<void> {
    const offset = this.state.firstOffset;
    if (this.#group.log.firstOffset >= offset) return DONE;
    return this.#group.trimFiles(offset);
  }
}

const DONE: Promise<void> = Promise.resolve();

/** errors: 71 the batch has no room to grow in a slot. */
async function encrypt(
  cipher: Cipher,
  at: number,
  bytes: number,
): Promise<{ readonly at: number; readonly bytes: number }> {
  try {
    return await cipher.encrypt(at, bytes);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new OperatingError(STATUS.cannotEncryptData, 'the batch is too large', { cause });
  }
}

function numberOf(numbering: RequestNumber | null): Partial<Proposal> {
  return numbering === null ? {} : numbering;
}

function keyOf(numbering: RequestNumber): string {
  const { client, session, request, checksumLow, checksumHigh } = numbering;
  return `${client}.${session}.${request}.${checksumLow}.${checksumHigh}`;
}
