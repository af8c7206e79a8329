import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseCommandLine } from './command-line.ts';
import type { Config } from './config.ts';
import { formatConfig, formatHelp, formatReference } from './help.ts';
import { ConfigProblem, loadConfig } from './load.ts';
import { envNameOf, flagOf, OPTION_ROWS, type OptionKey, spellingsOf } from './options.ts';

interface Given {
  readonly toml?: string;
  readonly env?: Record<string, string>;
  readonly args?: readonly string[];
}

function load({ toml, env = {}, args = [] }: Given): {
  config: Config;
  warnings: readonly string[];
} {
  const file = toml === undefined ? null : { path: 'iggy.toml', text: toml };
  const commandLine = parseCommandLine(args);
  assert.deepEqual(commandLine.problems, []);
  return loadConfig({ file, env, flags: commandLine.settings });
}

function problemsOf(given: Given): readonly string[] {
  try {
    load(given);
  } catch (error) {
    assert(error instanceof ConfigProblem);
    return error.problems;
  }
  return [];
}

describe('configuration', () => {
  it('has the documented defaults when nothing is given', () => {
    const { config, warnings } = load({});
    assert.equal(config.path, 'local_data');
    assert.deepEqual(config.tcp.address, { host: '127.0.0.1', port: 8090 });
    assert.deepEqual(config.http.address, { host: '127.0.0.1', port: 3000 });
    assert.equal(config.partition.fsync, 'always');
    assert.equal(config.segment.sizeBytes, 1024 ** 3);
    assert.equal(config.topic.messageExpiryUs, Number.POSITIVE_INFINITY);
    assert.deepEqual(warnings, []);
  });

  it('takes flags over variables over the file', () => {
    const toml =
      '[tcp]\naddress = "127.0.0.1:1"\n[http]\naddress = "127.0.0.1:2"\n[pool]\nbytes = "192 MiB"';
    const env = { IGGY_TCP_ADDRESS: '127.0.0.1:3', IGGY_HTTP_ADDRESS: '127.0.0.1:4' };
    const { config } = load({ toml, env, args: ['--tcp-address', '[::1]:5'] });
    assert.deepEqual(config.tcp.address, { host: '::1', port: 5 });
    assert.equal(config.http.address.port, 4);
    assert.equal(config.pool.bytes, 192 * 1024 * 1024);
  });

  it('understands the 0.8 and the 0.9 spelling of every key, in all three places', () => {
    assert.equal(load({ env: { IGGY_SYSTEM_PATH: 'a' } }).config.path, 'a');
    assert.equal(load({ env: { IGGY_PATH: 'b' } }).config.path, 'b');
    assert.equal(load({ toml: '[system]\npath = "c"' }).config.path, 'c');
    assert.equal(load({ args: ['--system-path=d'] }).config.path, 'd');
    for (const key of OPTION_ROWS.keys()) {
      const names = spellingsOf(key).flatMap((spelling) => [envNameOf(spelling), flagOf(spelling)]);
      assert.equal(new Set(names).size, names.length);
    }
  });

  it('has no two keys that share a variable or a flag', () => {
    const names = [...OPTION_ROWS.keys()].flatMap((key) => spellingsOf(key).map(envNameOf));
    assert.equal(new Set(names).size, names.length);
  });

  it('refuses an unknown key and names the nearest known one', () => {
    assert.deepEqual(problemsOf({ toml: '[tcp]\nadress = "x"' }), [
      'iggy.toml: unknown key tcp.adress: did you mean tcp.address?',
    ]);
    assert.deepEqual(problemsOf({ env: { IGGY_TCP_ADRESS: 'x' } }), [
      'unknown variable IGGY_TCP_ADRESS: did you mean IGGY_TCP_ADDRESS?',
    ]);
    assert.deepEqual(parseCommandLine(['--tcp-adress', 'x:1']).problems.slice(0, 1), [
      'unknown flag --tcp-adress: did you mean --tcp-address?',
    ]);
  });

  it('leaves variables alone that belong to others', () => {
    const env = {
      IGGY_CONNECTORS_SINK_X: '1',
      IGGY_PORT_8090_TCP_ADDR: '10.0.0.1',
      IGGY_SERVICE_HOST: '10.0.0.1',
      IGGY_ROOT_PASSWORD: 'secret',
      HOME: 'x',
    };
    assert.deepEqual(load({ env }).warnings, []);
  });

  it('accepts what upstream knows and this server does not need, with a warning that says why', () => {
    const toml = '[quic]\nenabled = true\n[system.sharding]\ncpu_allocation = "all"';
    const { warnings } = load({ toml, env: { IGGY_WEBSOCKET_ADDRESS: '127.0.0.1:8092' } });
    assert.equal(warnings.length, 3);
    assert.match(warnings[0]!, /^iggy\.toml: quic\.enabled has no effect: QUIC is not served$/u);
    assert.match(warnings[2]!, /^IGGY_WEBSOCKET_ADDRESS has no effect/u);
  });

  it('collects every problem, each with its place and what was expected', () => {
    const problems = problemsOf({
      toml: '[pool]\nbytes = "lots"\n[tcp]\nenabled = "maybe"',
      env: { IGGY_HTTP_ADDRESS: 'nowhere', IGGY_SEGMENT_SIZE: '3 MB' },
    });
    assert.equal(problems.length, 4);
    assert(problems.some((text) => /^IGGY_HTTP_ADDRESS: expected HOST:PORT/u.test(text)));
    assert(problems.some((text) => /^IGGY_SEGMENT_SIZE: expected a multiple of 512/u.test(text)));
  });

  it('says where broken TOML is broken', () => {
    assert.match(problemsOf({ toml: 'a = 1\nb = = 2' })[0]!, /^iggy\.toml: line 2: /u);
  });

  it('holds values to their bounds', () => {
    assert.match(problemsOf({ env: { IGGY_SEGMENT_SIZE: '2 GiB' } })[0]!, /at most 1 GiB/u);
    assert.match(problemsOf({ env: { IGGY_SEGMENT_SIZE: '512 KiB' } })[0]!, /at least 1 MiB/u);
    assert.match(problemsOf({ env: { IGGY_TOPIC_MESSAGE_EXPIRY: '0' } })[0]!, /server_default/u);
  });

  it('holds relations between settings', () => {
    const refused = (env: Record<string, string>): string => problemsOf({ env }).join('\n');
    assert.match(refused({ IGGY_POOL_BYTES: '64 MiB' }), /^pool\.bytes/u);
    assert.match(refused({ IGGY_TCP_TLS_ENABLED: 'true' }), /^tcp\.tls/u);
    assert.match(refused({ IGGY_HTTP_TLS_ENABLED: 'true' }), /^http\.tls/u);
    assert.match(refused({ IGGY_ENCRYPTION_ENABLED: 'true' }), /^encryption/u);
    assert.match(refused({ IGGY_HTTP_METRICS_ENDPOINT: 'm' }), /^http\.metrics\.endpoint/u);
    const secret = { IGGY_HTTP_JWT_ENCODING_SECRET: '***' };
    assert.match(refused({ ...secret, IGGY_HTTP_JWT_USE_BASE64_SECRET: 'true' }), /no base64/u);
    assert.match(refused({ IGGY_CLUSTER_ENABLED: 'true' }), /^cluster\.enabled/u);
    assert.match(refused({ IGGY_HTTP_CORS_ALLOW_CREDENTIALS: 'true' }), /^http\.cors/u);
    assert.match(
      refused({ IGGY_TCP_ENABLED: 'false', IGGY_HTTP_ENABLED: 'false' }),
      /at least one must be true/u,
    );
    assert.match(
      refused({ IGGY_TOPIC_MAX_SIZE: '10 MiB', IGGY_SEGMENT_SIZE: '100 MiB' }),
      /^topic\.max_size/u,
    );
  });

  it('reads tables from the file and from indexed variables', () => {
    const env = {
      IGGY_HTTP_JWT_TRUSTED_ISSUERS_0_ISSUER: 'https://a.example',
      IGGY_HTTP_JWT_TRUSTED_ISSUERS_0_JWKS_URL: 'https://a.example/keys',
      IGGY_HTTP_JWT_TRUSTED_ISSUERS_0_AUDIENCE: 'iggy',
      IGGY_HTTP_JWT_TRUSTED_ISSUERS_0_USER_ID: '7',
    };
    const [issuer] = load({ env }).config.http.jwt.trustedIssuers;
    assert.equal(issuer!.issuer, 'https://a.example');
    assert.equal(issuer!.userId, 7);
    assert.match(
      problemsOf({ toml: '[[http.jwt.trusted_issuers]]\nissuer = "a"' }).join(' '),
      /trusted_issuers: user_id/u,
    );
  });

  it('never shows a secret, neither in problems nor in the written configuration', () => {
    const { config } = load({ env: { IGGY_HTTP_JWT_ENCODING_SECRET: 'hunter2hunter2' } });
    assert(!formatConfig(config).includes('hunter2'));
    assert(formatConfig(config).includes('encoding_secret = "******"'));
  });

  it('writes a configuration that loads to the same one', () => {
    const toml =
      '[[http.jwt.trusted_issuers]]\nissuer = "a"\njwks_url = "http://b/keys"\naudience = "c"\nuser_id = 3';
    const { config } = load({
      toml,
      env: {
        IGGY_HEARTBEAT_INTERVAL: '1 h 30 m',
        IGGY_LOGGING_LEVEL: 'warn,iggy=debug',
        IGGY_TOPIC_MESSAGE_EXPIRY: '7 days',
        IGGY_TOPIC_MAX_SIZE: '20 GiB',
      },
    });
    assert.deepEqual(load({ toml: formatConfig(config) }).config, config);
  });

  it('is frozen', () => {
    const { config } = load({});
    assert.throws(() => {
      (config.tcp as { enabled: boolean }).enabled = false;
    }, TypeError);
  });

  it('never throws anything but ConfigProblem, whatever the file says', () => {
    const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant([]));
    const key = fc.constantFrom(...OPTION_ROWS.keys());
    fc.assert(
      fc.property(fc.dictionary(key as fc.Arbitrary<OptionKey>, value), (settings) => {
        const toml = Object.entries(settings)
          .map(([name, raw]) => `${name} = ${JSON.stringify(raw)}`)
          .join('\n');
        problemsOf({ toml });
      }),
      { numRuns: 300 },
    );
  });
});

describe('command line', () => {
  it('knows its commands and switches', () => {
    assert.equal(parseCommandLine([]).command, 'serve');
    assert.equal(parseCommandLine(['config', 'check']).command, 'configCheck');
    assert.equal(parseCommandLine(['config', 'show']).command, 'configShow');
    assert.equal(parseCommandLine(['--help']).command, 'help');
    assert.equal(parseCommandLine(['-V']).command, 'version');
    const all = parseCommandLine(['-f', '--with-default-root-credentials', '--accept-data-loss']);
    assert(all.fresh && all.withDefaultRootCredentials && all.acceptDataLoss);
    assert.equal(parseCommandLine(['--config', 'x.toml']).configFile, 'x.toml');
  });

  it('lets a bool stand alone or take a value', () => {
    assert.equal(
      parseCommandLine(['--heartbeat-enabled']).settings.get('heartbeat.enabled'),
      'true',
    );
    const off = parseCommandLine(['--heartbeat-enabled', 'false', '--path', 'x']);
    assert.equal(off.settings.get('heartbeat.enabled'), 'false');
    assert.equal(off.settings.get('path'), 'x');
  });

  it('says what is wrong with words and flags it does not know', () => {
    assert.match(
      parseCommandLine(['config', 'chekc']).problems[0]!,
      /did you mean "config check"/u,
    );
    assert.match(parseCommandLine(['--path']).problems[0]!, /--path needs a value/u);
    assert.match(parseCommandLine(['--zzzzzzzzzzzz']).problems[0]!, /--help lists the flags/u);
  });

  it('documents every setting in the help and in the reference', () => {
    const [help, reference] = [formatHelp(), formatReference()];
    for (const [key, option] of OPTION_ROWS) {
      if (option.type !== 'tables') assert(help.includes(flagOf(key)));
      assert(reference.includes(`\`${key}\``));
    }
  });
});
