import { OperatingError, STATUS, statusRow } from '@iggy-ts/wire/status';
import { SessionEnded } from '../broker/port.ts';

/** What a client is told of a failure. */
interface FailureBody {
  readonly id: number;
  /** Snake case. */
  readonly code: string;
  readonly reason: string;
  readonly field: string | null;
}

interface Failure {
  readonly status: number;
  readonly body: FailureBody;
  /** Seconds after which the same request may succeed; null: it will not. */
  readonly retryAfterS: number | null;
}

const RETRY_STATUS = 503;
const RETRY_AFTER_S = 1;
/** Statuses that say "not now". */
const RETRIED: readonly number[] = [429, RETRY_STATUS];

/** A request that this server does not understand or not now. `code`: its name, in snake case. */
export class RequestRefused extends Error {
  readonly statusCode: number;
  readonly code: string | null;

  constructor(statusCode: number, reason: string, code: string | null = null) {
    super(reason);
    this.name = 'RequestRefused';
    this.statusCode = statusCode;
    this.code = code;
  }
}

/** What was asked for is not there. */
export function notFound(): RequestRefused {
  return new RequestRefused(404, 'Resource not found', 'not_found');
}

/** The answer to a bug. */
export const BUG: Failure = {
  status: 500,
  body: { id: STATUS.error, code: 'error', reason: 'Internal error', field: null },
  retryAfterS: null,
};

/** The answer to an error that is one; null for a bug. */
export function failureOf(error: unknown): Failure | null {
  if (error instanceof OperatingError) {
    const { code, name, http, field, text, retryable } = statusRow(error.code);
    return made(retryable ? RETRY_STATUS : http, { id: code, code: name, reason: text, field });
  }
  if (error instanceof SessionEnded) return failureOf(new OperatingError(STATUS.unauthenticated));
  // Of this room, or of the HTTP library: a body that is too large, a header that is none.
  if (!(error instanceof Error)) return null;
  const { statusCode, message } = error as Error & { readonly statusCode?: unknown };
  if (typeof statusCode !== 'number' || statusCode === 500) return null;
  const named = error instanceof RequestRefused ? error.code : null;
  if (named !== null) {
    return made(statusCode, { id: statusCode, code: named, reason: message, field: null });
  }
  const { code, name } = statusRow(STATUS.invalidCommand);
  return made(statusCode, { id: code, code: name, reason: message, field: null });
}

function made(status: number, body: FailureBody): Failure {
  return { status, body, retryAfterS: RETRIED.includes(status) ? RETRY_AFTER_S : null };
}
