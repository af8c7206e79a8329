import { dirname, join } from 'node:path/posix';
import type { Tree, Violation } from './tidy.ts';

// Who may import whom. Arrows point down only; what a row does not name is refused.

/** One row: a folder or a file; the row with the longest matching path counts. */
interface Room {
  readonly path: string;
  /** Folders and files of the house whose values it may import; its own folder always. */
  readonly rooms?: readonly string[];
  /** Folders and files of which it may know the types only. */
  readonly types?: readonly string[];
  /** Modules of Node and packages, exact or with a trailing star. */
  readonly modules?: readonly string[];
}

const PURE = ['node:assert/strict'];
const ANY_NODE = 'node:*';
/** Tests, and stages that several tests of a room share; nothing else may import those. */
const TEST = /\.test\.ts$|(?:^|\/)test-[^/]+\.ts$/u;
const TEST_MODULES = [ANY_NODE, 'mocha', 'fast-check', '@node-rs/xxhash'];

export const ROOMS: readonly Room[] = [
  { path: 'wire', modules: PURE },
  { path: 'node/base', modules: PURE },
  { path: 'node/kernel', rooms: ['node/base', 'wire/batch.ts', 'wire/status.ts'], modules: PURE },
  { path: 'node/config', rooms: ['node/base'], modules: [...PURE, 'smol-toml'] },
  { path: 'node/consensus', rooms: ['node/base'], modules: PURE },
  { path: 'node/state', rooms: ['node/base', 'wire'], modules: PURE },
  { path: 'node/log', rooms: ['node/base', 'node/kernel', 'wire'], modules: PURE },
  {
    path: 'node/log/file.ts',
    rooms: ['node/base', 'node/kernel', 'wire', 'node/log'],
    modules: ['node:fs', 'node:fs/promises', 'node:path', ...PURE],
  },
  {
    path: 'node/log/encryption.ts',
    rooms: ['node/base', 'node/kernel', 'wire', 'node/log'],
    modules: ['node:crypto', ...PURE],
  },
  {
    path: 'node/log/lock-file.ts',
    rooms: ['node/base', 'node/kernel', 'wire', 'node/log'],
    modules: ['node:fs/promises', ...PURE],
  },
  {
    path: 'node/broker',
    rooms: ['node/base', 'node/config', 'wire', 'node/state', 'node/cluster/port.ts'],
    types: ['node/log', 'node/kernel', 'node/cluster'],
    modules: [...PURE, 'node:crypto', '@noble/hashes/*'],
  },
  {
    path: 'node/broker/world.ts',
    rooms: ['node/base', 'node/broker', 'node/cluster', 'node/sim', 'wire'],
    modules: PURE,
  },
  {
    path: 'node/cluster',
    rooms: [
      'node/base',
      'node/config',
      'node/consensus',
      'node/kernel',
      'node/log',
      'node/state',
      'wire',
    ],
    modules: [...PURE, 'node:crypto', 'node:path'],
  },
  {
    path: 'node/transports',
    rooms: ['node/base', 'node/config', 'wire', 'node/broker/port.ts'],
    modules: [ANY_NODE],
  },
  {
    path: 'node/http',
    rooms: [
      'node/base',
      'node/config',
      'wire',
      'node/broker/port.ts',
      'node/transports/certificate.ts',
      'node/transports/test-certificate.ts',
    ],
    modules: [ANY_NODE, 'fastify', '@fastify/cors', 'jose'],
  },
  {
    path: 'node/observe',
    rooms: ['node/base'],
    modules: [ANY_NODE, 'pino', 'pino-pretty', 'prom-client'],
  },
  {
    path: 'node/sim',
    rooms: [
      'node/base',
      'node/broker',
      'node/cluster',
      'node/config',
      'node/consensus',
      'node/kernel',
      'node/log',
      'node/state',
      'wire',
    ],
    modules: PURE,
  },
  { path: 'node/server.ts', rooms: ['node', 'wire'], modules: [ANY_NODE] },
  {
    path: 'node/main.ts',
    rooms: ['node/server.ts', 'node/config', 'node/observe', 'node/base'],
    modules: [ANY_NODE],
  },
  { path: 'sdk', rooms: ['wire'], modules: [ANY_NODE, '@node-rs/xxhash'] },
  { path: 'bench', rooms: ['sdk', 'wire', 'e2e/harness'], modules: [ANY_NODE] },
  {
    path: 'bench/micro',
    rooms: ['node', 'wire'],
    modules: [ANY_NODE, '@node-rs/xxhash'],
  },
  { path: 'e2e', rooms: ['sdk', 'wire'], modules: TEST_MODULES },
  { path: 'scripts', rooms: ['node/config'], modules: [ANY_NODE, 'assemblyscript*', 'mocha'] },
];

/** One import or re-export of a file. */
export interface Import {
  readonly specifier: string;
  readonly line: number;
  readonly typeOnly: boolean;
}

const IMPORT =
  /^(?:import|export)(?<clause>[\w\s{},*$]*?)\bfrom\s*['"](?<from>[^'"]+)['"]|^import\s*['"](?<bare>[^'"]+)['"]|\bimport\(\s*['"](?<dynamic>[^'"]+)['"]/gmu;

/** Finds the imports of a source file that the formatter has been over. */
export function importsOf(text: string): Import[] {
  const found: Import[] = [];
  for (const match of text.matchAll(IMPORT)) {
    const { clause = '', from, bare, dynamic } = match.groups!;
    const braces = /^\s*\{(?<names>[^}]*)\}\s*$/u.exec(clause)?.groups?.['names'];
    const names = braces?.split(',').filter((part) => part.trim() !== '');
    const typeOnly =
      /^\s+type\b/u.test(clause) || (names?.every((part) => /^\s*type\s/u.test(part)) ?? false);
    const line = text.slice(0, match.index).split('\n').length;
    found.push({ specifier: (from ?? bare ?? dynamic)!, line, typeOnly });
  }
  return found;
}

/** Refuses every import that the table does not allow. */
export function checkImports(tree: Tree): Violation[] {
  const violations: Violation[] = [];
  for (const [path, text] of tree) {
    if (!path.endsWith('.ts')) continue;
    const room = roomOf(path);
    if (room === null) {
      violations.push({ path, line: 1, message: 'stands in no room of the import table' });
      continue;
    }
    for (const { specifier, line, typeOnly } of importsOf(text)) {
      if (mayImport(path, room, specifier, typeOnly)) continue;
      const target = targetOf(path, specifier) ?? specifier;
      violations.push({ path, line, message: `${room.path} may not import ${target}` });
    }
  }
  return violations;
}

function mayImport(path: string, room: Room, specifier: string, typeOnly: boolean): boolean {
  const isTest = TEST.test(path);
  const target = targetOf(path, specifier);
  if (target === null) {
    const modules = [...(room.modules ?? []), ...(isTest ? TEST_MODULES : [])];
    return modules.some((module) => matches(module, specifier));
  }
  if (TEST.test(target) && !isTest) return false;
  const home = /\.ts$/u.test(room.path) ? dirname(room.path) : room.path;
  const allowed = [home, ...(room.rooms ?? []), ...(typeOnly ? (room.types ?? []) : [])];
  if (isTest) allowed.push('node/sim', ...(room.types ?? []));
  return allowed.some((folder) => isInside(target, folder));
}

function roomOf(path: string): Room | null {
  let best: Room | null = null;
  for (const room of ROOMS) {
    if (isInside(path, room.path) && room.path.length > (best?.path.length ?? 0)) best = room;
  }
  return best;
}

/** The file of the house that a specifier means, or null for a module of Node or a package. */
function targetOf(path: string, specifier: string): string | null {
  if (specifier.startsWith('.')) return join(dirname(path), specifier);
  const own = /^@iggy-ts\/(?<rest>.+)$/u.exec(specifier)?.groups?.['rest'];
  return own === undefined ? null : `${own}.ts`;
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
