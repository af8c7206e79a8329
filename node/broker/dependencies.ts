import type { StatsReply } from '@iggy-ts/wire/commands/replies';
import type { SnapshotCompression, SnapshotType } from '@iggy-ts/wire/commands/values';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Pool } from '../base/pool.ts';
import type { Groups } from '../cluster/port.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { TopicSettings } from '../state/topic-options.ts';

/** What the broker is told once, and the ports it works through. Built by the composition root. */

export interface BrokerOptions {
  /** Largest frame in both directions; replies stay below it. */
  readonly frameBytesMax: number;
  /** Sessions in the table. */
  readonly sessionsMax: number;
  readonly heartbeat: { readonly enabled: boolean; readonly intervalUs: number };
  /** How long a member may keep a partition that was given to another before it is taken. */
  readonly revocationTimeoutUs: number;
  readonly tokens: {
    readonly perUserMax: number;
    readonly cleanerEnabled: boolean;
    readonly cleanerIntervalUs: number;
  };
  /** What topics get that name nothing else. */
  readonly topicDefaults: TopicSettings;
  /** Host that clients are told to dial; empty: the address at which the client asks. */
  readonly advertisedAddress: string;
}

/** Cryptographically strong random bytes, owned by the caller. */
export type RandomBytes = (count: number) => Uint8Array;

/** Slow password hashes, computed off the event loop. errors: 58 too many wait. */
export interface Hasher {
  hash(password: string): Promise<string>;
  verify(password: string, hash: string): Promise<boolean>;
}

/** Figures of GetStats that the machine knows; the rest is counted by the broker. */
type SystemFigures = Omit<
  StatsReply,
  | 'messagesSizeBytes'
  | 'streamsCount'
  | 'topicsCount'
  | 'partitionsCount'
  | 'segmentsCount'
  | 'messagesCount'
  | 'clientsCount'
  | 'consumerGroupsCount'
  | 'serverVersion'
  | 'serverSemver'
  | 'cacheMetrics'
>;

export interface SystemStats {
  read(): SystemFigures | Promise<SystemFigures>;
}

/** Where this node listens. A port is 0 when the transport is not offered. */
export interface NodeAddress {
  /** Host the binary transport is bound to; may be a wildcard. */
  readonly host: string;
  readonly tcpPort: number;
  readonly quicPort: number;
  readonly httpPort: number;
  readonly websocketPort: number;
}

/** Makes the ZIP of GetSnapshot. errors: OperatingError 3 for a compression it does not know. */
export interface SnapshotMaker {
  make(types: readonly SnapshotType[], compression: SnapshotCompression): Promise<Uint8Array>;
}

/** Told of what was done, for metrics. Never throws, never waits. */
export interface BrokerObserver {
  appended(batch: { readonly bytes: number; readonly messages: number; readonly us: number }): void;
  polled(records: { readonly bytes: number; readonly messages: number; readonly us: number }): void;
  /** A status code with which a request was refused. */
  refused(code: number): void;
}

export interface BrokerDependencies {
  readonly groups: Groups;
  readonly kernel: Kernel;
  readonly pool: Pool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly randomBytes: RandomBytes;
  readonly hasher: Hasher;
  readonly systemStats: SystemStats;
  /** Asked at every use, because ports are known only after the listeners are open. */
  readonly nodeAddress: () => NodeAddress;
  readonly snapshots: SnapshotMaker;
  readonly observer: BrokerObserver;
}
