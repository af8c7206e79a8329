import { nearest } from './nearest.ts';
import { flagOf, OPTION_ROWS, type OptionKey, spellingsOf } from './options.ts';

// Arguments → command, switches, settings. A setting is `--tcp-address VALUE` or
// `--tcp-address=VALUE`; one of type bool may stand alone for true.

type CommandName = 'serve' | 'help' | 'version' | 'configCheck' | 'configShow';

export interface CommandLine {
  readonly command: CommandName;
  /** Settings given as flags, as written. */
  readonly settings: ReadonlyMap<OptionKey, string>;
  readonly configFile: string | null;
  /** Remove the data folder before the start. */
  readonly fresh: boolean;
  readonly withDefaultRootCredentials: boolean;
  /** Go on without damaged parts of the log. */
  readonly acceptDataLoss: boolean;
  readonly problems: readonly string[];
}

const SWITCHES = [
  '--fresh',
  '-f',
  '--with-default-root-credentials',
  '--accept-data-loss',
] as const;

const FLAGS: ReadonlyMap<string, OptionKey> = new Map(
  [...OPTION_ROWS.keys()].flatMap((key) =>
    spellingsOf(key).map((spelling) => [flagOf(spelling), key] as const),
  ),
);

const COMMANDS: ReadonlyMap<string, CommandName> = new Map([
  ['', 'serve'],
  ['config check', 'configCheck'],
  ['config show', 'configShow'],
  ['help', 'help'],
  ['version', 'version'],
]);

/** Reads the arguments behind the program's name. Everything wrong is in `problems`. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const settings = new Map<OptionKey, string>();
  const switches = new Set<string>();
  const words: string[] = [];
  const problems: string[] = [];
  let configFile: string | null = null;
  let asked: CommandName | null = null;
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at]!;
    const cut = arg.startsWith('--') ? arg.indexOf('=') : -1;
    const name = cut < 0 ? arg : arg.slice(0, cut);
    const inline = cut < 0 ? null : arg.slice(cut + 1);
    const key = FLAGS.get(name);
    if (name === '--help' || name === '-h') asked = 'help';
    else if (name === '--version' || name === '-V') asked ??= 'version';
    else if ((SWITCHES as readonly string[]).includes(name) && inline === null) switches.add(name);
    else if (!arg.startsWith('-')) words.push(arg);
    else if (name === '--config' || name === '--config-provider' || name === '-c' || key) {
      const takesNone = key !== undefined && OPTION_ROWS.get(key)!.type === 'bool';
      const next = args[at + 1];
      const separate = takesNone
        ? next === 'true' || next === 'false'
        : next !== undefined && !next.startsWith('--');
      const value = inline ?? (separate ? next! : takesNone ? 'true' : null);
      if (inline === null && separate) at += 1;
      if (value === null) problems.push(`${name} needs a value`);
      else if (key !== undefined) settings.set(key, value);
      else if (name === '--config') configFile = value;
      else if (value !== 'file') problems.push(`${name}: the only provider is "file"`);
    } else {
      problems.push(unknownFlag(name));
    }
  }
  const command = COMMANDS.get(words.join(' '));
  if (command === undefined && asked === null) {
    const close = nearest(words.join(' '), COMMANDS.keys());
    const hint = close ? `did you mean "${close}"?` : '--help lists the commands';
    problems.push(`unknown command "${words.join(' ')}": ${hint}`);
  }
  return {
    command: asked ?? command ?? 'serve',
    settings,
    configFile,
    fresh: switches.has('--fresh') || switches.has('-f'),
    withDefaultRootCredentials: switches.has('--with-default-root-credentials'),
    acceptDataLoss: switches.has('--accept-data-loss'),
    problems,
  };
}

function unknownFlag(name: string): string {
  const close = nearest(name, [...FLAGS.keys(), ...SWITCHES, '--help', '--version', '--config']);
  const hint = close === null ? '--help lists the flags' : `did you mean ${close}?`;
  return `unknown flag ${name}: ${hint}`;
}
