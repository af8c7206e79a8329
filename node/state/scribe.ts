import assert from 'node:assert/strict';
import type { Identifier } from '@iggy-ts/wire/commands/values';
import { decodeMetadataOp, encodeMetadataOp, type MetadataOp } from './metadata-op.ts';
import { MetadataState } from './metadata-state.ts';
import type { Origin, Outcome } from './outcome.ts';
import { resolveTopicOptions, type TopicSettings } from './topic-options.ts';

/** Defaults of a server that was told nothing. */
export const DEFAULTS: TopicSettings = {
  compression: 'none',
  messageExpiryUs: Number.POSITIVE_INFINITY,
  maxTopicSizeBytes: Number.POSITIVE_INFINITY,
  segmentBytes: 1024 ** 3,
  durability: 'replicated',
  consumerOffsetDurability: 'replicated',
  messagesRequiredToSave: 1024,
  bytesRequiredToSave: 1024 ** 2,
  preallocateSegments: false,
};

const FIRST_US = 1_700_000_000_000_000;

/** Who sent an op: a session, and the number of its request. */
export interface Sender {
  readonly client: string;
  readonly session: number;
  readonly request: number;
  readonly checksumLow?: number;
  readonly checksumHigh?: number;
}

export interface Line {
  readonly origin: Origin;
  readonly body: Uint8Array;
}

/** Writes one metadata log and applies it as it is written, a second per op. For tests. */
export class Scribe {
  readonly state: MetadataState = new MetadataState();
  readonly lines: Line[] = [];
  #uuids = 0;

  /** With the root user, who gives the orders. */
  static start(): Scribe {
    const scribe = new Scribe();
    scribe.ok({ kind: 'createRoot', caller: null, username: 'iggy', passwordHash: 'root-hash' });
    return scribe;
  }

  get opNext(): number {
    return this.lines.length + 1;
  }

  /** Log time of an op. */
  static timeUs(op: number): number {
    return FIRST_US + op * 1_000_000;
  }

  apply(op: MetadataOp, sender: Sender | null = null): Outcome {
    const origin: Origin = {
      op: this.opNext,
      timestampUs: Scribe.timeUs(this.opNext),
      client: sender?.client ?? null,
      session: sender?.session ?? 0,
      request: sender?.request ?? 0,
      checksumLow: sender?.checksumLow ?? 0,
      checksumHigh: sender?.checksumHigh ?? 0,
    };
    this.lines.push({ origin, body: encodeMetadataOp(op) });
    return this.state.apply(origin, op);
  }

  /** Applies an op that has to succeed. */
  ok(op: MetadataOp): Outcome {
    const outcome = this.apply(op);
    assert.equal(outcome.code, 0, `${op.kind} was refused`);
    assert.equal(outcome.eviction, 0);
    return outcome;
  }

  /** Applies an op and returns its code. */
  code(op: MetadataOp): number {
    return this.apply(op).code;
  }

  uuids(count: number): string[] {
    return Array.from({ length: count }, () => {
      this.#uuids += 1;
      return this.#uuids.toString(16).padStart(32, '0');
    });
  }

  stream(name: string): number {
    this.ok({ kind: 'createStream', caller: 0, name });
    const stream = this.state.findStream({ kind: 'name', name });
    assert(stream !== null);
    return stream.id;
  }

  topic(streamId: number, name: string, partitionsCount: number): number {
    this.ok(this.topicOp(streamId, name, partitionsCount));
    const topic = this.state.findTopic(streamId, { kind: 'name', name });
    assert(topic !== null);
    return topic.id;
  }

  topicOp(
    streamId: number,
    name: string,
    partitionsCount: number,
  ): Extract<MetadataOp, { readonly kind: 'createTopic' }> {
    const { explicit, derived } = resolveTopicOptions([], DEFAULTS, partitionsCount);
    const uuids = this.uuids(partitionsCount);
    return {
      kind: 'createTopic',
      caller: 0,
      streamId: byId(streamId),
      name,
      explicit,
      derived,
      uuids,
    };
  }

  group(streamId: number, topicId: number, name: string): number {
    const [stream, topic] = [byId(streamId), byId(topicId)];
    this.ok({ kind: 'createConsumerGroup', caller: 0, streamId: stream, topicId: topic, name });
    const group = this.state.findGroup({ streamId, id: topicId }, byName(name));
    assert(group !== null);
    return group.id;
  }

  user(username: string): number {
    this.ok({
      kind: 'createUser',
      caller: 0,
      username,
      passwordHash: `hash of ${username}`,
      status: 'active',
      permissions: null,
    });
    const user = this.state.findUser(byName(username));
    assert(user !== null);
    return user.id;
  }

  /** Logs a client in and returns its epoch. */
  login(client: string, userId: number): number {
    return this.ok({ kind: 'register', caller: null, client, userId, evict: null, version: null })
      .op;
  }
}

/** The state that comes of reading a log back from its bytes. */
export function replay(lines: readonly Line[]): MetadataState {
  const state = new MetadataState();
  for (const { origin, body } of lines) state.apply(origin, decodeMetadataOp(body));
  return state;
}

export function byId(id: number): Identifier {
  return { kind: 'id', id };
}

export function byName(name: string): Identifier {
  return { kind: 'name', name };
}

/** The n-th client id, from 1 on. */
export function clientOf(n: number): string {
  return n.toString(16).padStart(32, '0');
}
