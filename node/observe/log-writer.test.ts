import assert from 'node:assert/strict';
import { LogWriter } from './log-writer.ts';

function opened(options: { level?: 'info' | 'debug' | 'silent'; pretty?: boolean; max?: number }): {
  log: LogWriter;
  lines: string[];
} {
  const lines: string[] = [];
  const log = new LogWriter(
    {
      level: options.level ?? 'info',
      format: options.pretty === true ? 'pretty' : 'json',
      recentCountMax: options.max ?? 10,
    },
    { write: (line) => void lines.push(line) },
  );
  return { log, lines };
}

describe('LogWriter', () => {
  it('writes one JSON object per line with text, level and fields', () => {
    const { log, lines } = opened({});
    log.warn('segment is damaged', { op: 7, path: 'a/b' });
    assert.equal(lines.length, 1);
    const line = JSON.parse(lines[0]!);
    assert.equal(line.text, 'segment is damaged');
    assert.deepEqual([line.level, line.op, line.path], [40, 7, 'a/b']);
  });

  it('leaves out what is below its level', () => {
    const { log, lines } = opened({ level: 'info' });
    log.debug('detail');
    log.info('event');
    assert.equal(lines.length, 1);
    const silent = opened({ level: 'silent' });
    silent.log.error('nothing');
    assert.equal(silent.lines.length, 0);
  });

  it('writes errors with their stacks and causes', () => {
    const { log, lines } = opened({});
    log.error('failed', { error: new Error('outer', { cause: new Error('inner') }) });
    const { error } = JSON.parse(lines[0]!);
    assert.match(error.stack, /outer/u);
    assert.equal(error.cause.message, 'inner');
  });

  it('writes pretty lines that a person can read', () => {
    const { log, lines } = opened({ pretty: true });
    log.info('listening', { port: 8090 });
    assert.match(lines[0]!, /INFO.*listening.*8090/u);
  });

  it('remembers the last lines, oldest first, and cuts long ones', () => {
    const { log } = opened({ max: 3 });
    for (let i = 0; i < 5; i += 1) log.info(`line ${i}`);
    log.info('x'.repeat(100_000));
    const recent = log.recent();
    assert.equal(recent.length, 3);
    assert.match(recent[0]!, /line 3/u);
    assert.match(recent[1]!, /line 4/u);
    assert(recent[2]!.length <= 4096);
  });
});
