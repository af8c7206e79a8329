import assert from 'node:assert/strict';
import type {
  CompressionAlgorithm,
  Consumer,
  Identifier,
  Option,
  Options,
  Partitioning,
  PollingStrategy,
  TransportKind,
  UserStatus,
} from './commands/values.ts';
import { HEADER_KIND } from './commands/values.ts';
import type { Reader } from './reader.ts';
import { readFieldData, readFieldKind, readFieldLength, writeField } from './user-headers.ts';
import { decodeUtf8, encodeUtf8 } from './utf8.ts';
import type { Writer } from './writer.ts';

// Values that occur in many bodies of both generations. Every reader has its writer below it.
//
//   identifier      u8 1 number, 2 name | u8 length | u32 or UTF-8
//   consumer        u8 1 consumer, 2 group | identifier
//   partition       u8 1 present | u32, 0 when absent
//   strategy        u8 1 offset, 2 timestamp, 3 first, 4 last, 5 next | u64
//   partitioning    u8 1 balanced, 2 partition, 3 key | u8 length | u32 or key
//   options         fields of user-headers.ts, every key a unique text, to the end of the area

export const OPTIONS_BYTES_MAX = 100_000;
export const OPTIONS_COUNT_MAX = 1024;

/** Words of a closed set by the number that stands for them on the wire. */
export interface WordTable<W extends string> {
  readonly codes: Readonly<Record<W, number>>;
  readonly words: ReadonlyMap<number, W>;
}

export function wordTable<W extends string>(codes: Readonly<Record<W, number>>): WordTable<W> {
  const words = new Map<number, W>();
  for (const word of Object.keys(codes) as W[]) words.set(codes[word], word);
  assert(words.size === Object.keys(codes).length);
  return { codes, words };
}

/** One byte that stands for a word; an unknown one is a fault. */
export function readWord<W extends string>(reader: Reader, table: WordTable<W>): W {
  const word = table.words.get(reader.u8());
  if (word !== undefined) return word;
  reader.fail('badDiscriminant');
  return Object.keys(table.codes)[0] as W;
}

export function writeWord<W extends string>(writer: Writer, table: WordTable<W>, word: W): void {
  writer.u8(table.codes[word]);
}

export const USER_STATUS: WordTable<UserStatus> = wordTable({ active: 1, inactive: 2 });
export const COMPRESSION: WordTable<CompressionAlgorithm> = wordTable({ none: 1, gzip: 2 });
export const TRANSPORT: WordTable<TransportKind> = wordTable({
  tcp: 1,
  quic: 2,
  http: 3,
  websocket: 4,
});

export function readIdentifier(reader: Reader): Identifier {
  const kind = reader.u8();
  const length = reader.u8();
  // The value is cut out before the kind is looked at: a cut identifier is cut, whatever its kind.
  if (length > reader.remaining) reader.fail('truncated');
  if (kind === 1) {
    if (length !== 4) reader.fail('invalid');
    return { kind: 'id', id: reader.u32() };
  }
  if (kind !== 2) reader.fail('badDiscriminant');
  if (length === 0) reader.fail('invalid');
  return { kind: 'name', name: reader.text(length) };
}

export function writeIdentifier(writer: Writer, identifier: Identifier): void {
  if (identifier.kind === 'id') {
    writer.u8(1);
    writer.u8(4);
    writer.u32(identifier.id);
  } else {
    writer.u8(2);
    writer.name(identifier.name);
  }
}

export function readConsumer(reader: Reader): Consumer {
  const kind = reader.u8();
  if (kind !== 1 && kind !== 2) reader.fail('badDiscriminant');
  return { kind: kind === 2 ? 'group' : 'consumer', id: readIdentifier(reader) };
}

export function writeConsumer(writer: Writer, consumer: Consumer): void {
  writer.u8(consumer.kind === 'group' ? 2 : 1);
  writeIdentifier(writer, consumer.id);
}

/** Only flag 1 is present; the number is there all the same. */
export function readPartition(reader: Reader): number | null {
  const flag = reader.u8();
  const id = reader.u32();
  return flag === 1 ? id : null;
}

export function writePartition(writer: Writer, partitionId: number | null): void {
  writer.u8(partitionId === null ? 0 : 1);
  writer.u32(partitionId ?? 0);
}

/** The number is read for every kind and means something for the first two only. */
export function readStrategy(reader: Reader): PollingStrategy {
  const kind = reader.u8();
  if (kind === 1) return { kind: 'offset', offset: reader.u64() };
  if (kind === 2) return { kind: 'timestamp', timestampUs: reader.u64() };
  reader.skip(8);
  if (kind === 3) return { kind: 'first' };
  if (kind === 4) return { kind: 'last' };
  if (kind !== 5) reader.fail('badDiscriminant');
  return { kind: 'next' };
}

const STRATEGY_CODES: Readonly<Record<PollingStrategy['kind'], number>> = {
  offset: 1,
  timestamp: 2,
  first: 3,
  last: 4,
  next: 5,
};

export function writeStrategy(writer: Writer, strategy: PollingStrategy): void {
  writer.u8(STRATEGY_CODES[strategy.kind]);
  if (strategy.kind === 'offset') writer.u64(strategy.offset);
  else if (strategy.kind === 'timestamp') writer.u64(strategy.timestampUs);
  else writer.u64(0);
}

/** A key is borrowed from the request. */
export function readPartitioning(reader: Reader): Partitioning {
  const kind = reader.u8();
  const length = reader.u8();
  if (length > reader.remaining) reader.fail('truncated');
  if (kind === 1) {
    if (length !== 0) reader.fail('invalid');
    return { kind: 'balanced' };
  }
  if (kind === 2) {
    if (length !== 4) reader.fail('invalid');
    return { kind: 'partition', partitionId: reader.u32() };
  }
  if (kind !== 3) reader.fail('badDiscriminant');
  if (length === 0) reader.fail('invalid');
  return { kind: 'key', key: reader.borrow(length) };
}

export function writePartitioning(writer: Writer, partitioning: Partitioning): void {
  if (partitioning.kind === 'balanced') {
    writer.u8(1);
    writer.u8(0);
  } else if (partitioning.kind === 'partition') {
    writer.u8(2);
    writer.u8(4);
    writer.u32(partitioning.partitionId);
  } else {
    assert(partitioning.key.length >= 1);
    writer.u8(3);
    writer.u8(partitioning.key.length);
    writer.bytes(partitioning.key);
  }
}

/**
 * Options in all bytes up to `end`. What the keys mean is for the catalogue of node/state.
 *
 * shape    entries in wire order; values are owned
 * errors   a fault: over 100 000 bytes or 1024 entries, a key that is no text or comes twice
 */
export function readOptions(reader: Reader, end: number = reader.end): Options {
  assert(end <= reader.end);
  if (end - reader.at > OPTIONS_BYTES_MAX) reader.fail('invalid');
  const options: Option[] = [];
  const keys = new Set<string>();
  while (reader.fault === null && reader.at < end) {
    const key = readOptionKey(reader);
    if (reader.at >= end || keys.has(key)) reader.fail('invalid');
    keys.add(key);
    const kind = readFieldKind(reader);
    const value = readFieldData(reader);
    if (reader.at > end || options.length === OPTIONS_COUNT_MAX) reader.fail('invalid');
    options.push({ key, kind, value });
  }
  return reader.fault === null ? options : [];
}

function readOptionKey(reader: Reader): string {
  if (readFieldKind(reader) !== HEADER_KIND.string) reader.fail('invalid');
  const length = readFieldLength(reader);
  const at = reader.skip(length);
  if (at < 0) return '';
  const key = decodeUtf8(reader.bytes, at, at + length);
  if (key === null) reader.fail('invalid');
  return key ?? '';
}

export function writeOptions(writer: Writer, options: Options): void {
  assert(options.length <= OPTIONS_COUNT_MAX);
  for (const { key, kind, value } of options) {
    writeField(writer, HEADER_KIND.string, encodeUtf8(key));
    writeField(writer, kind, value);
  }
}

/** Options behind their u32 length, as replies hold them. */
export function readPrefixedOptions(reader: Reader): Options {
  const length = reader.u32();
  if (length > reader.remaining) reader.fail('truncated');
  return readOptions(reader, reader.fault === null ? reader.at + length : reader.end);
}

export function writePrefixedOptions(writer: Writer, options: Options): void {
  const lengthAt = writer.reserveU32();
  const start = writer.length;
  writeOptions(writer, options);
  writer.setU32(lengthAt, writer.length - start);
}
