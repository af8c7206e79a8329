import assert from 'node:assert/strict';
import { OperatingError } from '@iggy-ts/wire/status';
import { Prng } from '../base/prng.ts';
import { GroupLog } from '../log/group-log.ts';
import { OP_KIND } from '../log/op-header.ts';
import { OpenFiles } from '../log/open-files.ts';
import { OpsCache } from '../log/ops-cache.ts';
import { SyncRounds } from '../log/sync-rounds.ts';
import { SimDisk } from '../sim/disk.ts';
import { type Entry, Group, type Machine } from './group.ts';
import { LogBook, ManualClock, Rig } from './rig.ts';

const SEGMENT_BYTES = 1000;
const BODY = new Uint8Array(100).fill(7);

/** Remembers the numbers of the commands it applied. */
class Tally implements Machine {
  readonly replaysBodies = true;
  ops: number[] = [];

  apply(entry: Entry): number {
    if (entry.kind !== OP_KIND.command) return 0;
    assert.deepEqual(entry.body, BODY);
    return this.ops.push(entry.op);
  }

  snapshot(): Uint8Array {
    return new TextEncoder().encode(JSON.stringify(this.ops));
  }

  restore(bytes: Uint8Array): void {
    this.ops = JSON.parse(new TextDecoder().decode(bytes)) as number[];
  }
}

describe('Group', () => {
  const { pool, kernel } = new Rig('/', new SimDisk({ capacityBytes: 0 }, { prng: new Prng(0) }));
  let disk: SimDisk;
  let fatal: Error[];

  beforeEach(() => {
    disk = new SimDisk({ capacityBytes: 1 << 20 }, { prng: new Prng(1) });
    fatal = [];
  });

  async function open(tally: Tally, how: 'create' | 'open'): Promise<Group> {
    const clock = new ManualClock();
    const onFatal = (error: Error): void => {
      fatal.push(error);
    };
    const ports = { monotonicUs: () => 0, startTimer: () => () => undefined };
    const rounds = new SyncRounds(
      { policy: 'always', intervalMs: 1 },
      { ...ports, onFatal, onRound: () => undefined },
    );
    const files = new OpenFiles({ openCountMax: 8 }, { disk });
    const cache = new OpsCache({ bytesMax: 1 << 20 });
    const log = await GroupLog[how](
      {
        directory: '/log',
        cluster: new Uint8Array(16).fill(1),
        group: new Uint8Array(16).fill(2),
        segmentBytes: SEGMENT_BYTES,
        durabilityPersisted: true,
        validateChecksum: true,
        acceptDataLoss: false,
      },
      { files, cache, rounds, kernel, pool },
    );
    return Group.open(
      { uuid: '2'.repeat(32), nodeUuid: 'n', dropsCovered: true },
      { log, machine: tally, wallUs: () => clock.wallUs(), logger: new LogBook(), onFatal },
      log.snapshot,
    );
  }

  function propose(group: Group): Promise<number> {
    return group.propose({ kind: OP_KIND.command, body: BODY }).then(({ op }) => op);
  }

  it('applies in order, over more ops than the pipeline holds, and rolls segments between', async () => {
    const tally = new Tally();
    const group = await open(tally, 'create');
    const ops = await Promise.all(Array.from({ length: 500 }, () => propose(group)));
    assert.deepEqual(tally.ops, ops);
    assert.ok(group.commit > 500, 'rolls are ops, too');
    await group.close();
    assert.deepEqual(fatal, []);
  });

  it('has the same state after a restart, whether clean or by power failure', async () => {
    const tally = new Tally();
    const group = await open(tally, 'create');
    for (let i = 0; i < 30; i += 1) await propose(group);
    disk.powerCycle();
    const recovered = new Tally();
    const again = await open(recovered, 'open');
    assert.deepEqual(recovered.ops, tally.ops);
    await propose(again);
    await again.close();
    const clean = new Tally();
    await (await open(clean, 'open')).close();
    assert.deepEqual(clean.ops, recovered.ops);
  });

  it('keeps only what snapshots do not cover', async () => {
    const group = await open(new Tally(), 'create');
    for (let i = 0; i < 200; i += 1) await propose(group);
    await group.close();
    const logs = (await disk.list('/log')).filter((name) => name.endsWith('.log'));
    assert.ok(logs.length <= 4, 'dozens of segments were written');
  });

  it('gives the numbers of ops that found no room to the next ones', async () => {
    const tally = new Tally();
    const group = await open(tally, 'create');
    await propose(group);
    disk.setCapacity(disk.usedBytes + 50);
    const refused = await Promise.allSettled([propose(group), propose(group)]);
    for (const result of refused) {
      assert.ok(result.status === 'rejected' && result.reason instanceof OperatingError);
      assert.equal(result.reason.code, 10005);
    }
    disk.setCapacity(1 << 20);
    assert.equal(await propose(group), 2);
    await group.close();
    assert.deepEqual(tally.ops, [1, 2]);
  });

  it('refuses with 58 what waits when it retires, and finishes what is under way', async () => {
    const tally = new Tally();
    const group = await open(tally, 'create');
    const results = Promise.allSettled(Array.from({ length: 300 }, () => propose(group)));
    await group.retire();
    const settled = await results;
    const done = settled.filter(({ status }) => status === 'fulfilled').length;
    assert.ok(done > 0 && done < 300);
    assert.equal(tally.ops.length, done);
    for (const result of settled.slice(done)) {
      assert.ok(result.status === 'rejected' && result.reason instanceof OperatingError);
      assert.equal(result.reason.code, 58);
    }
    await group.close();
  });

  it('refuses with 58 when too many wait', async () => {
    const group = await open(new Tally(), 'create');
    const results = await Promise.allSettled(Array.from({ length: 5000 }, () => propose(group)));
    const refused = results.filter(({ status }) => status === 'rejected');
    assert.ok(refused.length > 0);
    assert.equal(results.findIndex(({ status }) => status === 'rejected') + refused.length, 5000);
    await group.close();
  });
});
