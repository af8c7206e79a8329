import assert from 'node:assert/strict';
import { blake3 } from '@noble/hashes/blake3.js';
import type { RandomBytes } from './dependencies.ts';

// A personal access token is shown once and never stored: the state keeps its BLAKE3 hash. A slow
// hash would add nothing, because 50 random bytes cannot be guessed.

const TOKEN_BYTES = 50;
const TOKEN_LENGTH = 68;
/** No token is longer; a longer text is not worth hashing. */
const TOKEN_LENGTH_MAX = 255;

/** A new token: 68 characters of base64. */
export function drawToken(randomBytes: RandomBytes): string {
  const bytes = randomBytes(TOKEN_BYTES);
  assert(bytes.length === TOKEN_BYTES);
  const token = Buffer.from(bytes).toString('base64');
  assert(token.length === TOKEN_LENGTH);
  return token;
}

/** What is stored of a token: BLAKE3 of its text, 64 hex characters; null for no possible token. */
export function hashToken(token: string): string | null {
  if (token.length === 0 || token.length > TOKEN_LENGTH_MAX) return null;
  return Buffer.from(blake3(Buffer.from(token, 'utf8'))).toString('hex');
}
