import { CHECKSUM_BYTES, OP_KIND, type OpFields, offsetAfter, opChecksum } from './op-header.ts';
import { Segment } from './segment.ts';

/** Where the log stands after some op: what the next one builds on. */
export interface Tail {
  readonly op: number;
  /** Next offset. */
  readonly offset: number;
  readonly timestampUs: number;
  /** End of the bodies in `.log` of the segment that this op lies in. */
  readonly position: number;
  /** Of the op; the parent of the next one. */
  readonly checksum: Uint8Array;
}

/** Before op 1. */
export const TAIL_EMPTY: Tail = {
  op: 0,
  offset: 0,
  timestampUs: 0,
  position: 0,
  checksum: new Uint8Array(CHECKSUM_BYTES),
};

/** The tail behind an op; `slot` is its header, of which a copy of the checksum is kept. */
export function tailAfter(fields: OpFields, slot: Uint8Array): Tail {
  return {
    op: fields.op,
    offset: offsetAfter(fields),
    timestampUs: fields.timestampUs,
    position: fields.position + fields.bodyBytes,
    checksum: opChecksum(slot, 0).slice(),
  };
}

/** Whether an op is the last one of its segment. */
export function endsSegment(kind: number): boolean {
  return kind === OP_KIND.roll || kind === OP_KIND.purge;
}

/** The segment behind a tail, without files. */
export function plannedAfter(directory: string, tail: Tail): Segment {
  const { op, offset, timestampUs } = tail;
  const place = { opFirst: op + 1, offsetFirst: offset, timestampUs };
  return new Segment({ directory, ...place, state: 'planned' });
}
