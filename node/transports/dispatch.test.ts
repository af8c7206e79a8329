import assert from 'node:assert/strict';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { xxh3 } from '@node-rs/xxhash';
import { SessionEnded } from '../broker/port.ts';
import { ConnectionSet } from './connection-set.ts';
import { dialMemory } from './memory.ts';
import {
  passwordBody,
  pollBody,
  requestFrame,
  type ServerFrame,
  sendBody,
  TestClient,
  tokenBody,
} from './test-client.ts';
import { login, makeStage, type Stage, settle, TEST_LIMITS, until } from './test-stage.ts';

// The answer to every request and to every violation, as the protocol's page has them, over the
// transport in memory.

const CREATE_STREAM_BODY = Buffer.from([1, 97]);
const STREAM_ID = Buffer.from([1, 4, 9, 0, 0, 0]);

function resultOf(frame: ServerFrame | null): number {
  assert(frame !== null);
  assert.equal(frame.status, 0);
  assert.equal(frame.body.readUInt32LE(0), 1);
  assert.equal(frame.body.readUInt32LE(4), 0);
  assert.equal(frame.body.length, 12);
  return frame.body.readUInt32LE(8);
}

function isStatus(frame: ServerFrame | null, status: number): boolean {
  return frame?.command === 8 && frame.status === status && frame.body.length === 0;
}

describe('dispatch of 0.9 frames', () => {
  let stage: Stage;
  let set: ConnectionSet;
  let client: TestClient;

  beforeEach(() => {
    stage = makeStage();
    set = new ConnectionSet({ ...TEST_LIMITS, kind: 'memory' }, stage.deps);
    client = TestClient.ofMemory(dialMemory(set));
  });

  afterEach(async () => {
    const drained = set.drain(1000);
    await settle();
    await drained;
    assert.deepEqual(stage.bugs, []);
    assert.equal(stage.pool.takenBytes, 0);
    assert.equal(client.framesCount, 0);
  });

  function register(body: Uint8Array): Promise<ServerFrame | null> {
    return client.ask(requestFrame({ operation: 1, body }));
  }

  function refuseWith(error: Error): void {
    stage.broker.script.before = () => {
      throw error;
    };
  }

  describe('before login', () => {
    it('answers reads but ping with 40 and tells nothing of the metadata', async () => {
      for (const code of [10, 12, 100, 201, 9999, 102, 39, 202]) {
        const reply = await client.ask(requestFrame({ operation: 2, code, request: 8 }));
        assert(isStatus(reply, 40));
        assert.equal(reply!.commit, 0);
        assert.equal(reply!.request, 8);
      }
      const ping = await client.ask(requestFrame({ operation: 2, code: 1 }));
      assert(isStatus(ping, 0));
      assert.equal(ping!.commit, 0);
    });

    it('ends a session that is not there, for operations', async () => {
      for (const operation of [128, 138, 149, 160, 161]) {
        const reply = await client.ask(
          requestFrame({ operation, session: 4, request: 1, body: sendBody(Buffer.alloc(300)) }),
        );
        assert.equal(reply?.command, 13);
        assert.equal(reply.reason, 1);
        assert.equal(reply.bytes.readUInt8(128), 0x77);
      }
      assert.equal(stage.broker.asked.length, 0);
    });

    it('takes no memory for a batch of a stranger', async () => {
      const body = Buffer.alloc(1024 * 1024);
      const frame = requestFrame({ operation: 160, session: 4, request: 1, body });
      client.send(frame.subarray(0, 1000));
      await settle();
      assert.equal(stage.pool.takenBytes, 0);
      client.send(frame.subarray(1000));
      assert.equal((await client.frame())?.reason, 1);
    });

    it('reads a batch that was sent right behind the login', async () => {
      const body = passwordBody({ username: 'iggy', password: 'secret' });
      const batch = Buffer.alloc(200_000, 3);
      const send = { operation: 160, session: 1, request: 1, body: sendBody(batch) };
      client.send(requestFrame({ operation: 1, body }), requestFrame(send));
      assert.equal((await client.frame())?.operation, 1);
      assert.equal((await client.frame())?.operation, 160);
      assert.deepEqual(stage.broker.batches, [batch]);
    });

    it('answers a logout with success, whatever its numbers', async () => {
      for (const session of [0, 3]) {
        const reply = await client.ask(requestFrame({ operation: 3, session, request: session }));
        assert(isStatus(reply, 0));
      }
    });
  });

  describe('login', () => {
    it('answers with the session and an empty result section', async () => {
      const reply = await login(client);
      assert.equal(reply?.body.readUInt32LE(0), 0);
      assert.equal(reply.body.readUInt32LE(4), 1);
      assert.equal(reply.body.readUInt32LE(8), 8);
      assert.equal(reply.commit, 8);
      assert.deepEqual(stage.broker.asked[0]?.command, {
        kind: 'password',
        client: `77${'0'.repeat(30)}`,
        username: 'iggy',
        password: 'secret',
        version: { protocolVersion: 11_264, sdkName: 'test-sdk', sdkVersion: '0.11.0' },
      });
    });

    it('tries the token form when there is no password form', async () => {
      const reply = await register(tokenBody('a-raw-token'));
      assert.equal(reply?.status, 0);
      const { command } = stage.broker.asked[0]!;
      assert(command.kind === 'token');
      assert.equal(command.token, 'a-raw-token');
    });

    it('tells the window of versions to a client outside of it', async () => {
      for (const version of [11_263, 12_288, 0, 0xffff_ffff]) {
        const body = passwordBody({ username: 'iggy', password: 'secret', version });
        const reply = await register(body);
        assert.equal(reply?.reason, 14);
        assert.equal(reply.bytes.readUInt32LE(144), 11_264);
        assert.equal(reply.bytes.readUInt32LE(148), 11_264);
      }
      const patch = passwordBody({ username: 'iggy', password: 'secret', version: 12_287 });
      assert.equal((await register(patch))?.operation, 1);
    });

    it('names a body that is no login malformed, cut anywhere', async () => {
      const whole = passwordBody({ username: 'iggy', password: 'secret' });
      for (let size = 0; size < whole.length; size += 1) {
        assert.equal((await register(whole.subarray(0, size)))?.reason, 15);
      }
    });

    it('tells refused credentials by an eviction', async () => {
      const rows = [
        [new OperatingError(STATUS.invalidCredentials), 9],
        [new SessionEnded(9), 9],
        [new OperatingError(STATUS.invalidPersonalAccessToken), 10],
        [new OperatingError(STATUS.personalAccessTokenExpired), 10],
        [new OperatingError(STATUS.userInactive), 11],
        [new SessionEnded(12), 12],
      ] as const;
      for (const [error, reason] of rows) {
        refuseWith(error);
        const form = reason === 9 ? null : tokenBody('a-raw-token');
        const body = form ?? passwordBody({ username: 'iggy', password: 'wrong' });
        assert.equal((await register(body))?.reason, reason);
      }
      stage.broker.script.before = () => {};
      assert.equal((await login(client))?.operation, 1);
    });

    it('tells in the result section that it cannot be done now', async () => {
      for (const code of [57, 58]) {
        refuseWith(new OperatingError(code));
        const reply = await register(tokenBody('a-raw-token'));
        assert.equal(reply?.operation, 1);
        assert.equal(resultOf(reply), code);
      }
    });

    it('drops the body of a login that is far too long', async () => {
      assert.equal((await register(Buffer.alloc(100_000, 1)))?.reason, 15);
    });
  });

  describe('header rules', () => {
    const body = CREATE_STREAM_BODY;
    const rows: readonly [string, Parameters<typeof requestFrame>[0]][] = [
      ['client 0', { operation: 128, session: 1, request: 1, client: 0, body }],
      ['operation 0', { operation: 0, session: 1, request: 1 }],
      ['an unknown operation', { operation: 200, session: 1, request: 1 }],
      ['a login with a session', { operation: 1, session: 1 }],
      ['a login with a number', { operation: 1, request: 1 }],
      ['an operation without a session', { operation: 128, request: 1, body }],
      ['an operation without a number', { operation: 128, session: 1, body }],
      ['a send without a number', { operation: 160, session: 1, body: sendBody(body) }],
    ];
    for (const [title, fields] of rows) {
      it(`answers ${title} with status 3`, async () => {
        await login(client);
        const reply = await client.ask(requestFrame(fields));
        assert(isStatus(reply, 3));
        assert.equal(reply!.request, fields.request ?? 0);
        assert.equal(reply!.operation, fields.operation);
        assert.equal(stage.broker.asked.length, 1);
      });
    }

    it('answers operations of servers with an eviction', async () => {
      await login(client);
      for (const operation of [64, 65, 66, 67, 68]) {
        const reply = await client.ask(requestFrame({ operation, session: 1, request: 1 }));
        assert.equal(reply?.reason, 4);
      }
    });

    it('echoes numbers of a read that no number of ours can hold', async () => {
      const frame = requestFrame({ operation: 2, code: 1 });
      frame.fill(0xff, 160, 176);
      const reply = await client.ask(frame);
      assert(isStatus(reply, 0));
      assert(reply!.bytes.subarray(192, 208).every((byte) => byte === 0xff));
    });

    it('refuses an operation with such a number and echoes it', async () => {
      const frame = requestFrame({ operation: 128, session: 1, body });
      frame.fill(0xff, 168, 176);
      const reply = await client.ask(frame);
      assert(isStatus(reply, 3));
      assert(reply!.bytes.subarray(200, 208).every((byte) => byte === 0xff));
    });

    it('skips frames that belong to links between servers', async () => {
      const foreign = requestFrame({ operation: 128, command: 1, body: Buffer.alloc(5000) });
      client.send(foreign, requestFrame({ operation: 2, code: 1, command: 3 }));
      const reply = await client.ask(requestFrame({ operation: 2, code: 1, request: 6 }));
      assert.equal(reply?.request, 6);
      assert.deepEqual(stage.refused, ['foreignCommand', 'foreignCommand']);
    });

    it('closes a connection that gives a command nobody has', async () => {
      client.send(requestFrame({ operation: 128, command: 30 }));
      await client.over;
      assert.deepEqual(stage.refused, ['unknownCommand']);
    });
  });

  describe('request checksum', () => {
    it('is verified over the body, wherever that lies', async () => {
      await login(client);
      const bodies = [Buffer.alloc(0), CREATE_STREAM_BODY, sendBody(Buffer.alloc(70_000, 5))];
      for (const [index, body] of bodies.entries()) {
        const operation = [3, 128, 160][index]!;
        const checksum = xxh3.xxh64(body);
        const fields = { operation, session: 1, request: 1, body };
        const wrong = await client.ask(requestFrame({ ...fields, checksum: checksum ^ 1n }));
        assert(isStatus(wrong, 4));
      }
      const body = STREAM_ID;
      const fields = { operation: 130, session: 1, request: 1, body, checksum: xxh3.xxh64(body) };
      assert.equal((await client.ask(requestFrame(fields)))?.status, 0);
      const { numbering } = stage.broker.asked[1]!;
      const stamp =
        BigInt(numbering!.checksumHigh) * 0x1_0000_0000n + BigInt(numbering!.checksumLow);
      assert.equal(stamp, fields.checksum);
      const high = requestFrame(fields);
      high.writeUInt8(1, 159);
      assert(isStatus(await client.ask(high), 4));
    });
  });

  describe('reads', () => {
    beforeEach(async () => {
      await login(client);
    });

    it('answer codes that nobody has or that are no reads', async () => {
      const rows = [
        [9999, 3],
        [39, 3],
        [40, 3],
        [45, 3],
        [102, 5],
        [202, 5],
        [101, 5],
        [200, 3],
      ] as const;
      for (const [code, status] of rows) {
        const reply = await client.ask(requestFrame({ operation: 2, code, session: 8 }));
        assert(isStatus(reply, status), `code ${code}`);
        assert.equal(reply!.commit, 8);
      }
      for (const code of [38, 44]) {
        assert.equal((await client.ask(requestFrame({ operation: 2, code })))?.reason, 15);
      }
    });

    it('go to the broker and come back without a result section', async () => {
      stage.broker.script.read = () => ({ partitionId: 1, currentOffset: 5, storedOffset: 4 });
      const body = pollBody().subarray(0, 24);
      const reply = await client.ask(requestFrame({ operation: 2, code: 120, body }));
      assert.equal(reply?.body.length, 20);
      assert.equal(reply.body.readUInt32LE(4), 5);
    });

    it('are answered with the status that the broker refuses them with', async () => {
      refuseWith(new OperatingError(STATUS.unauthorized));
      const reply = await client.ask(requestFrame({ operation: 2, code: 10 }));
      assert(isStatus(reply, 41));
    });

    it('end with the session when the broker says so', async () => {
      refuseWith(new SessionEnded(7));
      const reply = await client.ask(requestFrame({ operation: 2, code: 10 }));
      assert.equal(reply?.reason, 7);
    });

    it('answer 9000 for a snapshot that fits no frame', async () => {
      stage.broker.script.read = () => new Uint8Array(TEST_LIMITS.frameBytesMax - 255);
      const body = Buffer.from([1, 1, 100]);
      const reply = await client.ask(requestFrame({ operation: 2, code: 11, body }));
      assert(isStatus(reply, 9000));
    });

    it('poll: the head in front of the records, and the records as they are', async () => {
      for (const pollBytes of [0, 1, 5000]) {
        stage.broker.script.pollBytes = pollBytes;
        const reply = await client.ask(requestFrame({ operation: 2, code: 100, body: pollBody() }));
        assert.equal(reply?.body.length, 16 + pollBytes);
        assert.equal(reply.body.readUInt32LE(0), 3);
        assert.equal(reply.body.readUInt32LE(4), 41);
        assert.equal(reply.body.readUInt32LE(12), pollBytes > 0 ? 1 : 0);
        assert(reply.body.subarray(16).every((byte) => byte === 0xab));
      }
      await until(() => stage.broker.borrowedCount === 0);
    });
  });

  describe('operations', () => {
    beforeEach(async () => {
      await login(client);
    });

    it('are numbered by the connection and not by what the header claims', async () => {
      const frame = requestFrame({
        operation: 130,
        session: 4711,
        client: 0x55,
        request: 3,
        body: STREAM_ID,
      });
      const reply = await client.ask(frame);
      assert.deepEqual([...reply!.body], [0, 0, 0, 0]);
      assert.equal(reply!.commit, 9);
      assert.deepEqual(stage.broker.asked[1]?.numbering, {
        client: `77${'0'.repeat(30)}`,
        session: 8,
        request: 3,
        checksumLow: 0,
        checksumHigh: 0,
      });
    });

    it('tell in the result section that they said no', async () => {
      stage.broker.script.execute = () => ({ code: 1009, reply: null, op: 20, timestampUs: 5 });
      for (const operation of [130, 139, 161]) {
        const body =
          operation === 161
            ? Buffer.concat([pollBody().subarray(0, 24), Buffer.alloc(8), Buffer.from([1])])
            : Buffer.concat([STREAM_ID, STREAM_ID, Buffer.from([1, 97])]);
        const frame = requestFrame({ operation, session: 8, request: 1, body });
        assert.equal(resultOf(await client.ask(frame)), 1009);
      }
    });

    it('answer the deletion of segments as what it is to the log, with a result section', async () => {
      const body = Buffer.concat([STREAM_ID, STREAM_ID, Buffer.alloc(8)]);
      const frame = requestFrame({ operation: 138, session: 8, request: 1, body });
      const reply = await client.ask(frame);
      assert.equal(reply?.operation, 68);
      assert.deepEqual([...reply.body], [0, 0, 0, 0]);
      stage.broker.script.execute = () => ({ code: 3007, reply: null, op: 20, timestampUs: 5 });
      assert.equal(resultOf(await client.ask(frame)), 3007);
    });

    it('are refused by status before they are carried out', async () => {
      refuseWith(new OperatingError(2015));
      const frame = requestFrame({ operation: 130, session: 8, request: 1, body: STREAM_ID });
      assert(isStatus(await client.ask(frame), 2015));
    });

    it('answer bodies that cannot be decoded with 3', async () => {
      for (let operation = 128; operation <= 149; operation += 1) {
        const frame = requestFrame({ operation, session: 8, request: 1, body: Buffer.from([9]) });
        assert(isStatus(await client.ask(frame), 3), `operation ${operation}`);
      }
    });

    it('answer a body beyond all reason with 3 and go on', async () => {
      const body = Buffer.alloc(1024 * 1024 + 1);
      const frame = requestFrame({ operation: 145, session: 8, request: 1, body });
      assert(isStatus(await client.ask(frame), 3));
      assert(isStatus(await client.ask(requestFrame({ operation: 2, code: 1 })), 0));
    });

    it('end with the logout, and the connection stays', async () => {
      const reply = await client.ask(requestFrame({ operation: 3, session: 8, request: 1 }));
      assert(isStatus(reply, 0));
      assert.equal(reply!.commit, 8);
      const frame = requestFrame({ operation: 130, session: 8, request: 2, body: STREAM_ID });
      assert.equal((await client.ask(frame))?.reason, 1);
      assert.equal((await login(client))?.operation, 1);
    });
  });

  describe('sends', () => {
    beforeEach(async () => {
      await login(client);
    });

    function send(body: Uint8Array): Promise<ServerFrame | null> {
      return client.ask(requestFrame({ operation: 160, session: 8, request: 2, body }));
    }

    it('hand over the batch with the checksum of the client, and confirm its place', async () => {
      const batch = Buffer.alloc(300, 1);
      batch.writeUInt32LE(0xdead_beef, 40);
      batch.writeUInt32LE(0xcafe, 44);
      const reply = await send(sendBody(batch));
      assert.deepEqual(stage.broker.batches, [batch]);
      assert.equal(reply?.body.length, 24);
      assert.equal(reply.body.readUInt32LE(0), 1);
      assert.equal(reply.body.readUInt32LE(4), 1);
      assert.equal(reply.body.readUInt32LE(16), 1);
      const { command, numbering } = stage.broker.asked[1]!;
      assert(command.kind === 'sendMessages');
      assert.deepEqual(command.topicId, { kind: 'name', name: 'orders' });
      assert.equal(numbering?.checksumLow, 0xdead_beef);
      assert.equal(numbering?.checksumHigh, 0xcafe);
    });

    it('answer routing that cannot be decoded with 20, cut anywhere', async () => {
      const whole = sendBody(Buffer.alloc(0));
      for (let size = 0; size < whole.length; size += 1) {
        assert(isStatus(await send(whole.subarray(0, size)), 20), `size ${size}`);
      }
    });

    it('hand over a batch of any length, for the broker to judge', async () => {
      for (const size of [0, 1, 47, 48, 255]) await send(sendBody(Buffer.alloc(size)));
      assert.deepEqual(
        stage.broker.batches.map(({ length }) => length),
        [0, 1, 47, 48, 255],
      );
    });

    it('are refused by status, also when they said no while carried out', async () => {
      stage.broker.script.execute = () => ({ code: 4027, reply: null, op: 0, timestampUs: 0 });
      assert(isStatus(await send(sendBody(Buffer.alloc(300))), 4027));
      refuseWith(new OperatingError(STATUS.invalidBatchChecksum));
      assert(isStatus(await send(sendBody(Buffer.alloc(300))), 4039));
    });
  });
});
