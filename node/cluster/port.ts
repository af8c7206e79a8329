import type { Consumer } from '@iggy-ts/wire/commands/values';
import type { Records } from '../log/log-reader.ts';
import type { MetadataOp } from '../state/metadata-op.ts';
import type { MetadataState, Outcome } from '../state/metadata-state.ts';
import type { PartitionState } from '../state/partition-state.ts';

/**
 * The groups of this node, as the broker sees them. Types only.
 *
 * errors   every promise rejects with OperatingError: 58 certainly not carried out, try again;
 *          10005 the disk is full; 40 a later session of the client has written already
 *          (eviction SessionTooLow); others are named where they occur
 */

export type ConsumerKind = Consumer['kind'];

/** Identity of one request, for duplicate detection. Zeros in checksum: not stamped. */
export interface RequestNumber {
  /** Client id, 32 hex characters. */
  readonly client: string;
  readonly session: number;
  readonly request: number;
  readonly checksumLow: number;
  readonly checksumHigh: number;
}

/** Where an op stands in the log of its group. */
export interface Position {
  readonly op: number;
  readonly timestampUs: number;
}

/** Streams, topics, users, groups, sessions: the state machine every node has a copy of. */
export interface MetadataGroup {
  readonly state: MetadataState;
  /** Highest committed op. */
  readonly commit: number;
  /** Settles when the op is applied and its changes are carried out on this node. */
  propose(op: MetadataOp, numbering: RequestNumber | null): Promise<Outcome>;
}

export interface AppendRequest {
  /** A verified batch in the pool, sealed; borrowed until the promise settles, stamped in place. */
  readonly batchAt: number;
  readonly batchBytes: number;
  /** Messages of the batch. */
  readonly count: number;
  readonly partitionId: number;
  readonly numbering: RequestNumber | null;
}

export interface Appended extends Position {
  /** null: a repeat whose place is no longer known. */
  readonly baseOffset: number | null;
  readonly repeated: boolean;
}

export interface PartitionStats {
  readonly segmentsCount: number;
  readonly sizeBytes: number;
  readonly messagesCount: number;
  readonly firstOffset: number;
  /** Offset of the last committed message; 0 in an empty partition. */
  readonly currentOffset: number;
}

export interface PartitionGroup {
  /** 32 hex characters. */
  readonly uuid: string;
  readonly state: PartitionState;
  stats(): PartitionStats;
  /** errors: 58, 10005. */
  append(request: AppendRequest): Promise<Appended>;
  /**
   * Stores an offset, backwards too. A repeat (same number and checksum) is a success.
   *
   * errors   4100 beyond the last committed message; 3024 one consumer too many; 58, 10005
   */
  storeOffset(request: {
    readonly kind: ConsumerKind;
    readonly id: number;
    readonly offset: number;
    readonly numbering: RequestNumber | null;
  }): Promise<Position>;
  /** errors: 3021 nothing is stored; 58, 10005. */
  deleteOffset(request: {
    readonly kind: ConsumerKind;
    readonly id: number;
    readonly numbering: RequestNumber | null;
  }): Promise<Position>;
  /**
   * Moves the offset forward at once, in memory, and stores it some time later; never backwards.
   * Throws OperatingError 3024 (one consumer too many) or 58 (closing) and changes nothing then.
   */
  autoCommit(kind: ConsumerKind, id: number, offset: number): void;
  /** What `next` continues behind: stored or moved by autoCommit; null for none. */
  storedOffset(kind: ConsumerKind, id: number): number | null;
  /**
   * Committed batches from `offset` on, decrypted, at most `count` messages. At least one message
   * even if it is larger than `bytesMax`; null when nothing is there. Offsets below the first one
   * are read from the first one. A read ends with its segment. The slot is the caller's to give back to the pool.
   *
   * errors   4027, 4039 damaged; 72 cannot be decrypted
   */
  read(request: {
    readonly offset: number;
    readonly count: number;
    readonly bytesMax: number;
    /** Writable bytes wanted in front of the records. */
    readonly headroom: number;
  }): Promise<Records | null>;
  /** First offset whose server time is at least `timestampUs`, else the next offset. */
  offsetAtTime(timestampUs: number): Promise<number>;
  /** Offset behind the n-th oldest sealed segment, fewer if fewer exist; the first offset for none. */
  sealedEnd(segmentsCount: number): number;
  /** Everything acknowledged so far is on stable storage when it settles. */
  flush(): Promise<void>;
}

/** What of a topic's options its partitions are made with; fixed at creation. */
export interface PartitionSettings {
  readonly segmentBytes: number;
  /** Batches are synced before they are acknowledged, whatever the node's policy. */
  readonly durabilityPersisted: boolean;
  /** The same for explicit stores and deletes of offsets. */
  readonly offsetsPersisted: boolean;
}

export interface Groups {
  readonly metadata: MetadataGroup;
  /** null: this node has no such partition (any more). */
  partition(uuid: string): PartitionGroup | null;
  /** 32 hex characters, never given out before. */
  newUuid(): string;
  /**
   * Makes the directories of partitions durable, before the op that names them is proposed.
   *
   * errors   10005 no room, nothing is left behind
   */
  prepare(uuids: readonly string[], settings: PartitionSettings): Promise<void>;
  /** Takes back what `prepare` made and no op names. */
  discard(uuids: readonly string[]): Promise<void>;
}
