import Mocha from 'mocha';
import { formatTally } from './run.ts';

// One line per suite while it runs, the failures in full at the end, and the closing line.

const { EVENT_RUN_END, EVENT_SUITE_BEGIN, EVENT_SUITE_END } = Mocha.Runner.constants;
const { EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } = Mocha.Runner.constants;

export default class Reporter extends Mocha.reporters.Base {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    let passed = 0;
    let failed = 0;
    let skipped = 0;
    let startedMs = 0;
    let atStart = 0;
    runner.on(EVENT_SUITE_BEGIN, (suite) => {
      if (suite.parent?.root !== true) return;
      startedMs = performance.now();
      atStart = passed + failed;
    });
    runner.on(EVENT_TEST_PASS, () => {
      passed += 1;
    });
    runner.on(EVENT_TEST_PENDING, (test) => {
      skipped += 1;
      console.log(`  skipped: ${test.fullTitle()}`);
    });
    runner.on(EVENT_TEST_FAIL, (test) => {
      failed += 1;
      console.log(`  FAILED: ${test.fullTitle()}`);
    });
    runner.on(EVENT_SUITE_END, (suite) => {
      if (suite.parent?.root !== true) return;
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(2);
      console.log(`  ${suite.title}: ${passed + failed - atStart} tests, ${seconds} s`);
    });
    runner.once(EVENT_RUN_END, () => {
      if (this.failures.length > 0) Mocha.reporters.Base.list(this.failures);
      console.log(formatTally({ passed, failed, skipped }));
    });
  }
}
