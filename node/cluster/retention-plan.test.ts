import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  planTrim,
  type RetainedSegment,
  type RetentionRules,
  shareBytesOf,
} from './retention-plan.ts';

const MIB = 1024 * 1024;

/** Three sealed segments of 10 messages and 1 MiB each, newest message at 100, 200, 300; an active one. */
const SEGMENTS: readonly RetainedSegment[] = [
  { offsetFirst: 0, offsetEnd: 10, bytes: MIB, timestampLastUs: 100, sealed: true },
  { offsetFirst: 10, offsetEnd: 20, bytes: MIB, timestampLastUs: 200, sealed: true },
  { offsetFirst: 20, offsetEnd: 30, bytes: MIB, timestampLastUs: 300, sealed: true },
  { offsetFirst: 30, offsetEnd: 35, bytes: MIB / 2, timestampLastUs: 350, sealed: false },
];

const KEEP_ALL: RetentionRules = {
  nowUs: 1000,
  expiryUs: Infinity,
  shareBytes: Infinity,
  watermark: 0,
  offsetStoredMin: null,
};

const CASES: readonly { title: string; rules: Partial<RetentionRules>; offset: number | null }[] = [
  { title: 'keeps everything without a reason', rules: {}, offset: null },
  {
    title: 'drops a segment whose newest message has exactly the age of the expiry',
    rules: { expiryUs: 800 },
    offset: 20,
  },
  {
    title: 'keeps a segment whose newest message is a microsecond younger',
    rules: { expiryUs: 801 },
    offset: 10,
  },
  { title: 'never drops the active segment by age', rules: { expiryUs: 0 }, offset: 30 },
  {
    title: 'drops the oldest until the sealed bytes fit',
    rules: { shareBytes: 2 * MIB },
    offset: 10,
  },
  { title: 'counts a byte too many', rules: { shareBytes: 2 * MIB - 1 }, offset: 20 },
  { title: 'does not count the active segment', rules: { shareBytes: 3 * MIB }, offset: null },
  { title: 'never drops the active segment by size', rules: { shareBytes: 0 }, offset: 30 },
  { title: 'drops what was asked for', rules: { watermark: 20 }, offset: 20 },
  { title: 'drops whole segments only', rules: { watermark: 19 }, offset: 10 },
  { title: 'ignores a watermark behind the end', rules: { watermark: 99 }, offset: 30 },
  {
    title: 'keeps a segment whose last message a consumer has not processed',
    rules: { expiryUs: 0, offsetStoredMin: 18 },
    offset: 10,
  },
  {
    title: 'drops a segment whose last message every consumer has processed',
    rules: { expiryUs: 0, offsetStoredMin: 19 },
    offset: 20,
  },
  {
    title: 'holds a watermark back, too, until the consumers have moved',
    rules: { watermark: 30, offsetStoredMin: 0 },
    offset: null,
  },
  {
    title: 'takes the farther of two reasons',
    rules: { shareBytes: 2 * MIB, watermark: 20 },
    offset: 20,
  },
];

describe('planTrim', () => {
  for (const { title, rules, offset } of CASES) {
    it(title, () => {
      assert.equal(planTrim(SEGMENTS, { ...KEEP_ALL, ...rules }), offset);
    });
  }

  it('has nothing to trim in an empty partition', () => {
    assert.equal(planTrim([], { ...KEEP_ALL, expiryUs: 0 }), null);
  });

  it('ends at a segment boundary, honours barrier and share, and has nothing to add when run again', () => {
    const bounds = fc.array(
      fc.record({ count: fc.integer({ min: 1, max: 9 }), bytes: fc.integer({ min: 1, max: 99 }) }),
      { maxLength: 9 },
    );
    const rules = fc.record({
      nowUs: fc.nat(100),
      expiryUs: fc.oneof(fc.constant(Infinity), fc.nat(100)),
      shareBytes: fc.oneof(fc.constant(Infinity), fc.nat(300)),
      watermark: fc.nat(60),
      offsetStoredMin: fc.oneof(fc.constant(null), fc.nat(60)),
    });
    fc.assert(
      fc.property(bounds, rules, (parts, rule) => {
        const segments = segmentsOf(parts);
        const offset = planTrim(segments, rule);
        if (offset === null) return;
        const kept = segments.filter((segment) => segment.offsetFirst >= offset);
        assert.ok(segments.some((segment) => segment.sealed && segment.offsetEnd === offset));
        if (rule.offsetStoredMin !== null) assert.ok(offset - 1 <= rule.offsetStoredMin);
        assert.equal(planTrim(kept, rule), null);
      }),
    );
  });
});

describe('shareBytesOf', () => {
  it('divides the limit of the topic by its partitions, and is at least one segment', () => {
    assert.equal(
      shareBytesOf({ bytesMax: 12 * MIB, partitionsCount: 3, segmentBytes: MIB }),
      4 * MIB,
    );
    assert.equal(shareBytesOf({ bytesMax: 2 * MIB, partitionsCount: 3, segmentBytes: MIB }), MIB);
    assert.equal(
      shareBytesOf({ bytesMax: Infinity, partitionsCount: 3, segmentBytes: MIB }),
      Infinity,
    );
  });
});

function segmentsOf(parts: readonly { count: number; bytes: number }[]): RetainedSegment[] {
  let offset = 0;
  return parts.map(({ count, bytes }, index) => {
    const offsetFirst = offset;
    offset += count;
    const sealed = index < parts.length - 1;
    return { offsetFirst, offsetEnd: offset, bytes, timestampLastUs: index * 10, sealed };
  });
}
