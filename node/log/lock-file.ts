import fs from 'node:fs/promises';
import { codeOf } from './file.ts';

// A data folder belongs to one process at a time:
//
//   lock          JSON of the holder {pid, startTicks, bootId}, linked into place whole
//   lock.<pid>    the same, before that
//   lock.taking   whoever replaces a lock that was left behind holds this meanwhile
//
// A holder is alive while the machine has not been started again and a process with its number
// started when it did: a number alone is given out again. The kernel's own file locks would be
// simpler, but Node does not reach them.

/** File that names the holder. */
export const LOCK_NAME = 'lock';
/** Attempts that end because others did the same at the same moment. */
const ATTEMPTS_MAX = 8;
/** Field 22 of /proc/PID/stat, counted behind the name of the command, which may hold blanks. */
const START_FIELD = 19;

/** Who holds a folder. */
interface Holder {
  readonly pid: number;
  /** Clock ticks between the start of the machine and that of the process. */
  readonly startTicks: string;
  readonly bootId: string;
}

export interface FolderLockOptions {
  readonly directory: string;
  readonly pid: number;
  /** Where the system tells about processes: `/proc`. */
  readonly procDirectory: string;
}

/** Another process, alive, has the folder. The sentence names it and says what to do. */
export class FolderInUse extends Error {
  constructor(sentence: string) {
    super(sentence);
    this.name = 'FolderInUse';
  }
}

/**
 * Exclusive use of a folder by this process.
 *
 * source   proc(5)
 */
export class FolderLock {
  readonly #options: FolderLockOptions;
  readonly #text: string;
  #released = false;

  private constructor(options: FolderLockOptions, text: string) {
    this.#options = options;
    this.#text = text;
  }

  /**
   * Takes the lock of a folder that exists. What a dead process left is no obstacle.
   *
   * errors   FolderInUse when the holder is alive; those of the file system
   */
  static async take(options: FolderLockOptions): Promise<FolderLock> {
    const { directory, pid, procDirectory } = options;
    const self = await identify(procDirectory, pid);
    if (self === null) throw new Error(`${procDirectory} does not tell about process ${pid}`);
    const lock = new FolderLock(options, JSON.stringify(self));
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      if (await lock.#link(LOCK_NAME)) return lock;
      const held = await lock.#read(LOCK_NAME);
      if (held === null) continue;
      await lock.#requireDead(held);
      if (await lock.#replace(held)) return lock;
    }
    throw new Error(`the lock of ${directory} changes hands too often`);
  }

  /** Gives the folder free; once more is harmless. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    if ((await this.#read(LOCK_NAME)) === this.#text) await this.#remove(LOCK_NAME);
  }

  /** Puts the own lock in place of a dead one, unless that has changed meanwhile. */
  async #replace(held: string): Promise<boolean> {
    if (!(await this.#link(TAKING))) {
      const taker = await this.#read(TAKING);
      if (taker === null) return false;
      await this.#requireDead(taker);
      await this.#remove(TAKING);
      return false;
    }
    try {
      if ((await this.#read(LOCK_NAME)) !== held) return false;
      await this.#remove(LOCK_NAME);
      return await this.#link(LOCK_NAME);
    } finally {
      await this.#remove(TAKING);
    }
  }

  async #requireDead(text: string): Promise<void> {
    const { directory, pid, procDirectory } = this.#options;
    const holder = parseHolder(text);
    // Not readable: the machine went down while it was written.
    if (holder === null) return;
    const found = await identify(procDirectory, holder.pid);
    if (found?.startTicks !== holder.startTicks || found.bootId !== holder.bootId) return;
    const who = holder.pid === pid ? 'this process' : `process ${holder.pid}`;
    throw new FolderInUse(
      `the data folder ${directory} is in use by ${who} (pid ${holder.pid}): ` +
        'stop it, or name another folder with --path',
    );
  }

  /** A name appears with its content or not at all. */
  async #link(name: string): Promise<boolean> {
    const own = this.#pathOf(`${LOCK_NAME}.${this.#options.pid}`);
    await fs.writeFile(own, this.#text, { mode: 0o640 });
    try {
      await fs.link(own, this.#pathOf(name));
      return true;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      return false;
    } finally {
      await fs.rm(own, { force: true });
    }
  }

  async #read(name: string): Promise<string | null> {
    return readMaybe(this.#pathOf(name));
  }

  #remove(name: string): Promise<void> {
    return fs.rm(this.#pathOf(name), { force: true });
  }

  #pathOf(name: string): string {
    return `${this.#options.directory}/${name}`;
  }
}

const TAKING = `${LOCK_NAME}.taking`;

/** null: there is no such process. */
async function identify(procDirectory: string, pid: number): Promise<Holder | null> {
  const stat = await readMaybe(`${procDirectory}/${pid}/stat`);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  // It has ended, and its parent has not asked how.
  if (state === 'Z' || state === 'X') return null;
  const startTicks = fields[START_FIELD];
  const bootId = await readMaybe(`${procDirectory}/sys/kernel/random/boot_id`);
  if (startTicks === undefined || bootId === null) return null;
  return { pid, startTicks, bootId: bootId.trim() };
}

function parseHolder(text: string): Holder | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    const { pid, startTicks, bootId } = value as Partial<Holder>;
    if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return null;
    if (typeof startTicks !== 'string' || typeof bootId !== 'string') return null;
    return { pid, startTicks, bootId };
  } catch {
    return null;
  }
}

/** null: there is no such file, or the process ended while it was read. */
async function readMaybe(path: string): Promise<string | null> {
  try {
    return await fs.readFile(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(codeOf(error))) return null;
    throw error;
  }
}
