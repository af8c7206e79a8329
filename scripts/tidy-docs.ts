import { dirname, join } from 'node:path/posix';
import type { Tree, Violation } from './tidy.ts';

// Prose that a machine can check: the file lists of the rooms' READMEs and the links of all pages.

/** Every source folder has a README, directly or in a folder above it below the top. */
const SOURCE = /^(?:wire|sdk|node|bench|e2e|scripts)\//u;
const FILE_NAME = /^[\w.*/-]+\.(?:ts|json|py|rs|toml|txt)$/u;

/**
 * The list of files in a README names files that exist, and every source file of the folder is
 * named. Tests stand beside what they test, so they need not be named.
 */
export function checkReadmes(tree: Tree): Violation[] {
  const violations: Violation[] = [];
  const homeless = new Set<string>();
  for (const path of tree.keys()) {
    if (!path.endsWith('.ts') || !SOURCE.test(path)) continue;
    const readme = readmeOf(tree, path);
    if (readme === null) {
      if (path.split('/').length > 2) homeless.add(dirname(path));
    } else if (!path.endsWith('.test.ts')) {
      const name = path.slice(dirname(readme).length + 1);
      if (!namedIn(tree.get(readme)!).some(({ name: listed }) => covers(listed, name))) {
        violations.push({ path: readme, line: 1, message: `does not name ${name}` });
      }
    }
  }
  for (const folder of homeless) {
    violations.push({ path: folder, line: 1, message: 'has no README.md' });
  }
  for (const [path, text] of tree) {
    if (!path.endsWith('/README.md') || !SOURCE.test(path)) continue;
    const files = [...tree.keys()].filter((file) => file.startsWith(`${dirname(path)}/`));
    const names = files.map((file) => file.slice(dirname(path).length + 1));
    for (const { name, line } of namedIn(text)) {
      if (names.some((file) => covers(name, file))) continue;
      violations.push({ path, line, message: `names ${name}, which does not exist` });
    }
  }
  return violations;
}

function readmeOf(tree: Tree, path: string): string | null {
  for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
    if (tree.has(`${folder}/README.md`)) return `${folder}/README.md`;
  }
  return null;
}

/** File names in back quotes, in the lists of a page only. */
function namedIn(text: string): { name: string; line: number }[] {
  const found: { name: string; line: number }[] = [];
  let inList = false;
  for (const [index, row] of text.split('\n').entries()) {
    inList = /^\s*[-*|] ?/u.test(row) || (inList && /^\s+\S/u.test(row));
    if (!inList) continue;
    for (const [, name] of row.matchAll(/`([^`\s]+)`/gu)) {
      if (FILE_NAME.test(name!)) found.push({ name: name!, line: index + 1 });
    }
  }
  return found;
}

/** A listed name may hold a star, which stands for anything but a slash. */
function covers(listed: string, file: string): boolean {
  if (!listed.includes('*')) return listed === file;
  const parts = listed.split('*').map((part) => part.replaceAll('.', '\\.'));
  return new RegExp(`^${parts.join('[^/]*')}$`, 'u').test(file);
}

/** Links between our own pages lead to a file, and to a heading that is there. */
export function checkLinks(tree: Tree): Violation[] {
  const violations: Violation[] = [];
  for (const [path, text] of tree) {
    if (!path.endsWith('.md')) continue;
    const prose = withoutCode(text);
    for (const match of prose.matchAll(/\]\((?<target>[^()\s]+)\)/gu)) {
      const target = match.groups!['target']!;
      if (/^[a-z]+:/u.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const page = file === '' ? path : join(dirname(path), file).replace(/\/$/u, '');
      const line = prose.slice(0, match.index).split('\n').length;
      if (!exists(tree, page)) {
        violations.push({ path, line, message: `links to ${target}, which does not exist` });
      } else if (anchor !== undefined && !headings(tree.get(page) ?? '').has(anchor)) {
        violations.push({ path, line, message: `links to ${target}: no such heading` });
      }
    }
  }
  return violations;
}

/** Every page under docs/ can be reached from the table of contents. */
export function checkContents(tree: Tree): Violation[] {
  const contents = tree.get('docs/README.md') ?? '';
  return [...tree.keys()]
    .filter((path) => path.startsWith('docs/') && path.endsWith('.md') && path !== 'docs/README.md')
    .filter((path) => !contents.includes(`](${path.slice('docs/'.length)})`))
    .map((path) => ({ path, line: 1, message: 'is not linked from docs/README.md' }));
}

function exists(tree: Tree, path: string): boolean {
  return tree.has(path) || [...tree.keys()].some((file) => file.startsWith(`${path}/`));
}

function headings(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, title] of withoutCode(text).matchAll(/^#+ (.+)$/gmu)) {
    const words = title!.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, '');
    anchors.add(words.trim().replaceAll(' ', '-'));
  }
  return anchors;
}

/** Fenced code keeps its line count and loses its words. */
function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gmu, (code) => code.replaceAll(/[^\n]/gu, ''));
}
