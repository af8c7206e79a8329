// One file: the whole vocabulary of failure, one line per code, so that a reader finds a number at once.
import assert from 'node:assert/strict';

/**
 * Every status code of the protocol by name, in the order of their numbers. The name in snake case
 * is the `code` member of an HTTP error. Many are never sent by this server: they are here because
 * a client may make them, and because a number must not be given a second meaning.
 *
 * source   codes 1..13000 of generation 0.8, none changed since; the others came with 0.9
 */
const CODES = {
  error: 1,
  invalidConfiguration: 2,
  invalidCommand: 3,
  invalidFormat: 4,
  featureUnavailable: 5,
  invalidIdentifier: 6,
  invalidVersion: 7,
  disconnected: 8,
  cannotEstablishConnection: 9,
  cannotCreateBaseDirectory: 10,
  cannotCreateRuntimeDirectory: 11,
  cannotRemoveRuntimeDirectory: 12,
  cannotCreateStateDirectory: 13,
  stateFileNotFound: 14,
  stateFileCorrupted: 15,
  invalidStateEntryChecksum: 16,
  cannotOpenDatabase: 19,
  resourceNotFound: 20,
  cannotCloseWebSocketConnection: 21,
  staleClient: 30,
  tcpError: 31,
  quicError: 32,
  invalidServerAddress: 33,
  invalidClientAddress: 34,
  invalidIpAddress: 35,
  httpError: 36,
  invalidApiUrl: 37,
  unauthenticated: 40,
  unauthorized: 41,
  invalidCredentials: 42,
  invalidUsername: 43,
  invalidPassword: 44,
  invalidUserStatus: 45,
  userAlreadyExists: 46,
  userInactive: 47,
  cannotDeleteUser: 48,
  cannotChangePermissions: 49,
  invalidPersonalAccessTokenName: 50,
  personalAccessTokenAlreadyExists: 51,
  personalAccessTokensLimitReached: 52,
  invalidPersonalAccessToken: 53,
  personalAccessTokenExpired: 54,
  usersLimitReached: 55,
  invalidPersonalAccessTokenExpiry: 56,
  transientNotCommitted: 57,
  transientNotAccepted: 58,
  requestAlreadyApplied: 59,
  notConnected: 61,
  clientShutdown: 63,
  invalidTlsDomain: 64,
  invalidTlsCertificatePath: 65,
  invalidTlsCertificate: 66,
  failedToAddCertificate: 67,
  invalidEncryptionKey: 70,
  cannotEncryptData: 71,
  cannotDecryptData: 72,
  invalidJwtAlgorithm: 73,
  invalidJwtSecret: 74,
  jwtMissing: 75,
  cannotGenerateJwt: 76,
  accessTokenMissing: 77,
  invalidAccessToken: 78,
  cannotFetchJwks: 79,
  invalidSizeBytes: 80,
  invalidUtf8: 81,
  invalidNumberEncoding: 82,
  invalidBooleanValue: 83,
  invalidNumberValue: 84,
  clientNotFound: 100,
  invalidClientId: 101,
  connectionClosed: 206,
  cannotParseHeaderKind: 209,
  httpResponseError: 300,
  invalidHttpRequest: 301,
  invalidJsonResponse: 302,
  invalidBytesResponse: 303,
  emptyResponse: 304,
  cannotCreateEndpoint: 305,
  cannotParseUrl: 306,
  webSocketError: 400,
  webSocketConnectionError: 401,
  webSocketCloseError: 402,
  webSocketReceiveError: 403,
  webSocketSendError: 404,
  cannotCreateStreamsDirectory: 1000,
  cannotCreateStreamDirectory: 1001,
  cannotCreateStreamInfo: 1002,
  cannotUpdateStreamInfo: 1003,
  cannotOpenStreamInfo: 1004,
  cannotReadStreamInfo: 1005,
  cannotCreateStream: 1006,
  cannotDeleteStream: 1007,
  cannotDeleteStreamDirectory: 1008,
  streamIdNotFound: 1009,
  streamNameNotFound: 1010,
  streamDirectoryNotFound: 1011,
  streamNameAlreadyExists: 1012,
  invalidStreamName: 1013,
  invalidStreamId: 1014,
  cannotReadStreams: 1015,
  invalidTopicSize: 1019,
  tooManyStreams: 1020,
  cannotCreateTopicsDirectory: 2000,
  cannotCreateTopicDirectory: 2001,
  cannotCreateTopicInfo: 2002,
  cannotUpdateTopicInfo: 2003,
  cannotOpenTopicInfo: 2004,
  cannotReadTopicInfo: 2005,
  cannotCreateTopic: 2006,
  cannotDeleteTopic: 2007,
  cannotDeleteTopicDirectory: 2008,
  cannotPollTopic: 2009,
  topicIdNotFound: 2010,
  topicNameNotFound: 2011,
  topicNameAlreadyExists: 2013,
  invalidTopicName: 2014,
  tooManyPartitions: 2015,
  invalidTopicId: 2016,
  cannotReadTopics: 2017,
  invalidReplicationFactor: 2018,
  invalidPartitionsCount: 2019,
  topicDirectoryNotFound: 2020,
  tooManyTopics: 2021,
  cannotCreatePartition: 3000,
  cannotCreatePartitionsDirectory: 3001,
  cannotCreatePartitionDirectory: 3002,
  cannotOpenPartitionLogFile: 3003,
  cannotReadPartitions: 3004,
  cannotDeletePartition: 3005,
  cannotDeletePartitionDirectory: 3006,
  partitionNotFound: 3007,
  noPartitions: 3008,
  topicFull: 3009,
  cannotDeleteConsumerOffsetsDirectory: 3010,
  cannotDeleteConsumerOffsetFile: 3011,
  cannotCreateConsumerOffsetsDirectory: 3012,
  partitionIdSpaceExhausted: 3013,
  cannotReadConsumerOffsets: 3020,
  consumerOffsetNotFound: 3021,
  notResolvedConsumer: 3022,
  cannotOpenConsumerOffsetsFile: 3023,
  tooManyConsumerOffsets: 3024,
  segmentNotFound: 4000,
  segmentClosed: 4001,
  invalidSegmentSize: 4002,
  cannotCreateSegmentLogFile: 4003,
  cannotCreateSegmentIndexFile: 4004,
  cannotCreateSegmentTimeIndexFile: 4005,
  cannotSaveMessagesToSegment: 4006,
  cannotSaveIndexToSegment: 4007,
  cannotSaveTimeIndexToSegment: 4008,
  invalidMessagesCount: 4009,
  cannotAppendMessage: 4010,
  cannotReadMessage: 4011,
  cannotReadMessageId: 4012,
  cannotReadMessageState: 4013,
  cannotReadMessageTimestamp: 4014,
  cannotReadHeadersLength: 4015,
  cannotReadHeadersPayload: 4016,
  tooBigUserHeaders: 4017,
  invalidHeaderKey: 4018,
  invalidHeaderValue: 4019,
  cannotReadMessageLength: 4020,
  cannotReadMessagePayload: 4021,
  tooBigMessagePayload: 4022,
  tooManyMessages: 4023,
  emptyMessagePayload: 4024,
  invalidMessagePayloadLength: 4025,
  cannotReadMessageChecksum: 4026,
  invalidMessageChecksum: 4027,
  invalidKeyValueLength: 4028,
  commandLengthError: 4029,
  invalidSegmentsCount: 4030,
  nonZeroOffset: 4031,
  nonZeroTimestamp: 4032,
  missingIndex: 4033,
  invalidIndexesByteSize: 4034,
  invalidIndexesCount: 4035,
  invalidMessagesSize: 4036,
  tooSmallMessage: 4037,
  invalidMessageTimestampDelta: 4038,
  invalidBatchChecksum: 4039,
  invalidHeaderKind: 4040,
  unsupportedOptionKey: 4041,
  invalidOptionValue: 4042,
  optionsBlockTooLarge: 4043,
  cannotSendMessagesDueToClientDisconnection: 4050,
  backgroundSendError: 4051,
  backgroundSendTimeout: 4052,
  backgroundSendBufferFull: 4053,
  backgroundWorkerDisconnected: 4054,
  backgroundSendBufferOverflow: 4055,
  producerSendFailed: 4056,
  producerClosed: 4057,
  invalidOffset: 4100,
  invalidReservedField: 4101,
  segmentSizeMismatchAtOpen: 4102,
  consumerGroupIdNotFound: 5000,
  invalidConsumerGroupId: 5002,
  consumerGroupNameNotFound: 5003,
  consumerGroupNameAlreadyExists: 5004,
  invalidConsumerGroupName: 5005,
  consumerGroupMemberNotFound: 5006,
  cannotCreateConsumerGroupInfo: 5007,
  cannotDeleteConsumerGroupInfo: 5008,
  consumerGroupPartitionNotOwned: 5009,
  missingBaseOffsetRetainedMessageBatch: 6000,
  missingLastOffsetDeltaRetainedMessageBatch: 6001,
  missingMaxTimestampRetainedMessageBatch: 6002,
  missingLengthRetainedMessageBatch: 6003,
  missingPayloadRetainedMessageBatch: 6004,
  cannotReadBatchBaseOffset: 7000,
  cannotReadBatchLength: 7001,
  cannotReadLastOffsetDelta: 7002,
  cannotReadMaxTimestamp: 7003,
  cannotReadBatchPayload: 7004,
  invalidConnectionString: 8000,
  snapshotFileCompletionFailed: 9000,
  cannotSerializeResource: 10000,
  cannotDeserializeResource: 10001,
  cannotReadFile: 10002,
  cannotReadFileMetadata: 10003,
  cannotSeekFile: 10004,
  cannotAppendToFile: 10005,
  cannotWriteToFile: 10006,
  cannotOverwriteFile: 10007,
  cannotDeleteFile: 10008,
  cannotSyncFile: 10009,
  cannotReadIndexOffset: 10010,
  cannotReadIndexPosition: 10011,
  cannotReadIndexTimestamp: 10012,
  timestampOutOfRange: 10013,
  shardNotFound: 11000,
  shardCommunicationError: 11001,
  cannotBindToSocket: 12000,
  taskTimeout: 12001,
  ioError: 13000,
  alreadyAuthenticated: 14000,
  invalidSession: 14001,
  incompatibleProtocolVersion: 14003,
} as const;

/** Names for what this server means by a code whose own name is wider. */
const MEANINGS = {
  /** The log cannot grow: less than the reserve is free. Appends only; reads and deletes go on. */
  diskFull: 10005,
} as const;

type StatusName = keyof typeof CODES | keyof typeof MEANINGS;

export const STATUS: { readonly [Name in StatusName]: number } = { ...CODES, ...MEANINGS };

/** HTTP status of a code; 400 for all that are not named. There is no 500 in this mapping. */
const HTTP: ReadonlyMap<number, number> = new Map([
  [CODES.unauthenticated, 401],
  [CODES.invalidPersonalAccessToken, 401],
  [CODES.accessTokenMissing, 401],
  [CODES.invalidAccessToken, 401],
  [CODES.unauthorized, 403],
  [CODES.resourceNotFound, 404],
  [CODES.clientNotFound, 404],
  [CODES.streamIdNotFound, 404],
  [CODES.topicIdNotFound, 404],
  [CODES.partitionNotFound, 404],
  [CODES.consumerOffsetNotFound, 404],
  [CODES.segmentNotFound, 404],
  [CODES.consumerGroupIdNotFound, 404],
  [CODES.consumerGroupNameNotFound, 404],
  [CODES.consumerGroupMemberNotFound, 404],
]);

/** The `field` member of an HTTP error, where a code speaks of one member. */
const FIELD: ReadonlyMap<number, string> = new Map([
  [CODES.userAlreadyExists, 'username'],
  [CODES.personalAccessTokenAlreadyExists, 'name'],
  [CODES.clientNotFound, 'client_id'],
  [CODES.streamIdNotFound, 'stream_id'],
  [CODES.streamNameAlreadyExists, 'name'],
  [CODES.invalidStreamName, 'name'],
  [CODES.invalidStreamId, 'stream_id'],
  [CODES.topicIdNotFound, 'topic_id'],
  [CODES.topicNameAlreadyExists, 'name'],
  [CODES.invalidTopicName, 'name'],
  [CODES.invalidTopicId, 'topic_id'],
  [CODES.partitionNotFound, 'partition_id'],
  [CODES.segmentNotFound, 'segment_id'],
  [CODES.invalidOffset, 'offset'],
  [CODES.invalidConsumerGroupId, 'consumer_group_id'],
  [CODES.consumerGroupNameAlreadyExists, 'name'],
]);

/** The same request may succeed later without being changed. */
const RETRYABLE: ReadonlySet<number> = new Set([
  CODES.transientNotCommitted,
  CODES.transientNotAccepted,
  CODES.cannotAppendToFile,
]);

/** Sentences where the name alone does not tell a human what to do. */
const TEXT: ReadonlyMap<number, string> = new Map([
  [CODES.error, 'Something went wrong'],
  [CODES.invalidCommand, 'Command is unknown or its body cannot be decoded'],
  [CODES.invalidFormat, 'Request does not match its checksum'],
  [CODES.featureUnavailable, 'This server does not offer the requested feature'],
  [CODES.resourceNotFound, 'Resource not found'],
  [CODES.staleClient, 'Client sent nothing for too long and lost its session'],
  [CODES.unauthenticated, 'Log in first'],
  [CODES.unauthorized, 'Permission is missing'],
  [CODES.invalidCredentials, 'Invalid credentials'],
  [CODES.invalidUsername, 'User name must have 3 to 50 bytes'],
  [CODES.invalidPassword, 'Password must have 3 to 100 bytes'],
  [CODES.cannotDeleteUser, 'The root user cannot be deleted'],
  [CODES.cannotChangePermissions, 'Permissions of the root user cannot be changed'],
  [CODES.transientNotCommitted, 'Not committed yet or outcome unknown; repeat the same request'],
  [CODES.transientNotAccepted, 'Not accepted now and not carried out; try again'],
  [CODES.requestAlreadyApplied, 'Request was carried out earlier; its reply is gone'],
  [CODES.streamIdNotFound, 'Stream not found'],
  [CODES.topicIdNotFound, 'Topic not found'],
  [CODES.consumerGroupIdNotFound, 'Consumer group not found'],
  [CODES.invalidTopicSize, 'Maximum topic size is below the segment size'],
  [CODES.tooManyPartitions, 'Number of partitions in one request is out of bounds'],
  [CODES.cannotAppendToFile, 'Disk is full: appends are refused until space is free'],
]);

/** All that is to be known about one code. `text` is one English sentence without a full stop. */
export interface StatusRow {
  readonly code: number;
  /** Snake case; the `code` member of an HTTP error. */
  readonly name: string;
  readonly http: number;
  readonly field: string | null;
  readonly retryable: boolean;
  readonly text: string;
}

const ROWS: ReadonlyMap<number, StatusRow> = new Map(
  Object.entries(CODES).map(([name, code]) => [code, rowOf(name, code)]),
);

function rowOf(camelName: string, code: number): StatusRow {
  assert(code > 0);
  const name = camelName.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`);
  const words = name.replaceAll('_', ' ');
  return Object.freeze({
    code,
    name,
    http: HTTP.get(code) ?? 400,
    field: FIELD.get(code) ?? null,
    retryable: RETRYABLE.has(code),
    text: TEXT.get(code) ?? words[0]!.toUpperCase() + words.slice(1),
  });
}

/** The row of a code; a number without a row is an `error` with that number, as clients show it. */
export function statusRow(code: number): StatusRow {
  assert(Number.isInteger(code) && code > 0);
  return ROWS.get(code) ?? { ...ROWS.get(CODES.error)!, code };
}

/**
 * An operation that was refused. The code travels to the client; the detail stays in the log.
 * Whoever can handle it does so once, at the edge.
 */
export class OperatingError extends Error {
  readonly code: number;
  readonly retryable: boolean;

  constructor(code: number, detail?: string, options?: { readonly cause?: unknown }) {
    const row = statusRow(code);
    super(detail === undefined ? row.text : `${row.text}: ${detail}`, options);
    this.name = 'OperatingError';
    this.code = code;
    this.retryable = row.retryable;
  }
}
