import assert from 'node:assert/strict';

export interface Quorums {
  readonly commit: number;
  readonly viewChange: number;
  readonly nack: number;
}

/**
 * Quorum sizes of a group of n members (rule S18: q + q_vc > n and q_nack + q > n).
 *
 * shape    n: 1..5 members
 * source   replication rules S10 and S18
 */
export function quorums(n: number): Quorums {
  assert(n >= 1 && n <= 5);
  const commit = Math.floor(n / 2) + 1;
  const nack = n - commit + 1;
  assert(commit + commit > n);
  assert(nack + commit > n);
  return { commit, viewChange: commit, nack };
}
