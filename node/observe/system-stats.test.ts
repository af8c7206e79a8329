import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import type { Clock } from '../base/clock.ts';
import { SystemStats } from './system-stats.ts';

class StillClock implements Clock {
  nowUs = 1_700_000_000_123_456;
  monotonicUs(): number {
    return this.nowUs;
  }
  wallUs(): number {
    return this.nowUs;
  }
  startTimer(): () => void {
    return () => {};
  }
}

describe('SystemStats', () => {
  it('reads figures of this process and machine', async () => {
    const clock = new StillClock();
    const stats = new SystemStats({ dataPath: tmpdir() }, { clock });
    clock.nowUs += 10_000_000;
    const figures = await stats.read();
    assert.equal(figures.processId, process.pid);
    assert(figures.memoryUsageBytes > 1_000_000);
    assert(figures.totalMemoryBytes >= figures.memoryUsageBytes);
    assert(figures.threadsCount >= 1);
    assert(figures.totalDiskBytes >= figures.freeDiskBytes && figures.totalDiskBytes > 0);
    assert(figures.hostname.length > 0 && figures.osName.length > 0);
    for (const value of Object.values(figures)) {
      assert(typeof value === 'string' || (Number.isFinite(value) && value >= 0));
    }
  });

  it('gives times of whole seconds and run time from the start of the process', async () => {
    const clock = new StillClock();
    const stats = new SystemStats({ dataPath: tmpdir() }, { clock });
    clock.nowUs += 90_000_000;
    const { startTimeUs, runTimeUs } = await stats.read();
    assert.equal(startTimeUs % 1_000_000, 0);
    assert.equal(runTimeUs % 1_000_000, 0);
    assert(runTimeUs >= 90_000_000);
  });

  it('keeps its CPU figures while too little time has passed', async () => {
    const clock = new StillClock();
    const stats = new SystemStats({ dataPath: tmpdir() }, { clock });
    assert.deepEqual((await stats.read()).cpuUsage, 0);
    clock.nowUs += 1_000_000;
    const first = await stats.read();
    clock.nowUs += 10;
    const second = await stats.read();
    assert.equal(second.cpuUsage, first.cpuUsage);
    assert(first.totalCpuUsage >= 0 && first.totalCpuUsage <= 100);
  });

  it('says 0 for a disk that is not there', async () => {
    const stats = new SystemStats({ dataPath: '/no/such/folder' }, { clock: new StillClock() });
    assert.deepEqual(await stats.readDisk(), { freeDiskBytes: 0, totalDiskBytes: 0 });
  });
});
