import assert from 'node:assert/strict';
import { argon2, timingSafeEqual } from 'node:crypto';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Hasher, RandomBytes } from './dependencies.ts';

// Argon2id, in the text form that all Argon2 libraries share:
//
//   $argon2id$v=19$m=19456,t=2,p=1$<salt>$<tag>        base64 without padding
//
// The parameters stand in the text, so stored hashes stay valid when the defaults change.

export interface PasswordOptions {
  /** Memory of one computation. */
  readonly memoryKiB: number;
  readonly passes: number;
  /** Computations at the same time; each holds a thread and its memory. */
  readonly runningMax: number;
  /** Computations that may wait for those; one more is refused. */
  readonly waitingMax: number;
}

/** What OWASP recommends as the least for Argon2id; 30 ms on one core of the build machine. */
export const PASSWORD_DEFAULTS: PasswordOptions = {
  memoryKiB: 19_456,
  passes: 2,
  runningMax: 4,
  waitingMax: 256,
};

const SALT_BYTES = 16;
const TAG_BYTES = 32;
const TEXT =
  /^\$argon2id\$v=19\$m=(?<memory>\d{1,7}),t=(?<passes>\d{1,2}),p=(?<lanes>\d{1,2})\$(?<salt>[A-Za-z0-9+/]{11,86})\$(?<tag>[A-Za-z0-9+/]{16,86})$/u;
/** A stored text may not make the server compute without bound. */
const MEMORY_KIB_MAX = 262_144;
const PASSES_MAX = 16;
const LANES_MAX = 16;

interface Computation {
  readonly password: string;
  readonly salt: Uint8Array;
  readonly memoryKiB: number;
  readonly passes: number;
  readonly lanes: number;
  readonly tagBytes: number;
}

/**
 * Hashes passwords off the event loop, a few at a time.
 *
 * errors   58: too many wait already
 * cost     one thread of the pool and `memoryKiB` for about 30 ms
 */
export class PasswordHasher implements Hasher {
  readonly #options: PasswordOptions;
  readonly #randomBytes: RandomBytes;
  readonly #waiting: (() => void)[] = [];
  #runningCount = 0;

  constructor(options: PasswordOptions, dependencies: { readonly randomBytes: RandomBytes }) {
    assert(options.runningMax > 0);
    assert(options.memoryKiB >= 8 && options.memoryKiB <= MEMORY_KIB_MAX);
    assert(options.passes > 0 && options.passes <= PASSES_MAX);
    this.#options = options;
    this.#randomBytes = dependencies.randomBytes;
  }

  async hash(password: string): Promise<string> {
    const { memoryKiB, passes } = this.#options;
    const salt = this.#randomBytes(SALT_BYTES);
    assert(salt.length === SALT_BYTES);
    const computation = { password, salt, memoryKiB, passes, lanes: 1, tagBytes: TAG_BYTES };
    const tag = await this.#compute(computation);
    return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=1$${format(salt)}$${format(tag)}`;
  }

  /** False for every text that is not a hash of this password, also for one it cannot read. */
  async verify(password: string, hash: string): Promise<boolean> {
    const groups = TEXT.exec(hash)?.groups;
    if (groups === undefined) return false;
    const memoryKiB = Number(groups['memory']);
    const passes = Number(groups['passes']);
    const lanes = Number(groups['lanes']);
    if (memoryKiB > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX) return false;
    if (lanes === 0 || passes === 0 || memoryKiB < 8 * lanes) return false;
    const salt = Buffer.from(groups['salt']!, 'base64');
    const tag = Buffer.from(groups['tag']!, 'base64');
    const computation = { password, salt, memoryKiB, passes, lanes, tagBytes: tag.length };
    return timingSafeEqual(await this.#compute(computation), tag);
  }

  async #compute(computation: Computation): Promise<Uint8Array> {
    await this.#enter();
    try {
      return await run(computation);
    } finally {
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#runningCount < this.#options.runningMax) {
      this.#runningCount += 1;
      return;
    }
    if (this.#waiting.length >= this.#options.waitingMax) {
      throw new OperatingError(STATUS.transientNotAccepted);
    }
    // Whoever leaves hands its place over, so the count stays as it is.
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#runningCount -= 1;
    else next();
  }
}

function run(computation: Computation): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const parameters = {
    message: Buffer.from(computation.password, 'utf8'),
    nonce: computation.salt,
    parallelism: computation.lanes,
    tagLength: computation.tagBytes,
    memory: computation.memoryKiB,
    passes: computation.passes,
  };
  argon2('argon2id', parameters, (error, tag) => {
    if (error === null) resolve(tag);
    else reject(error);
  });
  return promise;
}

function format(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '');
}
