import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import type { Clock } from '../base/clock.ts';
import { ArchiveRefused, DiagnosticArchive } from './archive.ts';
import { packZip } from './zip.ts';

/** A reader of its own: walks the directory at the end and compares it with the local headers. */
function unpack(bytes: Uint8Array): Map<string, string> {
  const zip = Buffer.from(bytes);
  const end = zip.length - 22;
  assert.equal(zip.readUInt32LE(end), 0x06054b50);
  const entries = new Map<string, string>();
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    assert.equal(zip.readUInt32LE(at), 0x02014b50);
    const nameLength = zip.readUInt16LE(at + 28);
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength);
    const localAt = zip.readUInt32LE(at + 42);
    assert.equal(zip.readUInt32LE(localAt), 0x04034b50);
    assert.deepEqual(
      zip.subarray(localAt + 4, localAt + 30).subarray(0, 24),
      zip.subarray(at + 6, at + 30),
    );
    const dataAt = localAt + 30 + nameLength;
    const packed = zip.subarray(dataAt, dataAt + zip.readUInt32LE(at + 20));
    const content = zip.readUInt16LE(at + 10) === 8 ? inflateRawSync(packed) : packed;
    assert.equal(content.length, zip.readUInt32LE(at + 24));
    assert.equal(crc32(content), zip.readUInt32LE(at + 16));
    entries.set(name, content.toString('utf8'));
    at += 46 + nameLength;
  }
  assert.equal(at, end);
  return entries;
}

const CLOCK: Clock = {
  monotonicUs: () => 0,
  wallUs: () => 1_760_000_000_000_000,
  startTimer: () => () => {},
};

describe('packZip', () => {
  it('packs whatever it is given so that it can be unpacked', async () => {
    const entry = fc.record({ name: fc.string({ minLength: 1 }), content: fc.string() });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(entry, { selector: ({ name }) => name, maxLength: 5 }),
        fc.constantFrom('stored' as const, 'deflated' as const),
        async (entries, method) => {
          const files = entries.map(({ name, content }) => ({
            name,
            content: Buffer.from(content, 'utf8'),
          }));
          const zip = await packZip(files, { method, modified: new Date(0) });
          const wanted = files.map(({ name, content }) => [
            Buffer.from(name).toString(),
            content.toString(),
          ]);
          assert.deepEqual([...unpack(zip)], wanted);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('DiagnosticArchive', () => {
  let dataPath: string;
  let archive: DiagnosticArchive;

  beforeEach(async () => {
    dataPath = await mkdtemp(join(tmpdir(), 'archive-'));
    await mkdir(join(dataPath, 'groups', 'one'), { recursive: true });
    await writeFile(join(dataPath, 'groups', 'one', '0.log'), 'secret message');
    archive = new DiagnosticArchive(
      { dataPath },
      { clock: CLOCK, recentLines: () => ['one', 'two'], configText: () => 'path = "x"\n' },
    );
  });

  afterEach(async () => {
    await rm(dataPath, { recursive: true });
  });

  it('makes every part but the test for "all"', async () => {
    const entries = unpack(await archive.make(['all'], 'deflated'));
    assert.deepEqual(
      [...entries.keys()],
      [
        'filesystem_overview.txt',
        'process_list.txt',
        'resource_usage.txt',
        'server_logs.txt',
        'server_config.txt',
      ],
    );
    assert.match(entries.get('filesystem_overview.txt')!, /14 {2}\S+ {2}groups\/one\/0\.log/u);
    assert(!entries.get('filesystem_overview.txt')!.includes('secret'));
    assert.equal(entries.get('server_logs.txt'), 'one\ntwo\n');
    assert.equal(entries.get('server_config.txt'), 'path = "x"\n');
    assert.match(entries.get('process_list.txt')!, new RegExp(`^ *${process.pid} `, 'mu'));
    assert.match(entries.get('resource_usage.txt')!, /"load"/u);
  });

  it('makes the parts asked for, once each', async () => {
    const entries = unpack(await archive.make(['test', 'serverLogs', 'test'], 'stored'));
    assert.deepEqual([...entries.keys()], ['test.txt', 'server_logs.txt']);
  });

  it('says in a part why it could not be read', async () => {
    const broken = new DiagnosticArchive(
      { dataPath: join(dataPath, 'gone') },
      { clock: CLOCK, recentLines: () => [], configText: () => '' },
    );
    const entries = unpack(await broken.make(['filesystemOverview'], 'stored'));
    assert.match(entries.get('filesystem_overview.txt')!, /ENOENT/u);
  });

  it('refuses compressions it does not offer and parts that make no sense', async () => {
    for (const compression of ['bzip2', 'zstd', 'lzma', 'xz'] as const) {
      await assert.rejects(archive.make(['test'], compression), {
        reason: 'compressionUnsupported',
      });
    }
    await assert.rejects(archive.make([], 'stored'), { reason: 'partsInvalid' });
    await assert.rejects(archive.make(['all', 'test'], 'stored'), { reason: 'partsInvalid' });
  });

  it('makes one archive at a time, and the next one after it', async () => {
    const first = archive.make(['all'], 'deflated');
    await assert.rejects(archive.make(['test'], 'stored'), (error: ArchiveRefused) => {
      assert(error instanceof ArchiveRefused);
      return error.reason === 'busy';
    });
    await first;
    await archive.make(['test'], 'stored');
  });
});
