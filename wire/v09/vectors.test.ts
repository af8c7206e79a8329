// One file, because the count at its end covers all that ran before it. Every vector of testdata/vectors.json in both directions: bytes → fields, fields → the same
// bytes, malformed bytes → the verdict. The last test counts that none was left out.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { BATCH, decodeBatch, encodeBatch, type Message, readMessages } from '../batch.ts';
import type { CommandKind } from '../commands/requests.ts';
import { formatHex, parseHex } from '../hex.ts';
import { readPermissions, writePermissions } from '../permissions.ts';
import {
  readConsumer,
  readIdentifier,
  readOptions,
  readPartitioning,
  readPrefixedOptions,
  readStrategy,
  writeConsumer,
  writeIdentifier,
  writeOptions,
  writePartitioning,
  writePrefixedOptions,
  writeStrategy,
} from '../primitives.ts';
import { Reader } from '../reader.ts';
import { STATUS } from '../status.ts';
import { decodeUserHeaders, encodeUserHeaders } from '../user-headers.ts';
import { Writer } from '../writer.ts';
import { xxh32 } from '../xxh32.ts';
import {
  decodeEviction,
  decodeReplyHeader,
  decodeRequestHeader,
  encodeEviction,
  encodeReplyHeader,
  encodeRequestHeader,
  type FrameFault,
  formatU128,
  frameBytes,
  frameCommand,
  HEADER_BYTES,
  parseU128,
  ReplyHeader,
  RequestHeader,
  type U128,
} from './frame.ts';
import {
  acceptsVersion,
  decodeClientVersion,
  decodeLoginReply,
  decodePasswordForm,
  decodeTokenForm,
  encodeLogin,
  encodeLoginReply,
  packVersion,
} from './login.ts';
import { hasResultSection, isServerOperation, OPERATION } from './operations.ts';
import {
  decodePolledHeader,
  decodeReply,
  decodeResultSection,
  encodePolledHeader,
  encodeRejection,
  encodeReply,
  POLLED_HEADER_BYTES,
  replyOperation,
} from './replies.ts';
import {
  codeOf,
  decodeCommand,
  decodeSendRouting,
  encodeCommand,
  isLegacyLogin,
  operationOf,
} from './requests.ts';
import {
  COMMAND_KINDS,
  commandOf,
  type Fields,
  identifier,
  options,
  partitioning,
  permissions,
  REPLIES,
  strategy,
  TooLarge,
  u128,
  userHeaders,
} from './vector-fields.ts';

interface Vector {
  readonly name: string;
  readonly what: string;
  readonly direction: string;
  readonly code?: number;
  readonly fields: Fields;
  readonly hex: string;
  readonly verdict?: string;
  readonly verdict_layout_only?: string;
}

const VECTORS: readonly Vector[] = JSON.parse(
  readFileSync(new URL('../testdata/vectors.json', import.meta.url), 'utf8'),
);

/** Vectors that no code of this room can read: hashes longer than a key, encryption, replica links. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  xxh3_64: 'kernel',
  message_checksum: 'kernel',
  batch_checksum: 'kernel',
  request_checksum: 'kernel',
  encrypted_section: 'log',
  frame_seal: 'links between upstream servers',
  partition_assignment: 'links between upstream servers',
  create_topic_with_assignments: 'links between upstream servers',
  create_partitions_with_assignments: 'links between upstream servers',
};

const KINDS: readonly CommandKind[] = kindsByCode();
const BAD_DISCRIMINANTS: readonly FrameFault[] = [
  'unknownCommand',
  'unknownOperation',
  'evictionReasonUnknown',
];
const BAD_SIZES: readonly FrameFault[] = ['sizeOutOfBounds', 'evictionWithBody'];

const seen = new Set<string>();

/** One test per `what` and direction; the body is run for each vector. */
function each(
  direction: string,
  whats: readonly string[] | ((vector: Vector) => boolean),
  title: string,
  check: (vector: Vector, bytes: Uint8Array) => void,
): void {
  it(title, () => {
    const chosen = VECTORS.filter(
      (vector) =>
        vector.direction === direction &&
        (typeof whats === 'function' ? whats(vector) : whats.includes(vector.what)),
    );
    assert(chosen.length > 0);
    for (const vector of chosen) {
      seen.add(vector.name);
      try {
        check(vector, parseHex(vector.hex));
      } catch (cause) {
        throw new Error(`vector ${vector.name}`, { cause });
      }
    }
  });
}

describe('vectors: primitives', () => {
  const simple: Readonly<
    Record<
      string,
      {
        readonly of: (f: Fields) => unknown;
        readonly read: (reader: Reader) => unknown;
        readonly write: (writer: Writer, value: never) => void;
      }
    >
  > = {
    identifier: { of: identifier, read: readIdentifier, write: writeIdentifier },
    name: {
      of: (f) => f.value,
      read: (reader) => reader.name(),
      write: (writer, value) => writer.name(value),
    },
    consumer: {
      of: (f) => ({ kind: f.kind, id: identifier(f.id) }),
      read: readConsumer,
      write: writeConsumer,
    },
    partitioning: { of: partitioning, read: readPartitioning, write: writePartitioning },
    polling_strategy: { of: strategy, read: readStrategy, write: writeStrategy },
    permissions: { of: permissions, read: readPermissions, write: writePermissions },
    options: { of: (f) => options(f.entries), read: readOptions, write: writeOptions },
    options_prefixed: {
      of: (f) => options(f.entries),
      read: readPrefixedOptions,
      write: writePrefixedOptions,
    },
  };

  each('primitive', Object.keys(simple), 'read and write', (vector, bytes) => {
    const { of, read, write } = simple[vector.what]!;
    const reader = new Reader(bytes, 0, bytes.length);
    const value = read(reader);
    const expected = orTooLarge(() => of(vector.fields));
    if (expected === TooLarge) {
      assert.equal(reader.fault, 'numberTooLarge');
      return;
    }
    assert.deepEqual([reader.fault, reader.remaining], [null, 0]);
    assert.deepEqual(value, expected);
    assert.equal(
      written((writer) => write(writer, expected as never)),
      vector.hex,
    );
  });

  each('malformed', Object.keys(simple), 'are refused as they should be', (vector, bytes) => {
    const reader = new Reader(bytes, 0, bytes.length);
    simple[vector.what]!.read(reader);
    assert.equal(reader.fault, faultOf(vector.verdict!));
  });

  each('malformed', ['topic_options'], 'leave the meaning of options to others', (_, bytes) => {
    const reader = new Reader(bytes, 0, bytes.length);
    assert.equal(readOptions(reader).length, 1);
    assert.equal(reader.fault, null);
  });

  each('primitive', ['user_headers'], 'read and write user headers', (vector, bytes) => {
    const expected = userHeaders(vector.fields.entries);
    assert.deepEqual(decodeUserHeaders(bytes, 0, bytes.length), expected);
    assert.equal(hexOf(encodeUserHeaders(expected)), vector.hex);
  });

  each('malformed', ['user_headers'], 'refuse user headers', (vector, bytes) => {
    assert.equal(decodeUserHeaders(bytes, 0, bytes.length), faultOf(vector.verdict!));
  });

  each('primitive', ['ack_level'], 'read the acknowledgement of an offset', (vector, bytes) => {
    const id = { kind: 'id', id: 1 } as const;
    const { body } = encodeCommand({
      kind: 'deleteConsumerOffset',
      consumer: { kind: 'consumer', id },
      streamId: id,
      topicId: id,
      partitionId: 1,
      ack: 'none',
    });
    const whole = new Uint8Array([...body.subarray(0, -1), ...bytes]);
    const command = decodeCommand(OPERATION.deleteConsumerOffset, 0, whole, 0, whole.length);
    assert(typeof command === 'object' && command.kind === 'deleteConsumerOffset');
    assert.equal(command.ack, vector.fields.value === 1 ? 'quorum' : 'none');
    assert.deepEqual(encodeCommand(command).body.at(-1), bytes[0]);
  });

  each('primitive', ['protocol_version'], 'judge protocol versions', (vector, bytes) => {
    const { major, minor, patch, packed, accepted_by_0_11 } = vector.fields;
    assert.equal(packVersion(major, minor, patch), packed);
    assert.equal(new Reader(bytes, 0, 4).u32(), packed);
    assert.equal(acceptsVersion(packed), accepted_by_0_11);
  });

  each('checksum', ['xxh32'], 'hash keys', (vector, bytes) => {
    assert.equal(xxh32(bytes), vector.fields.xxh32_seed0);
  });
});

describe('vectors: result sections', () => {
  each('primitive', ['result_section'], 'read and write', (vector, bytes) => {
    const { code, payloadHex } = vector.fields;
    const section = decodeResultSection(bytes, 0, bytes.length);
    assert(typeof section === 'object');
    assert.equal(section.code, code);
    assert.equal(hexOf(bytes.subarray(section.payloadAt)), payloadHex);
    // A writer never makes two entries.
    const entries = new Reader(bytes, 0, 4).u32();
    if (code !== 0 && entries === 1) assert.equal(hexOf(encodeRejection(code)), vector.hex);
    if (code === 0) {
      const body = new Uint8Array([...encodeReply('deleteStream', null), ...parseHex(payloadHex)]);
      assert.equal(hexOf(body), vector.hex);
    }
  });

  each('malformed', ['result_section'], 'are never a success when cut', (vector, bytes) => {
    assert.equal(decodeResultSection(bytes, 0, bytes.length), faultOf(vector.verdict!));
    assert.equal(decodeReply('deleteStream', bytes).code, null);
  });
});

describe('vectors: request bodies', () => {
  const isCommand = ({ what, code }: Vector) =>
    !what.endsWith('_frame') &&
    what !== 'send_messages' &&
    code !== undefined &&
    KINDS[code] !== undefined;

  each('request', isCommand, 'decode and encode', (vector, bytes) => {
    const kind = KINDS[vector.code!]!;
    const decoded = decodeCommand(operationOf(kind), vector.code!, bytes, 0, bytes.length);
    const command = orTooLarge(() => commandOf(kind, vector.fields));
    if (typeof command === 'function') {
      assert.equal(decoded, STATUS.invalidCommand);
      return;
    }
    assert.deepEqual(decoded, command);
    assert.equal(hexOf(encodeCommand(command).body), vector.hex);
  });

  each('request', ['send_messages'], 'decode and encode a send', (vector, bytes) => {
    const routed = decodeSendRouting(bytes, 0, bytes.length);
    assert(typeof routed === 'object');
    const command = commandOf('sendMessages', vector.fields);
    assert.deepEqual(routed.command, command);
    assert.equal(routed.batchAt, 4 + vector.fields.metadata_length);
    const { body, code, operation } = encodeCommand(command);
    assert.deepEqual([code, operation], [0, OPERATION.sendMessages]);
    assert.equal(hexOf(body), vector.hex.slice(0, routed.batchAt * 2));
    checkBatch(vector.fields.batch, bytes.subarray(routed.batchAt));
    assert.deepEqual(decodeCommand(OPERATION.sendMessages, 0, bytes, 0, bytes.length), command);
  });

  each('request', ['login_register'], 'decode and encode a login by password', (vector, bytes) => {
    const { version, formAt } = decodeClientVersion(bytes, 0, bytes.length)!;
    const { username, password, context } = vector.fields;
    const form = { username, password, context };
    assert.deepEqual(version, versionOf(vector.fields));
    assert.deepEqual(decodePasswordForm(bytes, formAt, bytes.length), form);
    assert.equal(hexOf(encodeLogin(version, form)), vector.hex);
  });

  each('request', ['login_register_with_pat'], 'decode and encode a token', (vector, bytes) => {
    const { version, formAt } = decodeClientVersion(bytes, 0, bytes.length)!;
    const { token, context } = vector.fields;
    assert.deepEqual(version, versionOf(vector.fields));
    assert.deepEqual(decodeTokenForm(bytes, formAt, bytes.length), { token, context });
    assert.equal(hexOf(encodeLogin(version, { token, context })), vector.hex);
    assert.equal(decodePasswordForm(bytes, formAt, bytes.length), null);
  });

  const isSessionCode = ({ what, code }: Vector) =>
    what === 'login_user' || (what === 'empty' && code === 39);
  each('request', isSessionCode, 'know no command for logins and logout', (vector, bytes) => {
    const status = decodeCommand(OPERATION.nonReplicated, vector.code!, bytes, 0, bytes.length);
    assert.equal(status, STATUS.invalidCommand);
    assert.equal(isLegacyLogin(vector.code!), vector.what === 'login_user');
  });

  each('primitive', ['client_version'], 'decode and encode versions', (vector, bytes) => {
    const decoded = decodeClientVersion(bytes, 0, bytes.length)!;
    assert.deepEqual(decoded.version, versionOf(vector.fields));
    assert.equal(decoded.formAt, bytes.length);
    const body = encodeLogin(decoded.version, { token: '', context: null });
    assert.equal(hexOf(body), `${vector.hex}0000000000`);
  });

  each('malformed', ['client_version'], 'refuse versions', (_, bytes) => {
    assert.equal(decodeClientVersion(bytes, 0, bytes.length), null);
  });

  each('malformed', ['login_register'], 'refuse logins', (_, bytes) => {
    const { formAt } = decodeClientVersion(bytes, 0, bytes.length)!;
    assert.equal(decodePasswordForm(bytes, formAt, bytes.length), null);
  });

  const bodies: Readonly<Record<string, CommandKind>> = {
    create_user: 'createUser',
    create_stream: 'createStream',
    stream_id: 'getStream',
    store_consumer_offset: 'storeConsumerOffset',
    describe_options: 'describeOptions',
    get_snapshot: 'getSnapshot',
    attach_consumer_session: 'attachConsumerSession',
  };
  each('malformed', Object.keys(bodies), 'are judged', (vector, bytes) => {
    const kind = bodies[vector.what]!;
    const decoded = decodeCommand(operationOf(kind), codeOf(kind), bytes, 0, bytes.length);
    if (vector.verdict === 'accepted') assert(typeof decoded === 'object');
    else assert.equal(decoded, STATUS.invalidCommand);
    if (vector.name === 'store_consumer_offset_partition_flag_2') {
      assert(typeof decoded === 'object' && decoded.kind === 'storeConsumerOffset');
      assert.equal(decoded.partitionId, null);
    }
  });

  each('malformed', ['send_messages'], 'of a send are judged', (vector, bytes) => {
    if (vector.verdict === 'delta_too_large') {
      const message = { id: '0'.repeat(32), payload: bytes, userHeaders: bytes };
      const later = { ...message, originTimestampUs: 2 ** 32 };
      const sent = encodeBatch([{ ...message, originTimestampUs: 0 }, later]);
      assert.equal(sent, STATUS.invalidMessageTimestampDelta);
      return;
    }
    const routed = decodeSendRouting(bytes, 0, bytes.length);
    if (vector.name === 'malformed_send_metadata_length') {
      assert.equal(routed, STATUS.invalidCommand);
    } else {
      // The kernel compares the two counts; here they only have to come out as they are.
      assert(typeof routed === 'object');
      const batch = decodeBatch(bytes, routed.batchAt, bytes.length);
      assert(typeof batch === 'object');
      assert.notEqual(batch.header.messagesCount, routed.command.messagesCount);
    }
  });
});

describe('vectors: batches', () => {
  each('batch', ['batch'], 'decode', (vector, bytes) => checkBatch(vector.fields, bytes));

  each('malformed', ['batch'], 'are judged by their layout', (vector, bytes) => {
    const batch = decodeBatch(bytes, 0, bytes.length);
    const fault = typeof batch === 'string' ? batch : null;
    assert.equal(fault, faultOf(vector.verdict_layout_only!));
  });
});

describe('vectors: reply bodies', () => {
  each('reply', Object.keys(REPLIES), 'decode and encode', (vector, bytes) => {
    const { kinds, of } = REPLIES[vector.what]!;
    for (const kind of kinds) {
      const section = hasResultSection(replyOperation(kind)) ? 4 : 0;
      const body = new Uint8Array(section + bytes.length);
      body.set(bytes, section);
      const decoded = decodeReply(kind as 'getMe', body);
      const reply = orTooLarge(() => of(vector.fields));
      if (reply === TooLarge) {
        assert.deepEqual(decoded, { code: null, reply: null, fault: 'numberTooLarge' });
        continue;
      }
      assert.deepEqual(decoded, { code: 0, reply, fault: null });
      // An empty body is understood and never written.
      if (vector.what === 'send_messages_reply' && bytes.length === 0) continue;
      assert.equal(hexOf(encodeReply(kind as 'getMe', reply as never)), hexOf(body));
    }
  });

  each('malformed', ['topics', 'send_messages_reply'], 'are refused', (vector, bytes) => {
    const kind = vector.what === 'topics' ? 'getTopics' : 'sendMessages';
    assert.equal(decodeReply(kind, bytes).fault, faultOf(vector.verdict!));
  });

  each('reply', ['poll_messages_reply'], 'of polls decode and encode', (vector, bytes) => {
    checkPolled(vector.fields, bytes);
  });

  each('reply', ['login_register_reply'], 'of logins decode and encode', (vector, bytes) => {
    const f = vector.fields;
    const decoded = decodeLoginReply(bytes, 0, bytes.length);
    if (f.session === String(2n ** 64n - 1n)) {
      assert.equal(decoded, null);
      return;
    }
    const reply = {
      userId: f.user_id,
      session: Number(f.session),
      serverProtocolVersion: f.server_protocol_version,
      serverVersion: f.server_version,
    };
    assert.deepEqual(decoded, reply);
    assert.equal(hexOf(encodeLoginReply(reply)), `00000000${vector.hex}`);
  });
});

describe('vectors: frames', () => {
  each('request', ['request_frame'], 'of requests decode and encode', (vector, bytes) => {
    const header = new RequestHeader();
    assert.equal(decodeRequestHeader(viewOf(bytes), 0, bytes.length, header), null);
    const f = vector.fields;
    assert.equal(frameCommand(viewOf(bytes), 0), f.command);
    checkCommonFields(header, f);
    assert.deepEqual(
      [header.session, header.userId, header.code],
      [Number(f.session), f.user_id, f.code],
    );
    assert.equal(hexOf(bytes.subarray(HEADER_BYTES)), f.bodyHex);
    const head = new Uint8Array(HEADER_BYTES).fill(0xee);
    encodeRequestHeader(viewOf(head), 0, header);
    assert.equal(hexOf(head), vector.hex.slice(0, HEADER_BYTES * 2));
    checkRequestBody(vector, header, bytes);
  });

  each('malformed', ['request_header'], 'of requests are judged', (vector, bytes) => {
    const header = new RequestHeader();
    const fault = decodeRequestHeader(viewOf(bytes), 0, bytes.length, header);
    if (fault === null && frameBytes(viewOf(bytes), 0) > bytes.length) {
      assert.equal(vector.name, 'malformed_request_header_size_beyond_bytes');
    } else {
      assert.equal(verdictOf(fault), vector.verdict);
    }
    if (vector.name.endsWith('operation_64')) assert(isServerOperation(header.operation));
  });

  each('request', ['generic_frame'], 'that are no requests are told apart', (vector, bytes) => {
    assert.equal(frameCommand(viewOf(bytes), 0), vector.fields.command);
    const fault = decodeRequestHeader(viewOf(bytes), 0, bytes.length, new RequestHeader());
    assert.equal(fault, 'wrongCommand');
  });

  each('reply', ['reply_frame'], 'of replies decode and encode', (vector, bytes) => {
    const header = new ReplyHeader();
    assert.equal(decodeReplyHeader(viewOf(bytes), 0, bytes.length, header), null);
    const f = vector.fields;
    checkCommonFields(header, f);
    assert.deepEqual(
      [header.op, header.commit, header.status],
      [Number(f.op), Number(f.commit), f.status],
    );
    assert.equal(hexOf(bytes.subarray(HEADER_BYTES)), f.bodyHex);
    const head = new Uint8Array(HEADER_BYTES).fill(0xee);
    encodeReplyHeader(viewOf(head), 0, header);
    assert.equal(hexOf(head), vector.hex.slice(0, HEADER_BYTES * 2));
    if (header.status === 0) checkReplyBody(vector.name, header, bytes.subarray(HEADER_BYTES));
  });

  each('reply', ['eviction_frame'], 'of evictions decode and encode', (vector, bytes) => {
    const eviction = decodeEviction(viewOf(bytes), 0, bytes.length);
    assert(typeof eviction === 'object');
    const f = vector.fields;
    assert.deepEqual(eviction, {
      cluster: words(f.cluster),
      view: f.view,
      replica: f.replica,
      client: words(f.client),
      reason: f.reason,
      protocolMax: f.server_protocol_version,
      protocolMin: f.server_protocol_version_min,
    });
    const encoded = new Uint8Array(HEADER_BYTES).fill(0xee);
    encodeEviction(viewOf(encoded), 0, eviction);
    assert.equal(hexOf(encoded), vector.hex);
  });

  each('malformed', ['eviction_header'], 'of evictions are judged', (vector, bytes) => {
    const eviction = decodeEviction(viewOf(bytes), 0, bytes.length);
    assert(typeof eviction === 'string');
    assert.equal(verdictOf(eviction), vector.verdict);
  });
});

describe('vectors: all', () => {
  it('were looked at, but for those that belong to other rooms', () => {
    const left = VECTORS.filter(({ name, what }) => !seen.has(name) && !(what in ELSEWHERE));
    assert.deepEqual(
      left.map(({ name, what }) => `${what} ${name}`),
      [],
    );
    const counts = new Map<string, number>();
    for (const { what } of VECTORS) counts.set(what, (counts.get(what) ?? 0) + 1);
    const elsewhere = Object.keys(ELSEWHERE).map((what) => counts.get(what) ?? 0);
    assert.deepEqual(elsewhere, [20, 18, 6, 2, 1, 1, 1, 1, 1]);
    assert.equal(VECTORS.length, 567);
    assert.equal(seen.size, 567 - 51);
  });
});

function checkBatch(f: Fields, bytes: Uint8Array): void {
  const batch = decodeBatch(bytes, 0, bytes.length);
  assert(typeof batch === 'object');
  assert.deepEqual(batch.header, {
    partitionId: Number(f.partition_id),
    baseOffset: Number(f.base_offset),
    baseTimestampUs: Number(f.base_timestamp),
    originTimestampUs: Number(f.origin_timestamp),
    batchBytes: Number(f.batch_length),
    checksum: BigInt(f.batch_checksum),
    messagesCount: f.message_count,
  });
  const expected = f.messages.map((message: Fields) => ({
    ...message,
    offset: String(Number(f.base_offset) + message.offset_delta),
    timestamp: f.base_timestamp,
    origin_timestamp: BigInt(f.origin_timestamp) + BigInt(message.timestamp_delta),
  }));
  checkMessages(expected, batch.messages);
  const isSafe = Number.isSafeInteger(batch.header.originTimestampUs);
  if (isSafe && f.messages[0]?.offset_delta === 0) checkEncodedBatch(batch.messages, bytes);
}

/** What the encoder makes is the batch without checksums and without what the server stamps. */
function checkEncodedBatch(messages: readonly Message[], bytes: Uint8Array): void {
  const encoded = encodeBatch(messages);
  assert(typeof encoded === 'object');
  const plain = new Uint8Array(bytes);
  plain.fill(0, BATCH.partitionId, BATCH.originTimestamp);
  plain.fill(0, BATCH.checksum, BATCH.checksum + 8);
  let at = 256;
  for (const { payload, userHeaders: headers } of messages) {
    plain.fill(0, at, at + 8);
    at += 48 + payload.length + headers.length;
  }
  assert.equal(hexOf(encoded), hexOf(plain));
}

function checkMessages(list: readonly Fields[], messages: readonly Message[]): void {
  assert.equal(messages.length, list.length);
  for (const [index, message] of messages.entries()) {
    const f = list[index]!;
    assert.equal(message.checksum, BigInt(f.checksum));
    assert.equal(message.id, u128(f.id));
    assert.equal(message.offset, Number(f.offset));
    assert.equal(message.timestampUs, Number(f.timestamp));
    assert.equal(message.originTimestampUs, Number(f.origin_timestamp));
    assert.equal(hexOf(message.payload), f.payloadHex);
    const { userHeaders: area } = message;
    assert.deepEqual(decodeUserHeaders(area, 0, area.length), userHeaders(f.userHeaders));
  }
}

function checkPolled(f: Fields, bytes: Uint8Array): void {
  const header = decodePolledHeader(bytes, 0, bytes.length);
  const expected = {
    partitionId: f.partition,
    currentOffset: Number(f.current_offset),
    messagesCount: f.count,
  };
  assert.deepEqual(header, expected);
  const head = new Uint8Array(POLLED_HEADER_BYTES);
  encodePolledHeader(viewOf(head), 0, expected);
  assert.deepEqual(head, bytes.slice(0, POLLED_HEADER_BYTES));
  const messages = readMessages(bytes, POLLED_HEADER_BYTES, bytes.length);
  assert(typeof messages === 'object');
  checkMessages(f.messages, messages);
}

function checkCommonFields(header: RequestHeader | ReplyHeader, f: Fields): void {
  assert.deepEqual(
    [header.size, header.view, header.replica, header.operation],
    [f.size, f.view, f.replica, f.operation],
  );
  assert.deepEqual(
    [formatU128(header.cluster), formatU128(header.client), formatU128(header.requestChecksum)],
    [u128(f.cluster), u128(f.client), u128(f.request_checksum)],
  );
  assert.deepEqual([header.request, header.timestamp], [Number(f.request), Number(f.timestamp)]);
}

function checkRequestBody(vector: Vector, header: RequestHeader, bytes: Uint8Array): void {
  const { operation, code } = header;
  if (operation === OPERATION.register) {
    const { version, formAt } = decodeClientVersion(bytes, HEADER_BYTES, bytes.length)!;
    const form =
      decodePasswordForm(bytes, formAt, bytes.length) ??
      decodeTokenForm(bytes, formAt, bytes.length)!;
    assert.equal('token' in form, vector.code === 45);
    assert.equal(hexOf(encodeLogin(version, form)), vector.fields.bodyHex);
  } else if (operation === OPERATION.logout) {
    assert.equal(vector.fields.bodyHex, '');
  } else {
    const command = decodeCommand(operation, code, bytes, HEADER_BYTES, bytes.length);
    if (KINDS[vector.code!] === undefined) {
      assert.equal(command, STATUS.invalidCommand);
      return;
    }
    assert(typeof command === 'object');
    const encoded = encodeCommand(command);
    assert.equal(codeOf(command.kind), vector.code);
    assert.deepEqual([encoded.operation, encoded.code], [operation, code]);
    const start = hexOf(encoded.body);
    if (command.kind === 'sendMessages') assert(vector.fields.bodyHex.startsWith(start));
    else assert.equal(start, vector.fields.bodyHex);
  }
}

/** What the frames of reads answer; the header does not tell. */
const READS: Readonly<Record<string, CommandKind>> = {
  frame_cluster_metadata_reply: 'getClusterMetadata',
  server_get_offset: 'getConsumerOffset',
  server_sync_group: 'syncConsumerGroup',
  server_get_group: 'getConsumerGroup',
  server_get_me: 'getMe',
  server_get_stream: 'getStream',
  server_get_streams: 'getStreams',
  server_get_topic: 'getTopic',
  server_get_topics: 'getTopics',
  server_get_stream_missing: 'getStream',
  server_get_users: 'getUsers',
  server_cluster_metadata: 'getClusterMetadata',
  server_describe_topic_options: 'describeOptions',
  server_get_user: 'getUser',
};

function checkReplyBody(name: string, header: ReplyHeader, body: Uint8Array): void {
  const { operation } = header;
  if (operation === OPERATION.register) {
    const section = decodeResultSection(body, 0, body.length);
    assert(typeof section === 'object');
    const isLogin = decodeLoginReply(body, section.payloadAt, body.length) !== null;
    assert.equal(isLogin, section.code === 0);
  } else if (operation === OPERATION.nonReplicated && READS[name] === undefined) {
    if (name.includes('poll')) {
      assert(typeof decodePolledHeader(body, 0, body.length) === 'object');
      assert(typeof readMessages(body, POLLED_HEADER_BYTES, body.length) === 'object');
    } else {
      assert.equal(body.length, 0);
    }
  } else if (operation !== OPERATION.logout) {
    const kind =
      READS[name] ?? KINDS.find((one) => one !== undefined && replyOperation(one) === operation)!;
    const decoded = decodeReply(kind as 'getMe', body);
    assert.equal(decoded.fault, null);
    if (decoded.code !== 0) assert.equal(hexOf(encodeRejection(decoded.code!)), hexOf(body));
    else if (body.length > 0 || kind !== 'sendMessages') {
      assert.equal(hexOf(encodeReply(kind as 'getMe', decoded.reply as never)), hexOf(body));
    }
  }
}

function kindsByCode(): CommandKind[] {
  const kinds: CommandKind[] = [];
  for (const kind of COMMAND_KINDS) kinds[codeOf(kind)] = kind;
  return kinds;
}

/** The value, or the class TooLarge when it holds a number that is refused. */
function orTooLarge<T>(make: () => T): T | typeof TooLarge {
  try {
    return make();
  } catch (error) {
    if (error instanceof TooLarge) return TooLarge;
    throw error;
  }
}

function written(write: (writer: Writer) => void): string {
  const writer = new Writer(1);
  write(writer);
  return hexOf(writer.finish());
}

/** Our fault for a verdict of the vectors. */
function faultOf(verdict: string): string | null {
  if (verdict === 'accepted') return null;
  return verdict.replace(/_(\w)/u, (_, letter) => letter.toUpperCase());
}

/** The verdict of the vectors for our fault of a frame, which says more. */
function verdictOf(fault: FrameFault | null): string {
  if (fault === null) return 'accepted';
  if (fault === 'truncated') return fault;
  if (fault === 'wrongCommand') return 'wrong_command';
  if (BAD_DISCRIMINANTS.includes(fault)) return 'bad_discriminant';
  return BAD_SIZES.includes(fault) ? 'bad_size' : 'invalid';
}

function versionOf(f: Fields): object {
  return {
    protocolVersion: f.protocol_version,
    sdkName: f.sdk_name,
    sdkVersion: f.sdk_version,
  };
}

function words(decimal: string): U128 {
  return parseU128(u128(decimal));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function hexOf(bytes: Uint8Array): string {
  return formatHex(bytes, 0, bytes.length);
}
