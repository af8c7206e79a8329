import type { Logger } from '../base/logger.ts';
import type { Disk } from '../log/file.ts';

// What nobody needs any more is renamed at once and removed in the background:
//
//   trash/<uuid>-<time>            deleted by an op: goes as soon as possible
//   trash/unknown-<uuid>-<time>    found at a start and named by no metadata: kept for a day,
//                                  because what the metadata does not know may be a mistake of it

const UNKNOWN = 'unknown-';
const UNKNOWN_KEPT_US = 24 * 3600 * 1e6;

export interface TrashDependencies {
  readonly disk: Disk;
  readonly logger: Logger;
  readonly wallUs: () => number;
}

/**
 * Directories on their way out.
 *
 * cost     a rename; removing happens one directory at a time, behind the service
 */
export class Trash {
  readonly #directory: string;
  readonly #dependencies: TrashDependencies;
  #emptying: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(directory: string, dependencies: TrashDependencies) {
    this.#directory = directory;
    this.#dependencies = dependencies;
  }

  /** Takes the directory of a deleted partition. */
  async takeDeleted(path: string, uuid: string): Promise<void> {
    const target = this.#nameOf(uuid);
    await this.#dependencies.disk.rename(path, target);
    this.#remove([target]);
  }

  /** Takes something that the metadata does not know. */
  async takeUnknown(path: string, name: string): Promise<void> {
    const target = this.#nameOf(`${UNKNOWN}${name}`);
    await this.#dependencies.disk.rename(path, target);
    const text = 'found a partition that no metadata names, moved to trash for a day';
    this.#dependencies.logger.warn(text, { from: path, to: target });
  }

  /** Begins to remove what an earlier run left behind. */
  async startEmptying(): Promise<void> {
    const names = await this.#dependencies.disk.list(this.#directory);
    const nowUs = this.#dependencies.wallUs();
    const due = names.filter((name) => isDue(name, nowUs));
    this.#remove(due.map((name) => `${this.#directory}/${name}`));
  }

  /** Ends after the directory that is being removed. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#emptying;
  }

  #nameOf(name: string): string {
    return `${this.#directory}/${name}-${this.#dependencies.wallUs()}`;
  }

  #remove(paths: readonly string[]): void {
    const { disk, logger } = this.#dependencies;
    this.#emptying = this.#emptying.then(async () => {
      for (const path of paths) {
        if (this.#closed) return;
        try {
          await disk.removeDir(path);
        } catch (error) {
          logger.warn('trash not removed, the next start tries again', { path, error });
        }
      }
    });
  }
}

function isDue(name: string, nowUs: number): boolean {
  if (!name.startsWith(UNKNOWN)) return true;
  const takenUs = Number(name.slice(name.lastIndexOf('-') + 1));
  return !(nowUs - takenUs < UNKNOWN_KEPT_US);
}
