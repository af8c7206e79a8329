import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { SessionEnded } from './port.ts';

const SESSION_TOO_LOW = 7;

/**
 * A partition refuses a request with 40 when a later session of the same client has written to it
 * already: the session the request came from is dead.
 */
export async function orReplaced<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof OperatingError && error.code === STATUS.unauthenticated) {
      throw new SessionEnded(SESSION_TOO_LOW);
    }
    throw error;
  }
}
