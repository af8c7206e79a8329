import { parse, TomlError } from 'smol-toml';
import { type Config, propertyPathOf, type SettingValue } from './config.ts';
import { checkLimits } from './limits.ts';
import { nearest } from './nearest.ts';
import { envNameOf, NO_EFFECT, OPTION_ROWS, type OptionKey, spellingsOf } from './options.ts';
import { parseSetting, type RawTable, type RawValue } from './setting.ts';

// Defaults < file < environment < flags. Everything wrong is collected, so that one start shows
// all of it.

/** The configuration cannot be used; `problems` has one sentence for each thing that is wrong. */
export class ConfigProblem extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigProblem';
    this.problems = problems;
  }
}

export interface ConfigSources {
  readonly file: { readonly path: string; readonly text: string } | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: ReadonlyMap<OptionKey, string>;
}

export interface Loaded {
  readonly config: Config;
  /** What is accepted and does nothing here, and other things worth a line at the start. */
  readonly warnings: readonly string[];
}

/** Variables that are read elsewhere or belong to other programs of the family. */
const ENV_KNOWN: ReadonlySet<string> = new Set([
  'IGGY_CONFIG_PATH',
  'IGGY_ENV_PATH',
  'IGGY_ROOT_USERNAME',
  'IGGY_ROOT_PASSWORD',
  'IGGY_DISPLAY_CONFIG',
  'IGGY_CI_BUILD',
  'IGGY_USERNAME',
  'IGGY_PASSWORD',
  'IGGY_TOKEN',
  'IGGY_HOME',
]);
const ENV_FOREIGN = /^IGGY_(?:CONNECTORS|MCP|BENCH|TEST|WEB|UI)_/u;
/** What Kubernetes puts into every container for a service called iggy-something. */
const ENV_SERVICE = /^IGGY_(?:\w+_)?(?:SERVICE_(?:HOST|PORT)|PORT)(?:_\w+)?$/u;

interface Place {
  readonly key: OptionKey;
  readonly where: string;
  readonly raw: RawValue;
}

const KEY_OF_SPELLING: ReadonlyMap<string, OptionKey> = new Map(
  [...OPTION_ROWS.keys()].flatMap((key) =>
    spellingsOf(key).map((spelling) => [spelling, key] as const),
  ),
);
const KEY_OF_ENV: ReadonlyMap<string, OptionKey> = new Map(
  [...KEY_OF_SPELLING].map(([spelling, key]) => [envNameOf(spelling), key] as const),
);

/**
 * Builds the configuration from all its sources.
 *
 * errors   ConfigProblem with every problem found
 */
export function loadConfig(sources: ConfigSources): Loaded {
  const problems: string[] = [];
  const warnings: string[] = [];
  const places = new Map<OptionKey, Place>();
  const give = (place: Place): void => {
    places.set(place.key, place);
  };
  if (sources.file !== null) readFile(sources.file, { give, problems, warnings });
  readEnv(sources.env, { give, problems, warnings });
  for (const [key, raw] of sources.flags) give({ key, where: `flag for ${key}`, raw });
  const tree: Record<string, unknown> = {};
  for (const [key, option] of OPTION_ROWS) {
    const place = places.get(key);
    const parsed = parseSetting(option, place?.raw ?? (option.default as RawValue));
    if ('problem' in parsed) problems.push(`${place?.where ?? key}: ${parsed.problem}`);
    else put(tree, propertyPathOf(key, option), parsed.value);
  }
  if (problems.length > 0) throw new ConfigProblem(problems);
  const config = freeze(tree) as Config;
  problems.push(...checkLimits(config));
  if (problems.length > 0) throw new ConfigProblem(problems);
  return { config, warnings };
}

interface Reading {
  readonly give: (place: Place) => void;
  readonly problems: string[];
  readonly warnings: string[];
}

function readFile(file: { readonly path: string; readonly text: string }, to: Reading): void {
  let table: RawTable;
  try {
    table = parse(file.text) as RawTable;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    to.problems.push(`${file.path}: line ${error.line}: ${error.message.split('\n')[0]}`);
    return;
  }
  walk(table, '', (spelling, raw) => {
    const key = KEY_OF_SPELLING.get(spelling);
    if (key !== undefined) {
      to.give({ key, where: `${file.path}: ${spelling}`, raw });
      return;
    }
    const why = noEffect(spelling);
    if (why !== null) to.warnings.push(`${file.path}: ${spelling} has no effect: ${why}`);
    else to.problems.push(`${file.path}: unknown key ${spelling}${hint(spelling)}`);
  });
}

/** Leaves of the table, by their path; a list of tables is a leaf. */
function walk(table: RawTable, prefix: string, visit: (key: string, raw: RawValue) => void): void {
  for (const [name, raw] of Object.entries(table)) {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const isTable = typeof raw === 'object' && !Array.isArray(raw);
    if (isTable) walk(raw as RawTable, path, visit);
    else visit(path, raw);
  }
}

function readEnv(env: Readonly<Record<string, string | undefined>>, to: Reading): void {
  const tables = new Map<OptionKey, Record<string, string>[]>();
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('IGGY_') || text === undefined || text === '') continue;
    const key = KEY_OF_ENV.get(name);
    if (key !== undefined) to.give({ key, where: name, raw: text });
    else if (!readTableEnv(name, text, tables)) readUnknownEnv(name, to);
  }
  for (const [key, entries] of tables) {
    to.give({ key, where: envNameOf(key), raw: entries.filter((entry) => entry !== undefined) });
  }
}

/** IGGY_HTTP_JWT_TRUSTED_ISSUERS_0_ISSUER: entry 0, field issuer. Entries 0 to 9. */
function readTableEnv(
  name: string,
  text: string,
  tables: Map<OptionKey, Record<string, string>[]>,
): boolean {
  for (const [key, option] of OPTION_ROWS) {
    if (option.type !== 'tables') continue;
    const prefix = `${envNameOf(key)}_`;
    const match = name.startsWith(prefix) && /^(\d)_(\w+)$/u.exec(name.slice(prefix.length));
    if (!match) continue;
    const field = match[2]!.toLowerCase();
    if (!(field in (option.fields ?? {}))) continue;
    const entries = tables.get(key) ?? [];
    tables.set(key, entries);
    const entry = entries[Number(match[1])] ?? {};
    entries[Number(match[1])] = entry;
    entry[field] = text;
    return true;
  }
  return false;
}

function readUnknownEnv(name: string, to: Reading): void {
  if (ENV_KNOWN.has(name) || ENV_FOREIGN.test(name) || ENV_SERVICE.test(name)) return;
  const why = NO_EFFECT.find(({ keys }) =>
    keys.some((pattern) => {
      const wanted = envNameOf(pattern.replace(/\.\*$/u, ''));
      return pattern.endsWith('.*') ? name.startsWith(`${wanted}_`) : name === wanted;
    }),
  )?.why;
  if (why !== undefined) {
    to.warnings.push(`${name} has no effect: ${why}`);
    return;
  }
  const close = nearest(name, KEY_OF_ENV.keys());
  // A variable that resembles none of ours may belong to somebody else.
  if (close === null) to.warnings.push(`${name} is no setting of this server and is ignored`);
  else to.problems.push(`unknown variable ${name}: did you mean ${close}?`);
}

function noEffect(spelling: string): string | null {
  const row = NO_EFFECT.find(({ keys }) =>
    keys.some((key) =>
      key.endsWith('.*')
        ? spelling.startsWith(key.slice(0, -1)) || spelling === key.slice(0, -2)
        : key === spelling,
    ),
  );
  return row?.why ?? null;
}

function hint(spelling: string): string {
  const close = nearest(spelling, KEY_OF_SPELLING.keys());
  return close === null ? '; see docs/configuration.md' : `: did you mean ${close}?`;
}

function put(tree: Record<string, unknown>, path: readonly string[], value: SettingValue): void {
  let at = tree;
  for (const name of path.slice(0, -1)) {
    at[name] ??= {};
    at = at[name] as Record<string, unknown>;
  }
  at[path.at(-1)!] = value;
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) freeze(part);
    Object.freeze(value);
  }
  return value;
}
