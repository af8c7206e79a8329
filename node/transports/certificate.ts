import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';

/** Changed files are read once they have been quiet for this long: two files change one by one. */
const SETTLE_MS = 200;
/** Some volumes report no changes at all, so the files are compared now and then. */
const POLL_MS = 10_000;

export interface CertificateFiles {
  /** PEM: the certificate and what links it to its root, and the key to it. */
  readonly certFile: string;
  readonly keyFile: string;
}

/** PEM texts that fit each other. */
export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/**
 * A certificate in two files, followed as they change. Files that are broken, or do not fit each
 * other (as when only one of them is new yet), leave the old certificate in force and a line in
 * the log.
 */
export class WatchedCertificate {
  readonly #files: CertificateFiles;
  readonly #deps: { readonly clock: Clock; readonly logger: Logger };
  readonly #onChange: (certificate: Certificate) => void;
  #seen: Certificate;
  #watchers: FSWatcher[] = [];
  #cancelPoll: (() => void) | null = null;
  #cancelSettle: (() => void) | null = null;
  #isReading = false;
  #isClosed = false;

  private constructor(options: {
    readonly files: CertificateFiles;
    readonly deps: { readonly clock: Clock; readonly logger: Logger };
    readonly onChange: (certificate: Certificate) => void;
    readonly first: Certificate;
  }) {
    this.#files = options.files;
    this.#deps = options.deps;
    this.#onChange = options.onChange;
    this.#seen = options.first;
  }

  /** The certificate as it is now. errors: what the file system or OpenSSL says. */
  static async read(files: CertificateFiles): Promise<Certificate> {
    const [cert, key] = await Promise.all([readFile(files.certFile), readFile(files.keyFile)]);
    createSecureContext({ cert, key });
    return { cert, key };
  }

  /** Reports every later certificate to `onChange`, until it is closed. */
  static follow(options: {
    readonly files: CertificateFiles;
    readonly first: Certificate;
    readonly deps: { readonly clock: Clock; readonly logger: Logger };
    readonly onChange: (certificate: Certificate) => void;
  }): WatchedCertificate {
    const watched = new WatchedCertificate(options);
    watched.#watch();
    watched.#planPoll();
    return watched;
  }

  close(): void {
    this.#isClosed = true;
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = [];
    this.#cancelPoll?.();
    this.#cancelSettle?.();
  }

  // Folders, not files: a secret of Kubernetes is exchanged by a symbolic link beside the file.
  #watch(): void {
    const { certFile, keyFile } = this.#files;
    for (const folder of new Set([dirname(certFile), dirname(keyFile)])) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#settle());
        watcher.on('error', () => watcher.close());
        this.#watchers.push(watcher);
      } catch (cause) {
        // Out of inotify watches, or none on this volume: the comparison by time remains.
        this.#deps.logger.warn('certificate folder is not watched', { folder, cause });
      }
    }
  }

  #settle(): void {
    if (this.#isClosed) return;
    this.#cancelSettle?.();
    this.#cancelSettle = this.#deps.clock.startTimer(SETTLE_MS, () => void this.#compare());
  }

  #planPoll(): void {
    this.#cancelPoll = this.#deps.clock.startTimer(POLL_MS, () => {
      void this.#compare();
      this.#planPoll();
    });
  }

  /** Reads both files and reports them if they are new and good. Never rejects. */
  async #compare(): Promise<void> {
    if (this.#isReading || this.#isClosed) return;
    this.#isReading = true;
    try {
      const { certFile, keyFile } = this.#files;
      const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
      const isSame = cert.equals(this.#seen.cert) && key.equals(this.#seen.key);
      if (isSame || this.#isClosed) return;
      // Remembered before it is judged, so that a broken file is complained about once.
      this.#seen = { cert, key };
      createSecureContext({ cert, key });
      this.#onChange({ cert, key });
      this.#deps.logger.info('certificate was read again', { file: certFile });
    } catch (cause) {
      this.#deps.logger.warn('new certificate is not usable, the old one stays', { cause });
    } finally {
      this.#isReading = false;
    }
  }
}
