import assert from 'node:assert/strict';
import { formatHex, parseHex } from '../hex.ts';
import { isKnownOperation, OPERATION } from './operations.ts';

// A frame is a header of 256 bytes and a body of `size - 256`. Little-endian, no holes.
//
//   0 checksum 16   16 body checksum 16   32 cluster 16   48 size u32   52 view u32
//  56 release u32   60 command u8   61 replica u8   62 reserved 66
//
//  request                         reply                           eviction
//  128 client 16                   128 request checksum 16         128 client 16
//  144 request checksum 16         144 context 16                  144 protocol max u32
//  160 timestamp u64               160 client 16                   148 protocol min u32
//  168 request u64                 176 op u64                      152 reserved 103
//  176 operation u8, padding 7     184 commit u64                  255 reason u8
//  184 session u64                 192 timestamp u64
//  192 user id u32                 200 request u64
//  196 command code u32            208 operation u8, padding 7
//  200 reserved 56                 216 status u32, reserved 36
//
// Both checksums and the release are unused between client and server: written 0, not read.

export const HEADER_BYTES = 256;
/** Default bound of a whole frame; a reader closes the connection above its own. */
export const FRAME_BYTES_MAX = 67_108_864;

const CLUSTER = 32;
const SIZE = 48;
const VIEW = 52;
const COMMAND = 60;
const REPLICA = 61;
const RESERVED = 62;

const REQUEST_CLIENT = 128;
const REQUEST_CHECKSUM = 144;
const REQUEST_TIMESTAMP = 160;
const REQUEST_NUMBER = 168;
const REQUEST_OPERATION = 176;
const REQUEST_SESSION = 184;
const REQUEST_USER = 192;
const REQUEST_CODE = 196;

const REPLY_CHECKSUM = 128;
const REPLY_CLIENT = 160;
const REPLY_OP = 176;
const REPLY_COMMIT = 184;
const REPLY_TIMESTAMP = 192;
const REPLY_NUMBER = 200;
const REPLY_OPERATION = 208;
const REPLY_STATUS = 216;

const EVICTION_CLIENT = 128;
const EVICTION_PROTOCOL_MAX = 144;
const EVICTION_PROTOCOL_MIN = 148;
const EVICTION_RESERVED = 152;
const EVICTION_REASON = 255;

/** Byte 60. All others up to `COMMAND_MAX` belong to links between servers. */
export const COMMAND_BYTE = { request: 5, reply: 8, eviction: 13 } as const;
const COMMAND_MAX = 29;

/** Why a session ended or a login failed. Clients know these numbers and no others. */
export const EVICTION = {
  noSession: 1,
  clientReleaseTooLow: 2,
  clientReleaseTooHigh: 3,
  invalidRequestOperation: 4,
  invalidRequestBody: 5,
  invalidRequestBodySize: 6,
  sessionTooLow: 7,
  sessionReleaseMismatch: 8,
  invalidCredentials: 9,
  invalidToken: 10,
  userInactive: 11,
  sessionError: 12,
  staleClient: 13,
  incompatibleProtocol: 14,
  malformedLogin: 15,
} as const;

/** Why a header was refused. Each is a rule of its own, so that a log line can be searched for. */
export type FrameFault =
  | 'truncated'
  | 'sizeOutOfBounds'
  | 'unknownCommand'
  | 'wrongCommand'
  | 'unknownOperation'
  | 'operationReserved'
  | 'clientZero'
  | 'registerWithSession'
  | 'registerWithRequest'
  | 'sessionMissing'
  | 'requestMissing'
  | 'numberTooLarge'
  | 'evictionWithBody'
  | 'evictionReservedSet'
  | 'evictionReasonReserved'
  | 'evictionReasonUnknown'
  | 'evictionWindowMisplaced';

/** A u128 of a header: four u32, least significant first. Not text, because frames are many. */
export type U128 = Uint32Array;

/** 32 hex characters in wire order, as client ids travel inside. */
export function formatU128(words: U128): string {
  assert(words.length === 4);
  return formatHex(new Uint8Array(words.buffer, words.byteOffset, 16), 0, 16);
}

export function parseU128(hex: string): U128 {
  const bytes = parseHex(hex);
  assert(bytes.length === 16);
  return new Uint32Array(bytes.buffer, 0, 4);
}

export function isZeroU128(words: U128): boolean {
  return (words[0]! | words[1]! | words[2]! | words[3]!) === 0;
}

/** The `size` of the frame that starts here; needs bytes up to 52. */
export function frameBytes(view: DataView, at: number): number {
  return view.getUint32(at + SIZE, true);
}

/** Command byte of the frame that starts here (COMMAND_BYTE); needs bytes up to 61. */
export function frameCommand(view: DataView, at: number): number {
  return view.getUint8(at + COMMAND);
}

/**
 * Judges a header before its body is there: what fails here has lost the framing, and the
 * connection is closed.
 *
 * cost     two reads
 */
export function checkFrame(view: DataView, at: number, frameBytesMax: number): FrameFault | null {
  assert(at + HEADER_BYTES <= view.byteLength);
  const size = frameBytes(view, at);
  if (size < HEADER_BYTES || size > frameBytesMax) return 'sizeOutOfBounds';
  return frameCommand(view, at) > COMMAND_MAX ? 'unknownCommand' : null;
}

/**
 * A request's header. Made once per connection and filled anew for each frame, so it is borrowed:
 * who keeps a request keeps copies of what it needs.
 */
export class RequestHeader {
  /** Header and body. */
  size = 0;
  view = 0;
  replica = 0;
  operation = 0;
  /** Command code of a read, else 0. */
  code = 0;
  /** Infinity above 2^53-1: the connection's own number counts, this one only must not be 0. */
  session = 0;
  request = 0;
  timestamp = 0;
  userId = 0;
  readonly cluster: U128 = new Uint32Array(4);
  readonly client: U128 = new Uint32Array(4);
  /** XXH3-64 of the body in the first two words, or all zeros: not stamped. */
  readonly requestChecksum: U128 = new Uint32Array(4);
}

/**
 * Reads the request header in bytes [at, end) into `header`. Whether the body behind it is there
 * is for whoever collects the frame.
 *
 * shape    all fields that can be echoed are filled even when a rule is broken, except when the
 *          answer is truncated, sizeOutOfBounds, unknownCommand or wrongCommand
 * errors   the first broken rule
 * cost     no allocation
 */
export function decodeRequestHeader(
  view: DataView,
  at: number,
  end: number,
  header: RequestHeader,
): FrameFault | null {
  assert(at >= 0 && at <= end && end <= view.byteLength);
  if (end - at < HEADER_BYTES) return 'truncated';
  const command = frameCommand(view, at);
  if (command > COMMAND_MAX) return 'unknownCommand';
  if (command !== COMMAND_BYTE.request) return 'wrongCommand';
  header.size = frameBytes(view, at);
  if (header.size < HEADER_BYTES) return 'sizeOutOfBounds';
  header.view = view.getUint32(at + VIEW, true);
  header.replica = view.getUint8(at + REPLICA);
  header.operation = view.getUint8(at + REQUEST_OPERATION);
  header.code = view.getUint32(at + REQUEST_CODE, true);
  header.userId = view.getUint32(at + REQUEST_USER, true);
  header.session = readU64(view, at + REQUEST_SESSION);
  header.request = readU64(view, at + REQUEST_NUMBER);
  header.timestamp = readU64(view, at + REQUEST_TIMESTAMP);
  readU128(view, at + CLUSTER, header.cluster);
  readU128(view, at + REQUEST_CLIENT, header.client);
  readU128(view, at + REQUEST_CHECKSUM, header.requestChecksum);
  return checkRequest(header);
}

function checkRequest(header: RequestHeader): FrameFault | null {
  if (!Number.isFinite(header.request) || !Number.isFinite(header.timestamp)) {
    header.request = Number.isFinite(header.request) ? header.request : 0;
    header.timestamp = Number.isFinite(header.timestamp) ? header.timestamp : 0;
    return 'numberTooLarge';
  }
  if (header.operation === 0) return 'operationReserved';
  if (!isKnownOperation(header.operation)) return 'unknownOperation';
  if (isZeroU128(header.client)) return 'clientZero';
  if (header.operation === OPERATION.nonReplicated) return null;
  if (header.operation === OPERATION.register) {
    if (header.session !== 0) return 'registerWithSession';
    return header.request === 0 ? null : 'registerWithRequest';
  }
  if (header.session === 0) return 'sessionMissing';
  return header.request === 0 ? 'requestMissing' : null;
}

/** Writes the header of a request with a body of `header.size - 256` bytes. All 256 bytes. */
export function encodeRequestHeader(
  view: DataView,
  at: number,
  header: Readonly<RequestHeader>,
): void {
  assert(header.size >= HEADER_BYTES);
  writeCommon(view, at, header, COMMAND_BYTE.request);
  writeU128(view, at + REQUEST_CLIENT, header.client);
  writeU128(view, at + REQUEST_CHECKSUM, header.requestChecksum);
  writeU64(view, at + REQUEST_TIMESTAMP, header.timestamp);
  writeU64(view, at + REQUEST_NUMBER, header.request);
  view.setUint8(at + REQUEST_OPERATION, header.operation);
  writeU64(view, at + REQUEST_SESSION, header.session);
  view.setUint32(at + REQUEST_USER, header.userId, true);
  view.setUint32(at + REQUEST_CODE, header.code, true);
}

/** A reply's header; like `RequestHeader` made once and filled anew. */
export class ReplyHeader {
  /** Header and body. */
  size = 256;
  view = 0;
  replica = 0;
  operation = 0;
  /** 0, or the code of a failure; then the body is empty. */
  status = 0;
  op = 0;
  /** Metadata position that clients remember; it never runs ahead of what can be served. */
  commit = 0;
  timestamp = 0;
  /** Echo of the request's number. */
  request = 0;
  readonly cluster: U128 = new Uint32Array(4);
  readonly client: U128 = new Uint32Array(4);
  readonly requestChecksum: U128 = new Uint32Array(4);
}

/** Starts a reply as the echo of its request: status 0, no body, op and commit still 0. */
export function echoRequest(request: Readonly<RequestHeader>, reply: ReplyHeader): void {
  reply.size = HEADER_BYTES;
  reply.view = request.view;
  reply.replica = request.replica;
  reply.operation = request.operation;
  reply.status = 0;
  reply.op = 0;
  reply.commit = 0;
  reply.timestamp = request.timestamp;
  reply.request = request.request;
  for (let index = 0; index < 4; index += 1) {
    reply.cluster[index] = request.cluster[index]!;
    reply.client[index] = request.client[index]!;
    reply.requestChecksum[index] = request.requestChecksum[index]!;
  }
}

/**
 * Writes the header of a reply, all 256 bytes.
 *
 * cost     no allocation
 */
export function encodeReplyHeader(view: DataView, at: number, header: Readonly<ReplyHeader>): void {
  assert(header.size >= HEADER_BYTES);
  assert(header.status === 0 || header.size === HEADER_BYTES);
  writeCommon(view, at, header, COMMAND_BYTE.reply);
  writeU128(view, at + REPLY_CHECKSUM, header.requestChecksum);
  writeU128(view, at + REPLY_CLIENT, header.client);
  writeU64(view, at + REPLY_OP, header.op);
  writeU64(view, at + REPLY_COMMIT, header.commit);
  writeU64(view, at + REPLY_TIMESTAMP, header.timestamp);
  writeU64(view, at + REPLY_NUMBER, header.request);
  view.setUint8(at + REPLY_OPERATION, header.operation);
  view.setUint32(at + REPLY_STATUS, header.status, true);
}

/** Reads the reply header in bytes [at, end) into `header`; the counterpart for clients. */
export function decodeReplyHeader(
  view: DataView,
  at: number,
  end: number,
  header: ReplyHeader,
): FrameFault | null {
  assert(at >= 0 && at <= end && end <= view.byteLength);
  if (end - at < HEADER_BYTES) return 'truncated';
  if (frameCommand(view, at) !== COMMAND_BYTE.reply) return 'wrongCommand';
  header.size = frameBytes(view, at);
  if (header.size < HEADER_BYTES) return 'sizeOutOfBounds';
  header.view = view.getUint32(at + VIEW, true);
  header.replica = view.getUint8(at + REPLICA);
  header.operation = view.getUint8(at + REPLY_OPERATION);
  header.status = view.getUint32(at + REPLY_STATUS, true);
  header.op = readU64(view, at + REPLY_OP);
  header.commit = readU64(view, at + REPLY_COMMIT);
  header.timestamp = readU64(view, at + REPLY_TIMESTAMP);
  header.request = readU64(view, at + REPLY_NUMBER);
  readU128(view, at + CLUSTER, header.cluster);
  readU128(view, at + REPLY_CLIENT, header.client);
  readU128(view, at + REPLY_CHECKSUM, header.requestChecksum);
  if (!isKnownOperation(header.operation)) return 'unknownOperation';
  const numbers = header.op + header.commit + header.timestamp + header.request;
  return Number.isFinite(numbers) ? null : 'numberTooLarge';
}

/** An eviction, which is a header alone. */
export interface Eviction {
  readonly cluster: U128;
  readonly view: number;
  readonly replica: number;
  readonly client: U128;
  /** One of EVICTION. */
  readonly reason: number;
  /** Window of accepted protocol versions, packed; with reason 14 only, else 0. */
  readonly protocolMax: number;
  readonly protocolMin: number;
}

/** Writes an eviction, all 256 bytes; cluster, view and replica may be left out as 0. */
export function encodeEviction(
  view: DataView,
  at: number,
  eviction: Pick<Eviction, 'client' | 'reason'> & Partial<Eviction>,
): void {
  const { protocolMax = 0, protocolMin = 0, reason } = eviction;
  assert(reason >= 1 && reason <= 15);
  assert(!isZeroU128(eviction.client));
  assert(isWindow(reason, protocolMax, protocolMin));
  const common = {
    size: HEADER_BYTES,
    cluster: eviction.cluster ?? NO_CLUSTER,
    view: eviction.view ?? 0,
    replica: eviction.replica ?? 0,
  };
  writeCommon(view, at, common, COMMAND_BYTE.eviction);
  writeU128(view, at + EVICTION_CLIENT, eviction.client);
  view.setUint32(at + EVICTION_PROTOCOL_MAX, protocolMax, true);
  view.setUint32(at + EVICTION_PROTOCOL_MIN, protocolMin, true);
  view.setUint8(at + EVICTION_REASON, reason);
}

/** Reads an eviction; the counterpart for clients. */
export function decodeEviction(view: DataView, at: number, end: number): Eviction | FrameFault {
  assert(at >= 0 && at <= end && end <= view.byteLength);
  if (end - at < HEADER_BYTES) return 'truncated';
  if (frameCommand(view, at) !== COMMAND_BYTE.eviction) return 'wrongCommand';
  if (frameBytes(view, at) !== HEADER_BYTES) return 'evictionWithBody';
  const reason = view.getUint8(at + EVICTION_REASON);
  if (reason === 0) return 'evictionReasonReserved';
  if (reason > 15) return 'evictionReasonUnknown';
  if (!isZero(view, at + RESERVED, at + EVICTION_CLIENT)) return 'evictionReservedSet';
  if (!isZero(view, at + EVICTION_RESERVED, at + EVICTION_REASON)) return 'evictionReservedSet';
  const cluster = readU128(view, at + CLUSTER, new Uint32Array(4));
  const client = readU128(view, at + EVICTION_CLIENT, new Uint32Array(4));
  if (isZeroU128(client)) return 'clientZero';
  const protocolMax = view.getUint32(at + EVICTION_PROTOCOL_MAX, true);
  const protocolMin = view.getUint32(at + EVICTION_PROTOCOL_MIN, true);
  if (!isWindow(reason, protocolMax, protocolMin)) return 'evictionWindowMisplaced';
  return {
    cluster,
    view: view.getUint32(at + VIEW, true),
    replica: view.getUint8(at + REPLICA),
    client,
    reason,
    protocolMax,
    protocolMin,
  };
}

function isWindow(reason: number, protocolMax: number, protocolMin: number): boolean {
  if (protocolMax === 0 && protocolMin === 0) return true;
  const ordered = protocolMin > 0 && protocolMin <= protocolMax;
  return reason === EVICTION.incompatibleProtocol && ordered;
}

const NO_CLUSTER: U128 = new Uint32Array(4);

/** Clears the 256 bytes and writes what all frames share. */
function writeCommon(
  view: DataView,
  at: number,
  header: Readonly<Pick<RequestHeader, 'size' | 'view' | 'replica' | 'cluster'>>,
  command: number,
): void {
  assert(at >= 0 && at + HEADER_BYTES <= view.byteLength);
  for (let offset = 0; offset < HEADER_BYTES; offset += 8) view.setFloat64(at + offset, 0, true);
  writeU128(view, at + CLUSTER, header.cluster);
  view.setUint32(at + SIZE, header.size, true);
  view.setUint32(at + VIEW, header.view, true);
  view.setUint8(at + COMMAND, command);
  view.setUint8(at + REPLICA, header.replica);
}

/** A u64 up to 2^53-1, Infinity above. */
function readU64(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  if (high > 0x1f_ffff) return Number.POSITIVE_INFINITY;
  return high * 0x1_0000_0000 + view.getUint32(at, true);
}

function writeU64(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0);
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

function readU128(view: DataView, at: number, words: U128): U128 {
  words[0] = view.getUint32(at, true);
  words[1] = view.getUint32(at + 4, true);
  words[2] = view.getUint32(at + 8, true);
  words[3] = view.getUint32(at + 12, true);
  return words;
}

function writeU128(view: DataView, at: number, words: U128): void {
  view.setUint32(at, words[0]!, true);
  view.setUint32(at + 4, words[1]!, true);
  view.setUint32(at + 8, words[2]!, true);
  view.setUint32(at + 12, words[3]!, true);
}

function isZero(view: DataView, at: number, end: number): boolean {
  for (let index = at; index < end; index += 1) {
    if (view.getUint8(index) !== 0) return false;
  }
  return true;
}
