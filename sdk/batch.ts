import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import {
  BATCH,
  BATCH_HEADER_BYTES,
  encodeBatch,
  MESSAGE,
  MESSAGE_HEADER_BYTES,
  type NewMessage,
} from '@iggy-ts/wire/batch';
import { xxh3 } from '@node-rs/xxhash';
import { RequestFailed } from './failures.ts';

/** Bytes of a batch header that its checksum covers: 40 in front of the checksum, 4 behind. */
const COVERED_BEFORE = 40;
const COVERED_BYTES = 44;

const NOTHING = new Uint8Array(0);

/** What may be left out of a message: a random id, no origin time, no user headers. */
export interface Draft {
  readonly payload: Uint8Array;
  readonly id?: string;
  readonly originTimestampUs?: number;
  readonly userHeaders?: Uint8Array;
}

/**
 * A batch with all its checksums, as SendMessages carries it.
 *
 * errors   RequestFailed 4009, 4017, 4022, 4038 as the server would answer
 * cost     one call of the hash per message
 */
export function sealedBatch(drafts: readonly Draft[]): Uint8Array {
  const batch = encodeBatch(drafts.map(completed));
  if (typeof batch === 'number') throw new RequestFailed(batch);
  const view = new DataView(batch.buffer, batch.byteOffset, batch.length);
  const covered = new Uint8Array(COVERED_BYTES + 8 * drafts.length);
  const coveredView = new DataView(covered.buffer);
  let at = BATCH_HEADER_BYTES;
  for (let index = 0; index < drafts.length; index += 1) {
    const headersBytes = view.getUint32(at + MESSAGE.userHeadersLength, true);
    const payloadBytes = view.getUint32(at + MESSAGE.payloadLength, true);
    const end = at + MESSAGE_HEADER_BYTES + headersBytes + payloadBytes;
    const checksum = xxh3.xxh64(batch.subarray(at + MESSAGE.id, end));
    view.setBigUint64(at + MESSAGE.checksum, checksum, true);
    coveredView.setBigUint64(COVERED_BYTES + 8 * index, checksum, true);
    at = end;
  }
  assert(at === batch.length);
  covered.set(batch.subarray(0, COVERED_BEFORE));
  covered.set(batch.subarray(BATCH.messagesCount, BATCH.reserved), COVERED_BEFORE);
  view.setBigUint64(BATCH.checksum, xxh3.xxh64(covered), true);
  return batch;
}

function completed(draft: Draft): NewMessage {
  return {
    id: draft.id ?? randomUUID().replaceAll('-', ''),
    originTimestampUs: draft.originTimestampUs ?? 0,
    payload: draft.payload,
    userHeaders: draft.userHeaders ?? NOTHING,
  };
}
