import { STATUS } from '@iggy-ts/wire/status';
import { groupDetailsJson, groupJson } from './json-streams.ts';
import { type Call, found, type Route } from './route.ts';

// Consumer groups. Joining and leaving need a connection, so they are not served here.

const ALL = '/streams/:stream_id/topics/:topic_id/consumer-groups';
const ONE = `${ALL}/:group_id`;

const groupOf = (call: Call) =>
  ({ ...call.topic(), groupId: call.identifier('group_id') }) as const;

export const GROUP_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: ALL,
    run: async (call) => {
      const groups = await call.caller.read({ kind: 'getConsumerGroups', ...call.topic() });
      return groups.map(groupJson);
    },
  },
  {
    method: 'POST',
    path: ALL,
    run: async (call) => {
      const name = call.body().name('name', STATUS.invalidConsumerGroupName);
      const command = { kind: 'createConsumerGroup', ...call.topic(), name } as const;
      return groupDetailsJson(await call.execute(command));
    },
  },
  {
    method: 'GET',
    path: ONE,
    run: async (call) => {
      const command = { kind: 'getConsumerGroup', ...groupOf(call) } as const;
      return groupDetailsJson(found(await call.caller.read(command)));
    },
  },
  {
    method: 'DELETE',
    path: ONE,
    status: 204,
    run: async (call) => {
      await call.execute({ kind: 'deleteConsumerGroup', ...groupOf(call) });
    },
  },
];
