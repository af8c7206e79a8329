/**
 * Values that occur in many commands, free of any wire generation.
 *
 * units    u64 is a `number` up to 2^53-1; all ones (never, unlimited) is `Infinity`.
 *          Times and durations are microseconds. u128 values (client ids, group ids) are 32
 *          lowercase hex characters: the 16 bytes in wire order (little endian).
 */

/** Names a stream, topic, group or user: by number or by name; text of digits is a name. */
export type Identifier =
  | { readonly kind: 'id'; readonly id: number }
  | { readonly kind: 'name'; readonly name: string };

/** Who reads: a single consumer, or a consumer group of the topic. */
export interface Consumer {
  readonly kind: 'consumer' | 'group';
  readonly id: Identifier;
}

export type PollingStrategy =
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'timestamp'; readonly timestampUs: number }
  | { readonly kind: 'first' }
  | { readonly kind: 'last' }
  | { readonly kind: 'next' };

/** Which partition a batch goes to. A key is 1..255 raw bytes, borrowed from the request. */
export type Partitioning =
  | { readonly kind: 'balanced' }
  | { readonly kind: 'partition'; readonly partitionId: number }
  | { readonly kind: 'key'; readonly key: Uint8Array };

/** Header kinds 1..15 of user headers and option values; others pass as stored bytes. */
export const HEADER_KIND = {
  raw: 1,
  string: 2,
  bool: 3,
  int8: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  int128: 8,
  uint8: 9,
  uint16: 10,
  uint32: 11,
  uint64: 12,
  uint128: 13,
  float32: 14,
  float64: 15,
} as const;

/** One option of a stream, topic or user: value bytes (1..255, owned) in the encoding of `kind`. */
export interface Option {
  readonly key: string;
  readonly kind: number;
  readonly value: Uint8Array;
}

export type Options = readonly Option[];

export interface GlobalPermissions {
  readonly manageServers: boolean;
  readonly readServers: boolean;
  readonly manageUsers: boolean;
  readonly readUsers: boolean;
  readonly manageStreams: boolean;
  readonly readStreams: boolean;
  readonly manageTopics: boolean;
  readonly readTopics: boolean;
  readonly pollMessages: boolean;
  readonly sendMessages: boolean;
}

export interface TopicPermissions {
  readonly manageTopic: boolean;
  readonly readTopic: boolean;
  readonly pollMessages: boolean;
  readonly sendMessages: boolean;
}

export interface StreamPermissions {
  readonly manageStream: boolean;
  readonly readStream: boolean;
  readonly manageTopics: boolean;
  readonly readTopics: boolean;
  readonly pollMessages: boolean;
  readonly sendMessages: boolean;
  /** By topic id, ascending; null when the entry names no topics. */
  readonly topics: ReadonlyMap<number, TopicPermissions> | null;
}

/** What a user may do. Any flag that grants an action is enough. */
export interface Permissions {
  readonly global: GlobalPermissions;
  /** By stream id, ascending; null when no stream is named. */
  readonly streams: ReadonlyMap<number, StreamPermissions> | null;
}

export type UserStatus = 'active' | 'inactive';
export type CompressionAlgorithm = 'none' | 'gzip';
export type TransportKind = 'tcp' | 'quic' | 'http' | 'websocket';
export type OptionsScope = 'topic' | 'stream' | 'user';
export type SnapshotCompression = 'stored' | 'deflated' | 'bzip2' | 'zstd' | 'lzma' | 'xz';
export type SnapshotType =
  | 'filesystemOverview'
  | 'processList'
  | 'resourceUsage'
  | 'test'
  | 'serverLogs'
  | 'serverConfig'
  | 'all';
