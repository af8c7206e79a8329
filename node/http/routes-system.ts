import type {
  OptionsScope,
  SnapshotCompression,
  SnapshotType,
} from '@iggy-ts/wire/commands/values';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import {
  clientDetailsJson,
  clientJson,
  clusterJson,
  optionDescriptionJson,
  statsJson,
} from './json-system.ts';
import { type Call, found, type Route } from './route.ts';

const US_PER_MS = 1000;
const SCOPES: readonly OptionsScope[] = ['topic', 'stream', 'user'];
const COMPRESSIONS: readonly SnapshotCompression[] = [
  'stored',
  'deflated',
  'bzip2',
  'zstd',
  'lzma',
  'xz',
];
const SNAPSHOT_TYPES: readonly SnapshotType[] = [
  'filesystemOverview',
  'processList',
  'resourceUsage',
  'test',
  'serverLogs',
  'serverConfig',
  'all',
];

async function describeOptions(call: Call): Promise<object> {
  const scope = SCOPES.find((name) => name === call.param('scope'));
  if (scope === undefined) throw new OperatingError(STATUS.invalidCommand);
  const rows = await call.caller.read({ kind: 'describeOptions', scope });
  return rows.map(optionDescriptionJson);
}

async function snapshot(call: Call): Promise<Uint8Array> {
  const body = call.body();
  const compression = body.word('compression', COMPRESSIONS);
  const types = body.list('snapshot_types').map((name) => {
    const text = String(name).toLowerCase();
    const type = SNAPSHOT_TYPES.find((known) => known.toLowerCase() === text);
    return type ?? body.refuse('snapshot_types', 'names of snapshots');
  });
  const archive = await call.caller.read({ kind: 'getSnapshot', compression, types });
  const time = new Date(call.deps.clock.wallUs() / US_PER_MS).toISOString();
  const stamp = time.slice(0, 19).replaceAll(/[-:]/gu, '').replace('T', '_');
  call.headers['content-type'] = 'application/zip';
  call.headers['content-disposition'] = `attachment; filename="iggy_snapshot_${stamp}.zip"`;
  return archive;
}

export const SYSTEM_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: '/stats',
    run: async ({ caller }) => statsJson(await caller.read({ kind: 'getStats' })),
  },
  {
    method: 'GET',
    path: '/cluster/metadata',
    run: async ({ caller }) => clusterJson(await caller.read({ kind: 'getClusterMetadata' })),
  },
  {
    method: 'GET',
    path: '/clients',
    run: async ({ caller }) => (await caller.read({ kind: 'getClients' })).map(clientJson),
  },
  {
    method: 'GET',
    path: '/clients/:client_id',
    run: async (call) => {
      const clientId = call.u32('client_id');
      return clientDetailsJson(found(await call.caller.read({ kind: 'getClient', clientId })));
    },
  },
  { method: 'GET', path: '/options/:scope', run: describeOptions },
  { method: 'POST', path: '/snapshot', run: snapshot },
];
