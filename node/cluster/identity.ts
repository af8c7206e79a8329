import { codeOf, type Disk } from '../log/file.ts';
import { hexOf } from '../log/op-header.ts';

// `node.json` says whose data a folder holds. It is written once, last of a first start:
//
//   node.json.tmp durable ─► meta/, groups/, trash/ durable ─► renamed to node.json, durable
//
// So a folder with node.json has had its metadata, and one without it but with node.json.tmp was
// never used: it may be begun anew.

const FORMAT = 1;
const NAME = 'node.json';
const BYTES_MAX = 4096;
const UUID = /^[0-9a-f]{32}$/u;

export interface Identity {
  /** 32 hex characters each. */
  readonly clusterId: string;
  readonly nodeUuid: string;
  readonly diskUuid: string;
}

/** The folder cannot be served as it is. The sentence says what to do; nothing was changed. */
export class FolderRefused extends Error {
  constructor(sentence: string) {
    super(sentence);
    this.name = 'FolderRefused';
  }
}

/** The identity of a folder, or null when it has none yet. Throws FolderRefused. */
export async function readIdentity(disk: Disk, directory: string): Promise<Identity | null> {
  const path = `${directory}/${NAME}`;
  const text = await readText(disk, path);
  if (text === null) return null;
  const value = parse(text);
  if (value === null) {
    throw new FolderRefused(
      `${path} is damaged. Put it back from a backup: its ids are part of every file below it.`,
    );
  }
  if (value['format'] !== FORMAT) {
    throw new FolderRefused(
      `${path} has format ${String(value['format'])}, this release reads ${FORMAT}. ` +
        'Start the release that wrote the folder, or name another data folder.',
    );
  }
  const { clusterId, nodeUuid, diskUuid } = value;
  if (!isUuid(clusterId) || !isUuid(nodeUuid) || !isUuid(diskUuid)) {
    throw new FolderRefused(`${path} lacks an id. Put it back from a backup.`);
  }
  return { clusterId, nodeUuid, diskUuid };
}

/** Whether a first start was cut off before its end. */
export async function isUnfinished(disk: Disk, directory: string): Promise<boolean> {
  const names = await disk.list(directory);
  return names.includes(`${NAME}.tmp`) && !names.includes(NAME);
}

/** Draws an identity and makes it durable under its preliminary name. */
export async function beginIdentity(
  disk: Disk,
  directory: string,
  randomBytes: (count: number) => Uint8Array,
): Promise<Identity> {
  const identity = {
    clusterId: hexOf(randomBytes(16)),
    nodeUuid: hexOf(randomBytes(16)),
    diskUuid: hexOf(randomBytes(16)),
  };
  const path = `${directory}/${NAME}.tmp`;
  await disk.removeFile(path);
  const file = await disk.openFile(path, { create: true });
  try {
    const text = `${JSON.stringify({ ...identity, format: FORMAT }, null, 2)}\n`;
    await file.write([new TextEncoder().encode(text)], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.syncDir(directory);
  return identity;
}

/** Everything the folder needs is durable: from now on it has an identity. */
export async function finishIdentity(disk: Disk, directory: string): Promise<void> {
  await disk.rename(`${directory}/${NAME}.tmp`, `${directory}/${NAME}`);
  await disk.syncDir(directory);
}

async function readText(disk: Disk, path: string): Promise<string | null> {
  let file: Awaited<ReturnType<Disk['openFile']>>;
  try {
    file = await disk.openFile(path, { create: false });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    const bytes = new Uint8Array(Math.min(await file.size(), BYTES_MAX));
    const filled = await file.readInto(bytes, 0);
    return new TextDecoder().decode(bytes.subarray(0, filled));
  } finally {
    await file.close();
  }
}

function parse(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}
