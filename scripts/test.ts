import { createRequire } from 'node:module';
import { countedAs, formatTally, run } from './run.ts';

// npm test, npm run e2e: mocha with our reporter, and one closing line whatever happens: also when
// a test file does not load, the process crashes or the time is over.
//
//   node scripts/test.ts [--minutes 10] [arguments for mocha]

const require = createRequire(import.meta.url);
const args = process.argv.slice(2);
const at = args.indexOf('--minutes');
const minutesMax = at < 0 ? 10 : Number(args.splice(at, 2)[1]);
const color = process.stdout.isTTY ? '--color' : '--no-color';

const outcome = await run(
  process.execPath,
  [
    require.resolve('mocha/bin/mocha.js'),
    '--fail-zero',
    color,
    '--reporter',
    './scripts/reporter.ts',
    ...args,
  ],
  { minutesMax },
);
const tally = countedAs(outcome.tally === null ? { code: 1, tally: null } : outcome);
console.log(formatTally(tally));
process.exitCode = tally.failed > 0 ? 1 : 0;
