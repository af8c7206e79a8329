import assert from 'node:assert/strict';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Pool } from '../base/pool.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { isDiskFull } from './file.ts';
import {
  EARLY_SYNC_BYTES,
  LOG_BYTES_MAX,
  OPS_PER_SEGMENT_MAX,
  SNAPSHOTS_KEPT,
  UNSYNCED_BYTES_MAX,
} from './limits.ts';
import { LogReader, type ReadRequest, type Records } from './log-reader.ts';
import {
  CHECKSUM_BYTES,
  encodeOp,
  OP_BYTES,
  OP_FLAG,
  type OpFields,
  opKind,
  opNumber,
  sealOp,
} from './op-header.ts';
import type { OpenFiles } from './open-files.ts';
import type { OpsCache } from './ops-cache.ts';
import { type Recovered, recover } from './recovery.ts';
import { replayOps } from './replay.ts';
import { OpsIndex, type Segment } from './segment.ts';
import {
  createDirectory,
  createPair,
  cutPair,
  dropMessages,
  removeFiles,
  syncPair,
} from './segment-files.ts';
import { type Snapshot, snapshotPath, writeSnapshot } from './snapshot-file.ts';
import type { RoundMember, SyncRounds } from './sync-rounds.ts';
import { endsSegment, plannedAfter, TAIL_EMPTY, type Tail, tailAfter } from './tail.ts';

export type { ReadRequest, Records } from './log-reader.ts';

// Ops move through the log like this:
//
//   |  durable  |  written, not synced  |  queued  |
//               ^ told                  ^#written  ^#prepared
// Invariant: durable <= written <= prepared; a failed write takes prepared back to written.

const CHECKSUM_NONE = new Uint8Array(CHECKSUM_BYTES);

export interface GroupLogOptions {
  readonly directory: string;
  /** 16 bytes. */
  readonly cluster: Uint8Array;
  /** 16 bytes. */
  readonly group: Uint8Array;
  /** A `.log` that would grow beyond this calls for a roll. */
  readonly segmentBytes: number;
  /** Synced before an append is called durable, whatever the policy of the node. */
  readonly durabilityPersisted: boolean;
  /** Whether reads verify every checksum. */
  readonly validateChecksum: boolean;
  /** Whether to open a damaged log without what cannot be read (see recovery.ts). */
  readonly acceptDataLoss: boolean;
}

export interface GroupLogDependencies {
  readonly files: OpenFiles;
  readonly cache: OpsCache;
  readonly rounds: SyncRounds;
  readonly kernel: Kernel;
  readonly pool: Pool;
}

/** What others see of a segment: `[offsetFirst, offsetEnd)` and the bytes of its messages. */
export interface SegmentView {
  readonly offsetFirst: number;
  readonly offsetEnd: number;
  readonly bytes: number;
  /** Log time of its last op. */
  readonly timestampLastUs: number;
  readonly sealed: boolean;
}

interface Entry {
  readonly header: Uint8Array;
  readonly body: Uint8Array | null;
  readonly ticket: number;
  readonly tail: Tail;
}

/**
 * The log of one group: takes ops in order, makes them durable in rounds with other logs, finds
 * and reads them.
 *
 * errors   10005 disk full, through `onAppendFailed`: the log is as it was before, reads go on;
 *          every other error of a write, and any error of a sync, ends the process (SyncRounds)
 * cost     per round two writes and two syncs, in parallel; no copy of a body
 * source   replication rules 4.1, 4.3 to 4.6
 */
export class GroupLog implements RoundMember {
  readonly durabilityPersisted: boolean;
  /** Everything up to the ticket is as durable as the policy asks for. */
  onDurable: (ticket: number) => void = ignore;
  /** Nothing from this ticket on is in the log, now or after a crash. */
  onAppendFailed: (ticketFirst: number, error: OperatingError) => void = ignore;
  readonly #options: GroupLogOptions;
  readonly #files: OpenFiles;
  readonly #rounds: SyncRounds;
  readonly #kernel: Kernel;
  readonly #index: OpsIndex;
  readonly #reader: LogReader;
  /** Oldest first; trimmed ones, live sealed ones, the one that grows. Never empty. */
  #segments: Segment[];
  #prepared: Tail;
  #written: Tail;
  #queue: Entry[] = [];
  #ticketWritten = 0;
  #ticketTold = 0;
  /** Bytes of bodies ever written, and how many of them are known to be synced. */
  #bytesWritten = 0;
  #bytesSynced = 0;
  /** A sync that began early, so that the next writes need not wait for one. */
  #earlySync: Promise<void> | null = null;
  #earlyFailure: Error | null = null;
  #isUnsynced = false;
  #snapshot: Snapshot | null;
  /** Ops of the snapshots on disk, ascending. */
  #snapshotOps: number[];
  readonly #reads: Set<Promise<unknown>> = new Set();
  #closed = false;

  private constructor(
    options: GroupLogOptions,
    dependencies: GroupLogDependencies,
    state: Recovered,
  ) {
    assert(options.cluster.length === 16 && options.group.length === 16);
    this.#options = options;
    this.durabilityPersisted = options.durabilityPersisted;
    this.#files = dependencies.files;
    this.#rounds = dependencies.rounds;
    this.#kernel = dependencies.kernel;
    this.#index = new OpsIndex({ group: options.group }, dependencies);
    this.#reader = new LogReader(
      { validateChecksum: options.validateChecksum },
      { ...dependencies, index: this.#index },
    );
    this.#segments = [...state.segments];
    this.#written = { ...state.tail, position: this.#active.bytes };
    this.#prepared = this.#written;
    this.#snapshot = state.snapshot;
    this.#snapshotOps = [...state.snapshotOps];
  }

  /** A new log in a new directory, durable before the promise settles. */
  static async create(
    options: GroupLogOptions,
    dependencies: GroupLogDependencies,
  ): Promise<GroupLog> {
    const { directory, cluster, group } = options;
    const { disk } = dependencies.files;
    await createDirectory(disk, directory);
    assert((await disk.list(directory)).length === 0, 'a new log needs an empty directory');
    const segment = plannedAfter(directory, TAIL_EMPTY);
    const parent = CHECKSUM_NONE;
    const header = { cluster, group, parent, opFirst: 1, offsetFirst: 0, timestampUs: 0 };
    await createPair(segment, header, dependencies);
    segment.state = 'live';
    const tail = TAIL_EMPTY;
    const state = { segments: [segment], tail, snapshot: null, snapshotOps: [] };
    return new GroupLog(options, dependencies, state);
  }

  /**
   * An existing log, after recovery.
   *
   * errors   LogDamaged: something that was acknowledged is missing or wrong; nothing was changed
   * cost     512 bytes per sealed segment, the ops behind the newest snapshot, and the bodies that
   *          may have been lost in a power failure (see recovery.ts)
   */
  static async open(
    options: GroupLogOptions,
    dependencies: GroupLogDependencies,
  ): Promise<GroupLog> {
    const state = await recover(options, dependencies);
    const log = new GroupLog(options, dependencies, state);
    await log.#dropCovered();
    return log;
  }

  get headOp(): number {
    return this.#written.op;
  }

  get nextOffset(): number {
    return this.#written.offset;
  }

  /** Offset of the oldest message there is, or the next one when there is none. */
  get firstOffset(): number {
    const oldest = this.#segments.find(isLive);
    return oldest === undefined ? this.#written.offset : oldest.offsetFirst;
  }

  get lastTimestampUs(): number {
    return this.#written.timestampUs;
  }

  /** Bytes of all messages there are. */
  get sizeBytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) if (isLive(segment)) bytes += segment.bytes;
    return bytes;
  }

  get messagesCount(): number {
    return this.nextOffset - this.firstOffset;
  }

  /** The newest whole snapshot that was found when the log was opened; null after the replay. */
  get snapshot(): Snapshot | null {
    return this.#snapshot;
  }

  /** Segments that have messages or will have, oldest first. */
  segments(): readonly SegmentView[] {
    const views: SegmentView[] = [];
    for (const segment of this.#segments) {
      if (segment.state === 'trimmed') continue;
      const { offsetFirst, offsetEnd, bytes, timestampLastUs, sealed } = segment;
      views.push({ offsetFirst, offsetEnd, bytes, timestampLastUs, sealed });
    }
    return views;
  }

  /**
   * Runs through the ops from `opFirst` on, in order, before anything is appended.
   *
   * shape    fields.inline and body are borrowed for the call; body is null unless asked for
   * errors   LogDamaged
   */
  async replay(
    opFirst: number,
    apply: (fields: OpFields, body: Uint8Array | null) => void,
    wanted: { readonly bodies: boolean },
  ): Promise<void> {
    this.#snapshot = null;
    const { directory, group, acceptDataLoss } = this.#options;
    const { bodies } = wanted;
    await replayOps(
      { directory, group, opFirst, bodies, acceptDataLoss },
      { files: this.#files, kernel: this.#kernel },
      this.#segments,
      apply,
    );
  }

  /** Whether a roll has to come before an op with such a body. */
  needsRoll(bodyBytes: number): boolean {
    const { position, op } = this.#prepared;
    const opsCount = op + 1 - this.#active.opFirst;
    if (opsCount >= OPS_PER_SEGMENT_MAX - 1) return true;
    return position > 0 && position + bodyBytes > this.#options.segmentBytes;
  }

  /**
   * The header of the next op, which has to be appended next. The body has its final bytes.
   *
   * cost     one pass over the body
   */
  prepare(fields: Omit<OpFields, 'position'>, body: Uint8Array | null): Uint8Array {
    const { op, offset, timestampUs, position, checksum } = this.#prepared;
    assert(!this.#closed);
    assert(fields.op === op + 1, 'ops are prepared in order');
    assert(fields.offsetFirst === offset && fields.timestampUs >= timestampUs);
    assert(fields.bodyBytes === (body?.length ?? 0));
    assert(position + fields.bodyBytes <= LOG_BYTES_MAX);
    assert(op < this.#active.opFirst + OPS_PER_SEGMENT_MAX - 1, 'a roll was due');
    const flags = fields.flags | (this.#rounds.isPersisted(this) ? OP_FLAG.fsync : 0);
    const header = new Uint8Array(OP_BYTES);
    const bodyChecksum = new Uint8Array(CHECKSUM_BYTES);
    if (body !== null) this.#kernel.hash128Of(body, bodyChecksum);
    const placed = { ...fields, flags, position };
    encodeOp(placed, this.#options.group, checksum, bodyChecksum, header);
    sealOp(this.#kernel, header);
    this.#prepared = tailAfter(placed, header);
    return header;
  }

  /**
   * Queues a prepared op for the next round.
   *
   * shape    header and body are borrowed until `onDurable` or `onAppendFailed` names the ticket
   */
  append(header: Uint8Array, body: Uint8Array | null, ticket: number): void {
    assert(!this.#closed);
    const last = this.#queue.at(-1);
    if (last !== undefined) {
      assert(last.ticket < ticket);
      assert(!endsSegment(kindOf(last.header)), 'nothing is appended behind a roll or purge');
    }
    assert(opOf(header) === this.#prepared.op, 'an op is appended right after it was prepared');
    this.#queue.push({ header, body, ticket, tail: this.#prepared });
    this.#rounds.enqueue(this);
  }

  /** Batches from an offset on, or null when there are none. errors: 4027, 4039. */
  read(request: ReadRequest): Promise<Records | null> {
    if (this.#closed) return Promise.resolve(null);
    return this.#tracked(this.#reader.read(this.#segments, request));
  }

  /** First offset of the first batch appended at `timestampUs` or later, else offsetEnd. */
  offsetAtTime(timestampUs: number, offsetEnd: number): Promise<number> {
    if (this.#closed) return Promise.resolve(offsetEnd);
    return this.#tracked(this.#reader.offsetAtTime(this.#segments, timestampUs, offsetEnd));
  }

  /** A read that is under way keeps files open: `close` waits for it. */
  #tracked<T>(read: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = read.then(
      () => this.#reads.delete(settled),
      () => this.#reads.delete(settled),
    );
    this.#reads.add(settled);
    return read;
  }

  /** Everything appended so far is written and durable, whatever the policy. */
  sync(): Promise<void> {
    return this.#rounds.sync(this);
  }

  /** The roll `op`, the last one written, is committed: what follows goes into new files. */
  async applyRoll(op: number): Promise<void> {
    await this.#seal(op);
  }

  /** The purge `op`, the last one written, is committed: all messages go, offsets start again. */
  async applyPurge(op: number): Promise<void> {
    await this.#seal(op);
    await dropMessages(this.#segments.filter(isLive), this.#files);
    await this.#dropCovered();
  }

  /** Removes the messages of sealed segments that end at or below `offset`. */
  async applyTrim(offset: number): Promise<void> {
    await this.#drop((segment) => segment.offsetEnd <= offset);
  }

  /** Removes sealed segments that the older of two snapshots covers, for a group without messages. */
  async dropBelowSnapshots(): Promise<void> {
    const covered = this.#opCovered;
    await this.#drop((segment) => segment.opEnd <= covered + 1);
  }

  /**
   * Stores a snapshot of the state after `op`; two are kept. Calls follow one another.
   *
   * errors   disk full and others of the disk: the snapshots are as they were
   */
  async saveSnapshot(op: number, bytes: Uint8Array): Promise<void> {
    assert(op > 0 && op <= this.#written.op);
    // A snapshot never knows more than the log after a power failure.
    await this.sync();
    const { directory, group } = this.#options;
    const { disk } = this.#files;
    await writeSnapshot({ directory, group }, { disk, kernel: this.#kernel }, { op, bytes });
    const ops = [...this.#snapshotOps.filter((known) => known !== op), op].sort((a, b) => a - b);
    this.#snapshotOps = ops.slice(-SNAPSHOTS_KEPT);
    for (const old of ops.slice(0, -SNAPSHOTS_KEPT)) {
      await disk.removeFile(snapshotPath(directory, old));
    }
    await this.#dropCovered();
  }

  /** Makes everything durable and closes the files. Reads answer null from then on. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await this.sync();
    this.#closed = true;
    this.#rounds.forget(this);
    await Promise.all(this.#reads);
    await this.#earlySync;
    for (const segment of this.#segments) {
      this.#files.forget(segment.logPath);
      this.#files.forget(segment.opsPath);
    }
    await this.#files.settled();
  }

  /** For SyncRounds. */
  async writeRound(): Promise<number> {
    const entries = this.#queue;
    const first = entries[0];
    if (first === undefined) return 0;
    this.#queue = [];
    const segment = this.#active;
    try {
      if (segment.state === 'planned') await this.#createFiles(segment);
      return await this.#write(segment, entries);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      if (segment.state === 'live') await cutPair(segment, this.#files);
      // One moment for the log and its owner: what was prepared behind the failed op goes, too.
      this.#queue = [];
      this.#prepared = this.#written;
      const detail = this.#options.directory;
      const failure = new OperatingError(STATUS.diskFull, detail, { cause: error });
      this.onAppendFailed(first.ticket, failure);
      return 0;
    }
  }

  /** For SyncRounds. */
  async syncRound(): Promise<void> {
    // The kernel reports a failed sync once; it must not be taken for a good one later.
    if (this.#earlyFailure !== null) throw this.#earlyFailure;
    if (!this.#isUnsynced) return;
    this.#isUnsynced = false;
    const bytes = this.#bytesWritten;
    await syncPair(this.#active, this.#files);
    this.#bytesSynced = Math.max(this.#bytesSynced, bytes);
  }

  /** Syncs behind the service what a relaxed policy has left unsynced. */
  #beginEarlySync(): void {
    const bytes = this.#bytesWritten;
    this.#earlySync = syncPair(this.#active, this.#files).then(
      () => {
        this.#bytesSynced = Math.max(this.#bytesSynced, bytes);
        this.#earlySync = null;
      },
      (cause: unknown) => {
        this.#earlySync = null;
        this.#earlyFailure = new Error('log: a sync failed', { cause });
        // Through the rounds, which end the process.
        this.#rounds.sync(this).catch(() => undefined);
      },
    );
  }

  /** For SyncRounds. */
  finishRound(): void {
    if (this.#ticketWritten === this.#ticketTold) return;
    this.#ticketTold = this.#ticketWritten;
    this.onDurable(this.#ticketTold);
  }

  get #active(): Segment {
    return this.#segments.at(-1)!;
  }

  async #createFiles(segment: Segment): Promise<void> {
    const { cluster, group } = this.#options;
    const { opFirst, offsetFirst, timestampLastUs } = segment;
    const parent = this.#written.checksum;
    const timestampUs = timestampLastUs;
    const header = { cluster, group, parent, opFirst, offsetFirst, timestampUs };
    await createPair(segment, header, { files: this.#files, kernel: this.#kernel });
    segment.state = 'live';
  }

  async #write(segment: Segment, entries: readonly Entry[]): Promise<number> {
    const headers: Uint8Array[] = [];
    const bodies: Uint8Array[] = [];
    for (const { header, body } of entries) {
      headers.push(header);
      if (body !== null && body.length > 0) bodies.push(body);
    }
    const { tail, ticket } = entries.at(-1)!;
    const bodyBytes = tail.position - segment.bytes;
    const isPersisted = this.#rounds.isPersisted(this);
    const leftBytes = (): number => this.#bytesWritten + bodyBytes - this.#bytesSynced;
    if (!isPersisted && leftBytes() > UNSYNCED_BYTES_MAX) {
      await this.#earlySync;
      if (leftBytes() > UNSYNCED_BYTES_MAX) await this.syncRound();
    }
    const slot = segment.slotCount + 1;
    this.#isUnsynced = true;
    await this.#writePair(segment, { bodies, headers, slot });
    this.#bytesWritten += bodyBytes;
    if (!isPersisted && this.#earlySync === null && leftBytes() - bodyBytes > EARLY_SYNC_BYTES) {
      this.#beginEarlySync();
    }
    for (const [index, header] of headers.entries()) {
      this.#index.appended(segment, slot + index, header);
    }
    segment.slotCount += headers.length;
    segment.bytes = tail.position;
    segment.offsetEnd = endsSegment(kindOf(headers.at(-1)!)) ? segment.offsetEnd : tail.offset;
    segment.timestampLastUs = tail.timestampUs;
    this.#written = tail;
    this.#ticketWritten = ticket;
    return bodyBytes + headers.length * OP_BYTES;
  }

  /** Both at once; settles when neither is under way any more. */
  async #writePair(
    segment: Segment,
    what: {
      readonly bodies: readonly Uint8Array[];
      readonly headers: readonly Uint8Array[];
      readonly slot: number;
    },
  ): Promise<void> {
    const log = await this.#files.lease(segment.logPath, { create: false });
    try {
      const ops = await this.#files.lease(segment.opsPath, { create: false });
      try {
        const results = await Promise.allSettled([
          what.bodies.length > 0 ? log.file.write(what.bodies, segment.bytes) : null,
          ops.file.write(what.headers, what.slot * OP_BYTES),
        ]);
        throwWorst(results);
      } finally {
        ops.release();
      }
    } finally {
      log.release();
    }
  }

  /** Nothing is written into the present files any more; the next ones are made with their first op. */
  async #seal(op: number): Promise<void> {
    await this.sync();
    const segment = this.#active;
    assert(op === this.#written.op && op === segment.opEnd - 1);
    assert(this.#prepared === this.#written && this.#queue.length === 0);
    segment.sealed = true;
    this.#files.forget(segment.logPath);
    this.#files.forget(segment.opsPath);
    this.#written = { ...this.#written, position: 0 };
    this.#prepared = this.#written;
    this.#segments = [...this.#segments, plannedAfter(this.#options.directory, this.#written)];
  }

  async #drop(isDoomed: (segment: Segment) => boolean): Promise<void> {
    // The op that asks for it is durable before anything goes.
    await this.sync();
    const doomed: Segment[] = [];
    for (const segment of this.#segments) {
      if (segment.state === 'trimmed') continue;
      if (!segment.sealed || !isDoomed(segment)) break;
      doomed.push(segment);
    }
    await dropMessages(doomed, this.#files);
    await this.#dropCovered();
  }

  /** Highest op that no replay needs, even if the newest snapshot should turn out unreadable. */
  get #opCovered(): number {
    return this.#snapshotOps.length < SNAPSHOTS_KEPT ? 0 : this.#snapshotOps.at(-SNAPSHOTS_KEPT)!;
  }

  /** Removes the ops of trimmed segments that no replay needs. The newest file on disk stays. */
  async #dropCovered(): Promise<void> {
    const covered = this.#opCovered;
    for (;;) {
      const [oldest, next] = this.#segments;
      if (oldest === undefined || next === undefined) return;
      if (oldest.state !== 'trimmed' || oldest.opEnd > covered + 1) return;
      if (next.state === 'planned') return;
      this.#segments = this.#segments.slice(1);
      await removeFiles(this.#files, [oldest.opsPath, oldest.acceptedPath]);
    }
  }
}

function ignore(): void {
  // Until an owner listens.
}

function isLive(segment: Segment): boolean {
  return segment.state === 'live';
}

function kindOf(header: Uint8Array): number {
  return opKind(viewOf(header), 0);
}

function opOf(header: Uint8Array): number {
  return opNumber(viewOf(header), 0);
}

function viewOf(header: Uint8Array): DataView {
  return new DataView(header.buffer, header.byteOffset, OP_BYTES);
}

/** An error that is more than a full disk counts more. */
function throwWorst(results: readonly PromiseSettledResult<unknown>[]): void {
  let full: unknown = null;
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    if (!isDiskFull(result.reason)) throw result.reason;
    full = result.reason;
  }
  if (full !== null) throw full;
}
