import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { RAW_TOKEN, ROOT_ID } from './test-broker.ts';
import { Stage } from './test-stage.ts';

const S = 1000;
const HOUR_MS = 3600 * S;

async function statusWith(stage: Stage, bearer: string | null): Promise<number> {
  return (await stage.ask('GET', '/streams', { bearer })).status;
}

describe('logins over HTTP', () => {
  it('give an access token for a password or a raw token', async () => {
    const stage = new Stage();
    const byToken = { body: { token: RAW_TOKEN } };
    const { json, status } = await stage.ask('POST', '/personal-access-tokens/login', byToken);
    assert.equal(status, 200);
    const { user_id, access_token } = json as {
      user_id: number;
      access_token: { token: string; expiry: number };
    };
    assert.equal(user_id, ROOT_ID);
    assert.equal(access_token.expiry, stage.clock.wallUs() / 1_000_000 + 3600);
    assert.equal(await statusWith(stage, access_token.token), 200);
    assert.equal(await statusWith(stage, await stage.login()), 200);
  });

  it('refuse a wrong password with 400 and a wrong token with 401', async () => {
    const stage = new Stage();
    const wrong = { body: { username: 'iggy', password: 'wrong' } };
    const password = await stage.ask('POST', '/users/login', wrong);
    assert.equal(password.status, 400);
    assert.equal((password.json as { id: number }).id, 42);
    const body = { token: 'wrong' };
    const token = await stage.ask('POST', '/personal-access-tokens/login', { body });
    assert.equal(token.status, 401);
    assert.equal((token.json as { id: number }).id, 53);
  });
});

describe('credentials of HTTP requests', () => {
  it('may be a raw token', async () => {
    const stage = new Stage();
    assert.equal(await statusWith(stage, RAW_TOKEN), 200);
    assert.equal(await statusWith(stage, 'nothing'), 401);
  });

  it('end with their time, give or take the skew of clocks', async () => {
    const stage = new Stage();
    const token = await stage.login();
    stage.clock.advance(HOUR_MS + 4 * S);
    assert.equal(await statusWith(stage, token), 200);
    stage.clock.advance(2 * S);
    assert.equal(await statusWith(stage, token), 401);
  });

  it('begin late when they are told to', async () => {
    const stage = new Stage({ IGGY_HTTP_JWT_NOT_BEFORE: '1 m', IGGY_HTTP_JWT_CLOCK_SKEW: '0' });
    const token = await stage.login();
    assert.equal(await statusWith(stage, token), 401);
    stage.clock.advance(61 * S);
    assert.equal(await statusWith(stage, token), 200);
  });

  it('stay good after a refresh and after a logout', async () => {
    const stage = new Stage();
    const token = await stage.login();
    stage.clock.advance(HOUR_MS / 2);
    const refreshed = await stage.ask('POST', '/users/refresh-token', { body: { token } });
    assert.equal(refreshed.status, 200);
    const next = (refreshed.json as { access_token: { token: string } }).access_token.token;
    assert.notEqual(next, token);
    assert.equal((await stage.ask('DELETE', '/users/logout', { bearer: token })).status, 204);
    assert.equal(await statusWith(stage, token), 200);
    stage.clock.advance(HOUR_MS / 2 + 6 * S);
    assert.equal(await statusWith(stage, token), 401);
    assert.equal(await statusWith(stage, next), 200);
    const late = await stage.ask('POST', '/users/refresh-token', { body: { token } });
    assert.equal(late.status, 401);
  });

  it('are worth nothing once their user may not act', async () => {
    const stage = new Stage();
    const token = await stage.login();
    stage.broker.gone.add(ROOT_ID);
    for (const bearer of [token, RAW_TOKEN]) assert.equal(await statusWith(stage, bearer), 401);
    const refreshed = await stage.ask('POST', '/users/refresh-token', { body: { token } });
    assert.equal(refreshed.status, 401);
  });

  it('are not those of a later user who got the same number', async () => {
    const stage = new Stage();
    const token = await stage.login();
    stage.broker.sinceUs += 1;
    assert.equal(await statusWith(stage, token), 401);
    assert.equal(await statusWith(stage, await stage.login()), 200);
  });

  it('of another secret, issuer, audience, algorithm or form are refused', async () => {
    const secret = 'a-secret-of-thirty-two-bytes-or-more';
    const stage = new Stage({ IGGY_HTTP_JWT_ENCODING_SECRET: secret });
    const nowS = stage.clock.wallUs() / 1_000_000;
    const sign = (
      changed: { iss?: string; aud?: string; sub?: string; alg?: string; secret?: string } = {},
    ): Promise<string> =>
      new SignJWT({ since: stage.broker.sinceUs })
        .setProtectedHeader({ alg: changed.alg ?? 'HS256' })
        .setIssuer(changed.iss ?? 'iggy.apache.org')
        .setAudience(changed.aud ?? 'iggy.apache.org')
        .setSubject(changed.sub ?? '0')
        .setExpirationTime(nowS + 60)
        .sign(Buffer.from(changed.secret ?? secret));
    assert.equal(await statusWith(stage, await sign()), 200);
    const bad = [
      await sign({ iss: 'other' }),
      await sign({ aud: 'other' }),
      await sign({ alg: 'HS512' }),
      await sign({ secret: 'another-secret-of-thirty-two-bytes' }),
      await sign({ sub: '-1' }),
      await sign({ sub: '99999999999' }),
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"0"}').toString('base64url')}.`,
      (await sign()).slice(0, -2),
      'a.b.c',
      '.'.repeat(20_000),
    ];
    for (const token of bad) assert.equal(await statusWith(stage, token), 401, token.slice(0, 80));
  });

  it('are shared by servers with one secret, in base64 too', async () => {
    const secret = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
    const env = { IGGY_HTTP_JWT_DECODING_SECRET: secret, IGGY_HTTP_JWT_USE_BASE64_SECRET: 'true' };
    const [first, second, third] = [new Stage(env), new Stage(env), new Stage()];
    const token = await first.login();
    assert.equal(await statusWith(second, token), 200);
    assert.equal(await statusWith(third, token), 401);
  });

  it('of a trusted issuer act as the user that it is mapped to', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k' }] });
    const issuer = createServer((_request, response) => response.end(keys));
    await new Promise<void>((resolve) => {
      issuer.listen(0, '127.0.0.1', resolve);
    });
    try {
      const { port } = issuer.address() as AddressInfo;
      const toml = `[[http.jwt.trusted_issuers]]
        issuer = "https://Issuer/a"
        jwks_url = "http://127.0.0.1:${port}/keys"
        audience = "iggy"
        user_id = 5`;
      const stage = new Stage({}, toml);
      const sign = (aud: string, iss = 'https://issuer/a'): Promise<string> =>
        new SignJWT({ sub: '0' })
          .setProtectedHeader({ alg: 'ES256', kid: 'k' })
          .setIssuer(iss)
          .setAudience(aud)
          .setExpirationTime(stage.clock.wallUs() / 1_000_000 + 60)
          .sign(privateKey);
      const token = await sign('iggy');
      assert.equal((await stage.ask('GET', '/users/me', { bearer: token })).status, 200);
      const userId = { kind: 'id', id: 5 };
      assert.deepEqual(stage.broker.asked, [{ kind: 'getUser', userId }]);
      assert.equal(await statusWith(stage, await sign('other')), 401);
      assert.equal(await statusWith(stage, await sign('iggy', 'https://else/a')), 401);
      const refreshed = await stage.ask('POST', '/users/refresh-token', { body: { token } });
      assert.equal(refreshed.status, 401);
    } finally {
      issuer.closeAllConnections();
      issuer.close();
    }
  });
});
