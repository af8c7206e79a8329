import assert from 'node:assert/strict';
import fs from 'node:fs';

/**
 * One open file, addressed by position. Pieces are borrowed until the promise settles.
 *
 * errors   those of the system (`code`: ENOSPC, EDQUOT, EIO, ...); a short write is continued here
 */
export interface SegmentFile {
  write(pieces: readonly Uint8Array[], at: number): Promise<void>;
  /** Data and size on stable storage (fdatasync). */
  sync(): Promise<void>;
  /** Fills `target` as far as the file goes; returns the bytes read. */
  readInto(target: Uint8Array, at: number): Promise<number>;
  truncate(size: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** The disk under a log. Paths are absolute. A missing file rejects with code ENOENT. */
export interface Disk {
  openFile(path: string, options: { readonly create: boolean }): Promise<SegmentFile>;
  /** Names in a directory, unsorted; an absent directory has none. */
  list(directory: string): Promise<string[]>;
  /** Creates the directory and those above it; returns the topmost one created, or null. */
  makeDir(directory: string): Promise<string | null>;
  removeFile(path: string): Promise<void>;
  /** Removes a directory and everything in it; absent is fine. */
  removeDir(directory: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Makes the entries of a directory durable. */
  syncDir(directory: string): Promise<void>;
  freeBytes(directory: string): Promise<number>;
}

/** More pieces than this in one call are refused by the system (IOV_MAX). */
const PIECES_MAX = 1024;

/** The machine's disk. Plain callbacks of `fs`: a FileHandle costs a promise chain more per call. */
export class SystemDisk implements Disk {
  openFile(path: string, options: { readonly create: boolean }): Promise<SegmentFile> {
    const flags = options.create ? fs.constants.O_RDWR | fs.constants.O_CREAT : fs.constants.O_RDWR;
    return new Promise((resolve, reject) => {
      fs.open(path, flags, 0o640, (error, fd) => {
        if (error === null) resolve(new SystemFile(fd));
        else reject(error);
      });
    });
  }

  async list(directory: string): Promise<string[]> {
    try {
      return await fs.promises.readdir(directory);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  async makeDir(directory: string): Promise<string | null> {
    return (await fs.promises.mkdir(directory, { recursive: true, mode: 0o750 })) ?? null;
  }

  removeFile(path: string): Promise<void> {
    return fs.promises.rm(path, { force: true });
  }

  removeDir(directory: string): Promise<void> {
    return fs.promises.rm(directory, { recursive: true, force: true });
  }

  rename(from: string, to: string): Promise<void> {
    return fs.promises.rename(from, to);
  }

  async syncDir(directory: string): Promise<void> {
    const handle = await fs.promises.open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async freeBytes(directory: string): Promise<number> {
    const { bavail, bsize } = await fs.promises.statfs(directory);
    return bavail * bsize;
  }
}

class SystemFile implements SegmentFile {
  readonly #fd: number;
  #closed = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async write(pieces: readonly Uint8Array[], at: number): Promise<void> {
    let rest = pieces;
    let position = at;
    while (rest.length > 0) {
      const some = rest.length > PIECES_MAX ? rest.slice(0, PIECES_MAX) : rest;
      const written = await this.#writeSome(some, position);
      position += written;
      rest = behind(rest, written);
    }
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  async readInto(target: Uint8Array, at: number): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      const read = await this.#readSome(target, filled, at + filled);
      if (read === 0) break;
      filled += read;
    }
    return filled;
  }

  truncate(size: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.#fd, size, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#fd, (error, stats) => (error === null ? resolve(stats.size) : reject(error)));
    });
  }

  close(): Promise<void> {
    assert(!this.#closed);
    this.#closed = true;
    return new Promise((resolve, reject) => {
      fs.close(this.#fd, (error) => (error ? reject(error) : resolve()));
    });
  }

  #writeSome(pieces: readonly Uint8Array[], at: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, written: number): void => {
        if (error === null) resolve(written);
        else reject(error);
      };
      const only = pieces[0];
      if (pieces.length === 1 && only !== undefined) {
        fs.write(this.#fd, only, 0, only.length, at, done);
      } else {
        fs.writev(this.#fd, pieces as Uint8Array[], at, done);
      }
    });
  }

  #readSome(target: Uint8Array, from: number, at: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.read(this.#fd, target, from, target.length - from, at, (error, read) => {
        if (error === null) resolve(read);
        else reject(error);
      });
    });
  }
}

/** What is left of `pieces` after the first `bytes`. */
function behind(pieces: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let skipped = 0;
  let left = bytes;
  for (const piece of pieces) {
    if (piece.length > left) break;
    left -= piece.length;
    skipped += 1;
  }
  const rest = pieces.slice(skipped);
  const first = rest[0];
  if (left > 0 && first !== undefined) rest[0] = first.subarray(left);
  return rest;
}

/** System error code of anything thrown, or ''. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

/** Whether a write failed for want of room: appends stop, the process goes on. */
export function isDiskFull(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** The directory a path lies in. */
export function directoryOf(path: string): string {
  const at = path.lastIndexOf('/');
  assert(at >= 0);
  return at === 0 ? '/' : path.slice(0, at);
}
