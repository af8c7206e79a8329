import type { Logger } from '../base/logger.ts';
import { type Fault, LogDamaged } from '../log/damage.ts';
import { GroupLog, type GroupLogDependencies, type GroupLogOptions } from '../log/group-log.ts';
import { bytesOfHex } from '../log/op-header.ts';
import type { Placement } from '../state/metadata-tables.ts';
import type { FolderPaths } from './data-folder.ts';
import { inParallel } from './parallel.ts';
import type { PartitionSettings } from './port.ts';
import { partitionSettingsOf } from './topology.ts';
import type { Trash } from './trash.ts';

/** The group of the metadata has the same uuid in every cluster. */
export const METADATA_UUID = '00000000000000000000000000000001';

const METADATA_SEGMENT_BYTES = 64 * 1024 * 1024;

export interface GroupDirectoriesOptions {
  readonly paths: FolderPaths;
  readonly clusterId: string;
  readonly validateChecksum: boolean;
  readonly acceptDataLoss: boolean;
}

/** Makes, opens and gives up the directories of groups. */
export class GroupDirectories {
  readonly #options: GroupDirectoriesOptions;
  readonly #log: GroupLogDependencies;
  readonly #logger: Logger;
  readonly #trash: Trash;

  constructor(
    options: GroupDirectoriesOptions,
    dependencies: {
      readonly log: GroupLogDependencies;
      readonly logger: Logger;
      readonly trash: Trash;
    },
  ) {
    this.#options = options;
    this.#log = dependencies.log;
    this.#logger = dependencies.logger;
    this.#trash = dependencies.trash;
  }

  createMetadata(): Promise<GroupLog> {
    return GroupLog.create(this.#metadataOptions(), this.#log);
  }

  openMetadata(): Promise<GroupLog> {
    return GroupLog.open(this.#metadataOptions(), this.#log);
  }

  /** A new, empty partition, durable when the promise settles. */
  create(uuid: string, settings: PartitionSettings): Promise<GroupLog> {
    return GroupLog.create(this.#optionsOf(uuid, settings), this.#log);
  }

  /**
   * Opens the partitions that the metadata names and moves everything else to the trash.
   *
   * errors   LogDamaged, with what is wrong in all of them: a directory that is missing is damage,
   *          never an empty partition; nothing was changed then
   */
  async openAll(
    placements: Iterable<Placement>,
    onOpen: (placement: Placement, log: GroupLog) => Promise<void>,
  ): Promise<void> {
    const { paths, acceptDataLoss } = this.#options;
    const present = new Set(await this.#log.files.disk.list(paths.groups));
    const named = new Set<string>();
    const faults: Fault[] = [];
    await inParallel(placements, async (placement) => {
      const { uuid } = placement.partition;
      named.add(uuid);
      if (!present.has(uuid) && !acceptDataLoss) {
        faults.push(missing(placement));
        return;
      }
      const log = present.has(uuid)
        ? await this.#open(placement, faults)
        : await this.#createAnew(placement);
      if (log !== null) await onOpen(placement, log);
    });
    if (faults.length > 0) throw new LogDamaged(paths.groups, faults);
    for (const name of present) {
      if (!named.has(name)) await this.#trash.takeUnknown(this.#pathOf(name), name);
    }
  }

  /** The partition was deleted and its files are closed. */
  remove(uuid: string): Promise<void> {
    return this.#trash.takeDeleted(this.#pathOf(uuid), uuid);
  }

  /** What a preparation that failed has left behind goes; absent is fine. */
  discard(uuid: string): Promise<void> {
    return this.#log.files.disk.removeDir(this.#pathOf(uuid));
  }

  async #open(placement: Placement, faults: Fault[]): Promise<GroupLog | null> {
    const { partition, topic } = placement;
    const settings = partitionSettingsOf(topic.settings);
    try {
      return await GroupLog.open(this.#optionsOf(partition.uuid, settings), this.#log);
    } catch (error) {
      if (!(error instanceof LogDamaged)) throw error;
      for (const fault of error.faults) {
        faults.push({ ...fault, reason: `${nameOf(placement)}: ${fault.reason}` });
      }
      return null;
    }
  }

  #createAnew(placement: Placement): Promise<GroupLog> {
    const { partition, topic } = placement;
    const text = 'partition is missing on the disk, begun anew without its messages';
    this.#logger.error(text, {
      group: partition.uuid,
      topic: topic.name,
      partitionId: partition.id,
    });
    return this.create(partition.uuid, partitionSettingsOf(topic.settings));
  }

  #pathOf(uuid: string): string {
    return `${this.#options.paths.groups}/${uuid}`;
  }

  /** Metadata is always synced: files go away because of what it says. */
  #metadataOptions(): GroupLogOptions {
    return {
      ...this.#shared(),
      directory: this.#options.paths.meta,
      group: bytesOfHex(METADATA_UUID),
      segmentBytes: METADATA_SEGMENT_BYTES,
      durabilityPersisted: true,
    };
  }

  #optionsOf(uuid: string, settings: PartitionSettings): GroupLogOptions {
    const { segmentBytes, durabilityPersisted } = settings;
    return {
      ...this.#shared(),
      directory: this.#pathOf(uuid),
      group: bytesOfHex(uuid),
      segmentBytes,
      durabilityPersisted,
    };
  }

  #shared(): Pick<GroupLogOptions, 'cluster' | 'validateChecksum' | 'acceptDataLoss'> {
    const { clusterId, validateChecksum, acceptDataLoss } = this.#options;
    return { cluster: bytesOfHex(clusterId), validateChecksum, acceptDataLoss };
  }
}

function missing(placement: Placement): Fault {
  return {
    file: placement.partition.uuid,
    byteFirst: 0,
    byteEnd: 0,
    op: 0,
    offsetFirst: 0,
    offsetEnd: 0,
    reason: `${nameOf(placement)}: the directory is missing`,
  };
}

function nameOf({ topic, partition }: Placement): string {
  return `partition ${partition.id} of topic ${topic.name} in stream ${topic.streamId}`;
}
