import type { Pool } from '../base/pool.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type Fault, LogDamaged } from './damage.ts';
import { codeOf, type Disk, type SegmentFile } from './file.ts';
import { opsNamed, type Pair, pairsOf } from './file-names.ts';
import { UNSYNCED_BYTES_MAX } from './limits.ts';
import {
  decodeOp,
  isOp,
  isZero,
  OP_BYTES,
  OP_KIND,
  type OpFields,
  sameBytes,
} from './op-header.ts';
import type { OpenFiles } from './open-files.ts';
import { Segment } from './segment.ts';
import { cutPair, dropMessages, markAccepted, removeFiles, writeHeader } from './segment-files.ts';
import { decodeSegmentHeader, type SegmentHeader } from './segment-header.ts';
import { readSnapshot, type Snapshot, snapshotPath } from './snapshot-file.ts';
import { endsSegment, plannedAfter, TAIL_EMPTY, type Tail, tailAfter } from './tail.ts';
import { TailScan, type TailScanResult } from './tail-scan.ts';

// What a directory may hold after a crash, and what becomes of it:
//
//   N.ops + N.log     a pair; the newest is scanned (tail-scan.ts), of the others 512 bytes are read
//   N.trim            ops without messages; N.log beside it was about to go, and goes
//   N.ops or N.log    alone or without a header, newest, behind a roll or purge: its creation was
//                     cut short and no op of it was durable; it goes and is planned again
//   N.snap            the newest whole one counts
//   N.accepted        damage of this sealed segment was accepted at an earlier start
//   *.tmp             goes
//
// Everything else is damage. Nothing is changed before it is known that there is none, or that it
// was accepted.

export interface RecoveryOptions {
  readonly directory: string;
  readonly cluster: Uint8Array;
  readonly group: Uint8Array;
  readonly acceptDataLoss: boolean;
}

export interface RecoveryDependencies {
  readonly files: OpenFiles;
  readonly kernel: Kernel;
  readonly pool: Pool;
}

/** A log as it was found, made whole. The last segment is the one that grows. */
export interface Recovered {
  readonly segments: readonly Segment[];
  readonly tail: Tail;
  readonly snapshot: Snapshot | null;
  readonly snapshotOps: readonly number[];
}

/**
 * Brings the files of a log into a state that ops can be appended to.
 *
 * With `acceptDataLoss` the newest segment ends before its first op that cannot be read; sealed
 * segments stay as they are, reads of what is damaged in them answer 4027 or 4039, and a replay
 * leaves out what it cannot read. Snapshots that know more than the log is left with go.
 *
 * errors   LogDamaged, before anything was changed; even if loss is accepted when nothing is left
 *          to go on with: no segment at all, or ops missing that no snapshot covers
 */
export function recover(
  options: RecoveryOptions,
  dependencies: RecoveryDependencies,
): Promise<Recovered> {
  return new Recovery(options, dependencies).run();
}

class Recovery {
  readonly #options: RecoveryOptions;
  readonly #dependencies: RecoveryDependencies;
  readonly #disk: Disk;
  readonly #faults: Fault[] = [];
  readonly #segments: Segment[] = [];
  readonly #newlyAccepted: Segment[] = [];
  /** Paths to be removed when all is known. */
  readonly #leftovers: string[] = [];
  /** Snapshots on disk that are not known to be unreadable, newest first. */
  #snapshotOps: number[] = [];
  #snapshot: Snapshot | null = null;
  /** Behind the last op that was found. */
  #tail: Tail = TAIL_EMPTY;
  /** Kind of that op; 0 when it is not known. */
  #kindLast = 0;
  /** Segments up to the last purge or trim: their messages are gone, or were about to go. */
  #goneCount = 0;
  /** The newest pair does not end where its files do, or was never synced since. */
  #isUncertain = false;
  /** A header to be written over a damaged one. */
  #headerLost: SegmentHeader | null = null;

  constructor(options: RecoveryOptions, dependencies: RecoveryDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#disk = dependencies.files.disk;
  }

  async run(): Promise<Recovered> {
    const { directory, acceptDataLoss } = this.#options;
    const names = await this.#disk.list(directory);
    this.#snapshotOps = opsNamed(names, 'snap').sort((a, b) => b - a);
    await this.#findSnapshot();
    const pairs = pairsOf(names);
    for (const [index, pair] of pairs.entries()) {
      const next = pairs[index + 1];
      if (next !== undefined || pair.trim) await this.#loadSealed(pair, next?.opFirst ?? null);
      else await this.#loadNewest(pair);
    }
    this.#checkExtent();
    if (this.#faults.length > 0 && !acceptDataLoss) throw new LogDamaged(directory, this.#faults);
    for (const name of names) {
      if (name.endsWith('.tmp')) this.#leftovers.push(`${directory}/${name}`);
    }
    await this.#settle();
    const snapshotOps = this.#snapshotOps.toReversed();
    return { segments: this.#segments, tail: this.#tail, snapshot: this.#snapshot, snapshotOps };
  }

  /** The newest whole one of those left. */
  async #findSnapshot(): Promise<void> {
    const { directory, group } = this.#options;
    const { kernel } = this.#dependencies;
    this.#snapshot = null;
    while (this.#snapshot === null && this.#snapshotOps.length > 0) {
      const op = this.#snapshotOps[0]!;
      this.#snapshot = await readSnapshot({ directory, group }, { disk: this.#disk, kernel }, op);
      if (this.#snapshot === null) this.#forgetSnapshot();
    }
  }

  /** The newest one must not be taken for one to fall back to later. */
  #forgetSnapshot(): void {
    const op = this.#snapshotOps.shift()!;
    this.#leftovers.push(snapshotPath(this.#options.directory, op));
  }

  /** A segment that is not written any more: the ends of its ops, and the length of its bodies. */
  async #loadSealed(pair: Pair, opNext: number | null): Promise<void> {
    const segment = this.#segmentOf(pair);
    const faultsBefore = this.#faults.length;
    if (pair.trim && pair.log) this.#leftovers.push(segment.logPath);
    const ops = await this.#openMaybe(segment.opsPath);
    const slotsInFile = ops === null ? 0 : Math.floor((await ops.size()) / OP_BYTES) - 1;
    const opEnd = pair.opFirst + Math.max(0, slotsInFile);
    // Ops that are not needed go oldest first, but after a crash an older one may be back.
    const isStray = pair.trim && opNext !== null && opEnd < opNext;
    if (isStray && opNext <= (this.#snapshot?.op ?? 0) + 1) {
      await ops?.close();
      this.#leftovers.push(segment.opsPath);
      return;
    }
    segment.slotCount = (opNext ?? opEnd) - pair.opFirst;
    if (opEnd !== segment.opEnd || ops === null) {
      this.#fault(segment.opsPath, opEnd, 'it does not end where the next segment begins');
    }
    if (ops === null) {
      this.#tail = { ...this.#tail, op: segment.opEnd - 1, position: 0 };
      this.#kindLast = 0;
    } else {
      await this.#loadEnds(segment, ops);
      await ops.close();
    }
    if (segment.state === 'live') await this.#checkLogBytes(segment);
    segment.sealed = true;
    if (pair.accepted) this.#faults.length = faultsBefore;
    if (this.#faults.length > faultsBefore) this.#newlyAccepted.push(segment);
    segment.accepted = pair.accepted || this.#faults.length > faultsBefore;
    this.#push(segment);
  }

  #push(segment: Segment): void {
    this.#segments.push(segment);
    const isGone = segment.state === 'trimmed' || this.#kindLast === OP_KIND.purge;
    if (isGone) this.#goneCount = this.#segments.length;
  }

  #segmentOf(pair: Pair): Segment {
    const { directory } = this.#options;
    const { offset, timestampUs } = this.#tail;
    const place = { opFirst: pair.opFirst, offsetFirst: offset, timestampUs };
    return new Segment({ directory, ...place, state: pair.trim ? 'trimmed' : 'live' });
  }

  /** Reads header and last slot. What cannot be read is taken from the segment before. */
  async #loadEnds(segment: Segment, ops: SegmentFile): Promise<void> {
    const header = await this.#readHeader(segment, ops);
    if (header !== null) {
      segment.offsetFirst = header.offsetFirst;
      segment.offsetEnd = header.offsetFirst;
      segment.timestampLastUs = header.timestampUs;
    }
    const op = segment.opEnd - 1;
    const last = segment.slotCount === 0 ? null : await this.#readOp(segment, ops, op);
    if (last === null || !endsSegment(last.fields.kind)) {
      this.#fault(segment.opsPath, op, 'its last op is not readable, or no roll');
    }
    if (last === null) {
      this.#tail = { ...this.#tail, op, offset: segment.offsetEnd, position: 0 };
      this.#kindLast = 0;
      return;
    }
    segment.bytes = last.tail.position;
    segment.offsetEnd = last.fields.offsetFirst + last.fields.count;
    segment.timestampLastUs = last.fields.timestampUs;
    this.#tail = last.tail;
    this.#kindLast = last.fields.kind;
  }

  async #readHeader(segment: Segment, ops: SegmentFile): Promise<SegmentHeader | null> {
    const { cluster, group } = this.#options;
    const { opFirst } = segment;
    const bytes = await this.#readSlot(ops, 0);
    const header =
      bytes === null
        ? 'it cannot be read'
        : decodeSegmentHeader(this.#dependencies.kernel, bytes, { cluster, group, opFirst });
    if (typeof header === 'string') {
      this.#fault(segment.opsPath, opFirst - 1, header);
      return null;
    }
    const before = this.#tail;
    const isNeighbour = before.op === opFirst - 1 && this.#kindLast !== 0;
    if (isNeighbour && !sameBytes(header.parent, before.checksum)) {
      this.#fault(segment.opsPath, opFirst - 1, 'it does not follow the segment before it');
    }
    const previous = this.#segments.at(-1);
    if (previous !== undefined && this.#kindLast === 0) {
      // Its own last op could not tell where it ends.
      previous.offsetEnd = Math.max(previous.offsetFirst, header.offsetFirst);
      previous.timestampLastUs = header.timestampUs;
    }
    return header;
  }

  async #readOp(
    segment: Segment,
    ops: SegmentFile,
    op: number,
  ): Promise<{ readonly fields: OpFields; readonly tail: Tail } | null> {
    const { group } = this.#options;
    const bytes = await this.#readSlot(ops, op - segment.opFirst + 1);
    if (bytes === null || !isOp(this.#dependencies.kernel, bytes, 0, { op, group })) return null;
    const fields = decodeOp(bytes, 0);
    return { fields, tail: tailAfter(fields, bytes) };
  }

  /** null when the device cannot read it or the file ends before. */
  async #readSlot(ops: SegmentFile, slot: number): Promise<Uint8Array | null> {
    const bytes = new Uint8Array(OP_BYTES);
    try {
      return (await ops.readInto(bytes, slot * OP_BYTES)) === OP_BYTES ? bytes : null;
    } catch (error) {
      if (codeOf(error) !== 'EIO') throw error;
      return null;
    }
  }

  async #checkLogBytes(segment: Segment): Promise<void> {
    const log = await this.#openMaybe(segment.logPath);
    const bytes = log === null ? 0 : await log.size();
    await log?.close();
    if (this.#kindLast === 0) segment.bytes = bytes;
    if (log !== null && bytes === segment.bytes) return;
    const { offsetFirst, offsetEnd } = segment;
    this.#faults.push({
      file: segment.logPath,
      byteFirst: Math.min(bytes, segment.bytes),
      byteEnd: Math.max(bytes, segment.bytes),
      op: segment.opEnd - 1,
      offsetFirst,
      offsetEnd,
      reason: log === null ? 'the file is missing' : 'the file has another length',
    });
  }

  /** The pair that grows, unless its creation was cut short. */
  async #loadNewest(pair: Pair): Promise<void> {
    const segment = this.#segmentOf(pair);
    const ops = await this.#openMaybe(segment.opsPath);
    const log = await this.#openMaybe(segment.logPath);
    try {
      if (await this.#isUnborn(ops, log)) {
        this.#leftovers.push(segment.opsPath, segment.logPath);
        return;
      }
      for (const [file, path] of [
        [ops, segment.opsPath],
        [log, segment.logPath],
      ] as const) {
        if (file === null) this.#fault(path, pair.opFirst, 'the file is missing');
      }
      if (ops === null || log === null) return;
      segment.accepted = pair.accepted;
      await this.#scan(segment, ops, log);
      this.#push(segment);
    } finally {
      await ops?.close();
      await log?.close();
    }
  }

  /** No op of it was durable: its files were not, and that comes first. */
  async #isUnborn(ops: SegmentFile | null, log: SegmentFile | null): Promise<boolean> {
    if (!endsSegment(this.#kindLast) || ((await log?.size()) ?? 0) > 0) return false;
    if (ops === null) return true;
    const size = await ops.size();
    if (size > OP_BYTES) return false;
    const header = await this.#readSlot(ops, 0);
    return log === null || header === null || isZero(header, 0, OP_BYTES);
  }

  async #scan(segment: Segment, ops: SegmentFile, log: SegmentFile): Promise<void> {
    const { cluster, group, acceptDataLoss } = this.#options;
    const { opFirst } = segment;
    const header = await this.#readHeader(segment, ops);
    const before: Tail = {
      op: opFirst - 1,
      offset: header?.offsetFirst ?? this.#tail.offset,
      timestampUs: header?.timestampUs ?? this.#tail.timestampUs,
      position: 0,
      checksum: header?.parent ?? this.#tail.checksum,
    };
    if (header === null) {
      const { offset: offsetFirst, timestampUs, checksum: parent } = before;
      this.#headerLost = { cluster, group, parent, opFirst, offsetFirst, timestampUs };
      if (this.#tail.op !== opFirst - 1) return this.#giveUp();
    }
    const [opsBytes, logBytes] = [await ops.size(), await log.size()];
    const { opsPath, logPath } = segment;
    const unsyncedBytesMax = UNSYNCED_BYTES_MAX;
    const fixed = { opsPath, logPath, group, before, opsBytes, logBytes, unsyncedBytesMax };
    const scanOf = (mark: number, opEnd: number): Promise<TailScanResult> =>
      new TailScan({ ...fixed, mark, opEnd }, { ...this.#dependencies, ops, log }).run();
    const mark = this.#snapshot?.op ?? 0;
    let result = await scanOf(mark, Number.POSITIVE_INFINITY);
    this.#faults.push(...result.faults);
    while (result.opFault > 0 && acceptDataLoss) result = await scanOf(0, result.opFault);
    this.#takeTail(segment, before, result);
    this.#isUncertain =
      this.#tail.op !== mark ||
      logBytes !== segment.bytes ||
      opsBytes !== (segment.slotCount + 1) * OP_BYTES;
  }

  #takeTail(segment: Segment, before: Tail, result: TailScanResult): void {
    const { tail, kind, offsetEnd } = result;
    segment.slotCount = tail.op - before.op;
    segment.bytes = tail.position;
    segment.offsetFirst = before.offset;
    segment.offsetEnd = offsetEnd;
    segment.timestampLastUs = tail.timestampUs;
    this.#tail = tail;
    this.#kindLast = kind;
  }

  #checkExtent(): void {
    const first = this.#segments[0];
    const snapshotOp = this.#snapshot?.op ?? 0;
    const { directory } = this.#options;
    if (first === undefined) {
      this.#fault(directory, 1, 'there is no segment');
      this.#giveUp();
    } else if (first.opFirst > snapshotOp + 1) {
      this.#fault(directory, first.opFirst - 1, 'ops before it are missing');
      this.#giveUp();
    }
    if (this.#tail.op < snapshotOp) {
      this.#fault(directory, snapshotOp, 'the log ends before its snapshot');
    }
  }

  #giveUp(): never {
    throw new LogDamaged(this.#options.directory, this.#faults);
  }

  /** Everything is known: makes the files what they are said to be. */
  async #settle(): Promise<void> {
    const { directory } = this.#options;
    const { files, kernel } = this.#dependencies;
    while ((this.#snapshot?.op ?? 0) > this.#tail.op) {
      this.#forgetSnapshot();
      await this.#findSnapshot();
    }
    this.#checkExtent();
    const newest = this.#segments.at(-1)!;
    for (const segment of this.#newlyAccepted) await markAccepted(segment, this.#disk);
    if (!newest.sealed) {
      if (this.#headerLost !== null) await writeHeader(newest, this.#headerLost, { files, kernel });
      if (this.#isUncertain || this.#headerLost !== null) await cutPair(newest, files);
    }
    await removeFiles(files, this.#leftovers);
    if (this.#leftovers.length > 0) await this.#disk.syncDir(directory);
    // A purge or trim that was cut short is finished.
    const gone = this.#segments.slice(0, this.#goneCount);
    await dropMessages(
      gone.filter((segment) => segment.state === 'live'),
      files,
    );
    if (newest.sealed || endsSegment(this.#kindLast)) {
      newest.sealed = true;
      this.#segments.push(plannedAfter(directory, this.#tail));
    }
  }

  async #openMaybe(path: string): Promise<SegmentFile | null> {
    try {
      return await this.#disk.openFile(path, { create: false });
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      return null;
    }
  }

  /** Damage of something that has no bytes of its own. */
  #fault(file: string, op: number, reason: string): void {
    const offset = this.#tail.offset;
    this.#faults.push({
      file,
      byteFirst: 0,
      byteEnd: 0,
      op,
      offsetFirst: offset,
      offsetEnd: offset,
      reason,
    });
  }
}
