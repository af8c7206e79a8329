import assert from 'node:assert/strict';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Disk } from '../log/file.ts';

/** How often the free space is looked at. */
const INTERVAL_MS = 1000;

export interface DiskSpaceOptions {
  readonly directory: string;
  /** Appends are refused while less is free; 0: never. */
  readonly reserveBytes: number;
}

export interface DiskSpaceDependencies {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Keeps a reserve free on the disk: without it, what makes room (deletes, trims) and what
 * consumers need (offsets) could not be written either.
 *
 * cost     one statfs per second
 * source   replication rule 4.6
 */
export class DiskSpace {
  readonly #directory: string;
  readonly #reserveBytes: number;
  readonly #dependencies: DiskSpaceDependencies;
  #full = false;
  /** Free above the reserve, as far as is known. */
  #leftBytes = Number.POSITIVE_INFINITY;
  #checking: Promise<void> | null = null;
  #cancelTimer: (() => void) | null = null;
  #stopped = false;

  constructor(options: DiskSpaceOptions, dependencies: DiskSpaceDependencies) {
    assert(options.reserveBytes >= 0);
    this.#directory = options.directory;
    this.#reserveBytes = options.reserveBytes;
    this.#dependencies = dependencies;
  }

  /** Whether appends are refused. */
  get full(): boolean {
    return this.#full;
  }

  /**
   * Takes room for an append. What is taken since the last look counts as written, so that a burst
   * between two looks does not go through the reserve.
   *
   * errors   10005 there is none
   */
  takeRoom(bytes: number): void {
    if (this.#full || this.#leftBytes < bytes) {
      if (!this.#full) void this.check();
      throw new OperatingError(STATUS.diskFull, 'less than disk.reserve is free on the disk');
    }
    this.#leftBytes -= bytes;
  }

  /** Looks at once, then again and again until `stop`. */
  async start(): Promise<void> {
    if (this.#reserveBytes === 0) return;
    await this.check();
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  /** Looks now; to be called after a write failed for want of room. Callers share one look. */
  check(): Promise<void> {
    if (this.#reserveBytes === 0) return Promise.resolve();
    this.#checking ??= this.#look().finally(() => {
      this.#checking = null;
    });
    return this.#checking;
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#cancelTimer = this.#dependencies.clock.startTimer(INTERVAL_MS, () => {
      this.#cancelTimer = null;
      void this.check().then(() => this.#schedule());
    });
  }

  async #look(): Promise<void> {
    const { disk, logger } = this.#dependencies;
    let freeBytes: number;
    try {
      freeBytes = await disk.freeBytes(this.#directory);
    } catch (error) {
      // Not knowing is no reason to refuse: a write that finds no room is refused by itself.
      logger.warn('free space of the disk is unknown', { error });
      return;
    }
    this.#leftBytes = Math.max(0, freeBytes - this.#reserveBytes);
    const full = freeBytes < this.#reserveBytes;
    if (full === this.#full) return;
    this.#full = full;
    const fields = { freeBytes, reserveBytes: this.#reserveBytes, directory: this.#directory };
    if (full)
      logger.error('disk below its reserve, appends are refused until space is free', fields);
    else logger.info('disk has space again, appends go on', fields);
  }
}
