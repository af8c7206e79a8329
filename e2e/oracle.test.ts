import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { IggyClient } from '@iggy-ts/sdk/client';
import { type Draws, drawInteger, drawsOf } from './harness/draws.ts';
import { PEERS } from './harness/peers.ts';
import { ROOT, ServerProcess } from './harness/server-process.ts';
import { type Drawn, drawCommand } from './oracle/commands.ts';
import { mayDiffer, outcomeOf } from './oracle/outcome.ts';

// The real server as an oracle: the same drawn sequences of commands go to both, and every answer
// is compared field by field. What may differ stands in oracle/outcome.ts, with the reasons.

const SEQUENCES = Number(process.env['ORACLE_SEQUENCES'] ?? 12);
const COMMANDS = Number(process.env['ORACLE_COMMANDS'] ?? 150);
const SEED = Number(process.env['ORACLE_SEED'] ?? 1);

/** Two sessions of root, and now and then one of a user with few rights. */
class Side {
  readonly server: ServerProcess;
  readonly clients: IggyClient[] = [];

  constructor(server: ServerProcess) {
    this.server = server;
  }

  async open(): Promise<void> {
    for (let count = 0; count < 2; count += 1) this.clients.push(await this.#root());
  }

  async #root(): Promise<IggyClient> {
    const client = await this.#connect();
    await client.login(ROOT.username, ROOT.password);
    return client;
  }

  #connect(): Promise<IggyClient> {
    return IggyClient.connect({ host: '127.0.0.1', port: this.server.tcpPort });
  }

  /** Logs in as a user that the commands may have made; null when it cannot. */
  async user(username: string): Promise<IggyClient | null> {
    const client = await this.#connect();
    try {
      await client.login(username, 'a-password');
      return client;
    } catch {
      client.close();
      return null;
    }
  }

  async end(): Promise<void> {
    for (const client of this.clients) client.close();
    await this.server.remove();
  }
}

async function compare(own: Side, peer: Side, draws: Draws): Promise<void> {
  const drawing = { deletes: drawInteger(draws, 0, 1) === 0 };
  const history: string[] = [];
  for (let number = 0; number < COMMANDS; number += 1) {
    const who = drawInteger(draws, 0, 5);
    const drawn: Drawn = drawCommand(draws, drawing);
    const pair =
      who === 5
        ? await Promise.all([own.user('anna'), peer.user('anna')])
        : [own.clients[who % 2]!, peer.clients[who % 2]!];
    const [ours, theirs] = pair;
    assert.equal(ours === null, theirs === null, `login of anna\n${history.join('\n')}`);
    if (!ours || !theirs) continue;
    const outcomes = await Promise.all([outcomeOf(ours, drawn), outcomeOf(theirs, drawn)]);
    history.push(
      `${who === 5 ? 'anna' : `root ${who % 2}`}: ${text(drawn)} -> ${text(outcomes[1])}`,
    );
    if (
      !isDeepStrictEqual(outcomes[0], outcomes[1]) &&
      !mayDiffer(drawn, outcomes[0], outcomes[1])
    ) {
      console.log(history.slice(-40).join('\n'));
      assert.deepEqual(outcomes[0], outcomes[1], `${text(drawn)} is answered differently`);
    }
    if (who === 5) {
      ours.close();
      theirs.close();
    }
  }
}

function text(value: unknown): string {
  return JSON.stringify(value, (_, entry) =>
    entry instanceof Map ? [...entry] : entry instanceof Uint8Array ? '<bytes>' : entry,
  );
}

describe('the real server as an oracle', () => {
  before(function () {
    if (PEERS.areHere) return;
    console.log('  skipped: the real Iggy server is not on this machine (IGGY_PEERS)');
    this.skip();
  });

  for (let sequence = 0; sequence < SEQUENCES; sequence += 1) {
    const seed = SEED * 1000 + sequence;
    it(`answers ${COMMANDS} commands alike (seed ${seed})`, async () => {
      const own = new Side(await ServerProcess.own());
      const peer = new Side(await ServerProcess.peer('iggy-server-0.9-edge'));
      try {
        await own.open();
        await peer.open();
        await compare(own, peer, drawsOf(seed));
      } finally {
        await own.end();
        await peer.end();
      }
    });
  }
});
