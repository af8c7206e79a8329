import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { PEERS } from '../e2e/harness/peers.ts';
import { ServerProcess } from '../e2e/harness/server-process.ts';
import { CELLS, type Cell } from './cells.ts';
import { DURABILITY_PERSISTED, type Figures, measure } from './measure.ts';

// npm run bench: this server and, where it is to be had, the real one, driven by the same client
// in the same run, run by run in turn. Medians and their ratio; nothing here judges.

const HELP = `npm run bench -- [FLAGS]: send and poll over TCP, this server beside the real one

  --peer         compare with the real Iggy 0.9 server (found by IGGY_PEERS, see e2e/harness)
  --cells A,B    only cells whose name contains one of these texts
  --runs N       runs of each cell and server, medians are shown (3)
  --seconds N    length of a run, a fifth of it is warm-up (5)
  --json FILE    write all figures of all runs there

Example
  npm run bench -- --peer --cells "1 KiB x 1000" --runs 5
`;

interface Contender {
  readonly name: string;
  readonly server: ServerProcess;
}

interface Result {
  readonly cell: Cell;
  readonly contender: string;
  readonly runs: readonly Figures[];
}

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    peer: { type: 'boolean', default: false },
    cells: { type: 'string', default: '' },
    runs: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    json: { type: 'string', default: '' },
  },
});

if (values.help) console.log(HELP);
else await bench();

async function bench(): Promise<void> {
  const wanted = values.cells.split(',').filter((text) => text !== '');
  const cells = CELLS.filter(
    ({ name }) => wanted.length === 0 || wanted.some((text) => name.includes(text)),
  );
  const contenders = await start();
  const results: Result[] = [];
  try {
    for (const cell of cells) {
      const runs = new Map<string, Figures[]>(contenders.map(({ name }) => [name, []]));
      for (let run = 1; run <= Number(values.runs); run += 1) {
        for (const { name, server } of contenders) {
          process.stderr.write(`\r${cell.name}: run ${run} of ${values.runs}, ${name}      `);
          const seconds = Number(values.seconds);
          const syncOption = DURABILITY_PERSISTED;
          runs.get(name)!.push(await measure(server, cell, { seconds, syncOption }));
        }
      }
      for (const [contender, figures] of runs) results.push({ cell, contender, runs: figures });
    }
  } finally {
    process.stderr.write('\n');
    for (const { server } of contenders) await server.remove();
  }
  print(results);
  if (values.json !== '') writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
}

async function start(): Promise<Contender[]> {
  const relaxed = { IGGY_PARTITION_FSYNC: 'os' };
  const own = { name: 'iggy-ts', server: await ServerProcess.own({ env: relaxed }) };
  if (!values.peer) return [own];
  if (!PEERS.areHere) throw new Error('the real server is not here: set IGGY_PEERS to its folder');
  return [own, { name: 'iggy 0.9', server: await ServerProcess.peer('iggy-server-0.9-edge') }];
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

function print(results: readonly Result[]): void {
  const head = ['cell', 'server', 'MB/s', 'messages/s', 'p50 ms', 'p99 ms', 'ratio MB/s', 'p99'];
  const rows = results.map(({ cell, contender, runs }) => {
    const figure = (of: (figures: Figures) => number): number => median(runs.map(of));
    const peer = results.find((other) => other.cell === cell && other.contender !== contender);
    const isOwn = contender === 'iggy-ts';
    const ratio = (of: (figures: Figures) => number): string =>
      isOwn && peer !== undefined ? (figure(of) / median(peer.runs.map(of))).toFixed(2) : '';
    return [
      cell.name,
      contender,
      figure((f) => f.megabytesPerSecond).toFixed(1),
      figure((f) => f.messagesPerSecond).toFixed(0),
      figure((f) => f.latencyMs.p50).toFixed(2),
      figure((f) => f.latencyMs.p99).toFixed(2),
      ratio((f) => f.megabytesPerSecond),
      ratio((f) => f.latencyMs.p99),
    ];
  });
  const widths = head.map((title, at) =>
    Math.max(title.length, ...rows.map((row) => row[at]!.length)),
  );
  for (const row of [head, ...rows]) {
    console.log(
      row
        .map((text, at) => (at < 2 ? text.padEnd(widths[at]!) : text.padStart(widths[at]!)))
        .join('  '),
    );
  }
}
