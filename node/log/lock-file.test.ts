import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { FolderLock } from './lock-file.ts';

describe('the lock of a data folder', () => {
  let directory: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    directory = await fs.mkdtemp(path.join(os.tmpdir(), 'iggy-lock-'));
  });

  afterEach(async () => {
    for (const child of children.splice(0)) await stop(child);
    await fs.rm(directory, { recursive: true });
  });

  /** A process that does nothing but live. */
  async function startProcess(): Promise<number> {
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()']);
    children.push(child);
    await once(child, 'spawn');
    assert(child.pid !== undefined);
    return child.pid;
  }

  function take(pid: number, procDirectory = '/proc'): Promise<FolderLock> {
    return FolderLock.take({ directory, pid, procDirectory });
  }

  it('is taken, given back and taken again, and leaves no other file', async () => {
    const lock = await take(process.pid);
    assert.deepEqual(await fs.readdir(directory), ['lock']);
    await lock.release();
    await lock.release();
    assert.deepEqual(await fs.readdir(directory), []);
    await (await take(process.pid)).release();
  });

  it('refuses a second process and names the first', async () => {
    const holder = await startProcess();
    const lock = await take(holder);
    await assert.rejects(take(process.pid), {
      name: 'FolderInUse',
      message: new RegExp(
        `^the data folder ${directory} is in use by .* \\(pid ${holder}\\): stop it`,
        'u',
      ),
    });
    await lock.release();
    await (await take(process.pid)).release();
  });

  it('refuses the same process a second time', async () => {
    const lock = await take(process.pid);
    await assert.rejects(take(process.pid), /in use by this process/);
    await lock.release();
  });

  it('is taken over from a process that has ended', async () => {
    const holder = await startProcess();
    await take(holder);
    await stop(children.pop()!);
    const lock = await take(process.pid);
    await assert.rejects(take(process.pid), /in use by this process/);
    await lock.release();
  });

  it('is taken over when another process has got the number of the holder', async () => {
    const holder = await startProcess();
    await take(holder);
    const left = JSON.parse(await fs.readFile(`${directory}/lock`, 'utf8'));
    await fs.writeFile(`${directory}/lock`, JSON.stringify({ ...left, startTicks: '1' }));
    await (await take(process.pid)).release();
  });

  it('is taken over when the machine has been started again since', async () => {
    const holder = await startProcess();
    await take(holder);
    const left = JSON.parse(await fs.readFile(`${directory}/lock`, 'utf8'));
    await fs.writeFile(`${directory}/lock`, JSON.stringify({ ...left, bootId: 'another' }));
    await (await take(process.pid)).release();
  });

  for (const text of ['', '{', 'null', '{"pid":-1}', '{"pid":1}', '[]']) {
    it(`is taken over when it holds ${JSON.stringify(text)}, which nobody wrote`, async () => {
      await fs.writeFile(`${directory}/lock`, text);
      await (await take(process.pid)).release();
    });
  }

  it('is taken over when a process ended while it took it over', async () => {
    const holder = await startProcess();
    await take(holder);
    await fs.copyFile(`${directory}/lock`, `${directory}/lock.taking`);
    await stop(children.pop()!);
    const lock = await take(process.pid);
    await lock.release();
    assert.deepEqual(await fs.readdir(directory), []);
  });

  it('goes to one of many that want it at once', async () => {
    const holder = await startProcess();
    await take(holder);
    await stop(children.pop()!);
    const pids = await Promise.all([
      startProcess(),
      startProcess(),
      startProcess(),
      startProcess(),
    ]);
    const results = await Promise.allSettled(pids.map((pid) => take(pid)));
    const taken = results.filter(({ status }) => status === 'fulfilled');
    assert.equal(taken.length, 1);
  });

  it('does not give back what another has taken over', async () => {
    const lock = await take(process.pid);
    await fs.writeFile(`${directory}/lock`, 'of another');
    await lock.release();
    assert.equal(await fs.readFile(`${directory}/lock`, 'utf8'), 'of another');
  });

  it('cannot be taken where the system does not tell about processes', async () => {
    await assert.rejects(take(process.pid, directory), /does not tell about process/);
  });
});

async function stop(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
