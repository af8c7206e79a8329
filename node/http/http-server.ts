import type { AddressInfo } from 'node:net';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Broker } from '../broker/port.ts';
import type { Config } from '../config/config.ts';
import { failureOf } from './failure.ts';

/** What the server says of itself in the text format of Prometheus. */
interface MetricsSource {
  readonly contentType: string;
  text(): Promise<string>;
}

interface HttpObserver {
  answered(request: {
    readonly method: string;
    readonly status: number;
    readonly us: number;
  }): void;
}

export interface HttpServerDependencies {
  readonly broker: Broker;
  readonly metrics: MetricsSource;
  readonly observer: HttpObserver;
  /** An error that is nobody's answer; the client has got a 500. */
  readonly onBug: (error: unknown) => void;
}

const US_PER_MS = 1000;

/**
 * Health, readiness and metrics over HTTP.
 *
 *   /ping, /healthz    the loop is alive                     no login
 *   /readyz            clients are served; 503 while not     no login
 *   /metrics           for Prometheus; a personal access token as bearer unless it is public
 */
export class HttpServer {
  readonly #options: Config['http'];
  readonly #deps: HttpServerDependencies;
  readonly #app: FastifyInstance;

  constructor(options: Config['http'], deps: HttpServerDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#app = fastify({ bodyLimit: options.maxRequestSizeBytes, forceCloseConnections: 'idle' });
    this.#app.addHook('onResponse', (request, reply, done) => {
      const us = Math.round(reply.elapsedTime * US_PER_MS);
      deps.observer.answered({ method: request.method, status: reply.statusCode, us });
      done();
    });
    this.#app.setErrorHandler((error, _request, reply) => this.#fail(error, reply));
    this.#app.setNotFoundHandler((_request, reply) => {
      const reason = 'Resource not found';
      return reply.code(404).send({ id: 404, code: 'not_found', reason, field: null });
    });
    this.#route();
  }

  /** The application, for tests that need no socket. */
  get app(): FastifyInstance {
    return this.#app;
  }

  /** Listens; once. errors: the address is taken or not ours */
  async start(): Promise<{ readonly host: string; readonly port: number }> {
    const { host, port } = this.#options.address;
    await this.#app.listen({ host, port });
    const bound = this.#app.server.address() as AddressInfo;
    return { host: bound.address, port: bound.port };
  }

  /** Answers what was asked, then closes. */
  async stop(): Promise<void> {
    await this.#app.close();
  }

  #route(): void {
    const { broker, metrics } = this.#deps;
    const app = this.#app;
    app.get('/ping', () => 'pong');
    app.get('/healthz', () => ({ status: 'alive' }));
    app.get('/readyz', (_request, reply) =>
      broker.ready ? { status: 'ready' } : reply.code(503).send({ status: 'not ready' }),
    );
    if (!this.#options.metrics.enabled) return;
    app.get(this.#options.metrics.endpoint, async (request, reply) => {
      if (!this.#options.metrics.public) this.#requireToken(request);
      reply.type(metrics.contentType);
      return metrics.text();
    });
  }

  #requireToken(request: FastifyRequest): void {
    const [scheme, token = ''] = (request.headers.authorization ?? '').split(' ', 2);
    this.#deps.broker.verifyToken(scheme?.toLowerCase() === 'bearer' ? token : '');
  }

  #fail(error: unknown, reply: FastifyReply): FastifyReply {
    const failure = failureOf(error);
    if (failure === null) {
      this.#deps.onBug(error);
      const reason = 'Internal error';
      return reply.code(500).send({ id: 1, code: 'error', reason, field: null });
    }
    return reply.code(failure.status).send(failure.body);
  }
}
