import { readdir, readFile, stat } from 'node:fs/promises';
import { availableParallelism, hostname, loadavg, release, totalmem, type, uptime } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { packZip, type ZipEntry } from './zip.ts';

// What an operator sends along with a question: one text file for each thing asked for. No command
// of a shell is run, and no message, key or password is read.

/** Files and folders that the overview of the data folder names. */
const FILES_COUNT_MAX = 20_000;
const FOLDERS_DEPTH_MAX = 8;
const PROCESSES_COUNT_MAX = 4096;

const ENTRY_NAMES = {
  filesystemOverview: 'filesystem_overview.txt',
  processList: 'process_list.txt',
  resourceUsage: 'resource_usage.txt',
  test: 'test.txt',
  serverLogs: 'server_logs.txt',
  serverConfig: 'server_config.txt',
} as const;

type Part = keyof typeof ENTRY_NAMES;
export type ArchivePart = Part | 'all';
export type ArchiveCompression = 'stored' | 'deflated' | 'bzip2' | 'zstd' | 'lzma' | 'xz';

/** Why no archive is made. */
export type ArchiveRefusal = 'compressionUnsupported' | 'partsInvalid' | 'busy';

const REFUSAL_TEXT: Readonly<Record<ArchiveRefusal, string>> = {
  compressionUnsupported: 'archives are stored or deflated, other compressions are not offered',
  partsInvalid: 'name at least one part, or "all" and nothing else',
  busy: 'another archive is being made',
};

/** The request for an archive was refused; nothing was read. */
export class ArchiveRefused extends Error {
  readonly reason: ArchiveRefusal;

  constructor(reason: ArchiveRefusal) {
    super(REFUSAL_TEXT[reason]);
    this.name = 'ArchiveRefused';
    this.reason = reason;
  }
}

export interface ArchiveDependencies {
  readonly clock: Clock;
  /** The last lines of the log, oldest first. */
  readonly recentLines: () => readonly string[];
  /** The effective configuration, without secrets. */
  readonly configText: () => string;
}

/** Makes diagnostic archives, one at a time. */
export class DiagnosticArchive {
  readonly #dataPath: string;
  readonly #deps: ArchiveDependencies;
  #isBusy = false;

  constructor(options: { readonly dataPath: string }, deps: ArchiveDependencies) {
    this.#dataPath = options.dataPath;
    this.#deps = deps;
  }

  /**
   * A ZIP with one text file for each part; a part that cannot be read says why in its file.
   *
   * errors   ArchiveRefused
   */
  async make(parts: readonly ArchivePart[], compression: ArchiveCompression): Promise<Uint8Array> {
    if (compression !== 'stored' && compression !== 'deflated') {
      throw new ArchiveRefused('compressionUnsupported');
    }
    const wanted = partsOf(parts);
    if (this.#isBusy) throw new ArchiveRefused('busy');
    this.#isBusy = true;
    try {
      const entries: ZipEntry[] = [];
      for (const part of wanted) {
        const text = await this.#read(part).catch((error: Error) => `${error.message}\n`);
        entries.push({ name: ENTRY_NAMES[part], content: Buffer.from(text, 'utf8') });
      }
      const modified = new Date(this.#deps.clock.wallUs() / 1000);
      return await packZip(entries, { method: compression, modified });
    } finally {
      this.#isBusy = false;
    }
  }

  async #read(part: Part): Promise<string> {
    switch (part) {
      case 'filesystemOverview':
        return describeFolder(this.#dataPath);
      case 'processList':
        return describeProcesses();
      case 'resourceUsage':
        return describeResources();
      case 'test':
        return 'test\n';
      case 'serverLogs':
        return `${this.#deps.recentLines().join('\n')}\n`;
      case 'serverConfig':
        return this.#deps.configText();
      default:
        return assertNever(part);
    }
  }
}

function partsOf(parts: readonly ArchivePart[]): readonly Part[] {
  const wanted = new Set(parts);
  if (wanted.size === 0 || (wanted.has('all') && wanted.size > 1)) {
    throw new ArchiveRefused('partsInvalid');
  }
  const every = Object.keys(ENTRY_NAMES) as Part[];
  if (wanted.has('all')) return every.filter((part) => part !== 'test');
  return every.filter((part) => wanted.has(part));
}

/** Every file below the folder with size and time of change, breadth first. */
async function describeFolder(root: string): Promise<string> {
  const lines: string[] = [];
  const folders: { readonly path: string; readonly depth: number }[] = [{ path: '.', depth: 0 }];
  for (const { path, depth } of folders) {
    const names = (await readdir(join(root, path))).sort();
    for (const name of names) {
      if (lines.length >= FILES_COUNT_MAX) return `${lines.join('\n')}\nand more\n`;
      const below = path === '.' ? name : `${path}/${name}`;
      // A segment may be deleted between the list and the look.
      const seen = await stat(join(root, below)).catch(() => null);
      if (seen === null) continue;
      const isFolder = seen.isDirectory();
      lines.push(
        `${String(seen.size).padStart(14)}  ${seen.mtime.toISOString()}  ${below}${isFolder ? '/' : ''}`,
      );
      if (isFolder && depth < FOLDERS_DEPTH_MAX) folders.push({ path: below, depth: depth + 1 });
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Number, parent, state, threads and name of the processes; no arguments, they may hold secrets. */
async function describeProcesses(): Promise<string> {
  const lines = ['     pid     ppid  state  threads  rss pages  name'];
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/u.test(name));
  for (const pid of pids.slice(0, PROCESSES_COUNT_MAX)) {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
    if (text === null) continue;
    // The name stands in brackets and may hold any character.
    const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [state = '', ppid = ''] = fields;
    const [threads = '', rss = ''] = [fields[17], fields[21]];
    lines.push(
      [pid.padStart(8), ppid.padStart(8), state.padStart(6), threads.padStart(8), rss.padStart(10)]
        .concat(name)
        .join(' '),
    );
  }
  return `${lines.join('\n')}\n`;
}

async function describeResources(): Promise<string> {
  const files = ['/proc/self/status', '/proc/self/limits', '/proc/self/io', '/proc/meminfo'];
  const sections = await Promise.all(
    files.map(async (path) => `## ${path}\n${await readFile(path, 'utf8').catch(String)}`),
  );
  const machine = {
    host: hostname(),
    system: type(),
    kernel: release(),
    cores: availableParallelism(),
    load: loadavg(),
    memoryBytes: totalmem(),
    uptimeSeconds: uptime(),
  };
  const own = {
    node: process.version,
    uptimeSeconds: process.uptime(),
    memory: process.memoryUsage(),
    usage: process.resourceUsage(),
  };
  return [
    `## machine\n${JSON.stringify(machine, null, 2)}`,
    `## process\n${JSON.stringify(own, null, 2)}`,
    ...sections,
  ].join('\n\n');
}

function assertNever(part: never): never {
  throw new TypeError(`unknown part ${String(part)}`);
}
