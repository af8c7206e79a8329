import type { Identifier } from '@iggy-ts/wire/commands/values';
import { STATUS } from '@iggy-ts/wire/status';
import { permissionsOf, userDetailsJson, userJson } from './json-users.ts';
import { optionsOf } from './json-values.ts';
import type { Members } from './request-values.ts';
import { type Call, found, type Route } from './route.ts';

// Users and the personal access tokens of the caller.

const ALL = '/users';
const ONE = `${ALL}/:user_id`;
const TOKENS = '/personal-access-tokens';

const STATUSES = ['active', 'inactive'] as const;
const USERNAME = { min: 3, max: 50, status: STATUS.invalidUsername } as const;
const PASSWORD = { min: 3, max: 100, status: STATUS.invalidPassword } as const;
const TOKEN_NAME = { min: 3, max: 30, status: STATUS.invalidPersonalAccessTokenName } as const;

/** "me" is the caller. */
function userOf(call: Call): { readonly userId: Identifier } {
  if (call.param('user_id') === 'me') return { userId: { kind: 'id', id: call.userId } };
  return { userId: call.identifier('user_id') };
}

function statusOf(body: Members): 'active' | 'inactive' {
  return body.word('status', STATUSES);
}

const TOKEN_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: TOKENS,
    run: async ({ caller }) => {
      const tokens = await caller.read({ kind: 'getPersonalAccessTokens' });
      return tokens.map(({ name, expiryAtUs }) => ({ name, expiry_at: expiryAtUs }));
    },
  },
  {
    method: 'POST',
    path: TOKENS,
    run: async (call) => {
      const body = call.body();
      const name = body.textOf('name', TOKEN_NAME);
      const expiryUs = body.u64('expiry');
      const command = { kind: 'createPersonalAccessToken', name, expiryUs } as const;
      const { token } = await call.execute(command);
      return { token };
    },
  },
  {
    method: 'DELETE',
    path: `${TOKENS}/:name`,
    status: 204,
    run: async (call) => {
      await call.execute({ kind: 'deletePersonalAccessToken', name: call.param('name') });
    },
  },
];

export const USER_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: ALL,
    run: async ({ caller }) => (await caller.read({ kind: 'getUsers' })).map(userJson),
  },
  {
    method: 'POST',
    path: ALL,
    run: async (call) => {
      const body = call.body();
      const user = await call.execute({
        kind: 'createUser',
        username: body.textOf('username', USERNAME),
        password: body.textOf('password', PASSWORD),
        status: statusOf(body),
        permissions: permissionsOf(body),
        options: optionsOf(body),
      });
      return userDetailsJson(user);
    },
  },
  {
    method: 'GET',
    path: ONE,
    run: async (call) =>
      userDetailsJson(found(await call.caller.read({ kind: 'getUser', ...userOf(call) }))),
  },
  {
    method: 'PUT',
    path: ONE,
    status: 204,
    run: async (call) => {
      const body = call.body();
      const username = body.value('username') === null ? null : body.textOf('username', USERNAME);
      const status = body.value('status') === null ? null : statusOf(body);
      const options = optionsOf(body);
      await call.execute({ kind: 'updateUser', ...userOf(call), username, status, options });
    },
  },
  {
    method: 'DELETE',
    path: ONE,
    status: 204,
    run: async (call) => {
      await call.execute({ kind: 'deleteUser', ...userOf(call) });
    },
  },
  {
    method: 'PUT',
    path: `${ONE}/permissions`,
    status: 204,
    run: async (call) => {
      const permissions = permissionsOf(call.body());
      await call.execute({ kind: 'updatePermissions', ...userOf(call), permissions });
    },
  },
  {
    method: 'PUT',
    path: `${ONE}/password`,
    status: 204,
    run: async (call) => {
      const body = call.body();
      const currentPassword = body.textOf('current_password', PASSWORD);
      const newPassword = body.textOf('new_password', PASSWORD);
      const passwords = { currentPassword, newPassword };
      await call.execute({ kind: 'changePassword', ...userOf(call), ...passwords });
    },
  },
  ...TOKEN_ROUTES,
];
