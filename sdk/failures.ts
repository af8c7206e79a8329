import { statusRow } from '@iggy-ts/wire/status';

/** The server answered with a failure. */
export class RequestFailed extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`status ${code}: ${statusRow(code).text}`);
    this.name = 'RequestFailed';
    this.code = code;
  }
}

/** The server ended the session, or refused the login. */
export class SessionEvicted extends Error {
  readonly reason: number;

  constructor(reason: number) {
    super(`session ended by the server, reason ${reason}`);
    this.name = 'SessionEvicted';
    this.reason = reason;
  }
}

/** The connection is gone; whether the last request was carried out is unknown. */
export class ConnectionLost extends Error {
  constructor(cause?: unknown) {
    super('connection lost', { cause });
    this.name = 'ConnectionLost';
  }
}
