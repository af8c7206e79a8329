import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { type CommandLine, parseCommandLine } from './config/command-line.ts';
import { formatConfig, formatHelp } from './config/help.ts';
import { ConfigProblem, loadConfig } from './config/load.ts';
import { Server, StartProblem, VERSION } from './server.ts';

// Arguments and environment → configuration → server; signals and exit codes. The only file that
// sees the environment.

const EXIT = {
  stopped: 0,
  usage: 2,
  config: 3,
  bug: 70,
} as const;

const USERNAME_BYTES = { min: 3, max: 50 } as const;
const PASSWORD_BYTES = { min: 3, max: 100 } as const;
const DEFAULT_CREDENTIALS = 'iggy';
const CONFIG_FILE = 'config.toml';

type Environment = Readonly<Record<string, string | undefined>>;

process.exitCode = await main(process.argv.slice(2));

/** Returns the exit code; the server has ended by then. */
async function main(args: readonly string[]): Promise<number> {
  const commandLine = parseCommandLine(args);
  if (commandLine.command === 'help') {
    process.stdout.write(formatHelp());
    return EXIT.stopped;
  }
  if (commandLine.command === 'version') {
    process.stdout.write(`iggy-server ${VERSION}\n`);
    return EXIT.stopped;
  }
  if (commandLine.problems.length > 0) return refuse(commandLine.problems, EXIT.usage);
  try {
    const env = readEnvironment(process.env);
    const { config, warnings } = loadConfig({
      file: readConfigFile(commandLine, env),
      env,
      flags: commandLine.settings,
    });
    if (commandLine.command === 'configShow') {
      process.stdout.write(formatConfig(config));
      return EXIT.stopped;
    }
    const credentials = rootCredentials(commandLine, env);
    if (commandLine.command === 'configCheck') {
      for (const warning of warnings) process.stdout.write(`warning: ${warning}\n`);
      process.stdout.write('the configuration can be used\n');
      return EXIT.stopped;
    }
    const { fresh, acceptDataLoss } = commandLine;
    const logLevel = env['RUST_LOG'];
    return await serve({ config, warnings, credentials, fresh, acceptDataLoss, logLevel });
  } catch (error) {
    if (error instanceof ConfigProblem) return refuse(error.problems, EXIT.config);
    if (error instanceof StartProblem) return refuse([error.message], error.exitCode);
    throw error;
  }
}

async function serve(options: Parameters<typeof Server.start>[0]): Promise<number> {
  const ended = Promise.withResolvers<number>();
  const server = await Server.start(options, (error) => {
    // Whatever is in memory is not to be trusted any more: the log on disk is.
    process.stderr.write(`iggy-server: ${error.stack ?? error.message}\n`);
    process.exit(EXIT.bug);
  });
  if (server.generatedPassword !== null) {
    process.stdout.write(`Generated root user password: ${server.generatedPassword}\n`);
  }
  const stop = (): void => {
    server.stop().then(() => ended.resolve(EXIT.stopped), ended.reject);
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
  const code = await ended.promise;
  process.off('SIGTERM', stop).off('SIGINT', stop);
  return code;
}

function refuse(problems: readonly string[], code: number): number {
  for (const problem of problems) process.stderr.write(`iggy-server: ${problem}\n`);
  return code;
}

/** Variables of the process over those of the dotenv file. */
function readEnvironment(own: Environment): Environment {
  const asked = own['IGGY_ENV_PATH'];
  const path = asked ?? '.env';
  if (!existsSync(path)) {
    if (asked === undefined) return own;
    throw new ConfigProblem([`IGGY_ENV_PATH: there is no file ${path}`]);
  }
  return { ...parseEnv(readFileSync(path, 'utf8')), ...own };
}

function readConfigFile(
  commandLine: CommandLine,
  env: Environment,
): { readonly path: string; readonly text: string } | null {
  const asked = commandLine.configFile ?? (env['IGGY_CONFIG_PATH'] || null);
  const path = asked ?? CONFIG_FILE;
  if (asked === null && !existsSync(path)) return null;
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    throw new ConfigProblem([`cannot read the configuration: ${(error as Error).message}`]);
  }
}

/** What the root user is made with at the first start; null: a password is drawn. */
function rootCredentials(
  { withDefaultRootCredentials }: CommandLine,
  env: Environment,
): { readonly username: string; readonly password: string } | null {
  const preset = withDefaultRootCredentials ? DEFAULT_CREDENTIALS : undefined;
  const username = env['IGGY_ROOT_USERNAME'] || preset;
  const password = env['IGGY_ROOT_PASSWORD'] || preset;
  if (username === undefined && password === undefined) return null;
  if (username === undefined || password === undefined) {
    throw new ConfigProblem([
      'IGGY_ROOT_USERNAME and IGGY_ROOT_PASSWORD: set both of them or none',
    ]);
  }
  const wrong: string[] = [];
  const check = (name: string, text: string, { min, max }: { min: number; max: number }): void => {
    const bytes = Buffer.byteLength(text);
    if (bytes < min || bytes > max) wrong.push(`${name}: expected ${min} to ${max} bytes`);
  };
  check('IGGY_ROOT_USERNAME', username, USERNAME_BYTES);
  check('IGGY_ROOT_PASSWORD', password, PASSWORD_BYTES);
  if (wrong.length > 0) throw new ConfigProblem(wrong);
  return { username, password };
}
