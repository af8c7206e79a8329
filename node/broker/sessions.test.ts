import assert from 'node:assert/strict';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { packVersion } from '@iggy-ts/wire/v09/login';
import {
  type Client,
  codeOf,
  evictionOf,
  GROUP,
  granting,
  id,
  makeTopic,
  name,
  ROOT,
  VERSION,
  World,
} from './world.ts';

const STREAM = { kind: 'createStream', options: [] } as const;
const GROUP_NAME = { streamId: id(0), topicId: id(0), name: 'g' };
const GROUP_ID = { streamId: id(0), topicId: id(0), groupId: id(0) };

describe('logging in', () => {
  let world: World;

  beforeEach(async () => {
    world = await World.start();
  });

  afterEach(async () => {
    await world.stop();
  });

  it('answers user, epoch and what the server is, and never an epoch above the commit', async () => {
    const client = world.connect();
    const reply = await client.login();
    assert.equal(reply.userId, 0);
    assert(reply.session > 0);
    assert(reply.commit >= reply.session);
    assert.equal(reply.serverProtocolVersion, packVersion(0, 11, 0));
    assert.equal(reply.serverVersion, '0.9.0');
    assert.deepEqual(
      { userId: client.connection.session!.userId, client: client.connection.session!.client },
      { userId: 0, client: client.id },
    );
    const next = await world.connect().login();
    assert(next.session > reply.session);
  });

  it('gives one error for an unknown user and a wrong password, at the cost of one check', async () => {
    const client = world.connect();
    const checks = world.hasher.verifyCount;
    assert.equal(await evictionOf(client.login({ username: 'nobody', password: 'nobody' })), 9);
    assert.equal(world.hasher.verifyCount, checks + 1);
    assert.equal(await evictionOf(client.login({ username: 'iggy', password: 'wrong' })), 9);
    assert.equal(world.hasher.verifyCount, checks + 2);
    // A failed login leaves the connection usable.
    assert.equal(await evictionOf(client.login()), 0);
  });

  it('refuses names and passwords of impossible length without a check', async () => {
    const client = world.connect();
    const checks = world.hasher.verifyCount;
    const password = 'iggy';
    for (const username of ['', 'ig', 'x'.repeat(51), 'ü'.repeat(26)]) {
      assert.equal(await evictionOf(client.login({ username, password })), 9);
    }
    for (const wrong of ['', 'ig', 'x'.repeat(101)]) {
      assert.equal(await evictionOf(client.login({ username: 'iggy', password: wrong })), 9);
    }
    assert.equal(world.hasher.verifyCount, checks);
  });

  it('takes a name of digits as a name', async () => {
    assert.equal(await evictionOf(world.connect().login({ username: '000', password: 'iggy' })), 9);
  });

  it('refuses an inactive user: by password like a wrong one, by token as inactive', async () => {
    const root = await world.login();
    const user = await world.loginAs(root, 'alice', null);
    const { token } = await user.done({
      kind: 'createPersonalAccessToken',
      name: 'token',
      expiryUs: 0,
    });
    await root.done({
      kind: 'updateUser',
      userId: name('alice'),
      username: null,
      status: 'inactive',
      options: [],
    });
    const client = world.connect();
    assert.equal(await evictionOf(client.login({ username: 'alice', password: 'secret' })), 9);
    assert.equal(await evictionOf(loginByToken(client, token)), 11);
  });

  it('takes a token until it expires', async () => {
    const root = await world.login();
    const { token } = await root.done({
      kind: 'createPersonalAccessToken',
      name: 'token',
      expiryUs: 60_000_000,
    });
    const client = world.connect();
    assert.equal(await evictionOf(loginByToken(client, `${token}x`)), 10);
    assert.equal(await evictionOf(loginByToken(client, '')), 10);
    assert.equal((await loginByToken(client, token)).userId, 0);
    world.rig.clock.pass(60_000);
    assert.equal(await evictionOf(loginByToken(world.connect(), token)), 10);
  });

  it('judges the protocol version before the credentials', async () => {
    const wrong = { username: 'iggy', password: 'wrong' };
    const versions: readonly [number, number][] = [
      [packVersion(0, 10, 1023), 14],
      [packVersion(0, 11, 0), 9],
      [packVersion(0, 11, 7), 9],
      [packVersion(0, 12, 0), 14],
      [packVersion(1, 0, 0), 14],
      [0, 14],
    ];
    for (const [protocolVersion, reason] of versions) {
      const version = { ...VERSION, protocolVersion };
      assert.equal(await evictionOf(world.connect().login(wrong, { version })), reason);
    }
  });

  it('refuses a client id of zero and one of another user', async () => {
    const root = await world.login();
    await world.loginAs(root, 'alice', null);
    const zero = { client: '0'.repeat(32) };
    assert.equal(await evictionOf(world.connect().login(ROOT, zero)), 12);
    const alice = { username: 'alice', password: 'secret' };
    assert.equal(await evictionOf(world.connect().login(alice, { client: root.id })), 12);
    assert.equal(await codeOf(root.execute({ ...STREAM, name: 's' })), 0);
  });

  it('does not log in a user that changed while the password was checked', async () => {
    const root = await world.login();
    await world.loginAs(root, 'alice', null);
    const { promise, resolve } = Promise.withResolvers<void>();
    world.hasher.held = promise;
    const login = evictionOf(world.connect().login({ username: 'alice', password: 'secret' }));
    await root.done({ kind: 'deleteUser', userId: name('alice') });
    resolve();
    assert.equal(await login, 9);
  });

  it('does not take a password that was changed while it was checked', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    world.hasher.held = promise;
    const login = evictionOf(world.connect().login());
    const change = { kind: 'changePassword', caller: null, userId: id(0) } as const;
    const hashes = { currentHash: 'hash of iggy', passwordHash: 'hash of other' };
    assert.equal((await world.store.metadata.propose({ ...change, ...hashes }, null)).code, 0);
    resolve();
    assert.equal(await login, 9);
  });

  it('ends the session again when the socket closed while it was opened', async () => {
    const client = world.connect();
    const login = evictionOf(client.login());
    client.connection.close();
    assert.equal(await login, 1);
    await world.broker.stop();
    assert.equal(world.store.metadata.state.counts().sessions, 0);
  });

  it('refuses a second login of a connection while one is under way', async () => {
    const client = world.connect();
    const [first, second] = await Promise.all([
      evictionOf(client.login()),
      evictionOf(client.login()),
    ]);
    assert.deepEqual([first, second], [0, 12]);
  });
});

describe('a logged-in connection that logs in again', () => {
  let world: World;
  let client: Client;

  beforeEach(async () => {
    world = await World.start();
    client = await world.login();
  });

  afterEach(async () => {
    await world.stop();
  });

  it('is answered with its session when the user is the same', async () => {
    const { epoch } = client;
    const other = { client: 'f'.repeat(32) };
    assert.equal((await client.login(ROOT, other)).session, epoch);
    assert.equal(client.connection.session!.client, client.id);
  });

  it('changes to another user, and the old session is gone', async () => {
    await world.loginAs(client, 'alice', granting('readStreams'));
    const reply = await client.login({ username: 'alice', password: 'secret' });
    assert.equal(reply.userId, 1);
    assert.equal(client.connection.session!.userId, 1);
    assert.equal(await codeOf(client.connection.read({ kind: 'getStreams' })), 0);
    assert.equal(await codeOf(client.connection.read({ kind: 'getUsers' })), STATUS.unauthorized);
    assert.equal(world.store.metadata.state.findSession(client.id)!.userId, 1);
  });

  it('keeps its session when the new login fails', async () => {
    assert.equal(await evictionOf(client.login({ username: 'iggy', password: 'wrong' })), 9);
    assert.equal(await codeOf(client.execute({ ...STREAM, name: 's' })), 0);
  });
});

describe('a session', () => {
  let world: World;

  beforeEach(async () => {
    world = await World.start();
  });

  afterEach(async () => {
    await world.stop();
  });

  it('is needed for everything but ping', async () => {
    const { connection } = world.connect();
    assert.equal(await connection.read({ kind: 'ping' }), null);
    for (const kind of ['getMe', 'getStats', 'getClusterMetadata', 'getStreams'] as const) {
      assert.equal(await codeOf(connection.read({ kind })), STATUS.unauthenticated);
    }
    const poll = world.connect().pollCommand();
    assert.equal(await codeOf(connection.poll(poll)), STATUS.unauthenticated);
    assert.equal(await evictionOf(connection.execute({ ...STREAM, name: 's' }, null)), 1);
    const client = world.connect();
    assert.equal(await evictionOf(client.store(GROUP, 0, 0)), 1);
    // Logging out without a login is no fault: clients do it before every login.
    assert.equal((await connection.logout()).commit, world.broker.metadataCommit);
  });

  it('moves with its client id: the first connection is back before its login', async () => {
    const first = await world.login();
    await first.done({ ...STREAM, name: 's' });
    const second = world.connect();
    const { session } = await second.login(ROOT, { client: first.id });
    assert.equal(first.connection.session, null);
    assert.equal(await evictionOf(first.execute({ ...STREAM, name: 't' })), 1);
    assert.equal(
      await codeOf(first.connection.read({ kind: 'getStreams' })),
      STATUS.unauthenticated,
    );
    // The history moves along: number 1 was executed.
    const again = await second.execute({ ...STREAM, name: 's' }, first.repeat(1));
    assert.equal(again.code, 0);
    assert.equal(again.reply!.name, 's');
    assert(session > again.op);
    // The first connection closes late and takes nothing with it.
    first.connection.close();
    await second.done({ ...STREAM, name: 'u' });
  });

  it('ends at logout with its memberships, and the connection can log in again', async () => {
    const client = await world.login();
    await makeTopic(client, 1);
    await client.done({ kind: 'createConsumerGroup', ...GROUP_NAME });
    await client.done({ kind: 'joinConsumerGroup', ...GROUP_ID });
    const { commit } = await client.connection.logout();
    assert.equal(commit, world.broker.metadataCommit);
    assert.equal(client.connection.session, null);
    assert.equal(world.store.metadata.state.findSession(client.id), null);
    assert.equal(membersCount(world), 0);
    assert.equal(await evictionOf(client.login()), 0);
  });

  it('ends with its socket, once', async () => {
    const client = await world.login();
    await makeTopic(client, 1);
    await client.done({ kind: 'createConsumerGroup', ...GROUP_NAME });
    await client.done({ kind: 'joinConsumerGroup', ...GROUP_ID });
    client.connection.close();
    client.connection.close();
    const other = await world.login();
    await other.done({ ...STREAM, name: 'later' });
    assert.equal(world.store.metadata.state.findSession(client.id), null);
    assert.equal(membersCount(world), 0);
    assert.equal(await evictionOf(client.execute({ ...STREAM, name: 'x' })), 1);
  });

  it('that could not be ended is ended later, and its successor is not', async () => {
    const client = await world.login();
    const { metadata } = world.store;
    let failures = 1;
    const propose = metadata.propose.bind(metadata);
    Object.assign(metadata, {
      propose: (...args: Parameters<typeof propose>) => {
        if (args[0].kind !== 'logout' || failures === 0) return propose(...args);
        failures -= 1;
        return Promise.reject(new OperatingError(STATUS.transientNotAccepted));
      },
    });
    client.connection.close();
    const successor = world.connect();
    await successor.login(ROOT, { client: client.id });
    world.rig.clock.pass(1000);
    await world.broker.stop();
    assert.equal(failures, 0);
    assert.equal(metadata.state.findSession(client.id)!.epoch, successor.epoch);
  });

  it('stays when its logout cannot be carried out', async () => {
    const client = await world.login();
    const { metadata } = world.store;
    const propose = metadata.propose;
    Object.assign(metadata, {
      propose: () => Promise.reject(new OperatingError(STATUS.transientNotAccepted)),
    });
    assert.equal(await codeOf(client.connection.logout()), STATUS.transientNotAccepted);
    Object.assign(metadata, { propose });
    assert.equal(await codeOf(client.execute({ ...STREAM, name: 's' })), 0);
  });

  it('is refused when its user is inactive, and at once', async () => {
    const root = await world.login();
    const user = await world.loginAs(root, 'alice', granting('manageStreams'));
    const update = { kind: 'updateUser', userId: name('alice'), username: null, options: [] };
    await root.done({ ...update, kind: 'updateUser', status: 'inactive' });
    assert.equal(
      await codeOf(user.connection.read({ kind: 'getStreams' })),
      STATUS.unauthenticated,
    );
    assert.equal(await codeOf(user.execute({ ...STREAM, name: 's' })), STATUS.unauthenticated);
    assert.equal(world.broker.userMayAct(1), false);
    await root.done({ ...update, kind: 'updateUser', status: 'active' });
    assert.equal(await codeOf(user.execute({ ...STREAM, name: 's' })), 0);
  });

  it('ends with its user, and a new user of the same number does not get it', async () => {
    const root = await world.login();
    const alice = await world.loginAs(root, 'alice', granting('manageStreams'));
    await root.done({ kind: 'deleteUser', userId: name('alice') });
    assert.equal(world.broker.userMayAct(1), false);
    const bob = await world.loginAs(root, 'bob', granting('manageStreams'));
    assert.equal(bob.connection.session!.userId, 1);
    assert.equal(
      await codeOf(alice.connection.read({ kind: 'getStreams' })),
      STATUS.unauthenticated,
    );
    assert.equal(await evictionOf(alice.execute({ ...STREAM, name: 's' })), 1);
  });
});

describe('the table of sessions', () => {
  it('makes room by removing the oldest session without a connection', async () => {
    const world = await World.start({ sessionsMax: 3 });
    const [first, second] = [await world.login(), await world.login()];
    await second.done({ ...STREAM, name: 's' });
    await world.crash();
    const third = await world.login();
    const fourth = await world.login();
    const { state } = world.store.metadata;
    assert.equal(state.findSession(first.id), null);
    assert.notEqual(state.findSession(second.id), null);
    await world.login();
    assert.equal(state.findSession(second.id), null);
    // Everybody left is connected.
    assert.equal(await codeOf(world.connect().login()), STATUS.transientNotAccepted);
    third.connection.close();
    await fourth.done({ ...STREAM, name: 't' });
    assert.equal(await evictionOf(world.connect().login()), 0);
    await world.stop();
  });

  it('removes another session for each of two logins at a time', async () => {
    const world = await World.start({ sessionsMax: 3 });
    for (let turn = 0; turn < 3; turn += 1) await world.login();
    await world.crash();
    await Promise.all([world.login(), world.login()]);
    assert.equal(world.store.metadata.state.counts().sessions, 3);
    await world.stop();
  });

  it('does not promise one place to two logins at a time', async () => {
    const world = await World.start({ sessionsMax: 3 });
    await world.login();
    const codes = await Promise.all([1, 2, 3].map(() => codeOf(world.connect().login())));
    assert.deepEqual(codes, [0, 0, STATUS.transientNotAccepted]);
    assert.equal(world.store.metadata.state.counts().sessions, 3);
    await world.stop();
  });

  it('keeps sessions over a restart of the server: repeats are known, old epochs are not', async () => {
    const world = await World.start();
    const before = await world.login();
    await before.done({ ...STREAM, name: 's' });
    const { epoch } = before;
    await world.crash();
    const client = world.connect();
    assert.equal(await evictionOf(client.execute({ ...STREAM, name: 's' }, before.repeat(1))), 1);
    const { session } = await client.login(ROOT, { client: before.id });
    assert(session > epoch);
    const again = await client.execute({ ...STREAM, name: 's' }, before.repeat(1));
    assert.deepEqual([again.code, again.reply!.name], [0, 's']);
    assert.equal(world.store.metadata.state.counts().streams, 1);
    const next = await client.execute({ ...STREAM, name: 't' }, before.repeat(2));
    assert.equal(next.code, 0);
    await world.stop();
  });

  it('has no member of a group after a restart', async () => {
    const world = await World.start();
    const client = await world.login();
    await makeTopic(client, 1);
    await client.done({ kind: 'createConsumerGroup', ...GROUP_NAME });
    await client.done({ kind: 'joinConsumerGroup', ...GROUP_ID });
    await world.crash();
    assert.equal(membersCount(world), 0);
    assert.notEqual(world.store.metadata.state.findSession(client.id), null);
    await world.stop();
  });
});

describe('heartbeats', () => {
  let world: World;
  let member: Client;
  let idle: Client;

  beforeEach(async () => {
    world = await World.start();
    member = await world.login();
    idle = await world.login();
    await makeTopic(member, 1);
    await member.done({ kind: 'createConsumerGroup', ...GROUP_NAME });
    await member.done({ kind: 'joinConsumerGroup', ...GROUP_ID });
    member.connection.touch();
  });

  afterEach(async () => {
    await world.stop();
  });

  it('evict members that were silent for 1.2 intervals, and nobody else', async () => {
    world.rig.clock.pass(30_000);
    await nextTurn();
    assert.deepEqual(member.evictions, []);
    world.rig.clock.pass(30_000);
    assert.deepEqual(member.evictions, [13]);
    assert.deepEqual(idle.evictions, []);
    assert.equal(await evictionOf(member.execute({ ...STREAM, name: 'x' })), 1);
    await idle.done({ ...STREAM, name: 'y' });
    assert.equal(membersCount(world), 0);
    // It can come back on the same connection.
    await member.login();
    await member.done({ kind: 'joinConsumerGroup', ...GROUP_ID });
    assert.equal(membersCount(world), 1);
  });

  it('count every frame as a sign of life', async () => {
    for (let turn = 0; turn < 4; turn += 1) {
      world.rig.clock.pass(29_000);
      member.connection.touch();
      world.rig.clock.pass(1000);
      await nextTurn();
    }
    assert.deepEqual(member.evictions, []);
  });
});

describe('requests and their numbers', () => {
  let world: World;
  let client: Client;

  beforeEach(async () => {
    world = await World.start();
    client = await world.login();
  });

  afterEach(async () => {
    await world.stop();
  });

  it('execute a number once and answer its repeat the same', async () => {
    const first = await client.execute({ ...STREAM, name: 's' }, client.repeat(5, 77));
    const again = await client.execute({ ...STREAM, name: 's' }, client.repeat(5, 77));
    assert.deepEqual(again, first);
    assert.equal(world.store.metadata.state.counts().streams, 1);
  });

  it('remember refusals as well', async () => {
    await client.execute({ ...STREAM, name: 's' }, client.repeat(1));
    const taken = await client.execute({ ...STREAM, name: 's' }, client.repeat(2));
    assert.equal(taken.code, STATUS.streamNameAlreadyExists);
    const again = await client.execute({ ...STREAM, name: 's' }, client.repeat(2));
    assert.deepEqual(again, taken);
  });

  it('answer 3 to the same number with another stamp, and 59 to one that is forgotten', async () => {
    await client.execute({ ...STREAM, name: 's' }, client.repeat(9, 77));
    const other = client.execute({ ...STREAM, name: 't' }, client.repeat(9, 78));
    assert.equal(await codeOf(other), STATUS.invalidCommand);
    const older = client.execute({ ...STREAM, name: 't' }, client.repeat(8));
    assert.equal(await codeOf(older), STATUS.requestAlreadyApplied);
    assert.equal(world.store.metadata.state.counts().streams, 1);
  });

  it('answer 57 while another operation of the client is under way', async () => {
    const first = client.execute({ ...STREAM, name: 's' });
    assert.equal(
      await codeOf(client.execute({ ...STREAM, name: 't' })),
      STATUS.transientNotCommitted,
    );
    assert.equal(await codeOf(first), 0);
    assert.equal(await codeOf(client.execute({ ...STREAM, name: 't' })), 0);
  });

  it('make no second topic, and no directories for it, of a repeated request', async () => {
    await client.execute({ ...STREAM, name: 's' }, client.repeat(1));
    const topic = { streamId: id(0), partitionsCount: 2, name: 't', options: [] };
    const first = await client.execute({ kind: 'createTopic', ...topic }, client.repeat(2));
    const prepare = world.store.prepare;
    Object.assign(world.store, { prepare: () => assert.fail('directories were made') });
    const again = await client.execute({ kind: 'createTopic', ...topic }, client.repeat(2));
    Object.assign(world.store, { prepare });
    assert.deepEqual(again, first);
    assert.equal(world.store.metadata.state.counts().partitions, 2);
  });

  it('never give a token out twice', async () => {
    const token = { kind: 'createPersonalAccessToken', name: 'token', expiryUs: 0 } as const;
    const first = await client.execute(token, client.repeat(1));
    assert.equal(first.reply!.token.length, 68);
    const again = await client.execute(token, client.repeat(1));
    assert.deepEqual([again.code, again.reply], [STATUS.requestAlreadyApplied, null]);
  });

  it("are the connection's, whatever client and session they name", async () => {
    const stranger = { ...client.repeat(1), client: 'e'.repeat(32), session: 999 };
    assert.equal(await codeOf(client.execute({ ...STREAM, name: 's' }, stranger)), 0);
    const again = await client.execute({ ...STREAM, name: 's' }, client.repeat(1));
    assert.equal(again.code, 0);
    assert.equal(world.store.metadata.state.counts().streams, 1);
  });

  it('are not needed over HTTP', async () => {
    const caller = world.broker.actAs(0);
    for (const text of ['s', 't']) {
      assert.equal(await codeOf(caller.execute({ ...STREAM, name: text }, null)), 0);
    }
    assert.equal(
      await codeOf(caller.execute({ ...STREAM, name: 's' }, null)),
      STATUS.streamNameAlreadyExists,
    );
  });
});

describe('credentials over HTTP', () => {
  it('are verified without a session', async () => {
    const world = await World.start();
    const root = await world.login();
    const alice = await world.loginAs(root, 'alice', null);
    const { token } = await alice.done({
      kind: 'createPersonalAccessToken',
      name: 'token',
      expiryUs: 1_000_000,
    });
    const { broker } = world;
    const sessions = world.store.metadata.state.counts().sessions;
    assert.equal(await broker.verifyPassword('alice', 'secret'), 1);
    assert.equal(await codeOf(broker.verifyPassword('alice', 'wrong')), STATUS.invalidCredentials);
    assert.equal(await codeOf(broker.verifyPassword('bob', 'secret')), STATUS.invalidCredentials);
    const codeOfToken = (text: string): Promise<number> =>
      codeOf(Promise.resolve().then(() => broker.verifyToken(text)));
    assert.equal(broker.verifyToken(token), 1);
    assert.equal(await codeOfToken('nonsense'), STATUS.invalidPersonalAccessToken);
    const status = { kind: 'updateUser', userId: name('alice'), username: null, options: [] };
    await root.done({ ...status, kind: 'updateUser', status: 'inactive' });
    assert.equal(await codeOfToken(token), STATUS.userInactive);
    assert.equal(await codeOf(broker.verifyPassword('alice', 'secret')), STATUS.invalidCredentials);
    world.rig.clock.pass(1000);
    assert.equal(await codeOfToken(token), STATUS.invalidPersonalAccessToken);
    assert.equal(world.store.metadata.state.counts().sessions, sessions);
    await world.stop();
  });
});

function loginByToken(client: Client, token: string): ReturnType<Client['login']> {
  return client.connection.login({ kind: 'token', client: client.id, version: VERSION, token });
}

function membersCount({ store }: World): number {
  const [group] = store.metadata.state.groups({ streamId: 0, id: 0 });
  return group!.assignment.membersCount;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
