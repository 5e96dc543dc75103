/** Tells a person what went wrong while a command goes on, without repeating itself. */
import { systemClock } from '../clock.ts';
import type { ProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { CliIo } from './io.ts';
import { formatError } from './report.ts';

/** The same is told again after so long: a browser tries ten times a second. Milliseconds. */
const REPEAT_MS = 10_000;

export class Troubles {
  readonly #io: CliIo;
  readonly #log: Log;
  readonly #toldAt = new Map<string, number>();

  constructor(io: CliIo, log: Log) {
    this.#io = io;
    this.#log = log;
  }

  tell(error: ProxyError): void {
    this.#log.info('trouble', { code: error.code });
    const now = systemClock.now();
    for (const [message, toldAt] of this.#toldAt) {
      if (now - toldAt >= REPEAT_MS) this.#toldAt.delete(message);
    }
    if (this.#toldAt.has(error.message)) return;
    this.#toldAt.set(error.message, now);
    this.#io.stderr.write(formatError(error, false));
  }
}
