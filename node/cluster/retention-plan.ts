import assert from 'node:assert/strict';

// Which part of a partition may go. Whole sealed segments, oldest first:
//
//   | sealed 0 | sealed 1 | sealed 2 | sealed 3 | active ...
//   first                 ^trim to (everything below has a reason to go and nothing that holds it)
//
// A segment goes when it has a reason:
//   expired    its newest message is older than the expiry, by log time
//   size       the sealed bytes from it on are more than the partition's share of the topic's limit
//   watermark  somebody asked for its deletion before (DeleteSegments)
// and the barrier does not hold it: every stored offset has reached its last message.
//
// The active segment never goes and its bytes do not count, so that a partition keeps at most its
// share and one segment. The share is never below one segment: a limit as small as a segment
// would else drop what was sealed a moment ago.

/** A segment as the plan sees it. Ranges are `[first, end)`. */
export interface RetainedSegment {
  readonly offsetFirst: number;
  readonly offsetEnd: number;
  readonly bytes: number;
  /** Server time of its newest message. */
  readonly timestampLastUs: number;
  readonly sealed: boolean;
}

export interface RetentionRules {
  /** Log time now. */
  readonly nowUs: number;
  /** Infinity: never. */
  readonly expiryUs: number;
  /** Infinity: unlimited. */
  readonly shareBytes: number;
  /** Everything below is to go; 0 for none. */
  readonly watermark: number;
  /** Smallest stored offset of any consumer or group; null when nothing is stored. */
  readonly offsetStoredMin: number | null;
}

/**
 * Share of one partition of its topic's size limit.
 *
 * units    bytes; Infinity is unlimited
 */
export function shareBytesOf(topic: {
  readonly bytesMax: number;
  readonly partitionsCount: number;
  readonly segmentBytes: number;
}): number {
  assert(topic.partitionsCount > 0);
  return Math.max(Math.floor(topic.bytesMax / topic.partitionsCount), topic.segmentBytes);
}

/**
 * The offset up to which (exclusive) a partition is to be trimmed, or null when everything stays.
 *
 * shape    segments oldest first, without gaps
 * cost     O(segments), no allocation
 * source   semantics 0.9 section 15
 */
export function planTrim(
  segments: readonly RetainedSegment[],
  rules: RetentionRules,
): number | null {
  let sealedBytes = 0;
  for (const segment of segments) if (segment.sealed) sealedBytes += segment.bytes;
  let offset: number | null = null;
  for (const segment of segments) {
    if (!segment.sealed) break;
    if (!mayGo(segment, rules.offsetStoredMin)) break;
    const expired = segment.timestampLastUs + rules.expiryUs <= rules.nowUs;
    const excess = sealedBytes > rules.shareBytes;
    const asked = segment.offsetEnd <= rules.watermark;
    if (!expired && !excess && !asked) break;
    sealedBytes -= segment.bytes;
    offset = segment.offsetEnd;
  }
  return offset;
}

/** Whether every stored offset has reached the last message of the segment. */
function mayGo(segment: RetainedSegment, offsetStoredMin: number | null): boolean {
  return offsetStoredMin === null || segment.offsetEnd - 1 <= offsetStoredMin;
}
