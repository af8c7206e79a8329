import assert from 'node:assert/strict';
import { singleNodeCluster, thisNode } from './cluster-node.ts';

const PORTS = { tcpPort: 8090, quicPort: 0, httpPort: 3000, websocketPort: 0 };
const bound = { host: '0.0.0.0', ...PORTS };

describe('the node that clients are told of', () => {
  it('is exactly one healthy leader with the bound ports', () => {
    const reply = singleNodeCluster({ advertisedAddress: '', localAddress: '10.1.2.3', bound });
    assert.deepEqual(reply, {
      name: 'single-node',
      nodes: [{ name: 'iggy-node', ip: '10.1.2.3', ...PORTS, role: 'leader', status: 'healthy' }],
    });
  });

  const rows: readonly [
    title: string,
    advertised: string,
    local: string | null,
    host: string,
    ip: string,
  ][] = [
    ['the advertised address first', 'iggy.example', '10.1.2.3', '127.0.0.1', 'iggy.example'],
    ['the local end of the connection', '', '10.1.2.3:8090', '0.0.0.0', '10.1.2.3'],
    ['IPv6 without brackets', '', '[fd00::1]:8090', '::', 'fd00::1'],
    ['IPv6 without a port', '', 'fd00::1', '::', 'fd00::1'],
    ['IPv4 without its IPv6 coat', '', '::ffff:10.1.2.3', '::', '10.1.2.3'],
    ['the bound host over HTTP', '', null, '10.9.9.9', '10.9.9.9'],
    ['loopback before a wildcard', '', null, '0.0.0.0', '127.0.0.1'],
    ['loopback before an IPv6 wildcard', '', '', '[::]', '127.0.0.1'],
  ];
  for (const [title, advertisedAddress, localAddress, host, ip] of rows) {
    it(`names ${title}`, () => {
      const node = thisNode({ advertisedAddress, localAddress, bound: { host, ...PORTS } });
      assert.equal(node.ip, ip);
    });
  }
});
