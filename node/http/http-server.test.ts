import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type PeerCertificate } from 'node:tls';
import { SessionEnded } from '../broker/port.ts';
import { makeCertificate } from '../transports/test-certificate.ts';
import { RAW_TOKEN } from './test-broker.ts';
import { Stage } from './test-stage.ts';

function peerName(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve((socket.getPeerCertificate() as PeerCertificate).subject.CN as string);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('the HTTP server', () => {
  it('answers that it is alive without a login, and counts what it answered', async () => {
    const stage = new Stage();
    for (const url of ['/ping', '/healthz', '/readyz']) {
      assert.equal((await stage.ask('GET', url)).status, 200, url);
    }
    assert.deepEqual(stage.answered, [200, 200, 200]);
    stage.broker.ready = false;
    assert.equal((await stage.ask('GET', '/readyz')).status, 503);
    assert.equal((await stage.ask('GET', '/healthz')).status, 200);
  });

  it('shows metrics to who is logged in, or to all when they are public', async () => {
    const stage = new Stage();
    const shown = await stage.ask('GET', '/metrics', { bearer: RAW_TOKEN });
    assert.equal(shown.text, 'iggy_up 1\n');
    assert.equal((await stage.ask('GET', '/metrics', { bearer: 'wrong' })).status, 401);
    assert.equal((await stage.ask('GET', '/metrics')).status, 401);
    const headers = { authorization: `Basic ${RAW_TOKEN}` };
    assert.equal((await stage.ask('GET', '/metrics', { headers })).status, 401);
    const open = new Stage({ IGGY_HTTP_METRICS_PUBLIC: 'true' });
    assert.equal((await open.ask('GET', '/metrics')).status, 200);
    const off = new Stage({ IGGY_HTTP_METRICS_ENABLED: 'false' });
    assert.equal((await off.ask('GET', '/metrics')).status, 404);
  });

  it('answers wrong paths, methods, escapes and large bodies in the one form of errors', async () => {
    const stage = new Stage({ IGGY_HTTP_MAX_REQUEST_SIZE: '1 KiB' });
    stage.bearer = await stage.login();
    const large = { body: { name: 'x'.repeat(2000) } };
    for (const [method, url, status, asked] of [
      ['GET', '/nothing', 404, {}],
      ['GET', '/streams/a/b/c', 404, {}],
      ['PATCH', '/streams', 405, {}],
      ['PUT', '/streams/s/topics/t/messages', 405, {}],
      ['GET', '/streams/%zz', 400, {}],
      ['GET', `/streams/${'n'.repeat(256)}`, 400, {}],
      ['POST', '/streams', 413, large],
      ['POST', '/streams', 400, { text: '['.repeat(1000) }],
      ['POST', '/streams', 422, { text: '' }],
    ] as const) {
      const { json, status: got, text } = await stage.ask(method, url, asked);
      assert.equal(got, status, `${method} ${url} ${text}`);
      assert.deepEqual(Object.keys(json as object), ['id', 'code', 'reason', 'field']);
    }
    const escaped = encodeURIComponent('\u{1f41a}'.repeat(63));
    assert.equal((await stage.ask('GET', `/streams/${escaped}`)).status, 200);
    assert.deepEqual(stage.bugs, []);
  });

  it('answers a bug with 500, tells its owner once and the client nothing', async () => {
    const stage = new Stage();
    const { status, json, text } = await stage.ask('GET', '/streams', { bearer: 'broken' });
    assert.equal(status, 500);
    assert.equal((json as { id: number }).id, 1);
    assert(!text.includes('a bug'));
    assert.equal(stage.bugs.length, 1);
  });

  it('answers an ended session with 401 and "not now" with 503', async () => {
    const stage = new Stage();
    stage.bearer = RAW_TOKEN;
    stage.broker.before = () => Promise.reject(new SessionEnded(7));
    assert.equal((await stage.ask('GET', '/streams')).status, 401);
    stage.broker.before = null;
    stage.broker.code = 58;
    const busy = await stage.ask('DELETE', '/streams/s');
    assert.equal(busy.status, 503);
    assert.equal(busy.headers['retry-after'], '1');
  });

  it('answers pages of other origins as it is told', async () => {
    const asked = {
      headers: { origin: 'http://a', 'access-control-request-method': 'PUT' },
    };
    const { status, headers } = await new Stage().ask('OPTIONS', '/streams', asked);
    assert.equal(status, 200);
    assert.equal(headers['access-control-allow-origin'], '*');
    assert.match(String(headers['access-control-allow-methods']), /PUT/u);
    const some = new Stage({ IGGY_HTTP_CORS_ALLOWED_ORIGINS: 'http://a,http://b' });
    const known = await some.ask('OPTIONS', '/streams', asked);
    assert.equal(known.headers['access-control-allow-origin'], 'http://a');
    const other = { headers: { ...asked.headers, origin: 'http://c' } };
    const unknown = await some.ask('OPTIONS', '/streams', other);
    assert.equal(unknown.headers['access-control-allow-origin'], undefined);
  });

  it('listens where it is told, and closes kept connections when it stops', async () => {
    const { server } = new Stage();
    const { host, port } = await server.start();
    const agent = new Agent({ keepAlive: true });
    await new Promise<void>((resolve, reject) => {
      get({ host, port, path: '/healthz', agent }, (response) => {
        response.resume().on('end', resolve);
      }).on('error', reject);
    });
    await server.stop({ drainMs: 1000 });
    await assert.rejects(fetch(`http://${host}:${port}/healthz`));
    agent.destroy();
  });

  it('cuts off what is not answered when its time to stop is over', async () => {
    const stage = new Stage();
    const { host, port } = await stage.server.start();
    const { promise: isAsked, resolve: noteAsked } = Promise.withResolvers<void>();
    stage.broker.before = () => {
      noteAsked();
      return new Promise(() => {});
    };
    const headers = { authorization: `Bearer ${RAW_TOKEN}` };
    const hanging = assert.rejects(fetch(`http://${host}:${port}/streams`, { headers }));
    await isAsked;
    const stopped = stage.server.stop({ drainMs: 1000 });
    stage.clock.advance(1000);
    await Promise.all([stopped, hanging]);
  });

  it('serves TLS, and takes a new certificate without a restart', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'http-tls-'));
    try {
      const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
      const put = async (name: string): Promise<void> => {
        const { cert, key } = makeCertificate(name);
        await Promise.all([writeFile(certFile, cert), writeFile(keyFile, key)]);
      };
      await put('first');
      const stage = new Stage({
        ...{ IGGY_HTTP_TLS_ENABLED: 'true', IGGY_HTTP_TLS_CERT_FILE: certFile },
        IGGY_HTTP_TLS_KEY_FILE: keyFile,
      });
      const { port } = await stage.server.start();
      assert.equal(await peerName(port), 'first');
      await put('second');
      for (let name = 'first'; name !== 'second'; name = await peerName(port)) {
        stage.clock.advance(10_000);
      }
      await stage.server.stop({ drainMs: 1000 });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
