import assert from 'node:assert/strict';

// Group commit: one round at a time for all logs of a shard.
//
//   appends ─► dirty ─► write all, in parallel ─► sync all, in parallel ─► told durable
//                ^ whatever comes meanwhile waits here for the next round
//
// A single append on an idle node waits for nothing; under load a round carries what arrived
// during the one before.

/** When a written append may be called durable. */
export type SyncPolicy = 'always' | 'interval' | 'os';

/** A log as a round sees it. */
export interface RoundMember {
  /** Whether its appends are synced before they are durable, whatever the policy of the node. */
  readonly durabilityPersisted: boolean;
  /** Writes everything queued; bytes written, 0 when the disk was full. Rejects: fatal. */
  writeRound(): Promise<number>;
  /** Syncs whatever was written and not synced. Rejects: fatal. */
  syncRound(): Promise<void>;
  /** Tells its owner. Synchronous. */
  finishRound(): void;
}

export interface Round {
  readonly logs: number;
  readonly bytes: number;
  readonly writeUs: number;
  readonly syncUs: number;
}

export interface SyncRoundsDependencies {
  readonly monotonicUs: () => number;
  /** Runs `run` once after `ms`; returns what cancels it. */
  readonly startTimer: (ms: number, run: () => void) => () => void;
  /** A write or sync that must not fail did: the process has to end. Called once. */
  readonly onFatal: (error: Error) => void;
  readonly onRound: (round: Round) => void;
}

interface SyncWish {
  readonly member: RoundMember;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Makes the appends of many logs durable together.
 *
 * cost     under `always`: two syncs per log and round, all in parallel
 * source   replication rules 4.3, 4.4; an error of a sync is never tried again (rule 4.6)
 */
export class SyncRounds {
  readonly #policy: SyncPolicy;
  readonly #intervalMs: number;
  readonly #dependencies: SyncRoundsDependencies;
  #dirty: Set<RoundMember> = new Set();
  /** Written under a relaxed policy, not synced. */
  #unsynced: Set<RoundMember> = new Set();
  #wishes: SyncWish[] = [];
  #syncDue = false;
  #cancelTimer: (() => void) | null = null;
  #running = false;
  #dead: Error | null = null;

  constructor(
    options: { readonly policy: SyncPolicy; readonly intervalMs: number },
    dependencies: SyncRoundsDependencies,
  ) {
    assert(options.policy !== 'interval' || options.intervalMs > 0);
    this.#policy = options.policy;
    this.#intervalMs = options.intervalMs;
    this.#dependencies = dependencies;
  }

  /** Whether appends of this member are synced before they are called durable. */
  isPersisted(member: RoundMember): boolean {
    return this.#policy === 'always' || member.durabilityPersisted;
  }

  /** The member has something queued: it takes part in the next round. */
  enqueue(member: RoundMember): void {
    if (this.#dead !== null) return;
    this.#dirty.add(member);
    this.#start();
  }

  /** Settles when everything the member has appended so far is written and synced. */
  sync(member: RoundMember): Promise<void> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    return new Promise((resolve, reject) => {
      this.#wishes.push({ member, resolve, reject });
      this.#start();
    });
  }

  /** The member is closed. It has nothing queued. */
  forget(member: RoundMember): void {
    assert(!this.#dirty.has(member));
    this.#unsynced.delete(member);
  }

  /** Stops the timer of `interval`. Logs sync themselves when they close. */
  close(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #start(): void {
    if (this.#running) return;
    this.#running = true;
    // A microtask: what one turn appends goes into one round.
    queueMicrotask(() => {
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    try {
      while (this.#dirty.size > 0 || this.#wishes.length > 0 || this.#syncDue) await this.#round();
      this.#running = false;
    } catch (cause) {
      this.#fail(cause);
    }
  }

  async #round(): Promise<void> {
    const writing = this.#dirty;
    const wishes = this.#wishes;
    this.#dirty = new Set();
    this.#wishes = [];
    try {
      const startUs = this.#dependencies.monotonicUs();
      const bytes = await writeAll(writing);
      const writtenUs = this.#dependencies.monotonicUs();
      await this.#syncAll(writing, wishes);
      const syncedUs = this.#dependencies.monotonicUs();
      for (const member of writing) member.finishRound();
      const [writeUs, syncUs] = [writtenUs - startUs, syncedUs - writtenUs];
      this.#dependencies.onRound({ logs: writing.size, bytes, writeUs, syncUs });
    } catch (cause) {
      // Those who wait learn of it together with those who come later.
      this.#wishes.push(...wishes);
      throw cause;
    }
    for (const wish of wishes) wish.resolve();
  }

  async #syncAll(writing: ReadonlySet<RoundMember>, wishes: readonly SyncWish[]): Promise<void> {
    const syncing = new Set<RoundMember>();
    for (const { member } of wishes) syncing.add(member);
    if (this.#syncDue) {
      this.#syncDue = false;
      for (const member of this.#unsynced) syncing.add(member);
    }
    for (const member of writing) {
      if (this.isPersisted(member)) syncing.add(member);
      else if (this.#policy === 'interval') this.#unsynced.add(member);
    }
    for (const member of syncing) this.#unsynced.delete(member);
    this.#maybeStartTimer();
    await allOf([...syncing].map((member) => member.syncRound()));
  }

  #maybeStartTimer(): void {
    if (this.#policy !== 'interval' || this.#unsynced.size === 0) return;
    if (this.#cancelTimer !== null) return;
    this.#cancelTimer = this.#dependencies.startTimer(this.#intervalMs, () => {
      this.#cancelTimer = null;
      this.#syncDue = true;
      this.#start();
    });
  }

  /** `running` stays true: there is no further round. */
  #fail(cause: unknown): void {
    const error = new Error('log: a sync round failed; the process has to end', { cause });
    this.#dead = error;
    this.close();
    for (const wish of this.#wishes.splice(0)) wish.reject(error);
    this.#dependencies.onFatal(error);
  }
}

async function writeAll(members: ReadonlySet<RoundMember>): Promise<number> {
  const writes: Promise<number>[] = [];
  for (const member of members) writes.push(member.writeRound());
  let bytes = 0;
  for (const written of await allOf(writes)) bytes += written;
  return bytes;
}

/** Waits for all of them, then rejects with the first error, so that nothing runs on behind it. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
