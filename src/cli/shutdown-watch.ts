/**
 * Notices that this process should end: signals, and a parent that has vanished (kill -9 of ssh sends no signal, and
 * the end of stdin alone may also mean `</dev/null`).
 *
 * Not SIGPIPE: Node ignores it, since a write to a WebSocket that was cut raises it too, and that is to be mended. A
 * reader of stdout that has gone shows as EPIPE (see session/pump.ts).
 */
import { constants } from 'node:os';

const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;
/** Milliseconds between two looks at the parent. */
const PARENT_POLL_MS = 500;
/** As for SIGHUP: that is what a vanished parent would have sent. */
const EXIT_PARENT_GONE = 128 + constants.signals.SIGHUP;

export interface ShutdownEvents {
  /** May be called several times; gets the exit status that a shell would show. */
  onShutdown(exitStatus: number): void;
  /** Asked when the parent has gone: a program whose input goes on was left alone on purpose. */
  isOrphanIdle(): boolean;
}

export class ShutdownWatch {
  readonly #events: ShutdownEvents;
  readonly #onSignal = (signal: NodeJS.Signals): void =>
    this.#events.onShutdown(128 + constants.signals[signal]);
  #poll: NodeJS.Timeout | undefined;

  constructor(events: ShutdownEvents) {
    this.#events = events;
  }

  start(): void {
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    const parent = process.ppid;
    this.#poll = setInterval(() => {
      if (process.ppid !== parent && this.#events.isOrphanIdle()) this.#events.onShutdown(EXIT_PARENT_GONE);
    }, PARENT_POLL_MS);
    this.#poll.unref();
  }

  stop(): void {
    clearInterval(this.#poll);
    // The signals stay caught: a second one must not cut off the last of the output.
  }
}
