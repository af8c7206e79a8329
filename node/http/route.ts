import type { MetadataCommand } from '@iggy-ts/wire/commands/requests';
import type { Identifier } from '@iggy-ts/wire/commands/values';
import { OperatingError } from '@iggy-ts/wire/status';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Broker, Caller, Executed, ReplyFor } from '../broker/port.ts';
import { notFound, RequestRefused } from './failure.ts';
import { identifierOf, Members, Query, u32OfText } from './request-values.ts';

// A route is data: where it is, and what it does with a call. Everything around it (login, limits,
// errors, headers) is the business of the server.

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** A route for who is logged in. */
export interface Route {
  readonly method: Method;
  readonly path: string;
  /** Status of success; 200 without. */
  readonly status?: number;
  /** The JSON of the answer; undefined: no body; bytes: as they are. */
  readonly run: (call: Call) => Promise<unknown>;
}

/** A route that gives credentials to who has none. */
export interface OpenRoute {
  readonly method: Method;
  readonly path: string;
  readonly run: (body: Members) => Promise<unknown>;
}

interface CallParts {
  readonly params: Readonly<Record<string, string>>;
  readonly query: unknown;
  readonly body: unknown;
  readonly userId: number;
  readonly caller: Caller;
}

export interface CallDependencies {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One request of a user. */
export class Call {
  readonly userId: number;
  readonly caller: Caller;
  readonly query: Query;
  readonly deps: CallDependencies;
  /** Headers of the answer beside the usual ones. */
  readonly headers: Record<string, string> = {};
  /** Status of success, when it is not that of the route. */
  status: number | null = null;
  /** A write that may outlast the answer, and counts until it is over. */
  underWay: Promise<unknown> | null = null;
  readonly #params: Readonly<Record<string, string>>;
  readonly #body: unknown;

  constructor(parts: CallParts, deps: CallDependencies) {
    this.userId = parts.userId;
    this.caller = parts.caller;
    this.query = new Query(parts.query);
    this.deps = deps;
    this.#params = parts.params;
    this.#body = parts.body;
  }

  param(name: string): string {
    return this.#params[name] ?? '';
  }

  identifier(name: string): Identifier {
    return identifierOf(this.param(name));
  }

  u32(name: string): number {
    return u32OfText(this.param(name), name);
  }

  /** Stream and topic of the path. */
  topic(): { readonly streamId: Identifier; readonly topicId: Identifier } {
    return { streamId: this.identifier('stream_id'), topicId: this.identifier('topic_id') };
  }

  /** errors: RequestRefused 422 when it is no object */
  body(): Members {
    return new Members(this.#body);
  }

  /** Carries a metadata operation out. errors: OperatingError, of its outcome too */
  async execute<C extends MetadataCommand>(command: C): Promise<ReplyFor<C['kind']>> {
    return outcomeOf(await this.caller.execute(command, null)) as ReplyFor<C['kind']>;
  }
}

/** The reply of an operation that was carried out. errors: OperatingError when it said no */
export function outcomeOf<R>({ code, reply }: Executed<R>): R | null {
  if (code !== 0) throw new OperatingError(code);
  return reply;
}

/** The one thing that was asked for. errors: 404 */
export function found<T>(reply: T | null): T {
  if (reply === null) throw notFound();
  return reply;
}

/** What of the partitions takes longer than this is answered with 504; it may still happen. */
const PARTITION_TIMEOUT_MS = 10_000;

/** The outcome, or a 504 named `code`. */
export async function inTime<T>(clock: Clock, code: string, outcome: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const cancel = clock.startTimer(PARTITION_TIMEOUT_MS, () =>
    reject(new RequestRefused(504, 'No outcome in time; it may still happen', code)),
  );
  try {
    return await Promise.race([outcome, late]);
  } finally {
    cancel();
  }
}
