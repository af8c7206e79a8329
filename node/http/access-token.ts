import { randomBytes } from 'node:crypto';
import {
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  type JWTVerifyGetKey,
  jwtVerify,
  SignJWT,
} from 'jose';
import type { Clock } from '../base/clock.ts';
import type { Config } from '../config/config.ts';

// Access tokens: JWTs that this server signs, and those of issuers that it trusts.

const US_PER_MS = 1000;
const US_PER_S = 1_000_000;
/** What "never" means: about 31 years. */
const NEVER_S = 1_000_000_000;
const SECRET_BYTES = 64;
const USER_ID_MAX = 0xffff_ffff;
/** A longer text is not worth decoding. */
const TOKEN_LENGTH_MAX = 16_384;
const KEYS_COOLDOWN_MS = 10_000;
const KEYS_TIMEOUT_MS = 5_000;
const TRUSTED_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'];

export interface VerifiedToken {
  readonly userId: number;
  /** Tells credentials apart. */
  readonly id: string;
  /** Whether this server has signed it. */
  readonly isOwn: boolean;
  /** When its user was created; null in a token of another issuer. */
  readonly sinceUs: number | null;
}

interface TrustedIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly userId: number;
  readonly keys: JWTVerifyGetKey;
}

/** Signs and verifies access tokens. */
export class AccessTokens {
  readonly #options: Config['http']['jwt'];
  readonly #clock: Clock;
  readonly #signingKey: Uint8Array;
  readonly #verifyingKey: Uint8Array;
  readonly #trusted: readonly TrustedIssuer[];

  constructor(options: Config['http']['jwt'], clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    const { encodingSecret, decodingSecret, useBase64Secret } = options;
    const drawn = randomBytes(SECRET_BYTES);
    const keyOf = (first: string, second: string): Uint8Array => {
      const secret = first === '' ? second : first;
      return secret === '' ? drawn : Buffer.from(secret, useBase64Secret ? 'base64' : 'utf8');
    };
    this.#signingKey = keyOf(encodingSecret, decodingSecret);
    this.#verifyingKey = keyOf(decodingSecret, encodingSecret);
    // An entry that maps to the root user is refused at the start; here it is not even known.
    this.#trusted = options.trustedIssuers
      .filter(({ userId, jwksUrl }) => userId !== 0 && URL.canParse(jwksUrl))
      .map(({ issuer, jwksUrl, audience, userId }) => ({
        issuer: normalIssuer(issuer),
        audience,
        userId,
        keys: createRemoteJWKSet(new URL(jwksUrl), {
          cooldownDuration: KEYS_COOLDOWN_MS,
          timeoutDuration: KEYS_TIMEOUT_MS,
        }),
      }));
  }

  /** A new token, and when it expires, in seconds since 1970. */
  async issue(
    userId: number,
    sinceUs: number,
  ): Promise<{ readonly token: string; readonly expiryS: number }> {
    const { algorithm, issuer, audience, accessTokenExpiryUs, notBeforeUs } = this.#options;
    const wallUs = this.#clock.wallUs();
    const nowS = Math.floor(wallUs / US_PER_S);
    const lifeS = Number.isFinite(accessTokenExpiryUs)
      ? Math.floor(accessTokenExpiryUs / US_PER_S)
      : NEVER_S;
    const expiryS = nowS + lifeS;
    const token = await new SignJWT({ since: sinceUs })
      .setProtectedHeader({ typ: 'JWT', alg: algorithm })
      .setJti(uuidV7(wallUs))
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(String(userId))
      .setIssuedAt(nowS)
      .setExpirationTime(expiryS)
      .setNotBefore(nowS + Math.floor(notBeforeUs / US_PER_S))
      .sign(this.#signingKey);
    return { token, expiryS };
  }

  /** Whose token it is; null when it is not good, whatever the reason. */
  async verify(token: string): Promise<VerifiedToken | null> {
    if (token.length > TOKEN_LENGTH_MAX) return null;
    try {
      const trusted = this.#trustedIssuerOf(token);
      return trusted === null
        ? await this.#verifyOwn(token)
        : await this.#verifyTrusted(token, trusted);
    } catch {
      // Signature, times, issuer, audience or form: the client learns that it has to log in.
      return null;
    }
  }

  async #verifyOwn(token: string): Promise<VerifiedToken | null> {
    const { algorithm, validIssuers, validAudiences } = this.#options;
    const { payload } = await jwtVerify(token, this.#verifyingKey, {
      algorithms: [algorithm],
      issuer: [...validIssuers],
      audience: [...validAudiences],
      requiredClaims: ['exp', 'sub', 'since'],
      ...this.#times(),
    });
    const { sub = '', jti, since } = payload;
    const userId = /^\d{1,10}$/u.test(sub) ? Number(sub) : Number.NaN;
    if (!(userId <= USER_ID_MAX) || typeof since !== 'number') return null;
    return { userId, id: jti ?? token, isOwn: true, sinceUs: since };
  }

  async #verifyTrusted(token: string, trusted: TrustedIssuer): Promise<VerifiedToken> {
    const { iss } = decodeJwt(token);
    await jwtVerify(token, trusted.keys, {
      algorithms: TRUSTED_ALGORITHMS,
      issuer: iss!,
      audience: trusted.audience,
      requiredClaims: ['exp'],
      ...this.#times(),
    });
    return { userId: trusted.userId, id: token, isOwn: false, sinceUs: null };
  }

  /** The issuer that the token names, unverified; null for our own. */
  #trustedIssuerOf(token: string): TrustedIssuer | null {
    if (this.#trusted.length === 0) return null;
    const { iss } = decodeJwt(token);
    if (iss === undefined || decodeProtectedHeader(token).kid === undefined) return null;
    const issuer = normalIssuer(iss);
    return this.#trusted.find((entry) => entry.issuer === issuer) ?? null;
  }

  #times(): { readonly clockTolerance: number; readonly currentDate: Date } {
    return {
      clockTolerance: Math.floor(this.#options.clockSkewUs / US_PER_S),
      currentDate: new Date(this.#clock.wallUs() / US_PER_MS),
    };
  }
}

/** Scheme and host of an issuer in lower case. */
function normalIssuer(issuer: string): string {
  return issuer.replace(/^[a-z]+:\/\/[^/]*/iu, (start) => start.toLowerCase());
}

function uuidV7(wallUs: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Math.floor(wallUs / US_PER_MS), 0, 6);
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = bytes.toString('hex');
  return [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ]
    .map(([from, to]) => hex.slice(from, to))
    .join('-');
}
