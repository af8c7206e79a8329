import assert from 'node:assert/strict';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Pool } from '../base/pool.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type Disk, isDiskFull } from '../log/file.ts';
import type { GroupLog } from '../log/group-log.ts';
import { hexOf } from '../log/op-header.ts';
import { OpenFiles } from '../log/open-files.ts';
import { OpsCache } from '../log/ops-cache.ts';
import { createDirectory } from '../log/segment-files.ts';
import { type Round, type SyncPolicy, SyncRounds } from '../log/sync-rounds.ts';
import { MetadataState } from '../state/metadata-state.ts';
import type { Placement } from '../state/metadata-tables.ts';
import type { Change } from '../state/outcome.ts';
import { PartitionState } from '../state/partition-state.ts';
import { finishFolder, openFolder, pathsOf } from './data-folder.ts';
import { DiskSpace } from './disk-space.ts';
import { GroupDirectories, METADATA_UUID } from './group-directories.ts';
import type { Identity } from './identity.ts';
import { Metadata } from './metadata-group.ts';
import { inParallel } from './parallel.ts';
import { type Cipher, Partition } from './partition-group.ts';
import type { Groups, PartitionGroup, PartitionSettings } from './port.ts';
import { Retention } from './retention.ts';
import { partitionSettingsOf, retentionRulesOf } from './topology.ts';
import { Trash } from './trash.ts';

// One node and its folder:
//
//   open     lock ─► identity ─► metadata replayed ─► partitions opened ─► what a crash cut off
//            is made up for ─► served
//   an op    metadata commits ─► its changes begin on the partitions ─► all done ─► answered
//   close    no new ops ─► changes done ─► partitions drained, synced, snapshotted ─► metadata
//            ─► unlock

export interface NodeStoreOptions {
  /** Absolute path of the data folder; made when it is missing. */
  readonly directory: string;
  readonly fsync: { readonly policy: SyncPolicy; readonly intervalMs: number };
  /** Whether batches are checked against their checksums when they are read. */
  readonly validateChecksum: boolean;
  /** Go on without what is damaged, once. */
  readonly acceptDataLoss: boolean;
  /** Stored offsets per partition and kind of consumer. */
  readonly offsetsMax: number;
  /** `enabled` false: only what DeleteSegments asked for is removed. */
  readonly retention: { readonly enabled: boolean; readonly intervalMs: number };
  /** Appends are refused while less is free; 0: never. */
  readonly diskReserveBytes: number;
  readonly openFilesMax: number;
  /** Memory for parts of `.ops` files. */
  readonly opsCacheBytes: number;
}

/** Keeps a second process away from a folder. */
export interface FolderLock {
  release(): Promise<void>;
}

export interface NodeStoreDependencies {
  readonly disk: Disk;
  /** Rejects when another process has the folder, with a sentence for the operator. */
  readonly lockFolder: (directory: string) => Promise<FolderLock>;
  readonly pool: Pool;
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Cryptographically strong. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** null: what is stored is readable. */
  readonly cipher: Cipher | null;
  /** A write or sync that must not fail did: the process has to end with 70. */
  readonly onFatal: (error: Error) => void;
  /** After every round of writes and syncs. */
  readonly onRound: (round: Round) => void;
}

interface Parts {
  readonly identity: Identity;
  readonly lock: FolderLock;
  readonly files: OpenFiles;
  readonly rounds: SyncRounds;
  readonly directories: GroupDirectories;
  readonly trash: Trash;
  readonly space: DiskSpace;
  readonly metadata: Metadata;
}

/**
 * The data folder of one node, served: its metadata and its partitions, each a group.
 *
 * errors   open: FolderRefused and LogDamaged say what to do, nothing was changed; what
 *          `lockFolder` rejects with
 * cost     open: what group logs cost, PARALLEL_MAX at a time
 * source   replication rules 4; semantics 0.9 sections 13, 15
 */
export class NodeStore implements Groups {
  readonly identity: Identity;
  readonly metadata: Metadata;
  readonly #options: NodeStoreOptions;
  readonly #dependencies: NodeStoreDependencies;
  readonly #parts: Parts;
  readonly #partitions: Map<string, Partition> = new Map();
  /** Made by `prepare`, not yet named by an op. */
  readonly #prepared: Set<string> = new Set();
  /** Changes under way. */
  readonly #carrying: Set<Promise<void>> = new Set();
  readonly #retention: Retention;
  #closing: Promise<void> | null = null;

  private constructor(
    options: NodeStoreOptions,
    dependencies: NodeStoreDependencies,
    parts: Parts,
  ) {
    this.identity = parts.identity;
    this.metadata = parts.metadata;
    this.#options = options;
    this.#dependencies = dependencies;
    this.#parts = parts;
    this.#retention = new Retention(
      { intervalMs: options.retention.intervalMs },
      { clock: dependencies.clock, runPass: () => this.runRetention() },
    );
  }

  static async open(
    options: NodeStoreOptions,
    dependencies: NodeStoreDependencies,
  ): Promise<NodeStore> {
    await createDirectory(dependencies.disk, options.directory);
    const lock = await dependencies.lockFolder(options.directory);
    const files = new OpenFiles(
      { openCountMax: options.openFilesMax },
      { disk: dependencies.disk },
    );
    try {
      const parts = await openParts(options, dependencies, { lock, files });
      const store = new NodeStore(options, dependencies, parts);
      await store.#openPartitions();
      return store;
    } catch (error) {
      await files.close();
      await lock.release();
      throw error;
    }
  }

  /** Whether appends are refused because the disk is below its reserve. */
  get diskFull(): boolean {
    return this.#parts.space.full;
  }

  partition(uuid: string): PartitionGroup | null {
    return this.#partitions.get(uuid) ?? null;
  }

  newUuid(): string {
    const uuid = hexOf(this.#dependencies.randomBytes(16));
    assert(!this.#partitions.has(uuid), 'a uuid is drawn once');
    return uuid;
  }

  async prepare(uuids: readonly string[], settings: PartitionSettings): Promise<void> {
    if (this.#closing !== null) throw new OperatingError(STATUS.transientNotAccepted);
    try {
      await inParallel(uuids, async (uuid) => {
        assert(!this.#partitions.has(uuid));
        this.#prepared.add(uuid);
        const log = await this.#parts.directories.create(uuid, settings);
        await this.#admit(uuid, settings, log);
      });
    } catch (error) {
      await this.discard(uuids);
      if (!isDiskFull(error)) throw error;
      throw new OperatingError(STATUS.diskFull, 'a partition found no room', { cause: error });
    }
  }

  async discard(uuids: readonly string[]): Promise<void> {
    await inParallel(uuids, async (uuid) => {
      if (!this.#prepared.delete(uuid)) return;
      assert(this.metadata.state.findPartition(uuid) === null);
      await this.#remove(uuid);
    });
  }

  /** Brings every partition up to what the metadata says, and applies retention. Never rejects. */
  async runRetention(): Promise<void> {
    const { logger, onFatal } = this.#dependencies;
    try {
      await inParallel([...this.metadata.state.partitions()], async (placement) => {
        const partition = this.#partitions.get(placement.partition.uuid);
        if (partition === undefined) return;
        try {
          await this.#follow(partition, placement);
        } catch (error) {
          if (!(error instanceof OperatingError)) throw error;
          logger.warn('partition is behind, tried again later', { group: partition.uuid, error });
        }
      });
    } catch (cause) {
      onFatal(new Error('retention failed', { cause }));
    }
  }

  /** Drains, syncs whatever the policy, snapshots, unlocks. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { files, lock, rounds, space, trash } = this.#parts;
    try {
      space.stop();
      await this.#retention.stop();
      await this.metadata.retire();
      await Promise.allSettled(this.#carrying);
      await inParallel(this.#partitions.values(), (partition) => partition.close());
      await this.metadata.close();
      await trash.close();
      rounds.close();
      await files.close();
    } finally {
      await lock.release();
    }
  }

  async #openPartitions(): Promise<void> {
    const { directories, space, trash } = this.#parts;
    const { state } = this.metadata;
    await directories.openAll(state.partitions(), (placement, log) => {
      const settings = partitionSettingsOf(placement.topic.settings);
      return this.#admit(placement.partition.uuid, settings, log);
    });
    this.metadata.serve((changes) => this.#carryOut(changes));
    await this.runRetention();
    await space.start();
    this.#retention.start();
    // What lost metadata does not name may still be wanted.
    if (!this.#options.acceptDataLoss) await trash.startEmptying();
  }

  async #admit(uuid: string, settings: PartitionSettings, log: GroupLog): Promise<void> {
    const { offsetsMax } = this.#options;
    const { clock, cipher, kernel, pool, logger, onFatal } = this.#dependencies;
    const { identity, rounds, space } = this.#parts;
    const partition = await Partition.open(
      { uuid, nodeUuid: identity.nodeUuid, settings, offsetsMax },
      {
        log,
        state: new PartitionState(),
        kernel,
        pool,
        cipher,
        space,
        logger,
        wallUs: () => clock.wallUs(),
        isPersisted: (of) => rounds.isPersisted(of),
        onFatal,
      },
    );
    this.#partitions.set(uuid, partition);
  }

  /** Begins every change at once, so that their order is the one of the ops. */
  #carryOut(changes: readonly Change[]): Promise<void> {
    const works: Promise<void>[] = [];
    for (const change of changes) this.#begin(change, works);
    const carrying = this.#settle(works).finally(() => this.#carrying.delete(carrying));
    this.#carrying.add(carrying);
    return carrying;
  }

  /** Waits for all; a change that failed is made up for later: the op is committed, 57. */
  async #settle(works: readonly Promise<void>[]): Promise<void> {
    for (const result of await Promise.allSettled(works)) {
      if (result.status === 'fulfilled') continue;
      const cause: unknown = result.reason;
      if (!(cause instanceof OperatingError)) {
        this.#dependencies.onFatal(new Error('a change of the metadata failed', { cause }));
      }
      throw new OperatingError(STATUS.transientNotCommitted, 'a partition is behind', { cause });
    }
  }

  #begin(change: Change, works: Promise<void>[]): void {
    switch (change.kind) {
      case 'partitionsCreated':
        for (const uuid of change.uuids) {
          assert(this.#partitions.has(uuid), 'a partition is prepared before an op names it');
          this.#prepared.delete(uuid);
        }
        break;
      case 'partitionsDeleted':
        works.push(inParallel(change.uuids, (uuid) => this.#remove(uuid)));
        break;
      case 'partitionsPurged':
        for (const uuid of change.uuids) {
          works.push(this.#unlessGone(uuid, (partition) => partition.purge(change.purge)));
        }
        break;
      case 'partitionTrimmed': {
        const placement = this.metadata.state.findPartition(change.uuid);
        if (placement === null) break;
        const rules = retentionRulesOf(placement, { cleanerEnabled: false });
        works.push(this.#unlessGone(change.uuid, (partition) => partition.retain(rules)));
        break;
      }
      case 'groupDeleted':
        for (const uuid of change.uuids) {
          works.push(this.#unlessGone(uuid, (partition) => partition.deleteGroup(change.groupId)));
        }
        break;
      case 'topicUpdated':
      case 'sessionEnded':
        // Retention reads the settings at every pass; sessions are the business of the broker.
        break;
    }
  }

  async #unlessGone(uuid: string, run: (partition: Partition) => Promise<void>): Promise<void> {
    const partition = this.#partitions.get(uuid);
    if (partition === undefined) return;
    try {
      await run(partition);
    } catch (error) {
      // A partition that was deleted meanwhile needs nothing any more.
      if (this.#partitions.get(uuid) === partition) throw error;
    }
  }

  async #remove(uuid: string): Promise<void> {
    const partition = this.#partitions.get(uuid);
    if (partition === undefined) {
      await this.#parts.directories.discard(uuid);
      return;
    }
    this.#partitions.delete(uuid);
    await partition.abandon();
    await this.#parts.directories.remove(uuid);
  }

  /** Purges, deleted groups and trims that a crash or a full disk held up; then retention. */
  async #follow(partition: Partition, placement: Placement): Promise<void> {
    const { state } = this.metadata;
    await partition.purge(placement.partition.purge);
    // After a loss, what the metadata does not know is no reason to delete.
    if (!this.#options.acceptDataLoss && partition.state.offsetsCount('group') > 0) {
      const known = new Set(state.groups(placement.topic).map(({ id }) => id));
      for (const id of [...partition.state.offsetIds('group')]) {
        if (!known.has(id)) await partition.deleteGroup(id);
      }
    }
    const cleanerEnabled = this.#options.retention.enabled;
    await partition.retain(retentionRulesOf(placement, { cleanerEnabled }));
  }
}

async function openParts(
  options: NodeStoreOptions,
  dependencies: NodeStoreDependencies,
  held: { readonly lock: FolderLock; readonly files: OpenFiles },
): Promise<Parts> {
  const { disk, clock, kernel, pool, logger, onFatal, onRound } = dependencies;
  const { directory, acceptDataLoss, validateChecksum, fsync } = options;
  const paths = pathsOf(directory);
  const { identity, isNew } = await openFolder(paths, dependencies);
  const wallUs = (): number => clock.wallUs();
  const { files } = held;
  const rounds = new SyncRounds(fsync, {
    monotonicUs: () => clock.monotonicUs(),
    startTimer: (ms, run) => clock.startTimer(ms, run),
    onFatal,
    onRound,
  });
  const cache = new OpsCache({ bytesMax: options.opsCacheBytes });
  const trash = new Trash(paths.trash, { disk, logger, wallUs });
  const space = new DiskSpace(
    { directory, reserveBytes: options.diskReserveBytes },
    { disk, clock, logger },
  );
  const directories = new GroupDirectories(
    { paths, clusterId: identity.clusterId, validateChecksum, acceptDataLoss },
    { log: { files, cache, rounds, kernel, pool }, logger, trash },
  );
  const log = isNew ? await directories.createMetadata() : await directories.openMetadata();
  if (isNew) await finishFolder(paths, disk);
  const metadata = await Metadata.open(
    { uuid: METADATA_UUID, nodeUuid: identity.nodeUuid, dropsCovered: true },
    { log, state: new MetadataState(), wallUs, logger, onFatal },
  );
  return { ...held, identity, rounds, directories, trash, space, metadata };
}
