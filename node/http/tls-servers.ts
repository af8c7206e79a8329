import type { Server as PlainServer, RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import {
  type Certificate,
  type CertificateFiles,
  WatchedCertificate,
} from '../transports/certificate.ts';

/** The HTTPS servers of one listener: all have the newest good certificate of two files. */
export class TlsServers {
  readonly #files: CertificateFiles;
  readonly #deps: { readonly clock: Clock; readonly logger: Logger };
  readonly #servers: Server[] = [];
  #certificate: Certificate | null = null;
  #watched: WatchedCertificate | null = null;

  constructor(files: CertificateFiles, deps: { readonly clock: Clock; readonly logger: Logger }) {
    this.#files = files;
    this.#deps = deps;
  }

  /** What makes servers for fastify: one at once, one more for each further address of a host. */
  factory(requestTimeoutMs: number): (handler: RequestListener) => PlainServer {
    return (handler) => {
      const certificate = this.#certificate ?? {};
      const server = createServer({ ...certificate, requestTimeout: requestTimeoutMs }, handler);
      this.#servers.push(server);
      // Beside TLS it is the same server.
      return server as unknown as PlainServer;
    };
  }

  /** Reads the certificate and follows it. errors: what the file system or OpenSSL says */
  async open(): Promise<void> {
    const first = await WatchedCertificate.read(this.#files);
    this.#use(first);
    this.#watched = WatchedCertificate.follow({
      ...{ files: this.#files, first, deps: this.#deps },
      onChange: (certificate) => this.#use(certificate),
    });
  }

  close(): void {
    this.#watched?.close();
  }

  #use(certificate: Certificate): void {
    this.#certificate = certificate;
    for (const server of this.#servers) server.setSecureContext({ ...certificate });
  }
}
