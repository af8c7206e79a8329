import type { Kernel } from '../kernel/kernel.ts';
import { type Fault, LogDamaged } from './damage.ts';
import { codeOf } from './file.ts';
import {
  CHECKSUM_BYTES,
  decodeOp,
  isOp,
  OP_BYTES,
  type OpFields,
  opBodyChecksum,
  opChecksum,
  opParent,
  sameBytes,
} from './op-header.ts';
import type { OpenFiles } from './open-files.ts';
import { BLOCK_BYTES, BLOCK_SLOTS } from './ops-cache.ts';
import type { Segment } from './segment.ts';
import { markAccepted } from './segment-files.ts';

export interface ReplayOptions {
  readonly directory: string;
  readonly group: Uint8Array;
  readonly opFirst: number;
  readonly bodies: boolean;
  /** Ops that cannot be read are left out: in all segments, else in those accepted before. */
  readonly acceptDataLoss: boolean;
}

export interface ReplayDependencies {
  readonly files: OpenFiles;
  readonly kernel: Kernel;
}

type Apply = (fields: OpFields, body: Uint8Array | null) => void;

/**
 * Runs through the ops from `opFirst` on, verifying each and the chain between them.
 *
 * errors   LogDamaged at the first op that cannot be read
 * cost     one read of 64 KiB per 256 ops, one more per body when bodies are wanted
 */
export async function replayOps(
  options: ReplayOptions,
  dependencies: ReplayDependencies,
  segments: readonly Segment[],
  apply: Apply,
): Promise<void> {
  const replay = new Replay(options, dependencies, apply);
  for (const segment of segments) await replay.segment(segment);
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #dependencies: ReplayDependencies;
  readonly #apply: Apply;
  readonly #block: Uint8Array = new Uint8Array(BLOCK_BYTES);
  readonly #parent: Uint8Array = new Uint8Array(CHECKSUM_BYTES);
  /** Op whose checksum `#parent` is, 0 for none. */
  #opBefore = 0;

  constructor(options: ReplayOptions, dependencies: ReplayDependencies, apply: Apply) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#apply = apply;
  }

  async segment(segment: Segment): Promise<void> {
    if (segment.state === 'planned' || segment.opEnd <= this.#options.opFirst) return;
    let slot = Math.max(1, this.#options.opFirst - segment.opFirst + 1);
    while (slot <= segment.slotCount) {
      const count = Math.min(BLOCK_SLOTS, segment.slotCount + 1 - slot);
      await this.#readBlock(segment, slot, count);
      for (let index = 0; index < count; index += 1) {
        await this.#op(segment, segment.opFirst + slot - 1 + index, index * OP_BYTES);
      }
      slot += count;
    }
  }

  /** What cannot be read is left zero, which is no op. */
  async #readBlock(segment: Segment, slot: number, count: number): Promise<void> {
    const wanted = this.#block.subarray(0, count * OP_BYTES).fill(0);
    try {
      const lease = await this.#dependencies.files.lease(segment.opsPath, { create: false });
      try {
        await lease.file.readInto(wanted, slot * OP_BYTES);
      } finally {
        lease.release();
      }
    } catch (error) {
      if (!['EIO', 'ENOENT'].includes(codeOf(error))) throw error;
    }
  }

  async #op(segment: Segment, op: number, at: number): Promise<void> {
    const { kernel } = this.#dependencies;
    const byteFirst = (op - segment.opFirst + 1) * OP_BYTES;
    const slot = { file: segment.opsPath, byteFirst, byteEnd: byteFirst + OP_BYTES, op };
    const bytes = this.#block;
    if (!isOp(kernel, bytes, at, { op, group: this.#options.group })) {
      await this.#fault(segment, {
        ...slot,
        offsetFirst: 0,
        offsetEnd: 0,
        reason: 'the op is not readable',
      });
      return;
    }
    const fields = decodeOp(bytes, at);
    const { offsetFirst, count } = fields;
    const offsets = { offsetFirst, offsetEnd: offsetFirst + count };
    if (this.#opBefore === op - 1 && op > 1) {
      if (!sameBytes(this.#parent, opParent(bytes, at))) {
        await this.#fault(segment, {
          ...slot,
          ...offsets,
          reason: 'it does not follow the op before it',
        });
      }
    }
    this.#opBefore = op;
    this.#parent.set(opChecksum(bytes, at));
    if (!this.#options.bodies || fields.bodyBytes === 0) {
      this.#apply(fields, null);
      return;
    }
    const checksum = opBodyChecksum(bytes, at);
    const body = await this.#body(segment, fields, checksum);
    if (body !== null) {
      this.#apply(fields, body);
      return;
    }
    const { position, bodyBytes } = fields;
    const range = { byteFirst: position, byteEnd: position + bodyBytes, op };
    await this.#fault(segment, {
      file: segment.logPath,
      ...range,
      ...offsets,
      reason: 'the body is wrong',
    });
  }

  async #body(
    segment: Segment,
    fields: OpFields,
    checksum: Uint8Array,
  ): Promise<Uint8Array | null> {
    const body = new Uint8Array(fields.bodyBytes);
    try {
      const lease = await this.#dependencies.files.lease(segment.logPath, { create: false });
      try {
        if ((await lease.file.readInto(body, fields.position)) < body.length) return null;
      } finally {
        lease.release();
      }
    } catch (error) {
      if (!['EIO', 'ENOENT'].includes(codeOf(error))) throw error;
      return null;
    }
    const found = new Uint8Array(CHECKSUM_BYTES);
    this.#dependencies.kernel.hash128Of(body, found);
    return sameBytes(found, checksum) ? body : null;
  }

  async #fault(segment: Segment, fault: Fault): Promise<void> {
    this.#opBefore = 0;
    if (segment.accepted) return;
    if (!this.#options.acceptDataLoss) throw new LogDamaged(this.#options.directory, [fault]);
    segment.accepted = true;
    await markAccepted(segment, this.#dependencies.files.disk);
  }
}
