import fastifyCors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../config/config.ts';

/** Answers preflight requests and adds CORS headers, as the settings say. */
export function cors(app: FastifyInstance, options: Config['http']['cors']): void {
  const words = (list: readonly string[]): string[] => list.filter((word) => word.trim() !== '');
  const origins = words(options.allowedOrigins);
  if (options.allowPrivateNetwork) {
    app.addHook('onRequest', (request, reply, done) => {
      if (request.headers['access-control-request-private-network'] === 'true') {
        reply.header('access-control-allow-private-network', 'true');
      }
      done();
    });
  }
  app.register(fastifyCors, {
    origin: origins[0] === '*' ? '*' : origins,
    methods: words(options.allowedMethods),
    allowedHeaders: words(options.allowedHeaders),
    exposedHeaders: words(options.exposedHeaders),
    credentials: options.allowCredentials,
    optionsSuccessStatus: 200,
  });
}
