import assert from 'node:assert/strict';
import { parseBytesText, parseExpiryText, parseSizeText } from './option-text.ts';

const FOREVER = Number.POSITIVE_INFINITY;

describe('Option texts', () => {
  it('are durations in parts, in any usual unit', () => {
    const rows: readonly [string, number | null][] = [
      ['7 days', 604_800_000_000],
      ['1h 30m', 5_400_000_000],
      ['1 h 30 min', 5_400_000_000],
      ['2 WEEKS', 1_209_600_000_000],
      ['1M', 2_630_016_000_000],
      ['1m', 60_000_000],
      ['15 ms', 15_000],
      ['250', 250],
      ['never', FOREVER],
      ['Unlimited', FOREVER],
      ['18446744073709551615', FOREVER],
      ['server_default', 0],
      ['0', 0],
      ['', null],
      ['days', null],
      ['7 fortnights', null],
      ['-7 days', null],
      ['7 days x', null],
      ['9007199254740993', null],
    ];
    for (const [text, expected] of rows) assert.equal(parseExpiryText(text), expected, text);
  });

  it('are bytes with decimal or binary units', () => {
    const rows: readonly [string, number | null][] = [
      ['128 MiB', 134_217_728],
      ['128mib', 134_217_728],
      ['1.5 KiB', 1536],
      ['100 KB', 100_000],
      ['2048', 2048],
      ['7 B', 7],
      ['default', 0],
      ['unlimited', null],
      ['MiB', null],
      ['1 MiB 2', null],
      ['1e3', null],
      ['10000000 TiB', null],
    ];
    for (const [text, expected] of rows) assert.equal(parseBytesText(text), expected, text);
  });

  it('are unlimited for a size that has no limit', () => {
    assert.equal(parseSizeText('unlimited'), FOREVER);
    assert.equal(parseSizeText('10 GiB'), 10 * 1024 ** 3);
    assert.equal(parseSizeText('lots'), null);
  });
});
