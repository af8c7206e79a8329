import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { main as compile } from 'assemblyscript/asc';
import { formatConfigurationPage } from './configuration-page.ts';

// Writes the files that are made from other files and kept in git, so that a clone runs without a
// build. The same sources give the same bytes: CI runs this and then `git diff --exit-code`.

interface Generator {
  /** The file it writes, from the top of the repo. */
  readonly path: string;
  generate(): Promise<string>;
}

const TOP = join(import.meta.dirname, '..');

const GENERATORS: readonly Generator[] = [
  { path: 'node/kernel/kernel-wasm.ts', generate: generateKernel },
  { path: 'docs/configuration.md', generate: () => Promise.resolve(formatConfigurationPage()) },
];

const KERNEL_ENTRY = 'node/kernel/assembly/kernel.ts';

/** Pages of 64 KiB below the first slot of the pool; and the most a pool may have. */
const KERNEL_PAGES_MIN = '32';
const KERNEL_PAGES_MAX = '65535';

const KERNEL_FLAGS = [
  ...['-O3', '--converge', '--noAssert'],
  ...['--runtime', 'stub'],
  ...['--importMemory', '--noExportMemory', '--sharedMemory'],
  ...['--initialMemory', KERNEL_PAGES_MIN, '--maximumMemory', KERNEL_PAGES_MAX],
  ...['--enable', 'simd', '--enable', 'threads', '--enable', 'bulk-memory'],
];

/** Compiles the AssemblyScript of the kernel and wraps the module in a TypeScript constant. */
async function generateKernel(): Promise<string> {
  let wasm: Uint8Array | null = null;
  const { error, stderr } = await compile(
    [KERNEL_ENTRY, '--outFile', 'kernel.wasm', '--baseDir', TOP, ...KERNEL_FLAGS],
    {
      writeFile: (_name, contents) => {
        wasm = Buffer.from(contents);
      },
    },
  );
  if (error !== null) throw new Error(`the kernel does not compile\n${stderr}`, { cause: error });
  if (wasm === null) throw new Error('the compiler wrote nothing');
  return formatKernel(wasm);
}

function formatKernel(wasm: Uint8Array): string {
  const rows = Buffer.from(wasm)
    .toString('base64')
    .match(/.{1,100}/gu)!
    .map((row) => `  '${row}'`);
  return [
    '// Made from assembly/ by scripts/gen.ts: change it there and run `npm run gen`.',
    '',
    `/** The kernel as a WebAssembly module, ${wasm.byteLength} bytes in base64. */`,
    'export const KERNEL_WASM: string = [',
    `${rows.join(',\n')},`,
    "].join('');",
    '',
  ].join('\n');
}

for (const { path, generate } of GENERATORS) {
  const text = await generate();
  const file = join(TOP, path);
  const before = readIfThere(file);
  if (text !== before) writeFileSync(file, text);
  console.log(`${text === before ? 'unchanged' : 'written  '}  ${path}`);
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw cause;
  }
}
