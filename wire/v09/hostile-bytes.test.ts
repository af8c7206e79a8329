// No bytes make a decoder throw or look outside its bounds: every vector is cut at every byte and
// has every single bit flipped, and random bytes go into everything.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { decodeBatch, readMessages } from '../batch.ts';
import { parseHex } from '../hex.ts';
import { readPermissions } from '../permissions.ts';
import {
  readConsumer,
  readIdentifier,
  readOptions,
  readPartition,
  readPartitioning,
  readPrefixedOptions,
  readStrategy,
} from '../primitives.ts';
import { Reader } from '../reader.ts';
import { decodeUserHeaders } from '../user-headers.ts';
import { decodeUtf8 } from '../utf8.ts';
import {
  checkFrame,
  decodeEviction,
  decodeReplyHeader,
  decodeRequestHeader,
  FRAME_BYTES_MAX,
  HEADER_BYTES,
  ReplyHeader,
  RequestHeader,
} from './frame.ts';
import {
  decodeClientVersion,
  decodeLoginReply,
  decodePasswordForm,
  decodeTokenForm,
} from './login.ts';
import { decodePolledHeader, decodeReply, decodeResultSection } from './replies.ts';
import { codeOf, decodeCommand, decodeSendRouting, operationOf } from './requests.ts';
import { COMMAND_KINDS, REPLIES } from './vector-fields.ts';

interface Vector {
  readonly what: string;
  readonly direction: string;
  readonly code?: number;
  readonly hex: string;
}

const VECTORS: readonly Vector[] = JSON.parse(
  readFileSync(new URL('../testdata/vectors.json', import.meta.url), 'utf8'),
);

/** Takes bytes [at, end) apart; whatever comes out is comparable. */
type Decode = (bytes: Uint8Array, at: number, end: number) => unknown;

function reading(read: (reader: Reader) => unknown): Decode {
  return (bytes, at, end) => {
    const reader = new Reader(bytes, at, end);
    const value = read(reader);
    assert(reader.at <= end);
    return [reader.fault, value];
  };
}

const PRIMITIVES: readonly Decode[] = [
  reading(readIdentifier),
  reading(readConsumer),
  reading(readPartition),
  reading(readPartitioning),
  reading(readStrategy),
  reading(readPermissions),
  reading((reader) => readOptions(reader)),
  reading(readPrefixedOptions),
  reading((reader) => reader.name()),
  reading((reader) => [reader.text8(), reader.text32()]),
  reading((reader) => [reader.u16(), reader.f32(), reader.u64(), reader.u64OrInfinity()]),
  reading((reader) => [reader.u128(), reader.copy(reader.u8())]),
  decodeUserHeaders,
  decodeResultSection,
  decodeUtf8,
];

const LOGINS: readonly Decode[] = [
  (bytes, at, end) => {
    const head = decodeClientVersion(bytes, at, end);
    const formAt = head?.formAt ?? at;
    assert(formAt <= end);
    return [head, decodePasswordForm(bytes, formAt, end), decodeTokenForm(bytes, formAt, end)];
  },
  decodeLoginReply,
];

const BATCHES: readonly Decode[] = [
  decodeSendRouting,
  decodeBatch,
  readMessages,
  decodePolledHeader,
];

const HEADERS: readonly Decode[] = [
  (bytes, at, end) => decodeRequestHeader(viewOf(bytes), at, end, new RequestHeader()),
  (bytes, at, end) => decodeReplyHeader(viewOf(bytes), at, end, new ReplyHeader()),
  (bytes, at, end) => decodeEviction(viewOf(bytes), at, end),
  (bytes, at, end) =>
    end - at < HEADER_BYTES ? null : checkFrame(viewOf(bytes), at, FRAME_BYTES_MAX),
];

const COMMANDS: ReadonlyMap<number, Decode> = new Map(
  COMMAND_KINDS.map((kind) => [
    codeOf(kind),
    (bytes, at, end) => decodeCommand(operationOf(kind), codeOf(kind), bytes, at, end),
  ]),
);

const REPLY_DECODERS: readonly (readonly [string, Decode])[] = COMMAND_KINDS.filter(
  (kind) => kind !== 'pollMessages' && kind !== 'pollMessagesOnPrimary',
).map((kind) => [
  kind,
  (bytes, at, end) => [
    decodeReply(kind as 'getMe', bytes.subarray(at, end)),
    decodeReply(kind as 'getMe', bytes.subarray(at, end), 2),
  ],
]);

/** The decoders that a vector is meant for. */
function decodersOf({ what, direction, code }: Vector): readonly Decode[] {
  if (what.endsWith('_frame') || what.endsWith('_header')) return HEADERS;
  if (what === 'send_messages' || what === 'batch' || what === 'poll_messages_reply') {
    return BATCHES;
  }
  if (what.startsWith('login') || what === 'client_version') return LOGINS;
  if (direction === 'reply') {
    const kinds = REPLIES[what]!.kinds as readonly string[];
    return REPLY_DECODERS.filter(([kind]) => kinds.includes(kind)).map(([, decode]) => decode);
  }
  const command = code === undefined ? undefined : COMMANDS.get(code);
  return command === undefined ? PRIMITIVES : [command];
}

const SUBJECTS = VECTORS.filter(
  ({ direction, hex }) => !['checksum', 'internal'].includes(direction) && hex !== '',
).map((vector) => {
  const isFrame = vector.what.endsWith('_frame') || vector.what.endsWith('_header');
  const whole = parseHex(vector.hex);
  const bytes = isFrame ? whole.subarray(0, HEADER_BYTES) : whole;
  return { bytes, decoders: decodersOf(vector) };
});

describe('hostile bytes', () => {
  it('cut at every byte are refused or read without a look at what lies around them', () => {
    let cuts = 0;
    for (const { bytes, decoders } of SUBJECTS) {
      const [zeros, ones] = [surrounded(bytes, 0), surrounded(bytes, 0xff)];
      for (let length = 0; length < bytes.length; length += 1) {
        const end = MARGIN + length;
        // What lies behind the cut must not matter, so it differs.
        ones.fill(0xff, end);
        zeros.fill(0, end);
        for (const decode of decoders) {
          assert.deepEqual(decode(zeros, MARGIN, end), decode(ones, MARGIN, end));
        }
        zeros[end] = bytes[length]!;
        ones[end] = bytes[length]!;
        cuts += 1;
      }
    }
    assert(cuts > 30_000);
  });

  it('with any single bit flipped come out as a value or a reason', () => {
    for (const { bytes, decoders } of SUBJECTS) {
      const copy = new Uint8Array(bytes);
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        copy[bit >> 3]! ^= 1 << (bit & 7);
        for (const decode of decoders) decode(copy, 0, copy.length);
        copy[bit >> 3]! ^= 1 << (bit & 7);
      }
    }
  });

  it('of any kind go into every decoder', () => {
    const all = [
      ...PRIMITIVES,
      ...LOGINS,
      ...BATCHES,
      ...HEADERS,
      ...COMMANDS.values(),
      ...REPLY_DECODERS.map(([, decode]) => decode),
    ];
    // Small numbers are frequent, so that lengths and kinds are often right.
    const byte = fc.oneof(fc.nat(8), fc.nat(255), fc.constant(0xff));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 400 }), (list) => {
        const bytes = Uint8Array.from(list);
        for (const decode of all) decode(bytes, 0, bytes.length);
      }),
      { numRuns: 1500 },
    );
  });

  it('of any operation and code are a command or a status', () => {
    fc.assert(
      fc.property(
        fc.nat(255),
        fc.nat(700),
        fc.uint8Array({ maxLength: 60 }),
        (operation, code, bytes) => {
          const command = decodeCommand(operation, code, bytes, 0, bytes.length);
          assert(typeof command === 'object' || [3, 5, 20].includes(command));
        },
      ),
    );
  });

  it('as text are UTF-8 exactly when the strict decoder of the platform says so', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 8 }).map((text) => [...Buffer.from(text)]),
      fc.array(fc.nat(255), { maxLength: 4 }),
      fc.constantFrom([0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xc0, 0x80], [0xe0, 0x80]),
      fc.constantFrom([0xef, 0xbb, 0xbf], [0xf0, 0x8f, 0xbf, 0xbf], [0xf5, 0x80, 0x80, 0x80]),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const bytes = Uint8Array.from(pieces.flat());
        let expected: string | null = null;
        try {
          expected = strict.decode(bytes);
        } catch {
          // Not UTF-8: null it is.
        }
        assert.equal(decodeUtf8(bytes, 0, bytes.length), expected);
      }),
      { numRuns: 1000 },
    );
  });

  it('are read from shared memory, and copies out of it are not shared', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(64));
    shared.set(parseHex('02010000006b0203000000c5bc61'), 3);
    const reader = new Reader(shared, 3, 17);
    const [option] = readOptions(reader);
    assert.equal(option!.key, 'k');
    assert(option!.value.buffer instanceof ArrayBuffer);
    assert.equal(decodeUtf8(shared, 14, 17), 'ża');
  });
});

const MARGIN = 24;

function surrounded(bytes: Uint8Array, fill: number): Uint8Array {
  const wide = new Uint8Array(MARGIN * 2 + bytes.length).fill(fill);
  wide.set(bytes, MARGIN);
  return wide;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
