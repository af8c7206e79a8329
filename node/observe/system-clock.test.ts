import assert from 'node:assert/strict';
import { SystemClock } from './system-clock.ts';

describe('SystemClock', () => {
  it('never goes back and agrees with the time of the machine', () => {
    const clock = new SystemClock();
    let [monotonic, wall] = [clock.monotonicUs(), clock.wallUs()];
    for (let i = 0; i < 1000; i += 1) {
      const [nextMonotonic, nextWall] = [clock.monotonicUs(), clock.wallUs()];
      assert(nextMonotonic >= monotonic && Number.isSafeInteger(nextMonotonic));
      assert(Number.isSafeInteger(nextWall));
      [monotonic, wall] = [nextMonotonic, nextWall];
    }
    assert(Math.abs(wall / 1000 - Date.now()) < 1000);
  });

  it('runs a timer once and not when it was cancelled', async () => {
    const clock = new SystemClock();
    const ran: string[] = [];
    const cancel = clock.startTimer(1, () => ran.push('cancelled'));
    cancel();
    await new Promise<void>((resolve) => {
      // The timers of the clock keep no process alive; this one keeps the test alive.
      const alive = setInterval(() => {}, 1000);
      clock.startTimer(2, () => {
        ran.push('late');
        clearInterval(alive);
        resolve();
      });
      clock.startTimer(-5, () => ran.push('past'));
    });
    assert.deepEqual(ran, ['past', 'late']);
  });

  it('does not fire a far timer at once', async () => {
    const clock = new SystemClock();
    let hasRun = false;
    const cancel = clock.startTimer(Number.POSITIVE_INFINITY, () => {
      hasRun = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    cancel();
    assert(!hasRun);
  });
});
