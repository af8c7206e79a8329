import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { encodeUtf8 } from '@iggy-ts/wire/utf8';
import type { Clock } from '../base/clock.ts';
import type { MetadataState } from '../state/metadata-state.ts';
import type { UserView } from '../state/metadata-tables.ts';
import type { Hasher } from './dependencies.ts';
import { type LoginRequest, SessionEnded } from './port.ts';
import { hashToken } from './tokens.ts';

const INVALID_CREDENTIALS = 9;
const INVALID_TOKEN = 10;
const USER_INACTIVE = 11;

const NAME_BYTES_MIN = 3;
const NAME_BYTES_MAX = 50;
const PASSWORD_BYTES_MIN = 3;
const PASSWORD_BYTES_MAX = 100;

export interface CredentialsDependencies {
  readonly state: MetadataState;
  readonly hasher: Hasher;
  readonly clock: Clock;
}

/**
 * Who a user name with a password, or a token, is. An unknown user costs as much time as a wrong
 * password, and nothing in the answer tells them apart.
 *
 * source   semantics 0.9, 2.3; wire 0.9, 6.4
 */
export class Credentials {
  readonly #state: MetadataState;
  readonly #hasher: Hasher;
  readonly #clock: Clock;
  /** Hash of a password nobody has. */
  #dummy: Promise<string> | null = null;

  constructor(dependencies: CredentialsDependencies) {
    this.#state = dependencies.state;
    this.#hasher = dependencies.hasher;
    this.#clock = dependencies.clock;
  }

  /** Makes the hash that unknown users are checked against, so that the first of them waits no longer. */
  async prepare(): Promise<void> {
    await this.#dummyHash();
  }

  /** The user of a login. errors: SessionEnded 9, 10, 11; OperatingError 58 */
  async loginUser(request: LoginRequest): Promise<number> {
    if (request.kind === 'token') {
      const user = this.#userOfToken(request.token);
      if (user === null) throw new SessionEnded(INVALID_TOKEN);
      if (user.status !== 'active') throw new SessionEnded(USER_INACTIVE);
      return user.id;
    }
    const user = await this.#userOfPassword(request.username, request.password);
    if (user === null) throw new SessionEnded(INVALID_CREDENTIALS);
    return user.id;
  }

  /** errors: 42 for every failure; 58 */
  async verifyPassword(username: string, password: string): Promise<number> {
    const user = await this.#userOfPassword(username, password);
    if (user === null) throw new OperatingError(STATUS.invalidCredentials);
    return user.id;
  }

  /** errors: 53 unknown or expired, 47 inactive user */
  verifyToken(token: string): number {
    const user = this.#userOfToken(token);
    if (user === null) throw new OperatingError(STATUS.invalidPersonalAccessToken);
    if (user.status !== 'active') throw new OperatingError(STATUS.userInactive);
    return user.id;
  }

  async #userOfPassword(username: string, password: string): Promise<UserView | null> {
    if (!isUsername(username) || !isPassword(password)) return null;
    const named = this.#state.findUser({ kind: 'name', name: username });
    const hash = named?.passwordHash ?? (await this.#dummyHash());
    const isRight = await this.#hasher.verify(password, hash);
    // The user may have been deleted, renamed or given another password while this was computed.
    const user = this.#state.findUser({ kind: 'name', name: username });
    if (!isRight || user === null || user !== named || user.passwordHash !== hash) return null;
    return user.status === 'active' ? user : null;
  }

  #userOfToken(token: string): UserView | null {
    const tokenHash = hashToken(token);
    const found = tokenHash === null ? null : this.#state.findToken(tokenHash);
    if (found === null) return null;
    if (found.expiryAtUs !== null && found.expiryAtUs <= this.#clock.wallUs()) return null;
    return this.#state.findUser({ kind: 'id', id: found.userId });
  }

  /** Made once; tried again when there was no room for it. */
  async #dummyHash(): Promise<string> {
    this.#dummy ??= this.#hasher.hash('nobody');
    try {
      return await this.#dummy;
    } catch (error) {
      this.#dummy = null;
      throw error;
    }
  }
}

/** Whether a user can have this name. */
export function isUsername(text: string): boolean {
  return isWithin(text, NAME_BYTES_MIN, NAME_BYTES_MAX);
}

/** Whether a user can have this password. */
export function isPassword(text: string): boolean {
  return isWithin(text, PASSWORD_BYTES_MIN, PASSWORD_BYTES_MAX);
}

function isWithin(text: string, bytesMin: number, bytesMax: number): boolean {
  // A character is 1 to 4 bytes, at most 3 per unit: longer texts need no encoding to be refused.
  if (text.length > bytesMax) return false;
  const { length } = encodeUtf8(text);
  return length >= bytesMin && length <= bytesMax;
}
