/**
 * The emulated agent's pump: reads a source and sends it message by message (protocol.md 4.4, 4.5).
 *
 * As in the real agent it reads at most 1024 bytes, sends one message and sleeps 1 ms. It looks at the pause flag
 * before each read only: a read that already waits takes one more message, and a paused pump does not notice the
 * end of its source. There is no window. Without the sleep (a pace of 0, which no real agent has, and separate
 * command output) it stops at UNPACED_WINDOW_BYTES unacknowledged, because nothing else would bound memory.
 */
import type { Clock, TimerHandle } from '../clock.ts';
import type { AgentChannel } from './agent-channel.ts';
import type { AgentBehaviour } from './agent-link.ts';
import type { PumpSource } from './agent-source.ts';

/** Unacknowledged bytes at which an unpaced pump stops reading. */
const UNPACED_WINDOW_BYTES = 4 * 1024 * 1024;
/** Messages an unpaced pump sends before acknowledgements get their turn. */
const UNPACED_BURST_MESSAGES = 64;

export interface PumpOptions {
  readonly source: PumpSource;
  readonly channel: AgentChannel;
  readonly clock: Clock;
  readonly behaviour: Readonly<AgentBehaviour>;
  /** Sends what was read; the default is one Output message. */
  readonly send: (data: Buffer) => void;
  /** Bytes of each message that `send` adds by itself. Default 0. */
  readonly reservedBytes?: number;
  /** False for the pumps of the real agent that do not sleep. Default true. */
  readonly isPaced?: boolean;
  /** Called instead of waiting when publication is paused before a read; the pump is then over. */
  readonly onPaused?: () => void;
  /** The source is over and everything read from it is sent. Called once, not after stop. */
  readonly onEnd: (how: 'end' | 'failed') => void;
}

export class AgentPump {
  readonly #options: PumpOptions;
  #timer: TimerHandle | undefined;
  #immediate: NodeJS.Immediate | undefined;
  /** A read has begun, with publication active, and waits for data. */
  #isReading = false;
  /** Guards against being woken from its own send. */
  #isRunning = false;
  #isOver = false;

  constructor(options: PumpOptions) {
    this.#options = options;
    options.source.onReady = () => this.wake();
  }

  /** Begins to read. */
  start(): void {
    this.#run();
  }

  /** Something has changed: data, the pause flag, acknowledgements. Does nothing during the sleep. */
  wake(): void {
    if (this.#timer === undefined && this.#immediate === undefined && !this.#isRunning) this.#run();
  }

  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#timer = undefined;
    this.#immediate = undefined;
  }

  #run(): void {
    this.#isRunning = true;
    this.#readAndSend();
    this.#isRunning = false;
  }

  #readAndSend(): void {
    const { source, channel, behaviour } = this.#options;
    const paceMs = this.#options.isPaced === false ? 0 : behaviour.paceMs;
    for (let burst = 0; !this.#isOver; burst += 1) {
      if (!this.#isReading) {
        if (!channel.isActive) {
          if (this.#options.onPaused === undefined) return;
          this.stop();
          this.#options.onPaused();
          return;
        }
        if (paceMs === 0 && channel.unackedBytes >= UNPACED_WINDOW_BYTES) return;
        if (burst === UNPACED_BURST_MESSAGES) {
          this.#yield();
          return;
        }
        this.#isReading = true;
      }
      const data = source.read(Math.max(1, behaviour.payloadBytes - (this.#options.reservedBytes ?? 0)));
      if (data === undefined) {
        this.#checkEnd();
        return;
      }
      this.#isReading = false;
      this.#options.send(data);
      if (paceMs > 0) {
        this.#sleep(paceMs);
        return;
      }
    }
  }

  #checkEnd(): void {
    const { state } = this.#options.source;
    if (state === 'open') return;
    this.stop();
    this.#options.onEnd(state);
  }

  #sleep(paceMs: number): void {
    if (this.#isOver) return;
    this.#timer = this.#options.clock.setTimer(paceMs, () => {
      this.#timer = undefined;
      this.#run();
    });
  }

  #yield(): void {
    this.#immediate = setImmediate(() => {
      this.#immediate = undefined;
      this.#run();
    });
  }
}
