import assert from 'node:assert/strict';
import fc from 'fast-check';
import { editDistance, nearest } from './nearest.ts';
import {
  formatBytes,
  formatDurationUs,
  parseAddress,
  parseBool,
  parseBytes,
  parseDurationUs,
  parseExpiryUs,
  parseLogLevel,
  parseMaxTopicSizeBytes,
  parseTextList,
  parseU32,
} from './values.ts';

const SECOND = 1_000_000;

describe('values of settings', () => {
  it('reads durations as people write them', () => {
    assert.equal(parseDurationUs('10 s'), 10 * SECOND);
    assert.equal(parseDurationUs('1h 30m'), 5400 * SECOND);
    assert.equal(parseDurationUs('7 days'), 7 * 86_400 * SECOND);
    assert.equal(parseDurationUs('250ms'), 250_000);
    assert.equal(parseDurationUs('1 M'), 2_630_016 * SECOND);
    assert.equal(parseDurationUs('1 m'), 60 * SECOND);
    assert.equal(parseDurationUs('1 ns'), 1);
    for (const zero of ['0', 'none', 'Disabled', 'unlimited'])
      assert.equal(parseDurationUs(zero), 0);
    for (const bad of ['', '10', 's', '10 parsecs', '-1 s', '1.5 s', '10 s x']) {
      assert.equal(parseDurationUs(bad), null, bad);
    }
  });

  it('reads expiries, where never is Infinity and the server default is 0', () => {
    assert.equal(parseExpiryUs('never'), Number.POSITIVE_INFINITY);
    assert.equal(parseExpiryUs('server_default'), 0);
    assert.equal(parseExpiryUs('2 days 4 hours'), 52 * 3600 * SECOND);
    assert.equal(parseExpiryUs('200 years'), null);
  });

  it('reads sizes with binary and decimal units in any case', () => {
    assert.equal(parseBytes('1 GiB'), 1024 ** 3);
    assert.equal(parseBytes('2mb'), 2_000_000);
    assert.equal(parseBytes('1_024'), 1024);
    assert.equal(parseBytes('1.5 KiB'), 1536);
    for (const bad of ['', 'GiB', '1 XiB', '-1', '1e3']) assert.equal(parseBytes(bad), null, bad);
    assert.equal(parseMaxTopicSizeBytes('unlimited'), Number.POSITIVE_INFINITY);
    assert.equal(parseMaxTopicSizeBytes('server_default'), 0);
  });

  it('reads addresses with names, IPv4 and bracketed IPv6', () => {
    assert.deepEqual(parseAddress('localhost:0'), { host: 'localhost', port: 0 });
    assert.deepEqual(parseAddress('[::]:8090'), { host: '::', port: 8090 });
    for (const bad of ['8090', ':8090', 'host', 'host:70000', '::1:80', 'a b:1']) {
      assert.equal(parseAddress(bad), null, bad);
    }
  });

  it('reads lists with and without quotes', () => {
    assert.deepEqual(parseTextList('["a", "b,c"]'), ['a', 'b,c']);
    assert.deepEqual(parseTextList('a, b'), ['a', 'b']);
    assert.deepEqual(parseTextList('[]'), []);
    assert.equal(parseTextList('["a'), null);
  });

  it('reads levels and filters in the manner of RUST_LOG', () => {
    assert.equal(parseLogLevel('WARN'), 'warn');
    assert.equal(parseLogLevel('off'), 'silent');
    assert.equal(parseLogLevel('warn,iggy=debug'), 'debug');
    assert.equal(parseLogLevel('hyper=trace'), 'info');
    assert.equal(parseLogLevel('loud'), null);
  });

  it('reads whole numbers and truth, and nothing else', () => {
    assert.equal(parseU32('4_096'), 4096);
    assert.equal(parseU32('4294967296'), null);
    assert.equal(parseU32('1.0'), null);
    assert.equal(parseBool('True'), true);
    assert.equal(parseBool('yes'), null);
  });

  it('formats what it parses back to the same value', () => {
    const whole = fc.integer({ min: 0, max: 2 ** 50 });
    fc.assert(fc.property(whole, (us) => parseDurationUs(formatDurationUs(us)) === us));
    fc.assert(fc.property(whole, (bytes) => parseBytes(formatBytes(bytes)) === bytes));
  });
});

describe('nearest', () => {
  it('finds a mistyped word and no far one', () => {
    assert.equal(nearest('tcp.adress', ['tcp.address', 'http.address']), 'tcp.address');
    assert.equal(nearest('banana', ['tcp.address']), null);
  });

  it('counts a swap of neighbours as one mistake and is a metric', () => {
    assert.equal(editDistance('tpc', 'tcp'), 1);
    assert.equal(editDistance('', 'abc'), 3);
    const word = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        assert.equal(editDistance(a, b), editDistance(b, a));
        assert.equal(editDistance(a, b) === 0, a === b);
      }),
    );
  });
});
