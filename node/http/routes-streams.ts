import { STATUS } from '@iggy-ts/wire/status';
import { streamJson } from './json-streams.ts';
import { optionsOf } from './json-values.ts';
import { type Call, found, type Route } from './route.ts';

const ALL = '/streams';
const ONE = `${ALL}/:stream_id`;

const streamOf = (call: Call) => ({ streamId: call.identifier('stream_id') }) as const;

export const STREAM_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: ALL,
    run: async ({ caller }) => {
      const streams = await caller.read({ kind: 'getStreams' });
      return streams.map((stream) => streamJson(stream));
    },
  },
  {
    method: 'POST',
    path: ALL,
    run: async (call) => {
      const body = call.body();
      const name = body.name('name', STATUS.invalidStreamName);
      const options = optionsOf(body);
      return streamJson(await call.execute({ kind: 'createStream', name, options }), []);
    },
  },
  {
    method: 'GET',
    path: ONE,
    run: async (call) => {
      const stream = found(await call.caller.read({ kind: 'getStream', ...streamOf(call) }));
      return streamJson(stream, stream.topics);
    },
  },
  {
    method: 'PUT',
    path: ONE,
    status: 204,
    run: async (call) => {
      const body = call.body();
      const name = body.name('name', STATUS.invalidStreamName);
      const options = optionsOf(body);
      await call.execute({ kind: 'updateStream', ...streamOf(call), name, options });
    },
  },
  {
    method: 'DELETE',
    path: ONE,
    status: 204,
    run: async (call) => {
      await call.execute({ kind: 'deleteStream', ...streamOf(call) });
    },
  },
  {
    method: 'DELETE',
    path: `${ONE}/purge`,
    status: 204,
    run: async (call) => {
      await call.execute({ kind: 'purgeStream', ...streamOf(call) });
    },
  },
];
