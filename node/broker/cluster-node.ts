import type { ClusterMetadataReply, ClusterNode } from '@iggy-ts/wire/commands/replies';
import type { NodeAddress } from './dependencies.ts';

// What a client is told of the cluster: one node that leads. The roster is never empty, because
// the stock client then fails every offset write, and never names an address nobody can dial.

const CLUSTER_NAME = 'single-node';
const NODE_NAME = 'iggy-node';
const LOOPBACK = '127.0.0.1';

/** What decides the address a client is told. */
export interface Reachability {
  /** Setting of the operator; empty when there is none. */
  readonly advertisedAddress: string;
  /** Local end of the connection that asks, with or without a port; null over HTTP. */
  readonly localAddress: string | null;
  readonly bound: NodeAddress;
}

/** The only node, as the asking client can reach it. */
export function thisNode(reachability: Reachability): ClusterNode {
  const { tcpPort, quicPort, httpPort, websocketPort } = reachability.bound;
  const ip = hostFor(reachability);
  const ports = { tcpPort, quicPort, httpPort, websocketPort };
  return { name: NODE_NAME, ip, ...ports, role: 'leader', status: 'healthy' };
}

/** The cluster of this one node. */
export function singleNodeCluster(reachability: Reachability): ClusterMetadataReply {
  return { name: CLUSTER_NAME, nodes: [thisNode(reachability)] };
}

function hostFor({ advertisedAddress, localAddress, bound }: Reachability): string {
  const candidates = [advertisedAddress, hostOf(localAddress ?? ''), hostOf(bound.host)];
  return candidates.find((host) => host !== '' && !isWildcard(host)) ?? LOOPBACK;
}

/** Cuts the port off, and the IPv6 coat of an IPv4 address. */
function hostOf(address: string): string {
  const bracketed = /^\[(?<host>[^\]]*)\](?::\d+)?$/u.exec(address)?.groups?.['host'];
  const colons = address.split(':').length - 1;
  const host = bracketed ?? (colons === 1 ? address.slice(0, address.indexOf(':')) : address);
  return /^::ffff:(?<host>\d+\.\d+\.\d+\.\d+)$/iu.exec(host)?.groups?.['host'] ?? host;
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::' || host === '*';
}
