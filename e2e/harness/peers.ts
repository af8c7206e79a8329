import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

// The real Iggy servers and tools, from a folder of packed binaries: IGGY_PEERS, else
// ../shared/peers beside the checkout. They are unpacked once into .cache/.

const TOP = join(import.meta.dirname, '..', '..');
const PACKED = process.env['IGGY_PEERS'] ?? join(TOP, '..', 'shared', 'peers');
const UNPACKED = join(TOP, '.cache', 'peers');

export type PeerName =
  | 'iggy-server-0.9-edge'
  | 'iggy-server-0.8.0'
  | 'iggy-bench-0.9'
  | 'iggy-bench-0.8'
  | 'iggy-cli-0.14'
  | 'iggy-cli-0.13';

export const PEERS = {
  /** Whether this machine has them. */
  get areHere(): boolean {
    return existsSync(join(PACKED, 'unpack'));
  },

  /** Absolute path of one, unpacked on first use. */
  path(name: PeerName): string {
    const file = join(UNPACKED, name);
    if (!existsSync(file)) {
      mkdirSync(UNPACKED, { recursive: true });
      execFileSync(join(PACKED, 'unpack'), [UNPACKED], { stdio: 'ignore' });
    }
    return file;
  },
} as const;
