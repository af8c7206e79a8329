/** The release whose clients are served; what the login reply and GetStats name. */
export const SERVER_VERSION = '0.9.0';
/** The same as major × 1 000 000 + minor × 1 000 + patch. */
export const SERVER_SEMVER = 9000;
