/**
 * A session that is one connection to a port (AWS-StartSSHSession): stdin and stdout are its bytes, both ways and
 * nothing else, and end as those of `connect` do.
 */
import { constants } from 'node:os';
import { ProxyError } from '../../errors.ts';
import { Pump } from '../../session/pump.ts';
import type { Session, SessionOutcome } from '../../session/session.ts';
import { HalfCloseGrace } from '../half-close-grace.ts';
import type { CliIo } from '../io.ts';
import type { EndLive, LiveView } from '../live-session.ts';

/** What a shell shows for a program that SIGPIPE ended. */
const EXIT_READER_GONE = 128 + constants.signals.SIGPIPE;
/** How long the agent may take to connect, where it would say nothing of a failure for a minute. Milliseconds. */
const CONNECT_LIMIT_MS = 10_000;

export class PipeView implements LiveView {
  readonly #pump: Pump;
  readonly #grace: HalfCloseGrace;
  readonly #farEnd: string;
  #session: Session | undefined;
  #isLinkUp = true;
  #connecting: NodeJS.Timeout | undefined;

  /** `farEnd`: what is connected to, for messages. */
  constructor(io: CliIo, end: EndLive, farEnd: string) {
    this.#farEnd = farEnd;
    this.#pump = new Pump(io.stdin, io.stdout, {
      onInputEnd: () => this.#grace.begin(this.#session),
      onOutputGone: () => end(EXIT_READER_GONE),
    });
    this.#grace = new HalfCloseGrace(this.#pump, () => end(0));
  }

  onReady(session: Session): void {
    this.#session = session;
    // Acknowledged once the agent is connected, and not before.
    session.probe();
    this.#lookAgain(session);
    this.#pump.start();
    this.#pump.attach(session);
    this.#grace.begin(session);
  }

  onData(data: Buffer): void {
    this.#connected();
    this.#pump.deliver(data);
    this.#grace.begin(this.#session);
  }

  onWritable(): void {
    this.#pump.onWritable();
  }

  onDrained(): void {
    this.#connected();
    this.#grace.begin(this.#session);
  }

  onNotice(): void {
    // Port sessions have nothing to tell that ssh would want to know.
  }

  onLink(state: 'lost' | 'restored'): void {
    this.#isLinkUp = state === 'restored';
  }

  async finish(outcome: SessionOutcome): Promise<number> {
    await this.#pump.flushed();
    if (outcome.kind === 'failed') throw outcome.error;
    return 0;
  }

  release(): void {
    this.#connected();
    this.#grace.stop();
    this.#pump.stop();
  }

  #connected(): void {
    clearTimeout(this.#connecting);
  }

  #lookAgain(session: Session): void {
    this.#connecting = setTimeout(() => {
      if (session.stats().isStreamDataAcked) return;
      if (!this.#isLinkUp) {
        this.#lookAgain(session);
        return;
      }
      const error = new ProxyError('PORT_REFUSED', `the agent did not connect to ${this.#farEnd}`, {
        hint: 'check that a server listens there',
      });
      void session.terminate({ kind: 'failed', error });
    }, CONNECT_LIMIT_MS);
  }
}
