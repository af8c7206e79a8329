import type {
  ConsumerGroupDetailsReply,
  StreamReply,
  TopicDetailsReply,
  UserDetailsReply,
} from '@iggy-ts/wire/commands/replies';
import type { MetadataOp } from './metadata-op.ts';
import type { TopicSettings } from './topic-options.ts';

/** Where a metadata op came from and where it stands in the log. */
export interface Origin {
  readonly op: number;
  /** Log time, never going back. */
  readonly timestampUs: number;
  /** null: not numbered (the server itself, HTTP, connections of generation 0.8). */
  readonly client: string | null;
  readonly session: number;
  readonly request: number;
  /** Halves of the stamp of the request; zeros are "not stamped". */
  readonly checksumLow: number;
  readonly checksumHigh: number;
}

/** What an applied op asks of the rooms that keep files and connections. In this order. */
export type Change =
  | {
      readonly kind: 'partitionsCreated';
      readonly uuids: readonly string[];
      readonly settings: TopicSettings;
    }
  | { readonly kind: 'partitionsDeleted'; readonly uuids: readonly string[] }
  | { readonly kind: 'partitionsPurged'; readonly uuids: readonly string[]; readonly purge: number }
  | { readonly kind: 'partitionTrimmed'; readonly uuid: string; readonly offset: number }
  | { readonly kind: 'groupDeleted'; readonly uuids: readonly string[]; readonly groupId: number }
  /** Settings that may change did: message expiry, size limit, compression. */
  | {
      readonly kind: 'topicUpdated';
      readonly uuids: readonly string[];
      readonly settings: TopicSettings;
    }
  | { readonly kind: 'sessionEnded'; readonly client: string };

/** null: the op answers nothing. Of createToken too: the raw token is known to the proposer only. */
export type MetadataReply =
  | StreamReply
  | TopicDetailsReply
  | ConsumerGroupDetailsReply
  | UserDetailsReply
  | null;

/** What came of an op. */
export interface Outcome {
  /** 0, or the code of a refusal. */
  readonly code: number;
  /** Counters of messages and bytes are zero. */
  readonly reply: MetadataReply;
  /** Of a repeat: those of the first execution. */
  readonly op: number;
  readonly timestampUs: number;
  /** Answered from memory, nothing was executed. */
  readonly repeated: boolean;
  /** Reason (wire 0.9, 3.4) for which the session of the request is dead; 0 for none. */
  readonly eviction: number;
  readonly changes: readonly Change[];
}

/** A reply that is kept for repeats of its request. */
export interface StoredReply {
  readonly request: number;
  readonly checksumLow: number;
  readonly checksumHigh: number;
  readonly op: number;
  readonly timestampUs: number;
  readonly kind: MetadataOp['kind'];
  readonly code: number;
  /** Of createTopic without its partitions, which can be told from their count. */
  readonly reply: MetadataReply;
}

/** Eviction reasons that applying an op can lead to. */
export const EVICTION = {
  noSession: 1,
  sessionTooLow: 7,
  invalidCredentials: 9,
  userInactive: 11,
  sessionError: 12,
} as const;
