import type { Broker } from '../broker/port.ts';
import type { Authentication } from './authentication.ts';
import type { OpenRoute, Route } from './route.ts';

// Login with a password or a token, refresh, logout. A logout ends nothing: a token is good until it
// expires, and no session is kept for it.

/** Routes that turn a secret into an access token. */
export function loginRoutes(broker: Broker, authentication: Authentication): readonly OpenRoute[] {
  const identity = async (userId: number): Promise<object> => {
    const { token, expiryS } = await authentication.issue(userId);
    return { user_id: userId, access_token: { token, expiry: expiryS } };
  };
  return [
    {
      method: 'POST',
      path: '/users/login',
      run: async (body) => {
        const [username, password] = [body.text('username'), body.text('password')];
        return identity(await broker.verifyPassword(username, password));
      },
    },
    {
      method: 'POST',
      path: '/personal-access-tokens/login',
      run: async (body) => identity(broker.verifyToken(body.text('token'))),
    },
    {
      method: 'POST',
      path: '/users/refresh-token',
      run: async (body) => identity(await authentication.refreshable(body.text('token'))),
    },
  ];
}

export const LOGOUT_ROUTE: Route = {
  method: 'DELETE',
  path: '/users/logout',
  status: 204,
  run: async () => {},
};
