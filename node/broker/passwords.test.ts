import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { OperatingError, STATUS } from '@iggy-ts/wire/status';
import { PASSWORD_DEFAULTS, PasswordHasher } from './passwords.ts';

const CHEAP = { memoryKiB: 64, passes: 1, runningMax: 1, waitingMax: 2 };

function cheapHasher(): PasswordHasher {
  return new PasswordHasher(CHEAP, { randomBytes });
}

describe('password hashes', () => {
  it('verifies the password that was hashed and no other', async () => {
    const hasher = cheapHasher();
    const hash = await hasher.hash('correct horse');
    assert.match(hash, /^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/u);
    assert.equal(await hasher.verify('correct horse', hash), true);
    assert.equal(await hasher.verify('correct hors', hash), false);
    assert.equal(await hasher.verify('', hash), false);
  });

  it('salts every hash', async () => {
    const hasher = cheapHasher();
    assert.notEqual(await hasher.hash('same'), await hasher.hash('same'));
  });

  it('verifies a hash that was made with other parameters', async () => {
    const strong = new PasswordHasher({ ...CHEAP, memoryKiB: 128, passes: 3 }, { randomBytes });
    const hash = await strong.hash('kept');
    assert.equal(await cheapHasher().verify('kept', hash), true);
  });

  it('verifies a hash of another Argon2 implementation', async () => {
    // Test vector of the reference implementation: argon2id, 2 passes, 256 KiB, "somesalt".
    const hash =
      '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4';
    assert.equal(await cheapHasher().verify('password', hash), true);
    assert.equal(await cheapHasher().verify('passwore', hash), false);
  });

  it('refuses texts it cannot read and parameters without bound', async () => {
    const hasher = cheapHasher();
    const hash = await hasher.hash('x');
    const texts = [
      '',
      'x',
      hash.slice(1),
      `${hash}\n`,
      hash.replace('argon2id', 'argon2i'),
      hash.replace('m=64', 'm=9999999'),
      hash.replace('m=64', 'm=7'),
      hash.replace('t=1', 't=99'),
      hash.replace('t=1', 't=0'),
      hash.replace('p=1', 'p=0'),
      hash.replace('p=1', 'p=99'),
    ];
    for (const text of texts) assert.equal(await hasher.verify('x', text), false, text);
  });

  it('computes a few at a time and refuses with 58 when too many wait', async () => {
    const hasher = cheapHasher();
    const kept = [hasher.hash('one'), hasher.hash('two'), hasher.hash('three')];
    await assert.rejects(
      hasher.hash('four'),
      (error) => error instanceof OperatingError && error.code === STATUS.transientNotAccepted,
    );
    assert.equal((await Promise.all(kept)).length, 3);
    assert.equal(await hasher.verify('five', await hasher.hash('five')), true);
  });

  it('uses the least parameters that OWASP recommends, or more', () => {
    assert.ok(PASSWORD_DEFAULTS.memoryKiB >= 19 * 1024);
    assert.ok(PASSWORD_DEFAULTS.passes >= 2);
  });
});
