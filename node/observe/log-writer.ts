import assert from 'node:assert/strict';
import {
  type DestinationStream,
  destination,
  type Logger as Pino,
  pino,
  stdSerializers,
} from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { LogFields, Logger } from '../base/logger.ts';

/** Bytes of lines that wait for a reader of standard output that is slow; past it lines are lost. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;
/** A longer line is cut in the ring, so that the ring has a limit in bytes, too. */
const RING_LINE_LENGTH_MAX = 4096;

export interface LogWriterOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** auto: pretty on a terminal, JSON elsewhere. */
  readonly format: 'auto' | 'pretty' | 'json';
  /** Lines that `recent` remembers. */
  readonly recentCountMax: number;
}

/** Where lines go when not to standard output. */
export interface LineTarget {
  write(line: string): void;
}

/**
 * Writes log lines to standard output, one JSON object or one pretty line each, and remembers the
 * last ones. An error in a field is written with its stack and its causes.
 *
 * cost     lines of a level that is off cost one comparison; others are written asynchronously
 */
export class LogWriter implements Logger {
  readonly #pino: Pino;
  readonly #ring: string[] = [];
  readonly #ringMax: number;
  #ringAt = 0;
  readonly #flush: () => void;

  constructor(options: LogWriterOptions, target: LineTarget | null = null) {
    assert(options.recentCountMax > 0);
    this.#ringMax = options.recentCountMax;
    const isPretty =
      options.format === 'pretty' || (options.format === 'auto' && process.stdout.isTTY === true);
    const { sink, flush } = openSink(target, isPretty);
    this.#flush = flush;
    const serializers = { error: stdSerializers.errWithCause, cause: stdSerializers.errWithCause };
    this.#pino = pino(
      { level: options.level, base: null, messageKey: 'text', serializers },
      {
        write: (line: string) => {
          this.#remember(line);
          sink.write(line);
        },
      },
    );
  }

  debug(text: string, fields?: LogFields): void {
    this.#pino.debug(fields ?? {}, text);
  }

  info(text: string, fields?: LogFields): void {
    this.#pino.info(fields ?? {}, text);
  }

  warn(text: string, fields?: LogFields): void {
    this.#pino.warn(fields ?? {}, text);
  }

  error(text: string, fields?: LogFields): void {
    this.#pino.error(fields ?? {}, text);
  }

  /** The last lines as JSON, oldest first. */
  recent(): string[] {
    return [...this.#ring.slice(this.#ringAt), ...this.#ring.slice(0, this.#ringAt)];
  }

  /** Writes what waits, synchronously: for the end of the process. Never throws. */
  flush(): void {
    try {
      this.#flush();
    } catch {
      // Standard output is gone or was never opened; there is nowhere to say so.
    }
  }

  #remember(line: string): void {
    this.#ring[this.#ringAt] = line.slice(0, RING_LINE_LENGTH_MAX).trimEnd();
    this.#ringAt = (this.#ringAt + 1) % this.#ringMax;
  }
}

function openSink(
  target: LineTarget | null,
  isPretty: boolean,
): { readonly sink: DestinationStream; readonly flush: () => void } {
  const { out, flush } = target === null ? openStandardOutput() : { out: target, flush: () => {} };
  if (!isPretty) return { sink: out, flush };
  // Pretty lines are for people: they are made in place, not by a stream of their own.
  const pretty = prettyFactory({
    messageKey: 'text',
    translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
    colorize: target === null && process.stdout.isTTY === true,
    singleLine: true,
  });
  return { sink: { write: (line: string) => out.write(pretty(line)) }, flush };
}

function openStandardOutput(): { readonly out: LineTarget; readonly flush: () => void } {
  const out = destination({ fd: 1, sync: false, maxLength: WAITING_BYTES_MAX });
  return { out: { write: (line) => void out.write(line) }, flush: () => out.flushSync() };
}
