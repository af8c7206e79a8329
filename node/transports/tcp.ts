import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { CertificateFiles } from './certificate.ts';
import type { ConnectionDependencies, ConnectionLimits } from './connection.ts';
import { ConnectionSet } from './connection-set.ts';
import { SocketTransport } from './socket-transport.ts';
import { TlsServer } from './tls.ts';
import { REFUSED } from './transport.ts';

/** Connections that the operating system may hold ready for us. */
const BACKLOG = 1024;

export interface TcpListenerOptions extends ConnectionLimits {
  /** Name or address of the interface, IPv4 or IPv6. */
  readonly host: string;
  /** 0 lets the operating system choose. */
  readonly port: number;
  readonly connectionsMax: number;
  /** Null: plain TCP. */
  readonly tls: CertificateFiles | null;
  /** Time for a TLS handshake. */
  readonly handshakeTimeoutMs: number;
}

/** Where a listener listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Accepts clients over TCP, or TLS on TCP; see connection.ts for what happens to their bytes. */
export class TcpListener {
  readonly #options: TcpListenerOptions;
  readonly #deps: ConnectionDependencies;
  readonly #connections: ConnectionSet;
  /** Every accepted socket, also while its handshake goes on. */
  readonly #sockets: Set<Socket> = new Set();
  #server: Server | null = null;
  #tls: TlsServer | null = null;

  constructor(options: TcpListenerOptions, deps: ConnectionDependencies) {
    this.#options = options;
    this.#deps = deps;
    const kind = options.tls === null ? 'tcp' : 'tls';
    this.#connections = new ConnectionSet({ ...options, kind }, deps);
  }

  /** Connections whose handshake is over. */
  get connectionsCount(): number {
    return this.#connections.size;
  }

  /**
   * Listens; once.
   *
   * errors   the address is taken or not ours; with TLS, a certificate that cannot be used
   */
  async start(): Promise<Address> {
    assert(this.#server === null);
    const server = await this.#openServer();
    this.#server = server;
    server.maxConnections = this.#options.connectionsMax;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.on('drop', () => this.#deps.observer.refusedFrame(REFUSED.connectionsMax));
    server.listen({ host: this.#options.host, port: this.#options.port, backlog: BACKLOG });
    try {
      await once(server, 'listening');
    } catch (cause) {
      this.#tls?.close();
      throw cause;
    }
    // Such as no more file descriptors: the client is refused, the server goes on.
    server.on('error', (cause) => this.#deps.logger.warn('connection not accepted', { cause }));
    const { address, port } = server.address() as AddressInfo;
    return { host: address, port };
  }

  /** Accepts no more, answers what was asked, then closes; what is not closed in time is cut. */
  async stop({ drainMs }: { readonly drainMs: number }): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#tls?.close();
    const closed = once(server, 'close');
    server.close();
    await this.#connections.drain(drainMs);
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #openServer(): Promise<Server> {
    const { tls, handshakeTimeoutMs } = this.#options;
    if (tls === null) {
      return createServer({ allowHalfOpen: true }, (socket) => this.#connect(socket));
    }
    const options = { ...tls, handshakeTimeoutMs };
    this.#tls = await TlsServer.open(options, this.#deps, (socket) => this.#connect(socket));
    return this.#tls.server;
  }

  #connect(socket: Socket): void {
    const transport = new SocketTransport(socket);
    const connection = this.#connections.add(transport, {
      address: formatAddress(socket.remoteAddress, socket.remotePort),
      localAddress: formatAddress(socket.localAddress, socket.localPort),
    });
    if (connection !== null) transport.start(connection);
  }
}

/** ip:port as clients see it; the fields are missing when the client is gone already. */
function formatAddress(host: string | undefined, port: number | undefined): string {
  const ip = (host ?? '').replace(/^::ffff:(?=\d+\.)/u, '');
  return ip.includes(':') ? `[${ip}]:${port ?? 0}` : `${ip}:${port ?? 0}`;
}
