import type { OPTIONS, Option, OptionKey } from './options.ts';
import type { Address, LogLevel } from './values.ts';

// The shape of a loaded configuration follows from the table: `tcp.max_thing` is
// `config.tcp.maxThing`. A name says its unit: durations end in `Us` (microseconds), sizes in
// `Bytes`. "Never" and "unlimited" are Infinity.

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S;

type Named<Name extends string, O extends Option> = O['type'] extends 'duration' | 'expiry'
  ? `${Camel<Name>}Us`
  : O['type'] extends 'bytes' | 'maxTopicSize'
    ? Name extends 'bytes'
      ? 'bytes'
      : `${Camel<Name>}Bytes`
    : Camel<Name>;

interface PlainValues {
  bool: boolean;
  u32: number;
  address: Address;
  duration: number;
  expiry: number;
  bytes: number;
  maxTopicSize: number;
  text: string;
  textList: readonly string[];
  path: string;
  secret: string;
  logLevel: LogLevel;
}

type ValueOf<O> = O extends { type: 'choice'; choices: readonly (infer Choice)[] }
  ? Choice
  : O extends { type: 'tables'; fields: infer Fields extends Readonly<Record<string, Option>> }
    ? readonly Tree<Fields>[]
    : O extends { type: infer Type extends keyof PlainValues }
      ? PlainValues[Type]
      : never;

type Top<Key> = Key extends `${infer Head}.${string}` ? Head : Key;
type Below<Key, Head extends string> = Key extends `${Head}.${infer Rest}` ? Rest : never;

type Tree<Rows extends Readonly<Record<string, Option>>> = {
  readonly [Head in Top<keyof Rows> & string as Head extends keyof Rows
    ? Named<Head, Rows[Head]>
    : Camel<Head>]: Head extends keyof Rows
    ? ValueOf<Rows[Head]>
    : Tree<{
        [Rest in Below<keyof Rows, Head> & string]: Rows[`${Head}.${Rest}` & keyof Rows];
      }>;
};

/** Every setting, frozen, in the units that its name says. */
export type Config = Tree<typeof OPTIONS>;

/** A plain value of a setting, or the entries of a table setting. */
export type SettingValue =
  | string
  | number
  | boolean
  | Address
  | readonly string[]
  | readonly Readonly<Record<string, string | number>>[];

/** The path of a key in Config: ['http', 'maxRequestSizeBytes'] for http.max_request_size. */
export function propertyPathOf(key: OptionKey, { type }: Pick<Option, 'type'>): readonly string[] {
  const path = key.split('.').map(camel);
  const last = path.pop()!;
  if (type === 'duration' || type === 'expiry') return [...path, `${last}Us`];
  if (type !== 'bytes' && type !== 'maxTopicSize') return [...path, last];
  return [...path, last === 'bytes' ? last : `${last}Bytes`];
}

export function camel(name: string): string {
  return name.replaceAll(/_(?<letter>[a-z])/gu, (_, letter: string) => letter.toUpperCase());
}

/** The value of a key in a loaded configuration. */
export function valueAt(config: Config, key: OptionKey, option: Option): SettingValue {
  let at: unknown = config;
  for (const name of propertyPathOf(key, option)) at = (at as Record<string, unknown>)[name];
  return at as SettingValue;
}
