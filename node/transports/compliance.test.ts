import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { ConnectionSet } from './connection-set.ts';
import { dialMemory } from './memory.ts';
import { TcpListener } from './tcp.ts';
import { makeCertificate } from './test-certificate.ts';
import { pollBody, requestFrame, sendBody, TestClient } from './test-client.ts';
import {
  fillPool,
  login,
  makeGate,
  makeStage,
  type Stage,
  settle,
  TEST_LIMITS,
  until,
} from './test-stage.ts';

// What every transport owes to clients and to the broker, tried over each of them. A transport
// brings a setup; what a frame means is the business of dispatch.test.ts.

const MIB = 1024 * 1024;

type Limits = Partial<typeof TEST_LIMITS>;

/** One way to carry bytes, listening. */
interface Carrier {
  /** A client that is connected, or refused at once. */
  dial(): Promise<TestClient>;
  stop(drainMs: number): Promise<void>;
}

type Setup = (stage: Stage, limits: typeof TEST_LIMITS) => Promise<Carrier>;

const PING = requestFrame({ operation: 2, code: 1, request: 5, timestamp: 1234 });

function createStream(request: number): Buffer {
  const body = Buffer.from([1, 97]);
  return requestFrame({
    operation: 130,
    session: 1,
    request,
    body: Buffer.from([1, 4, 0, 0, 0, 0, ...body]),
  });
}

function compliance(name: string, setup: Setup): void {
  describe(`transport ${name}`, () => {
    let stage: Stage;
    let carrier: Carrier;
    let isStopped = false;

    async function open(limits: Limits = {}, poolBytes?: number): Promise<void> {
      stage = makeStage(poolBytes);
      isStopped = false;
      carrier = await setup(stage, { ...TEST_LIMITS, ...limits });
    }

    async function dialIn(): Promise<TestClient> {
      const client = await carrier.dial();
      const reply = await login(client);
      assert.equal(reply?.operation, 1);
      assert.equal(reply.status, 0);
      return client;
    }

    /** Polls, and does not read, until no more fits between the server and the client. */
    async function fillTheWay(client: TestClient): Promise<void> {
      stage.broker.script.pollBytes = 3 * MIB;
      client.end.pause();
      const poll = requestFrame({ operation: 2, code: 100, session: 1, body: pollBody() });
      client.send(Buffer.concat(Array.from({ length: 16 }, () => poll)));
      let asked = 0;
      while (asked !== stage.broker.asked.length) {
        asked = stage.broker.asked.length;
        await settle();
      }
      assert(stage.broker.borrowedCount > 0);
    }

    async function stop(drainMs = 1000): Promise<void> {
      isStopped = true;
      await carrier.stop(drainMs);
    }

    afterEach(async () => {
      const stopped = isStopped ? Promise.resolve() : carrier.stop(1000);
      await settle();
      stage.clock.advance(1000);
      await stopped;
      assert.deepEqual(stage.bugs, []);
      assert.equal(stage.broker.borrowedCount, 0);
      assert.equal(stage.pool.takenBytes, 0);
      assert.equal(stage.counts.opened, stage.counts.closed);
      assert.equal(stage.clock.timersCount, 0);
      assert(stage.broker.connections.every(({ isClosed }) => isClosed));
    });

    it('answers with an echo of operation, number and timestamp', async () => {
      await open();
      const client = await carrier.dial();
      const reply = await client.ask(PING);
      assert.equal(reply?.command, 8);
      assert.equal(reply.operation, 2);
      assert.equal(reply.request, 5);
      assert.equal(reply.bytes.readUInt32LE(192), 1234);
      assert.equal(reply.body.length, 0);
    });

    it('reads frames that arrive in pieces of any size', async () => {
      for (const pieceBytes of [1, 7, 255, 256, 257, 4096]) {
        await open();
        const client = await dialIn();
        const batch = Buffer.alloc(1000).map((_, index) => index % 251);
        const send = requestFrame({
          operation: 160,
          session: 1,
          request: 2,
          body: sendBody(batch),
        });
        const bytes = Buffer.concat([PING, createStream(1), send, PING]);
        for (let at = 0; at < bytes.length; at += pieceBytes) {
          client.send(bytes.subarray(at, at + pieceBytes));
          if (pieceBytes > 1) await new Promise((resolve) => setImmediate(resolve));
        }
        const operations = [];
        for (let index = 0; index < 4; index += 1) {
          operations.push((await client.frame())?.operation);
        }
        assert.deepEqual(operations, [2, 130, 160, 2]);
        assert.deepEqual(stage.broker.batches, [batch]);
        await stop();
      }
    });

    it('carries out pipelined requests one at a time, in order, and answers all', async () => {
      await open();
      const client = await dialIn();
      let running = 0;
      stage.broker.script.before = async () => {
        running += 1;
        assert.equal(running, 1);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
      };
      const numbers = Array.from({ length: 300 }, (_, index) => index + 1);
      client.send(Buffer.concat(numbers.map((number) => createStream(number))));
      for (const number of numbers) assert.equal((await client.frame())?.request, number);
      const asked = stage.broker.asked.slice(1).map(({ numbering }) => numbering?.request);
      assert.deepEqual(asked, numbers);
    });

    it('stops reading when 1024 requests wait', async () => {
      await open();
      const client = await dialIn();
      const gate = makeGate();
      stage.broker.script.before = () => gate.opened;
      const sent = 3000;
      client.send(createStream(1), ...Array.from({ length: sent }, () => PING));
      await until(() => stage.broker.connections[0]!.touchedCount === 1026);
      await settle();
      assert.equal(stage.broker.connections[0]!.touchedCount, 1026);
      gate.open();
      assert.equal((await client.frame())?.operation, 130);
      for (let index = 0; index < sent; index += 1) {
        assert.equal((await client.frame())?.operation, 2);
      }
    });

    it('waits for a slot of the pool while other connections go on', async () => {
      await open();
      const client = await dialIn();
      const other = await dialIn();
      const give = fillPool(stage.pool);
      const body = sendBody(Buffer.alloc(100_000, 7));
      client.send(requestFrame({ operation: 160, session: 1, request: 1, body }), PING);
      assert.equal((await other.ask(PING))?.operation, 2);
      await until(() => stage.pool.waitingCount === 1);
      assert.equal(stage.broker.batches.length, 0);
      give();
      assert.equal((await client.frame())?.operation, 160);
      assert.equal((await client.frame())?.operation, 2);
      assert.equal(stage.broker.batches[0]?.length, 100_000);
    });

    it('gives up its wait for a slot when the client goes', async () => {
      await open();
      const client = await dialIn();
      const give = fillPool(stage.pool);
      const body = sendBody(Buffer.alloc(100_000));
      client.send(requestFrame({ operation: 160, session: 1, request: 1, body }));
      await until(() => stage.pool.waitingCount === 1);
      const stopped = stop();
      await until(() => stage.pool.waitingCount === 0);
      give();
      await stopped;
    });

    it('takes no slot for a send that waits behind a poll', async () => {
      await open();
      const client = await dialIn();
      const gate = makeGate();
      stage.broker.script.before = () => gate.opened;
      const poll = requestFrame({ operation: 2, code: 100, session: 1, body: pollBody() });
      const body = sendBody(Buffer.alloc(1000));
      client.send(poll, requestFrame({ operation: 160, session: 1, request: 1, body }));
      await until(() => stage.broker.asked.length === 2);
      await settle();
      assert.equal(stage.pool.takenBytes, 0);
      gate.open();
      assert.equal((await client.frame())?.operation, 2);
      assert.equal((await client.frame())?.operation, 160);
    });

    it('lets a client that does not read hold few answers', async () => {
      await open();
      const client = await dialIn();
      stage.broker.script.pollBytes = MIB;
      const polls = 24;
      const poll = requestFrame({ operation: 2, code: 100, session: 1, body: pollBody() });
      client.end.pause();
      client.send(Buffer.concat(Array.from({ length: polls }, () => poll)));
      await until(() => stage.broker.borrowedCount > 0);
      await settle();
      assert(stage.broker.borrowedCount <= 3);
      client.end.resume();
      for (let index = 0; index < polls; index += 1) {
        const frame = await client.frame();
        assert.equal(frame?.body.length, 16 + MIB);
        assert(frame.body.subarray(16).every((byte) => byte === 0xab));
      }
      await until(() => stage.broker.borrowedCount === 0);
    });

    it('answers a client that has said its end, then says its own', async () => {
      await open();
      const client = await dialIn();
      client.send(createStream(1), PING);
      client.end.end();
      assert.equal((await client.frame())?.operation, 130);
      assert.equal((await client.frame())?.operation, 2);
      await client.over;
      assert.deepEqual(stage.refused, []);
    });

    it('counts a frame that the end of the connection cuts', async () => {
      await open();
      const client = await carrier.dial();
      client.send(PING, PING.subarray(0, 100));
      client.end.end();
      assert.equal((await client.frame())?.operation, 2);
      await client.over;
      assert.deepEqual(stage.refused, ['cutFrame']);
    });

    it('outlives a client that goes while its request is carried out', async () => {
      await open();
      const client = await dialIn();
      const gate = makeGate();
      stage.broker.script.before = () => gate.opened;
      const body = sendBody(Buffer.alloc(5000));
      client.send(requestFrame({ operation: 160, session: 1, request: 1, body }), PING);
      await until(() => stage.broker.asked.length === 2);
      client.end.reset();
      await until(() => stage.counts.closed === 1);
      assert(stage.pool.takenBytes > 0, 'the broker still has the batch');
      gate.open();
      await until(() => stage.pool.takenBytes === 0);
    });

    it('gives polled records back when the client goes before it has read them', async () => {
      await open({}, 64 * MIB);
      const client = await dialIn();
      await fillTheWay(client);
      client.end.reset();
      await until(() => stage.broker.borrowedCount === 0);
    });

    it('drains: answers what was asked, accepts nobody, then closes', async () => {
      await open();
      const client = await dialIn();
      const idle = await dialIn();
      const gate = makeGate();
      stage.broker.script.before = () => gate.opened;
      client.send(createStream(1));
      await until(() => stage.broker.asked.length === 3);
      const stopped = stop(5000);
      await idle.over;
      const late = await carrier.dial();
      assert.equal(await late.ask(PING), null);
      gate.open();
      assert.equal((await client.frame())?.operation, 130);
      await client.over;
      await stopped;
    });

    it('cuts what is not drained in time', async () => {
      await open();
      const client = await dialIn();
      const gate = makeGate();
      stage.broker.script.before = () => gate.opened;
      client.send(createStream(1));
      await until(() => stage.broker.asked.length === 2);
      const stopped = stop(5000);
      await settle();
      stage.clock.advance(4999);
      await settle();
      assert.equal(stage.counts.closed, 0);
      stage.clock.advance(1);
      await stopped;
      assert.equal(await client.frame(), null);
      gate.open();
    });

    it('closes a connection whose framing is lost, after the answers it owes', async () => {
      for (const [size, reason] of [
        [255, 'sizeOutOfBounds'],
        [0, 'sizeOutOfBounds'],
        [2 * MIB + 1, 'sizeOutOfBounds'],
        [0xffff_ffff, 'sizeOutOfBounds'],
      ] as const) {
        await open();
        const client = await carrier.dial();
        const broken = Buffer.from(PING);
        broken.writeUInt32LE(size, 48);
        client.send(PING, broken, PING);
        assert.equal((await client.frame())?.operation, 2);
        assert.equal(await client.frame(), null);
        await client.over;
        assert.deepEqual(stage.refused, [reason]);
        await stop();
      }
    });

    it('closes a connection of the 0.8 generation at its first bytes', async () => {
      await open();
      const client = await carrier.dial();
      client.send(Buffer.from([4, 0]));
      await client.over;
      assert.deepEqual(stage.refused, ['generation08']);
    });

    it('lets a client be told that its session ended', async () => {
      await open();
      const client = await dialIn();
      stage.broker.connections[0]!.onEvicted!(13);
      const eviction = await client.frame();
      assert.equal(eviction?.command, 13);
      assert.equal(eviction.reason, 13);
      assert.equal((await client.ask(PING))?.operation, 2);
    });

    it('sends no second answer when the eviction was taken for the first', async () => {
      await open();
      const client = await dialIn();
      const gate = makeGate();
      stage.broker.script.before = () => gate.opened;
      stage.broker.script.pollBytes = 5000;
      client.send(requestFrame({ operation: 2, code: 100, session: 1, body: pollBody() }), PING);
      await until(() => stage.broker.asked.length === 2);
      stage.broker.connections[0]!.onEvicted!(13);
      gate.open();
      assert.equal((await client.frame())?.command, 13);
      assert.equal((await client.frame())?.request, 5);
      assert.equal(client.framesCount, 0);
    });

    it('cuts a client whose frame does not come to its end', async () => {
      await open({ frameTimeoutMs: 800 });
      const client = await carrier.dial();
      client.send(PING);
      await client.frame();
      client.send(PING.subarray(0, 10));
      await until(() => stage.counts.received === 266);
      stage.clock.advance(800);
      client.send(PING.subarray(10, 20));
      await until(() => stage.counts.received === 276);
      assert.equal(stage.counts.closed, 0);
      stage.clock.advance(200);
      await client.over;
      assert.deepEqual(stage.refused, ['frameTimeout']);
    });

    it('does not hold against a client that it waits for the pool itself', async () => {
      await open({ frameTimeoutMs: 800 });
      const client = await dialIn();
      const give = fillPool(stage.pool);
      const body = sendBody(Buffer.alloc(100_000));
      client.send(requestFrame({ operation: 160, session: 1, request: 1, body }));
      await until(() => stage.pool.waitingCount === 1);
      stage.clock.advance(60_000);
      give();
      assert.equal((await client.frame())?.operation, 160);
    });

    it('cuts a client that does not read', async () => {
      await open({ writeTimeoutMs: 800 }, 64 * MIB);
      const client = await dialIn();
      await fillTheWay(client);
      stage.clock.advance(1000);
      await until(() => stage.counts.closed === 1);
      assert.deepEqual(stage.refused, ['writeTimeout']);
    });

    it('cuts a silent client, if it is told to', async () => {
      await open({ idleTimeoutMs: 8000 });
      const client = await carrier.dial();
      await client.ask(PING);
      stage.clock.advance(7000);
      await client.ask(PING);
      stage.clock.advance(7000);
      await settle();
      assert.equal(stage.counts.closed, 0);
      stage.clock.advance(3000);
      await client.over;
      assert.deepEqual(stage.refused, ['idleTimeout']);
    });

    it('refuses one connection too many and forgets those that are gone', async () => {
      await open({ connectionsMax: 2 });
      const first = await dialIn();
      await dialIn();
      const third = await carrier.dial();
      assert.equal(await third.ask(PING), null);
      assert.deepEqual(stage.refused, ['connectionsMax']);
      first.end.reset();
      await until(() => stage.counts.closed === 1);
      await settle();
      const fourth = await carrier.dial();
      assert.equal((await fourth.ask(PING))?.operation, 2);
    });

    it('reports a bug of the broker and closes that connection only', async () => {
      await open();
      const client = await dialIn();
      const other = await dialIn();
      stage.broker.script.before = (_, { id }) => {
        if (id === 1) throw new TypeError('a bug');
      };
      client.send(createStream(1), createStream(2));
      await client.over;
      assert.equal((await other.ask(createStream(1)))?.operation, 130);
      assert.equal(stage.bugs.length, 1);
      assert(stage.bugs[0] instanceof TypeError);
      stage.bugs.length = 0;
    });

    it('serves a hundred connections at once', async () => {
      await open();
      const clients = await Promise.all(Array.from({ length: 100 }, () => dialIn()));
      const replies = await Promise.all(clients.map((client) => client.ask(createStream(1))));
      assert(replies.every((reply) => reply?.operation === 130));
      for (const client of clients) client.end.reset();
      await until(() => stage.counts.closed === 100);
    });
  });
}

compliance('memory', async (stage, limits) => {
  const set = new ConnectionSet({ ...limits, kind: 'memory' }, stage.deps);
  return {
    dial: async () => TestClient.ofMemory(dialMemory(set)),
    stop: (drainMs) => set.drain(drainMs),
  };
});

compliance('tcp', async (stage, limits) => {
  const options = { ...limits, host: '127.0.0.1', port: 0, tls: null, handshakeTimeoutMs: 1000 };
  const listener = new TcpListener(options, stage.deps);
  const { host, port } = await listener.start();
  return {
    dial: async () => TestClient.ofSocket(connectTcp({ host, port, allowHalfOpen: true })),
    stop: (drainMs) => listener.stop({ drainMs }),
  };
});

compliance('tls', async (stage, limits) => {
  const folder = await mkdtemp(join(tmpdir(), 'iggy-ts-tls-'));
  const tls = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
  const { cert, key } = makeCertificate('localhost');
  await writeFile(tls.certFile, cert);
  await writeFile(tls.keyFile, key);
  const options = { ...limits, host: '::1', port: 0, tls, handshakeTimeoutMs: 1000 };
  const listener = new TcpListener(options, stage.deps);
  const { host, port } = await listener.start();
  return {
    dial: async () => {
      const raw = connectTcp({ host, port, allowHalfOpen: true });
      const socket = connectTls({ socket: raw, rejectUnauthorized: false });
      const client = TestClient.ofSocket(socket, raw);
      await Promise.race([once(socket, 'secureConnect'), client.over]);
      return client;
    },
    stop: async (drainMs) => {
      await listener.stop({ drainMs });
      await rm(folder, { recursive: true });
    },
  };
});
