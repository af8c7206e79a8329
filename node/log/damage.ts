/** One damaged range of one file. Ranges are `[first, end)`. */
export interface Fault {
  readonly file: string;
  readonly byteFirst: number;
  readonly byteEnd: number;
  readonly op: number;
  readonly offsetFirst: number;
  readonly offsetEnd: number;
  readonly reason: string;
}

/**
 * The log on disk is not what was acknowledged, and nothing here can tell what is missing.
 * Nothing was changed on disk.
 */
export class LogDamaged extends Error {
  readonly faults: readonly Fault[];

  constructor(directory: string, faults: readonly Fault[]) {
    super(
      `log damaged in ${directory}: ${faults.slice(0, FAULTS_SHOWN).map(sentence).join('; ')}` +
        `${faults.length > FAULTS_SHOWN ? `; and ${faults.length - FAULTS_SHOWN} more` : ''}. ` +
        'Restore this directory from a replica or a backup, or start once with ' +
        '--accept-data-loss to go on without what cannot be read.',
    );
    this.name = 'LogDamaged';
    this.faults = faults;
  }
}

const FAULTS_SHOWN = 5;

function sentence(fault: Fault): string {
  const { file, byteFirst, byteEnd, op, offsetFirst, offsetEnd, reason } = fault;
  const offsets =
    offsetEnd > offsetFirst ? `offsets ${offsetFirst} to ${offsetEnd - 1}` : 'no messages';
  return `${file} bytes ${byteFirst} to ${byteEnd} (op ${op}, ${offsets}): ${reason}`;
}
