import { STATUS } from '@iggy-ts/wire/status';
import {
  DONE,
  type Execution,
  evict,
  type Result,
  ROOT_USER_ID,
  refuse,
  utf8Bytes,
} from './execution.ts';
import type { CreateRootOp, EndMembershipsOp, LogoutOp, RegisterOp } from './metadata-op.ts';
import { EVICTION } from './outcome.ts';
import { ROOT_PERMISSIONS } from './permissions.ts';

/** Sessions there can ever be; the configured limit, which is lower, is kept by the proposer. */
export const SESSIONS_MAX = 65_536;
const CLIENT_HEX = /^[0-9a-f]{32}$/u;
const NO_CLIENT = '0'.repeat(32);

export function register(execution: Execution, op: RegisterOp): Result {
  const { tables, origin } = execution;
  if (!CLIENT_HEX.test(op.client) || op.client === NO_CLIENT) return evict(EVICTION.sessionError);
  const user = tables.users.get(op.userId);
  if (user === null) return evict(EVICTION.invalidCredentials);
  if (user.status !== 'active') return evict(EVICTION.userInactive);
  const known = tables.sessions.get(op.client);
  if (known !== undefined) {
    if (known.userId !== op.userId) return evict(EVICTION.sessionError);
    // Taken over: the older epoch is fenced by being older, what was executed stays known.
    known.epoch = origin.op;
    known.opLast = origin.op;
    known.version = op.version;
    return DONE;
  }
  if (op.evict !== null) endSession(execution, op.evict);
  if (tables.sessions.size >= SESSIONS_MAX) return refuse(STATUS.transientNotAccepted);
  tables.sessions.set(op.client, {
    client: op.client,
    userId: op.userId,
    epoch: origin.op,
    watermark: 0,
    version: op.version,
    opLast: origin.op,
    replies: [],
    groups: new Set(),
  });
  return DONE;
}

export function logout(execution: Execution, op: LogoutOp): Result {
  const session = execution.tables.sessions.get(op.client);
  if (session?.epoch === op.session) endSession(execution, op.client);
  return DONE;
}

/** Removes a session, if there is one, and takes it out of all its groups. */
export function endSession({ tables, changes }: Execution, client: string): void {
  const session = tables.sessions.get(client);
  if (session === undefined) return;
  for (const group of session.groups) {
    group.assignment.leave(client);
    tables.notePending(group);
  }
  session.groups.clear();
  tables.sessions.delete(client);
  changes.push({ kind: 'sessionEnded', client });
}

export function endMemberships({ tables }: Execution, _op: EndMembershipsOp): Result {
  for (const session of tables.sessions.values()) {
    for (const group of session.groups) {
      group.assignment.clear();
      tables.notePending(group);
    }
    session.groups.clear();
  }
  return DONE;
}

export function createRoot({ tables, origin }: Execution, op: CreateRootOp): Result {
  if (tables.users.get(ROOT_USER_ID) !== null) return DONE;
  const bytes = utf8Bytes(op.username);
  if (bytes < 3 || bytes > 50) return refuse(STATUS.invalidUsername);
  tables.users.add({
    id: ROOT_USER_ID,
    name: op.username,
    createdAtUs: origin.timestampUs,
    passwordHash: op.passwordHash,
    status: 'active',
    permissions: ROOT_PERMISSIONS,
    tokens: new Map(),
  });
  return DONE;
}
