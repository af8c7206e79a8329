import assert from 'node:assert/strict';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

// What Prometheus is told. Names of our own begin with `iggy_` and end with their unit; the eight
// names without a prefix are those of upstream, so that its dashboards go on working.

/** Series of one gauge that are shown; what is beyond is counted in iggy_series_hidden. */
const SERIES_COUNT_MAX = 5000;
/** Different values of a label that comes from an open set. */
const LABEL_VALUES_MAX = 300;
const LABEL_OTHER = 'other';

const US_PER_SECOND = 1_000_000;
/** 50 µs to 10 s: from a batch in memory to a disk that hangs. */
const SECONDS_BUCKETS = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
  2.5, 5, 10,
];

export interface ObservedTopic {
  readonly stream: string;
  readonly topic: string;
  readonly partitionsCount: number;
  readonly segmentsCount: number;
  readonly sizeBytes: number;
  readonly messagesCount: number;
}

/** How far a group is behind in one partition: messages above its stored offset. */
export interface ObservedLag {
  readonly stream: string;
  readonly topic: string;
  readonly group: string;
  readonly partitionId: number;
  readonly lagMessages: number;
}

/** The state of the server at the moment of a scrape. Iterated once, at once. */
export interface Observation {
  readonly streamsCount: number;
  readonly usersCount: number;
  readonly clientsCount: number;
  readonly topics: Iterable<ObservedTopic>;
  readonly lags: Iterable<ObservedLag>;
  /** Free bytes on the disk of the data folder; null: not known. */
  readonly freeDiskBytes: number | null;
  /** Slots of the pool. */
  readonly poolTakenBytes: number;
  readonly poolFreeBytes: number;
}

interface Measured {
  readonly bytes: number;
  readonly messages: number;
  readonly us: number;
}

/**
 * Counters that the rooms report to, and gauges that are read from the server at each scrape.
 *
 * cost     a report is one or three additions; a scrape walks all topics and groups
 */
export class Metrics {
  readonly contentType: string;
  readonly #registry: Registry = new Registry();
  readonly #observe: () => Observation | Promise<Observation>;
  readonly #labelValues: Map<string, Set<string>> = new Map();

  readonly #appendedMessages = this.#counter('iggy_appended_messages_total', 'Messages appended');
  readonly #appendedBytes = this.#counter('iggy_appended_bytes_total', 'Bytes of batches appended');
  readonly #polledMessages = this.#counter('iggy_polled_messages_total', 'Messages polled');
  readonly #polledBytes = this.#counter('iggy_polled_bytes_total', 'Bytes of records polled');
  readonly #receivedBytes = this.#counter('iggy_received_bytes_total', 'Bytes from clients');
  readonly #sentBytes = this.#counter('iggy_sent_bytes_total', 'Bytes to clients');
  readonly #logBytes = this.#counter('iggy_log_written_bytes_total', 'Bytes written to logs');
  readonly #httpRequests = this.#counter('http_requests_total', 'total count of http_requests');
  readonly #appendSeconds = this.#histogram(
    'iggy_append_duration_seconds',
    'Time from a batch to its acknowledgement',
  );
  readonly #pollSeconds = this.#histogram('iggy_poll_duration_seconds', 'Time of a poll');
  readonly #writeSeconds = this.#histogram(
    'iggy_log_write_duration_seconds',
    'Time to write one round of appends',
  );
  readonly #syncSeconds = this.#histogram(
    'iggy_log_fsync_duration_seconds',
    'Time to sync one round of appends to the disk',
  );
  readonly #httpSeconds: Histogram<'method' | 'status'> = new Histogram({
    name: 'iggy_http_request_duration_seconds',
    help: 'Time to answer an HTTP request',
    labelNames: ['method', 'status'],
    buckets: SECONDS_BUCKETS,
    registers: [this.#registry],
  });
  readonly #roundLogs: Histogram = new Histogram({
    name: 'iggy_log_round_logs',
    help: 'Logs that shared one round of appends',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
    registers: [this.#registry],
  });
  readonly #connections = this.#gauge('iggy_connections', 'Open connections', ['transport']);
  readonly #opened = this.#labelled(
    'iggy_connections_opened_total',
    'Connections opened since the start',
    'transport',
  );
  readonly #refusedFrames = this.#labelled(
    'iggy_refused_frames_total',
    'Frames and connections cut without an answer',
    'reason',
  );
  readonly #refusedRequests = this.#labelled(
    'iggy_refused_requests_total',
    'Requests answered with an error, by status code',
    'code',
  );
  readonly #totals = {
    streams: this.#gauge('streams', 'total count of streams', []),
    topics: this.#gauge('topics', 'total count of topics', []),
    partitions: this.#gauge('partitions', 'total count of partitions', []),
    segments: this.#gauge('segments', 'total count of segments', []),
    messages: this.#gauge('messages', 'total count of messages', []),
    users: this.#gauge('users', 'total count of users', []),
    clients: this.#gauge('clients', 'total count of clients', []),
  };
  readonly #topicSize = this.#ofTopic('iggy_topic_size_bytes', 'Bytes stored in a topic');
  readonly #topicMessages = this.#ofTopic('iggy_topic_messages', 'Messages stored in a topic');
  readonly #topicPartitions = this.#ofTopic('iggy_topic_partitions', 'Partitions of a topic');
  readonly #topicSegments = this.#ofTopic('iggy_topic_segments', 'Segments of a topic');
  readonly #lag = this.#gauge(
    'iggy_consumer_group_lag_messages',
    'Messages of a partition above the stored offset of a group',
    ['stream', 'topic', 'group', 'partition'],
  );
  readonly #hidden = this.#gauge('iggy_series_hidden', 'Topics and lags beyond the limit', []);
  readonly #disk = this.#gauge('iggy_disk_free_bytes', 'Free bytes on the disk of the data', []);
  readonly #poolTaken = this.#gauge('iggy_pool_taken_bytes', 'Bytes of messages under way', []);
  readonly #poolFree = this.#gauge('iggy_pool_free_bytes', 'Bytes of the pool in no slot', []);

  /** `observe` is called once for each scrape. */
  constructor(observe: () => Observation | Promise<Observation>) {
    this.#observe = observe;
    this.contentType = this.#registry.contentType;
    collectDefaultMetrics({ register: this.#registry });
  }

  /** Everything in the text format of Prometheus. */
  async text(): Promise<string> {
    this.#take(await this.#observe());
    return this.#registry.metrics();
  }

  appended({ bytes, messages, us }: Measured): void {
    this.#appendedMessages.inc(messages);
    this.#appendedBytes.inc(bytes);
    this.#appendSeconds.observe(us / US_PER_SECOND);
  }

  polled({ bytes, messages, us }: Measured): void {
    this.#polledMessages.inc(messages);
    this.#polledBytes.inc(bytes);
    this.#pollSeconds.observe(us / US_PER_SECOND);
  }

  /** A request was answered with this status code. */
  refused(code: number): void {
    this.#refusedRequests.inc({ code: this.#bounded('code', String(code)) });
  }

  opened(transport: string): void {
    this.#connections.inc({ transport });
    this.#opened.inc({ transport });
  }

  closed(transport: string): void {
    this.#connections.dec({ transport });
  }

  refusedFrame(reason: string): void {
    this.#refusedFrames.inc({ reason: this.#bounded('reason', reason) });
  }

  received(bytes: number): void {
    this.#receivedBytes.inc(bytes);
  }

  sent(bytes: number): void {
    this.#sentBytes.inc(bytes);
  }

  /** One group commit was written and, under a policy that syncs, synced. */
  round(round: {
    readonly logs: number;
    readonly bytes: number;
    readonly writeUs: number;
    readonly syncUs: number;
  }): void {
    this.#logBytes.inc(round.bytes);
    this.#roundLogs.observe(round.logs);
    this.#writeSeconds.observe(round.writeUs / US_PER_SECOND);
    if (round.syncUs > 0) this.#syncSeconds.observe(round.syncUs / US_PER_SECOND);
  }

  /** An HTTP request was answered; `method` must come from the routes, not from the client. */
  answered(request: {
    readonly method: string;
    readonly status: number;
    readonly us: number;
  }): void {
    this.#httpRequests.inc();
    const labels = { method: request.method, status: String(request.status) };
    this.#httpSeconds.observe(labels, request.us / US_PER_SECOND);
  }

  #take(seen: Observation): void {
    for (const gauge of [
      this.#topicSize,
      this.#topicMessages,
      this.#topicPartitions,
      this.#topicSegments,
      this.#lag,
    ]) {
      gauge.reset();
    }
    const hidden = this.#takeTopics(seen) + this.#takeLags(seen);
    this.#hidden.set(hidden);
    this.#totals.streams.set(seen.streamsCount);
    this.#totals.users.set(seen.usersCount);
    this.#totals.clients.set(seen.clientsCount);
    if (seen.freeDiskBytes !== null) this.#disk.set(seen.freeDiskBytes);
    this.#poolTaken.set(seen.poolTakenBytes);
    this.#poolFree.set(seen.poolFreeBytes);
  }

  #takeTopics(seen: Observation): number {
    const total = { topics: 0, partitions: 0, segments: 0, messages: 0 };
    for (const { stream, topic, ...counts } of seen.topics) {
      total.topics += 1;
      total.partitions += counts.partitionsCount;
      total.segments += counts.segmentsCount;
      total.messages += counts.messagesCount;
      if (total.topics > SERIES_COUNT_MAX) continue;
      this.#topicSize.set({ stream, topic }, counts.sizeBytes);
      this.#topicMessages.set({ stream, topic }, counts.messagesCount);
      this.#topicPartitions.set({ stream, topic }, counts.partitionsCount);
      this.#topicSegments.set({ stream, topic }, counts.segmentsCount);
    }
    this.#totals.topics.set(total.topics);
    this.#totals.partitions.set(total.partitions);
    this.#totals.segments.set(total.segments);
    this.#totals.messages.set(total.messages);
    return Math.max(0, total.topics - SERIES_COUNT_MAX);
  }

  #takeLags(seen: Observation): number {
    let count = 0;
    for (const { stream, topic, group, partitionId, lagMessages } of seen.lags) {
      count += 1;
      if (count > SERIES_COUNT_MAX) continue;
      this.#lag.set({ stream, topic, group, partition: String(partitionId) }, lagMessages);
    }
    return Math.max(0, count - SERIES_COUNT_MAX);
  }

  /** The value itself, or "other" once a label has had too many. */
  #bounded(label: string, value: string): string {
    let seen = this.#labelValues.get(label);
    if (seen === undefined) {
      seen = new Set();
      this.#labelValues.set(label, seen);
    }
    if (seen.has(value)) return value;
    if (seen.size >= LABEL_VALUES_MAX) return LABEL_OTHER;
    seen.add(value);
    return value;
  }

  #counter(name: string, help: string): Counter {
    assert(name.endsWith('_total'));
    return new Counter({ name, help, registers: [this.#registry] });
  }

  #labelled<Label extends string>(name: string, help: string, label: Label): Counter<Label> {
    return new Counter({ name, help, labelNames: [label], registers: [this.#registry] });
  }

  #histogram(name: string, help: string): Histogram {
    assert(name.endsWith('_seconds'));
    return new Histogram({ name, help, buckets: SECONDS_BUCKETS, registers: [this.#registry] });
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: Label[]): Gauge<Label> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  #ofTopic(name: string, help: string): Gauge<'stream' | 'topic'> {
    return this.#gauge(name, help, ['stream', 'topic']);
  }
}
