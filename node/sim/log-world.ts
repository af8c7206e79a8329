import assert from 'node:assert/strict';
import { encodeBatch, readMessages } from '@iggy-ts/wire/batch';
import type { Pool } from '../base/pool.ts';
import { Prng } from '../base/prng.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { GroupLog, type GroupLogDependencies, type GroupLogOptions } from '../log/group-log.ts';
import { bytesOfHex, OP_KIND, type OpFields, type OpKind } from '../log/op-header.ts';
import { OpenFiles } from '../log/open-files.ts';
import { OpsCache } from '../log/ops-cache.ts';
import { type SyncPolicy, SyncRounds } from '../log/sync-rounds.ts';
import { SimDisk } from './disk.ts';

// One log on a simulated disk, driven as a group drives it, with a model beside it that knows
// every op that was ever prepared and every op that was told durable.

const NO_BYTES = new Uint8Array(0);
const CAPACITY_BYTES = 1024 * 1024 * 1024;

/** An op as it was handed to the log. */
export interface WorldOp {
  readonly op: number;
  readonly kind: OpKind;
  readonly offsetFirst: number;
  readonly payloads: readonly Uint8Array[];
  readonly body: Uint8Array | null;
}

interface Waiter {
  readonly ticket: number;
  readonly op: WorldOp;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface LogWorldOptions {
  readonly seed: number;
  readonly policy: SyncPolicy;
  readonly segmentBytes: number;
}

/** A log, its disk and its model. */
export class LogWorld {
  readonly disk: SimDisk;
  readonly prng: Prng;
  readonly options: GroupLogOptions;
  readonly #policy: SyncPolicy;
  readonly #pool: Pool;
  readonly #kernel: Kernel;
  #log: GroupLog | null = null;
  #files: OpenFiles | null = null;
  /** The op last handed over under each number. */
  readonly #ops: WorldOp[] = [];
  /** Ops up to here were told durable. */
  toldOp = 0;
  /** Messages below were asked to go, and those below `trimmedTold` are known to be gone. */
  trimmedAsked = 0;
  trimmedTold = 0;
  #waiters: Waiter[] = [];
  #ticket = 0;
  #timestampUs = 1_700_000_000_000_000;

  constructor(
    options: LogWorldOptions,
    dependencies: { readonly pool: Pool; readonly kernel: Kernel },
  ) {
    this.prng = new Prng(options.seed);
    this.disk = new SimDisk({ capacityBytes: CAPACITY_BYTES }, { prng: this.prng.split('disk') });
    this.#policy = options.policy;
    this.#pool = dependencies.pool;
    this.#kernel = dependencies.kernel;
    this.options = {
      directory: '/data/groups/a',
      cluster: bytesOfHex('c1'.repeat(16)),
      group: bytesOfHex('a0'.repeat(16)),
      segmentBytes: options.segmentBytes,
      durabilityPersisted: false,
      validateChecksum: true,
      acceptDataLoss: false,
    };
  }

  get log(): GroupLog {
    assert(this.#log !== null);
    return this.#log;
  }

  async create(): Promise<void> {
    this.#log = await GroupLog.create(this.options, this.#dependencies());
    this.#listen();
  }

  /** Opens the log again with everything in memory new, after a close or a crash. */
  async open(changed: Partial<GroupLogOptions> = {}): Promise<GroupLog> {
    this.#log = await GroupLog.open({ ...this.options, ...changed }, this.#dependencies());
    this.#ops.length = Math.min(this.#ops.length, this.#log.headOp);
    this.#waiters = [];
    this.#listen();
    return this.#log;
  }

  /** Appends a batch of random messages; settles when it is durable, or certainly not there. */
  append(messagesCount: number, payloadBytesMax = 700): Promise<void> {
    const payloads: Uint8Array[] = [];
    for (let index = 0; index < messagesCount; index += 1) {
      const payload = new Uint8Array(this.prng.below(payloadBytesMax));
      if (this.prng.below(4) > 0) this.prng.fill(payload);
      payloads.push(payload);
    }
    return this.propose(OP_KIND.batch, payloads);
  }

  /** `command`: the body of an op without messages. */
  propose(
    kind: OpKind,
    payloads: readonly Uint8Array[] = [],
    command: Uint8Array | null = null,
  ): Promise<void> {
    const { log } = this;
    const last = this.#waiters.at(-1)?.op ?? this.#ops[log.headOp - 1];
    const offsetFirst = last === undefined ? 0 : offsetBehind(last);
    const number = (this.#waiters.at(-1)?.op.op ?? log.headOp) + 1;
    const body = payloads.length === 0 ? command : this.#batch(payloads, offsetFirst);
    const op = { op: number, kind, offsetFirst, payloads, body };
    this.#ops[number - 1] = op;
    this.#ops.length = number;
    const header = log.prepare(this.#fieldsOf(op), body);
    this.#ticket += 1;
    const ticket = this.#ticket;
    return new Promise((resolve, reject) => {
      this.#waiters.push({ ticket, op, resolve, reject });
      log.append(header, body, ticket);
    });
  }

  async roll(): Promise<void> {
    await this.propose(OP_KIND.roll);
    await this.log.applyRoll(this.log.headOp);
  }

  async purge(): Promise<void> {
    await this.propose(OP_KIND.purge);
    [this.trimmedAsked, this.trimmedTold] = [0, 0];
    await this.log.applyPurge(this.log.headOp);
  }

  async trim(offset: number): Promise<void> {
    this.trimmedAsked = offset;
    await this.log.applyTrim(offset);
    this.trimmedTold = offset;
  }

  saveSnapshot(): Promise<void> {
    return this.log.saveSnapshot(this.toldOp, new Uint8Array(100).fill(this.toldOp % 251));
  }

  /**
   * Whether the log that is open holds what the model says: every op that was told durable, in
   * order and once, and nothing that was not handed over.
   */
  async verify(): Promise<void> {
    const { log } = this;
    if (this.#policy === 'always') assert(log.headOp >= this.toldOp, 'a durable op is missing');
    assert(log.headOp <= this.#ops.length, 'there are more ops than were handed over');
    const { snapshot } = log;
    if (snapshot !== null) {
      assert(snapshot.op <= log.headOp);
      assert.deepEqual(snapshot.bytes, new Uint8Array(100).fill(snapshot.op % 251));
    }
    let opNext = (snapshot?.op ?? 0) + 1;
    await log.replay(
      opNext,
      (fields) => {
        assert.equal(fields.op, opNext, 'ops are consecutive');
        this.#verifyOp(fields);
        opNext += 1;
      },
      { bodies: false },
    );
    assert.equal(opNext, log.headOp + 1, 'the replay reaches the head');
    await this.#verifyMessages();
  }

  /** Settles once the log is closed. */
  async close(): Promise<void> {
    await this.log.close();
    assert.equal(this.#files?.openCount, 0);
    this.#log = null;
  }

  /** Messages of the model from the last purge on, by offset. */
  messages(): Uint8Array[] {
    const { log } = this;
    let messages: Uint8Array[] = [];
    for (const { kind, payloads } of this.#ops.slice(0, log.headOp)) {
      if (kind === OP_KIND.purge) messages = [];
      else messages.push(...payloads);
    }
    return messages;
  }

  #verifyOp(fields: OpFields): void {
    const known = this.#ops[fields.op - 1];
    assert(known !== undefined);
    assert.equal(fields.kind, known.kind);
    assert.equal(fields.offsetFirst, known.offsetFirst);
    assert.equal(fields.count, known.payloads.length);
    assert.equal(fields.bodyBytes, known.body?.length ?? 0);
  }

  async #verifyMessages(): Promise<void> {
    const { log } = this;
    const messages = this.messages();
    assert.equal(log.nextOffset, messages.length, 'offsets are dense');
    assert(log.firstOffset <= this.trimmedAsked, 'nothing goes that nobody asked to go');
    let offset = log.firstOffset;
    while (offset < log.nextOffset) {
      const found = await this.read(offset, 10_000, 1_000_000);
      assert(found.length > 0, 'every offset can be read');
      for (const payload of found) {
        assert.deepEqual(payload, messages[offset]);
        offset += 1;
      }
    }
    assert.equal(offset, log.nextOffset);
  }

  /** Payloads of one read, after checking that the batches are consistent. */
  async read(
    offset: number,
    count: number,
    bytesMax: number,
    offsetEnd: number = this.log.nextOffset,
  ): Promise<Uint8Array[]> {
    const headroom = 256;
    const records = await this.log.read({ offset, count, bytesMax, headroom, offsetEnd });
    if (records === null) return [];
    const { slotAt, recordsAt, recordsBytes, messagesCount } = records;
    try {
      assert(recordsAt - slotAt >= headroom);
      const messages = readMessages(this.#pool.bytes, recordsAt, recordsAt + recordsBytes);
      assert(Array.isArray(messages));
      assert.equal(messages.length, messagesCount);
      return messages.map((message, index) => {
        assert.equal(message.offset, offset + index);
        return message.payload.slice();
      });
    } finally {
      this.#pool.give(slotAt);
    }
  }

  #fieldsOf(op: WorldOp): Omit<OpFields, 'position'> {
    this.#timestampUs += this.prng.below(1000);
    return {
      op: op.op,
      view: 0,
      epoch: 1,
      commit: this.toldOp,
      kind: op.kind,
      flags: 0,
      client: '0'.repeat(32),
      session: 0,
      request: 0,
      requestChecksumLow: 0,
      requestChecksumHigh: 0,
      timestampUs: this.#timestampUs,
      offsetFirst: op.offsetFirst,
      count: op.payloads.length,
      bodyBytes: op.body?.length ?? 0,
      inline: NO_BYTES,
    };
  }

  #batch(payloads: readonly Uint8Array[], baseOffset: number): Uint8Array {
    const batch = encodeBatch(
      payloads.map((payload) => ({
        id: '0'.repeat(32),
        originTimestampUs: this.#timestampUs,
        payload,
        userHeaders: NO_BYTES,
      })),
    );
    assert(typeof batch !== 'number');
    const at = this.#pool.take(batch.length);
    this.#pool.bytes.set(batch, at);
    const bytes = batch.length;
    assert(this.#kernel.seal(at, bytes));
    this.#kernel.stamp({ at, bytes, partitionId: 7, baseOffset, timestampUs: this.#timestampUs });
    const owned = this.#pool.bytes.slice(at, at + bytes);
    this.#pool.give(at);
    return owned;
  }

  #dependencies(): GroupLogDependencies {
    const files = new OpenFiles({ openCountMax: 4 }, { disk: this.disk });
    const rounds = new SyncRounds(
      { policy: this.#policy, intervalMs: this.#policy === 'interval' ? 1000 : 0 },
      {
        monotonicUs: () => 0,
        startTimer: () => ignore,
        onRound: ignore,
        onFatal: (error) => this.#fail(0, error),
      },
    );
    const cache = new OpsCache({ bytesMax: 4 * 65_536 });
    this.#files = files;
    return { files, cache, rounds, kernel: this.#kernel, pool: this.#pool };
  }

  #listen(): void {
    const { log } = this;
    log.onDurable = (ticket) => {
      while (this.#waiters[0] !== undefined && this.#waiters[0].ticket <= ticket) {
        const { op, resolve } = this.#waiters.shift()!;
        this.toldOp = op.op;
        resolve();
      }
    };
    log.onAppendFailed = (ticketFirst, error) => this.#fail(ticketFirst, error);
  }

  #fail(ticketFirst: number, error: unknown): void {
    const gone = this.#waiters.filter(({ ticket }) => ticket >= ticketFirst);
    this.#waiters = this.#waiters.filter(({ ticket }) => ticket < ticketFirst);
    for (const { reject } of gone) reject(error);
  }
}

function offsetBehind(op: WorldOp): number {
  return op.kind === OP_KIND.purge ? 0 : op.offsetFirst + op.payloads.length;
}

function ignore(): void {
  // Nobody listens.
}
