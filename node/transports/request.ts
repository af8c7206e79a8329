import {
  decodeRequestHeader,
  type FrameFault,
  frameBytes,
  HEADER_BYTES,
  type RequestHeader,
} from '@iggy-ts/wire/v09/frame';
import { OPERATION } from '@iggy-ts/wire/v09/operations';
import { codeOf } from '@iggy-ts/wire/v09/requests';

/** Where frame.ts keeps the size of a frame. */
const SIZE_AT = 48;
/** Timestamp and request number of a request, and where a reply echoes them. */
const NUMBERS_AT = 160;
const NUMBERS_BYTES = 16;
const REPLY_NUMBERS_AT = 192;

/** Reads that may need a slot of the pool for their answer. */
const POLL_CODES = [codeOf('pollMessages'), codeOf('pollMessagesOnPrimary')];

export const NO_SLOT = -1;

/** One request of a connection: its header, and where its body went. */
export interface Request {
  readonly header: RequestHeader;
  /** The broken rule of the header, which is the answer; null when there is none. */
  readonly fault: FrameFault | null;
  readonly bodyBytes: number;
  /** Whether the broker may take a slot of the pool for the answer. */
  readonly isPoll: boolean;
  /** Timestamp and number as they came, when they are beyond what a number holds. */
  readonly numbers: Buffer | null;
  /** Null when it was dropped. Of a send: a view on its slot. */
  body: Uint8Array | null;
  /** Slot of the pool that holds the body, or NO_SLOT. */
  slotAt: number;
  /** Why the body was dropped, 0 when it was not. */
  bodyStatus: number;
  /** The client got another frame for an answer: it gets no second one. */
  isAnswered: boolean;
}

/** Opens the request whose header fills `bytes`; its body is still on its way. */
export function openRequest(bytes: Buffer, view: DataView, header: RequestHeader): Request {
  const size = frameBytes(view, 0);
  // The header stands alone here; the decoder looks for the body behind it.
  view.setUint32(SIZE_AT, HEADER_BYTES, true);
  const fault = decodeRequestHeader(view, 0, HEADER_BYTES, header);
  header.size = size;
  const isRead = header.operation === OPERATION.nonReplicated;
  // A read may carry any number, which is only echoed.
  const isEcho = fault === 'numberTooLarge';
  return {
    header,
    fault: isEcho && isRead ? null : fault,
    bodyBytes: size - HEADER_BYTES,
    isPoll: isRead && POLL_CODES.includes(header.code),
    numbers: isEcho ? Buffer.from(bytes.subarray(NUMBERS_AT, NUMBERS_AT + NUMBERS_BYTES)) : null,
    body: null,
    slotAt: NO_SLOT,
    bodyStatus: 0,
    isAnswered: false,
  };
}

/** Puts numbers that were too large to decode into the reply at `at`, as they came. */
export function echoNumbers(request: Request, reply: Uint8Array, at: number): void {
  if (request.numbers !== null) reply.set(request.numbers, at + REPLY_NUMBERS_AT);
}
