/**
 * A session that carries connections from a local port or Unix socket to what the node reaches: multiplexed where the
 * agent can, else one after the other. Ctrl-C is how it is left, so it is no failure.
 */
import type { Socket } from 'node:net';
import { systemClock } from '../../clock.ts';
import { ProxyError, asProxyError } from '../../errors.ts';
import type { Carrier } from '../../forward/carrier.ts';
import { createCarrier } from '../../forward/create-carrier.ts';
import { join, reset } from '../../forward/join.ts';
import { DEFAULT_BIND, listen } from '../../forward/listener.ts';
import type { ListenAddress, Listener } from '../../forward/listener.ts';
import type { SessionFacts } from '../../protocol/handshake.ts';
import type { Session, SessionOutcome } from '../../session/session.ts';
import type { EndLive, LiveView } from '../live-session.ts';
import { formatError } from '../report.ts';
import { keyOfSignal } from './signal-keys.ts';
import * as texts from './texts.ts';

export interface ForwardViewParts {
  readonly facts: SessionFacts;
  /** What is connected to, for messages. */
  readonly farEnd: string;
  readonly end: EndLive;
  /** Writes to stdout. */
  readonly say: (text: string) => void;
  /** Writes to stderr. */
  readonly warn: (text: string) => void;
}

export class ForwardView implements LiveView {
  readonly #parts: ForwardViewParts;
  readonly #sockets = new Set<Socket>();
  #session: Session | undefined;
  #carrier: Carrier | undefined;
  #listener: Listener | undefined;
  #hasAccepted = false;
  #isReleased = false;

  constructor(parts: ForwardViewParts) {
    this.#parts = parts;
  }

  onReady(session: Session): void {
    this.#session = session;
    const { facts, farEnd } = this.#parts;
    this.#carrier = createCarrier(facts, { session, clock: systemClock, farEnd });
    void this.#listen(session, this.#carrier);
  }

  onData(data: Buffer): void {
    this.#carrier?.onData(data);
  }

  onWritable(): void {
    this.#carrier?.onWritable();
  }

  onDrained(): void {
    this.#carrier?.onDrained();
  }

  onFlag(flag: number): void {
    this.#carrier?.onFlag(flag);
  }

  onLink(state: 'lost' | 'restored'): void {
    this.#carrier?.onLink(state);
  }

  onNotice(): void {}

  onSignal(exitStatus: number): boolean {
    if (keyOfSignal(exitStatus) === undefined) return false;
    const { say, end } = this.#parts;
    say(texts.INTERRUPTED);
    say(texts.exiting(this.#session?.sessionId ?? ''));
    end(0);
    return true;
  }

  finish(outcome: SessionOutcome): Promise<number> {
    const isFailed = outcome.kind === 'failed';
    this.#carrier?.end(isFailed ? outcome.error : new ProxyError('SESSION_ENDED', 'the session has ended'));
    this.release();
    return isFailed ? Promise.reject(outcome.error) : Promise.resolve(0);
  }

  release(): void {
    this.#isReleased = true;
    this.#listener?.close();
    for (const socket of this.#sockets) reset(socket);
  }

  async #listen(session: Session, carrier: Carrier): Promise<void> {
    try {
      this.#listener = await listen(this.#address(), (socket) => this.#accept(socket, session, carrier));
    } catch (thrown) {
      void session.terminate({ kind: 'failed', error: asProxyError(thrown) });
      return;
    }
    if (this.#isReleased) {
      this.#listener.close();
      return;
    }
    const { address } = this.#listener;
    const { sessionId } = session;
    this.#parts.say(
      `${address.kind === 'unix' ? texts.socketOpened(address.path, sessionId) : texts.portOpened(address.port, sessionId)}${texts.WAITING}`,
    );
  }

  #address(): ListenAddress {
    const { localConnectionType, localUnixSocket = '', localPortNumber } = this.#parts.facts.properties;
    if (localConnectionType === 'unix') return { kind: 'unix', path: localUnixSocket };
    return { kind: 'tcp', host: DEFAULT_BIND, port: Number(localPortNumber ?? 0) };
  }

  #accept(socket: Socket, session: Session, carrier: Carrier): void {
    const stream = this.#isReleased ? undefined : carrier.openStream();
    if (stream === undefined) {
      reset(socket);
      return;
    }
    if (!this.#hasAccepted) this.#parts.say(texts.accepted(session.sessionId, carrier.isMultiplexed));
    this.#hasAccepted = true;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    stream.once('error', (thrown) => {
      const error = asProxyError(thrown);
      // The end of the session is told once, at its end.
      if (error.code === 'PORT_REFUSED') this.#parts.say(texts.CONNECT_FAILED);
      else if (error.code === 'STALLED') this.#parts.warn(formatError(error, false));
    });
    join(socket, stream);
  }
}
