import type { Logger } from '../base/logger.ts';
import { loadConfig } from '../config/load.ts';
import { HttpServer } from './http-server.ts';
import { FakeBroker, PASSWORD } from './test-broker.ts';
import { ManualClock } from './test-clock.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** The body as JSON, with whole numbers as they were printed where they are long. */
  readonly json: unknown;
}

interface Asked {
  readonly body?: unknown;
  /** The text of the body, in place of `body`. */
  readonly text?: string;
  readonly bearer?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** An HTTP server over a fake broker, without a socket. */
export class Stage {
  readonly broker: FakeBroker = new FakeBroker();
  readonly clock: ManualClock = new ManualClock();
  readonly answered: number[] = [];
  readonly bugs: unknown[] = [];
  readonly server: HttpServer;
  /** What `ask` bears unless it is told otherwise. */
  bearer = '';

  constructor(env: Readonly<Record<string, string>> = {}, toml = '') {
    const address = { IGGY_HTTP_ADDRESS: '127.0.0.1:0' };
    const file = { path: 'test.toml', text: toml };
    const { config } = loadConfig({ file, env: { ...address, ...env }, flags: new Map() });
    this.server = new HttpServer(config.http, {
      ...{ broker: this.broker, clock: this.clock, logger: SILENT },
      metrics: { contentType: 'text/plain; version=0.0.4', text: async () => 'iggy_up 1\n' },
      observer: { answered: ({ status }) => void this.answered.push(status) },
      onBug: (error) => void this.bugs.push(error),
    });
  }

  async ask(method: string, url: string, asked: Asked = {}): Promise<Answer> {
    const bearer = asked.bearer === undefined ? this.bearer : asked.bearer;
    const payload =
      asked.text ?? (asked.body === undefined ? undefined : JSON.stringify(asked.body));
    const response = await this.server.app.inject({
      method: method as 'GET',
      url,
      headers: {
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        ...(bearer === null || bearer === '' ? {} : { authorization: `Bearer ${bearer}` }),
        ...asked.headers,
      },
      ...(payload === undefined ? {} : { payload }),
    });
    const isJson = /json/u.test(String(response.headers['content-type']));
    const json = isJson ? (JSON.parse(response.body) as unknown) : null;
    return { status: response.statusCode, headers: response.headers, text: response.body, json };
  }

  /** An access token of a user of the fake. */
  async login(username = 'iggy'): Promise<string> {
    const body = { username, password: PASSWORD };
    const { json } = await this.ask('POST', '/users/login', { body });
    return (json as { access_token: { token: string } }).access_token.token;
  }
}
