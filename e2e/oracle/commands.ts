import type { Command, PollMessages, SendMessages } from '@iggy-ts/wire/commands/requests';
import type { Identifier, Permissions } from '@iggy-ts/wire/commands/values';
import { type Draws, drawInteger } from '../harness/draws.ts';

// Commands drawn from few names and small numbers, so that they meet: existing and missing things,
// names that are taken, offsets beyond the end, groups somebody is a member of.

const STREAMS = ['alpha', 'beta', 'gamma'];
const TOPICS = ['red', 'green'];
const GROUPS = ['one', 'two'];
const USERS = ['anna', 'bert'];
const TOKENS = ['tick', 'tock'];
const CONSUMERS = ['reader', 'writer'];

type DrawnCommand = Exclude<Command, SendMessages | PollMessages>;
export type Drawn =
  | { readonly kind: 'request'; readonly command: DrawnCommand }
  | { readonly kind: 'poll'; readonly command: PollMessages }
  | { readonly kind: 'send'; readonly command: SendMessages; readonly payloads: readonly number[] };

/** What a whole sequence is drawn with. */
export interface Drawing {
  /** Streams and topics are deleted, too. */
  readonly deletes: boolean;
}

function pick<T>(draws: Draws, from: readonly T[]): T {
  return from[drawInteger(draws, 0, from.length - 1)]!;
}

/** By name mostly, by number sometimes; now and then something that is not there. */
function identifierOf(draws: Draws, names: readonly string[]): Identifier {
  const roll = drawInteger(draws, 0, 9);
  if (roll === 0) return { kind: 'name', name: 'missing' };
  if (roll <= 2) return { kind: 'id', id: drawInteger(draws, 0, names.length) };
  return { kind: 'name', name: pick(draws, names) };
}

const NONE = {
  manageServers: false,
  readServers: false,
  manageUsers: false,
  readUsers: false,
  manageStreams: false,
  readStreams: false,
  manageTopics: false,
  readTopics: false,
  pollMessages: false,
  sendMessages: false,
};

/**
 * Rights on single streams and topics only where none is deleted: the peer keeps rights of deleted
 * ones, which then count for the next holder of the number; here they go with the stream.
 */
function permissionsOf(draws: Draws, { deletes }: Drawing): Permissions | null {
  if (drawInteger(draws, 0, 3) === 0) return null;
  const global = { ...NONE };
  for (const flag of Object.keys(NONE) as (keyof typeof NONE)[]) {
    global[flag] = drawInteger(draws, 0, 3) === 0;
  }
  if (deletes || drawInteger(draws, 0, 1) === 0) return { global, streams: null };
  const flag = (): boolean => drawInteger(draws, 0, 2) === 0;
  const topics = new Map([
    [
      drawInteger(draws, 0, 1),
      { manageTopic: flag(), readTopic: flag(), pollMessages: flag(), sendMessages: flag() },
    ],
  ]);
  const stream = {
    manageStream: flag(),
    readStream: flag(),
    manageTopics: flag(),
    readTopics: flag(),
    pollMessages: flag(),
    sendMessages: flag(),
    topics: flag() ? topics : null,
  };
  return { global, streams: new Map([[drawInteger(draws, 0, 2), stream]]) };
}

/** What a sequence of commands of any length is drawn from. */
export function drawCommand(draws: Draws, drawing: Drawing): Drawn {
  const streamId = identifierOf(draws, STREAMS);
  const topicId = identifierOf(draws, TOPICS);
  const groupId = identifierOf(draws, GROUPS);
  const userId = identifierOf(draws, USERS);
  const stream = { streamId };
  const topic = { streamId, topicId };
  const group = { streamId, topicId, groupId };
  const partitionId = drawInteger(draws, 0, 3);
  const consumer = { kind: 'consumer', id: identifierOf(draws, CONSUMERS) } as const;
  const offsetOf = { consumer, ...topic, partitionId };
  const request = (command: DrawnCommand): Drawn => ({ kind: 'request', command });
  const menu: readonly (readonly [number, () => Drawn])[] = [
    [8, () => request({ kind: 'createStream', name: pick(draws, STREAMS), options: [] })],
    [
      2,
      () => request({ kind: 'updateStream', ...stream, name: pick(draws, STREAMS), options: [] }),
    ],
    [drawing.deletes ? 1 : 0, () => request({ kind: 'deleteStream', ...stream })],
    [1, () => request({ kind: 'purgeStream', ...stream })],
    [4, () => request({ kind: 'getStream', ...stream })],
    [2, () => request({ kind: 'getStreams' })],
    [
      10,
      () => {
        const partitionsCount = pick(draws, [0, 1, 2, 3, 3, 1001]);
        const name = pick(draws, TOPICS);
        return request({ kind: 'createTopic', ...stream, partitionsCount, name, options: [] });
      },
    ],
    [2, () => request({ kind: 'updateTopic', ...topic, name: pick(draws, TOPICS), options: [] })],
    [drawing.deletes ? 1 : 0, () => request({ kind: 'deleteTopic', ...topic })],
    [1, () => request({ kind: 'purgeTopic', ...topic })],
    [5, () => request({ kind: 'getTopic', ...topic })],
    [2, () => request({ kind: 'getTopics', ...stream })],
    [
      3,
      () =>
        request({
          kind: 'createPartitions',
          ...topic,
          partitionsCount: pick(draws, [0, 1, 2, 1001]),
        }),
    ],
    [
      2,
      () =>
        request({ kind: 'deletePartitions', ...topic, partitionsCount: pick(draws, [0, 1, 2, 9]) }),
    ],
    [1, () => request({ kind: 'deleteSegments', ...topic, partitionId, segmentsCount: 1 })],
    [4, () => request({ kind: 'createConsumerGroup', ...topic, name: pick(draws, GROUPS) })],
    [1, () => request({ kind: 'deleteConsumerGroup', ...group })],
    [3, () => request({ kind: 'joinConsumerGroup', ...group })],
    [2, () => request({ kind: 'leaveConsumerGroup', ...group })],
    [3, () => request({ kind: 'syncConsumerGroup', ...group })],
    [3, () => request({ kind: 'getConsumerGroup', ...group })],
    [2, () => request({ kind: 'getConsumerGroups', ...topic })],
    [
      4,
      () =>
        request({
          kind: 'storeConsumerOffset',
          ...offsetOf,
          offset: drawInteger(draws, 0, 9),
          ack: 'quorum',
        }),
    ],
    [2, () => request({ kind: 'deleteConsumerOffset', ...offsetOf, ack: 'quorum' })],
    [4, () => request({ kind: 'getConsumerOffset', ...offsetOf })],
    [
      3,
      () => {
        const permissions = permissionsOf(draws, drawing);
        const user = { username: pick(draws, USERS), password: 'a-password', permissions };
        return request({ kind: 'createUser', ...user, status: 'active', options: [] });
      },
    ],
    [1, () => request({ kind: 'deleteUser', userId })],
    [
      1,
      () =>
        request({
          kind: 'updateUser',
          userId,
          username: pick(draws, USERS),
          status: null,
          options: [],
        }),
    ],
    [
      2,
      () =>
        request({ kind: 'updatePermissions', userId, permissions: permissionsOf(draws, drawing) }),
    ],
    [2, () => request({ kind: 'getUser', userId })],
    [1, () => request({ kind: 'getUsers' })],
    [
      1,
      () => request({ kind: 'createPersonalAccessToken', name: pick(draws, TOKENS), expiryUs: 0 }),
    ],
    [1, () => request({ kind: 'deletePersonalAccessToken', name: pick(draws, TOKENS) })],
    [1, () => request({ kind: 'getPersonalAccessTokens' })],
    [1, () => request({ kind: 'ping' })],
    [1, () => request({ kind: 'flushUnsavedBuffer', ...topic, partitionId, fsync: true })],
    [
      16,
      () => {
        const payloads = Array.from({ length: drawInteger(draws, 1, 4) }, () =>
          drawInteger(draws, 0, 200),
        );
        const partitioning = pick(draws, [
          { kind: 'balanced' },
          { kind: 'partition', partitionId },
          { kind: 'key', key: Buffer.from(pick(draws, CONSUMERS)) },
        ] as const);
        const command = { kind: 'sendMessages', ...topic, partitioning } as const;
        return { kind: 'send', command: { ...command, messagesCount: payloads.length }, payloads };
      },
    ],
    [
      12,
      () => {
        const strategy = pick(draws, [
          { kind: 'offset', offset: drawInteger(draws, 0, 8) },
          { kind: 'first' },
          { kind: 'last' },
          { kind: 'next' },
        ] as const);
        const count = pick(draws, [0, 1, 3, 100]);
        const autoCommit = drawInteger(draws, 0, 1) === 0;
        const how = { strategy, count, autoCommit };
        return {
          kind: 'poll',
          command: { kind: 'pollMessages', consumer, ...topic, partitionId, ...how },
        };
      },
    ],
  ];
  const total = menu.reduce((sum, [weight]) => sum + weight, 0);
  let roll = drawInteger(draws, 0, total - 1);
  for (const [weight, make] of menu) {
    roll -= weight;
    if (roll < 0) return make();
  }
  throw new Error('the menu is not empty');
}
