import type { TopicView } from '../state/metadata-tables.ts';

// Who asks. Everything a use case may know of the caller; identities come from the session, never
// from a frame.

/** The session of a connection, as the register operation opened it. */
export interface Session {
  readonly userId: number;
  /** Client id, 32 hex characters. */
  readonly client: string;
  /** Position of the register operation: higher for every login. */
  readonly epoch: number;
  /** Session whose group memberships were lent to this one; null: none. */
  attached: { readonly client: string; readonly epoch: number } | null;
  /** Last choice of a balanced send, so that its repeat goes to the same partition. */
  lastBalanced: BalancedChoice | null;
  /** Next place in the assignment, by group, for polls that name no partition. */
  readonly turns: WeakMap<object, number>;
}

interface BalancedChoice {
  readonly request: number;
  readonly checksumLow: number;
  readonly checksumHigh: number;
  readonly topic: TopicView;
  readonly partitionId: number;
}

/** A caller that is known: a logged-in connection, or an HTTP credential without a session. */
export interface Actor {
  readonly userId: number;
  /** null: HTTP. */
  readonly session: Session | null;
  /** Connection number; null: HTTP. */
  readonly connectionId: number | null;
  /** Local end of the connection; null: HTTP. */
  readonly localAddress: string | null;
}
