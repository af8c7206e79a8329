import assert from 'node:assert/strict';
import { Metrics, type Observation } from './metrics.ts';

const NOTHING: Observation = {
  streamsCount: 0,
  usersCount: 1,
  clientsCount: 0,
  topics: [],
  lags: [],
  freeDiskBytes: 5000,
  poolTakenBytes: 4096,
  poolFreeBytes: 8192,
};

function valueIn(text: string, series: string): number | null {
  const line = text.split('\n').find((row) => row.startsWith(`${series} `));
  return line === undefined ? null : Number(line.slice(series.length + 1));
}

function topicsOf(count: number): Observation['topics'] {
  return Array.from({ length: count }, (_, id) => ({
    stream: 'orders',
    topic: `t${id}`,
    partitionsCount: 2,
    segmentsCount: 3,
    sizeBytes: 100,
    messagesCount: 10,
  }));
}

describe('Metrics', () => {
  it('adds up appends, polls, rounds and connections', async () => {
    const metrics = new Metrics(() => NOTHING);
    metrics.appended({ bytes: 100, messages: 3, us: 250 });
    metrics.appended({ bytes: 50, messages: 1, us: 2_000_000 });
    metrics.polled({ bytes: 10, messages: 1, us: 10 });
    metrics.round({ logs: 2, bytes: 150, writeUs: 5, syncUs: 700 });
    metrics.round({ logs: 1, bytes: 1, writeUs: 5, syncUs: 0 });
    metrics.opened('tcp');
    metrics.opened('tcp');
    metrics.closed('tcp');
    const text = await metrics.text();
    assert.equal(valueIn(text, 'iggy_appended_messages_total'), 4);
    assert.equal(valueIn(text, 'iggy_appended_bytes_total'), 150);
    assert.equal(valueIn(text, 'iggy_append_duration_seconds_bucket{le="0.00025"}'), 1);
    assert.equal(valueIn(text, 'iggy_append_duration_seconds_sum'), 2.000_25);
    assert.equal(valueIn(text, 'iggy_polled_messages_total'), 1);
    assert.equal(valueIn(text, 'iggy_log_fsync_duration_seconds_count'), 1);
    assert.equal(valueIn(text, 'iggy_log_write_duration_seconds_count'), 2);
    assert.equal(valueIn(text, 'iggy_connections{transport="tcp"}'), 1);
    assert.equal(valueIn(text, 'iggy_connections_opened_total{transport="tcp"}'), 2);
    assert.equal(valueIn(text, 'iggy_disk_free_bytes'), 5000);
    assert.notEqual(valueIn(text, 'process_resident_memory_bytes'), null);
  });

  it('shows topics and lags of the moment and forgets those that are gone', async () => {
    const group = { stream: 'orders', topic: 't0', group: 'billing' };
    let now: Observation = {
      ...NOTHING,
      topics: topicsOf(2),
      lags: [{ ...group, partitionId: 1, lagMessages: 42 }],
    };
    const metrics = new Metrics(() => now);
    const first = await metrics.text();
    const lag =
      'iggy_consumer_group_lag_messages{stream="orders",topic="t0",group="billing",partition="1"}';
    assert.equal(valueIn(first, lag), 42);
    assert.equal(valueIn(first, 'iggy_topic_size_bytes{stream="orders",topic="t1"}'), 100);
    assert.equal(valueIn(first, 'topics'), 2);
    assert.equal(valueIn(first, 'partitions'), 4);
    assert.equal(valueIn(first, 'segments'), 6);
    assert.equal(valueIn(first, 'messages'), 20);
    now = { ...NOTHING, topics: topicsOf(1) };
    const second = await metrics.text();
    assert.equal(valueIn(second, lag), null);
    assert.equal(valueIn(second, 'iggy_topic_size_bytes{stream="orders",topic="t1"}'), null);
    assert.equal(valueIn(second, 'topics'), 1);
  });

  it('limits the series of one scrape and counts what it hides', async () => {
    const metrics = new Metrics(() => ({ ...NOTHING, topics: topicsOf(5100) }));
    const text = await metrics.text();
    const shown = text.split('\n').filter((line) => line.startsWith('iggy_topic_size_bytes{'));
    assert.equal(shown.length, 5000);
    assert.equal(valueIn(text, 'iggy_series_hidden'), 100);
    assert.equal(valueIn(text, 'topics'), 5100);
  });

  it('limits the values of labels that come from outside', async () => {
    const metrics = new Metrics(() => NOTHING);
    for (let code = 1; code <= 1000; code += 1) metrics.refused(code);
    for (let code = 1; code <= 10; code += 1) metrics.refused(code);
    metrics.refusedFrame('cutFrame');
    const text = await metrics.text();
    const series = text.split('\n').filter((line) => line.startsWith('iggy_refused_requests_'));
    assert.equal(series.length, 301);
    assert.equal(valueIn(text, 'iggy_refused_requests_total{code="other"}'), 700);
    assert.equal(valueIn(text, 'iggy_refused_requests_total{code="3"}'), 2);
    assert.equal(valueIn(text, 'iggy_refused_frames_total{reason="cutFrame"}'), 1);
  });

  it('escapes names that would break the text', async () => {
    const [topic] = topicsOf(1);
    const topics = [{ ...topic!, topic: 'a"b\nc\\d' }];
    const metrics = new Metrics(() => ({ ...NOTHING, topics }));
    const text = await metrics.text();
    assert(text.includes('iggy_topic_messages{stream="orders",topic="a\\"b\\nc\\\\d"} 10'));
  });

  it('keeps the names of upstream and counts HTTP requests', async () => {
    const metrics = new Metrics(() => NOTHING);
    metrics.answered({ method: 'GET', status: 200, us: 1000 });
    const text = await metrics.text();
    assert.equal(valueIn(text, 'http_requests_total'), 1);
    for (const name of ['streams', 'topics', 'partitions', 'segments', 'messages', 'clients']) {
      assert.equal(valueIn(text, name), 0);
    }
    assert.equal(valueIn(text, 'users'), 1);
    assert.match(metrics.contentType, /^text\/plain/u);
  });
});
