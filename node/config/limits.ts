import type { Config } from './config.ts';

// Relations between settings. A table row can only judge its own value; what must hold between
// two of them stands here, each with the sentence a user reads when it does not.

/** Bytes of the pool that one append and one poll of the largest frame take at the same time. */
const FRAMES_IN_POOL_MIN = 2;
/** Addresses of the pool that belong to the kernel, and slack for slots rounded up. */
const POOL_SLACK_BYTES = 8 * 1024 * 1024;

/** One sentence for each relation that does not hold; none when all do. */
export function checkLimits(config: Config): string[] {
  const problems: string[] = [];
  const refuse = (wrong: boolean, sentence: string): void => {
    if (wrong) problems.push(sentence);
  };
  const frameBytes = config.messageBus.maxMessageSizeBytes;
  refuse(
    config.pool.bytes < FRAMES_IN_POOL_MIN * frameBytes + POOL_SLACK_BYTES,
    'pool.bytes: must hold two frames of message_bus.max_message_size and 8 MiB more',
  );
  refuse(
    config.topic.maxSizeBytes < config.segment.sizeBytes,
    'topic.max_size: must be at least segment.size',
  );
  refuse(
    config.partition.fsync === 'interval' && config.partition.fsyncIntervalUs === 0,
    'partition.fsync_interval: must be above 0 with partition.fsync = "interval"',
  );
  refuse(
    config.tcp.tls.enabled && (config.tcp.tls.certFile === '' || config.tcp.tls.keyFile === ''),
    'tcp.tls: needs cert_file and key_file when it is enabled',
  );
  refuse(
    config.http.tls.enabled && (config.http.tls.certFile === '' || config.http.tls.keyFile === ''),
    'http.tls: needs cert_file and key_file when it is enabled',
  );
  refuse(
    !config.tcp.enabled && !config.http.enabled,
    'tcp.enabled and http.enabled: at least one must be true',
  );
  const { enabled, keyFile, key } = config.encryption;
  refuse(
    enabled && keyFile === '' && key === '',
    'encryption: needs key_file (or key) when it is enabled',
  );
  refuse(
    enabled && keyFile !== '' && key !== '',
    'encryption: key_file and key are both set; remove one of them',
  );
  refuse(config.cluster.enabled, 'cluster.enabled: this version serves one node; set it to false');
  const { cors, jwt, metrics } = config.http;
  refuse(
    cors.allowCredentials &&
      (cors.allowedOrigins[0] === '*' ||
        cors.allowedHeaders.includes('*') ||
        cors.exposedHeaders.includes('*')),
    'http.cors.allow_credentials: needs explicit origins, headers and exposed headers',
  );
  refuse(
    metrics.enabled && !metrics.endpoint.startsWith('/'),
    'http.metrics.endpoint: must begin with /',
  );
  refuse(
    jwt.useBase64Secret && [jwt.encodingSecret, jwt.decodingSecret].some(isNoBase64),
    'http.jwt.use_base64_secret: a secret is no base64',
  );
  refuse(
    jwt.trustedIssuers.some(({ issuer, audience, jwksUrl }) => {
      return issuer === '' || audience === '' || !URL.canParse(jwksUrl);
    }),
    'http.jwt.trusted_issuers: needs issuer, audience and jwks_url in each entry',
  );
  refuse(
    jwt.trustedIssuers.some(({ userId }) => userId === 0),
    'http.jwt.trusted_issuers: user_id must name a user that is not the root user (0)',
  );
  return problems;
}

function isNoBase64(secret: string): boolean {
  return (
    secret !== '' &&
    !/^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/u.test(secret)
  );
}
