import { readFile, statfs } from 'node:fs/promises';
import { cpus, hostname, release, totalmem, type } from 'node:os';
import type { Clock } from '../base/clock.ts';

const US_PER_SECOND = 1_000_000;
/** Processor use is a mean over at least this long: a shorter window says nothing. */
const WINDOW_US_MIN = 200_000;

/** What the machine knows of GetStats. CPU use is in percent; the process may use several cores. */
export interface SystemFigures {
  readonly processId: number;
  readonly cpuUsage: number;
  readonly totalCpuUsage: number;
  readonly memoryUsageBytes: number;
  readonly totalMemoryBytes: number;
  readonly availableMemoryBytes: number;
  readonly runTimeUs: number;
  readonly startTimeUs: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly hostname: string;
  readonly osName: string;
  readonly osVersion: string;
  readonly kernelVersion: string;
  readonly threadsCount: number;
  readonly freeDiskBytes: number;
  readonly totalDiskBytes: number;
}

interface Sample {
  readonly atUs: number;
  readonly processUs: number;
  readonly busyMs: number;
  readonly totalMs: number;
}

/** Figures of this process and its machine, from the operating system. What it hides is 0. */
export class SystemStats {
  readonly #dataPath: string;
  readonly #clock: Clock;
  readonly #startTimeUs: number;
  #last: Sample;
  #usage = { cpuUsage: 0, totalCpuUsage: 0 };
  #system: { readonly osName: string; readonly osVersion: string } | null = null;

  constructor(options: { readonly dataPath: string }, deps: { readonly clock: Clock }) {
    this.#dataPath = options.dataPath;
    this.#clock = deps.clock;
    const startUs = deps.clock.wallUs() - process.uptime() * US_PER_SECOND;
    this.#startTimeUs = wholeSeconds(startUs);
    this.#last = this.#sample();
  }

  /** The figures now. Never rejects. */
  async read(): Promise<SystemFigures> {
    this.#system ??= await readSystemName();
    const [io, status, disk] = await Promise.all([
      readTextOrEmpty('/proc/self/io'),
      readTextOrEmpty('/proc/self/status'),
      this.readDisk(),
    ]);
    return {
      processId: process.pid,
      ...this.#measure(),
      memoryUsageBytes: process.memoryUsage.rss(),
      // In a container the limit counts, not the machine.
      totalMemoryBytes: Math.min(totalmem(), process.constrainedMemory() || totalmem()),
      availableMemoryBytes: process.availableMemory(),
      runTimeUs: Math.max(0, wholeSeconds(this.#clock.wallUs()) - this.#startTimeUs),
      startTimeUs: this.#startTimeUs,
      readBytes: numberAfter(io, 'read_bytes:'),
      writtenBytes: numberAfter(io, '\nwrite_bytes:'),
      hostname: hostname(),
      ...this.#system,
      kernelVersion: release(),
      threadsCount: numberAfter(status, 'Threads:'),
      ...disk,
    };
  }

  /** Of the disk that holds the data folder; 0 when it cannot be asked. */
  async readDisk(): Promise<{ readonly freeDiskBytes: number; readonly totalDiskBytes: number }> {
    try {
      const { bavail, blocks, bsize } = await statfs(this.#dataPath);
      return { freeDiskBytes: bavail * bsize, totalDiskBytes: blocks * bsize };
    } catch {
      return { freeDiskBytes: 0, totalDiskBytes: 0 };
    }
  }

  #measure(): { readonly cpuUsage: number; readonly totalCpuUsage: number } {
    if (this.#clock.monotonicUs() - this.#last.atUs < WINDOW_US_MIN) return this.#usage;
    const now = this.#sample();
    const elapsedUs = now.atUs - this.#last.atUs;
    const totalMs = now.totalMs - this.#last.totalMs;
    const busyMs = now.busyMs - this.#last.busyMs;
    this.#usage = {
      cpuUsage: percent((now.processUs - this.#last.processUs) / elapsedUs),
      totalCpuUsage: totalMs > 0 ? Math.min(100, percent(busyMs / totalMs)) : 0,
    };
    this.#last = now;
    return this.#usage;
  }

  #sample(): Sample {
    const { user, system } = process.cpuUsage();
    let [busyMs, totalMs] = [0, 0];
    for (const { times } of cpus()) {
      const busy = times.user + times.nice + times.sys + times.irq;
      busyMs += busy;
      totalMs += busy + times.idle;
    }
    return { atUs: this.#clock.monotonicUs(), processUs: user + system, busyMs, totalMs };
  }
}

async function readSystemName(): Promise<{ osName: string; osVersion: string }> {
  const text = await readTextOrEmpty('/etc/os-release');
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}="?(?<value>[^"\n]*)"?$`, 'mu').exec(text)?.groups?.['value'];
  return { osName: field('NAME') ?? type(), osVersion: field('VERSION_ID') ?? '' };
}

async function readTextOrEmpty(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    // Another operating system, or a container that hides it.
    return '';
  }
}

function numberAfter(text: string, name: string): number {
  const at = text.indexOf(name);
  return at < 0 ? 0 : Number.parseInt(text.slice(at + name.length), 10) || 0;
}

function wholeSeconds(us: number): number {
  return Math.floor(us / US_PER_SECOND) * US_PER_SECOND;
}

function percent(share: number): number {
  return Math.max(0, Math.round(share * 10_000) / 100);
}
