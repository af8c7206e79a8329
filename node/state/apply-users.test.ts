import assert from 'node:assert/strict';
import type { GlobalPermissions, Permissions } from '@iggy-ts/wire/commands/values';
import { STATUS } from '@iggy-ts/wire/status';
import { TOKENS_PER_USER_MAX } from './apply-users.ts';
import { ROOT_PERMISSIONS } from './permissions.ts';
import { byId, byName, clientOf, Scribe } from './scribe.ts';

const NOTHING = Object.fromEntries(
  Object.keys(ROOT_PERMISSIONS.global).map((flag) => [flag, false]),
) as unknown as GlobalPermissions;

function rights(flag: keyof GlobalPermissions): Permissions {
  return { global: { ...NOTHING, [flag]: true }, streams: null };
}
const NEW = {
  kind: 'createUser',
  caller: 0,
  username: 'ada',
  passwordHash: 'h',
  status: 'active',
  permissions: null,
} as const;

describe('The root user', () => {
  it('is user 0, active, may do everything, and is made once', () => {
    const scribe = Scribe.start();
    const again = {
      kind: 'createRoot',
      caller: null,
      username: 'other',
      passwordHash: 'x',
    } as const;
    assert.equal(scribe.code(again), 0);
    const root = scribe.state.findUser(byId(0))!;
    assert.equal(root.name, 'iggy');
    assert.equal(root.passwordHash, 'root-hash');
    assert.equal(root.status, 'active');
    assert(scribe.state.permits(0, 'servers', null, null));
    assert.equal(scribe.state.counts().users, 1);
  });

  it('cannot be deleted, and keeps its permissions', () => {
    const scribe = Scribe.start();
    const root = { caller: 0, userId: byName('iggy') };
    assert.equal(scribe.code({ ...root, kind: 'deleteUser' }), STATUS.cannotDeleteUser);
    const code = scribe.code({ ...root, kind: 'updatePermissions', permissions: null });
    assert.equal(code, STATUS.cannotChangePermissions);
  });
});

describe('Users', () => {
  it('are answered with what they got, and take the lowest free id', () => {
    const scribe = Scribe.start();
    const permissions = rights('readStreams');
    const { reply } = scribe.ok({ ...NEW, status: 'inactive', permissions });
    assert.deepEqual(reply, {
      id: 1,
      createdAtUs: Scribe.timeUs(2),
      status: 'inactive',
      username: 'ada',
      options: [],
      permissions,
    });
    scribe.user('bob');
    scribe.ok({ kind: 'deleteUser', caller: 0, userId: byName('ada') });
    assert.equal(scribe.user('cleo'), 1);
    scribe.state.checkInvariants();
  });

  it('have names of 3 to 50 bytes, each its own', () => {
    const scribe = Scribe.start();
    for (const username of ['ab', 'ä', 'x'.repeat(51), 'ä'.repeat(26)]) {
      assert.equal(scribe.code({ ...NEW, username }), STATUS.invalidUsername, username);
    }
    assert.equal(scribe.code({ ...NEW, username: 'x'.repeat(50) }), 0);
    assert.equal(scribe.code({ ...NEW, username: 'iggy' }), STATUS.userAlreadyExists);
  });

  it('change name and status, each only when it is sent', () => {
    const scribe = Scribe.start();
    scribe.ok(NEW);
    const update = { kind: 'updateUser', caller: 0, userId: byId(1) } as const;
    assert.equal(scribe.code({ ...update, username: null, status: 'inactive' }), 0);
    assert.equal(scribe.code({ ...update, username: 'ada2', status: null }), 0);
    const user = scribe.state.findUser(byName('ada2'))!;
    assert.equal(user.status, 'inactive');
    assert.equal(scribe.code({ ...update, username: 'ada2', status: null }), 0);
    const { userAlreadyExists, invalidUsername, resourceNotFound } = STATUS;
    assert.equal(scribe.code({ ...update, username: 'iggy', status: 'active' }), userAlreadyExists);
    assert.equal(scribe.code({ ...update, username: 'ab', status: 'active' }), invalidUsername);
    assert.equal(user.status, 'inactive');
    const nobody = { ...update, userId: byId(9), username: null, status: null };
    assert.equal(scribe.code(nobody), resourceNotFound);
  });

  it('may do what their permissions say from the next op on', () => {
    const scribe = Scribe.start();
    const caller = scribe.user('ada');
    const create = { kind: 'createStream', caller, name: 'orders' } as const;
    const grant = { kind: 'updatePermissions', caller: 0, userId: byId(caller) } as const;
    assert.equal(scribe.code(create), STATUS.unauthorized);
    scribe.ok({ ...grant, permissions: rights('manageStreams') });
    assert.equal(scribe.code(create), 0);
    assert(scribe.state.permits(caller, 'send', 0, 0));
    scribe.ok({ ...grant, permissions: null });
    assert.equal(scribe.code({ ...create, name: 'b' }), STATUS.unauthorized);
    assert(!scribe.state.permits(caller, 'send', 0, 0));
    assert(!scribe.state.permits(77, 'send', 0, 0));
  });

  it('keep their permissions in ascending order of ids, so that snapshots agree', () => {
    const stream = {
      manageStream: true,
      readStream: false,
      manageTopics: false,
      readTopics: false,
      pollMessages: false,
      sendMessages: false,
      topics: null,
    };
    const streams = new Map([
      [5, stream],
      [2, stream],
    ]);
    const permissions = { global: NOTHING, streams };
    const scribe = Scribe.start();
    scribe.ok({ ...NEW, permissions });
    const user = scribe.state.findUser(byName('ada'))!;
    assert.deepEqual([...user.permissions!.streams!.keys()], [2, 5]);
    scribe.user('bob');
    scribe.ok({ kind: 'updatePermissions', caller: 0, userId: byName('bob'), permissions });
    const other = scribe.state.findUser(byName('bob'))!;
    assert.deepEqual([...other.permissions!.streams!.keys()], [2, 5]);
  });

  it('are managed by those who may manage users; others learn of nobody but themselves', () => {
    const scribe = Scribe.start();
    const caller = scribe.user('ada');
    scribe.user('bob');
    const of = { caller, userId: byName('bob') };
    const ops = [
      { ...of, kind: 'deleteUser' },
      { ...of, kind: 'updateUser', username: null, status: null },
      { ...of, kind: 'updatePermissions', permissions: null },
      { ...of, kind: 'changePassword', currentHash: 'hash of bob', passwordHash: 'n' },
    ] as const;
    for (const op of ops) {
      const nobody = op.kind === 'changePassword' ? STATUS.resourceNotFound : STATUS.unauthorized;
      assert.equal(scribe.code({ ...op, userId: byId(9) }), nobody, op.kind);
      assert.equal(scribe.code(op), STATUS.unauthorized, op.kind);
      const missing = scribe.code({ ...op, caller: 0, userId: byId(9) });
      assert.equal(missing, STATUS.resourceNotFound, op.kind);
    }
    assert.equal(scribe.code({ ...NEW, caller, username: 'new' }), STATUS.unauthorized);
    const permissions = rights('manageUsers');
    scribe.ok({ kind: 'updatePermissions', caller: 0, userId: byId(caller), permissions });
    for (const op of [...ops].reverse()) assert.equal(scribe.code(op), 0, op.kind);
  });

  it('change a password only against the hash that was verified', () => {
    const scribe = Scribe.start();
    const caller = scribe.user('ada');
    const change = { kind: 'changePassword', caller, userId: byId(caller) } as const;
    const first = { ...change, currentHash: 'hash of ada', passwordHash: 'two' };
    assert.equal(scribe.code(first), 0);
    assert.equal(scribe.code(first), STATUS.invalidCredentials);
    const asRoot = { ...change, caller: 0, currentHash: 'wrong', passwordHash: 'three' };
    assert.equal(scribe.code(asRoot), STATUS.invalidCredentials);
    assert.equal(scribe.code({ ...asRoot, currentHash: 'two' }), 0);
    assert.equal(scribe.state.findUser(byId(caller))?.passwordHash, 'three');
  });

  it('take their sessions and tokens along, so that the next of their id gets neither', () => {
    const scribe = Scribe.start();
    const userId = scribe.user('ada');
    scribe.login(clientOf(1), userId);
    scribe.login(clientOf(2), 0);
    const token = { kind: 'createToken', caller: userId, userId, name: 'laptop' } as const;
    scribe.ok({ ...token, tokenHash: 't', expiryAtUs: null });
    const { changes } = scribe.ok({ kind: 'deleteUser', caller: 0, userId: byId(userId) });
    assert.deepEqual(changes, [{ kind: 'sessionEnded', client: clientOf(1) }]);
    assert.equal(scribe.state.findSession(clientOf(1)), null);
    assert.equal(scribe.state.findToken('t'), null);
    assert.equal(scribe.user('bob'), userId);
    assert.deepEqual(scribe.state.tokens(userId), []);
    scribe.state.checkInvariants();
  });

  it('lose what they may do to a stream or topic when it is deleted', () => {
    const scribe = Scribe.start();
    const caller = scribe.user('ada');
    scribe.stream('orders');
    scribe.topic(0, 'events', 1);
    const all = { manageTopic: true, readTopic: true, pollMessages: true, sendMessages: true };
    const stream = {
      manageStream: false,
      readStream: true,
      manageTopics: false,
      readTopics: false,
      pollMessages: false,
      sendMessages: false,
      topics: new Map([[0, all]]),
    };
    const permissions = { global: NOTHING, streams: new Map([[0, stream]]) };
    scribe.ok({ kind: 'updatePermissions', caller: 0, userId: byId(caller), permissions });
    assert(scribe.state.permits(caller, 'send', 0, 0));
    scribe.ok({ kind: 'deleteTopic', caller, streamId: byId(0), topicId: byId(0) });
    scribe.topic(0, 'another', 1);
    assert(!scribe.state.permits(caller, 'send', 0, 0));
    assert(scribe.state.permits(caller, 'poll', 0, 0));
    scribe.ok({ kind: 'deleteStream', caller: 0, streamId: byId(0) });
    scribe.stream('another');
    assert(!scribe.state.permits(caller, 'streamRead', 0, null));
  });
});

describe('Tokens', () => {
  const TOKEN = { kind: 'createToken', caller: 0, userId: 0, expiryAtUs: null } as const;

  it('are found by their hash and listed by name', () => {
    const scribe = Scribe.start();
    scribe.ok({ ...TOKEN, name: 'phone', tokenHash: 'h1' });
    scribe.ok({ ...TOKEN, name: 'laptop', tokenHash: 'h2' });
    const laptop = { userId: 0, name: 'laptop', tokenHash: 'h2', expiryAtUs: null };
    assert.deepEqual(scribe.state.findToken('h2'), laptop);
    assert.deepEqual(
      scribe.state.tokens(0).map(({ name }) => name),
      ['laptop', 'phone'],
    );
    const deletion = { kind: 'deleteToken', caller: 0, userId: 0, name: 'laptop' } as const;
    assert.equal(scribe.code(deletion), 0);
    assert.equal(scribe.state.findToken('h2'), null);
    assert.equal(scribe.code(deletion), STATUS.resourceNotFound);
  });

  it('have a name that the user has not used, and an end in the future', () => {
    const scribe = Scribe.start();
    scribe.ok({ ...TOKEN, name: 'laptop', tokenHash: 'h1' });
    // Released clients send shorter and longer names than HTTP lets through.
    for (const [index, name] of ['ci', 'x'.repeat(255)].entries()) {
      assert.equal(scribe.code({ ...TOKEN, name, tokenHash: `short ${index}` }), 0);
    }
    const again = scribe.code({ ...TOKEN, name: 'laptop', tokenHash: 'h2' });
    assert.equal(again, STATUS.personalAccessTokenAlreadyExists);
    const now = {
      ...TOKEN,
      name: 'now',
      tokenHash: 'h3',
      expiryAtUs: Scribe.timeUs(scribe.opNext),
    };
    assert.equal(scribe.code(now), STATUS.invalidPersonalAccessTokenExpiry);
    const gone = scribe.code({ ...TOKEN, userId: 7, name: 'phone', tokenHash: 'h4' });
    assert.equal(gone, STATUS.unauthorized);
  });

  it('are 100 per user, which is told before a name that is taken', () => {
    const scribe = Scribe.start();
    for (let n = 0; n < TOKENS_PER_USER_MAX; n += 1) {
      scribe.ok({ ...TOKEN, name: `token ${n}`, tokenHash: `h${n}` });
    }
    const code = scribe.code({ ...TOKEN, name: 'token 1', tokenHash: 'h' });
    assert.equal(code, STATUS.personalAccessTokensLimitReached);
  });

  it('are cleaned when they have expired by log time, and not before', () => {
    const scribe = Scribe.start();
    const expiryAtUs = Scribe.timeUs(5);
    scribe.ok({ ...TOKEN, name: 'short', tokenHash: 'h1', expiryAtUs });
    scribe.ok({ ...TOKEN, name: 'endless', tokenHash: 'h2' });
    scribe.ok({ kind: 'cleanTokens', caller: null });
    assert.equal(scribe.state.tokens(0).length, 2);
    scribe.ok({ kind: 'cleanTokens', caller: null });
    assert.deepEqual(
      scribe.state.tokens(0).map(({ name }) => name),
      ['endless'],
    );
    assert.equal(scribe.state.findToken('h1'), null);
  });
});
