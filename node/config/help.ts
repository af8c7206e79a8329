import type { Config } from './config.ts';
import { camel, type SettingValue, valueAt } from './config.ts';
import { envNameOf, flagOf, OPTION_ROWS, type Option, type OptionKey } from './options.ts';
import { formatSetting } from './setting.ts';

/** What `iggy-server --help` prints. */
export function formatHelp(): string {
  const rows = [...OPTION_ROWS]
    .filter(([, option]) => option.type !== 'tables')
    .map(([key, option]) => {
      const value = shownDefault(option);
      return `  ${flagOf(key)} ${value === '' ? '' : `(${value})`}\n      ${option.doc}`;
    });
  return `iggy-server: persistent message streaming for Iggy clients

Usage
  iggy-server [FLAGS]               run the server
  iggy-server config check [FLAGS]  check the configuration and exit, 0 when it can be used
  iggy-server config show [FLAGS]   print the effective configuration, without secrets

Example
  iggy-server --path /var/lib/iggy --tcp-address 0.0.0.0:8090 --logging-level debug

Flags
  --config FILE                     TOML file; else IGGY_CONFIG_PATH, else ./config.toml if there
  --fresh, -f                       remove the data folder first: EVERYTHING STORED IS LOST
  --with-default-root-credentials   root user iggy with password iggy, for trying things out
  --accept-data-loss                go on without the damaged parts of a log
  --help, -h    --version, -V

The root user is made at the first start: IGGY_ROOT_USERNAME and IGGY_ROOT_PASSWORD, else user iggy
with a password that is printed once.

Settings (default): file < environment < flags; --tcp-address is IGGY_TCP_ADDRESS and tcp.address
${rows.join('\n')}

Exit codes
  0 stopped as asked   2 wrong use   3 configuration   4 data folder (in use, damaged, no access)
  5 address in use or not allowed   70 internal error or failed disk; restart is safe
`;
}

function shownDefault(option: Option): string {
  const value = option.default;
  return Array.isArray(value) ? value.join(', ') : String(value);
}

/** Every setting as TOML, secrets masked; loading it again gives the same configuration. */
export function formatConfig(config: Config): string {
  const lines: string[] = [];
  const tables: string[] = [];
  let table = '';
  for (const [key, option] of OPTION_ROWS) {
    const at = key.lastIndexOf('.');
    const [parent, name] = [key.slice(0, Math.max(at, 0)), key.slice(at + 1)];
    if (option.type === 'tables') {
      tables.push(...formatTables(key, option, valueAt(config, key, option)));
      continue;
    }
    if (parent !== table) {
      lines.push('', `[${parent}]`);
      table = parent;
    }
    lines.push(`${name} = ${formatSetting(option, valueAt(config, key, option))}`);
  }
  return `${[...lines, ...tables].join('\n').trimStart()}\n`;
}

function formatTables(key: OptionKey, option: Option, value: SettingValue): string[] {
  const lines: string[] = [];
  for (const entry of value as readonly Readonly<Record<string, string | number>>[]) {
    lines.push('', `[[${key}]]`);
    for (const [name, field] of Object.entries(option.fields ?? {})) {
      lines.push(`${name} = ${formatSetting(field, entry[camel(name)]!)}`);
    }
  }
  return lines;
}

/** docs/configuration.md: one row a setting. */
export function formatReference(): string {
  const rows = [...OPTION_ROWS].map(([key, option]) => {
    const bounds = [
      option.min === undefined ? '' : `at least ${option.min}`,
      option.max === undefined ? '' : `at most ${option.max}`,
      option.choices === undefined ? '' : option.choices.map((c) => `\`${c}\``).join(', '),
    ].filter((part) => part !== '');
    const shown = shownDefault(option);
    const old = option.old === undefined ? '' : ` Also written \`${option.old}\`.`;
    const limit = bounds.length === 0 ? '' : ` (${bounds.join('; ')})`;
    const value = shown === '' ? 'not set' : `\`${shown}\``;
    return `| \`${key}\` | \`${envNameOf(key)}\` | ${value} | ${option.doc}${limit}${old} |`;
  });
  return ['| Key | Variable | Default | Meaning |', '|---|---|---|---|', ...rows].join('\n');
}
