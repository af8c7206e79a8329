import type { Logger } from '../base/logger.ts';
import type { Disk } from '../log/file.ts';
import { createDirectory } from '../log/segment-files.ts';
import {
  beginIdentity,
  FolderRefused,
  finishIdentity,
  type Identity,
  isUnfinished,
  readIdentity,
} from './identity.ts';

// The data folder of a node:
//
//   node.json              who it belongs to (identity.ts)
//   meta/                  log of the metadata
//   groups/<uuid>/         log of a partition
//   trash/<uuid>-<time>/   on its way out (trash.ts)

export interface FolderPaths {
  readonly root: string;
  readonly meta: string;
  readonly groups: string;
  readonly trash: string;
}

export function pathsOf(directory: string): FolderPaths {
  return {
    root: directory,
    meta: `${directory}/meta`,
    groups: `${directory}/groups`,
    trash: `${directory}/trash`,
  };
}

export interface OpenedFolder {
  readonly identity: Identity;
  /** Nothing is in it yet: the log of the metadata is to be made, then `finish` called. */
  readonly isNew: boolean;
}

/**
 * Finds out whose data a folder holds, or begins a new one.
 *
 * errors   FolderRefused: data without an identity, or of another format
 */
export async function openFolder(
  paths: FolderPaths,
  dependencies: {
    readonly disk: Disk;
    readonly logger: Logger;
    readonly randomBytes: (count: number) => Uint8Array;
  },
): Promise<OpenedFolder> {
  const { disk, logger, randomBytes } = dependencies;
  const identity = await readIdentity(disk, paths.root);
  if (identity !== null) {
    await createDirectory(disk, paths.groups);
    await createDirectory(disk, paths.trash);
    return { identity, isNew: false };
  }
  const groups = await disk.list(paths.groups);
  if (groups.length > 0 || !(await isUsable(disk, paths))) {
    throw new FolderRefused(
      `${paths.root} holds data but no node.json. Put node.json back from a backup, ` +
        'or name an empty data folder.',
    );
  }
  // A first start that was cut off has left the beginning of a log: nobody was ever told of it.
  // It is gone for good before the mark goes by which it is known to be such a beginning.
  await disk.removeDir(paths.meta);
  await disk.syncDir(paths.root);
  const begun = await beginIdentity(disk, paths.root, randomBytes);
  await createDirectory(disk, paths.groups);
  await createDirectory(disk, paths.trash);
  logger.info('data folder begun', { directory: paths.root, ...begun });
  return { identity: begun, isNew: true };
}

/** The log of the metadata is durable: the folder is complete. */
export function finishFolder(paths: FolderPaths, disk: Disk): Promise<void> {
  return finishIdentity(disk, paths.root);
}

async function isUsable(disk: Disk, paths: FolderPaths): Promise<boolean> {
  if (await isUnfinished(disk, paths.root)) return true;
  return (await disk.list(paths.meta)).length === 0;
}
