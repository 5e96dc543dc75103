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
/** A parent that was killed closes its end of stdin a moment before it is gone. Milliseconds. */
const PARENT_GONE_MS = 20;
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
  readonly #parent = process.ppid;
  #poll: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;

  constructor(events: ShutdownEvents) {
    this.#events = events;
  }

  start(): void {
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    this.#poll = setInterval(() => this.#lookForParent(), PARENT_POLL_MS);
    this.#poll.unref();
  }

  /** The input has ended: the parent may have gone. */
  inputEnded(): void {
    this.#look ??= setTimeout(() => this.#lookForParent(), PARENT_GONE_MS);
  }

  stop(): void {
    clearInterval(this.#poll);
    clearTimeout(this.#look);
    // The signals stay caught: a second one must not cut off the last of the output.
  }

  #lookForParent(): void {
    if (process.ppid !== this.#parent && this.#events.isOrphanIdle())
      this.#events.onShutdown(EXIT_PARENT_GONE);
  }
}
