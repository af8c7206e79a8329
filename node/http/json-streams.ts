import type {
  ConsumerGroupDetailsReply,
  ConsumerGroupReply,
  PartitionReply,
  StreamReply,
  TopicDetailsReply,
  TopicReply,
} from '@iggy-ts/wire/commands/replies';
import type { Options } from '@iggy-ts/wire/commands/values';
import { u64Json } from './json-text.ts';
import { optionsJson, optionsOf, sizeText, textOption } from './json-values.ts';
import type { Members } from './request-values.ts';

// Streams, topics, partitions and groups as JSON; the options of a topic from JSON.

/** A stream; with `topics` the details of one. */
export function streamJson(stream: StreamReply, topics?: readonly TopicReply[]): object {
  return {
    id: stream.id,
    created_at: stream.createdAtUs,
    name: stream.name,
    size: sizeText(stream.sizeBytes),
    messages_count: stream.messagesCount,
    topics_count: stream.topicsCount,
    ...(topics === undefined ? {} : { topics: topics.map((topic) => topicJson(topic)) }),
    options: optionsJson(stream.options, []),
  };
}

export function topicJson(topic: TopicReply, partitions?: readonly PartitionReply[]): object {
  return {
    id: topic.id,
    created_at: topic.createdAtUs,
    name: topic.name,
    size: sizeText(topic.sizeBytes),
    message_expiry: u64Json(topic.messageExpiryUs),
    compression_algorithm: topic.compression,
    max_topic_size: u64Json(topic.maxTopicSizeBytes),
    messages_count: topic.messagesCount,
    partitions_count: topic.partitionsCount,
    ...(partitions === undefined ? {} : { partitions: partitions.map(partitionJson) }),
    options: optionsJson(topic.explicitOptions, topic.derivedOptions),
  };
}

export function topicDetailsJson(topic: TopicDetailsReply): object {
  return topicJson(topic, topic.partitions);
}

function partitionJson(partition: PartitionReply): object {
  return {
    id: partition.id,
    created_at: partition.createdAtUs,
    segments_count: partition.segmentsCount,
    current_offset: partition.currentOffset,
    size: sizeText(partition.sizeBytes),
    messages_count: partition.messagesCount,
  };
}

export function groupJson(group: ConsumerGroupReply): object {
  return {
    id: group.id,
    name: group.name,
    partitions_count: group.partitionsCount,
    members_count: group.membersCount,
  };
}

export function groupDetailsJson(group: ConsumerGroupDetailsReply): object {
  const members = group.members.map(({ id, partitions }) => ({
    id,
    partitions_count: partitions.length,
    partitions,
  }));
  return { ...groupJson(group), members };
}

const COMPRESSIONS = ['none', 'gzip'] as const;

/**
 * Options of a new topic. The three fixed members are options of their own; a member that leaves
 * the choice to the server is none, and a key of `options` beats the member.
 */
export function newTopicOptions(body: Members): Options {
  const compression = body.word('compression_algorithm', COMPRESSIONS);
  const expiry = sizeOrExpiryText(body, 'message_expiry');
  const size = sizeOrExpiryText(body, 'max_topic_size');
  return withMembers(optionsOf(body), [
    ['compression_algorithm', compression === 'none' ? null : compression],
    ['message_expiry', isDefault(expiry) ? null : expiry],
    ['max_topic_size', isDefault(size) ? null : size],
  ]);
}

/** Options of an update: what is absent stays as it is. */
export function changedTopicOptions(body: Members): Options {
  const isGiven = (name: string): boolean => body.value(name) !== null;
  const word = isGiven('compression_algorithm')
    ? body.word('compression_algorithm', COMPRESSIONS)
    : null;
  const text = (name: string): string | null =>
    isGiven(name) ? sizeOrExpiryText(body, name) : null;
  return withMembers(optionsOf(body), [
    ['compression_algorithm', word],
    ['message_expiry', text('message_expiry')],
    ['max_topic_size', text('max_topic_size')],
  ]);
}

function withMembers(
  options: Options,
  members: readonly (readonly [string, string | null])[],
): Options {
  const keys = new Set(options.map(({ key }) => key));
  const added = members.flatMap(([key, text]) =>
    text === null || keys.has(key) ? [] : [textOption(key, text)],
  );
  return [...options, ...added];
}

/** A number of microseconds or bytes, or a text such as "10 GiB". */
function sizeOrExpiryText(body: Members, name: string): string {
  if (typeof body.value(name) === 'string') return body.text(name);
  const value = body.u64(name);
  return Number.isFinite(value) ? String(value) : 'unlimited';
}

function isDefault(text: string): boolean {
  return text === '0' || text.toLowerCase() === 'server_default';
}
