import { OperatingError, STATUS, statusRow } from '@iggy-ts/wire/status';

/** What a client is told of a failure. */
export interface FailureBody {
  readonly id: number;
  /** Snake case. */
  readonly code: string;
  readonly reason: string;
  readonly field: string | null;
}

/** Status and body of an error that is an answer; null for a bug. */
export function failureOf(
  error: unknown,
): { readonly status: number; readonly body: FailureBody } | null {
  if (error instanceof OperatingError) {
    const { code, name, http, field, text } = statusRow(error.code);
    return { status: http, body: { id: code, code: name, reason: text, field } };
  }
  // Of the HTTP library: a body that is too large or no JSON, a method that is none.
  const { statusCode, message } = error as {
    readonly statusCode?: number;
    readonly message: string;
  };
  if (statusCode === undefined || statusCode >= 500) return null;
  const { code, name } = statusRow(STATUS.invalidCommand);
  return { status: statusCode, body: { id: code, code: name, reason: message, field: null } };
}
