import assert from 'node:assert/strict';
import { Stage } from './test-stage.ts';

interface Row {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly status: number;
  /** Kind of the command that reaches the broker; null: none does. */
  readonly kind: string | null;
  readonly body?: unknown;
  /** The same with a name that is not there; absent: nothing to miss. */
  readonly missing?: string;
  /** Members of the answer, in order. */
  readonly members?: readonly string[];
}

const STREAM = ['id', 'created_at', 'name', 'size', 'messages_count', 'topics_count'];
const TOPIC = [
  ...['id', 'created_at', 'name', 'size', 'message_expiry', 'compression_algorithm'],
  ...['max_topic_size', 'messages_count', 'partitions_count'],
];
const TOPIC_DETAILS = [...TOPIC, 'partitions', 'options'];
const GROUP = ['id', 'name', 'partitions_count', 'members_count'];
const USER = ['id', 'created_at', 'status', 'username'];
const NEW_TOPIC = {
  ...{ name: 't', partitions_count: 1, compression_algorithm: 'None' },
  ...{ message_expiry: 0, max_topic_size: '10 GiB' },
};
const NEW_USER = { username: 'bob', password: 'secret', status: 'active' };
const SNAPSHOT = { compression: 'Deflated', snapshot_types: ['Test'] };
const SEND = {
  partitioning: { kind: 'balanced', value: '' },
  messages: [{ payload: 'aGVsbG8=' }],
};
const PASSWORDS = { current_password: 'secret', new_password: 'secret2' };

const T = '/streams/s/topics/t';
const M = '/streams/missing/topics/t';
const row = (
  head: `${Row['method']} ${string}`,
  status: number,
  kind: string | null,
  more: Partial<Row> = {},
): Row => {
  const [method, url] = head.split(' ') as [Row['method'], string];
  return { method, url, status, kind, ...more };
};

const ROWS: readonly Row[] = [
  row('GET /streams', 200, 'getStreams', { members: [...STREAM, 'options'] }),
  row('POST /streams', 200, 'createStream', {
    ...{ body: { name: 's' }, members: [...STREAM, 'topics', 'options'] },
  }),
  row('GET /streams/s', 200, 'getStream', {
    ...{ missing: '/streams/missing', members: [...STREAM, 'topics', 'options'] },
  }),
  row('PUT /streams/3', 204, 'updateStream', { body: { name: 'n' }, missing: '/streams/missing' }),
  row('DELETE /streams/s', 204, 'deleteStream', { missing: '/streams/missing' }),
  row('DELETE /streams/s/purge', 204, 'purgeStream', { missing: '/streams/missing/purge' }),
  row('GET /streams/s/topics', 200, 'getTopics', { members: [...TOPIC, 'options'] }),
  row('POST /streams/s/topics', 200, 'createTopic', {
    ...{ body: NEW_TOPIC, missing: '/streams/missing/topics', members: TOPIC_DETAILS },
  }),
  row(`GET ${T}`, 200, 'getTopic', { missing: M, members: TOPIC_DETAILS }),
  row(`PUT ${T}`, 204, 'updateTopic', { body: { name: 'n' }, missing: M }),
  row(`DELETE ${T}`, 204, 'deleteTopic', { missing: M }),
  row(`DELETE ${T}/purge`, 204, 'purgeTopic', { missing: `${M}/purge` }),
  row(`POST ${T}/partitions`, 200, 'createPartitions', {
    ...{ body: { partitions_count: 1 }, missing: `${M}/partitions` },
  }),
  row(`DELETE ${T}/partitions?partitions_count=1`, 204, 'deletePartitions', {
    missing: `${M}/partitions?partitions_count=1`,
  }),
  row(`DELETE ${T}/partitions/0?segments_count=1`, 204, 'deleteSegments', {
    missing: `${M}/partitions/0?segments_count=1`,
  }),
  row(`GET ${T}/messages`, 200, 'pollMessages', {
    members: ['partition_id', 'current_offset', 'count', 'messages'],
  }),
  row(`POST ${T}/messages`, 201, 'sendMessages', {
    ...{ body: SEND, missing: `${M}/messages`, members: ['confirmations'] },
  }),
  row(`GET ${T}/consumer-offsets`, 200, 'getConsumerOffset', {
    ...{ missing: `${M}/consumer-offsets` },
    members: ['partition_id', 'current_offset', 'stored_offset'],
  }),
  row(`PUT ${T}/consumer-offsets`, 204, 'storeConsumerOffset', {
    ...{ body: { consumer_id: 'a', partition_id: 0, offset: 4 } },
    missing: `${M}/consumer-offsets`,
  }),
  row(`DELETE ${T}/consumer-offsets/a`, 204, 'deleteConsumerOffset', {
    missing: `${M}/consumer-offsets/a`,
  }),
  row(`GET ${T}/consumer-groups`, 200, 'getConsumerGroups', { members: GROUP }),
  row(`POST ${T}/consumer-groups`, 200, 'createConsumerGroup', {
    ...{ body: { name: 'g' }, missing: `${M}/consumer-groups`, members: [...GROUP, 'members'] },
  }),
  row(`GET ${T}/consumer-groups/g`, 200, 'getConsumerGroup', {
    ...{ missing: `${M}/consumer-groups/g`, members: [...GROUP, 'members'] },
  }),
  row(`DELETE ${T}/consumer-groups/g`, 204, 'deleteConsumerGroup', {
    missing: `${M}/consumer-groups/g`,
  }),
  row('GET /users', 200, 'getUsers', { members: [...USER, 'options'] }),
  row('POST /users', 200, 'createUser', {
    ...{ body: NEW_USER, members: [...USER, 'permissions', 'options'] },
  }),
  row('GET /users/bob', 200, 'getUser', {
    ...{ missing: '/users/missing', members: [...USER, 'permissions', 'options'] },
  }),
  row('PUT /users/bob', 204, 'updateUser', {
    ...{ body: { status: 'inactive' }, missing: '/users/missing' },
  }),
  row('DELETE /users/bob', 204, 'deleteUser', { missing: '/users/missing' }),
  row('PUT /users/bob/permissions', 204, 'updatePermissions', {
    ...{ body: { permissions: null }, missing: '/users/missing/permissions' },
  }),
  row('PUT /users/bob/password', 204, 'changePassword', {
    ...{ body: PASSWORDS, missing: '/users/missing/password' },
  }),
  row('GET /personal-access-tokens', 200, 'getPersonalAccessTokens', {
    members: ['name', 'expiry_at'],
  }),
  row('POST /personal-access-tokens', 200, 'createPersonalAccessToken', {
    ...{ body: { name: 'tok', expiry: 0 }, members: ['token'] },
  }),
  row('DELETE /personal-access-tokens/tok', 204, 'deletePersonalAccessToken'),
  row('GET /stats', 200, 'getStats'),
  row('GET /cluster/metadata', 200, 'getClusterMetadata', { members: ['name', 'nodes'] }),
  row('GET /clients', 200, 'getClients', {
    members: ['client_id', 'user_id', 'address', 'transport', 'consumer_groups_count'],
  }),
  row('GET /clients/9', 200, 'getClient', { missing: '/clients/404' }),
  row('GET /options/topic', 200, 'describeOptions', {
    members: ['key', 'kind', 'default_value', 'description'],
  }),
  row('POST /snapshot', 200, 'getSnapshot', { body: SNAPSHOT }),
  row('DELETE /users/logout', 204, null),
];

describe('the routes of the HTTP API', () => {
  for (const { method, url, status, kind, body, missing, members } of ROWS) {
    it(`serve ${method} ${url}`, async () => {
      const stage = new Stage();
      stage.bearer = await stage.login();
      const done = await stage.ask(method, url, { body });
      assert.equal(done.status, status, done.text);
      assert.equal(done.headers['iggy-view'], '0');
      assert.deepEqual(
        stage.broker.asked.map((command) => command.kind),
        kind === null ? [] : [kind],
      );
      if (status === 204) assert.equal(done.text, '');
      if (members !== undefined) {
        const one = Array.isArray(done.json) ? done.json[0] : done.json;
        assert.deepEqual(Object.keys(one as object), members);
      }
      const stranger = await stage.ask(method, url, { body, bearer: null });
      assert.equal(stranger.status, 401);
      assert.equal((stranger.json as { id: number }).id, 77);
      if (missing !== undefined) {
        const absent = await stage.ask(method, missing, { body });
        assert.equal(absent.status, 404, absent.text);
      }
      if (kind === null || kind === 'sendMessages') return;
      const bearer = await stage.login('powerless');
      const refused = await stage.ask(method, url, { body, bearer });
      assert.equal(refused.status, 403);
      assert.deepEqual(Object.keys(refused.json as object), ['id', 'code', 'reason', 'field']);
    });
  }

  for (const { method, url, body, status } of ROWS.filter((each) => each.body !== undefined)) {
    it(`refuse bodies of ${method} ${url} that are no JSON, no object or of another type`, async () => {
      const stage = new Stage();
      stage.bearer = await stage.login();
      const statusOf = async (text: string, type = 'application/json'): Promise<number> =>
        (await stage.ask(method, url, { text, headers: { 'content-type': type } })).status;
      assert.equal(await statusOf('{"name":'), 400);
      assert.equal(await statusOf('[1]'), 422);
      assert.equal(await statusOf('null'), 422);
      assert.equal(await statusOf(JSON.stringify(body), 'text/plain'), 415);
      assert.equal((await stage.ask(method, url)).status, 415);
      assert.deepEqual(stage.broker.asked, []);
      const poison = JSON.stringify(body).replace('{', '{"__proto__":{"x":1},');
      const isStrict = url.endsWith('/messages');
      assert.equal(await statusOf(poison), isStrict ? 422 : status);
      assert.equal(({} as { x?: number }).x, undefined);
    });
  }

  it('pass on an outcome that says no, with its field', async () => {
    const stage = new Stage();
    stage.bearer = await stage.login();
    stage.broker.code = 1012;
    const { status, json } = await stage.ask('POST', '/streams', { body: { name: 's' } });
    assert.equal(status, 400);
    const reason = 'Stream name already exists';
    assert.deepEqual(json, { id: 1012, code: 'stream_name_already_exists', reason, field: 'name' });
  });

  it('print sizes with units and endless numbers whole', async () => {
    const stage = new Stage();
    stage.bearer = await stage.login();
    const { text } = await stage.ask('GET', '/streams/s/topics/t');
    assert.match(text, /"size":"69\.092 KB"/u);
    assert.match(text, /"message_expiry":18446744073709551615,/u);
    assert.match(text, /"durability":\{"value":"persisted","explicit":true\}/u);
    assert.match(text, /"segment_size":\{"value":"1073741824","explicit":false\}/u);
  });

  it('read options of a topic from members and from the map', async () => {
    const stage = new Stage();
    stage.bearer = await stage.login();
    const text = `{"name":"t","partitions_count":1,"compression_algorithm":"gzip",
      "message_expiry":18446744073709551615,"max_topic_size":0,"options":{"durability":"persisted"}}`;
    assert.equal((await stage.ask('POST', '/streams/s/topics', { text })).status, 200);
    const [command] = stage.broker.asked;
    assert(command?.kind === 'createTopic');
    assert.deepEqual(
      command.options.map(({ key, value }) => [key, Buffer.from(value).toString()]),
      [
        ['durability', 'persisted'],
        ['compression_algorithm', 'gzip'],
        ['message_expiry', 'unlimited'],
      ],
    );
  });
});
