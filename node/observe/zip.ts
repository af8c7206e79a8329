import assert from 'node:assert/strict';
import { promisify } from 'node:util';
import { crc32, deflateRaw } from 'node:zlib';

// A ZIP archive in memory:
//
//   | local header | name | data | local header | name | data | ... | central directory | end |
//
// source   PKWARE APPNOTE 6.3: sections 4.3.7 local header, 4.3.12 directory, 4.3.16 end

const LOCAL_HEADER_BYTES = 30;
const DIRECTORY_HEADER_BYTES = 46;
const END_BYTES = 22;
const LOCAL_SIGNATURE = 0x0403_4b50;
const DIRECTORY_SIGNATURE = 0x0201_4b50;
const END_SIGNATURE = 0x0605_4b50;
const VERSION = 20;
/** Names are UTF-8. */
const FLAGS = 0x0800;
const METHOD = { stored: 0, deflated: 8 } as const;
/** Above this the 64-bit form of the format would be needed. */
const ARCHIVE_BYTES_MAX = 0x7fff_ffff;
const ENTRIES_COUNT_MAX = 0xffff;

const deflate: (bytes: Uint8Array) => Promise<Buffer> = promisify(deflateRaw);

export type ZipMethod = keyof typeof METHOD;

export interface ZipEntry {
  readonly name: string;
  readonly content: Uint8Array;
}

/**
 * Packs entries into an archive; all get the same time.
 *
 * cost     deflates on a thread of libuv, one entry after the other
 */
export async function packZip(
  entries: readonly ZipEntry[],
  options: { readonly method: ZipMethod; readonly modified: Date },
): Promise<Uint8Array> {
  assert(entries.length <= ENTRIES_COUNT_MAX);
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const { name, content } of entries) {
    const data = options.method === 'stored' ? content : await deflate(content);
    const fields = {
      method: METHOD[options.method],
      ...dosTime(options.modified),
      checksum: crc32(content),
      packedBytes: data.length,
      contentBytes: content.length,
      name: Buffer.from(name, 'utf8'),
    };
    parts.push(localHeader(fields), fields.name, data);
    directory.push(directoryHeader(fields, at), fields.name);
    at += LOCAL_HEADER_BYTES + fields.name.length + data.length;
    assert(at <= ARCHIVE_BYTES_MAX);
  }
  const directoryBytes = directory.reduce((sum, part) => sum + part.length, 0);
  const end = endRecord({ count: entries.length, directoryAt: at, directoryBytes });
  return Buffer.concat([...parts, ...directory, end]);
}

interface EntryFields {
  readonly method: number;
  readonly time: number;
  readonly date: number;
  readonly checksum: number;
  readonly packedBytes: number;
  readonly contentBytes: number;
  readonly name: Buffer;
}

function localHeader(fields: EntryFields): Buffer {
  const header = Buffer.alloc(LOCAL_HEADER_BYTES);
  header.writeUInt32LE(LOCAL_SIGNATURE, 0);
  header.writeUInt16LE(VERSION, 4);
  writeFields(header, 6, fields);
  return header;
}

function directoryHeader(fields: EntryFields, localAt: number): Buffer {
  const header = Buffer.alloc(DIRECTORY_HEADER_BYTES);
  header.writeUInt32LE(DIRECTORY_SIGNATURE, 0);
  header.writeUInt16LE(VERSION, 4);
  header.writeUInt16LE(VERSION, 6);
  writeFields(header, 8, fields);
  header.writeUInt32LE(localAt, 42);
  return header;
}

/** The 24 bytes that both headers have in common, from the flags to the length of the extra field. */
function writeFields(header: Buffer, at: number, fields: EntryFields): void {
  header.writeUInt16LE(FLAGS, at);
  header.writeUInt16LE(fields.method, at + 2);
  header.writeUInt16LE(fields.time, at + 4);
  header.writeUInt16LE(fields.date, at + 6);
  header.writeUInt32LE(fields.checksum, at + 8);
  header.writeUInt32LE(fields.packedBytes, at + 12);
  header.writeUInt32LE(fields.contentBytes, at + 16);
  header.writeUInt16LE(fields.name.length, at + 20);
}

function endRecord(fields: {
  readonly count: number;
  readonly directoryAt: number;
  readonly directoryBytes: number;
}): Buffer {
  const end = Buffer.alloc(END_BYTES);
  end.writeUInt32LE(END_SIGNATURE, 0);
  end.writeUInt16LE(fields.count, 8);
  end.writeUInt16LE(fields.count, 10);
  end.writeUInt32LE(fields.directoryBytes, 12);
  end.writeUInt32LE(fields.directoryAt, 16);
  return end;
}

/** Two seconds are one unit, and time begins in 1980. */
function dosTime(when: Date): { readonly time: number; readonly date: number } {
  const year = Math.min(2107, Math.max(1980, when.getUTCFullYear()));
  return {
    time: (when.getUTCHours() << 11) | (when.getUTCMinutes() << 5) | (when.getUTCSeconds() >> 1),
    date: ((year - 1980) << 9) | ((when.getUTCMonth() + 1) << 5) | when.getUTCDate(),
  };
}
