import type { Identifier } from '@iggy-ts/wire/commands/values';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { encodeUtf8 } from '@iggy-ts/wire/utf8';
import { xxh32 } from '@iggy-ts/wire/xxh32';
import type { MetadataState } from '../state/metadata-state.ts';
import type { Actor } from './actor.ts';

/**
 * Key under which offsets of a single consumer are stored: its number, or the hash of its name,
 * which may be the number of somebody else.
 *
 * source   semantics 0.9, 11.1
 */
export function consumerKey(id: Identifier): number {
  return id.kind === 'id' ? id.id : xxh32(encodeUtf8(id.name));
}

/**
 * Client id whose memberships count where those of another session may have been lent to the
 * connection; null for a caller without a session.
 *
 * errors   30: the session they were borrowed from has ended
 * source   semantics 0.9, 10
 */
export function borrowingMember(state: MetadataState, { session }: Actor): string | null {
  if (session === null) return null;
  const { attached } = session;
  if (attached === null) return session.client;
  if (state.findSession(attached.client)?.epoch !== attached.epoch) {
    throw new OperatingError(STATUS.staleClient);
  }
  return attached.client;
}
