// The one table of settings. From it come the loader, `--help`, docs/configuration.md and the
// type Config. A key is the path in the TOML file, in the spelling of Iggy 0.9; `old` is the
// spelling of Iggy 0.8 where it differs. The environment variable is IGGY_ and the key in upper
// case with underscores, the flag is the key with dashes; both spellings have both. Units are not
// part of the key but of the value ("10 s", "1 GiB"), as upstream writes them.

type OptionType =
  | 'bool'
  | 'u32'
  | 'address'
  | 'duration'
  | 'expiry'
  | 'bytes'
  | 'maxTopicSize'
  | 'text'
  | 'textList'
  | 'path'
  | 'secret'
  | 'choice'
  | 'logLevel'
  | 'tables';

export interface Option {
  readonly type: OptionType;
  /** As a user would write it. An empty text, path or secret is "not set". */
  readonly default: string | number | boolean | readonly string[];
  readonly old?: string;
  /** Smallest and largest value, as a user would write it. */
  readonly min?: string | number;
  readonly max?: string | number;
  readonly multipleOf?: number;
  readonly choices?: readonly string[];
  /** Of type tables: the settings of each entry. */
  readonly fields?: Readonly<Record<string, Option>>;
  readonly doc: string;
}

export const OPTIONS = {
  path: {
    type: 'path',
    default: 'local_data',
    old: 'system.path',
    doc: 'Data folder. A relative path is taken from the working directory. One process at a time may use it.',
  },

  'node.advertised_address': {
    type: 'text',
    default: '',
    doc: 'Host name or IP address, without a port, that clients are told to dial. Not set: the address at which the asking client reached the server.',
  },

  'tcp.enabled': { type: 'bool', default: true, doc: 'Serve the binary protocol over TCP.' },
  'tcp.address': {
    type: 'address',
    default: '127.0.0.1:8090',
    doc: 'Where the binary protocol is served. Port 0 is chosen by the operating system.',
  },
  'tcp.tls.enabled': { type: 'bool', default: false, doc: 'Serve TCP over TLS only.' },
  'tcp.tls.cert_file': {
    type: 'path',
    default: '',
    doc: 'PEM file with the certificate chain. It is read again when it changes.',
  },
  'tcp.tls.key_file': {
    type: 'path',
    default: '',
    doc: 'PEM file with the private key of the certificate.',
  },

  'http.enabled': { type: 'bool', default: true, doc: 'Serve the HTTP API.' },
  'http.address': {
    type: 'address',
    default: '127.0.0.1:3000',
    doc: 'Where the HTTP API is served. Port 0 is chosen by the operating system.',
  },
  'http.max_request_size': {
    type: 'bytes',
    default: '2 MB',
    min: '1 KiB',
    max: '256 MiB',
    doc: 'Largest body of a request; a larger one is answered with 413.',
  },
  'http.cors.enabled': { type: 'bool', default: true, doc: 'Answer CORS preflight requests.' },
  'http.cors.allowed_methods': {
    type: 'textList',
    default: ['GET', 'POST', 'PUT', 'DELETE'],
    doc: 'Methods that a page of another origin may use.',
  },
  'http.cors.allowed_origins': {
    type: 'textList',
    default: ['*'],
    doc: 'Origins that may call; `*` in the first place is any.',
  },
  'http.cors.allowed_headers': {
    type: 'textList',
    default: ['content-type', 'authorization'],
    doc: 'Request headers that a page of another origin may send.',
  },
  'http.cors.exposed_headers': {
    type: 'textList',
    default: ['iggy-view'],
    doc: 'Answer headers that a page of another origin may read; blank entries are ignored.',
  },
  'http.cors.allow_credentials': {
    type: 'bool',
    default: false,
    doc: 'Allow cookies and credentials; needs explicit origins, headers and exposed headers.',
  },
  'http.cors.allow_private_network': {
    type: 'bool',
    default: false,
    doc: 'Let public pages call this server in a private network.',
  },
  'http.jwt.algorithm': {
    type: 'choice',
    default: 'HS256',
    choices: ['HS256', 'HS384', 'HS512'],
    doc: 'How access tokens are signed.',
  },
  'http.jwt.issuer': {
    type: 'text',
    default: 'iggy.apache.org',
    doc: 'Issuer written into access tokens.',
  },
  'http.jwt.audience': {
    type: 'text',
    default: 'iggy.apache.org',
    doc: 'Audience written into access tokens.',
  },
  'http.jwt.valid_issuers': {
    type: 'textList',
    default: ['iggy.apache.org'],
    doc: 'Issuers that are accepted in access tokens.',
  },
  'http.jwt.valid_audiences': {
    type: 'textList',
    default: ['iggy.apache.org'],
    doc: 'Audiences that are accepted in access tokens.',
  },
  'http.jwt.access_token_expiry': {
    type: 'expiry',
    default: '1 h',
    doc: 'How long an access token is valid; `never` means about 31 years.',
  },
  'http.jwt.clock_skew': {
    type: 'duration',
    default: '5 s',
    max: '1 h',
    doc: 'How far the clock of the issuer may be off.',
  },
  'http.jwt.not_before': {
    type: 'duration',
    default: '0',
    doc: 'How long after its making an access token becomes valid.',
  },
  'http.jwt.encoding_secret': {
    type: 'secret',
    default: '',
    doc: 'Secret that signs access tokens. Both secrets not set: a random one per start; one set: used for both.',
  },
  'http.jwt.decoding_secret': {
    type: 'secret',
    default: '',
    doc: 'Secret that verifies access tokens; the same as the signing one.',
  },
  'http.jwt.use_base64_secret': {
    type: 'bool',
    default: false,
    doc: 'The secrets are base64 of the bytes to use.',
  },
  'http.jwt.trusted_issuers': {
    type: 'tables',
    default: [],
    fields: {
      issuer: { type: 'text', default: '', doc: 'Issuer named in the token.' },
      jwks_url: { type: 'text', default: '', doc: 'Where its public keys are found.' },
      audience: { type: 'text', default: '', doc: 'Audience that the token must name.' },
      user_id: { type: 'u32', default: 0, doc: 'User as whom the token acts; never 0, the root.' },
    },
    doc: 'Other issuers whose tokens are accepted.',
  },
  'http.metrics.enabled': { type: 'bool', default: true, doc: 'Serve metrics for Prometheus.' },
  'http.metrics.endpoint': {
    type: 'text',
    default: '/metrics',
    doc: 'Path of the metrics.',
  },
  'http.metrics.public': {
    type: 'bool',
    default: false,
    doc: 'Serve the metrics without a login. Off: any user with an access token may read them.',
  },
  'http.tls.enabled': { type: 'bool', default: false, doc: 'Serve HTTP over TLS only.' },
  'http.tls.cert_file': {
    type: 'path',
    default: '',
    doc: 'PEM file with the certificate chain. It is read again when it changes.',
  },
  'http.tls.key_file': {
    type: 'path',
    default: '',
    doc: 'PEM file with the private key of the certificate.',
  },

  'connections.max': {
    type: 'u32',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: 'Connections open at the same time; one more is closed at once.',
  },
  'connection.idle_timeout': {
    type: 'duration',
    default: '0',
    doc: 'A connection on which nothing arrives for this long is closed; 0 = never. Silent clients that are logged in are the business of `heartbeat`.',
  },
  'connection.frame_timeout': {
    type: 'duration',
    default: '30 s',
    min: '100 ms',
    doc: 'A frame or request that has begun to arrive must be whole within this time.',
  },
  'connection.write_timeout': {
    type: 'duration',
    default: '30 s',
    min: '100 ms',
    doc: 'A client that does not read its answers for this long is disconnected.',
  },
  'message_bus.max_message_size': {
    type: 'bytes',
    default: '64 MiB',
    min: '1 MiB',
    max: '256 MiB',
    doc: 'Largest frame, in both directions. Go and Node.js clients stop at 64 MiB.',
  },
  'message_bus.handshake_grace': {
    type: 'duration',
    default: '10 s',
    min: '100 ms',
    doc: 'A TLS handshake must be over within this time.',
  },
  'heartbeat.enabled': {
    type: 'bool',
    default: true,
    doc: 'End the sessions of clients that stay silent.',
  },
  'heartbeat.interval': {
    type: 'duration',
    default: '30 s',
    min: '10 ms',
    doc: 'How often a client has to say something; it is gone after 1.2 times this.',
  },
  'metadata.clients_table_max': {
    type: 'u32',
    default: 8192,
    min: 2,
    max: 65_536,
    doc: 'Sessions kept at the same time; HTTP credentials get at most half of them.',
  },
  'consumer_group.rebalancing_timeout': {
    type: 'duration',
    default: '30 s',
    min: '10 ms',
    doc: 'How long a member may keep a partition that was given to another before it is taken.',
  },
  'personal_access_token.max_tokens_per_user': {
    type: 'u32',
    default: 100,
    min: 1,
    doc: 'Personal access tokens that one user may have.',
  },
  'personal_access_token.cleaner.enabled': {
    type: 'bool',
    default: true,
    doc: 'Remove expired personal access tokens.',
  },
  'personal_access_token.cleaner.interval': {
    type: 'duration',
    default: '1 m',
    min: '10 ms',
    doc: 'How often they are looked for.',
  },

  'topic.message_expiry': {
    type: 'expiry',
    default: 'never',
    old: 'system.topic.message_expiry',
    doc: 'Message expiry of topics that are created without one.',
  },
  'topic.max_size': {
    type: 'maxTopicSize',
    default: 'unlimited',
    old: 'system.topic.max_size',
    doc: 'Maximum size of topics that are created without one; at least one segment.',
  },
  'segment.size': {
    type: 'bytes',
    default: '1 GiB',
    old: 'system.segment.size',
    min: '1 MiB',
    max: '1 GiB',
    multipleOf: 512,
    doc: 'Segment size of topics that are created without one.',
  },
  'partition.messages_required_to_save': {
    type: 'u32',
    default: 1024,
    old: 'system.partition.messages_required_to_save',
    min: 1,
    max: 16_777_216,
    doc: 'Shown as option of topics that are created without one. Every batch is written when it arrives, so nothing waits for this many.',
  },
  'partition.size_of_messages_required_to_save': {
    type: 'bytes',
    default: '1 MiB',
    old: 'system.partition.size_of_messages_required_to_save',
    min: 1,
    max: '1 GiB',
    doc: 'Shown as option of topics that are created without one. Every batch is written when it arrives, so nothing waits for this much.',
  },
  'partition.fsync': {
    type: 'choice',
    default: 'always',
    choices: ['always', 'interval', 'os'],
    doc: 'When an answer to a send may leave: `always` after the bytes are on the disk (survives power loss), `interval` and `os` after they are with the operating system (survives `kill -9`), which is told to sync every `partition.fsync_interval` or left alone. Topics with durability `persisted` are always synced.',
  },
  'partition.fsync_interval': {
    type: 'duration',
    default: '1 s',
    min: '1 ms',
    max: '1 h',
    doc: 'How often `partition.fsync = "interval"` syncs.',
  },
  'partition.enforce_fsync': {
    type: 'bool',
    default: false,
    old: 'system.partition.enforce_fsync',
    doc: 'The 0.8 way to ask for `partition.fsync = "always"`, which is the default; false leaves the choice to `partition.fsync`.',
  },
  'partition.validate_checksum': {
    type: 'bool',
    default: true,
    old: 'system.partition.validate_checksum',
    doc: 'Check batches against their checksums when they are read from the disk.',
  },
  'partition.consumer_offsets_max': {
    type: 'u32',
    default: 4096,
    min: 1,
    max: 262_144,
    doc: 'Stored offsets per partition, for consumers and for groups each.',
  },
  'partition.dedup_clients_max': {
    type: 'u32',
    default: 4096,
    min: 1,
    max: 65_536,
    doc: 'Clients per partition of which repeated sends are recognised.',
  },
  'data_maintenance.messages.cleaner_enabled': {
    type: 'bool',
    default: true,
    doc: 'Remove segments that are expired or beyond the maximum size of their topic.',
  },
  'data_maintenance.messages.interval': {
    type: 'duration',
    default: '1 m',
    min: '10 ms',
    doc: 'How often they are looked for.',
  },
  'disk.reserve': {
    type: 'bytes',
    default: '1 GiB',
    doc: 'Sends are refused while less than this is free on the disk of the data folder; reads go on. 0 = off.',
  },
  'pool.bytes': {
    type: 'bytes',
    default: '256 MiB',
    min: '64 MiB',
    max: 4_294_901_760,
    multipleOf: 65_536,
    doc: 'Memory for messages on their way, reserved at the start. When it is full, reading from the clients stops until there is room.',
  },
  'encryption.enabled': {
    type: 'bool',
    default: false,
    old: 'system.encryption.enabled',
    doc: 'Encrypt what is stored (AES-256-GCM).',
  },
  'encryption.key_file': {
    type: 'path',
    default: '',
    doc: 'File with the key: base64 of 32 bytes.',
  },
  'encryption.key': {
    type: 'secret',
    default: '',
    old: 'system.encryption.key',
    doc: 'The key itself: base64 of 32 bytes. A file is safer.',
  },

  'logging.level': {
    type: 'logLevel',
    default: 'info',
    old: 'system.logging.level',
    doc: 'Least important lines to write: trace, debug, info, warn, error, off. RUST_LOG wins over it.',
  },
  'logging.format': {
    type: 'choice',
    default: 'auto',
    choices: ['auto', 'pretty', 'json'],
    doc: 'How lines are written to standard output; `auto` is pretty on a terminal, JSON elsewhere.',
  },
  'shutdown.timeout': {
    type: 'duration',
    default: '30 s',
    min: '100 ms',
    doc: 'How long requests in flight and the last sync may take after SIGTERM.',
  },
  'cluster.enabled': {
    type: 'bool',
    default: false,
    doc: 'Must be false: this version serves one node.',
  },
} as const;

/** Keys of the table. */
export type OptionKey = keyof typeof OPTIONS;

/** The same table with rows of one type, in its order. */
export const OPTION_ROWS: ReadonlyMap<OptionKey, Option> = new Map(
  Object.entries(OPTIONS) as [OptionKey, Option][],
);

/** Checked by the compiler: every literal row above is an Option. */
OPTIONS satisfies Readonly<Record<string, Option>>;

/** Every spelling of a key: the one of 0.9 first, then the one of 0.8. */
export function spellingsOf(key: OptionKey): readonly string[] {
  const { old } = OPTION_ROWS.get(key)!;
  return old === undefined ? [key] : [key, old];
}

/** IGGY_TCP_ADDRESS for tcp.address. */
export function envNameOf(spelling: string): string {
  return `IGGY_${spelling.replaceAll('.', '_').toUpperCase()}`;
}

/** --tcp-address for tcp.address. */
export function flagOf(spelling: string): string {
  return `--${spelling.replaceAll(/[._]/gu, '-')}`;
}

/**
 * What upstream knows and this server has no use for. It is accepted, so that configurations of
 * upstream work, and named in a warning at the start. A trailing star is everything below a table.
 */
export const NO_EFFECT: readonly { readonly why: string; readonly keys: readonly string[] }[] = [
  { why: 'QUIC is not served', keys: ['quic.*'] },
  { why: 'WebSocket is not served', keys: ['websocket.*'] },
  { why: 'one node is served, without a cluster', keys: ['cluster.*'] },
  { why: 'nothing is exported to OpenTelemetry', keys: ['telemetry.*'] },
  {
    why: 'one thread serves all partitions; use shutdown.timeout for the end',
    keys: ['sharding.*', 'system.sharding.*', 'tcp.socket_migration'],
  },
  {
    why: 'memory is governed by pool.bytes',
    keys: ['memory_pool.*', 'system.memory_pool.*'],
  },
  {
    why: 'queues are limited by pool.bytes, and metadata is written at once',
    keys: [
      'metadata.prepare_queue_depth',
      'metadata.journal_slots',
      'message_bus.max_batch',
      'message_bus.peer_queue_capacity',
      'message_bus.client_queue_capacity',
      'message_bus.reconnect_period',
      'message_bus.close_peer_timeout',
      'message_bus.close_grace',
    ],
  },
  {
    why: 'the partition log has no such part',
    keys: [
      'partition.prepare_queue_depth',
      'partition.offset_reservation_lease',
      'partition.evicted_ring_capacity',
      'partition.evicted_ring_bytes_max',
      'partition.transfer_served_cache_bytes_max',
      'partition.transfer_artifact_bytes_max',
      'partition.wal_bytes_max',
      'system.segment.cache_indexes',
      'system.segment.archive_expired',
      'system.recovery.*',
      'recovery.*',
    ],
  },
  {
    why: 'handovers are checked when they are due; members live as long as their sessions',
    keys: [
      'consumer_group.rebalancing_check_interval',
      'consumer_group.session_timeout',
      'consumer_group.heartbeat_interval',
    ],
  },
  {
    why: 'nothing is buffered; partition.fsync says when data is synced, metadata included',
    keys: ['message_saver.*', 'system.state.*', 'state.*'],
  },
  {
    why: 'the folders below the data folder are fixed',
    keys: [
      'system.stream.path',
      'system.topic.path',
      'system.partition.path',
      'system.runtime.path',
      'runtime.path',
      'system.backup.*',
      'backup.*',
    ],
  },
  {
    why: 'lines go to standard output, whose reader keeps and rotates them',
    keys: [
      ...['', 'system.'].flatMap((prefix) =>
        [
          'path',
          'file_enabled',
          'max_file_size',
          'max_total_size',
          'rotation_check_interval',
          'retention',
          'sysinfo_print_interval',
        ].map((name) => `${prefix}logging.${name}`),
      ),
    ],
  },
  {
    why: 'the feature does not exist',
    keys: [
      'system.compression.*',
      'compression.*',
      'system.message_deduplication.*',
      'http.web_ui',
    ],
  },
  {
    why: 'sockets never delay small answers, and their family follows from the address',
    keys: ['tcp.socket.*', 'tcp.ipv6'],
  },
  {
    why: 'certificates come from cert_file and key_file',
    keys: ['tcp.tls.self_signed', 'http.tls.self_signed'],
  },
];
