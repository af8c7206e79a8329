import assert from 'node:assert/strict';
import fc from 'fast-check';
import { kindName } from './json-values.ts';
import { Stage } from './test-stage.ts';

const URL = '/streams/s/topics/t/messages';
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const BALANCED = { kind: 'balanced', value: '' };
const U128 = (1n << 128n) - 1n;

const fieldOf = fc
  .record({
    kind: fc.integer({ min: 1, max: 15 }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 255 }),
  })
  .map(({ kind, bytes }) => ({ kind: kindName(kind), value: base64(bytes) }));
const messageOf = fc.record({
  id: fc.bigInt({ min: 1n, max: U128 }).map(String),
  payload: fc.uint8Array({ minLength: 1, maxLength: 300 }).map(base64),
  user_headers: fc.array(fc.record({ key: fieldOf, value: fieldOf }, { noNullPrototype: true }), {
    maxLength: 4,
  }),
});

type SentMessage = typeof messageOf extends fc.Arbitrary<infer T> ? T : never;

describe('messages over HTTP', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = new Stage();
    stage.bearer = await stage.login();
  });

  const statusOf = async (message: unknown, partitioning: unknown = BALANCED): Promise<number> => {
    const body = { partitioning, messages: [message] };
    return (await stage.ask('POST', URL, { body })).status;
  };

  it('come back as they were sent', async () => {
    const messagesOf = fc.array(messageOf, { minLength: 1, maxLength: 5 });
    const check = async (messages: readonly SentMessage[]): Promise<void> => {
      const sent = await stage.ask('POST', URL, { body: { partitioning: BALANCED, messages } });
      assert.equal(sent.status, 201, sent.text);
      const { json, text } = await stage.ask('GET', URL);
      const polled = (json as { messages: Record<string, unknown>[] }).messages;
      assert.equal(polled.length, messages.length);
      for (const [index, { id, payload, user_headers }] of messages.entries()) {
        assert.equal(polled[index]!['payload'], payload);
        assert.deepEqual(polled[index]!['user_headers'], user_headers);
        assert(text.includes(`"id":${id},"offset":${index},`));
      }
    };
    await fc.assert(fc.asyncProperty(messagesOf, check), { numRuns: 50 });
    assert(stage.broker.releasedCount > 0);
  });

  it('have ids of every form, in the order of bytes that clients use', async () => {
    const uuid = '0196b3f0-5a7c-7c11-8a53-3a1f0f0a9d01';
    const hex = '019d0a0f1f3a538a117c7c5af0b39601';
    for (const [id, expected] of [
      [`"${uuid}"`, hex],
      ['18446744073709551615', `${'ff'.repeat(8)}${'00'.repeat(8)}`],
      [`"${U128}"`, 'ff'.repeat(16)],
      ['5', `05${'00'.repeat(15)}`],
    ]) {
      const text = `{"partitioning":{"kind":"balanced","value":""},"messages":[{"id":${id},"payload":"YQ=="}]}`;
      assert.equal((await stage.ask('POST', URL, { text })).status, 201);
      assert.equal(stage.broker.messages[0]!.id, expected);
    }
    assert.equal(await statusOf({ id: 0, payload: 'YQ==' }), 201);
    assert.notEqual(stage.broker.messages[0]!.id, '00'.repeat(16));
    for (const id of [-1, 1.5, true, 'x', String(U128 + 1n), 1e30]) {
      assert.equal(await statusOf({ id, payload: 'YQ==' }), 422, String(id));
    }
  });

  it('go where they are told', async () => {
    const message = { payload: 'YQ==' };
    assert.equal(await statusOf(message, { kind: 'partition_id', value: 'BwAAAA==' }), 201);
    assert.equal(await statusOf(message, { kind: 'messages_key', value: 'a2V5' }), 201);
    const [first, second] = stage.broker.asked;
    assert(first?.kind === 'sendMessages' && second?.kind === 'sendMessages');
    assert.deepEqual(first.partitioning, { kind: 'partition', partitionId: 7 });
    assert(second.partitioning.kind === 'key');
    assert.equal(Buffer.from(second.partitioning.key).toString(), 'key');
    for (const partitioning of [
      { kind: 'partition_id', value: 'BwAA' },
      { kind: 'messages_key', value: '' },
      { kind: 'elsewhere', value: '' },
      { kind: 'balanced' },
      null,
    ]) {
      assert.equal(await statusOf(message, partitioning), 422);
    }
  });

  it('are refused when they are empty, no base64 or with headers that are none', async () => {
    const field = { kind: 'string', value: 'YQ==' };
    const headers = (key: unknown, value: unknown = field): unknown => ({
      ...{ payload: 'YQ==', user_headers: [{ key, value }] },
    });
    for (const message of [
      { payload: '' },
      { payload: 'YQ' },
      { payload: 'Y?==' },
      { payload: 7 },
      null,
      headers({ kind: 'text', value: 'YQ==' }),
      headers({ kind: 'toString', value: 'YQ==' }),
      headers({ kind: 'string', value: '' }),
      headers({ kind: 'string', value: base64(new Uint8Array(256)) }),
      headers(field, null),
      { payload: 'YQ==', user_headers: 7 },
    ]) {
      assert.equal(await statusOf(message), 422, JSON.stringify(message).slice(0, 80));
    }
    assert.deepEqual(stage.broker.asked, []);
    const none = await stage.ask('POST', URL, { body: { partitioning: BALANCED, messages: [] } });
    assert.equal((none.json as { id: number }).id, 4009);
  });

  it('keep a header block that is not ours to read', async () => {
    const user_headers = base64(new Uint8Array([0, 1, 2]));
    assert.equal(await statusOf({ payload: 'YQ==', user_headers }), 201);
    const { json } = await stage.ask('GET', URL);
    const [message] = (json as { messages: { user_headers: unknown }[] }).messages;
    assert.equal(message!.user_headers, user_headers);
  });

  it('say how durable they are, and may go without an answer', async () => {
    const body = { partitioning: BALANCED, messages: [{ payload: 'YQ==' }] };
    const sent = await stage.ask('POST', URL, { body });
    assert.equal(sent.headers['iggy-durability'], 'persisted');
    const place = { stream_id: 3, topic_id: 4, partition_id: 0, base_offset: 0 };
    assert.deepEqual(sent.json, { confirmations: [place] });
    stage.broker.before = () => Promise.reject(new Error('nobody is told'));
    const quiet = await stage.ask('POST', `${URL}?ack=none`, { body });
    assert.equal(quiet.status, 202);
    assert.equal(quiet.text, '');
    assert.equal(quiet.headers['iggy-durability'], 'none');
    assert.equal((await stage.ask('POST', `${URL}?ack=some`, { body })).status, 400);
  });

  it('are polled by every strategy', async () => {
    for (const [query, strategy] of [
      ['', { kind: 'offset', offset: 0 }],
      ['?kind=o&value=18446744073709551615', { kind: 'offset', offset: Number.POSITIVE_INFINITY }],
      ['?kind=timestamp&value=9', { kind: 'timestamp', timestampUs: 9 }],
      ['?kind=f', { kind: 'first' }],
      ['?kind=last', { kind: 'last' }],
      ['?kind=n', { kind: 'next' }],
    ] as const) {
      assert.equal((await stage.ask('GET', `${URL}${query}`)).status, 200);
      const command = stage.broker.asked.at(-1);
      assert(command?.kind === 'pollMessages');
      assert.deepEqual(command.strategy, strategy);
    }
    const url = `${URL}?consumer_id=app&partition_id=2&count=50&auto_commit=true`;
    await stage.ask('GET', url);
    const command = stage.broker.asked.at(-1);
    assert(command?.kind === 'pollMessages');
    const { consumer, partitionId, count, autoCommit } = command;
    const id = { kind: 'name', name: 'app' };
    assert.deepEqual(
      { consumer, partitionId, count, autoCommit },
      { consumer: { kind: 'consumer', id }, partitionId: 2, count: 50, autoCommit: true },
    );
    for (const query of ['count=x', 'count=-1', 'kind=x', 'auto_commit=yes', 'value=1&value=2']) {
      assert.equal((await stage.ask('GET', `${URL}?${query}`)).status, 400, query);
    }
  });

  it('that come too late are a 504, and their records are given back', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { promise: isAsked, resolve: noteAsked } = Promise.withResolvers<void>();
    stage.broker.before = () => {
      noteAsked();
      return promise;
    };
    const polling = stage.ask('GET', URL);
    await isAsked;
    stage.clock.advance(10_000);
    const { status, json } = await polling;
    assert.equal(status, 504);
    assert.equal((json as { code: string }).code, 'partition_read_timeout');
    assert.equal(stage.broker.releasedCount, 0);
    resolve();
    await new Promise(setImmediate);
    assert.equal(stage.broker.releasedCount, 1);
  });

  it('of one credential are under way 32 at a time, of all 128', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    stage.broker.before = () => promise;
    const body = { partitioning: BALANCED, messages: [{ payload: 'YQ==' }] };
    const url = `${URL}?ack=none`;
    for (let user = 0; user < 4; user += 1) {
      stage.bearer = await stage.login();
      for (let write = 0; write < 32; write += 1) {
        assert.equal((await stage.ask('POST', url, { body })).status, 202);
      }
      const over = await stage.ask('POST', url, { body });
      assert.equal(over.status, 429);
      assert.equal(over.headers['retry-after'], '1');
    }
    stage.bearer = await stage.login();
    const busy = await stage.ask('POST', url, { body });
    assert.equal(busy.status, 503);
    assert.equal((busy.json as { code: string }).code, 'server_busy');
    resolve();
    await new Promise(setImmediate);
    assert.equal((await stage.ask('POST', url, { body })).status, 202);
  });
});
