import assert from 'node:assert/strict';
import { HEADER_KIND, type Option, type Options } from '@iggy-ts/wire/commands/values';
import { STATUS } from '@iggy-ts/wire/status';
import { DEFAULTS } from './scribe.ts';
import {
  checkNoOptions,
  describeTopicOptions,
  mergeOptions,
  resolveTopicOptions,
  resolveTopicUpdate,
  settingsOf,
  storedSettings,
} from './topic-options.ts';

const MIB = 1024 ** 2;

function text(key: string, value: string): Option {
  return { key, kind: HEADER_KIND.string, value: new TextEncoder().encode(value) };
}
function u64(key: string, value: bigint): Option {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return { key, kind: HEADER_KIND.uint64, value: bytes };
}
function bytes(key: string, kind: number, ...value: number[]): Option {
  return { key, kind, value: Uint8Array.from(value) };
}
function resolve(...options: Option[]) {
  return resolveTopicOptions(options, DEFAULTS, 1);
}
function keys(options: Options): string[] {
  return options.map(({ key }) => key);
}

describe('Options of a new topic', () => {
  it('are filled in with the defaults of the server, as derived ones', () => {
    const { code, explicit, derived, settings } = resolve();
    assert.equal(code, 0);
    assert.deepEqual(explicit, []);
    assert.deepEqual(keys(derived), keys(describeTopicOptions(DEFAULTS) as unknown as Options));
    assert.deepEqual(settings, DEFAULTS);
    assert.deepEqual(storedSettings(derived), DEFAULTS);
  });

  it('are stored in the kind of the catalogue, whatever form they were sent in', () => {
    const { code, explicit, settings } = resolve(
      text('segment_size', '128 MiB'),
      text('message_expiry', '7 days'),
      text('durability', 'PERSISTED'),
      text('preallocate_segments', 'true'),
      text('messages_required_to_save', '5000'),
      bytes('compression_algorithm', HEADER_KIND.uint8, 2),
    );
    assert.equal(code, 0);
    assert.deepEqual(explicit, [
      text('compression_algorithm', 'gzip'),
      u64('message_expiry', 604_800_000_000n),
      u64('segment_size', BigInt(128 * MIB)),
      text('durability', 'persisted'),
      bytes('messages_required_to_save', HEADER_KIND.uint32, 0x88, 0x13, 0, 0),
      bytes('preallocate_segments', HEADER_KIND.bool, 1),
    ]);
    assert.equal(settings.segmentBytes, 128 * MIB);
    assert.equal(settings.compression, 'gzip');
    assert.equal(settings.durability, 'persisted');
    assert.equal(settings.preallocateSegments, true);
  });

  it('keep a sent 0 explicit, with the default as its value', () => {
    const defaults = { ...DEFAULTS, messageExpiryUs: 5_000_000 };
    const { explicit, derived, settings } = resolveTopicOptions(
      [
        u64('message_expiry', 0n),
        text('max_topic_size', 'server_default'),
        u64('segment_size', 0n),
      ],
      defaults,
      1,
    );
    assert.deepEqual(explicit, [
      u64('message_expiry', 5_000_000n),
      u64('max_topic_size', 0xffff_ffff_ffff_ffffn),
      u64('segment_size', BigInt(1024 * MIB)),
    ]);
    assert(!keys(derived).includes('message_expiry'));
    assert.equal(settings.messageExpiryUs, 5_000_000);
  });

  it('take all ones for never and unlimited, and for nothing else', () => {
    const ones = 0xffff_ffff_ffff_ffffn;
    const { settings } = resolve(u64('message_expiry', ones), u64('max_topic_size', ones));
    assert.equal(settings.messageExpiryUs, Number.POSITIVE_INFINITY);
    assert.equal(settings.maxTopicSizeBytes, Number.POSITIVE_INFINITY);
    assert.equal(resolve(u64('segment_size', ones)).code, STATUS.invalidOptionValue);
  });

  it('are refused with 4041 when the key is not in the catalogue', () => {
    for (const key of ['enforce_fsync', 'replication_factor', 'partitions_count', 'toString']) {
      assert.equal(resolve(text(key, 'true')).code, STATUS.unsupportedOptionKey, key);
    }
  });

  it('are refused with 4042 when the value is of a wrong kind, form or size', () => {
    const bad: readonly Option[] = [
      bytes('segment_size', HEADER_KIND.uint32, 0, 0, 16, 0),
      bytes('segment_size', HEADER_KIND.uint64, 0, 0, 16),
      u64('segment_size', BigInt(MIB - 512)),
      u64('segment_size', BigInt(MIB + 1)),
      u64('segment_size', BigInt(1024 * MIB + 512)),
      text('segment_size', 'big'),
      u64('message_expiry', 1n << 60n),
      text('durability', 'sometimes'),
      bytes('durability', HEADER_KIND.bool, 1),
      bytes('durability', HEADER_KIND.string, 0xff),
      bytes('compression_algorithm', HEADER_KIND.uint8, 3),
      bytes('compression_algorithm', HEADER_KIND.uint8, 0),
      bytes('preallocate_segments', HEADER_KIND.bool, 2),
      bytes('preallocate_segments', HEADER_KIND.bool),
      bytes('messages_required_to_save', HEADER_KIND.uint32, 0, 0, 0, 0),
      bytes('messages_required_to_save', HEADER_KIND.uint32, 1, 0, 0, 1),
      text('messages_required_to_save', '1 KiB'),
      u64('size_of_messages_required_to_save', BigInt(1024 * MIB + 1)),
    ];
    for (const option of bad) {
      assert.equal(resolve(option).code, STATUS.invalidOptionValue, option.key);
    }
  });

  it('are refused with 1019 when the topic may not hold one segment', () => {
    const small = u64('max_topic_size', BigInt(10 * 1024));
    assert.equal(resolve(small).code, STATUS.invalidTopicSize);
    const { code } = resolve(u64('max_topic_size', BigInt(MIB)), u64('segment_size', BigInt(MIB)));
    assert.equal(code, 0);
  });

  it('may preallocate up to 64 GiB in all', () => {
    const preallocate = [bytes('preallocate_segments', HEADER_KIND.bool, 1)];
    assert.equal(resolveTopicOptions(preallocate, DEFAULTS, 64).code, 0);
    const { code } = resolveTopicOptions(preallocate, DEFAULTS, 65);
    assert.equal(code, STATUS.invalidOptionValue);
    assert.equal(resolveTopicOptions([], DEFAULTS, 65).code, 0);
  });
});

describe('Options of an update', () => {
  it('are those that change: a sent 0 is left out', () => {
    const update = resolveTopicUpdate(
      [u64('max_topic_size', 0n), text('message_expiry', '1 day')],
      DEFAULTS,
    );
    assert.deepEqual(update, { code: 0, options: [u64('message_expiry', 86_400_000_000n)] });
  });

  it('are refused with 4041 when the key cannot be changed', () => {
    for (const key of ['segment_size', 'durability', 'messages_required_to_save', 'nonsense']) {
      const { code } = resolveTopicUpdate([text(key, '1 MiB')], DEFAULTS);
      assert.equal(code, STATUS.unsupportedOptionKey, key);
    }
  });

  it('are held against the segment size of the topic', () => {
    const size = [text('max_topic_size', '512 MiB')];
    assert.equal(resolveTopicUpdate(size, DEFAULTS).code, STATUS.invalidTopicSize);
    assert.equal(resolveTopicUpdate(size, { ...DEFAULTS, segmentBytes: MIB }).code, 0);
    assert.equal(resolveTopicUpdate(size, null).code, 0);
  });

  it('become explicit and leave the derived ones', () => {
    const { explicit, derived } = resolve(text('durability', 'persisted'));
    const { options } = resolveTopicUpdate([text('message_expiry', '1 s')], DEFAULTS);
    const merged = mergeOptions({ explicit, derived }, options);
    assert.deepEqual(keys(merged.explicit), ['message_expiry', 'durability']);
    assert(!keys(merged.derived).includes('message_expiry'));
    const stored = storedSettings([...merged.explicit, ...merged.derived]);
    assert.deepEqual(stored, {
      ...DEFAULTS,
      durability: 'persisted',
      messageExpiryUs: 1_000_000,
    });
    assert.equal(settingsOf(options, DEFAULTS).messageExpiryUs, 1_000_000);
  });
});

describe('The catalogue', () => {
  it('names every key once, with its default in the kind it is stored with', () => {
    const catalogue = describeTopicOptions({ ...DEFAULTS, messageExpiryUs: 1 });
    assert.equal(new Set(catalogue.map(({ key }) => key)).size, 9);
    for (const { key, kind, defaultValue, description } of catalogue) {
      assert(description.length > 0);
      assert.equal(resolve({ key, kind, value: defaultValue }).code, 0, key);
    }
    const expiry = catalogue.find(({ key }) => key === 'message_expiry');
    assert.deepEqual(expiry?.defaultValue, u64('message_expiry', 1n).value);
  });

  it('is empty for streams and users: any option is refused', () => {
    assert.equal(checkNoOptions([]), 0);
    assert.equal(checkNoOptions([text('durability', 'persisted')]), STATUS.unsupportedOptionKey);
  });
});
