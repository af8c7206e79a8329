import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Logger } from './base/logger.ts';
import { Pool } from './base/pool.ts';
import { LocalBroker } from './broker/broker.ts';
import type { NodeAddress, SnapshotMaker } from './broker/dependencies.ts';
import { PASSWORD_DEFAULTS, PasswordHasher } from './broker/passwords.ts';
import { FolderRefused } from './cluster/identity.ts';
import { NodeStore } from './cluster/node-store.ts';
import type { Config } from './config/config.ts';
import { formatConfig } from './config/help.ts';
import { type Address, formatAddress, parseLogLevel } from './config/values.ts';
import { HttpServer } from './http/http-server.ts';
import { Kernel } from './kernel/kernel.ts';
import { LogDamaged } from './log/damage.ts';
import { BatchCipher, parseEncryptionKey } from './log/encryption.ts';
import { SystemDisk } from './log/file.ts';
import { FolderInUse, FolderLock, LOCK_NAME } from './log/lock-file.ts';
import { ArchiveRefused, DiagnosticArchive } from './observe/archive.ts';
import { LogWriter } from './observe/log-writer.ts';
import {
  Metrics,
  type Observation,
  type ObservedLag,
  type ObservedTopic,
} from './observe/metrics.ts';
import { SystemClock } from './observe/system-clock.ts';
import { SystemStats } from './observe/system-stats.ts';
import type { TopicSettings } from './state/topic-options.ts';
import { TcpListener } from './transports/tcp.ts';

// The composition root: builds the rooms, plugs their ports into each other, starts and stops them.
//
//   start   pool, kernel ─► store (lock, replay) ─► broker ─► root user ─► listeners ─► ready
//   stop    listeners (answer what was asked) ─► broker (sessions end) ─► store (sync, unlock)

export const VERSION = '0.1.0';

/** Exit codes of a start that was refused; docs/run-a-node.md lists all. */
const EXIT_CONFIG = 3;
const EXIT_FOLDER = 4;
const EXIT_ADDRESS = 5;

const OPEN_FILES_MAX = 4096;
const OPS_CACHE_BYTES = 16 * 1024 * 1024;
const LOG_LINES_KEPT = 2000;
const PASSWORD_LENGTH = 24;
const PASSWORD_LETTERS = 'abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';
/** Headers of a frame around its batch, and the headroom of a polled one. */
const SLOT_EXTRA_BYTES = 64 * 1024;
const DISK_CODES: readonly string[] = ['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'ENOTDIR', 'EEXIST'];

/** The server cannot start; the message says why and what to do. */
export class StartProblem extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.name = 'StartProblem';
    this.exitCode = exitCode;
  }
}

export interface ServerOptions {
  readonly config: Config;
  /** Said once at the start. */
  readonly warnings: readonly string[];
  /** null: the password of the root user is drawn and told in `generatedPassword`. */
  readonly credentials: { readonly username: string; readonly password: string } | null;
  /** Remove everything in the data folder first. */
  readonly fresh: boolean;
  readonly acceptDataLoss: boolean;
  /** Value of RUST_LOG, which wins over the configuration. */
  readonly logLevel: string | undefined;
}

/** What is stopped in the opposite order of its start. */
interface Started {
  readonly what: string;
  stop(drainMs: number): Promise<void>;
}

/** One running node. */
export class Server {
  /** Password of the root user made at this start, when it was drawn; to be shown once. */
  readonly generatedPassword: string | null;
  readonly #logger: LogWriter;
  readonly #started: readonly Started[];
  readonly #timeoutMs: number;
  #stopping: Promise<void> | null = null;

  private constructor(
    logger: LogWriter,
    started: readonly Started[],
    options: { readonly timeoutMs: number; readonly generatedPassword: string | null },
  ) {
    this.#logger = logger;
    this.#started = started;
    this.#timeoutMs = options.timeoutMs;
    this.generatedPassword = options.generatedPassword;
  }

  /**
   * Starts everything; clients are served when it settles.
   *
   * errors   StartProblem; `onFatal` later: the process has to end with 70 at once
   */
  static async start(options: ServerOptions, onFatal: (error: Error) => void): Promise<Server> {
    const { config } = options;
    const logger = openLogger(options);
    const started: Started[] = [];
    const fatal = (error: Error): void => {
      logger.error('the process has to end', { cause: error });
      logger.flush();
      onFatal(error);
    };
    try {
      const node = await startNode(options, { logger, started, onFatal: fatal });
      const timeoutMs = Math.ceil(config.shutdown.timeoutUs / 1000);
      return new Server(logger, started, { timeoutMs, generatedPassword: node.generatedPassword });
    } catch (error) {
      for (const part of started.toReversed()) await part.stop(0);
      logger.flush();
      throw asStartProblem(error);
    }
  }

  /**
   * Answers what was asked, ends the sessions, syncs the logs, frees the folder. Idempotent. What
   * is not done after `shutdown.timeout` is left: everything acknowledged is safe already.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#logger.info('stopping', { timeoutMs: this.#timeoutMs });
    const late = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => late.resolve('late'), this.#timeoutMs);
    const outcome = await Promise.race([this.#stopAll(), late.promise]);
    clearTimeout(timer);
    if (outcome === 'late') this.#logger.warn('not everything stopped within shutdown.timeout');
    else this.#logger.info('stopped');
    this.#logger.flush();
  }

  async #stopAll(): Promise<'done'> {
    for (const part of this.#started.toReversed()) {
      this.#logger.debug('stopping a part', { part: part.what });
      await part.stop(Math.floor(this.#timeoutMs / 2));
    }
    return 'done';
  }
}

interface Building {
  readonly logger: LogWriter;
  readonly started: Started[];
  readonly onFatal: (error: Error) => void;
}

async function startNode(
  options: ServerOptions,
  building: Building,
): Promise<{ readonly generatedPassword: string | null }> {
  const { config } = options;
  const { logger, started, onFatal } = building;
  const directory = resolve(config.path);
  const clock = new SystemClock();
  const frameBytesMax = config.messageBus.maxMessageSizeBytes;
  const pool = new Pool({
    bytes: config.pool.bytes,
    slotBytesMax: frameBytesMax + SLOT_EXTRA_BYTES,
  });
  const kernel = new Kernel(pool);
  const systemStats = new SystemStats({ dataPath: directory }, { clock });
  const address: { -readonly [Key in keyof NodeAddress]: NodeAddress[Key] } = {
    host: config.tcp.enabled ? config.tcp.address.host : config.http.address.host,
    ...{ tcpPort: 0, quicPort: 0, httpPort: 0, websocketPort: 0 },
  };
  const metrics: Metrics = new Metrics(() => observe({ store, broker, pool, systemStats }));
  const store = await openStore(options, {
    ...{ directory, clock, pool, kernel, logger, onFatal },
    onRound: (round) => metrics.round(round),
  });
  started.push({ what: 'store', stop: () => store.close() });
  const hasher = new PasswordHasher(PASSWORD_DEFAULTS, { randomBytes });
  const broker = new LocalBroker(brokerOptions(config), {
    ...{ groups: store, kernel, pool, clock, logger, randomBytes, hasher, systemStats },
    nodeAddress: () => address,
    snapshots: openArchive(config, { directory, clock, logger }),
    observer: metrics,
  });
  const generatedPassword = await makeRoot(broker, options.credentials, logger);
  await broker.start();
  started.push({ what: 'broker', stop: () => broker.stop() });
  const onBug = (error: unknown): void =>
    onFatal(new Error('a request met a bug', { cause: error }));
  const deps = { broker, pool, kernel, clock, logger, observer: metrics, onBug };
  const bound = { tcp: config.tcp.address, http: config.http.address };
  if (config.tcp.enabled) {
    const listener = new TcpListener(tcpOptions(config), deps);
    bound.tcp = await listen('tcp.address', config.tcp.address, () => listener.start());
    address.tcpPort = bound.tcp.port;
    started.push({ what: 'tcp', stop: (drainMs) => listener.stop({ drainMs }) });
  }
  if (config.http.enabled) {
    const http = new HttpServer(config.http, {
      ...{ broker, clock, logger, metrics, observer: metrics },
      onBug: (cause) => logger.error('an HTTP request met a bug', { cause }),
    });
    bound.http = await listen('http.address', config.http.address, () => http.start());
    address.httpPort = bound.http.port;
    started.push({ what: 'http', stop: (drainMs) => http.stop({ drainMs }) });
  }
  await writeRuntime(directory, config, bound);
  for (const warning of options.warnings) logger.warn('configuration', { warning });
  logger.info('ready', {
    version: VERSION,
    tcp: config.tcp.enabled ? formatAddress(bound.tcp) : 'off',
    http: config.http.enabled ? formatAddress(bound.http) : 'off',
    directory,
    fsync: config.partition.fsync,
  });
  return { generatedPassword };
}

function openLogger({ config, logLevel }: ServerOptions): LogWriter {
  const level = logLevel === undefined ? null : parseLogLevel(logLevel);
  return new LogWriter({
    level: level ?? config.logging.level,
    format: config.logging.format,
    recentCountMax: LOG_LINES_KEPT,
  });
}

async function openStore(
  { config, fresh, acceptDataLoss }: ServerOptions,
  deps: {
    readonly directory: string;
    readonly logger: Logger;
  } & Pick<
    Parameters<typeof NodeStore.open>[1],
    'clock' | 'pool' | 'kernel' | 'onFatal' | 'onRound'
  >,
): Promise<NodeStore> {
  const { directory, ...dependencies } = deps;
  if (fresh) await emptyFolder(directory, deps.logger);
  const policy = config.partition.enforceFsync ? 'always' : config.partition.fsync;
  return NodeStore.open(
    {
      directory,
      fsync: { policy, intervalMs: Math.ceil(config.partition.fsyncIntervalUs / 1000) },
      validateChecksum: config.partition.validateChecksum,
      acceptDataLoss,
      offsetsMax: config.partition.consumerOffsetsMax,
      retention: {
        enabled: config.dataMaintenance.messages.cleanerEnabled,
        intervalMs: Math.ceil(config.dataMaintenance.messages.intervalUs / 1000),
      },
      diskReserveBytes: config.disk.reserveBytes,
      openFilesMax: OPEN_FILES_MAX,
      opsCacheBytes: OPS_CACHE_BYTES,
    },
    {
      ...dependencies,
      disk: new SystemDisk(),
      lockFolder,
      randomBytes,
      cipher: await openCipher(config, deps),
    },
  );
}

function lockFolder(directory: string): Promise<FolderLock> {
  return FolderLock.take({ directory, pid: process.pid, procDirectory: '/proc' });
}

/** null: what is stored is readable. */
async function openCipher(
  { encryption }: Config,
  deps: { readonly pool: Pool; readonly kernel: Kernel },
): Promise<BatchCipher | null> {
  if (!encryption.enabled) return null;
  try {
    const text =
      encryption.keyFile === '' ? encryption.key : await readFile(encryption.keyFile, 'utf8');
    return new BatchCipher(parseEncryptionKey(text), deps);
  } catch (cause) {
    const key = encryption.keyFile === '' ? 'encryption.key' : 'encryption.key_file';
    const sentence = `${key}: ${(cause as Error).message}; expected base64 of 32 bytes`;
    throw new StartProblem(EXIT_CONFIG, sentence, { cause });
  }
}

/** Removes what lies in the data folder, once nobody else uses it. */
async function emptyFolder(directory: string, logger: Logger): Promise<void> {
  await mkdir(directory, { recursive: true });
  const lock = await lockFolder(directory);
  try {
    logger.warn('the data folder is emptied, as --fresh asks', { directory });
    for (const name of await readdir(directory)) {
      if (name === LOCK_NAME) continue;
      await rm(join(directory, name), { recursive: true, force: true });
    }
  } finally {
    await lock.release();
  }
}

function brokerOptions(config: Config): ConstructorParameters<typeof LocalBroker>[0] {
  const { cleaner, maxTokensPerUser } = config.personalAccessToken;
  return {
    frameBytesMax: config.messageBus.maxMessageSizeBytes,
    sessionsMax: config.metadata.clientsTableMax,
    heartbeat: config.heartbeat,
    revocationTimeoutUs: config.consumerGroup.rebalancingTimeoutUs,
    tokens: {
      perUserMax: maxTokensPerUser,
      cleanerEnabled: cleaner.enabled,
      cleanerIntervalUs: cleaner.intervalUs,
    },
    topicDefaults: topicDefaults(config),
    advertisedAddress: config.node.advertisedAddress,
  };
}

function topicDefaults(config: Config): TopicSettings {
  const { topic, segment, partition } = config;
  return {
    compression: 'none',
    messageExpiryUs: topic.messageExpiryUs,
    maxTopicSizeBytes: topic.maxSizeBytes,
    segmentBytes: segment.sizeBytes,
    durability: 'replicated',
    consumerOffsetDurability: 'replicated',
    messagesRequiredToSave: partition.messagesRequiredToSave,
    bytesRequiredToSave: partition.sizeOfMessagesRequiredToSaveBytes,
    preallocateSegments: false,
  };
}

function tcpOptions(config: Config): ConstructorParameters<typeof TcpListener>[0] {
  const { host, port } = config.tcp.address;
  const { enabled, certFile, keyFile } = config.tcp.tls;
  return {
    host,
    port,
    connectionsMax: config.connections.max,
    tls: enabled ? { certFile, keyFile } : null,
    handshakeTimeoutMs: Math.ceil(config.messageBus.handshakeGraceUs / 1000),
    frameBytesMax: config.messageBus.maxMessageSizeBytes,
    idleTimeoutMs: Math.ceil(config.connection.idleTimeoutUs / 1000),
    frameTimeoutMs: Math.ceil(config.connection.frameTimeoutUs / 1000),
    writeTimeoutMs: Math.ceil(config.connection.writeTimeoutUs / 1000),
  };
}

function openArchive(
  config: Config,
  deps: { readonly directory: string; readonly clock: SystemClock; readonly logger: LogWriter },
): SnapshotMaker {
  const archive = new DiagnosticArchive(
    { dataPath: deps.directory },
    {
      clock: deps.clock,
      recentLines: () => deps.logger.recent(),
      configText: () => formatConfig(config),
    },
  );
  return {
    make: async (types, compression) => {
      try {
        return await archive.make(types, compression);
      } catch (cause) {
        if (!(cause instanceof ArchiveRefused)) throw cause;
        const isBusy = cause.reason === 'busy';
        const code = isBusy ? STATUS.snapshotFileCompletionFailed : STATUS.invalidCommand;
        throw new OperatingError(code, cause.message, { cause });
      }
    },
  };
}

/** Makes the root user at the first start; returns its password when it was drawn. */
async function makeRoot(
  broker: LocalBroker,
  credentials: ServerOptions['credentials'],
  logger: Logger,
): Promise<string | null> {
  if (broker.hasRoot) return null;
  const drawn = credentials === null ? drawPassword() : null;
  const root = credentials ?? { username: 'iggy', password: drawn! };
  await broker.createRoot(root);
  logger.info('root user created', { username: root.username });
  return drawn;
}

function drawPassword(): string {
  let password = '';
  while (password.length < PASSWORD_LENGTH) {
    const [byte] = randomBytes(1);
    // Bytes beyond the last whole multiple are dropped, so that every letter is as likely.
    if (byte! < 256 - (256 % PASSWORD_LETTERS.length)) {
      password += PASSWORD_LETTERS[byte! % PASSWORD_LETTERS.length];
    }
  }
  return password;
}

async function listen(
  key: string,
  wanted: Address,
  open: () => Promise<Address>,
): Promise<Address> {
  try {
    return await open();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const hint =
      code === 'EADDRINUSE'
        ? `another process listens there; stop it or choose another ${key}`
        : `choose another ${key} or mend its settings`;
    const reason = code ?? message;
    const sentence = `cannot listen on ${formatAddress(wanted)} (${reason}): ${hint}`;
    throw new StartProblem(EXIT_ADDRESS, sentence, { cause });
  }
}

/** runtime/current_config.toml: the effective configuration with the real ports. */
async function writeRuntime(
  directory: string,
  config: Config,
  bound: { readonly tcp: Address; readonly http: Address },
): Promise<void> {
  const folder = join(directory, 'runtime');
  await mkdir(folder, { recursive: true });
  const effective: Config = {
    ...config,
    tcp: { ...config.tcp, address: bound.tcp },
    http: { ...config.http, address: bound.http },
  };
  await writeFile(join(folder, 'current_config.toml'), formatConfig(effective), { mode: 0o640 });
}

async function observe(parts: {
  readonly store: NodeStore;
  readonly broker: LocalBroker;
  readonly pool: Pool;
  readonly systemStats: SystemStats;
}): Promise<Observation> {
  const { store, broker, pool, systemStats } = parts;
  const counts = store.metadata.state.counts();
  return {
    streamsCount: counts.streams,
    usersCount: counts.users,
    clientsCount: broker.clientsCount,
    topics: observeTopics(store),
    lags: observeLags(store),
    freeDiskBytes: (await systemStats.readDisk()).freeDiskBytes,
    poolTakenBytes: pool.takenBytes,
    poolFreeBytes: pool.freeBytes,
  };
}

function* observeTopics(store: NodeStore): Generator<ObservedTopic> {
  const { state } = store.metadata;
  for (const stream of state.streams()) {
    for (const topic of state.topics(stream.id)) {
      const sum = { partitionsCount: 0, segmentsCount: 0, sizeBytes: 0, messagesCount: 0 };
      for (const { uuid } of topic.partitions) {
        const stats = store.partition(uuid)?.stats();
        if (stats === undefined) continue;
        sum.partitionsCount += 1;
        sum.segmentsCount += stats.segmentsCount;
        sum.sizeBytes += stats.sizeBytes;
        sum.messagesCount += stats.messagesCount;
      }
      yield { stream: stream.name, topic: topic.name, ...sum };
    }
  }
}

function* observeLags(store: NodeStore): Generator<ObservedLag> {
  const { state } = store.metadata;
  for (const stream of state.streams()) {
    for (const topic of state.topics(stream.id)) {
      for (const group of state.groups(topic)) {
        for (const [partitionId, { uuid }] of topic.partitions.entries()) {
          const partition = store.partition(uuid);
          if (partition === null) continue;
          const stored = partition.storedOffset('group', group.id);
          const { nextOffset, firstOffset } = partition.state;
          const behind = stored === null ? firstOffset : Math.max(stored + 1, firstOffset);
          const names = { stream: stream.name, topic: topic.name, group: group.name };
          yield { ...names, partitionId, lagMessages: Math.max(0, nextOffset - behind) };
        }
      }
    }
  }
}

function asStartProblem(error: unknown): unknown {
  if (error instanceof StartProblem) return error;
  if (
    error instanceof FolderRefused ||
    error instanceof FolderInUse ||
    error instanceof LogDamaged
  ) {
    return new StartProblem(EXIT_FOLDER, error.message, { cause: error });
  }
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (error instanceof Error && DISK_CODES.includes(code)) {
    const sentence = `the data folder cannot be used: ${error.message}`;
    return new StartProblem(EXIT_FOLDER, sentence, { cause: error });
  }
  return error;
}
