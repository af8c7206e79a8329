import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PEERS } from './peers.ts';
import { until } from './until.ts';

// A server as a process of its own, with a data folder of its own and ports that the system chose.

const TOP = join(import.meta.dirname, '..', '..');
const LOG_BYTES_MAX = 4 * 1024 * 1024;
const START_SECONDS_MAX = 60;

export const ROOT = { username: 'iggy', password: 'iggy-secret' } as const;

export interface ServerOptions {
  /** Kept from an earlier run; else a fresh one that goes away with `remove`. */
  readonly folder?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Take these ports instead of free ones: a client that reconnects knows no other. */
  readonly tcpPort?: number;
  readonly httpPort?: number;
}

/** One running server. `folder` is its working directory; data lie in `folder`/local_data. */
export class ServerProcess {
  readonly folder: string;
  readonly tcpPort: number;
  readonly httpPort: number;
  readonly #child: ChildProcess;
  readonly #output: string[];
  readonly #exited: Promise<number | null>;

  private constructor(
    folder: string,
    ports: { readonly tcp: number; readonly http: number },
    child: ChildProcess,
    output: string[],
    exited: Promise<number | null>,
  ) {
    this.folder = folder;
    this.tcpPort = ports.tcp;
    this.httpPort = ports.http;
    this.#child = child;
    this.#output = output;
    this.#exited = exited;
  }

  /** Starts our own server from this checkout; with IGGY_E2E_PEER=1 the real one, to judge a test. */
  static own(options: ServerOptions = {}): Promise<ServerProcess> {
    if (process.env['IGGY_E2E_PEER'] === '1') {
      return ServerProcess.peer('iggy-server-0.9-edge', options);
    }
    const args = [join(TOP, 'node', 'main.ts'), ...(options.args ?? [])];
    return ServerProcess.#start(process.execPath, args, options);
  }

  /** Starts the real Iggy server of this name; see peers.ts. */
  static async peer(
    name: 'iggy-server-0.9-edge' | 'iggy-server-0.8.0',
    options: ServerOptions = {},
  ): Promise<ServerProcess> {
    // It writes port 0 for an HTTP listener whose port the system chose.
    const httpPort = options.httpPort ?? (await freePort());
    const args = [...(options.args ?? [])];
    return ServerProcess.#start(PEERS.path(name), args, { ...options, httpPort });
  }

  static async #start(
    command: string,
    args: readonly string[],
    options: ServerOptions,
  ): Promise<ServerProcess> {
    const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'iggy-e2e-'));
    const runtime = join(folder, 'local_data', 'runtime', 'current_config.toml');
    rmSync(runtime, { force: true });
    const child = spawn(command, args, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        UV_THREADPOOL_SIZE: '16',
        IGGY_ROOT_USERNAME: ROOT.username,
        IGGY_ROOT_PASSWORD: ROOT.password,
        IGGY_TCP_ADDRESS: `127.0.0.1:${options.tcpPort ?? 0}`,
        IGGY_HTTP_ADDRESS: `127.0.0.1:${options.httpPort ?? 0}`,
        IGGY_QUIC_ADDRESS: '127.0.0.1:0',
        IGGY_WEBSOCKET_ADDRESS: '127.0.0.1:0',
        ...options.env,
      },
    });
    const output = collectOutput(child);
    const exited = once(child, 'exit').then(([code]) => code as number | null);
    let gone: number | null | undefined;
    void exited.then((code) => {
      gone = code;
    });
    try {
      const ports = await until(
        'the server writes runtime/current_config.toml',
        () => {
          if (gone !== undefined)
            throw new Error(`the server ended with code ${gone} at the start`);
          return existsSync(runtime) ? portsOf(readFileSync(runtime, 'utf8')) : null;
        },
        START_SECONDS_MAX,
      );
      return new ServerProcess(folder, ports, child, output, exited);
    } catch (cause) {
      child.kill('SIGKILL');
      throw new Error(`the server did not start:\n${output.join('')}`, { cause });
    }
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get tcpAddress(): string {
    return `127.0.0.1:${this.tcpPort}`;
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  /** What it has printed so far, the newest 4 MiB. */
  get output(): string {
    return this.#output.join('');
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Exit code, or null when a signal ended it. */
  get exited(): Promise<number | null> {
    return this.#exited;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** SIGTERM, then waits; SIGKILL when that takes longer than `secondsMax`. */
  async stop(secondsMax = 40): Promise<number | null> {
    const late = setTimeout(() => this.#child.kill('SIGKILL'), secondsMax * 1000);
    if (this.isRunning) this.#child.kill('SIGTERM');
    const code = await this.#exited;
    clearTimeout(late);
    return code;
  }

  async kill(): Promise<void> {
    if (this.isRunning) this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** Kills it and removes its folder. */
  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Resident memory, MiB. */
  get residentMib(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(status)![1]) / 1024;
  }
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function collectOutput(child: ChildProcess): string[] {
  const chunks: string[] = [];
  let bytes = 0;
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      chunks.push(chunk);
      bytes += chunk.length;
      while (bytes > LOG_BYTES_MAX && chunks.length > 1) bytes -= chunks.shift()!.length;
    });
  }
  return chunks;
}

/** The ports in a written configuration, once both are there. */
function portsOf(toml: string): { readonly tcp: number; readonly http: number } | null {
  const portIn = (table: string): number | null => {
    const section = new RegExp(String.raw`^\[${table}\]$([\s\S]*?)(?=^\[|$(?![\s\S]))`, 'mu');
    const address = /^address = "(?:.*):(\d+)"$/mu.exec(section.exec(toml)?.[1] ?? '');
    return address === null ? null : Number(address[1]);
  };
  const [tcp, http] = [portIn('tcp'), portIn('http')];
  return tcp === null || http === null || tcp === 0 ? null : { tcp, http };
}
