import assert from 'node:assert/strict';
import { ROOT, ServerProcess } from './harness/server-process.ts';

// Every route of the HTTP API on a real server, as a client with nothing but HTTP sees it.

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is whatever the test expects
  readonly body: any;
}

describe('the HTTP API', () => {
  let server: ServerProcess;
  let token = '';

  before(async () => {
    server = await ServerProcess.own();
    token = (await call('POST', '/users/login', ROOT, null)).body.access_token.token;
  });

  after(async () => {
    await server?.remove();
  });

  async function call(
    method: string,
    path: string,
    body?: unknown,
    bearer: string | null = token,
  ): Promise<Answer> {
    const headers: Record<string, string> = {};
    if (bearer !== null) headers['authorization'] = `Bearer ${bearer}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const payload = typeof body === 'string' ? body : JSON.stringify(body);
    const init = { method, headers, ...(body === undefined ? {} : { body: payload }) };
    const answer = await fetch(`${server.httpUrl}${path}`, init);
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.includes('json') === true;
    return {
      status: answer.status,
      headers: answer.headers,
      body: isJson && text !== '' ? JSON.parse(text) : text,
    };
  }

  /** A call that must have this status; returns the body. */
  async function expect(
    status: number,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Answer['body']> {
    const answer = await call(method, path, body);
    assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  it('logs in by password and by token, refreshes, and refuses strangers', async () => {
    const wrong = await call('POST', '/users/login', { ...ROOT, password: 'wrong-secret' }, null);
    assert.equal(wrong.status, 400);
    assert.deepEqual([wrong.body.id, wrong.body.code], [42, 'invalid_credentials']);
    const refreshed = await expect(200, 'POST', '/users/refresh-token', { token });
    assert.equal(typeof refreshed.access_token.expiry, 'number');
    assert.equal((await call('GET', '/streams', undefined, null)).status, 401);
    assert.equal((await call('GET', '/streams', undefined, 'no.such.token')).status, 401);
    const { token: raw } = await expect(200, 'POST', '/personal-access-tokens', {
      name: 'laptop',
      expiry: 0,
    });
    const byToken = await call('POST', '/personal-access-tokens/login', { token: raw }, null);
    assert.equal(byToken.status, 200);
    assert.equal((await call('GET', '/streams', undefined, raw)).status, 200);
    assert.equal((await expect(200, 'GET', '/personal-access-tokens'))[0].name, 'laptop');
    await expect(400, 'POST', '/personal-access-tokens', { name: 'laptop', expiry: 0 });
    await expect(204, 'DELETE', '/personal-access-tokens/laptop');
    await expect(404, 'DELETE', '/personal-access-tokens/laptop');
    assert.equal((await call('GET', '/streams', undefined, raw)).status, 401);
    const mine = await call('POST', '/users/login', ROOT, null);
    const { status } = await call(
      'DELETE',
      '/users/logout',
      undefined,
      mine.body.access_token.token,
    );
    assert.equal(status, 204);
  });

  it('manages streams and topics', async () => {
    const stream = await expect(200, 'POST', '/streams', { name: 'orders' });
    assert.deepEqual([stream.id, stream.size, stream.topics_count], [0, '0 B', 0]);
    assert.equal((await expect(400, 'POST', '/streams', { name: 'orders' })).id, 1012);
    await expect(204, 'PUT', '/streams/orders', { name: 'sales' });
    await expect(204, 'PUT', '/streams/0', { name: 'orders' });
    assert.equal((await expect(200, 'GET', '/streams')).length, 1);
    assert.equal((await expect(404, 'GET', '/streams/nothing')).code, 'not_found');
    const topic = await expect(200, 'POST', '/streams/orders/topics', {
      name: 'created',
      partitions_count: 2,
      compression_algorithm: 'none',
      message_expiry: 0,
      max_topic_size: '10 GiB',
    });
    assert.deepEqual([topic.id, topic.partitions_count, topic.partitions.length], [0, 2, 2]);
    assert.equal(topic.max_topic_size, 10 * 1024 ** 3);
    assert.equal(topic.options.max_topic_size.explicit, true);
    await expect(204, 'PUT', '/streams/orders/topics/created', { name: 'created' });
    assert.equal((await expect(200, 'GET', '/streams/orders/topics')).length, 1);
    await expect(200, 'GET', '/streams/orders/topics/created');
    await expect(404, 'GET', '/streams/orders/topics/nothing');
    const partitions = '/streams/orders/topics/created/partitions';
    await expect(200, 'POST', partitions, { partitions_count: 1 });
    await expect(204, 'DELETE', `${partitions}?partitions_count=1`);
    assert.equal((await expect(400, 'DELETE', `${partitions}?partitions_count=9`)).id, 2019);
    await expect(204, 'DELETE', `${partitions}/0?segments_count=1`);
  });

  it('sends and polls messages with headers and ids, and keeps offsets', async () => {
    const place = '/streams/orders/topics/created';
    const text = (value: string): string => Buffer.from(value).toString('base64');
    const header = {
      key: { kind: 'string', value: text('region') },
      value: { kind: 'string', value: text('eu') },
    };
    const sent = await call('POST', `${place}/messages`, {
      partitioning: { kind: 'partition_id', value: 'AAAAAA==' },
      messages: [
        { id: 7, payload: text('first'), user_headers: [header] },
        { id: '0196b3f0-5a7c-7c11-8a53-3a1f0f0a9d01', payload: text('second') },
      ],
    });
    assert.equal(sent.status, 201);
    assert.match(sent.headers.get('iggy-durability') ?? '', /^(?:replicated|persisted)$/u);
    const confirmation = { stream_id: 0, topic_id: 0, partition_id: 0, base_offset: 0 };
    assert.deepEqual(sent.body, { confirmations: [confirmation] });
    const polled = await expect(200, 'GET', `${place}/messages?partition_id=0&kind=first&count=9`);
    assert.deepEqual([polled.partition_id, polled.current_offset, polled.count], [0, 1, 2]);
    const [first, second] = polled.messages;
    assert.deepEqual([first.header.id, first.header.offset, first.payload], [7, 0, text('first')]);
    assert.deepEqual(first.user_headers, [header]);
    assert.equal(second.header.payload_length, 6);
    const next = `${place}/messages?consumer_id=app&kind=next&count=1&auto_commit=true`;
    assert.equal((await expect(200, 'GET', next)).messages[0].header.offset, 0);
    assert.equal((await expect(200, 'GET', next)).messages[0].header.offset, 1);
    const offsets = `${place}/consumer-offsets`;
    await expect(204, 'PUT', offsets, { consumer_id: 'saver', partition_id: 0, offset: 1 });
    const stored = await expect(200, 'GET', `${offsets}?consumer_id=saver&partition_id=0`);
    assert.deepEqual(stored, { partition_id: 0, current_offset: 1, stored_offset: 1 });
    const beyond = { consumer_id: 'saver', partition_id: 0, offset: 99 };
    assert.equal((await expect(400, 'PUT', offsets, beyond)).id, 4100);
    await expect(204, 'DELETE', `${offsets}/saver?partition_id=0`);
    await expect(404, 'GET', `${offsets}?consumer_id=saver&partition_id=0`);
    const unanswered = await call('POST', `${place}/messages?ack=none`, {
      partitioning: { kind: 'balanced', value: '' },
      messages: [{ payload: text('third') }],
    });
    assert.equal(unanswered.status, 202);
    assert.equal((await expect(404, 'GET', `${place}/messages?partition_id=9`)).id, 3007);
  });

  it('manages consumer groups and users', async () => {
    const groups = '/streams/orders/topics/created/consumer-groups';
    assert.equal((await expect(200, 'POST', groups, { name: 'billing' })).members_count, 0);
    assert.equal((await expect(400, 'POST', groups, { name: 'billing' })).id, 5004);
    assert.equal((await expect(200, 'GET', groups)).length, 1);
    await expect(200, 'GET', `${groups}/billing`);
    await expect(204, 'DELETE', `${groups}/billing`);
    await expect(404, 'GET', `${groups}/billing`);
    const user = { username: 'reader', password: 'reader-secret', status: 'active' };
    assert.equal((await expect(200, 'POST', '/users', user)).username, 'reader');
    assert.equal((await expect(400, 'POST', '/users', user)).id, 46);
    assert.equal((await expect(200, 'GET', '/users')).length, 2);
    const login = await call('POST', '/users/login', user, null);
    const reader = login.body.access_token.token as string;
    assert.equal((await call('GET', '/streams', undefined, reader)).status, 403);
    const flags = (names: string[]): Record<string, boolean> => {
      const all = 'manage_servers read_servers manage_users read_users manage_streams read_streams';
      const more = 'manage_topics read_topics poll_messages send_messages';
      return Object.fromEntries(`${all} ${more}`.split(' ').map((n) => [n, names.includes(n)]));
    };
    const permissions = { global: flags(['read_streams']), streams: null };
    await expect(204, 'PUT', '/users/reader/permissions', { permissions });
    assert.equal((await call('GET', '/streams', undefined, reader)).status, 200);
    assert.deepEqual((await expect(200, 'GET', '/users/reader')).permissions, permissions);
    assert.equal((await call('GET', '/users/me', undefined, reader)).body.username, 'reader');
    const change = { current_password: 'reader-secret', new_password: 'other-secret' };
    await expect(204, 'PUT', '/users/reader/password', change);
    await expect(204, 'PUT', '/users/reader', { username: 'renamed', status: 'inactive' });
    assert.equal((await call('GET', '/streams', undefined, reader)).status, 401);
    await expect(204, 'DELETE', '/users/renamed');
    assert.equal((await expect(400, 'DELETE', '/users/0')).id, 48);
  });

  it('never takes a user for a later one of the same number', async () => {
    const user = { username: 'first', password: 'first-secret', status: 'active' };
    const { id } = await expect(200, 'POST', '/users', user);
    const login = await call('POST', '/users/login', user, null);
    const bearer = login.body.access_token.token as string;
    assert.equal((await call('GET', '/users/me', undefined, bearer)).status, 200);
    await expect(204, 'DELETE', '/users/first');
    const next = await expect(200, 'POST', '/users', { ...user, username: 'second' });
    assert.equal(next.id, id);
    assert.equal((await call('GET', '/users/me', undefined, bearer)).status, 401);
    await expect(204, 'DELETE', '/users/second');
  });

  it('looks at the server', async () => {
    for (const path of ['/ping', '/healthz', '/readyz']) {
      assert.equal((await call('GET', path, undefined, null)).status, 200, path);
    }
    const stats = await expect(200, 'GET', '/stats');
    assert.deepEqual([stats.streams_count, stats.topics_count], [1, 1]);
    assert.match(stats.total_memory, /^[\d.]+ (?:[KMGT]i?)?B$/u);
    assert.equal((await expect(200, 'GET', '/cluster/metadata')).nodes.length, 1);
    assert.deepEqual(await expect(200, 'GET', '/clients'), []);
    await expect(404, 'GET', '/clients/4000000');
    assert((await expect(200, 'GET', '/options/topic')).length > 5);
    assert.deepEqual(await expect(200, 'GET', '/options/stream'), []);
    const snapshot = { compression: 'Deflated', snapshot_types: ['Test', 'ServerConfig'] };
    const zip = await call('POST', '/snapshot', snapshot);
    assert.equal(zip.status, 200);
    assert.equal(zip.headers.get('content-type'), 'application/zip');
    assert.equal((await call('GET', '/metrics', undefined, null)).status, 401);
    const metrics = (await call('GET', '/metrics')).body as string;
    assert.match(metrics, /^iggy_appended_messages_total 3$/mu);
    assert.match(metrics, /^iggy_topic_messages\{stream="orders",topic="created"\} 3$/mu);
    assert.match(metrics, /^iggy_log_fsync_duration_seconds_count [1-9]/mu);
  });

  it('answers bad requests with their own status in the one form of errors', async () => {
    const send = '/streams/orders/topics/created/messages';
    for (const [status, path, body] of [
      [400, '/streams', '{ no json'],
      [422, '/streams', { name: 7 }],
      [422, send, { partitioning: { kind: 'odd', value: '' }, messages: [] }],
      [404, '/nothing', {}],
      [413, '/streams', JSON.stringify({ name: 'x'.repeat(3_000_000) })],
    ] as const) {
      const answer = await call('POST', path, body);
      assert.equal(answer.status, status, `${path} ${JSON.stringify(body).slice(0, 40)}`);
      assert.deepEqual(Object.keys(answer.body), ['id', 'code', 'reason', 'field']);
    }
    const preflight = await fetch(`${server.httpUrl}/streams`, {
      method: 'OPTIONS',
      headers: { origin: 'https://page.example', 'access-control-request-method': 'POST' },
    });
    assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
    assert.equal((await call('GET', '/streams')).headers.get('iggy-view'), '0');
  });

  it('purges and deletes', async () => {
    await expect(204, 'DELETE', '/streams/orders/topics/created/purge');
    await expect(204, 'DELETE', '/streams/orders/purge');
    await expect(204, 'DELETE', '/streams/orders/topics/created');
    await expect(204, 'DELETE', '/streams/orders');
    await expect(404, 'DELETE', '/streams/orders');
  });
});
