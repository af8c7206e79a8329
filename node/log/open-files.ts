import assert from 'node:assert/strict';
import type { Disk, SegmentFile } from './file.ts';

/** An open file in use. `release` must be called once; the file may be closed after it. */
export interface Lease {
  readonly file: SegmentFile;
  release(): void;
}

interface Entry extends Lease {
  readonly path: string;
  users: number;
  forgotten: boolean;
}

export interface OpenFilesOptions {
  /** Files open at one time, apart from those in use right now. */
  readonly openCountMax: number;
}

/**
 * Files of all logs of a node, opened on first use and closed when others were used since:
 * thousands of partitions do not need thousands of descriptors.
 *
 * cost     a map look-up and a promise per use of an open file
 */
export class OpenFiles {
  readonly disk: Disk;
  readonly #openCountMax: number;
  /** Oldest use first. */
  readonly #entries: Map<string, Entry> = new Map();
  readonly #opening: Map<string, Promise<Entry>> = new Map();
  readonly #closing: Set<Promise<void>> = new Set();

  constructor(options: OpenFilesOptions, dependencies: { readonly disk: Disk }) {
    assert(options.openCountMax > 0);
    this.disk = dependencies.disk;
    this.#openCountMax = options.openCountMax;
  }

  get openCount(): number {
    return this.#entries.size;
  }

  /** Opens the file when it is not open. errors: ENOENT and others of the disk. */
  async lease(path: string, options: { readonly create: boolean }): Promise<Lease> {
    for (;;) {
      const open = this.#entries.get(path);
      if (open !== undefined) {
        this.#entries.delete(path);
        this.#entries.set(path, open);
        open.users += 1;
        return open;
      }
      const opening = this.#opening.get(path);
      if (opening === undefined) await this.#open(path, options.create);
      else await opening;
    }
  }

  /** Closes the file as soon as nobody uses it; to be called before its name goes away. */
  forget(path: string): void {
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    this.#entries.delete(path);
    entry.forgotten = true;
    if (entry.users === 0) this.#close(entry);
  }

  /** Closes every file. Nothing may be in use. */
  async close(): Promise<void> {
    for (const path of [...this.#entries.keys()]) this.forget(path);
    await this.settled();
  }

  /** Waits for files that are being closed. */
  async settled(): Promise<void> {
    await Promise.all(this.#closing);
  }

  async #open(path: string, create: boolean): Promise<void> {
    const opening = this.disk.openFile(path, { create }).then((file) => this.#admit(path, file));
    this.#opening.set(path, opening);
    try {
      await opening;
    } finally {
      this.#opening.delete(path);
    }
  }

  #admit(path: string, file: SegmentFile): Entry {
    const entry: Entry = {
      path,
      file,
      users: 0,
      forgotten: false,
      release: () => {
        assert(entry.users > 0);
        entry.users -= 1;
        if (entry.users > 0) return;
        if (entry.forgotten) this.#close(entry);
        else this.#evict();
      },
    };
    this.#entries.set(path, entry);
    this.#evict();
    return entry;
  }

  #evict(): void {
    let excess = this.#entries.size - this.#openCountMax;
    if (excess <= 0) return;
    for (const entry of this.#entries.values()) {
      if (excess <= 0) return;
      if (entry.users > 0) continue;
      this.#entries.delete(entry.path);
      this.#close(entry);
      excess -= 1;
    }
  }

  #close(entry: Entry): void {
    // Everything that had to be durable was synced before; an error of close itself says nothing new.
    const closing: Promise<void> = entry.file.close().catch(() => undefined);
    this.#closing.add(closing);
    void closing.then(() => this.#closing.delete(closing));
  }
}
