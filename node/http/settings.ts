import type { Config } from '../config/config.ts';

/** What is wrong with settings that do not go together; null: nothing. */
export function settingsProblem({ cors, jwt, tls, metrics }: Config['http']): string | null {
  const lists = [cors.allowedOrigins, cors.allowedHeaders, cors.exposedHeaders];
  if (cors.enabled && cors.allowCredentials && lists.some((list) => list.includes('*'))) {
    return 'http.cors.allow_credentials needs origins, headers and exposed headers without *';
  }
  if (metrics.enabled && !metrics.endpoint.startsWith('/')) {
    return 'http.metrics.endpoint must begin with /';
  }
  if (jwt.useBase64Secret) {
    for (const secret of [jwt.encodingSecret, jwt.decodingSecret]) {
      if (secret !== '' && Buffer.from(secret, 'base64').length === 0) {
        return 'a secret of http.jwt is no base64';
      }
    }
  }
  for (const { issuer, jwksUrl, audience, userId } of jwt.trustedIssuers) {
    if (issuer === '' || audience === '' || !URL.canParse(jwksUrl)) {
      return 'http.jwt.trusted_issuers needs issuer, jwks_url and audience in each entry';
    }
    if (userId === 0) return `http.jwt.trusted_issuers: ${issuer} must not act as the root user`;
  }
  if (tls.enabled && (tls.certFile === '' || tls.keyFile === '')) {
    return 'http.tls.enabled needs http.tls.cert_file and http.tls.key_file';
  }
  return null;
}
