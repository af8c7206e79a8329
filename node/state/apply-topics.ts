import type { PartitionReply } from '@iggy-ts/wire/commands/replies';
import { STATUS } from '@iggy-ts/wire/status';
import {
  answer,
  DONE,
  type Execution,
  isName,
  mayExecute,
  type Result,
  reachTopic,
  refuse,
} from './execution.ts';
import type {
  CreatePartitionsOp,
  CreateTopicOp,
  DeletePartitionsOp,
  DeleteSegmentsOp,
  DeleteTopicOp,
  PurgeTopicOp,
  UpdateTopicOp,
} from './metadata-op.ts';
import type { Partition, Topic } from './metadata-tables.ts';
import { NamedTable } from './named-table.ts';
import { withoutTopic } from './permissions.ts';
import { mergeOptions, settingsOf, storedSettings } from './topic-options.ts';

export const TOPICS_PER_STREAM_MAX = 4096;
export const PARTITIONS_PER_REQUEST_MAX = 1000;
export const PARTITIONS_PER_TOPIC_MAX = 1_000_000;

export function createTopic({ tables, origin, changes }: Execution, op: CreateTopicOp): Result {
  const stream = tables.streams.find(op.streamId);
  if (stream === null) return refuse(STATUS.streamIdNotFound);
  const of = { streamId: stream.id, topicId: -1 };
  if (!mayExecute(tables, op.caller, 'topicsManage', of)) return refuse(STATUS.unauthorized);
  if (op.uuids.length > PARTITIONS_PER_REQUEST_MAX) return refuse(STATUS.tooManyPartitions);
  if (!isName(op.name)) return refuse(STATUS.invalidTopicName);
  if (stream.topics.byName(op.name) !== null) return refuse(STATUS.topicNameAlreadyExists);
  if (stream.topics.size >= TOPICS_PER_STREAM_MAX) return refuse(STATUS.tooManyTopics);
  const createdAtUs = origin.timestampUs;
  const settings = storedSettings([...op.explicit, ...op.derived]);
  const topic: Topic = {
    streamId: stream.id,
    id: stream.topics.idNext,
    name: op.name,
    createdAtUs,
    explicit: op.explicit,
    derived: op.derived,
    settings,
    partitions: op.uuids.map((uuid, id) => newPartition(id, uuid, createdAtUs)),
    groups: new NamedTable({ reusesIds: false }),
  };
  tables.addTopic(stream, topic);
  if (op.uuids.length > 0) changes.push({ kind: 'partitionsCreated', uuids: op.uuids, settings });
  return answer({
    id: topic.id,
    createdAtUs,
    partitionsCount: topic.partitions.length,
    messageExpiryUs: settings.messageExpiryUs,
    compression: settings.compression,
    maxTopicSizeBytes: settings.maxTopicSizeBytes,
    sizeBytes: 0,
    messagesCount: 0,
    name: topic.name,
    explicitOptions: topic.explicit,
    derivedOptions: topic.derived,
    partitions: freshPartitions(topic.partitions.length, createdAtUs),
  });
}

/** Partitions as they are shown before anything was written to them. */
export function freshPartitions(count: number, createdAtUs: number): PartitionReply[] {
  return Array.from({ length: count }, (_, id) => ({
    id,
    createdAtUs,
    segmentsCount: 1,
    currentOffset: 0,
    sizeBytes: 0,
    messagesCount: 0,
  }));
}

export function updateTopic({ tables, changes }: Execution, op: UpdateTopicOp): Result {
  const reached = reachTopic(tables, op, 'topicManage');
  if (typeof reached === 'number') return refuse(reached);
  const { stream, topic } = reached;
  if (!isName(op.name)) return refuse(STATUS.invalidTopicName);
  const holder = stream.topics.byName(op.name);
  if (holder !== null && holder !== topic) return refuse(STATUS.topicNameAlreadyExists);
  const settings = settingsOf(op.options, topic.settings);
  if (settings.maxTopicSizeBytes < settings.segmentBytes) return refuse(STATUS.invalidTopicSize);
  stream.topics.rename(topic, op.name);
  if (op.options.length === 0) return DONE;
  const { explicit, derived } = mergeOptions(topic, op.options);
  topic.explicit = explicit;
  topic.derived = derived;
  topic.settings = settings;
  const uuids = topic.partitions.map(({ uuid }) => uuid);
  if (uuids.length > 0) changes.push({ kind: 'topicUpdated', uuids, settings });
  return DONE;
}

export function deleteTopic({ tables, changes }: Execution, op: DeleteTopicOp): Result {
  const reached = reachTopic(tables, op, 'topicManage');
  if (typeof reached === 'number') return refuse(reached);
  const { stream, topic } = reached;
  const uuids = topic.partitions.map(({ uuid }) => uuid);
  tables.deleteTopic(stream, topic);
  for (const user of tables.users.list()) {
    if (user.permissions === null) continue;
    const of = { streamId: stream.id, topicId: topic.id };
    user.permissions = withoutTopic(user.permissions, of);
  }
  if (uuids.length > 0) changes.push({ kind: 'partitionsDeleted', uuids });
  return DONE;
}

export function purgeTopic(execution: Execution, op: PurgeTopicOp): Result {
  const reached = reachTopic(execution.tables, op, 'topicManage');
  if (typeof reached === 'number') return refuse(reached);
  purgePartitions(execution, [reached.topic]);
  return DONE;
}

/** The number of the op is the new purge counter: it grows, and all partitions get the same. */
export function purgePartitions({ origin, changes }: Execution, topics: readonly Topic[]): void {
  const uuids: string[] = [];
  for (const { partitions } of topics) {
    for (const partition of partitions) {
      partition.purge = origin.op;
      partition.trimOffset = 0;
      uuids.push(partition.uuid);
    }
  }
  if (uuids.length > 0) changes.push({ kind: 'partitionsPurged', uuids, purge: origin.op });
}

export function createPartitions(execution: Execution, op: CreatePartitionsOp): Result {
  const { tables, origin, changes } = execution;
  const reached = reachTopic(tables, op, 'topicManage');
  if (typeof reached === 'number') return refuse(reached);
  const { topic } = reached;
  const count = op.uuids.length;
  if (count === 0 || count > PARTITIONS_PER_REQUEST_MAX) return refuse(STATUS.tooManyPartitions);
  if (topic.partitions.length + count > PARTITIONS_PER_TOPIC_MAX) {
    return refuse(STATUS.partitionIdSpaceExhausted);
  }
  for (const uuid of op.uuids) {
    tables.addPartition(topic, newPartition(topic.partitions.length, uuid, origin.timestampUs));
  }
  resizeGroups(execution, topic);
  changes.push({ kind: 'partitionsCreated', uuids: op.uuids, settings: topic.settings });
  return DONE;
}

export function deletePartitions(execution: Execution, op: DeletePartitionsOp): Result {
  const { tables, changes } = execution;
  const reached = reachTopic(tables, op, 'topicManage');
  if (typeof reached === 'number') return refuse(reached);
  const { topic } = reached;
  const count = op.partitionsCount;
  if (count === 0 || count > PARTITIONS_PER_REQUEST_MAX) return refuse(STATUS.tooManyPartitions);
  if (count > topic.partitions.length) return refuse(STATUS.invalidPartitionsCount);
  const uuids = tables.deletePartitions(topic, topic.partitions.length - count);
  resizeGroups(execution, topic);
  changes.push({ kind: 'partitionsDeleted', uuids });
  return DONE;
}

export function deleteSegments({ tables, changes }: Execution, op: DeleteSegmentsOp): Result {
  const reached = reachTopic(tables, op, 'topicManage');
  if (typeof reached === 'number') return refuse(reached);
  const partition = reached.topic.partitions[op.partitionId];
  if (partition === undefined) return refuse(STATUS.partitionNotFound);
  if (partition.uuid !== op.uuid || partition.purge !== op.purge) return DONE;
  if (op.trimOffset <= partition.trimOffset) return DONE;
  partition.trimOffset = op.trimOffset;
  changes.push({ kind: 'partitionTrimmed', uuid: partition.uuid, offset: op.trimOffset });
  return DONE;
}

function newPartition(id: number, uuid: string, createdAtUs: number): Partition {
  return { id, uuid, createdAtUs, purge: 0, trimOffset: 0 };
}

function resizeGroups({ tables }: Execution, topic: Topic): void {
  for (const group of topic.groups.list()) {
    group.assignment.resize(topic.partitions.length);
    tables.notePending(group);
  }
}
