import assert from 'node:assert/strict';
import type { Prng } from '../base/prng.ts';
import { type Disk, directoryOf, type SegmentFile } from '../log/file.ts';

// What is on the platter and what only the page cache knows:
//
//   file      | synced bytes |  writes and cuts since, in order  |
//   names     | synced names |  creations, renames, removals since, in order  |
//             ^ survives       ^ each sector, each change: kept or lost when the power goes
//
// A sector of 512 bytes is never torn, and it is the page that is written: who finds a later write
// of a sector finds the earlier ones of that sector, too. Sizes may be kept without the bytes.

export const SECTOR_BYTES = 512;

/** What a step of the disk does; what `onStep` decides by. */
export type StepKind =
  | 'open'
  | 'write'
  | 'read'
  | 'sync'
  | 'truncate'
  | 'makeDir'
  | 'remove'
  | 'rename'
  | 'syncDir';

/** Steps that change something or make it durable: those that are counted. */
const COUNTED: ReadonlySet<StepKind> = new Set([
  'open',
  'write',
  'sync',
  'truncate',
  'makeDir',
  'remove',
  'rename',
  'syncDir',
]);

/** An error as the system makes them. `EPOWER`: the power is off. */
class DiskError extends Error {
  readonly code: string;

  constructor(code: string, path: string) {
    super(`${code}: ${path}`);
    this.name = 'DiskError';
    this.code = code;
  }
}

/** Bytes that grow. */
class Content {
  #bytes: Uint8Array = new Uint8Array(SECTOR_BYTES);
  size = 0;

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.size);
  }

  write(bytes: Uint8Array, at: number): void {
    this.extend(at + bytes.length);
    this.#bytes.set(bytes, at);
  }

  extend(size: number): void {
    if (size > this.#bytes.length) {
      const larger = new Uint8Array(2 ** Math.ceil(Math.log2(size)));
      larger.set(this.bytes);
      this.#bytes = larger;
    }
    this.size = Math.max(this.size, size);
  }

  cut(size: number): void {
    if (size < this.size) this.#bytes.fill(0, size, this.size);
    this.extend(size);
    this.size = size;
  }
}

type Change =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'cut'; readonly size: number };

interface FileNode {
  readonly kind: 'file';
  readonly cache: Content;
  readonly platter: Content;
  pending: Change[];
}
type Node = FileNode | { readonly kind: 'directory' };

/** A change of names, made durable by a sync of one of the directories. */
interface Renaming {
  readonly directories: readonly string[];
  apply(names: Map<string, Node>): void;
}

export interface SimDiskOptions {
  /** Bytes of all files together; a write beyond it fails with ENOSPC, as far as it fits written. */
  readonly capacityBytes: number;
}

/**
 * A disk in memory that forgets, when the power goes, what nobody has synced: all of it, parts of
 * it or nothing, as the seed says. The same seed and the same calls give the same story.
 */
export class SimDisk implements Disk {
  readonly #prng: Prng;
  #capacityBytes: number;
  #names: Map<string, Node> = new Map([['/', { kind: 'directory' }]]);
  #namesSynced: Map<string, Node> = new Map(this.#names);
  #renamings: Renaming[] = [];
  #stepCount = 0;
  #stepCountMax = Number.POSITIVE_INFINITY;
  #isOn = true;
  /** Power cycles: a file that was opened before the last one is dead. */
  #cycle = 0;
  #bytesRead = 0;
  /** Error code with which a step fails instead of happening, or null. */
  onStep: (kind: StepKind, path: string) => string | null = () => null;

  constructor(options: SimDiskOptions, dependencies: { readonly prng: Prng }) {
    this.#capacityBytes = options.capacityBytes;
    this.#prng = dependencies.prng;
  }

  /** Steps so far that changed something or made it durable. */
  get stepCount(): number {
    return this.#stepCount;
  }

  /** Bytes read from files so far. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Bytes of all files that have a name. */
  get usedBytes(): number {
    let bytes = 0;
    for (const node of this.#names.values()) if (node.kind === 'file') bytes += node.cache.size;
    return bytes;
  }

  setCapacity(bytes: number): void {
    this.#capacityBytes = bytes;
  }

  /** The power goes behind this step, counted from the beginning: every later one fails. */
  stopAfter(stepCount: number): void {
    this.#stepCountMax = stepCount;
  }

  /** The power goes now and comes back. Files that were open are dead. */
  powerCycle(): void {
    for (const renaming of this.#renamings) {
      if (this.#prng.below(2) === 1) renaming.apply(this.#namesSynced);
    }
    this.#renamings = [];
    for (const path of [...this.#namesSynced.keys()]) {
      if (!this.#hasParents(path)) this.#namesSynced.delete(path);
    }
    this.#names = new Map(this.#namesSynced);
    for (const node of new Set(this.#names.values())) {
      if (node.kind === 'file') this.#settle(node);
    }
    this.#cycle += 1;
    this.#isOn = true;
    this.#stepCountMax = Number.POSITIVE_INFINITY;
  }

  /** The bytes of a file as a reader sees them now: a copy. */
  contentOf(path: string): Uint8Array {
    return this.#fileAt(path).cache.bytes.slice();
  }

  /** Changes the platter behind everybody's back: rot, a misdirected write, a cut. */
  damage(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const node = this.#fileAt(path);
    assert(node.pending.length === 0, 'only what is synced can rot');
    const bytes = change(node.cache.bytes.slice());
    for (const content of [node.cache, node.platter]) {
      content.cut(0);
      content.write(bytes, 0);
    }
  }

  async openFile(path: string, options: { readonly create: boolean }): Promise<SegmentFile> {
    const known = this.#names.get(path);
    if (known === undefined && options.create) this.step('open', path);
    else this.#requirePower(path);
    await null;
    if (known !== undefined) {
      assert(known.kind === 'file');
      return new SimFile(this, path, known, this.#cycle);
    }
    if (!options.create || !this.#names.has(directoryOf(path))) throw new DiskError('ENOENT', path);
    const node: FileNode = {
      kind: 'file',
      cache: new Content(),
      platter: new Content(),
      pending: [],
    };
    this.#rename([directoryOf(path)], (names) => names.set(path, node));
    return new SimFile(this, path, node, this.#cycle);
  }

  async list(directory: string): Promise<string[]> {
    this.#requirePower(directory);
    await null;
    const prefix = `${directory}/`;
    const names: string[] = [];
    for (const path of this.#names.keys()) {
      if (!path.startsWith(prefix)) continue;
      const name = path.slice(prefix.length);
      if (!name.includes('/')) names.push(name);
    }
    return names;
  }

  async makeDir(directory: string): Promise<string | null> {
    this.step('makeDir', directory);
    await null;
    let topmost: string | null = null;
    const missing: string[] = [];
    for (let path = directory; !this.#names.has(path); path = directoryOf(path)) {
      missing.push(path);
      topmost = path;
    }
    for (const path of missing.reverse()) {
      const node: Node = { kind: 'directory' };
      this.#rename([directoryOf(path)], (names) => names.set(path, node));
    }
    return topmost;
  }

  async removeFile(path: string): Promise<void> {
    this.step('remove', path);
    await null;
    if (!this.#names.has(path)) return;
    this.#rename([directoryOf(path)], (names) => names.delete(path));
  }

  async removeDir(directory: string): Promise<void> {
    this.step('remove', directory);
    await null;
    if (!this.#names.has(directory)) return;
    this.#rename([directoryOf(directory)], (names) => {
      for (const path of [...names.keys()]) {
        if (path === directory || path.startsWith(`${directory}/`)) names.delete(path);
      }
    });
  }

  async rename(from: string, to: string): Promise<void> {
    this.step('rename', from);
    await null;
    const node = this.#names.get(from);
    if (node === undefined) throw new DiskError('ENOENT', from);
    const inside = [...this.#names].filter(([path]) => path.startsWith(`${from}/`));
    this.#rename([directoryOf(from), directoryOf(to)], (names) => {
      names.delete(from);
      names.set(to, node);
      for (const [path, child] of inside) {
        names.delete(path);
        names.set(`${to}${path.slice(from.length)}`, child);
      }
    });
  }

  async syncDir(directory: string): Promise<void> {
    this.step('syncDir', directory);
    await null;
    this.#requirePower(directory);
    this.#renamings = this.#renamings.filter((renaming) => {
      if (!renaming.directories.includes(directory)) return true;
      renaming.apply(this.#namesSynced);
      return false;
    });
  }

  async freeBytes(): Promise<number> {
    await null;
    return Math.max(0, this.#capacityBytes - this.usedBytes);
  }

  /** For SimFile: counts a step, or fails it. */
  step(kind: StepKind, path: string): void {
    this.#requirePower(path);
    if (COUNTED.has(kind)) {
      if (this.#stepCount >= this.#stepCountMax) this.#isOn = false;
      this.#requirePower(path);
      this.#stepCount += 1;
    }
    const code = this.onStep(kind, path);
    if (code !== null) throw new DiskError(code, path);
  }

  /** For SimFile. */
  requireOpen(path: string, cycle: number): void {
    if (cycle !== this.#cycle) throw new DiskError('EPOWER', path);
    this.#requirePower(path);
  }

  /** For SimFile: how many of the bytes fit. */
  room(node: FileNode, end: number): number {
    const growth = Math.max(0, end - node.cache.size);
    return Math.min(growth, Math.max(0, this.#capacityBytes - this.usedBytes));
  }

  /** For SimFile. */
  countRead(bytes: number): void {
    this.#bytesRead += bytes;
  }

  #requirePower(path: string): void {
    if (!this.#isOn) throw new DiskError('EPOWER', path);
  }

  #rename(directories: readonly string[], apply: (names: Map<string, Node>) => void): void {
    apply(this.#names);
    this.#renamings.push({ directories, apply });
  }

  #hasParents(path: string): boolean {
    for (let at = path; at !== '/'; ) {
      at = directoryOf(at);
      if (this.#namesSynced.get(at)?.kind !== 'directory') return false;
    }
    return true;
  }

  #fileAt(path: string): FileNode {
    const node = this.#names.get(path);
    assert(node?.kind === 'file', 'there is such a file');
    return node;
  }

  /** Decides what of the unsynced changes of a file is left. */
  #settle(node: FileNode): void {
    const { pending, platter } = node;
    const keep = this.#keeper();
    for (const [index, change] of pending.entries()) {
      if (change.kind === 'cut') {
        if (keep(-1, 1, 0)) platter.cut(change.size);
        continue;
      }
      const { at, bytes } = change;
      for (let from = 0; from < bytes.length; ) {
        const sector = Math.floor((at + from) / SECTOR_BYTES);
        const end = Math.min(bytes.length, (sector + 1) * SECTOR_BYTES - at);
        if (keep(sector, pending.length, index)) {
          platter.write(bytes.subarray(from, end), at + from);
        }
        from = end;
      }
      if (this.#prng.below(4) === 0) platter.extend(at + bytes.length);
    }
    node.pending = [];
    node.cache.cut(0);
    node.cache.write(platter.bytes, 0);
  }

  /** Whether a change of a sector is kept: nothing of the file, all of it, or some sectors. */
  #keeper(): (sector: number, changeCount: number, index: number) => boolean {
    const mode = this.#prng.below(4);
    if (mode === 0) return () => false;
    if (mode === 1) return () => true;
    const kept: Map<number, number> = new Map();
    return (sector, changeCount, index) => {
      if (sector < 0) return this.#prng.below(2) === 1;
      let count = kept.get(sector);
      if (count === undefined) {
        const all = this.#prng.below(2) === 1;
        count = all ? changeCount : this.#prng.below(changeCount + 1);
        kept.set(sector, count);
      }
      return index < count;
    };
  }
}

class SimFile implements SegmentFile {
  readonly #disk: SimDisk;
  readonly #path: string;
  readonly #node: FileNode;
  readonly #cycle: number;
  #closed = false;

  constructor(disk: SimDisk, path: string, node: FileNode, cycle: number) {
    this.#disk = disk;
    this.#path = path;
    this.#node = node;
    this.#cycle = cycle;
  }

  async write(pieces: readonly Uint8Array[], at: number): Promise<void> {
    this.#step('write');
    let size = 0;
    for (const piece of pieces) size += piece.length;
    const all = new Uint8Array(size);
    let filled = 0;
    for (const piece of pieces) {
      all.set(piece, filled);
      filled += piece.length;
    }
    const { cache, pending } = this.#node;
    const end = at + size;
    const missing = Math.max(0, end - cache.size) - this.#disk.room(this.#node, end);
    const bytes = all.subarray(0, Math.max(0, size - missing));
    cache.write(bytes, at);
    pending.push({ kind: 'write', at, bytes });
    await null;
    if (missing > 0) throw new DiskError('ENOSPC', this.#path);
  }

  async sync(): Promise<void> {
    this.#step('sync');
    // What is written while the sync is under way is not part of it.
    const count = this.#node.pending.length;
    await null;
    this.#disk.requireOpen(this.#path, this.#cycle);
    for (const change of this.#node.pending.splice(0, count)) {
      if (change.kind === 'cut') this.#node.platter.cut(change.size);
      else this.#node.platter.write(change.bytes, change.at);
    }
  }

  async readInto(target: Uint8Array, at: number): Promise<number> {
    this.#step('read');
    await null;
    const found = this.#node.cache.bytes.subarray(at, at + target.length);
    target.set(found);
    this.#disk.countRead(found.length);
    return found.length;
  }

  async truncate(size: number): Promise<void> {
    this.#step('truncate');
    this.#node.cache.cut(size);
    this.#node.pending.push({ kind: 'cut', size });
    await null;
  }

  async size(): Promise<number> {
    this.#requireOpen();
    await null;
    return this.#node.cache.size;
  }

  async close(): Promise<void> {
    assert(!this.#closed);
    this.#closed = true;
    await null;
  }

  #step(kind: StepKind): void {
    this.#requireOpen();
    this.#disk.step(kind, this.#path);
  }

  #requireOpen(): void {
    assert(!this.#closed);
    this.#disk.requireOpen(this.#path, this.#cycle);
  }
}
