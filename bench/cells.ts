/** What a cell does: how many connections, what each of them sends or polls. */
export interface Cell {
  readonly name: string;
  readonly kind: 'send' | 'poll';
  /** One partition, in a stream of its own, for each connection. */
  readonly connections: number;
  readonly messageBytes: number;
  readonly messagesPerBatch: number;
  /** Both servers sync every batch before they answer; else both leave that to the system. */
  readonly isSynced: boolean;
}

const BASE = { connections: 4, messageBytes: 1024, messagesPerBatch: 1000, isSynced: false };

export const CELLS: readonly Cell[] = [
  { ...BASE, name: 'send 1 KiB x 1000', kind: 'send' },
  { ...BASE, name: 'send 1 KiB x 1000, fsync', kind: 'send', isSynced: true },
  { ...BASE, name: 'send 100 B x 1000', kind: 'send', messageBytes: 100 },
  { ...BASE, name: 'send 1 KiB x 1', kind: 'send', connections: 16, messagesPerBatch: 1 },
  {
    ...BASE,
    name: 'send 1 KiB x 1, fsync',
    kind: 'send',
    connections: 16,
    messagesPerBatch: 1,
    isSynced: true,
  },
  { ...BASE, name: 'poll 1 KiB x 1000', kind: 'poll' },
];
