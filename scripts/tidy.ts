import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkContents, checkLinks, checkReadmes } from './tidy-docs.ts';
import { checkImports } from './tidy-rooms.ts';

// The rules of the house that no other tool checks, as data. Run by mocha (tidy.test.ts) and by
// hand: `node scripts/tidy.ts` prints what is wrong and exits 1.

/** Path from the top of the repo → text. */
export type Tree = ReadonlyMap<string, string>;

export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

interface Ban {
  readonly pattern: RegExp;
  readonly instead: string;
  /** Files it holds for. */
  readonly where: RegExp;
  /** Files where it is allowed nevertheless. */
  readonly except?: RegExp;
}

const TS = /\.ts$/u;
const SERVER = /^(?:wire|node)\/.*\.ts$/u;
const REAL_TIME = /\.test\.ts$|^node\/observe\/|^node\/main\.ts$/u;

export const BANS: readonly Ban[] = [
  {
    pattern: /\bMath\.random\b/u,
    instead: 'take a seeded generator from node/base/prng.ts, or node:crypto for secrets',
    where: TS,
  },
  {
    pattern: /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bhrtime\b/u,
    instead: 'take the time from the Clock port',
    where: SERVER,
    except: REAL_TIME,
  },
  { pattern: /\bFIX[M]E\b|\bTO[D]O\b/u, instead: 'finish it or write an issue', where: /./u },
  { pattern: /\bnot implemented\b/iu, instead: 'finish it', where: TS },
  { pattern: /\.only\(/u, instead: 'run one file by its path', where: TS },
  {
    pattern: /\b(?:it|describe|context)\.skip\b|\bxit\(|\bxdescribe\(/u,
    instead: 'mend the test or remove it',
    where: TS,
  },
  {
    pattern:
      /registry\.npm[j]s|py[p]i\.org|pythonhoste[d]|crates\.io-inde[x]|(?:static|index)\.crate[s]\.io/u,
    instead: 'no package registry hosts in the repo',
    where: /./u,
  },
  {
    pattern: /(?:proxy|sum)\.golan[g]\.org|repo1?\.mave[n]|deb\.debia[n]\.org/u,
    instead: 'no package registry hosts in the repo',
    where: /./u,
  },
  {
    pattern: /"resolved": "https?:/u,
    instead: 'omit-lockfile-registry-resolved in .npmrc keeps hosts out',
    where: /(?:^|\/)package-lock\.json$/u,
  },
  {
    pattern: /(?<![\w.$}])\/(?:work|root|home)\/[\w.]/u,
    instead: 'no paths of one machine in the repo',
    where: /./u,
  },
];

const LINES_MAX = 600;
const NAMES_BANNED = /(?:^|-)(?:utils?|helpers?|manager|misc|common|index)(?:$|[-.])/u;

function checkBans(tree: Tree): Violation[] {
  const violations: Violation[] = [];
  for (const [path, text] of tree) {
    for (const { pattern, instead, where, except } of BANS) {
      if (!where.test(path) || except?.test(path) || !pattern.test(text)) continue;
      for (const [index, row] of text.split('\n').entries()) {
        const found = pattern.exec(row)?.[0];
        if (found !== undefined) {
          violations.push({ path, line: index + 1, message: `${found}: ${instead}` });
        }
      }
    }
  }
  return violations;
}

/** A file past 600 lines says in its head comment why it is one. */
function checkSizes(tree: Tree): Violation[] {
  const violations: Violation[] = [];
  for (const [path, text] of tree) {
    const lines = text.split('\n').length - 1;
    if (!TS.test(path) || lines <= LINES_MAX || path.endsWith('-wasm.ts')) continue;
    const head = text.replaceAll(/^import\b[^;]*;$/gmu, '').trimStart();
    const comment = /^(?:\/\/.*\n|\/\*[\s\S]*?\*\/|\s)+/u.exec(head)?.[0] ?? '';
    if (/\bone file\b/iu.test(comment)) continue;
    const message = `${lines} lines, and no head comment that says why it is "one file"`;
    violations.push({ path, line: 1, message });
  }
  return violations;
}

/** Files are named in kebab case by a noun one could use in a letter. */
function checkNames(tree: Tree): Violation[] {
  return [...tree.keys()]
    .filter((path) => TS.test(path))
    .filter((path) => {
      const name = basename(path).replace(/(?:\.test|\.d)?\.ts$/u, '');
      return !/^[a-z0-9]+(?:-[a-z0-9]+)*$/u.test(name) || NAMES_BANNED.test(name);
    })
    .map((path) => ({ path, line: 1, message: 'name it kebab-case, by what it is about' }));
}

export const RULES: Readonly<Record<string, (tree: Tree) => Violation[]>> = {
  'imports follow the table of rooms': checkImports,
  'nothing banned is written': checkBans,
  'long files say why': checkSizes,
  'files have good names': checkNames,
  'READMEs list their files': checkReadmes,
  'links lead somewhere': checkLinks,
  'the table of contents is whole': checkContents,
};

/** Every file that git tracks or would track, as text. */
export function readTree(top: string): Tree {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const names = execFileSync('git', args, { cwd: top, encoding: 'utf8' }).split('\0');
  const tree = new Map<string, string>();
  for (const name of names.toSorted()) {
    if (name === '' || !existsSync(join(top, name))) continue;
    tree.set(name, readFileSync(join(top, name), 'utf8'));
  }
  return tree;
}

export function formatViolation({ path, line, message }: Violation): string {
  return `${path}:${line}: ${message}`;
}

if (import.meta.main) {
  const tree = readTree(join(import.meta.dirname, '..'));
  const found = Object.values(RULES).flatMap((rule) => rule(tree));
  console.log(found.map(formatViolation).join('\n') || 'tidy');
  process.exitCode = found.length > 0 ? 1 : 0;
}
