import type { AddressInfo } from 'node:net';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Broker } from '../broker/port.ts';
import type { Config } from '../config/config.ts';
import { Authentication, type Credential } from './authentication.ts';
import { cors } from './cors.ts';
import { BUG, failureOf, notFound, RequestRefused } from './failure.ts';
import { parseJson } from './json-text.ts';
import { Members } from './request-values.ts';
import { Call, type OpenRoute, type Route } from './route.ts';
import { GROUP_ROUTES } from './routes-groups.ts';
import { LOGOUT_ROUTE, loginRoutes } from './routes-login.ts';
import { MESSAGE_ROUTES } from './routes-messages.ts';
import { STREAM_ROUTES } from './routes-streams.ts';
import { SYSTEM_ROUTES } from './routes-system.ts';
import { TOPIC_ROUTES } from './routes-topics.ts';
import { USER_ROUTES } from './routes-users.ts';
import { TlsServers } from './tls-servers.ts';
import { WriteLimit } from './write-limit.ts';

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
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsSource;
  readonly observer: HttpObserver;
  /** An error that is nobody's answer; the client has got a 500. */
  readonly onBug: (error: unknown) => void;
}

const US_PER_MS = 1000;
/** A request that has begun to arrive is whole within this time, or its connection is closed. */
const REQUEST_TIMEOUT_MS = 30_000;
/** A name of 255 bytes with every byte escaped. */
const PARAM_LENGTH_MAX = 3 * 255;
const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json(?:;|$)/iu;

const ROUTES: readonly Route[] = [
  LOGOUT_ROUTE,
  ...USER_ROUTES,
  ...STREAM_ROUTES,
  ...TOPIC_ROUTES,
  ...GROUP_ROUTES,
  ...MESSAGE_ROUTES,
  ...SYSTEM_ROUTES,
];

/**
 * The HTTP API.
 *
 * errors   every refusal has one form (failure.ts); what is no refusal is a 500 and goes to `onBug`
 */
export class HttpServer {
  readonly #options: Config['http'];
  readonly #deps: HttpServerDependencies;
  readonly #app: FastifyInstance;
  readonly #authentication: Authentication;
  readonly #writes: WriteLimit = new WriteLimit();
  readonly #credentials: WeakMap<FastifyRequest, Credential> = new WeakMap();
  /** Methods of each path, to tell a wrong method from a wrong path. */
  readonly #methods: Map<string, string[]> = new Map();
  readonly #tls: TlsServers | null;

  constructor(options: Config['http'], deps: HttpServerDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#authentication = new Authentication(options.jwt, deps);
    this.#tls = options.tls.enabled ? new TlsServers(options.tls, deps) : null;
    this.#app = fastify({
      bodyLimit: options.maxRequestSizeBytes,
      forceCloseConnections: 'idle',
      requestTimeout: REQUEST_TIMEOUT_MS,
      // Paths that the router itself refuses: a broken escape, a part that is too long.
      frameworkErrors: (error, _request, reply) => this.#fail(error, reply),
      routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
      ...(this.#tls === null ? {} : { serverFactory: this.#tls.factory(REQUEST_TIMEOUT_MS) }),
    });
    this.#app.addHook('onResponse', (request, reply, done) => {
      const us = Math.round(reply.elapsedTime * US_PER_MS);
      deps.observer.answered({ method: request.method, status: reply.statusCode, us });
      done();
    });
    if (options.cors.enabled) cors(this.#app, options.cors);
    this.#parseBodies();
    this.#app.setErrorHandler((error, _request, reply) => this.#fail(error, reply));
    this.#app.setNotFoundHandler((request, reply) => this.#notFound(request, reply));
    this.#addHealth();
    for (const route of loginRoutes(deps.broker, this.#authentication)) this.#addOpen(route);
    for (const route of ROUTES) this.#add(route);
  }

  /** The application, for tests that need no socket. */
  get app(): FastifyInstance {
    return this.#app;
  }

  /** Listens; once. errors: the address is taken or not ours, the certificate is no good */
  async start(): Promise<{ readonly host: string; readonly port: number }> {
    await this.#tls?.open();
    const { host, port } = this.#options.address;
    await this.#app.listen({ host, port });
    const bound = this.#app.server.address() as AddressInfo;
    return { host: bound.address, port: bound.port };
  }

  /** Answers what was asked and closes; what takes longer than `drainMs` is cut off. */
  async stop({ drainMs }: { readonly drainMs: number }): Promise<void> {
    const cancel = this.#deps.clock.startTimer(drainMs, () =>
      this.#app.server.closeAllConnections(),
    );
    try {
      await this.#app.close();
    } finally {
      cancel();
      this.#tls?.close();
    }
  }

  #parseBodies(): void {
    this.#app.removeAllContentTypeParsers();
    this.#app.addContentTypeParser(JSON_TYPE, { parseAs: 'string' }, (_request, body, done) => {
      try {
        done(null, body === '' ? undefined : parseJson(body as string));
      } catch (error) {
        done(error as Error);
      }
    });
  }

  #addHealth(): void {
    const { broker, metrics } = this.#deps;
    this.#app.get('/ping', () => 'pong');
    this.#app.get('/healthz', () => ({ status: 'alive' }));
    this.#app.get('/readyz', (_request, reply) =>
      broker.ready ? { status: 'ready' } : reply.code(503).send({ status: 'not ready' }),
    );
    // An endpoint that is no path is refused at the start, with a sentence.
    if (!this.#options.metrics.enabled || !this.#options.metrics.endpoint.startsWith('/')) return;
    const onRequest = this.#options.metrics.public ? [] : [this.#authenticate];
    this.#app.get(this.#options.metrics.endpoint, { onRequest }, async (_request, reply) => {
      reply.type(metrics.contentType);
      return metrics.text();
    });
  }

  #addOpen({ method, path, run }: OpenRoute): void {
    this.#note(method, path);
    this.#app.route({
      method,
      url: path,
      handler: async (request) => {
        requireJson(request);
        return run(new Members(request.body));
      },
    });
  }

  #add(route: Route): void {
    const { method, path: url } = route;
    this.#note(method, url);
    this.#app.route({
      method,
      url,
      onRequest: this.#authenticate,
      handler: (request, reply) => this.#run(route, request, reply),
    });
  }

  #note(method: string, path: string): void {
    const methods = this.#methods.get(path) ?? [];
    this.#methods.set(path, [...methods, ...(method === 'GET' ? ['GET', 'HEAD'] : [method])]);
  }

  /** Runs before the body is read: who is not known sends nothing. */
  readonly #authenticate = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const credential = await this.#authentication.credentialOf(request.headers.authorization);
    this.#credentials.set(request, credential);
    // The view of the group that answers; a single node has had no other.
    reply.header('iggy-view', '0');
  };

  async #run(route: Route, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { userId, id } = this.#credentials.get(request)!;
    const { method } = route;
    if (method === 'POST' || method === 'PUT') requireJson(request);
    const parts = {
      params: request.params as Record<string, string>,
      query: request.query,
      body: request.body,
      ...{ userId, caller: this.#deps.broker.actAs(userId) },
    };
    const call = new Call(parts, this.#deps);
    const end = method === 'GET' ? null : this.#writes.begin(id);
    try {
      const answer = await route.run(call);
      reply.code(call.status ?? route.status ?? 200).headers(call.headers);
      if (answer === undefined) return reply.send();
      if (answer instanceof Uint8Array) return reply.send(Buffer.from(answer));
      return reply.type('application/json').send(JSON.stringify(answer));
    } finally {
      if (call.underWay === null) end?.();
      else call.underWay.then(end, end);
    }
  }

  #notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const [path = ''] = request.url.split('?', 1);
    for (const [pattern, methods] of this.#methods) {
      if (!matches(pattern, path)) continue;
      reply.header('allow', methods.join(','));
      return this.#fail(new RequestRefused(405, 'Method not allowed', 'method_not_allowed'), reply);
    }
    return this.#fail(notFound(), reply);
  }

  #fail(error: unknown, reply: FastifyReply): FastifyReply {
    const failure = failureOf(error);
    if (failure === null) this.#deps.onBug(error);
    const { status, body, retryAfterS } = failure ?? BUG;
    if (retryAfterS !== null) reply.header('retry-after', String(retryAfterS));
    return reply.code(status).type('application/json').send(JSON.stringify(body));
  }
}

function requireJson(request: FastifyRequest): void {
  if (JSON_TYPE.test(request.headers['content-type'] ?? '')) return;
  throw new RequestRefused(415, 'Expected a body with content-type: application/json');
}

function matches(pattern: string, path: string): boolean {
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  if (wanted.length !== given.length) return false;
  return wanted.every((part, at) => (part.startsWith(':') ? given[at] !== '' : part === given[at]));
}
