/** Values beside the constant text of a log line; the same field has the same name everywhere. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where log lines go. Text is constant, everything that varies is a field. */
export interface Logger {
  debug(text: string, fields?: LogFields): void;
  info(text: string, fields?: LogFields): void;
  warn(text: string, fields?: LogFields): void;
  error(text: string, fields?: LogFields): void;
}
