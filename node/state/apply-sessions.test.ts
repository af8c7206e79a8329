import assert from 'node:assert/strict';
import { STATUS } from '@iggy-ts/wire/status';
import { createRoot, register, SESSIONS_MAX } from './apply-sessions.ts';
import { REPLIES_KEPT_MAX } from './metadata-state.ts';
import { Tables } from './metadata-tables.ts';
import { EVICTION } from './outcome.ts';
import { byId, byName, clientOf, Scribe, type Sender } from './scribe.ts';

const ONE = clientOf(1);
const REGISTER = { kind: 'register', caller: null, client: ONE, userId: 0, evict: null } as const;
const VERSION = { protocolVersion: 1, sdkName: 'rust', sdkVersion: '0.11.0' };

function create(name: string) {
  return { kind: 'createStream', caller: 0, name } as const;
}

describe('A session', () => {
  it('is opened by its register op, whose number is its epoch', () => {
    const scribe = Scribe.start();
    const outcome = scribe.ok({ ...REGISTER, version: VERSION });
    assert.equal(outcome.op, 2);
    assert.equal(outcome.reply, null);
    const session = scribe.state.findSession(ONE)!;
    const { client, userId, epoch, watermark, version, opLast } = session;
    assert.deepEqual(
      { client, userId, epoch, watermark, version, opLast },
      { client: ONE, userId: 0, epoch: 2, watermark: 0, version: VERSION, opLast: 2 },
    );
    assert.deepEqual([...scribe.state.sessions()], [session]);
  });

  it('is taken over by a later login of the same user, and keeps what it has done', () => {
    const scribe = Scribe.start();
    const old = scribe.login(ONE, 0);
    const first = scribe.apply(create('a'), { client: ONE, session: old, request: 4 });
    const session = scribe.login(ONE, 0);
    assert(session > old);
    assert.equal(scribe.state.findSession(ONE)?.watermark, 4);
    const repeat = scribe.apply(create('a'), { client: ONE, session, request: 4 });
    assert.deepEqual(repeat, { ...first, repeated: true });
    const stale = scribe.apply(create('b'), { client: ONE, session: old, request: 5 });
    assert.equal(stale.eviction, EVICTION.sessionTooLow);
    assert.equal(scribe.apply(create('b'), { client: ONE, session, request: 5 }).code, 0);
  });

  it('is refused to another user, to nobody and to the inactive', () => {
    const scribe = Scribe.start();
    const ada = scribe.user('ada');
    scribe.login(ONE, 0);
    const other = { ...REGISTER, version: null };
    assert.equal(scribe.apply({ ...other, userId: ada }).eviction, EVICTION.sessionError);
    assert.equal(scribe.state.findSession(ONE)?.userId, 0);
    const two = { ...other, client: clientOf(2) };
    assert.equal(scribe.apply({ ...two, userId: 9 }).eviction, EVICTION.invalidCredentials);
    const update = { kind: 'updateUser', caller: 0, userId: byId(ada), username: null } as const;
    scribe.ok({ ...update, status: 'inactive' });
    assert.equal(scribe.apply({ ...two, userId: ada }).eviction, EVICTION.userInactive);
    assert.equal(scribe.state.counts().sessions, 1);
  });

  it('has a client id that is not zero', () => {
    const scribe = Scribe.start();
    for (const client of [clientOf(0), '', 'x'.repeat(32), 'A'.repeat(32)]) {
      const { eviction } = scribe.apply({ ...REGISTER, client, version: null });
      assert.equal(eviction, EVICTION.sessionError, client);
    }
  });

  it('makes room by ending the one that the server names', () => {
    const scribe = Scribe.start();
    scribe.login(ONE, 0);
    const two = { ...REGISTER, client: clientOf(2), version: null };
    const { changes } = scribe.ok({ ...two, evict: ONE });
    assert.deepEqual(changes, [{ kind: 'sessionEnded', client: ONE }]);
    assert.deepEqual(scribe.ok({ ...two, client: clientOf(3), evict: ONE }).changes, []);
    assert.equal(scribe.state.counts().sessions, 2);
  });

  it('is refused for now when there are 65,536 and nobody leaves', () => {
    const scribe = Scribe.start();
    const tables = new Tables();
    const execution = { tables, origin: scribe.lines[0]!.origin, changes: [] };
    createRoot(execution, {
      kind: 'createRoot',
      caller: null,
      username: 'iggy',
      passwordHash: 'h',
    });
    Object.defineProperty(tables.sessions, 'size', { value: SESSIONS_MAX });
    const { code } = register(execution, { ...REGISTER, version: null });
    assert.equal(code, STATUS.transientNotAccepted);
  });

  it('ends with its logout, but not with that of an earlier epoch', () => {
    const scribe = Scribe.start();
    const old = scribe.login(ONE, 0);
    const session = scribe.login(ONE, 0);
    const logout = { kind: 'logout', caller: null, client: ONE } as const;
    assert.deepEqual(scribe.ok({ ...logout, session: old }).changes, []);
    assert.equal(scribe.state.counts().sessions, 1);
    const { changes } = scribe.ok({ ...logout, session });
    assert.deepEqual(changes, [{ kind: 'sessionEnded', client: ONE }]);
    assert.deepEqual(scribe.ok({ ...logout, session }).changes, []);
    const after = scribe.apply(create('a'), { client: ONE, session, request: 1 });
    assert.equal(after.eviction, EVICTION.noSession);
    assert.equal(scribe.state.counts().streams, 0);
  });

  it('is not believed to be one that was never given out', () => {
    const scribe = Scribe.start();
    const session = scribe.login(ONE, 0);
    const newer = scribe.apply(create('a'), { client: ONE, session: session + 1, request: 1 });
    assert.equal(newer.eviction, EVICTION.sessionError);
    const unknown = scribe.apply(create('a'), { client: clientOf(2), session, request: 1 });
    assert.equal(unknown.eviction, EVICTION.noSession);
    assert.equal(scribe.state.counts().streams, 0);
  });
});

describe('A request number', () => {
  function connected() {
    const scribe = Scribe.start();
    const session = scribe.login(ONE, 0);
    const sender = (request: number, checksumLow = 0): Sender => ({
      client: ONE,
      session,
      request,
      checksumLow,
      checksumHigh: 0,
    });
    return { scribe, sender };
  }

  it('is executed once; a repeat gets the same outcome and asks nobody for anything', () => {
    const { scribe, sender } = connected();
    scribe.apply(create('a'), sender(1));
    const topic = scribe.topicOp(0, 'events', 3);
    const first = scribe.apply(topic, sender(2));
    assert.equal(first.changes.length, 1);
    scribe.ok(create('between'));
    const repeat = scribe.apply(topic, sender(2));
    assert.deepEqual(repeat, { ...first, repeated: true, changes: [] });
    assert.equal(scribe.state.topics(0).length, 1);
    assert.equal(scribe.state.findSession(ONE)?.watermark, 2);
  });

  it('is used up by a refusal too', () => {
    const { scribe, sender } = connected();
    scribe.ok(create('a'));
    assert.equal(scribe.apply(create('a'), sender(1)).code, STATUS.streamNameAlreadyExists);
    scribe.ok({ kind: 'deleteStream', caller: 0, streamId: byName('a') });
    const repeat = scribe.apply(create('a'), sender(1));
    assert.equal(repeat.code, STATUS.streamNameAlreadyExists);
    assert.equal(repeat.repeated, true);
    assert.equal(scribe.state.counts().streams, 0);
  });

  it('may leave gaps; what lies below the highest and is not remembered is never executed', () => {
    const { scribe, sender } = connected();
    assert.equal(scribe.apply(create('a'), sender(10)).code, 0);
    assert.equal(scribe.apply(create('b'), sender(9)).code, STATUS.requestAlreadyApplied);
    assert.equal(scribe.state.counts().streams, 1);
  });

  it('is remembered for the last 16 requests', () => {
    const { scribe, sender } = connected();
    for (let n = 1; n <= REPLIES_KEPT_MAX + 1; n += 1) scribe.apply(create(`s${n}`), sender(n));
    assert.equal(scribe.apply(create('s1'), sender(1)).code, STATUS.requestAlreadyApplied);
    assert.equal(scribe.apply(create('s2'), sender(2)).repeated, true);
  });

  it('under another stamp is a fault of the client; an unstamped one cannot tell', () => {
    const { scribe, sender } = connected();
    scribe.apply(create('a'), sender(1, 77));
    assert.equal(scribe.apply(create('b'), sender(1, 78)).code, STATUS.invalidCommand);
    assert.equal(scribe.apply(create('a'), sender(1, 77)).repeated, true);
    assert.equal(scribe.apply(create('a'), sender(1)).repeated, true);
  });

  it('of a new token cannot be repeated: the token is known to nobody any more', () => {
    const { scribe, sender } = connected();
    const op = {
      kind: 'createToken',
      caller: 0,
      userId: 0,
      name: 'laptop',
      tokenHash: 'h',
    } as const;
    const token = { ...op, expiryAtUs: null };
    assert.equal(scribe.apply(token, sender(1)).code, 0);
    assert.equal(scribe.apply(token, sender(1)).code, STATUS.requestAlreadyApplied);
    const taken = STATUS.personalAccessTokenAlreadyExists;
    assert.equal(scribe.apply(token, sender(2)).code, taken);
    assert.equal(scribe.apply(token, sender(2)).code, taken);
    assert.equal(scribe.state.tokens(0).length, 1);
  });

  it('does not matter to ops of the server, nor to logins and logouts', () => {
    const { scribe, sender } = connected();
    scribe.apply(create('a'), sender(5));
    assert.equal(scribe.apply(create('b')).code, 0);
    const { session } = sender(1);
    const logout = { kind: 'logout', caller: null, client: ONE, session } as const;
    assert.equal(scribe.apply(logout, sender(1)).changes.length, 1);
  });

  it('survives the end of the session it came from', () => {
    const { scribe } = connected();
    const ada = scribe.user('ada');
    const permissions = {
      global: { ...scribe.state.findUser(byId(0))!.permissions!.global },
      streams: null,
    };
    scribe.ok({ kind: 'updatePermissions', caller: 0, userId: byId(ada), permissions });
    const client = clientOf(2);
    const session = scribe.login(client, ada);
    const suicide = { kind: 'deleteUser', caller: ada, userId: byId(ada) } as const;
    const sender = { client, session, request: 1 };
    assert.equal(scribe.apply(suicide, sender).code, 0);
    assert.equal(scribe.apply(suicide, sender).eviction, EVICTION.noSession);
    scribe.state.checkInvariants();
  });
});
