import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import type { Clock } from '../base/clock.ts';
import type { Broker } from '../broker/port.ts';
import type { Config } from '../config/config.ts';
import { AccessTokens, type VerifiedToken } from './access-token.ts';

/** Who a request comes from. */
export interface Credential {
  readonly userId: number;
  /** Tells credentials apart: id of an access token, or the personal access token. */
  readonly id: string;
}

/** Turns what a request bears into a user. Asks the broker each time: a user may be gone since. */
export class Authentication {
  readonly #broker: Broker;
  readonly #tokens: AccessTokens;

  constructor(
    options: Config['http']['jwt'],
    { broker, clock }: { readonly broker: Broker; readonly clock: Clock },
  ) {
    this.#broker = broker;
    this.#tokens = new AccessTokens(options, clock);
  }

  /**
   * The credential of an `authorization` header: an access token, or a personal access token as it
   * is.
   *
   * errors   77 nothing is borne; 40 it is not good, or its user may not act any more
   */
  async credentialOf(header: string | undefined): Promise<Credential> {
    const bearer = /^bearer +(?<token>\S+) *$/iu.exec(header ?? '')?.groups?.['token'];
    if (bearer === undefined) throw new OperatingError(STATUS.accessTokenMissing);
    // A JWT has two dots, a personal access token has none.
    if (bearer.includes('.')) return this.#verified(bearer);
    const credential = this.#raw(bearer);
    if (credential === null || !this.#broker.userMayAct(credential.userId)) {
      throw new OperatingError(STATUS.unauthenticated);
    }
    return credential;
  }

  /** User of an access token that may be exchanged for a new one. errors: 40 */
  async refreshable(token: string): Promise<number> {
    const verified = await this.#verified(token);
    if (!verified.isOwn) throw new OperatingError(STATUS.unauthenticated);
    return verified.userId;
  }

  /** errors: 40 the user may not act any more */
  async issue(userId: number): Promise<{ readonly token: string; readonly expiryS: number }> {
    const sinceUs = this.#broker.userSinceUs(userId);
    if (sinceUs === null) throw new OperatingError(STATUS.unauthenticated);
    return this.#tokens.issue(userId, sinceUs);
  }

  /** A token that is good, of a user who is still the one it was given to. errors: 40 */
  async #verified(token: string): Promise<VerifiedToken> {
    const verified = await this.#tokens.verify(token);
    const sinceUs = verified === null ? null : this.#broker.userSinceUs(verified.userId);
    const isSame = verified?.sinceUs === null || verified?.sinceUs === sinceUs;
    if (verified === null || sinceUs === null || !isSame) {
      throw new OperatingError(STATUS.unauthenticated);
    }
    return verified;
  }

  #raw(token: string): Credential | null {
    try {
      return { userId: this.#broker.verifyToken(token), id: token };
    } catch (error) {
      if (error instanceof OperatingError) return null;
      throw error;
    }
  }
}
