import { STATUS } from '@iggy-ts/wire/status';
import { RequestRefused } from './failure.ts';
import {
  changedTopicOptions,
  newTopicOptions,
  topicDetailsJson,
  topicJson,
} from './json-streams.ts';
import { type Call, found, type Route } from './route.ts';

// Topics, and the partitions and segments below them.

const ALL = '/streams/:stream_id/topics';
const ONE = `${ALL}/:topic_id`;
const PARTITIONS = `${ONE}/partitions`;

/** A count of the query that must be there. */
function countOf(call: Call, name: string): number {
  const count = call.query.u32(name);
  if (count === null) throw new RequestRefused(400, `${name} is missing`);
  return count;
}

const PARTITION_ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: PARTITIONS,
    run: async (call) => {
      const partitionsCount = call.body().u32('partitions_count');
      await call.execute({ kind: 'createPartitions', ...call.topic(), partitionsCount });
    },
  },
  {
    method: 'DELETE',
    path: PARTITIONS,
    status: 204,
    run: async (call) => {
      const partitionsCount = countOf(call, 'partitions_count');
      await call.execute({ kind: 'deletePartitions', ...call.topic(), partitionsCount });
    },
  },
  {
    method: 'DELETE',
    path: `${PARTITIONS}/:partition_id`,
    status: 204,
    run: async (call) => {
      const partitionId = call.u32('partition_id');
      const segmentsCount = countOf(call, 'segments_count');
      const place = { ...call.topic(), partitionId, segmentsCount };
      await call.execute({ kind: 'deleteSegments', ...place });
    },
  },
];

export const TOPIC_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: ALL,
    run: async (call) => {
      const streamId = call.identifier('stream_id');
      const topics = await call.caller.read({ kind: 'getTopics', streamId });
      return topics.map((topic) => topicJson(topic));
    },
  },
  {
    method: 'POST',
    path: ALL,
    run: async (call) => {
      const body = call.body();
      const topic = await call.execute({
        kind: 'createTopic',
        streamId: call.identifier('stream_id'),
        name: body.name('name', STATUS.invalidTopicName),
        partitionsCount: body.u32('partitions_count'),
        options: newTopicOptions(body),
      });
      return topicDetailsJson(topic);
    },
  },
  {
    method: 'GET',
    path: ONE,
    run: async (call) =>
      topicDetailsJson(found(await call.caller.read({ kind: 'getTopic', ...call.topic() }))),
  },
  {
    method: 'PUT',
    path: ONE,
    status: 204,
    run: async (call) => {
      const body = call.body();
      const name = body.name('name', STATUS.invalidTopicName);
      const options = changedTopicOptions(body);
      await call.execute({ kind: 'updateTopic', ...call.topic(), name, options });
    },
  },
  {
    method: 'DELETE',
    path: ONE,
    status: 204,
    run: async (call) => {
      await call.execute({ kind: 'deleteTopic', ...call.topic() });
    },
  },
  {
    method: 'DELETE',
    path: `${ONE}/purge`,
    status: 204,
    run: async (call) => {
      await call.execute({ kind: 'purgeTopic', ...call.topic() });
    },
  },
  ...PARTITION_ROUTES,
];
