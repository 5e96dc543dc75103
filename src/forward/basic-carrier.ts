/**
 * Forwarding by agents that do not multiplex (up to 3.0.196.0): the session's bytes are those of one connection, and
 * the next one waits until it is over (protocol.md 6.6).
 *
 * The agent connects when the session starts, and after that whenever it gets a stream message and has no
 * connection. Our DisconnectToPort flag closes its connection. Nothing tells of the server's end, and nothing marks
 * where the bytes of one connection stop: what still comes after the agent has acknowledged the flag, and for
 * SETTLE_MS more, is dropped.
 */
import type { Clock, TimerHandle } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import { HalfClose } from '../mux/half-close.ts';
import { FLAG } from '../protocol/payloads.ts';
import type { Session } from '../session/session.ts';
import type { Carrier } from './carrier.ts';
import { ForwardStream } from './forward-stream.ts';

/** A message of 1 KiB that the agent has read before it closed may follow; it pauses 1 ms between two. Milliseconds. */
const SETTLE_MS = 150;
/** How long the agent may take to connect, where it would say nothing of a failure for a minute. Milliseconds. */
const CONNECT_LIMIT_MS = 10_000;
/** Connections that wait for their turn. */
const MAX_WAITING = 64;

export interface BasicCarrierParts {
  readonly session: Session;
  readonly clock: Clock;
  /** What is connected to, for messages. */
  readonly farEnd: string;
}

/** One forwarded connection. */
class Turn {
  readonly stream: ForwardStream;
  /** Written before its turn. */
  held: Buffer[] = [];
  hasEnded = false;
  halfClose: HalfClose | undefined;
  #hasSent = false;
  #isAnswered = false;

  constructor(stream: ForwardStream) {
    this.stream = stream;
  }

  sent(): void {
    this.#hasSent = true;
    this.#isAnswered = false;
  }

  received(now: number): void {
    this.#isAnswered = true;
    this.halfClose?.received(now);
  }

  get grace(): 'answered' | 'unanswered' | 'unused' {
    if (this.#isAnswered) return 'answered';
    return this.#hasSent ? 'unanswered' : 'unused';
  }
}

export class BasicCarrier implements Carrier {
  readonly isMultiplexed = false;
  readonly #parts: BasicCarrierParts;
  readonly #waiting = new Set<Turn>();
  #turn: Turn | undefined;
  #state: 'connecting' | 'connected' | 'draining' | 'disconnecting' | 'disconnected' = 'connecting';
  /** Arrived before there was anybody to take it: the server speaks first. */
  #early: Buffer[] = [];
  #writtenBytes = 0;
  #isLinkUp = true;
  #isEnded = false;
  #timer: TimerHandle | undefined;

  constructor(parts: BasicCarrierParts) {
    this.#parts = parts;
    // Acknowledged once the agent is connected, and not before.
    parts.session.probe();
    this.#after(CONNECT_LIMIT_MS, () => this.#notConnected());
  }

  get streams(): number {
    return this.#waiting.size + (this.#turn === undefined ? 0 : 1);
  }

  get isHeldUp(): boolean {
    return this.streams > 0;
  }

  openStream(): ForwardStream | undefined {
    if (this.#isEnded || this.#waiting.size >= MAX_WAITING) return undefined;
    const { session } = this.#parts;
    const stream: ForwardStream = new ForwardStream({
      write: (data): boolean => this.#write(turn, data),
      end: () => {
        turn.hasEnded = true;
        if (turn === this.#turn) this.#startHalfClose(turn);
      },
      close: () => this.#over(turn),
      taken: (bytes) => session.consumed(bytes),
    });
    const turn: Turn = new Turn(stream);
    this.#waiting.add(turn);
    this.#next();
    return stream;
  }

  onData(data: Buffer): void {
    const turn = this.#turn;
    if (turn !== undefined) {
      turn.received(this.#parts.clock.now());
      turn.stream.deliver(data);
    } else if (this.#state === 'connecting' || this.#state === 'connected') {
      this.#early.push(data);
    } else {
      this.#parts.session.consumed(data.length);
    }
  }

  onWritable(): void {
    this.#turn?.stream.resumeWriting();
  }

  onDrained(): void {
    switch (this.#state) {
      case 'connecting':
        this.#timer?.cancel();
        this.#state = 'connected';
        this.#next();
        return;
      case 'draining':
        this.#state = 'disconnecting';
        this.#parts.session.flag(FLAG.DISCONNECT_TO_PORT);
        return;
      case 'disconnecting':
        this.#after(SETTLE_MS, () => {
          this.#state = 'disconnected';
          this.#next();
        });
        return;
      case 'connected':
      case 'disconnected':
    }
  }

  onFlag(): void {
    // ConnectToPortError is for multiplexed sessions; here the session ends.
  }

  onLink(state: 'lost' | 'restored'): void {
    this.#isLinkUp = state === 'restored';
  }

  end(error: ProxyError): void {
    this.#isEnded = true;
    this.#timer?.cancel();
    const streams = [...(this.#turn === undefined ? [] : [this.#turn]), ...this.#waiting];
    for (const { stream } of streams) stream.fail(error);
  }

  // ---- turns -------------------------------------------------------------------------------------------------

  #next(): void {
    if (this.#turn !== undefined || this.#isEnded) return;
    const [turn] = this.#waiting;
    if (turn === undefined || (this.#state !== 'connected' && this.#state !== 'disconnected')) return;
    this.#waiting.delete(turn);
    this.#turn = turn;
    // A server that speaks first is to be connected to before the client has said anything.
    if (this.#state === 'disconnected') this.#parts.session.nudge();
    this.#state = 'connected';
    const early = this.#early;
    this.#early = [];
    for (const data of early) turn.stream.deliver(data);
    for (const data of turn.held) this.#send(turn, data);
    turn.held = [];
    turn.stream.resumeWriting();
    if (turn.hasEnded) this.#startHalfClose(turn);
  }

  #write(turn: Turn, data: Buffer): boolean {
    if (turn === this.#turn) return this.#send(turn, data);
    turn.held.push(data);
    return false;
  }

  #send(turn: Turn, data: Buffer): boolean {
    turn.sent();
    this.#writtenBytes += data.length;
    return this.#parts.session.write(data);
  }

  /** The local client has closed its connection, or the wait after its end is over. */
  #over(turn: Turn): void {
    this.#waiting.delete(turn);
    if (turn !== this.#turn || this.#isEnded) return;
    this.#turn = undefined;
    this.#timer?.cancel();
    // The flag would overtake what is not sent yet.
    this.#state = 'draining';
    const { pendingBytes, unackedMessages } = this.#parts.session.stats();
    if (pendingBytes === 0 && unackedMessages === 0) this.onDrained();
  }

  #startHalfClose(turn: Turn): void {
    turn.halfClose = new HalfClose(this.#writtenBytes, turn.grace);
    this.#lookAtHalfClose(turn, turn.halfClose);
  }

  #lookAtHalfClose(turn: Turn, halfClose: HalfClose): void {
    const { clock, session } = this.#parts;
    const now = clock.now();
    const { pendingBytes, unackedBytes, unreadBytes, waitingMessages, isPaused } = session.stats();
    const path = {
      acknowledgedBytes: this.#writtenBytes - pendingBytes - unackedBytes,
      isHearing: this.#isLinkUp && waitingMessages === 0 && unreadBytes === 0 && !isPaused,
    };
    if (halfClose.isDue(path, now)) turn.stream.farEndClosed();
    else this.#after(halfClose.deadline(now) - now, () => this.#lookAtHalfClose(turn, halfClose));
  }

  #notConnected(): void {
    const error = new ProxyError('PORT_REFUSED', `the agent did not connect to ${this.#parts.farEnd}`, {
      hint: 'check that a server listens there',
    });
    void this.#parts.session.terminate({ kind: 'failed', error });
  }

  #after(delayMs: number, callback: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.setTimer(Math.max(0, Math.ceil(delayMs)), () => {
      if (!this.#isEnded) callback();
    });
  }
}
