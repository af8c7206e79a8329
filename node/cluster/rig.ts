import assert from 'node:assert/strict';
import { encodeBatch, readMessages } from '@iggy-ts/wire/batch';
import type { Clock } from '../base/clock.ts';
import type { LogFields, Logger } from '../base/logger.ts';
import { Pool } from '../base/pool.ts';
import { Kernel } from '../kernel/kernel.ts';
import type { Disk } from '../log/file.ts';
import type { MetadataOp } from '../state/metadata-op.ts';
import type { Outcome } from '../state/outcome.ts';
import { resolveTopicOptions, type TopicSettings } from '../state/topic-options.ts';
import { type FolderLock, NodeStore, type NodeStoreOptions } from './node-store.ts';
import type { Cipher } from './partition-group.ts';
import type { Appended, PartitionGroup, RequestNumber } from './port.ts';
import { partitionSettingsOf } from './topology.ts';

/** For tests: a node without network, whose clock stands still unless it is moved. */

const MIB = 1024 * 1024;
const POOL_BYTES = 64 * MIB;

export const SETTINGS: TopicSettings = {
  compression: 'none',
  messageExpiryUs: Infinity,
  maxTopicSizeBytes: Infinity,
  segmentBytes: MIB,
  durability: 'replicated',
  consumerOffsetDurability: 'replicated',
  messagesRequiredToSave: 1024,
  bytesRequiredToSave: MIB,
  preallocateSegments: false,
};

/** A clock that a test moves. Timers run when their time is passed. */
export class ManualClock implements Clock {
  #us = 1_700_000_000_000_000;
  #timers: { readonly atUs: number; readonly run: () => void }[] = [];

  monotonicUs(): number {
    return this.#us;
  }

  wallUs(): number {
    return this.#us;
  }

  startTimer(ms: number, run: () => void): () => void {
    const timer = { atUs: this.#us + ms * 1000, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  pass(ms: number): void {
    this.#us += ms * 1000;
    const due = this.#timers.filter(({ atUs }) => atUs <= this.#us);
    this.#timers = this.#timers.filter(({ atUs }) => atUs > this.#us);
    for (const { run } of due) run();
  }

  /** The wall clock is set back. */
  turnBack(ms: number): void {
    this.#us -= ms * 1000;
  }
}

/** Keeps what was logged, as `level text`. */
export class LogBook implements Logger {
  readonly lines: string[] = [];
  debug(text: string): void {
    this.lines.push(`debug ${text}`);
  }
  info(text: string): void {
    this.lines.push(`info ${text}`);
  }
  warn(text: string, fields?: LogFields): void {
    this.lines.push(`warn ${text} ${String(fields?.['error'] ?? '')}`);
  }
  error(text: string): void {
    this.lines.push(`error ${text}`);
  }
}

/** What outlives a restart of the node. The memory can be that of another rig, to save time. */
export class Rig {
  readonly clock: ManualClock = new ManualClock();
  readonly logger: LogBook = new LogBook();
  readonly fatal: Error[] = [];
  /** Called with the first fatal error. */
  onDeath: (error: Error) => void = () => undefined;
  readonly pool: Pool;
  readonly kernel: Kernel;
  readonly directory: string;
  readonly disk: Disk;
  cipher: Cipher | null = null;
  #drawn = 0;

  constructor(directory: string, disk: Disk, memory?: Pick<Rig, 'pool' | 'kernel'>) {
    this.pool = memory?.pool ?? new Pool({ bytes: POOL_BYTES, slotBytesMax: 16 * MIB });
    this.kernel = memory?.kernel ?? new Kernel(this.pool);
    this.directory = directory;
    this.disk = disk;
  }

  open(
    changed: Partial<NodeStoreOptions> = {},
    lockFolder: (directory: string) => Promise<FolderLock> = noLock,
  ): Promise<NodeStore> {
    const options: NodeStoreOptions = {
      directory: this.directory,
      fsync: { policy: 'always', intervalMs: 1000 },
      validateChecksum: true,
      acceptDataLoss: false,
      offsetsMax: 8,
      retention: { enabled: true, intervalMs: 60_000 },
      diskReserveBytes: 0,
      openFilesMax: 256,
      opsCacheBytes: 8 * MIB,
      ...changed,
    };
    const { disk, pool, kernel, clock, logger } = this;
    return NodeStore.open(options, {
      disk,
      lockFolder,
      pool,
      kernel,
      clock,
      logger,
      randomBytes: (count) => this.#draw(count),
      cipher: this.cipher,
      onFatal: (error) => {
        this.fatal.push(error);
        this.onDeath(error);
      },
      onRound: () => undefined,
    });
  }

  /** Appends messages with these texts, as one batch. */
  async append(
    partition: PartitionGroup,
    texts: readonly string[],
    numbering: RequestNumber | null = null,
  ): Promise<Appended> {
    const batch = encodeBatch(
      texts.map((text, index) => ({
        id: index.toString(16).padStart(32, '0'),
        originTimestampUs: 1,
        payload: new TextEncoder().encode(text),
        userHeaders: new Uint8Array(0),
      })),
    );
    assert(batch instanceof Uint8Array);
    const batchAt = await this.pool.takeWhenFree(batch.length);
    try {
      this.pool.bytes.set(batch, batchAt);
      assert(this.kernel.seal(batchAt, batch.length));
      const batchBytes = batch.length;
      const count = texts.length;
      return await partition.append({ batchAt, batchBytes, count, partitionId: 0, numbering });
    } finally {
      this.pool.give(batchAt);
    }
  }

  /** Texts of all messages from an offset on, over as many reads as it takes. */
  async textsFrom(partition: PartitionGroup, offsetFirst: number): Promise<string[]> {
    const texts: string[] = [];
    for (let offset = offsetFirst; ; ) {
      const wanted = { offset, count: 1000, bytesMax: MIB, headroom: 64 };
      const records = await partition.read(wanted);
      if (records === null) return texts;
      const { slotAt, recordsAt, recordsBytes } = records;
      const messages = readMessages(this.pool.bytes, recordsAt, recordsAt + recordsBytes);
      assert(Array.isArray(messages));
      for (const message of messages) {
        assert(message.offset >= offset);
        offset = message.offset + 1;
        texts.push(new TextDecoder().decode(message.payload));
      }
      this.pool.give(slotAt);
    }
  }

  #draw(count: number): Uint8Array {
    this.#drawn += 1;
    const bytes = new Uint8Array(count);
    new DataView(bytes.buffer).setUint32(0, this.#drawn);
    return bytes;
  }
}

function noLock(): Promise<FolderLock> {
  return Promise.resolve({ release: () => Promise.resolve() });
}

/** Proposes as the server itself and asserts success. */
export async function execute(store: NodeStore, op: MetadataOp): Promise<Outcome> {
  const outcome = await store.metadata.propose(op, null);
  assert.equal(outcome.code, 0);
  return outcome;
}

/** Makes stream `s` if need be and a topic in it; returns its partitions. */
export async function createTopic(
  store: NodeStore,
  name: string,
  options: { readonly partitions: number; readonly settings?: Partial<TopicSettings> },
): Promise<PartitionGroup[]> {
  const caller = null;
  if (store.metadata.state.counts().streams === 0) {
    await execute(store, { kind: 'createStream', caller, name: 's' });
  }
  const uuids = Array.from({ length: options.partitions }, () => store.newUuid());
  const settings = { ...SETTINGS, ...options.settings };
  await store.prepare(uuids, partitionSettingsOf(settings));
  const streamId = { kind: 'id', id: 0 } as const;
  const { derived } = resolveTopicOptions([], settings, options.partitions);
  await execute(store, {
    kind: 'createTopic',
    caller,
    streamId,
    name,
    explicit: [],
    derived,
    uuids,
  });
  return uuids.map((uuid) => partitionOf(store, uuid));
}

export function partitionOf(store: NodeStore, uuid: string): PartitionGroup {
  const partition = store.partition(uuid);
  assert(partition !== null);
  return partition;
}
