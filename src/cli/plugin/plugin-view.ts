/**
 * A session that somebody else has started, once it is known what it is. What the official plugin writes to stdout is
 * written there too, but never into the bytes of a port: in such a session (as a ProxyCommand has it) stdout is
 * theirs alone. So nothing is written before the handshake has told which kind it is.
 */
import { constants } from 'node:os';
import { ProxyError } from '../../errors.ts';
import type { SessionFacts } from '../../protocol/handshake.ts';
import type { Session, SessionOutcome } from '../../session/session.ts';
import type { CliIo } from '../io.ts';
import type { EndLive, LiveView } from '../live-session.ts';
import { TerminalView } from '../terminal-view.ts';
import { CommandView } from './command-view.ts';
import { ForwardView } from './forward-view.ts';
import type { GrantedPurpose } from './granted-purpose.ts';
import { kindOf } from './granted-purpose.ts';
import { PipeView } from './pipe-view.ts';
import { keyOfSignal } from './signal-keys.ts';
import * as texts from './texts.ts';

export interface PluginViewParts {
  readonly io: CliIo;
  readonly sessionId: string;
  readonly target: string;
  readonly purpose: GrantedPurpose;
}

export class PluginView implements LiveView {
  readonly #parts: PluginViewParts;
  readonly #end: EndLive;
  /** Undefined until the session is ready. */
  #view: LiveView | undefined;
  #session: Session | undefined;
  #writesTexts = false;
  // Stopped, this process would leave a caller in the foreground that ignores the keys.
  readonly #onStop = (): void => void this.onSignal(128 + constants.signals.SIGTSTP);

  constructor(parts: PluginViewParts, end: EndLive) {
    this.#parts = parts;
    this.#end = end;
    // Whoever carries bytes looks after a reader that has gone; for a text alone nobody has to be told.
    parts.io.stdout.on('error', () => {});
  }

  onReady(session: Session): void {
    const { facts } = session;
    if (facts === undefined) throw new ProxyError('INTERNAL', 'a session is ready without facts');
    this.#session = session;
    this.#writesTexts = kindOf(facts) !== 'pipe';
    this.#say(texts.starting(this.#parts.sessionId));
    process.on('SIGTSTP', this.#onStop);
    this.#view = this.#viewOf(facts);
    this.#view.onReady(session);
  }

  onData(data: Buffer, stream: 'stdout' | 'stderr'): void {
    this.#view?.onData(data, stream);
  }

  onWritable(): void {
    this.#view?.onWritable();
  }

  onDrained(): void {
    this.#view?.onDrained?.();
  }

  onNotice(text: string): void {
    this.#say(`${text}\n`);
  }

  onExitCode(exitCode: number): void {
    this.#view?.onExitCode?.(exitCode);
  }

  onFlag(flag: number): void {
    this.#view?.onFlag?.(flag);
  }

  onLink(state: 'lost' | 'restored'): void {
    this.#view?.onLink?.(state);
  }

  onSignal(exitStatus: number): boolean {
    if (this.#view?.onSignal !== undefined) return this.#view.onSignal(exitStatus);
    const key = this.#view instanceof TerminalView ? keyOfSignal(exitStatus) : undefined;
    if (key === undefined) return false;
    this.#session?.write(key);
    return true;
  }

  async finish(outcome: SessionOutcome): Promise<number> {
    const { sessionId } = this.#parts;
    try {
      const exitStatus = await this.#finish(outcome);
      this.#say(texts.exiting(sessionId));
      return exitStatus;
    } catch (error) {
      this.release();
      if (outcome.kind === 'failed') {
        if (outcome.output !== undefined) this.#say(texts.ended(sessionId, outcome.output));
        else if (outcome.error.code === 'SESSION_GONE') this.#say(texts.timedOut(sessionId));
      }
      throw error;
    }
  }

  release(): void {
    process.off('SIGTSTP', this.#onStop);
    this.#view?.release();
  }

  #finish(outcome: SessionOutcome): Promise<number> {
    if (this.#view !== undefined) return this.#view.finish(outcome);
    return outcome.kind === 'failed' ? Promise.reject(outcome.error) : Promise.resolve(0);
  }

  #viewOf(facts: SessionFacts): LiveView {
    const { io, purpose, target } = this.#parts;
    const farEnd = `${purpose.farEnd} of ${target}`;
    switch (kindOf(facts)) {
      case 'pipe':
        return new PipeView(io, this.#end, farEnd);
      case 'forward':
        return new ForwardView({
          ...{ facts, farEnd, end: this.#end },
          say: (text) => this.#say(text),
          warn: (text) => io.stderr.write(text),
        });
      case 'terminal':
        return new TerminalView(io, this.#end, { canSuspend: false });
      case 'command':
        return new CommandView(io, this.#end);
    }
  }

  #say(text: string): void {
    if (this.#writesTexts) this.#parts.io.stdout.write(text);
  }
}
