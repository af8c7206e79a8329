import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ConnectionSet } from './connection-set.ts';
import { dialMemory } from './memory.ts';
import { requestFrame, TestClient } from './test-client.ts';
import { login, makeStage, settle, TEST_LIMITS } from './test-stage.ts';

// Bytes of any kind, in chunks of any size, on one connection while another goes on: no bug, no
// slot that stays taken, and the other is answered as if nothing were.

/** A frame that can be framed, with anything in the fields behind. */
const framed = fc
  .record({
    operation: fc.oneof(fc.constantFrom(1, 2, 3, 64, 68, 128, 132, 160, 161), fc.nat(255)),
    code: fc.oneof(fc.constantFrom(0, 1, 10, 38, 100, 123, 606), fc.nat(10_000)),
    session: fc.nat(2),
    request: fc.nat(2),
    body: fc.uint8Array({ maxLength: 200 }),
  })
  .map(({ body, ...fields }) => requestFrame({ ...fields, body: Buffer.from(body) }));

/** The same with one byte changed anywhere, sizes included. */
const changed = fc
  .tuple(framed, fc.nat(), fc.nat(255))
  .map(([frame, at, byte]) => frame.with(at % frame.length, byte));

const cut = fc.tuple(framed, fc.nat()).map(([frame, at]) => frame.subarray(0, at % frame.length));

const bytes = fc
  .array(fc.oneof(framed, changed, cut, fc.uint8Array({ maxLength: 600 })), { maxLength: 8 })
  .map((pieces) => Buffer.concat(pieces));

describe('connections', () => {
  it('survive bytes of any kind, and so do their neighbours', async () => {
    const stage = makeStage();
    const set = new ConnectionSet({ ...TEST_LIMITS, kind: 'memory' }, stage.deps);
    const neighbour = TestClient.ofMemory(dialMemory(set));
    await login(neighbour);
    let number = 1;
    await fc.assert(
      fc.asyncProperty(bytes, fc.array(fc.nat(300)), async (stream, sizes) => {
        const client = TestClient.ofMemory(dialMemory(set));
        let at = 0;
        for (const size of [...sizes, stream.length]) {
          if (at < stream.length) client.end.write(stream.subarray(at, at + size + 1));
          at += size + 1;
        }
        const ping = requestFrame({ operation: 2, code: 1, session: 1, request: number });
        number += 1;
        const answer = await neighbour.ask(ping);
        assert.equal(answer?.status, 0);
        client.end.reset();
        await settle();
        assert.deepEqual(stage.bugs, []);
        assert.equal(stage.pool.takenBytes, 0);
        assert.equal(set.size, 1);
      }),
      { numRuns: 300 },
    );
    neighbour.end.reset();
    await settle();
    assert.equal(set.size, 0);
  });
});
