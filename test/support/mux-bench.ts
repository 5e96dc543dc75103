/** A mux session whose far end is a test: what it sends as frames, what it asks for as actions, time by hand. */
import type { MuxAction } from '../../src/mux/actions.ts';
import type { Frame, FrameCommand } from '../../src/mux/frame.ts';
import { FRAME_COMMAND, FrameDecoder, encodeFrame } from '../../src/mux/frame.ts';
import { MuxSession } from '../../src/mux/mux-session.ts';

const COMMAND_NAMES = new Map<FrameCommand, string>(
  Object.entries(FRAME_COMMAND).map(([name, command]) => [command, name]),
);

export class MuxBench {
  now = 0;
  readonly mux: MuxSession;
  readonly actions: MuxAction[] = [];
  readonly frames: Frame[] = [];
  isHearing = true;
  /** Counts what was pulled as acknowledged when it is pulled. */
  acknowledgesAtOnce = true;
  acknowledgedBytes = 0;
  #pulledBytes = 0;
  readonly #decoder = new FrameDecoder();

  constructor(hasKeepalive = false) {
    this.mux = new MuxSession({ hasKeepalive }, 0);
  }

  open(): number {
    const streamId = this.mux.open(this.now);
    if (streamId === undefined) throw new Error('no stream');
    return streamId;
  }

  write(streamId: number, data: string | Buffer): boolean {
    return this.mux.write(streamId, Buffer.from(data));
  }

  /** Moves up to `pulls` pieces to the far end. */
  flush(pulls = Infinity): void {
    for (let i = 0; i < pulls; i += 1) {
      const data = this.mux.pull(this.now);
      if (data === undefined) break;
      this.#pulledBytes += data.length;
      this.#decoder.push(data);
    }
    if (this.acknowledgesAtOnce) this.acknowledge();
    for (let frame = this.#decoder.next(); frame !== undefined; frame = this.#decoder.next()) {
      this.frames.push(frame);
    }
    this.#take();
  }

  acknowledge(): void {
    this.acknowledgedBytes = this.#pulledBytes;
  }

  /** A frame of the agent. */
  receive(command: FrameCommand, streamId: number, data: string | Buffer = ''): void {
    this.mux.receive(encodeFrame(command, streamId, Buffer.from(data)), this.now);
    this.#take();
  }

  consumed(streamId: number, bytes: number): void {
    this.mux.consumed(streamId, bytes, this.now);
    this.#take();
  }

  /** Lets time pass as a driver does: ticks at every deadline. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const at = this.mux.deadline(this.now);
      if (at === undefined || at > end) break;
      this.now = Math.max(this.now, at);
      this.mux.tick(this.now, this);
      this.flush();
    }
    this.now = end;
    this.#take();
  }

  /** What was sent on a stream, as names of frames; data is left out. */
  commands(streamId: number): readonly string[] {
    return this.frames
      .filter((frame) => frame.streamId === streamId)
      .map((frame) => COMMAND_NAMES.get(frame.command) ?? '?');
  }

  sent(streamId: number): Buffer {
    return Buffer.concat(this.frames.filter((frame) => frame.streamId === streamId).map(({ data }) => data));
  }

  delivered(streamId: number): Buffer {
    return Buffer.concat(
      this.actions.flatMap((action) =>
        action.kind === 'deliver' && action.streamId === streamId ? [action.data] : [],
      ),
    );
  }

  /** Kinds of actions about a stream, deliveries left out. */
  outcomes(streamId: number): readonly string[] {
    return this.actions.flatMap((action) =>
      'streamId' in action && action.streamId === streamId && action.kind !== 'deliver' ? [action.kind] : [],
    );
  }

  get creditedBytes(): number {
    return this.actions.reduce((sum, action) => sum + (action.kind === 'credit' ? action.bytes : 0), 0);
  }

  #take(): void {
    this.actions.push(...this.mux.take());
  }
}
