import { randomUUID } from 'node:crypto';
import { type Message, type NewMessage, USER_HEADERS_BYTES_MAX } from '@iggy-ts/wire/batch';
import type { Partitioning } from '@iggy-ts/wire/commands/values';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import {
  decodeUserHeaders,
  encodeUserHeaders,
  FIELD_BYTES_MAX,
  type UserHeader,
} from '@iggy-ts/wire/user-headers';
import { bigJson } from './json-text.ts';
import { kindName, kindOf } from './json-values.ts';
import { Members } from './request-values.ts';

// Messages, both ways. Bytes are base64; an id is a number of up to 39 digits.

const ID_BYTES = 16;
const ID_MAX = (1n << 128n) - 1n;
const EMPTY = new Uint8Array(0);

/** What a send says: where to, and what. */
export interface SendBody {
  readonly partitioning: Partitioning;
  readonly messages: readonly NewMessage[];
}

/** errors: RequestRefused 422 for everything that has the wrong shape */
export function sendBodyOf(body: Members, nowUs: number): SendBody {
  for (const name of body.names()) {
    if (name !== 'partitioning' && name !== 'messages')
      body.refuse(name, 'left out: it is unknown');
  }
  const partitioning = partitioningOf(body.members('partitioning'));
  const messages = body
    .list('messages')
    .map((value, index) => messageOf(new Members(value, `messages[${index}]`), nowUs));
  return { partitioning, messages };
}

function partitioningOf(members: Members): Partitioning {
  const kind = members.word('kind', ['balanced', 'partition_id', 'messages_key']);
  const value = members.base64('value');
  switch (kind) {
    case 'balanced':
      return { kind: 'balanced' };
    case 'partition_id':
      if (value.length !== 4) members.refuse('value', 'base64 of a u32, little endian');
      return { kind: 'partition', partitionId: Buffer.from(value).readUInt32LE() };
    case 'messages_key':
      if (value.length === 0 || value.length > FIELD_BYTES_MAX) {
        members.refuse('value', 'base64 of 1 to 255 bytes');
      }
      return { kind: 'key', key: value };
  }
}

function messageOf(members: Members, nowUs: number): NewMessage {
  const payload = members.base64('payload');
  if (payload.length === 0) members.refuse('payload', 'at least one byte');
  const userHeaders = userHeadersOf(members);
  return { id: idOf(members), originTimestampUs: nowUs, payload, userHeaders };
}

/** The id of a message as 32 hex characters; missing or 0 is drawn here. */
function idOf(members: Members): string {
  const value = members.value('id');
  const id = value === null ? 0n : idNumber(value);
  if (id === null) return members.refuse('id', 'a u64, the digits of a u128 or a UUID');
  return id === 0n ? randomUUID().replaceAll('-', '') : hexOfId(id);
}

function idNumber(value: unknown): bigint | null {
  if (typeof value === 'bigint') return value < 1n << 64n ? value : null;
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : null;
  if (typeof value !== 'string') return null;
  if (/^\d{1,39}$/u.test(value)) return BigInt(value) <= ID_MAX ? BigInt(value) : null;
  const digits = value.replaceAll('-', '');
  return /^[0-9a-f]{32}$/iu.test(digits) ? BigInt(`0x${digits}`) : null;
}

/** The bytes on the wire are in little endian order. */
function hexOfId(id: bigint): string {
  const hex = id.toString(16).padStart(ID_BYTES * 2, '0');
  return Buffer.from(hex, 'hex').reverse().toString('hex');
}

function idOfHex(hex: string): bigint {
  return BigInt(`0x${Buffer.from(hex, 'hex').reverse().toString('hex')}`);
}

/** A list of headers, or the base64 of a block that a client has made itself. */
function userHeadersOf(members: Members): Uint8Array {
  const value = members.value('user_headers');
  if (value === null) return EMPTY;
  if (typeof value === 'string') return members.base64('user_headers');
  const headers = members.list('user_headers').map((entry, index): UserHeader => {
    const header = new Members(entry, members.path(`user_headers[${index}]`));
    const key = fieldOf(header.members('key'));
    const field = fieldOf(header.members('value'));
    return { keyKind: key.kind, key: key.bytes, valueKind: field.kind, value: field.bytes };
  });
  const bytes = encodeUserHeaders(headers);
  if (bytes.length > USER_HEADERS_BYTES_MAX) throw new OperatingError(STATUS.tooBigUserHeaders);
  return bytes;
}

function fieldOf(members: Members): { readonly kind: number; readonly bytes: Uint8Array } {
  const kind = kindOf(members.text('kind')) ?? members.refuse('kind', 'a kind of headers');
  const bytes = members.base64('value');
  if (bytes.length === 0 || bytes.length > FIELD_BYTES_MAX) {
    members.refuse('value', 'base64 of 1 to 255 bytes');
  }
  return { kind, bytes };
}

export function messageJson(message: Message): object {
  return {
    header: {
      checksum: bigJson(message.checksum),
      id: bigJson(idOfHex(message.id)),
      offset: message.offset,
      timestamp: message.timestampUs,
      origin_timestamp: message.originTimestampUs,
      user_headers_length: message.userHeaders.length,
      payload_length: message.payload.length,
      reserved: 0,
    },
    payload: base64(message.payload),
    user_headers: userHeadersJson(message.userHeaders),
  };
}

/** The list, or the base64 of a block that is not ours to read. */
function userHeadersJson(bytes: Uint8Array): object | string {
  const headers = decodeUserHeaders(bytes, 0, bytes.length);
  if (typeof headers === 'string') return base64(bytes);
  const shown: object[] = [];
  for (const { keyKind, key, valueKind, value } of headers) {
    const [keyName, valueName] = [kindName(keyKind), kindName(valueKind)];
    if (keyName === null || valueName === null) return base64(bytes);
    shown.push({
      key: { kind: keyName, value: base64(key) },
      value: { kind: valueName, value: base64(value) },
    });
  }
  return shown;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}
