import assert from 'node:assert/strict';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Broker } from '../broker/port.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { HttpServer } from './http-server.ts';
import { ManualClock } from './test-clock.ts';

const TOKEN = 'a-token-of-somebody';

interface Stage {
  readonly server: HttpServer;
  readonly answered: number[];
  readonly bugs: unknown[];
  ready: boolean;
}

function stage(env: Record<string, string> = {}): Stage {
  const address = { IGGY_HTTP_ADDRESS: '127.0.0.1:0' };
  const sources = { file: null, env: { ...address, ...env }, flags: new Map() };
  const config: Config['http'] = loadConfig(sources).config.http;
  const answered: number[] = [];
  const bugs: unknown[] = [];
  const made: Stage = { ready: true, answered, bugs } as unknown as Stage;
  const broker = {
    get ready() {
      return made.ready;
    },
    verifyToken: (token: string) => {
      if (token === 'broken') throw new TypeError('a bug');
      if (token !== TOKEN) throw new OperatingError(STATUS.invalidPersonalAccessToken);
      return 0;
    },
    userMayAct: () => true,
  } as unknown as Broker;
  const metrics = { contentType: 'text/plain; version=0.0.4', text: async () => 'iggy_up 1\n' };
  const observer = { answered: ({ status }: { status: number }) => void answered.push(status) };
  const onBug = (error: unknown): void => void bugs.push(error);
  const clock = new ManualClock();
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const server = new HttpServer(config, { broker, clock, logger, metrics, observer, onBug });
  return Object.assign(made, { server });
}

describe('the HTTP server', () => {
  it('answers that it is alive without a login, and counts what it answered', async () => {
    const { server, answered } = stage();
    for (const url of ['/ping', '/healthz', '/readyz']) {
      assert.equal((await server.app.inject({ url })).statusCode, 200, url);
    }
    assert.deepEqual(answered, [200, 200, 200]);
  });

  it('is not ready while the broker is not', async () => {
    const made = stage();
    made.ready = false;
    assert.equal((await made.server.app.inject({ url: '/readyz' })).statusCode, 503);
    assert.equal((await made.server.app.inject({ url: '/healthz' })).statusCode, 200);
  });

  it('shows metrics to who has a token, or to all when they are public', async () => {
    const { server } = stage();
    const headers = { authorization: `Bearer ${TOKEN}` };
    const shown = await server.app.inject({ url: '/metrics', headers });
    assert.equal(shown.statusCode, 200);
    assert.equal(shown.body, 'iggy_up 1\n');
    for (const authorization of ['', 'Bearer wrong', `Basic ${TOKEN}`]) {
      const refused = await server.app.inject({ url: '/metrics', headers: { authorization } });
      assert.equal(refused.statusCode, 401, authorization);
      const isBorne = authorization.startsWith('Bearer');
      assert.equal(refused.json().code, isBorne ? 'unauthenticated' : 'access_token_missing');
    }
    const open = stage({ IGGY_HTTP_METRICS_PUBLIC: 'true' });
    assert.equal((await open.server.app.inject({ url: '/metrics' })).statusCode, 200);
    const off = stage({ IGGY_HTTP_METRICS_ENABLED: 'false' });
    assert.equal((await off.server.app.inject({ url: '/metrics' })).statusCode, 404);
  });

  it('answers unknown routes and bugs in the one form of errors', async () => {
    const { server, bugs } = stage();
    const missing = await server.app.inject({ url: '/nothing' });
    assert.equal(missing.statusCode, 404);
    assert.deepEqual(Object.keys(missing.json()), ['id', 'code', 'reason', 'field']);
    const headers = { authorization: 'Bearer broken' };
    const broken = await server.app.inject({ url: '/metrics', headers });
    assert.equal(broken.statusCode, 500);
    assert.equal(bugs.length, 1);
  });

  it('listens where it is told and closes', async () => {
    const { server } = stage();
    const { host, port } = await server.start();
    assert(port > 0);
    assert.equal((await fetch(`http://${host}:${port}/healthz`)).status, 200);
    await server.stop({ drainMs: 1000 });
    await assert.rejects(fetch(`http://${host}:${port}/healthz`));
  });
});
