// What is encoded decodes to the same, for any command, reply, login, header and batch.
import assert from 'node:assert/strict';
import fc, { type Arbitrary } from 'fast-check';
import { decodeBatch, encodeBatch } from '../batch.ts';
import type { CommandKind } from '../commands/requests.ts';
import type { Permissions } from '../commands/values.ts';
import { decodeUserHeaders, encodeUserHeaders } from '../user-headers.ts';
import {
  decodeEviction,
  decodeReplyHeader,
  decodeRequestHeader,
  echoRequest,
  encodeEviction,
  encodeReplyHeader,
  encodeRequestHeader,
  HEADER_BYTES,
  ReplyHeader,
  RequestHeader,
} from './frame.ts';
import {
  decodeClientVersion,
  decodeLoginReply,
  decodePasswordForm,
  decodeTokenForm,
  encodeLogin,
  encodeLoginReply,
} from './login.ts';
import { hasResultSection, OPERATION } from './operations.ts';
import {
  decodePolledHeader,
  decodeReply,
  encodePolledHeader,
  encodeRejection,
  encodeReply,
  replyOperation,
} from './replies.ts';
import { codeOf, decodeCommand, encodeCommand, operationOf } from './requests.ts';
import { COMMAND_KINDS } from './vector-fields.ts';

const u8 = fc.nat(255);
const u16 = fc.nat(0xffff);
const u32 = fc.oneof(fc.nat(10), fc.integer({ min: 0, max: 0xffff_ffff }));
const u64 = fc.oneof(u32, fc.maxSafeNat());
const u64OrInfinity = fc.oneof(u64, fc.constant(Number.POSITIVE_INFINITY));
const u128 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const f32 = fc.float({ noNaN: true });
/** Text whose UTF-8 is at most 255 bytes. */
const text8 = fc.string({ unit: 'grapheme', maxLength: 12 }).filter(fits);
const name = text8.filter((text) => text !== '');
const bytes = fc.uint8Array({ maxLength: 64 });
const someBytes = fc.uint8Array({ minLength: 1, maxLength: 255 });
const bool = fc.boolean();

function fits(text: string): boolean {
  const length = Buffer.byteLength(text);
  return length <= 255 && Buffer.from(text).toString() === text;
}
function maybe<T>(value: Arbitrary<T>): Arbitrary<T | null> {
  return fc.option(value, { nil: null });
}
function list<T>(value: Arbitrary<T>): Arbitrary<T[]> {
  return fc.array(value, { maxLength: 4 });
}
/** Plain objects, as decoders make them. */
function record<T>(model: { [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}
function flags<K extends string>(...names: K[]): Arbitrary<Record<K, boolean>> {
  const model = Object.fromEntries(names.map((flag) => [flag, bool]));
  return record(model as Record<K, Arbitrary<boolean>>);
}
function mapped<T>(value: Arbitrary<T>): Arbitrary<Map<number, T> | null> {
  const entries = fc.uniqueArray(fc.tuple(u32, value), {
    minLength: 1,
    maxLength: 4,
    selector: ([id]) => id,
  });
  return maybe(entries.map((pairs) => new Map(pairs.sort(([left], [right]) => left - right))));
}

const identifier = fc.oneof(
  record({ kind: fc.constant('id' as const), id: u32 }),
  record({ kind: fc.constant('name' as const), name }),
);
const option = record({ key: name, kind: fc.integer({ min: 1, max: 255 }), value: someBytes });
const options = fc.uniqueArray(option, { maxLength: 4, selector: ({ key }) => key });
const permissions: Arbitrary<Permissions> = record({
  global: flags(
    'manageServers',
    'readServers',
    'manageUsers',
    'readUsers',
    'manageStreams',
    'readStreams',
    'manageTopics',
    'readTopics',
    'pollMessages',
    'sendMessages',
  ),
  streams: mapped(
    fc
      .tuple(
        flags(
          'manageStream',
          'readStream',
          'manageTopics',
          'readTopics',
          'pollMessages',
          'sendMessages',
        ),
        mapped(flags('manageTopic', 'readTopic', 'pollMessages', 'sendMessages')),
      )
      .map(([own, topics]) => ({ ...own, topics })),
  ),
});

const userId = { userId: identifier };
const streamId = { streamId: identifier };
const ofTopic = { ...streamId, topicId: identifier };
const ofGroup = { ...ofTopic, groupId: identifier };
const ofConsumer = {
  consumer: record({ kind: fc.constantFrom('consumer', 'group'), id: identifier }),
  ...ofTopic,
  partitionId: maybe(u32),
};
const poll = {
  ...ofConsumer,
  strategy: fc.oneof(
    record({ kind: fc.constant('offset'), offset: u64 }),
    record({ kind: fc.constant('timestamp'), timestampUs: u64 }),
    record({ kind: fc.constantFrom('first', 'last', 'next') }),
  ),
  count: u32,
  autoCommit: bool,
};
const status = fc.constantFrom('active', 'inactive');
const ack = fc.constantFrom('none', 'quorum');

const COMMANDS: Readonly<Record<CommandKind, Readonly<Record<string, Arbitrary<unknown>>>>> = {
  ping: {},
  getStats: {},
  getSnapshot: {
    compression: fc.constantFrom('stored', 'deflated', 'bzip2', 'zstd', 'lzma', 'xz'),
    types: list(
      fc.constantFrom(
        'filesystemOverview',
        'processList',
        'resourceUsage',
        'test',
        'serverLogs',
        'serverConfig',
        'all',
      ),
    ),
  },
  getClusterMetadata: {},
  describeOptions: { scope: fc.constantFrom('topic', 'stream', 'user') },
  attachConsumerSession: { clientId: u128, session: u64, metadataWatermark: u64 },
  getMe: {},
  getClient: { clientId: u32 },
  getClients: {},
  getUser: userId,
  getUsers: {},
  createUser: {
    username: name,
    password: text8,
    status,
    permissions: maybe(permissions),
    options,
  },
  deleteUser: userId,
  updateUser: { ...userId, username: maybe(name), status: maybe(status), options },
  updatePermissions: { ...userId, permissions: maybe(permissions) },
  changePassword: { ...userId, currentPassword: text8, newPassword: text8 },
  getPersonalAccessTokens: {},
  createPersonalAccessToken: { name, expiryUs: u64OrInfinity },
  deletePersonalAccessToken: { name },
  pollMessages: poll,
  sendMessages: {
    ...ofTopic,
    partitioning: fc.oneof(
      record({ kind: fc.constant('balanced') }),
      record({ kind: fc.constant('partition'), partitionId: u32 }),
      record({ kind: fc.constant('key'), key: someBytes }),
    ),
    messagesCount: u32,
  },
  flushUnsavedBuffer: { ...ofTopic, partitionId: u32, fsync: bool },
  getPollRouting: poll,
  pollMessagesOnPrimary: poll,
  getConsumerOffset: ofConsumer,
  storeConsumerOffset: { ...ofConsumer, offset: u64, ack },
  deleteConsumerOffset: { ...ofConsumer, ack },
  getConsumerOffsetRouting: ofConsumer,
  getStream: streamId,
  getStreams: {},
  createStream: { name, options },
  deleteStream: streamId,
  updateStream: { ...streamId, name, options },
  purgeStream: streamId,
  getTopic: ofTopic,
  getTopics: streamId,
  createTopic: { ...streamId, partitionsCount: u32, name, options },
  deleteTopic: ofTopic,
  updateTopic: { ...ofTopic, name, options },
  purgeTopic: ofTopic,
  createPartitions: { ...ofTopic, partitionsCount: u32 },
  deletePartitions: { ...ofTopic, partitionsCount: u32 },
  deleteSegments: { ...ofTopic, partitionId: u32, segmentsCount: u32 },
  getConsumerGroup: ofGroup,
  getConsumerGroups: ofTopic,
  createConsumerGroup: { ...ofTopic, name },
  deleteConsumerGroup: ofGroup,
  joinConsumerGroup: ofGroup,
  leaveConsumerGroup: ofGroup,
  syncConsumerGroup: ofGroup,
};

/** A record with one field that counts the entries of a list beside it. */
function counted<T extends object, E, C extends string, L extends string>(
  record: Arbitrary<T>,
  count: C,
  entries: L,
  entry: Arbitrary<E>,
): Arbitrary<T & Record<C, number> & Record<L, E[]>> {
  return fc
    .tuple(record, list(entry))
    .map(
      ([own, found]) =>
        ({ ...own, [count]: found.length, [entries]: found }) as T &
          Record<C, number> &
          Record<L, E[]>,
    );
}

const node = record({
  name: text8,
  ip: text8,
  tcpPort: u16,
  quicPort: u16,
  httpPort: u16,
  websocketPort: u16,
  role: fc.constantFrom('leader', 'follower'),
  status: fc.constantFrom('healthy', 'starting', 'stopping', 'unreachable', 'maintenance'),
});
const client = record({
  clientId: u32,
  userId: fc.oneof(fc.constant(null), fc.nat(0xffff_fffe)),
  transport: fc.constantFrom('tcp', 'quic', 'http', 'websocket'),
  address: text8,
  consumerGroupsCount: u32,
});
const clientDetails = counted(
  client,
  'consumerGroupsCount',
  'consumerGroups',
  record({ streamId: u32, topicId: u32, groupId: u32 }),
);
const user = record({ id: u32, createdAtUs: u64, status, username: name, options });
const userDetails = fc
  .tuple(user, maybe(permissions))
  .map(([own, block]) => ({ ...own, permissions: block }));
const stream = record({
  id: u32,
  createdAtUs: u64,
  topicsCount: u32,
  sizeBytes: u64,
  messagesCount: u64,
  name,
  options,
});
const topic = record({
  id: u32,
  createdAtUs: u64,
  partitionsCount: u32,
  messageExpiryUs: u64OrInfinity,
  compression: fc.constantFrom('none', 'gzip'),
  maxTopicSizeBytes: u64OrInfinity,
  sizeBytes: u64,
  messagesCount: u64,
  name,
  explicitOptions: options,
  derivedOptions: options,
});
const partition = record({
  id: u32,
  createdAtUs: u64,
  segmentsCount: u32,
  currentOffset: u64,
  sizeBytes: u64,
  messagesCount: u64,
});
const topicDetails = counted(topic, 'partitionsCount', 'partitions', partition);
const group = record({ id: u32, partitionsCount: u32, membersCount: u32, name });
const groupDetails = counted(
  group,
  'membersCount',
  'members',
  record({ id: u32, partitions: list(u32) }),
);
const routing = record({ clientId: u128, session: u64, metadataWatermark: u64, node });
const stats = record({
  processId: u32,
  cpuUsage: f32,
  totalCpuUsage: f32,
  memoryUsageBytes: u64,
  totalMemoryBytes: u64,
  availableMemoryBytes: u64,
  runTimeUs: u64,
  startTimeUs: u64,
  readBytes: u64,
  writtenBytes: u64,
  messagesSizeBytes: u64,
  streamsCount: u32,
  topicsCount: u32,
  partitionsCount: u32,
  segmentsCount: u32,
  messagesCount: u64,
  clientsCount: u32,
  consumerGroupsCount: u32,
  hostname: text8,
  osName: text8,
  osVersion: text8,
  kernelVersion: text8,
  serverVersion: text8,
  serverSemver: u32,
  cacheMetrics: list(
    record({
      streamId: u32,
      topicId: u32,
      partitionId: u32,
      hits: u64,
      misses: u64,
      hitRatio: f32,
    }),
  ),
  threadsCount: u32,
  freeDiskBytes: u64,
  totalDiskBytes: u64,
});

const REPLIES: Readonly<Partial<Record<CommandKind, Arbitrary<unknown>>>> = {
  getStats: stats,
  getSnapshot: bytes,
  getClusterMetadata: record({ name: text8, nodes: list(node) }),
  describeOptions: list(record({ key: name, kind: u8, defaultValue: bytes, description: text8 })),
  getMe: clientDetails,
  getClient: maybe(clientDetails),
  getClients: list(client),
  getUser: maybe(userDetails),
  getUsers: list(user),
  createUser: userDetails,
  getPersonalAccessTokens: list(
    record({ name, expiryAtUs: maybe(u64.filter((value) => value > 0)) }),
  ),
  createPersonalAccessToken: record({ token: name }),
  sendMessages: record({
    confirmations: list(record({ streamId: u32, topicId: u32, partitionId: u32, baseOffset: u64 })),
  }),
  getConsumerOffset: maybe(record({ partitionId: u32, currentOffset: u64, storedOffset: u64 })),
  getPollRouting: routing,
  getConsumerOffsetRouting: routing,
  getStream: maybe(counted(stream, 'topicsCount', 'topics', topic)),
  getStreams: list(stream),
  createStream: stream,
  getTopic: maybe(topicDetails),
  getTopics: list(topic),
  createTopic: topicDetails,
  getConsumerGroup: maybe(groupDetails),
  getConsumerGroups: list(group),
  createConsumerGroup: groupDetails,
  syncConsumerGroup: maybe(record({ generation: u64, partitions: list(u32) })),
};

const RUNS = { numRuns: 40 };

describe('round trips', () => {
  for (const kind of COMMAND_KINDS) {
    it(`keep the command ${kind}`, () => {
      const command = record({ kind: fc.constant(kind), ...COMMANDS[kind] });
      fc.assert(
        fc.property(command, (given) => {
          const { operation, code, body } = encodeCommand(given as never);
          assert.equal(operation, operationOf(kind));
          assert.equal(code, operation === OPERATION.nonReplicated ? codeOf(kind) : 0);
          assert.deepEqual(decodeCommand(operation, code, body, 0, body.length), { ...given });
        }),
        RUNS,
      );
    });
  }

  for (const kind of COMMAND_KINDS) {
    if (kind === 'pollMessages' || kind === 'pollMessagesOnPrimary') continue;
    it(`keep the reply of ${kind}`, () => {
      const given = REPLIES[kind] ?? fc.constant(null);
      fc.assert(
        fc.property(given, (reply) => {
          const body = encodeReply(kind as 'getMe', reply as never);
          assert.deepEqual(decodeReply(kind as 'getMe', body), { code: 0, reply, fault: null });
          assert(!hasResultSection(replyOperation(kind)) || body.length >= 4);
        }),
        RUNS,
      );
    });
  }

  it('keep a rejection where there is a result section', () => {
    for (const kind of COMMAND_KINDS) {
      if (!hasResultSection(replyOperation(kind))) continue;
      const decoded = decodeReply(kind as 'getMe', encodeRejection(1009));
      assert.deepEqual(decoded, { code: 1009, reply: null, fault: null });
    }
  });

  it('keep both forms of a login and never take one for the other by chance of a prefix', () => {
    const version = record({ protocolVersion: u32, sdkName: name, sdkVersion: name });
    const context = maybe(name);
    fc.assert(
      fc.property(version, name, text8, context, (sdk, username, secret, words) => {
        const password = { username, password: secret, context: words };
        const byPassword = encodeLogin(sdk, password);
        const head = decodeClientVersion(byPassword, 0, byPassword.length)!;
        assert.deepEqual(head.version, sdk);
        const end = byPassword.length;
        assert.deepEqual(decodePasswordForm(byPassword, head.formAt, end), password);
        const token = { token: secret, context: words };
        const byToken = encodeLogin(sdk, token);
        assert.deepEqual(decodeTokenForm(byToken, head.formAt, byToken.length), token);
      }),
    );
  });

  it('keep the reply of a login', () => {
    const given = record({
      userId: u32,
      session: u64.filter((session) => session > 0),
      serverProtocolVersion: u32,
      serverVersion: name,
    });
    fc.assert(
      fc.property(given, (reply) => {
        const body = encodeLoginReply(reply);
        assert.deepEqual(decodeLoginReply(body, 4, body.length), reply);
      }),
    );
  });

  it('keep the head of a poll', () => {
    const given = record({ partitionId: u32, currentOffset: u64, messagesCount: u32 });
    fc.assert(
      fc.property(given, (header) => {
        const head = new Uint8Array(16);
        encodePolledHeader(new DataView(head.buffer), 0, header);
        assert.deepEqual(decodePolledHeader(head, 0, 16), header);
      }),
    );
  });

  it('keep user headers, repeated keys and unknown kinds too', () => {
    const kind = fc.integer({ min: 1, max: 255 });
    const header = record({ keyKind: kind, key: someBytes, valueKind: kind, value: someBytes });
    fc.assert(
      fc.property(list(header), (headers) => {
        const area = encodeUserHeaders(headers);
        assert.deepEqual(decodeUserHeaders(area, 0, area.length), headers);
      }),
    );
  });

  it('keep batches, whatever their messages hold', () => {
    const message = record({
      id: u128,
      originTimestampUs: fc.integer({ min: 1e15, max: 1e15 + 0xffff_ffff }),
      payload: bytes,
      userHeaders: bytes,
    });
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 8 }), (messages) => {
        const encoded = encodeBatch(messages);
        assert(typeof encoded === 'object');
        const batch = decodeBatch(encoded, 0, encoded.length);
        assert(typeof batch === 'object');
        const given = { checksum: 0n, timestampUs: 0 };
        assert.deepEqual(
          batch.messages,
          messages.map((one, offset) => ({ ...one, ...given, offset })),
        );
      }),
    );
  });
});

describe('headers', () => {
  const words = fc
    .array(u32, { minLength: 4, maxLength: 4 })
    .map((four) => Uint32Array.from([four[0]! | 1, ...four.slice(1)]));

  it('of requests and their replies keep all fields and overwrite what was there', () => {
    const operation = fc.constantFrom(...Object.values(OPERATION));
    const given = record({
      size: fc.integer({ min: 256, max: 0xffff_ffff }),
      view: u32,
      replica: u8,
      operation,
      code: u32,
      session: u64,
      request: u64,
      timestamp: u64,
      userId: u32,
      cluster: words,
      client: words,
      requestChecksum: words,
    });
    fc.assert(
      fc.property(given, u64, u64, (fields, op, commit) => {
        const bytesOf = new Uint8Array(HEADER_BYTES + 8).fill(0xee);
        const view = new DataView(bytesOf.buffer);
        encodeRequestHeader(view, 4, fields);
        const request = new RequestHeader();
        decodeRequestHeader(view, 4, 4 + HEADER_BYTES, request);
        assert.deepEqual({ ...request }, fields);
        const reply = new ReplyHeader();
        echoRequest(request, reply);
        Object.assign(reply, { op, commit });
        encodeReplyHeader(view, 4, reply);
        const read = new ReplyHeader();
        assert.equal(decodeReplyHeader(view, 4, 4 + HEADER_BYTES, read), null);
        assert.deepEqual(read, reply);
        assert.deepEqual(read.client, fields.client);
        assert.deepEqual(
          [...bytesOf.subarray(0, 4), ...bytesOf.subarray(260)],
          Array(8).fill(0xee),
        );
      }),
    );
  });

  it('of evictions keep the window of reason 14', () => {
    fc.assert(
      fc.property(words, fc.integer({ min: 1, max: 15 }), u16, (client, reason, width) => {
        const window =
          reason === 14 ? { protocolMin: 11_264, protocolMax: 11_264 + width } : undefined;
        const frame = new Uint8Array(HEADER_BYTES).fill(0xee);
        encodeEviction(new DataView(frame.buffer), 0, { client, reason, ...window });
        assert.deepEqual(decodeEviction(new DataView(frame.buffer), 0, HEADER_BYTES), {
          cluster: new Uint32Array(4),
          view: 0,
          replica: 0,
          client,
          reason,
          protocolMax: window?.protocolMax ?? 0,
          protocolMin: window?.protocolMin ?? 0,
        });
      }),
    );
  });
});

describe('operation numbers', () => {
  it('of three replies are those of the servers, as clients know them', () => {
    const kinds = COMMAND_KINDS.filter((kind) => replyOperation(kind) !== operationOf(kind));
    assert.deepEqual(
      kinds.map((kind) => [kind, replyOperation(kind)]),
      [
        ['createTopic', 64],
        ['createPartitions', 65],
        ['deleteSegments', 68],
      ],
    );
  });

  it('refuse replicated commands sent as reads, and unknown codes', () => {
    const none = new Uint8Array(0);
    for (const kind of COMMAND_KINDS) {
      if (operationOf(kind) === OPERATION.nonReplicated) continue;
      const command = decodeCommand(OPERATION.nonReplicated, codeOf(kind), none, 0, 0);
      assert.equal(command, 5);
    }
    for (const code of [0, 2, 38, 39, 40, 44, 45, 60_000]) {
      assert.equal(decodeCommand(OPERATION.nonReplicated, code, none, 0, 0), 3);
    }
  });
});
