import type { MetadataCommand } from '@iggy-ts/wire/commands/requests';
import type { Options } from '@iggy-ts/wire/commands/values';
import { OperatingError } from '@iggy-ts/wire/status';
import type { MetadataOp } from '../state/metadata-op.ts';
import { checkNoOptions } from '../state/topic-options.ts';

/** Commands that become an op as they are. */
type PlainCommand = Extract<
  MetadataCommand,
  {
    readonly kind:
      | 'deleteUser'
      | 'updateUser'
      | 'updatePermissions'
      | 'deletePersonalAccessToken'
      | 'createStream'
      | 'deleteStream'
      | 'updateStream'
      | 'purgeStream'
      | 'deleteTopic'
      | 'purgeTopic'
      | 'createConsumerGroup'
      | 'deleteConsumerGroup';
  }
>;

/** The op of a command that needs no work before it. errors: 4041 */
export function plainOp(command: PlainCommand, caller: number): MetadataOp {
  switch (command.kind) {
    case 'deletePersonalAccessToken':
      return { kind: 'deleteToken', caller, userId: caller, name: command.name };
    case 'createStream':
      requireNoOptions(command.options);
      return { kind: 'createStream', caller, name: command.name };
    case 'updateStream': {
      requireNoOptions(command.options);
      const { streamId, name } = command;
      return { kind: 'updateStream', caller, streamId, name };
    }
    case 'updateUser': {
      requireNoOptions(command.options);
      const { userId, username, status } = command;
      return { kind: 'updateUser', caller, userId, username, status };
    }
    default:
      return { ...command, caller };
  }
}

/** Streams and users have no options. errors: 4041 */
export function requireNoOptions(options: Options): void {
  const code = checkNoOptions(options);
  if (code !== 0) throw new OperatingError(code);
}
