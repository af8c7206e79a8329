/**
 * Client protocol versions that are served. A version is packed as major << 20 | minor << 10 |
 * patch. Another minor that is compatible on the wire is one more row.
 *
 * source   wire.md 6.1, semantics.md 2.2
 */

interface VersionWindow {
  /** Least version that is accepted. */
  readonly first: number;
  /** Greatest version that is accepted: any patch of the same minor. */
  readonly last: number;
}

const ACCEPTED: readonly VersionWindow[] = [{ first: packed(0, 11, 0), last: packed(0, 11, 1023) }];

/** What the login reply says of the server. */
export const PROTOCOL_VERSION: number = packed(0, 11, 0);
/** The release whose clients are served; what the login reply and GetStats name. */
export const SERVER_VERSION = '0.9.0';
/** The same as major × 1 000 000 + minor × 1 000 + patch. */
export const SERVER_SEMVER = 9000;

/** The window an eviction names: its ends are the server's version and that without a patch. */
export const PROTOCOL_WINDOW: { readonly version: number; readonly versionMin: number } = {
  version: PROTOCOL_VERSION,
  versionMin: ACCEPTED[0]!.first,
};

/** Whether a client of this packed version may log in. */
export function isVersionAccepted(version: number): boolean {
  return ACCEPTED.some(({ first, last }) => version >= first && version <= last);
}

function packed(major: number, minor: number, patch: number): number {
  return (major << 20) | (minor << 10) | patch;
}
