import { formatReference } from '../node/config/help.ts';
import { NO_EFFECT } from '../node/config/options.ts';

const INTRODUCTION = `# Configuration

Every setting has a default; a server without any configuration serves clients on this machine. A
setting can come from four places, the later one wins:

| Place | Example |
|---|---|
| default | \`127.0.0.1:8090\` |
| TOML file | \`[tcp]\` and below it \`address = "0.0.0.0:8090"\` |
| environment | \`IGGY_TCP_ADDRESS=0.0.0.0:8090\` |
| flag | \`--tcp-address 0.0.0.0:8090\` |

The file is the one named by \`--config FILE\`, else by \`IGGY_CONFIG_PATH\`, else \`config.toml\` in
the working directory if there is one. It may hold a few settings only. Variables can also stand in a
file \`.env\` in the working directory, or in the one that \`IGGY_ENV_PATH\` names; variables of the
process win over it. An empty variable counts as not set.

Look before you start:

\`\`\`sh
npm start --silent -- config check                # all problems and warnings; exit code 0 or 3
npm start --silent -- config show                 # everything that is in force, as TOML, without secrets
npm start --silent -- config show --tcp-address 0.0.0.0:8090
\`\`\`

A running server writes the same text, with the real ports, to \`runtime/current_config.toml\` in its
data folder.

A key, variable or flag that is nearly one of the table stops the start, with the name that was
probably meant. An unknown key in the file always does; an unknown variable that resembles nothing is
named in a warning.

## How values are written

| Kind | Written as |
|---|---|
| duration | number and unit: \`ns\`, \`us\`, \`ms\`, \`s\`, \`m\`, \`h\`, \`d\`, \`w\`, \`M\` (month), \`y\`; parts add up: \`1 h 30 m\`. \`0\`, \`none\` and \`disabled\` are zero |
| size | bytes, or with a unit: \`KB\`, \`MB\`, \`GB\` (1000) and \`KiB\`, \`MiB\`, \`GiB\` (1024). \`0\`, \`none\` and \`unlimited\` are zero |
| expiry | a duration, or \`never\` |
| topic size | a size, or \`unlimited\` |
| address | \`HOST:PORT\`, IPv6 in brackets: \`[::1]:8090\` |
| list | \`["a", "b"]\`, in a variable or flag also \`a,b\` |
| yes or no | \`true\`, \`false\`; a flag may stand alone for \`true\` |

The flag of a key is the key with dashes: \`tcp.tls.cert_file\` is \`--tcp-tls-cert-file\`. Secrets are
best given by file or variable, because others can read the arguments of a process.

## Variables and flags beside the settings

| Name | Meaning |
|---|---|
| \`IGGY_ROOT_USERNAME\`, \`IGGY_ROOT_PASSWORD\` | the root user made at the first start; both or none |
| \`IGGY_CONFIG_PATH\`, \`IGGY_ENV_PATH\` | where the configuration and the \`.env\` file are |
| \`RUST_LOG\` | log level, wins over \`logging.level\` |
| \`UV_THREADPOOL_SIZE\` | threads of Node.js for the disk and for passwords; \`npm start\` sets 16 |
| \`--with-default-root-credentials\` | root user \`iggy\` with password \`iggy\`, for trying things out |
| \`--fresh\`, \`-f\` | removes everything in the data folder first |
| \`--accept-data-loss\` | see [Durability](durability.md#a-damaged-log) |

## All settings

`;

const NO_EFFECT_INTRODUCTION = `
## Accepted without effect

Configurations of Iggy 0.8 and 0.9 may hold settings that this server has no use for. They are
accepted, and a warning at the start names them. A star stands for everything below.

`;

/** docs/configuration.md, from the table of settings. */
export function formatConfigurationPage(): string {
  const rows = NO_EFFECT.map(
    ({ why, keys }) => `| ${keys.map((key) => `\`${key}\``).join(', ')} | ${why} |`,
  );
  const noEffect = ['| Key | Why |', '|---|---|', ...rows].join('\n');
  const note = '<!-- Made by `npm run gen` from node/config/options.ts: change it there. -->';
  return `${note}\n\n${INTRODUCTION}${formatReference()}\n${NO_EFFECT_INTRODUCTION}${noEffect}\n`;
}
