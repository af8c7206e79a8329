import type { PolledHeader } from '@iggy-ts/wire/commands/replies';
import {
  echoRequest,
  encodeEviction,
  encodeReplyHeader,
  HEADER_BYTES,
  ReplyHeader,
  type U128,
} from '@iggy-ts/wire/v09/frame';
import { encodePolledHeader, POLLED_HEADER_BYTES } from '@iggy-ts/wire/v09/replies';
import { echoNumbers, type Request } from './request.ts';

/** One frame to the client, borrowed until `release` is called, once. */
export interface Answer {
  readonly view: Uint8Array;
  readonly release: (() => void) | null;
}

/** What a reply says besides the echo of its request. */
export interface ReplyFields {
  readonly status?: number;
  readonly op: number;
  readonly commit: number;
  /** Commit time; without it the timestamp of the request is echoed. */
  readonly timestampUs?: number;
  /** When it is not the one of the request. */
  readonly operation?: number;
}

/** Bytes in front of polled records that an answer to a poll writes. */
export const POLL_ANSWER_HEAD_BYTES: number = HEADER_BYTES + POLLED_HEADER_BYTES;

const NO_BODY = new Uint8Array(0);

// Frames are encoded without a pause, so one header serves all connections.
const REPLY = new ReplyHeader();

/** A reply with a body of its own. */
export function replyAnswer(
  request: Request,
  fields: ReplyFields,
  body: Uint8Array = NO_BODY,
): Answer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  const view = new DataView(frame.buffer, frame.byteOffset, HEADER_BYTES);
  writeReply({ view, at: 0, bytes: frame, request, fields, bodyBytes: body.length });
  frame.set(body, HEADER_BYTES);
  return { view: frame, release: null };
}

/** A poll without records. */
export function emptyPollAnswer(request: Request, fields: ReplyFields, head: PolledHeader): Answer {
  const body = new Uint8Array(POLLED_HEADER_BYTES);
  encodePolledHeader(new DataView(body.buffer), 0, head);
  return replyAnswer(request, fields, body);
}

/**
 * Writes header and head of a poll in front of its records, all in one piece of the pool.
 *
 * shape    at: where the frame begins, POLL_ANSWER_HEAD_BYTES before the records
 */
export function writePollAnswer(options: {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly request: Request;
  readonly fields: ReplyFields;
  readonly head: PolledHeader;
  readonly recordsBytes: number;
}): void {
  const { view, at, head, recordsBytes } = options;
  writeReply({ ...options, bodyBytes: POLLED_HEADER_BYTES + recordsBytes });
  encodePolledHeader(view, at + HEADER_BYTES, head);
}

/** The end of a session, or of the attempt to open one. */
export function evictionAnswer(eviction: {
  readonly client: U128;
  readonly reason: number;
  readonly protocolMax?: number;
  readonly protocolMin?: number;
}): Answer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES);
  encodeEviction(new DataView(frame.buffer, frame.byteOffset, HEADER_BYTES), 0, eviction);
  return { view: frame, release: null };
}

function writeReply(options: {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly request: Request;
  readonly fields: ReplyFields;
  readonly bodyBytes: number;
}): void {
  const { view, bytes, at, request, fields, bodyBytes } = options;
  echoRequest(request.header, REPLY);
  REPLY.size = HEADER_BYTES + bodyBytes;
  REPLY.status = fields.status ?? 0;
  REPLY.op = fields.op;
  REPLY.commit = fields.commit;
  REPLY.timestamp = fields.timestampUs ?? REPLY.timestamp;
  REPLY.operation = fields.operation ?? REPLY.operation;
  encodeReplyHeader(view, at, REPLY);
  echoNumbers(request, bytes, at);
}
