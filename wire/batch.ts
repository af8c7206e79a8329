import assert from 'node:assert/strict';
import { type Fault, Reader } from './reader.ts';
import { STATUS } from './status.ts';
import { Writer } from './writer.ts';

// A batch: one layout in SendMessages, on disk, between replicas and in poll replies. LE, no holes.
//
//   0 partition u64        24 origin timestamp u64   48 message count u32
//   8 base offset u64      32 batch length u64       52 reserved 204, zero
//  16 base timestamp u64   40 batch checksum u64    256 message | message | ...
//
// A message, whose lengths stand in another order than its data:
//
//   0 checksum u64         28 timestamp delta u32    40 reserved u64, zero
//   8 id u128              32 user headers length u32
//  24 offset delta u32     36 payload length u32     48 payload | user headers
//
// offset = base offset + delta; timestamp = base timestamp for all; origin timestamp = batch's +
// delta. A polled batch may be a slice of the stored one: its first delta is then above 0.

export const BATCH_HEADER_BYTES = 256;
/** Where the fields of a batch header lie. */
export const BATCH = {
  partitionId: 0,
  baseOffset: 8,
  baseTimestamp: 16,
  originTimestamp: 24,
  length: 32,
  checksum: 40,
  messagesCount: 48,
  reserved: 52,
} as const;

export const MESSAGE_HEADER_BYTES = 48;
/** Where the fields of a message header lie. */
export const MESSAGE = {
  checksum: 0,
  id: 8,
  offsetDelta: 24,
  timestampDelta: 28,
  userHeadersLength: 32,
  payloadLength: 36,
  reserved: 40,
} as const;

export const PAYLOAD_BYTES_MAX = 64_000_000;
export const USER_HEADERS_BYTES_MAX = 100_000;

/** Most two origin timestamps of one batch may differ. */
const TIMESTAMP_SPREAD_US_MAX = 0xffff_ffff;

/** A message as a client hands it in. */
export interface NewMessage {
  /** 32 hex characters. */
  readonly id: string;
  readonly originTimestampUs: number;
  readonly payload: Uint8Array;
  /** An area in the encoding of user-headers.ts, or opaque bytes of a client that encrypts. */
  readonly userHeaders: Uint8Array;
}

/** A message taken out of a batch. Payload and user headers are borrowed from the records. */
export interface Message extends NewMessage {
  /** Nobody checks what a producer claims: rounded above 2^53-1, so that the message can be read. */
  readonly originTimestampUs: number;
  readonly checksum: bigint;
  readonly offset: number;
  readonly timestampUs: number;
}

/** The head of a batch. */
export interface BatchHeader {
  readonly partitionId: number;
  readonly baseOffset: number;
  readonly baseTimestampUs: number;
  readonly originTimestampUs: number;
  readonly batchBytes: number;
  readonly checksum: bigint;
  readonly messagesCount: number;
}

/**
 * Puts messages into one batch with all checksums, the partition and the base fields 0: whoever
 * appends it seals it.
 *
 * shape    1 or more messages; owned bytes
 * errors   status 4009 no message, 4017 or 4022 too long, 4038 origin timestamps too far apart
 */
export function encodeBatch(messages: readonly NewMessage[]): Uint8Array | number {
  if (messages.length === 0) return STATUS.invalidMessagesCount;
  let bytes = BATCH_HEADER_BYTES;
  let earliestUs = Number.POSITIVE_INFINITY;
  let latestUs = 0;
  for (const { payload, userHeaders, originTimestampUs } of messages) {
    if (payload.length > PAYLOAD_BYTES_MAX) return STATUS.tooBigMessagePayload;
    if (userHeaders.length > USER_HEADERS_BYTES_MAX) return STATUS.tooBigUserHeaders;
    bytes += MESSAGE_HEADER_BYTES + payload.length + userHeaders.length;
    earliestUs = Math.min(earliestUs, originTimestampUs);
    latestUs = Math.max(latestUs, originTimestampUs);
  }
  if (latestUs - earliestUs > TIMESTAMP_SPREAD_US_MAX) return STATUS.invalidMessageTimestampDelta;
  const writer = new Writer(bytes);
  writeBatchHeader(writer, {
    partitionId: 0,
    baseOffset: 0,
    baseTimestampUs: 0,
    originTimestampUs: earliestUs,
    batchBytes: bytes,
    checksum: 0n,
    messagesCount: messages.length,
  });
  for (const [index, message] of messages.entries()) {
    writer.u64(0);
    writer.u128(message.id);
    writer.u32(index);
    writer.u32(message.originTimestampUs - earliestUs);
    writer.u32(message.userHeaders.length);
    writer.u32(message.payload.length);
    writer.u64(0);
    writer.bytes(message.payload);
    writer.bytes(message.userHeaders);
  }
  assert(writer.length === bytes);
  return writer.finish();
}

function writeBatchHeader(writer: Writer, header: BatchHeader): void {
  writer.u64(header.partitionId);
  writer.u64(header.baseOffset);
  writer.u64(header.baseTimestampUs);
  writer.u64(header.originTimestampUs);
  writer.u64(header.batchBytes);
  writer.u32(Number(header.checksum & 0xffff_ffffn));
  writer.u32(Number(header.checksum >> 32n));
  writer.u32(header.messagesCount);
  writer.bytes(RESERVED);
}

const RESERVED = new Uint8Array(BATCH_HEADER_BYTES - BATCH.reserved);

/**
 * The messages of the records in bytes [at, end): batches back to back, as a poll returns them.
 * Checks the layout and no checksum. Not for the hot path: one object per message.
 */
export function readMessages(bytes: Uint8Array, at: number, end: number): Message[] | Fault {
  const messages: Message[] = [];
  let nextAt = at;
  while (nextAt < end) {
    const batch = decodeBatch(bytes, nextAt, end);
    if (typeof batch === 'string') return batch;
    for (const message of batch.messages) messages.push(message);
    nextAt += batch.header.batchBytes;
  }
  return messages;
}

/**
 * Takes the batch at `at` apart.
 *
 * shape    bytes behind its length are another matter; it may hold no message
 * errors   a fault: reserved bytes set, messages that do not tile the batch or are another number
 */
export function decodeBatch(
  bytes: Uint8Array,
  at: number,
  end: number,
): { readonly header: BatchHeader; readonly messages: readonly Message[] } | Fault {
  const reader = new Reader(bytes, at, end);
  const header = readBatchHeader(reader);
  if (reader.fault === null && header.batchBytes < BATCH_HEADER_BYTES) reader.fail('invalid');
  if (reader.fault === null && header.batchBytes > end - at) reader.fail('truncated');
  if (reader.fault !== null) return reader.fault;
  const frames = new Reader(bytes, at + BATCH_HEADER_BYTES, at + header.batchBytes);
  const messages: Message[] = [];
  while (frames.remaining > 0) messages.push(readMessage(frames, header));
  // A frame that runs past its batch is a wrong length, not a cut batch.
  if (frames.fault !== null) return frames.fault === 'truncated' ? 'invalid' : frames.fault;
  return messages.length === header.messagesCount ? { header, messages } : 'invalid';
}

function readBatchHeader(reader: Reader): BatchHeader {
  const header = {
    partitionId: reader.u64(),
    baseOffset: reader.u64(),
    baseTimestampUs: reader.u64(),
    originTimestampUs: Number(readBigU64(reader)),
    batchBytes: reader.u64(),
    checksum: readBigU64(reader),
    messagesCount: reader.u32(),
  };
  for (const byte of reader.borrow(RESERVED.length)) {
    if (byte !== 0) reader.fail('invalid');
  }
  return header;
}

function readMessage(reader: Reader, header: BatchHeader): Message {
  const checksum = readBigU64(reader);
  const id = reader.u128();
  const offset = header.baseOffset + reader.u32();
  const originTimestampUs = header.originTimestampUs + reader.u32();
  const userHeadersLength = reader.u32();
  const payloadLength = reader.u32();
  if (readBigU64(reader) !== 0n) reader.fail('invalid');
  if (!Number.isSafeInteger(offset)) reader.fail('numberTooLarge');
  const payload = reader.borrow(payloadLength);
  const userHeaders = reader.borrow(userHeadersLength);
  const timestampUs = header.baseTimestampUs;
  return { checksum, id, offset, timestampUs, originTimestampUs, payload, userHeaders };
}

function readBigU64(reader: Reader): bigint {
  const low = reader.u32();
  return (BigInt(reader.u32()) << 32n) | BigInt(low);
}
