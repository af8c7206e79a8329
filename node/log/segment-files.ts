import type { Kernel } from '../kernel/kernel.ts';
import { type Disk, directoryOf, isDiskFull } from './file.ts';
import { OP_BYTES } from './op-header.ts';
import type { OpenFiles } from './open-files.ts';
import type { Segment } from './segment.ts';
import { encodeSegmentHeader, type SegmentHeader } from './segment-header.ts';

// The steps that change which files a log has. Each is finished or undone by recovery, whatever
// step the power fails at:
//
//   planned ──create──► live ──seal──► live, sealed ──rename .ops, remove .log──► trimmed ──► gone

/**
 * Makes the two files of a planned segment: durable under their names before the first op of it
 * can be. What an attempt before this one left behind is written over.
 *
 * errors   disk full: nothing is left behind and the segment stays planned
 */
export async function createPair(
  segment: Segment,
  header: SegmentHeader,
  dependencies: { readonly files: OpenFiles; readonly kernel: Kernel },
): Promise<void> {
  const { files, kernel } = dependencies;
  try {
    const log = await files.lease(segment.logPath, { create: true });
    try {
      const ops = await files.lease(segment.opsPath, { create: true });
      try {
        await Promise.all([log.file.truncate(0), ops.file.truncate(0)]);
        await ops.file.write([encodeSegmentHeader(kernel, header)], 0);
        await Promise.all([log.file.sync(), ops.file.sync()]);
      } finally {
        ops.release();
      }
    } finally {
      log.release();
    }
    await files.disk.syncDir(segment.directory);
  } catch (error) {
    if (isDiskFull(error)) await removeFiles(files, [segment.logPath, segment.opsPath]);
    throw error;
  }
}

/** Writes a header over a damaged one. */
export async function writeHeader(
  segment: Segment,
  header: SegmentHeader,
  dependencies: { readonly files: OpenFiles; readonly kernel: Kernel },
): Promise<void> {
  const ops = await dependencies.files.lease(segment.opsPath, { create: false });
  try {
    await ops.file.write([encodeSegmentHeader(dependencies.kernel, header)], 0);
    await ops.file.sync();
  } finally {
    ops.release();
  }
}

/** Makes it durable that the damage of a sealed segment is accepted. */
export async function markAccepted(segment: Segment, disk: Disk): Promise<void> {
  const file = await disk.openFile(segment.acceptedPath, { create: true });
  await file.close();
  await disk.syncDir(segment.directory);
}

/** Makes both files as long as the segment says, and durable: what lies behind was never written. */
export async function cutPair(segment: Segment, files: OpenFiles): Promise<void> {
  const log = await files.lease(segment.logPath, { create: false });
  try {
    const ops = await files.lease(segment.opsPath, { create: false });
    try {
      await Promise.all([
        log.file.truncate(segment.bytes),
        ops.file.truncate((segment.slotCount + 1) * OP_BYTES),
      ]);
      await Promise.all([log.file.sync(), ops.file.sync()]);
    } finally {
      ops.release();
    }
  } finally {
    log.release();
  }
}

/** Data and size of both files on stable storage; in parallel, because two in series cost double. */
export async function syncPair(segment: Segment, files: OpenFiles): Promise<void> {
  const leases = await Promise.all([
    files.lease(segment.logPath, { create: false }),
    files.lease(segment.opsPath, { create: false }),
  ]);
  try {
    await Promise.all(leases.map((lease) => lease.file.sync()));
  } finally {
    for (const lease of leases) lease.release();
  }
}

/**
 * Removes the messages of sealed segments and keeps their ops under another name. The new name is
 * durable before a `.log` goes, so that a missing `.log` never has to be guessed at.
 */
export async function dropMessages(segments: readonly Segment[], files: OpenFiles): Promise<void> {
  const first = segments[0];
  if (first === undefined) return;
  for (const segment of segments) {
    const { opsPath } = segment;
    files.forget(opsPath);
    segment.state = 'trimmed';
    await files.disk.rename(opsPath, segment.opsPath);
  }
  await files.disk.syncDir(first.directory);
  await removeFiles(
    files,
    segments.map((segment) => segment.logPath),
  );
  // Before the ops may go, too: a `.log` alone could not be told from one whose ops were lost.
  await files.disk.syncDir(first.directory);
}

export async function removeFiles(files: OpenFiles, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    files.forget(path);
    await files.disk.removeFile(path);
  }
}

/** Creates a directory; it and those above it that were missing are durable. */
export async function createDirectory(disk: Disk, directory: string): Promise<void> {
  const topmost = await disk.makeDir(directory);
  if (topmost === null) return;
  for (let path = directory; ; path = directoryOf(path)) {
    await disk.syncDir(directoryOf(path));
    if (path === topmost) return;
  }
}
