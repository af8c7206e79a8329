import type {
  PartitionReply,
  StreamReply,
  TopicDetailsReply,
  TopicReply,
} from '@iggy-ts/wire/commands/replies';
import type { Groups, PartitionStats } from '../cluster/port.ts';
import type { StreamView, TopicView } from '../state/metadata-tables.ts';

// Sums. Nothing is counted twice: every total is added up from the partitions when it is asked
// for, so it cannot disagree with them.

export interface Totals {
  readonly sizeBytes: number;
  readonly messagesCount: number;
  readonly segmentsCount: number;
}

/** A partition that is about to come or to go. */
const FRESH: PartitionStats = {
  segmentsCount: 1,
  sizeBytes: 0,
  messagesCount: 0,
  firstOffset: 0,
  currentOffset: 0,
};

/** What is shown of streams, topics and partitions. cost: one step per partition below. */
export class Counters {
  readonly #groups: Groups;

  constructor(dependencies: { readonly groups: Groups }) {
    this.#groups = dependencies.groups;
  }

  streamReply(stream: StreamView): StreamReply {
    const topics = this.#groups.metadata.state.topics(stream.id);
    const { sizeBytes, messagesCount } = sum(topics.map((topic) => this.totals(topic)));
    const { id, createdAtUs, name } = stream;
    const topicsCount = topics.length;
    return { id, createdAtUs, topicsCount, sizeBytes, messagesCount, name, options: [] };
  }

  topicReply(topic: TopicView): TopicReply {
    const { sizeBytes, messagesCount } = this.totals(topic);
    const { settings } = topic;
    return {
      id: topic.id,
      createdAtUs: topic.createdAtUs,
      partitionsCount: topic.partitions.length,
      messageExpiryUs: settings.messageExpiryUs,
      compression: settings.compression,
      maxTopicSizeBytes: settings.maxTopicSizeBytes,
      sizeBytes,
      messagesCount,
      name: topic.name,
      explicitOptions: topic.explicit,
      derivedOptions: topic.derived,
    };
  }

  topicDetailsReply(topic: TopicView): TopicDetailsReply {
    const partitions = topic.partitions.map(({ id, createdAtUs, uuid }): PartitionReply => {
      const { segmentsCount, currentOffset, sizeBytes, messagesCount } = this.#statsOf(uuid);
      return { id, createdAtUs, segmentsCount, currentOffset, sizeBytes, messagesCount };
    });
    const { sizeBytes, messagesCount } = sum(partitions);
    return { ...this.topicReply(topic), sizeBytes, messagesCount, partitions };
  }

  totals(topic: TopicView): Totals {
    return sum(topic.partitions.map(({ uuid }) => this.#statsOf(uuid)));
  }

  /** Of the whole server. */
  allTotals(): Totals {
    const totals: PartitionStats[] = [];
    for (const { partition } of this.#groups.metadata.state.partitions()) {
      totals.push(this.#statsOf(partition.uuid));
    }
    return sum(totals);
  }

  #statsOf(uuid: string): PartitionStats {
    return this.#groups.partition(uuid)?.stats() ?? FRESH;
  }
}

function sum(parts: readonly Totals[]): Totals {
  const total = { sizeBytes: 0, messagesCount: 0, segmentsCount: 0 };
  for (const { sizeBytes, messagesCount, segmentsCount } of parts) {
    total.sizeBytes += sizeBytes;
    total.messagesCount += messagesCount;
    total.segmentsCount += segmentsCount;
  }
  return total;
}
