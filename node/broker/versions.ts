import { PROTOCOL_VERSION, packVersion } from '@iggy-ts/wire/v09/login';
import type { ProtocolWindow } from './port.ts';

/**
 * Client protocol versions that are served, packed as major << 20 | minor << 10 | patch. Another
 * minor that is compatible on the wire is one more row.
 *
 * source   wire.md 6.1, semantics.md 2.2
 */
const ACCEPTED: readonly { readonly first: number; readonly last: number }[] = [
  { first: packVersion(0, 11, 0), last: packVersion(0, 11, 1023) },
];

export { PROTOCOL_VERSION };
/** The release whose clients are served; what the login reply and GetStats name. */
export const SERVER_VERSION = '0.9.0';
/** The same as major × 1 000 000 + minor × 1 000 + patch. */
export const SERVER_SEMVER = 9000;

/** The window an eviction names: its ends are the server's version and that without a patch. */
export const PROTOCOL_WINDOW: ProtocolWindow = {
  version: PROTOCOL_VERSION,
  versionMin: ACCEPTED[0]!.first,
};

/** Whether a client of this packed version may log in. */
export function isVersionAccepted(version: number): boolean {
  return ACCEPTED.some(({ first, last }) => version >= first && version <= last);
}
