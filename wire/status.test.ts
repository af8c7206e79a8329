import assert from 'node:assert/strict';
import { OperatingError, STATUS, statusRow } from './status.ts';

describe('status', () => {
  it('has a row for each of the 240 codes, under one name in snake case', () => {
    const codes = new Set(Object.values(STATUS));
    assert.equal(codes.size, 240);
    const names = new Set<string>();
    for (const code of codes) {
      const row = statusRow(code);
      assert.equal(row.code, code);
      assert.match(row.name, /^[a-z][a-z0-9_]*$/u);
      assert(row.text.length > 3 && !row.text.endsWith('.'));
      names.add(row.name);
    }
    assert.equal(names.size, 240);
  });

  it('keeps the names and HTTP statuses that clients know', () => {
    const known = [
      [20, 'resource_not_found', 404, null],
      [40, 'unauthenticated', 401, null],
      [41, 'unauthorized', 403, null],
      [46, 'user_already_exists', 400, 'username'],
      [81, 'invalid_utf8', 400, null],
      [400, 'web_socket_error', 400, null],
      [1009, 'stream_id_not_found', 404, 'stream_id'],
      [2013, 'topic_name_already_exists', 400, 'name'],
      [3007, 'partition_not_found', 404, 'partition_id'],
      [3021, 'consumer_offset_not_found', 404, null],
      [4100, 'invalid_offset', 400, 'offset'],
      [5006, 'consumer_group_member_not_found', 404, null],
      [14003, 'incompatible_protocol_version', 400, null],
    ] as const;
    for (const [code, name, http, field] of known) {
      const row = statusRow(code);
      assert.deepEqual([row.name, row.http, row.field], [name, http, field]);
    }
  });

  it('knows which refusals may be tried again unchanged', () => {
    const retryable = Object.values(STATUS).filter((code) => statusRow(code).retryable);
    assert.deepEqual([...new Set(retryable)], [57, 58, 10_005]);
    assert.equal(STATUS.diskFull, 10_005);
  });

  it('shows a number without a row as an error of that number', () => {
    assert.deepEqual([statusRow(9999).code, statusRow(9999).name], [9999, 'error']);
  });

  it('carries code, detail and cause in an operating error', () => {
    const cause = new Error('disk');
    const error = new OperatingError(STATUS.transientNotAccepted, 'queue is full', { cause });
    assert.deepEqual([error.code, error.retryable, error.cause], [58, true, cause]);
    assert.match(error.message, /: queue is full$/u);
    assert.equal(new OperatingError(STATUS.unauthorized).message, 'Permission is missing');
  });
});
