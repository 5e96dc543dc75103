/**
 * Drives a mux session (mux/mux-session.ts) over a data channel: performs its actions, moves its bytes while the
 * channel has room, owns its timer. What is written in one turn of the event loop leaves together.
 */
import type { Clock, TimerHandle } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import type { MuxAction } from '../mux/actions.ts';
import { MuxSession } from '../mux/mux-session.ts';
import { needsKeepalive } from '../mux/keepalive.ts';
import { FLAG } from '../protocol/payloads.ts';
import type { Session } from '../session/session.ts';
import type { Carrier } from './carrier.ts';
import { ForwardStream } from './forward-stream.ts';

export interface MuxCarrierParts {
  readonly session: Session;
  readonly agentVersion: string;
  readonly clock: Clock;
  /** What is connected to, for messages: `port 80 of i-...`. */
  readonly farEnd: string;
}

export class MuxCarrier implements Carrier {
  readonly isMultiplexed = true;
  readonly #parts: MuxCarrierParts;
  readonly #mux: MuxSession;
  readonly #streams = new Map<number, ForwardStream>();
  #timer: TimerHandle | undefined;
  #timerAt = Infinity;
  #credit = 0;
  #writtenBytes = 0;
  #hasRoom = true;
  #isLinkUp = true;
  #isTurnPlanned = false;
  #isEnded = false;

  constructor(parts: MuxCarrierParts) {
    this.#parts = parts;
    const hasKeepalive = needsKeepalive(parts.agentVersion);
    this.#mux = new MuxSession({ hasKeepalive }, parts.clock.now());
    this.#arm();
  }

  get streams(): number {
    return this.#streams.size;
  }

  get isHeldUp(): boolean {
    return this.#mux.stats().isHeldUp || !this.#mux.canOpen;
  }

  openStream(): ForwardStream | undefined {
    const now = this.#now();
    const streamId = this.#isEnded ? undefined : this.#mux.open(now);
    if (streamId === undefined) return undefined;
    const stream = new ForwardStream({
      write: (data) => {
        this.#planTurn();
        return this.#mux.write(streamId, data);
      },
      end: () => {
        this.#mux.end(streamId);
        this.#planTurn();
      },
      close: () => {
        this.#mux.close(streamId, { flush: stream.writableFinished });
        this.#streams.delete(streamId);
        this.#planTurn();
      },
      taken: (bytes) => {
        this.#mux.consumed(streamId, bytes, this.#now());
        this.#planTurn();
      },
    });
    this.#streams.set(streamId, stream);
    this.#planTurn();
    return stream;
  }

  onData(data: Buffer): void {
    this.#mux.receive(data, this.#now());
    this.#perform();
  }

  onWritable(): void {
    this.#hasRoom = true;
    this.#planTurn();
  }

  onDrained(): void {
    this.#planTurn();
  }

  onFlag(flag: number): void {
    if (flag === FLAG.CONNECT_TO_PORT_ERROR) this.#mux.connectFailed();
  }

  onLink(state: 'lost' | 'restored'): void {
    this.#isLinkUp = state === 'restored';
    this.#planTurn();
  }

  end(error: ProxyError): void {
    this.#isEnded = true;
    this.#timer?.cancel();
    for (const stream of [...this.#streams.values()]) stream.fail(error);
    this.#streams.clear();
  }

  // ---- actions -----------------------------------------------------------------------------------------------

  #perform(): void {
    for (const action of this.#mux.take()) this.#performOne(action);
    if (this.#credit > 0) this.#planTurn();
    this.#arm();
  }

  #performOne(action: MuxAction): void {
    if (action.kind === 'credit') {
      this.#credit += action.bytes;
      return;
    }
    if (action.kind === 'failed') {
      void this.#parts.session.terminate({ kind: 'failed', error: action.error });
      return;
    }
    const stream = this.#streams.get(action.streamId);
    switch (action.kind) {
      case 'deliver':
        stream?.deliver(action.data);
        return;
      case 'writable':
        stream?.resumeWriting();
        return;
      case 'ended':
        stream?.farEndClosed();
        return;
      case 'refused':
        stream?.fail(refused(this.#parts.farEnd));
        return;
      case 'stalled':
        stream?.fail(stalled(this.#parts.farEnd));
    }
  }

  // ---- turns and time ----------------------------------------------------------------------------------------

  #planTurn(): void {
    if (this.#isTurnPlanned || this.#isEnded) return;
    this.#isTurnPlanned = true;
    setImmediate(() => {
      this.#isTurnPlanned = false;
      if (!this.#isEnded) this.#turn();
    });
  }

  #turn(): void {
    const { session } = this.#parts;
    this.#perform();
    const credit = this.#credit;
    this.#credit = 0;
    if (credit > 0) session.consumed(credit);
    while (this.#hasRoom && !this.#isEnded) {
      const data = this.#mux.pull(this.#now());
      if (data === undefined) break;
      this.#writtenBytes += data.length;
      this.#hasRoom = session.write(data);
    }
    this.#perform();
  }

  #arm(): void {
    if (this.#isEnded) return;
    const { clock } = this.#parts;
    const now = clock.now();
    const at = this.#mux.deadline(now) ?? Infinity;
    // Firing early is harmless; never putting it off lets a look that is repeated come at all.
    if (this.#timerAt <= at) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = clock.setTimer(Math.max(0, Math.ceil(at - now)), () => this.#tick());
  }

  #tick(): void {
    this.#timerAt = Infinity;
    const { pendingBytes, unackedBytes, waitingMessages, isPaused } = this.#parts.session.stats();
    this.#mux.tick(this.#now(), {
      acknowledgedBytes: this.#writtenBytes - pendingBytes - unackedBytes,
      isHearing: this.#isLinkUp && waitingMessages === 0 && !isPaused,
    });
    this.#turn();
  }

  #now(): number {
    return this.#parts.clock.now();
  }
}

function refused(farEnd: string): ProxyError {
  return new ProxyError('PORT_REFUSED', `the agent could not connect to ${farEnd}`, {
    hint: 'check that a server listens there',
  });
}

function stalled(farEnd: string): ProxyError {
  return new ProxyError(
    'STALLED',
    `a connection to ${farEnd} was closed: its reader took nothing for a minute`,
    {
      hint: 'it held up the other connections of its session',
    },
  );
}
