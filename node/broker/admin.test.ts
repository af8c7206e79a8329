import assert from 'node:assert/strict';
import type { MetadataCommand } from '@iggy-ts/wire/commands/requests';
import { HEADER_KIND, type Option } from '@iggy-ts/wire/commands/values';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import {
  type Client,
  codeOf,
  GROUP,
  granting,
  id,
  makeTopic,
  name,
  ROOT,
  SINGLE,
  World,
} from './world.ts';

const STREAM = { streamId: id(0) };
const TOPIC = { ...STREAM, topicId: id(0) };
const OPTION: Option = { key: 'nonsense', kind: HEADER_KIND.string, value: Uint8Array.of(65) };

function u64(key: string, value: number): Option {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return { key, kind: HEADER_KIND.uint64, value: bytes };
}

describe('streams and topics', () => {
  let world: World;
  let root: Client;

  beforeEach(async () => {
    world = await World.start();
    root = await world.login();
  });

  afterEach(async () => {
    await world.stop();
  });

  async function code(command: MetadataCommand, client = root): Promise<number> {
    return codeOf(client.execute(command));
  }

  it('are created with id 0 first, found by id and name, renamed and deleted', async () => {
    const stream = await root.done({ kind: 'createStream', name: 's', options: [] });
    assert.deepEqual([stream.id, stream.name, stream.topicsCount], [0, 's', 0]);
    const created = { kind: 'createTopic', ...STREAM, options: [] } as const;
    const topic = await root.done({ ...created, name: 't', partitionsCount: 3 });
    assert.deepEqual([topic.id, topic.partitionsCount], [0, 3]);
    assert.deepEqual(
      topic.partitions.map(({ id: partitionId, segmentsCount }) => [partitionId, segmentsCount]),
      [
        [0, 1],
        [1, 1],
        [2, 1],
      ],
    );
    const found = { kind: 'getTopic', streamId: name('s'), topicId: name('t') } as const;
    assert.deepEqual(await root.connection.read(found), topic);
    assert.equal(await code({ kind: 'updateStream', ...STREAM, name: 's2', options: [] }), 0);
    assert.equal(await root.connection.read({ kind: 'getStream', streamId: name('s') }), null);
    assert.equal(await code({ kind: 'updateTopic', ...TOPIC, name: 't2', options: [] }), 0);
    assert.equal((await root.connection.read({ kind: 'getTopic', ...TOPIC }))!.name, 't2');
    assert.equal(await code({ kind: 'deleteTopic', ...TOPIC }), 0);
    assert.equal(await code({ kind: 'deleteStream', ...STREAM }), 0);
    assert.equal(await root.connection.read({ kind: 'getStream', ...STREAM }), null);
  });

  it('say what is missing or taken', async () => {
    const { streamIdNotFound, topicIdNotFound } = STATUS;
    const topic = { kind: 'createTopic', ...STREAM, name: 't', partitionsCount: 1, options: [] };
    assert.equal(await code({ ...topic, kind: 'createTopic' }), streamIdNotFound);
    for (const kind of ['deleteStream', 'purgeStream'] as const) {
      assert.equal(await code({ kind, ...STREAM }), streamIdNotFound);
    }
    for (const kind of ['deleteTopic', 'purgeTopic'] as const) {
      assert.equal(await code({ kind, ...TOPIC }), streamIdNotFound);
    }
    await makeTopic(root, 1);
    assert.equal(
      await code({ kind: 'createStream', name: 's', options: [] }),
      STATUS.streamNameAlreadyExists,
    );
    assert.equal(await code({ ...topic, kind: 'createTopic' }), STATUS.topicNameAlreadyExists);
    const none = { ...STREAM, topicId: id(9) };
    for (const kind of ['deleteTopic', 'purgeTopic'] as const) {
      assert.equal(await code({ kind, ...none }), topicIdNotFound);
    }
    for (const kind of ['createPartitions', 'deletePartitions'] as const) {
      assert.equal(await code({ kind, ...none, partitionsCount: 1 }), topicIdNotFound);
      const nowhere = { ...none, streamId: id(9) };
      assert.equal(await code({ kind, ...nowhere, partitionsCount: 1 }), streamIdNotFound);
    }
    const update = { kind: 'updateTopic', ...none, name: 'x', options: [] } as const;
    assert.equal(await code(update), topicIdNotFound);
    const segments = { kind: 'deleteSegments', partitionId: 0, segmentsCount: 1 } as const;
    assert.equal(await code({ ...segments, ...none }), topicIdNotFound);
    assert.equal(await code({ ...segments, ...none, streamId: id(9) }), streamIdNotFound);
    assert.equal(await code({ ...segments, ...TOPIC, partitionId: 1 }), STATUS.partitionNotFound);
  });

  it('take no options but those of topics', async () => {
    const options = [OPTION];
    const { unsupportedOptionKey } = STATUS;
    assert.equal(await code({ kind: 'createStream', name: 's', options }), unsupportedOptionKey);
    await makeTopic(root, 1);
    assert.equal(
      await code({ kind: 'updateStream', ...STREAM, name: 's', options }),
      unsupportedOptionKey,
    );
    const topic = { kind: 'createTopic', ...STREAM, name: 'u', partitionsCount: 1 } as const;
    assert.equal(await code({ ...topic, options }), unsupportedOptionKey);
    assert.equal(
      await code({ kind: 'updateTopic', ...TOPIC, name: 't', options }),
      unsupportedOptionKey,
    );
    const small = [u64('max_topic_size', 10 * 1024)];
    assert.equal(await code({ ...topic, options: small }), STATUS.invalidTopicSize);
    assert.equal(
      await code({ kind: 'updateTopic', ...TOPIC, name: 't', options: small }),
      STATUS.invalidTopicSize,
    );
    const odd = [u64('segment_size', 1024 * 1024 + 1)];
    assert.equal(await code({ ...topic, options: odd }), STATUS.invalidOptionValue);
  });

  it('show what was sent as explicit and what was filled in as derived', async () => {
    await makeTopic(root, 1);
    const options = [u64('message_expiry', 60_000_000)];
    const created = await root.done({
      kind: 'createTopic',
      ...STREAM,
      name: 'u',
      partitionsCount: 0,
      options,
    });
    assert.equal(created.messageExpiryUs, 60_000_000);
    assert.deepEqual(
      created.explicitOptions.map(({ key }) => key),
      ['message_expiry'],
    );
    assert.equal(created.derivedOptions.length, 8);
    const described = await root.connection.read({ kind: 'describeOptions', scope: 'topic' });
    assert.deepEqual(
      described.map(({ key }) => key).sort(),
      [...created.explicitOptions, ...created.derivedOptions].map(({ key }) => key).sort(),
    );
    for (const scope of ['stream', 'user'] as const) {
      assert.deepEqual(await root.connection.read({ kind: 'describeOptions', scope }), []);
    }
    const update = { kind: 'updateTopic', ...STREAM, topicId: name('u'), name: 'u' } as const;
    await root.done({ ...update, options: [u64('message_expiry', 5_000_000)] });
    await root.done({ ...update, options: [u64('message_expiry', 0)] });
    const found = { kind: 'getTopic', ...STREAM, topicId: name('u') } as const;
    assert.equal((await root.connection.read(found))!.messageExpiryUs, 5_000_000);
  });

  it('have at most 1000 partitions per request, and at least one to add or delete', async () => {
    await makeTopic(root, 1);
    const topic = { kind: 'createTopic', ...STREAM, name: 'u', options: [] } as const;
    const { tooManyPartitions } = STATUS;
    assert.equal(await code({ ...topic, partitionsCount: 1001 }), tooManyPartitions);
    for (const kind of ['createPartitions', 'deletePartitions'] as const) {
      for (const partitionsCount of [0, 1001]) {
        assert.equal(await code({ kind, ...TOPIC, partitionsCount }), tooManyPartitions);
      }
    }
    const { invalidPartitionsCount } = STATUS;
    const deletion = { kind: 'deletePartitions', ...TOPIC } as const;
    assert.equal(await code({ ...deletion, partitionsCount: 2 }), invalidPartitionsCount);
    assert.equal(await code({ kind: 'createPartitions', ...TOPIC, partitionsCount: 2 }), 0);
    assert.equal(await code({ ...deletion, partitionsCount: 3 }), 0);
    assert.equal((await root.connection.read({ kind: 'getTopic', ...TOPIC }))!.partitionsCount, 0);
  });

  it('are created once when many ask at a time', async () => {
    await root.done({ kind: 'createStream', name: 's', options: [] });
    const clients = await Promise.all([1, 2, 3, 4].map(() => world.login()));
    const topic = { kind: 'createTopic', ...STREAM, name: 't', options: [] } as const;
    const codes = await Promise.all(
      clients.map((client) => codeOf(client.execute({ ...topic, partitionsCount: 2 }))),
    );
    assert.deepEqual(codes.sort(), [0, 2013, 2013, 2013]);
    assert.equal(world.store.metadata.state.counts().partitions, 2);
    // The directories of the others are gone: a restart finds nothing to wonder about.
    await world.crash();
    assert.equal(world.rig.logger.lines.filter((line) => line.startsWith('warn')).length, 0);
  });

  it('are made without directories when they will be refused, and say that the disk is full', async () => {
    const { prepare } = world.store;
    Object.assign(world.store, { prepare: () => assert.fail('directories were made') });
    const topic = { kind: 'createTopic', ...STREAM, name: 't', options: [] } as const;
    assert.equal(await code({ ...topic, partitionsCount: 1 }), STATUS.streamIdNotFound);
    await root.done({ kind: 'createStream', name: 's', options: [] });
    const nobody = await world.loginAs(root, 'nobody', null);
    assert.equal(await code({ ...topic, partitionsCount: 1 }, nobody), STATUS.unauthorized);
    Object.assign(world.store, {
      prepare: () => Promise.reject(new OperatingError(STATUS.cannotAppendToFile)),
    });
    assert.equal(await code({ ...topic, partitionsCount: 1 }), STATUS.cannotAppendToFile);
    Object.assign(world.store, { prepare });
    assert.equal(await code({ ...topic, partitionsCount: 1 }), 0);
  });

  it('take directories back when the op is certainly not in the log, and only then', async () => {
    await root.done({ kind: 'createStream', name: 's', options: [] });
    const { metadata } = world.store;
    const { propose } = metadata;
    const { discard } = world.store;
    let discards = 0;
    Object.assign(world.store, {
      discard: (uuids: readonly string[]) => {
        discards += 1;
        return discard.call(world.store, uuids);
      },
    });
    const topic = { kind: 'createTopic', ...STREAM, name: 't', options: [] } as const;
    for (const [refusal, count] of [
      [STATUS.transientNotAccepted, 1],
      [STATUS.transientNotCommitted, 1],
    ] as const) {
      Object.assign(metadata, { propose: () => Promise.reject(new OperatingError(refusal)) });
      assert.equal(await code({ ...topic, partitionsCount: 1 }), refusal);
      assert.equal(discards, count);
    }
    Object.assign(metadata, { propose });
  });

  it('lose all messages and offsets by a purge, and nothing else', async () => {
    await makeTopic(root, 2);
    await root.done({ kind: 'createConsumerGroup', ...TOPIC, name: 'g' });
    await root.done({ kind: 'joinConsumerGroup', ...TOPIC, groupId: id(0) });
    for (const purge of [
      { kind: 'purgeTopic', ...TOPIC },
      { kind: 'purgeStream', ...STREAM },
    ] as const) {
      await root.send(['a', 'b']);
      await root.store(SINGLE, 0, 1);
      await root.store(GROUP, 0, 1);
      await root.done(purge);
      const topic = await root.connection.read({ kind: 'getTopic', ...TOPIC });
      assert.deepEqual(
        [topic!.messagesCount, topic!.sizeBytes, topic!.partitions[0]!.currentOffset],
        [0, 0, 0],
      );
      const offset = { kind: 'getConsumerOffset', ...TOPIC, partitionId: 0 } as const;
      assert.equal(await root.connection.read({ ...offset, consumer: SINGLE }), null);
      assert.equal(await root.connection.read({ ...offset, consumer: GROUP }), null);
      assert.equal((await root.send(['c'])).reply![0]!.baseOffset, 0);
    }
    await world.crash();
    root = await world.login();
    assert.deepEqual((await root.poll()).texts, ['c']);
    assert.equal(world.store.metadata.state.counts().groups, 1);
  });

  it('give up sealed segments as far as no consumer holds them, and never the active one', async () => {
    await makeTopic(root, 1);
    const text = 'x'.repeat(700 * 1024);
    for (let turn = 0; turn < 4; turn += 1) await root.send([text]);
    const firstOffset = (): Promise<number | undefined> =>
      root.poll({ count: 1 }).then(({ offsets }) => offsets[0]);
    const segments = { kind: 'deleteSegments', ...TOPIC, partitionId: 0 } as const;
    assert.equal(await code({ ...segments, segmentsCount: 0 }), 0);
    assert.equal(await firstOffset(), 0);
    await root.store(SINGLE, 0, 0);
    assert.equal(await code({ ...segments, segmentsCount: 2 }), 0);
    const kept = (await firstOffset())!;
    assert(kept <= 1);
    await root.store(SINGLE, 0, 3);
    assert.equal(await code({ ...segments, segmentsCount: 100 }), 0);
    assert.equal(await firstOffset(), 3);
    assert.equal((await root.send(['next'])).reply![0]!.baseOffset, 4);
  });

  it('use an id again for a new thing without the data of the old one', async () => {
    await makeTopic(root, 1);
    await root.send(['old']);
    await root.done({ kind: 'deleteTopic', ...TOPIC });
    assert.equal(await codeOf(root.poll()), STATUS.topicIdNotFound);
    const topic = { kind: 'createTopic', ...STREAM, name: 'new', options: [] } as const;
    assert.equal((await root.done({ ...topic, partitionsCount: 1 })).id, 0);
    assert.deepEqual((await root.poll()).texts, []);
    assert.equal((await root.send(['new'])).reply![0]!.baseOffset, 0);
  });
});

describe('users', () => {
  let world: World;
  let root: Client;

  beforeEach(async () => {
    world = await World.start();
    root = await world.login();
  });

  afterEach(async () => {
    await world.stop();
  });

  const BOB = { kind: 'createUser', username: 'bob', password: 'secret', options: [] } as const;
  const NEW = { ...BOB, status: 'active', permissions: null } as const;

  it('are created with a hash, never with their password', async () => {
    const user = await root.done(NEW);
    assert.deepEqual([user.id, user.username, user.status], [1, 'bob', 'active']);
    assert(!('passwordHash' in user));
    assert.equal(world.store.metadata.state.findUser(name('bob'))!.passwordHash, 'hash of secret');
    assert.equal((await root.execute(NEW)).code, STATUS.userAlreadyExists);
  });

  it('have names of 3 to 50 and passwords of 3 to 100 bytes, and no options', async () => {
    const hashes = world.hasher.hashCount;
    for (const password of ['', 'ab', 'x'.repeat(101)]) {
      assert.equal(await codeOf(root.execute({ ...NEW, password })), STATUS.invalidPassword);
      const change = { kind: 'changePassword', userId: id(0), currentPassword: 'iggy' } as const;
      assert.equal(
        await codeOf(root.execute({ ...change, newPassword: password })),
        STATUS.invalidPassword,
      );
    }
    assert.equal(
      await codeOf(root.execute({ ...NEW, options: [OPTION] })),
      STATUS.unsupportedOptionKey,
    );
    assert.equal(world.hasher.hashCount, hashes);
    for (const username of ['ab', 'x'.repeat(51)]) {
      assert.equal(await codeOf(root.execute({ ...NEW, username })), STATUS.invalidUsername);
    }
    const update = { kind: 'updateUser', userId: id(0), status: null, username: null } as const;
    assert.equal(
      await codeOf(root.execute({ ...update, options: [OPTION] })),
      STATUS.unsupportedOptionKey,
    );
  });

  it('are the business of those who manage users, without a hash for others', async () => {
    const nobody = await world.loginAs(root, 'nobody', granting('readUsers'));
    const hashes = world.hasher.hashCount;
    assert.equal(await codeOf(nobody.execute(NEW)), STATUS.unauthorized);
    assert.equal(world.hasher.hashCount, hashes);
    const { unauthorized } = STATUS;
    assert.equal(await codeOf(nobody.execute({ kind: 'deleteUser', userId: id(0) })), unauthorized);
    const permissions = { kind: 'updatePermissions', userId: id(1), permissions: null } as const;
    assert.equal(await codeOf(nobody.execute(permissions)), unauthorized);
    const manager = await world.loginAs(root, 'manager', granting('manageUsers'));
    assert.equal(await codeOf(manager.execute(NEW)), 0);
  });

  it('cannot do without root, nor change what root may do', async () => {
    const { execute } = root;
    assert.equal(
      await codeOf(execute.call(root, { kind: 'deleteUser', userId: id(0) })),
      STATUS.cannotDeleteUser,
    );
    const permissions = { kind: 'updatePermissions', userId: id(0), permissions: null } as const;
    assert.equal(await codeOf(root.execute(permissions)), STATUS.cannotChangePermissions);
    const missing = { kind: 'deleteUser', userId: id(9) } as const;
    assert.equal(await codeOf(root.execute(missing)), STATUS.resourceNotFound);
  });

  it('change their password by telling the current one, root as well', async () => {
    const bob = await world.loginAs(root, 'bob', null);
    const change = { kind: 'changePassword', userId: name('bob') } as const;
    const code = (client: Client, currentPassword: string, newPassword: string): Promise<number> =>
      codeOf(client.execute({ ...change, currentPassword, newPassword }));
    assert.equal(await code(bob, 'wrong', 'better'), STATUS.invalidCredentials);
    assert.equal(await code(root, 'iggy', 'better'), STATUS.invalidCredentials);
    assert.equal(await code(bob, 'secret', 'better'), 0);
    assert.equal(await code(root, 'better', 'best'), 0);
    const other = await world.loginAs(root, 'other', granting('readUsers'));
    assert.equal(await code(other, 'best', 'mine'), STATUS.unauthorized);
    const missing = { ...change, userId: id(9), currentPassword: 'best', newPassword: 'mine' };
    assert.equal(await codeOf(root.execute(missing)), STATUS.resourceNotFound);
    assert.equal(await world.broker.verifyPassword('bob', 'best'), 1);
  });

  it('keep the password that was changed while another change was computed', async () => {
    const bob = await world.loginAs(root, 'bob', null);
    const { promise, resolve } = Promise.withResolvers<void>();
    world.hasher.held = promise;
    const change = { kind: 'changePassword', userId: name('bob') } as const;
    // 1. both verify the current password  2. the first change is executed  3. so is the second
    const changes = [bob, root].map((client, index) =>
      codeOf(client.execute({ ...change, currentPassword: 'secret', newPassword: `new ${index}` })),
    );
    resolve();
    assert.deepEqual(await Promise.all(changes), [0, STATUS.invalidCredentials]);
    assert.equal(await world.broker.verifyPassword('bob', 'new 0'), 1);
  });

  it('feel a change of their permissions in open sessions', async () => {
    const bob = await world.loginAs(root, 'bob', granting('readStreams'));
    const streams = { kind: 'getStreams' } as const;
    assert.equal(await codeOf(bob.connection.read(streams)), 0);
    await root.done({ kind: 'updatePermissions', userId: name('bob'), permissions: null });
    assert.equal(await codeOf(bob.connection.read(streams)), STATUS.unauthorized);
    assert.equal(
      await codeOf(bob.execute({ kind: 'createStream', name: 's', options: [] })),
      STATUS.unauthorized,
    );
    const all = granting('manageStreams');
    await root.done({ kind: 'updatePermissions', userId: name('bob'), permissions: all });
    assert.equal(await codeOf(bob.execute({ kind: 'createStream', name: 's', options: [] })), 0);
  });
});

describe('tokens', () => {
  let world: World;
  let root: Client;

  beforeEach(async () => {
    world = await World.start();
    root = await world.login();
  });

  afterEach(async () => {
    await world.stop();
  });

  function create(text: string, expiryUs = 0): Promise<number> {
    return codeOf(root.execute({ kind: 'createPersonalAccessToken', name: text, expiryUs }));
  }

  it('are told once and listed without their text', async () => {
    const command = {
      kind: 'createPersonalAccessToken',
      name: 'mine',
      expiryUs: 5_000_000,
    } as const;
    const { token } = await root.done(command);
    assert.equal(token.length, 68);
    const stored = world.store.metadata.state.tokens(0);
    assert(!JSON.stringify(stored).includes(token));
    const expiryAtUs = world.rig.clock.wallUs() + 5_000_000;
    assert.deepEqual(await root.connection.read({ kind: 'getPersonalAccessTokens' }), [
      { name: 'mine', expiryAtUs },
    ]);
    await root.done({ kind: 'deletePersonalAccessToken', name: 'mine' });
    assert.deepEqual(await root.connection.read({ kind: 'getPersonalAccessTokens' }), []);
    assert.equal(
      await codeOf(root.execute({ kind: 'deletePersonalAccessToken', name: 'mine' })),
      STATUS.resourceNotFound,
    );
  });

  it('are limited in number before their name is judged', async () => {
    for (const text of ['one', 'two', 'three']) assert.equal(await create(text), 0);
    assert.equal(await create('one'), STATUS.personalAccessTokensLimitReached);
    await root.done({ kind: 'deletePersonalAccessToken', name: 'two' });
    assert.equal(await create('one'), STATUS.personalAccessTokenAlreadyExists);
  });

  it('may live for ever, and not beyond time', async () => {
    assert.equal(await create('one', Number.POSITIVE_INFINITY), 0);
    assert.equal(world.store.metadata.state.tokens(0)[0]!.expiryAtUs, null);
    assert.equal(
      await create('two', Number.MAX_SAFE_INTEGER),
      STATUS.invalidPersonalAccessTokenExpiry,
    );
  });

  it('are removed when they have expired, by a pass every minute', async () => {
    await create('one', 30_000_000);
    await create('two', 90_000_000);
    const names = (): readonly string[] =>
      world.store.metadata.state.tokens(0).map(({ name: text }) => text);
    world.rig.clock.pass(60_000);
    await root.done({ kind: 'createStream', name: 'later', options: [] });
    assert.deepEqual(names(), ['two']);
    await new Promise((resolve) => setImmediate(resolve));
    world.rig.clock.pass(60_000);
    await root.done({ kind: 'createStream', name: 'later still', options: [] });
    assert.deepEqual(names(), []);
  });

  it('go with their user', async () => {
    const bob = await world.loginAs(root, 'bob', null);
    const command = { kind: 'createPersonalAccessToken', name: 'mine', expiryUs: 0 } as const;
    const { token } = await bob.done(command);
    assert.equal(world.broker.verifyToken(token), 1);
    await root.done({ kind: 'deleteUser', userId: name('bob') });
    assert.equal(
      await codeOf(Promise.resolve().then(() => world.broker.verifyToken(token))),
      STATUS.invalidPersonalAccessToken,
    );
  });
});

describe('the root user', () => {
  it('is created once, with a name and password of allowed length', async () => {
    const world = await World.start();
    const { broker } = world;
    assert.equal(broker.hasRoot, true);
    assert.equal(
      await codeOf(broker.createRoot({ username: 'ab', password: 'iggy' })),
      STATUS.invalidUsername,
    );
    assert.equal(
      await codeOf(broker.createRoot({ username: 'iggy', password: 'ab' })),
      STATUS.invalidPassword,
    );
    await broker.createRoot({ username: 'other', password: 'other' });
    assert.equal(await broker.verifyPassword(ROOT.username, ROOT.password), 0);
    assert.equal(await codeOf(broker.verifyPassword('other', 'other')), STATUS.invalidCredentials);
    await world.stop();
  });
});
