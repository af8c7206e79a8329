import type { Socket } from 'node:net';
import { createServer, type Server } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { type CertificateFiles, WatchedCertificate } from './certificate.ts';
import { REFUSED, type TransportObserver } from './transport.ts';

export interface TlsOptions extends CertificateFiles {
  /** A handshake that takes longer is broken off. */
  readonly handshakeTimeoutMs: number;
}

/**
 * A server that speaks TLS 1.2 and 1.3 in front of plain sockets: server certificate only, no
 * ALPN. Its certificate follows the files.
 */
export class TlsServer {
  readonly server: Server;
  readonly #certificate: WatchedCertificate;

  private constructor(server: Server, certificate: WatchedCertificate) {
    this.server = server;
    this.#certificate = certificate;
  }

  /**
   * Reads the certificate; sockets whose handshake is over come to `onSocket`.
   *
   * errors   no such file, or not a certificate with its key: the server does not start
   */
  static async open(
    options: TlsOptions,
    deps: {
      readonly clock: Clock;
      readonly logger: Logger;
      readonly observer: TransportObserver;
    },
    onSocket: (socket: Socket) => void,
  ): Promise<TlsServer> {
    const first = await WatchedCertificate.read(options);
    const { handshakeTimeoutMs: handshakeTimeout } = options;
    const server = createServer({ ...first, handshakeTimeout, allowHalfOpen: true });
    server.on('secureConnection', onSocket);
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const isLate = error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT';
      const reason = isLate ? REFUSED.handshakeTimeout : REFUSED.handshakeFailed;
      deps.observer.refusedFrame(reason);
      deps.logger.debug('handshake failed', { reason, code: error.code });
      socket.destroy();
    });
    const onChange = (certificate: { cert: Buffer; key: Buffer }): void =>
      server.setSecureContext(certificate);
    const followed = WatchedCertificate.follow({ files: options, first, deps, onChange });
    return new TlsServer(server, followed);
  }

  /** Stops following the files; the server is closed by its owner. */
  close(): void {
    this.#certificate.close();
  }
}
