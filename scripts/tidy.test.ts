import assert from 'node:assert/strict';
import { join } from 'node:path';
import { BANS, formatViolation, RULES, readTree, type Tree } from './tidy.ts';
import { checkContents, checkLinks, checkReadmes } from './tidy-docs.ts';
import { checkImports, importsOf, ROOMS } from './tidy-rooms.ts';

// Every rule finds what it is there for, in a tree of planted files; then the real tree is judged.

function treeOf(files: Readonly<Record<string, string>>): Tree {
  return new Map(Object.entries(files));
}

/** A text that may stand in this file: the bans find it only without its tildes. */
function planted(text: string): string {
  return text.replaceAll('~', '');
}

function messagesOf(rule: keyof typeof RULES, files: Readonly<Record<string, string>>): string[] {
  return RULES[rule]!(treeOf(files)).map(formatViolation);
}

describe('tidy: nothing banned is written', () => {
  const rule = 'nothing banned is written';
  const cases: readonly (readonly [path: string, text: string])[] = [
    ['wire/a.ts', 'Math~.random()'],
    ['e2e/a.ts', 'Math~.random()'],
    ['node/log/a.ts', 'Date~.now()'],
    ['wire/a.ts', 'new ~Date()'],
    ['node/sim/a.ts', 'performance~.now()'],
    ['node/a.ts', 'process.hrtime~.bigint()'],
    ['node/README.md', 'TO~DO later'],
    ['node/a.ts', '// FIX~ME'],
    ['sdk/a.ts', "throw new Error('Not ~implemented')"],
    ['node/a.test.ts', "it.only~('x')"],
    ['node/a.test.ts', "describe.~skip('x')"],
    ['node/a.test.ts', "xit~('x')"],
    ['docs/a.md', 'see registry~.npmjs.org'],
    ['e2e/python/a.txt', 'py~pi.org'],
    ['Dockerfile', 'deb.~debian.org'],
    ['package-lock.json', '"resolved"~: "https://example.org/a.tgz"'],
    ['docs/a.md', 'cd /~work/main'],
    ['docs/a.md', 'in `/~home/someone`'],
  ];

  it('finds each of them, with its line', () => {
    for (const [path, text] of cases) {
      const found = messagesOf(rule, { [path]: `fine\n${planted(text)}\nfine\n` });
      assert.equal(found.length, 1, text);
      assert(found[0]!.startsWith(`${path}:2: `), text);
    }
  });

  it('has a case here for every ban', () => {
    for (const { pattern, where } of BANS) {
      assert(
        cases.some(([path, text]) => where.test(path) && pattern.test(planted(text))),
        `plant something for ${pattern.source}`,
      );
    }
  });

  it('leaves clocks to observe, main and tests, and words to prose', () => {
    const clock = planted('Date~.now()');
    const fine = {
      'node/observe/system-clock.ts': clock,
      'node/main.ts': clock,
      'node/log/a.test.ts': clock,
      'bench/a.ts': clock,
      'docs/a.md': planted('Math~.random is banned'),
      'docs/b.md': 'https://example.org/~home/page and ./work/a and {path}/work/a',
    };
    assert.deepEqual(messagesOf(rule, fine), []);
  });
});

describe('tidy: long files say why', () => {
  const rule = 'long files say why';
  const long = 'const a = 1;\n'.repeat(601);

  it('finds a file of more than 600 lines without a word', () => {
    assert.equal(messagesOf(rule, { 'node/a.ts': long }).length, 1);
    assert.equal(messagesOf(rule, { 'node/a.ts': `// Long.\n${long}` }).length, 1);
    const late = `${long}// This is one file, said too late.\n`;
    assert.equal(messagesOf(rule, { 'node/a.ts': late }).length, 1);
  });

  it('takes the reason above or below the imports', () => {
    const reason = '// One file, because the cases share a table.\n';
    assert.deepEqual(messagesOf(rule, { 'node/a.ts': `${reason}\n${long}` }), []);
    const below = `import a from 'a';\nimport {\n  b,\n} from 'b';\n\n${reason}${long}`;
    assert.deepEqual(messagesOf(rule, { 'node/a.ts': below }), []);
  });

  it('leaves short files, prose and made files alone', () => {
    const fine = { 'a.md': long, 'node/a-wasm.ts': long, 'node/b.ts': long.slice(13) };
    assert.deepEqual(messagesOf(rule, fine), []);
  });
});

describe('tidy: files have good names', () => {
  const rule = 'files have good names';

  it('finds names that are not kebab-case or say nothing', () => {
    const bad = [
      'fooBar',
      'Foo',
      'foo_bar',
      'foo-',
      'utils',
      'string-util',
      'index',
      'log-manager',
    ];
    for (const name of bad) {
      assert.equal(messagesOf(rule, { [`node/${name}.ts`]: '' }).length, 1, name);
    }
  });

  it('takes nouns, tests and declarations', () => {
    const fine = ['pool', 'sync-rounds', 'v09', 'pool.test', 'webassembly.d', 'utility'];
    for (const name of fine) assert.deepEqual(messagesOf(rule, { [`node/${name}.ts`]: '' }), []);
    assert.deepEqual(messagesOf(rule, { 'docs/Index.md': '' }), []);
  });
});

describe('tidy: imports', () => {
  it('are found in every form', () => {
    const text = [
      "import a from './a.ts';",
      "import { b, type C } from './b.ts';",
      'import {',
      '  type D,',
      '  type E,',
      "} from './d.ts';",
      "import type { F } from './f.ts';",
      "export { g } from './g.ts';",
      "export type * from './h.ts';",
      "import './side.ts';",
      "const i = await import('./i.ts');",
      "import * as j from 'node:fs';",
      "// import nothing from './comment.ts';",
      "export const from = 'x';",
    ].join('\n');
    assert.deepEqual(
      importsOf(text).map(({ specifier, line, typeOnly }) => [specifier, line, typeOnly]),
      [
        ['./a.ts', 1, false],
        ['./b.ts', 2, false],
        ['./d.ts', 3, true],
        ['./f.ts', 7, true],
        ['./g.ts', 8, false],
        ['./h.ts', 9, true],
        ['./side.ts', 10, false],
        ['./i.ts', 11, false],
        ['node:fs', 12, false],
      ],
    );
  });

  const refused: readonly (readonly [path: string, line: string])[] = [
    ['wire/a.ts', "import fs from 'node:fs';"],
    ['wire/a.ts', "import { Pool } from '../node/base/pool.ts';"],
    ['node/base/a.ts', "import { STATUS } from '@iggy-ts/wire/status';"],
    ['node/kernel/a.ts', "import { Reader } from '@iggy-ts/wire/reader';"],
    ['node/consensus/a.ts', "import { STATUS } from '@iggy-ts/wire/status';"],
    ['node/state/a.ts', "import { randomUUID } from 'node:crypto';"],
    ['node/log/a.ts', "import fs from 'node:fs';"],
    ['node/log/a.ts', "import type { State } from '../state/state.ts';"],
    ['node/broker/a.ts', "import { Connection } from '../transports/connection.ts';"],
    ['node/broker/a.ts', "import { GroupLog } from '../log/group-log.ts';"],
    ['node/cluster/a.ts', "import type { Broker } from '../broker/port.ts';"],
    ['node/transports/a.ts', "import { LocalBroker } from '../broker/broker.ts';"],
    ['node/http/a.ts', "import express from 'express';"],
    ['node/observe/a.ts', "import type { State } from '../state/state.ts';"],
    ['node/sim/a.ts', "import fs from 'node:fs';"],
    ['bench/a.ts', "import { Pool } from '@iggy-ts/node/base/pool';"],
    ['e2e/a.ts', "import { Pool } from '../node/base/pool.ts';"],
    ['node/log/a.ts', "import { Stage } from './test-stage.ts';"],
    ['node/log/test-stage.ts', "import { LocalBroker } from '../broker/broker.ts';"],
    ['node/log/a.test.ts', "import { LocalBroker } from '../broker/broker.ts';"],
  ];

  it('that climb or leave the house are refused', () => {
    for (const [path, line] of refused) {
      const found = checkImports(treeOf({ [path]: `\n${line}\n` }));
      assert.equal(found.length, 1, `${path}: ${line}`);
      assert.equal(found[0]!.line, 2);
    }
  });

  it('that the table names are taken', () => {
    const fine: readonly (readonly [path: string, line: string])[] = [
      ['wire/v09/a.ts', "import { STATUS } from '../status.ts';"],
      ['node/kernel/a.ts', "import { FRAME_BYTES } from '@iggy-ts/wire/batch';"],
      ['node/log/file.ts', "import fs from 'node:fs/promises';"],
      ['node/broker/a.ts', "import type { GroupLog } from '../log/group-log.ts';"],
      ['node/broker/a.ts', "import { argon2id } from '@noble/hashes/argon2.js';"],
      ['node/transports/a.ts', "import net from 'node:net';"],
      ['node/server.ts', "import { LocalBroker } from './broker/broker.ts';"],
      ['node/log/test-stage.ts', "import { xxh3 } from '@node-rs/xxhash';"],
      ['node/log/a.test.ts', "import { Stage } from './test-stage.ts';"],
      ['node/log/a.test.ts', "import fc from 'fast-check';"],
      ['node/log/a.test.ts', "import { FakeDisk } from '../sim/disk.ts';"],
      ['bench/micro/a.ts', "import { Pool } from '@iggy-ts/node/base/pool';"],
    ];
    for (const [path, line] of fine) assert.deepEqual(checkImports(treeOf({ [path]: line })), []);
  });

  it('need a room to stand in', () => {
    assert.equal(checkImports(treeOf({ 'lib/a.ts': '' })).length, 1);
    assert.equal(checkImports(treeOf({ 'node/stray.ts': '' })).length, 1);
  });

  it('go by a table without a row twice, and without a row for nothing', () => {
    const paths = ROOMS.map(({ path }) => path);
    assert.equal(new Set(paths).size, paths.length);
  });
});

describe('tidy: READMEs list their files', () => {
  const readme = '# log\n\nPromises order.\n\n- `file.ts` the disk\n- `v*/frame.ts` frames\n';

  it('finds a file that is not named, and a name without a file', () => {
    const files = { 'node/log/README.md': readme, 'node/log/file.ts': '', 'node/log/new.ts': '' };
    assert.deepEqual(checkReadmes(treeOf(files)).map(formatViolation), [
      'node/log/README.md:1: does not name new.ts',
      'node/log/README.md:6: names v*/frame.ts, which does not exist',
    ]);
  });

  it('takes stars for names, tests for granted, and names in prose for prose', () => {
    const files = {
      'node/log/README.md': `${readme}\nNot like \`gone.ts\`.\n`,
      'node/log/file.ts': '',
      'node/log/file.test.ts': '',
      'node/log/v09/frame.ts': '',
    };
    assert.deepEqual(checkReadmes(treeOf(files)), []);
  });

  it('finds a folder without any', () => {
    const found = checkReadmes(treeOf({ 'node/log/file.ts': '', 'node/main.ts': '' }));
    assert.deepEqual(found.map(formatViolation), ['node/log:1: has no README.md']);
  });
});

describe('tidy: links', () => {
  const other = '# Other page\n\n## Two words, one sign\n\n```\n# not a heading\n```\n';

  it('that lead nowhere are found, with their line', () => {
    const page = 'a\n[b](gone.md) [c](other.md#not-a-heading)\n[d](#here)\n';
    const found = checkLinks(treeOf({ 'docs/page.md': page, 'docs/other.md': other }));
    assert.deepEqual(found.map(formatViolation), [
      'docs/page.md:2: links to gone.md, which does not exist',
      'docs/page.md:2: links to other.md#not-a-heading: no such heading',
      'docs/page.md:3: links to #here: no such heading',
    ]);
  });

  it('to pages, headings, folders and other sites are taken', () => {
    const page = [
      '# Here',
      '[a](other.md#two-words-one-sign) [b](../docs/) [c](https://example.org/x) [d](#here)',
      '```\n[e](in-code.md)\n```',
    ].join('\n\n');
    assert.deepEqual(checkLinks(treeOf({ 'docs/page.md': page, 'docs/other.md': other })), []);
  });

  it('from the table of contents reach every page', () => {
    const files = { 'docs/README.md': '[a](a.md)', 'docs/a.md': '', 'docs/b.md': '' };
    assert.deepEqual(checkContents(treeOf(files)).map(formatViolation), [
      'docs/b.md:1: is not linked from docs/README.md',
    ]);
  });
});

describe('the house', () => {
  const tree = readTree(join(import.meta.dirname, '..'));

  it('is read whole', () => {
    assert(tree.has('scripts/tidy.ts'));
    assert(tree.has('package.json'));
    assert(![...tree.keys()].some((path) => path.startsWith('node_modules/')));
  });

  for (const [name, rule] of Object.entries(RULES)) {
    it(`is tidy: ${name}`, () => {
      assert.deepEqual(rule(tree).map(formatViolation), []);
    });
  }
});
