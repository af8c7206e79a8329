import assert from 'node:assert/strict';
import type { Kernel } from '../kernel/kernel.ts';
import { codeOf, type Disk } from './file.ts';
import { CHECKSUM_BYTES, sameBytes } from './op-header.ts';
import { segmentName } from './segment.ts';

// A snapshot file `<op>.snap`, the same bytes on every replica:
//
//   0 checksum 16   XXH3-128 of everything behind it     32 op u64
//  16 magic 8, format u32, 4 zero                        40 bytes u64, group uuid 16 at 48, snapshot at 64

const HEADER_BYTES = 64;
const MAGIC = Uint8Array.from([0x69, 0x67, 0x67, 0x79, 0x73, 0x6e, 0x61, 0x70]); // "iggysnap"
const FORMAT = 1;

export interface Snapshot {
  readonly op: number;
  readonly bytes: Uint8Array;
}

export function snapshotPath(directory: string, op: number): string {
  return `${directory}/${segmentName(op)}.snap`;
}

/** Whole and durable under its name, or not there: temporary file, sync, rename, sync directory. */
export async function writeSnapshot(
  options: { readonly directory: string; readonly group: Uint8Array },
  dependencies: { readonly disk: Disk; readonly kernel: Kernel },
  snapshot: Snapshot,
): Promise<void> {
  const { disk, kernel } = dependencies;
  const { directory, group } = options;
  const bytes = new Uint8Array(HEADER_BYTES + snapshot.bytes.length);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC, 16);
  view.setUint32(24, FORMAT, true);
  view.setBigUint64(32, BigInt(snapshot.op), true);
  view.setBigUint64(40, BigInt(snapshot.bytes.length), true);
  bytes.set(group, 48);
  bytes.set(snapshot.bytes, HEADER_BYTES);
  kernel.hash128Of(bytes.subarray(CHECKSUM_BYTES), bytes.subarray(0, CHECKSUM_BYTES));
  const path = snapshotPath(directory, snapshot.op);
  const temporary = `${path}.tmp`;
  try {
    await disk.removeFile(temporary);
    const file = await disk.openFile(temporary, { create: true });
    try {
      await file.write([bytes], 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(temporary, path);
  } catch (error) {
    await disk.removeFile(temporary);
    throw error;
  }
  await disk.syncDir(directory);
}

/** The snapshot, or null when the file is not whole. */
export async function readSnapshot(
  options: { readonly directory: string; readonly group: Uint8Array },
  dependencies: { readonly disk: Disk; readonly kernel: Kernel },
  op: number,
): Promise<Snapshot | null> {
  const { disk, kernel } = dependencies;
  const bytes = await readWhole(disk, snapshotPath(options.directory, op));
  if (bytes === null || bytes.length < HEADER_BYTES) return null;
  const checksum = new Uint8Array(CHECKSUM_BYTES);
  kernel.hash128Of(bytes.subarray(CHECKSUM_BYTES), checksum);
  if (!sameBytes(checksum, bytes.subarray(0, CHECKSUM_BYTES))) return null;
  const view = new DataView(bytes.buffer);
  if (!sameBytes(MAGIC, bytes.subarray(16, 24))) return null;
  if (view.getUint32(24, true) !== FORMAT) return null;
  if (!sameBytes(options.group, bytes.subarray(48, 64))) return null;
  if (Number(view.getBigUint64(32, true)) !== op) return null;
  assert(Number(view.getBigUint64(40, true)) === bytes.length - HEADER_BYTES);
  return { op, bytes: bytes.subarray(HEADER_BYTES) };
}

/** null when the device cannot read it. */
async function readWhole(disk: Disk, path: string): Promise<Uint8Array | null> {
  const file = await disk.openFile(path, { create: false });
  try {
    const bytes = new Uint8Array(await file.size());
    return (await file.readInto(bytes, 0)) === bytes.length ? bytes : null;
  } catch (error) {
    if (codeOf(error) !== 'EIO') throw error;
    return null;
  } finally {
    await file.close();
  }
}
