/** A segment has no more ops than this, the roll that ends it included. */
export const OPS_PER_SEGMENT_MAX = 262_143;

/** A position in `.log` is a u32. */
export const LOG_BYTES_MAX = 0xffff_ffff;

/** Bytes of a relaxed log that may be written and not synced; recovery relies on it. */
export const UNSYNCED_BYTES_MAX: number = 64 * 1024 * 1024;

/** Snapshots on disk: the newest, and one to fall back to. */
export const SNAPSHOTS_KEPT = 2;

/** From here on a relaxed log is synced behind the service, so that it never has to wait for it. */
export const EARLY_SYNC_BYTES: number = 8 * 1024 * 1024;
