import { STATUS } from '@iggy-ts/wire/status';
import { endSession } from './apply-sessions.ts';
import {
  answer,
  DONE,
  type Execution,
  mayExecute,
  type Result,
  ROOT_USER_ID,
  reachUser,
  refuse,
  utf8Bytes,
} from './execution.ts';
import type {
  ChangePasswordOp,
  CleanTokensOp,
  CreateTokenOp,
  CreateUserOp,
  DeleteTokenOp,
  DeleteUserOp,
  UpdatePermissionsOp,
  UpdateUserOp,
} from './metadata-op.ts';
import { sortedPermissions } from './permissions.ts';

export const TOKENS_PER_USER_MAX = 100;
const USERNAME_BYTES_MIN = 3;
const USERNAME_BYTES_MAX = 50;

export function createUser({ tables, origin }: Execution, op: CreateUserOp): Result {
  if (!mayExecute(tables, op.caller, 'usersManage', null)) return refuse(STATUS.unauthorized);
  if (!isUsername(op.username)) return refuse(STATUS.invalidUsername);
  if (tables.users.byName(op.username) !== null) return refuse(STATUS.userAlreadyExists);
  const { username, passwordHash, status } = op;
  const permissions = op.permissions === null ? null : sortedPermissions(op.permissions);
  const id = tables.users.idNext;
  const createdAtUs = origin.timestampUs;
  const tokens = new Map();
  tables.users.add({ id, name: username, createdAtUs, passwordHash, status, permissions, tokens });
  return answer({ id, createdAtUs, status, username, options: [], permissions });
}

export function updateUser({ tables }: Execution, op: UpdateUserOp): Result {
  const reached = reachUser(tables, op);
  if (typeof reached === 'number') return refuse(reached);
  const { user } = reached;
  if (op.username !== null) {
    if (!isUsername(op.username)) return refuse(STATUS.invalidUsername);
    const holder = tables.users.byName(op.username);
    if (holder !== null && holder !== user) return refuse(STATUS.userAlreadyExists);
    tables.users.rename(user, op.username);
  }
  if (op.status !== null) user.status = op.status;
  return DONE;
}

export function deleteUser(execution: Execution, op: DeleteUserOp): Result {
  const { tables } = execution;
  const reached = reachUser(tables, op);
  if (typeof reached === 'number') return refuse(reached);
  const { user } = reached;
  if (user.id === ROOT_USER_ID) return refuse(STATUS.cannotDeleteUser);
  // The id is given out again: a session left behind would act as somebody else.
  for (const session of [...tables.sessions.values()]) {
    if (session.userId === user.id) endSession(execution, session.client);
  }
  for (const token of [...user.tokens.values()]) tables.deleteToken(user, token);
  tables.users.delete(user);
  return DONE;
}

export function updatePermissions({ tables }: Execution, op: UpdatePermissionsOp): Result {
  const reached = reachUser(tables, op);
  if (typeof reached === 'number') return refuse(reached);
  const { user } = reached;
  if (user.id === ROOT_USER_ID) return refuse(STATUS.cannotChangePermissions);
  user.permissions = op.permissions === null ? null : sortedPermissions(op.permissions);
  return DONE;
}

export function changePassword({ tables }: Execution, op: ChangePasswordOp): Result {
  const user = tables.users.find(op.userId);
  if (user === null) return refuse(STATUS.resourceNotFound);
  const own = op.caller === user.id;
  if (!own && !mayExecute(tables, op.caller, 'usersManage', null)) {
    return refuse(STATUS.unauthorized);
  }
  if (user.passwordHash !== op.currentHash) return refuse(STATUS.invalidCredentials);
  user.passwordHash = op.passwordHash;
  return DONE;
}

export function createToken({ tables, origin }: Execution, op: CreateTokenOp): Result {
  const user = tables.users.get(op.userId);
  if (user === null) return refuse(STATUS.unauthorized);
  if (user.tokens.size >= TOKENS_PER_USER_MAX) {
    return refuse(STATUS.personalAccessTokensLimitReached);
  }
  if (user.tokens.has(op.name) || tables.tokenByHash.has(op.tokenHash)) {
    return refuse(STATUS.personalAccessTokenAlreadyExists);
  }
  if (op.expiryAtUs !== null && op.expiryAtUs <= origin.timestampUs) {
    return refuse(STATUS.invalidPersonalAccessTokenExpiry);
  }
  const { userId, name, tokenHash, expiryAtUs } = op;
  tables.addToken(user, { userId, name, tokenHash, expiryAtUs });
  return DONE;
}

export function deleteToken({ tables }: Execution, op: DeleteTokenOp): Result {
  const user = tables.users.get(op.userId);
  const token = user?.tokens.get(op.name);
  if (user === null || token === undefined) return refuse(STATUS.resourceNotFound);
  tables.deleteToken(user, token);
  return DONE;
}

/** By log time, so that a token created again under the same name meanwhile is judged by itself. */
export function cleanTokens({ tables, origin }: Execution, _op: CleanTokensOp): Result {
  for (const user of tables.users.list()) {
    for (const token of [...user.tokens.values()]) {
      if (token.expiryAtUs !== null && token.expiryAtUs <= origin.timestampUs) {
        tables.deleteToken(user, token);
      }
    }
  }
  return DONE;
}

function isUsername(text: string): boolean {
  const bytes = utf8Bytes(text);
  return bytes >= USERNAME_BYTES_MIN && bytes <= USERNAME_BYTES_MAX;
}
