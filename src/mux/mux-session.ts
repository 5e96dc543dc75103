/**
 * The client's end of smux version 1 over one data channel: many streams in one byte stream each way. Without
 * socket, clock or timer: the driver calls one input, performs what `take()` returns, moves what `pull()` gives to the
 * data channel for as long as that has room, and calls `tick` no later than `deadline()`.
 *
 * Memory: a stream keeps little more than STREAM_PENDING_BYTES to send. What is received goes out at once as
 * `deliver` and is counted until it is consumed; above the limit (limits.ts) nothing is credited to the data channel,
 * which then stops reading from its socket. That stops all streams, as smux v1 does too.
 */
import { ProxyError, asProxyError } from '../errors.ts';
import type { MuxAction } from './actions.ts';
import { FairQueue } from './fair-queue.ts';
import { FRAME_COMMAND, FRAME_HEADER_BYTES, encodeFrame } from './frame.ts';
import { FrameReader } from './frame-reader.ts';
import { HalfClose } from './half-close.ts';
import type { PathFacts } from './half-close.ts';
import { Intake } from './intake.ts';
import * as limits from './limits.ts';
import { MuxStream } from './mux-stream.ts';

export interface MuxOptions {
  /** Send keepalive frames (see keepalive.ts). */
  readonly hasKeepalive: boolean;
}

export interface MuxStats {
  /** Open, or closed here and not yet by the agent. */
  readonly streams: number;
  /** Streams opened so far. */
  readonly openedStreams: number;
  /** Written and not yet given to the data channel. */
  readonly pendingBytes: number;
  /** Delivered and not yet taken by local clients. */
  readonly unreadBytes: number;
  /** A slow client holds up all streams. */
  readonly isHeldUp: boolean;
}

const NO_ACTIONS: readonly MuxAction[] = [];
const { SYN, FIN, PSH, NOP } = FRAME_COMMAND;

export class MuxSession {
  readonly #options: MuxOptions;
  readonly #streams = new Map<number, MuxStream>();
  readonly #senders = new FairQueue<MuxStream>(limits.QUANTUM_BYTES);
  readonly #halfClosed = new Set<MuxStream>();
  readonly #reader: FrameReader;
  readonly #intake = new Intake();
  /** Frames without data, which go before all others. */
  #control: Buffer[] = [];
  #actions: MuxAction[] = [];
  #nextStreamId = limits.FIRST_STREAM_ID;
  #openedStreams = 0;
  #pendingBytes = 0;
  #pulledBytes = 0;
  #lastPullAt: number;
  /** Dials that failed, whose streams are not known yet: the agent's flag names none, its FIN follows. */
  #refusals = 0;
  #isFailed = false;
  #now: number;

  /** `now`: monotonic milliseconds, here and everywhere. */
  constructor(options: MuxOptions, now: number) {
    this.#options = options;
    this.#now = now;
    this.#lastPullAt = now;
    this.#reader = new FrameReader({
      onData: (streamId, data) => this.#receiveData(streamId, data),
      onFin: (streamId) => this.#receiveFin(streamId),
      // The agent opens no streams, and what keeps it alive is no matter of ours.
      onOpen: () => {},
      onKeepalive: () => {},
    });
  }

  stats(): MuxStats {
    return {
      streams: this.#streams.size,
      openedStreams: this.#openedStreams,
      pendingBytes: this.#pendingBytes,
      unreadBytes: this.#intake.unreadBytes,
      isHeldUp: this.#intake.isHeldUp,
    };
  }

  /** False when `open` would return undefined. */
  get canOpen(): boolean {
    return (
      !this.#isFailed &&
      this.#streams.size < limits.MAX_STREAMS &&
      this.#nextStreamId <= limits.LAST_STREAM_ID
    );
  }

  // ---- local clients -----------------------------------------------------------------------------------------

  /** Opens a stream and returns its ID; undefined when there are too many, or none can be opened any more. */
  open(now: number): number | undefined {
    this.#now = now;
    if (!this.canOpen) return undefined;
    const stream = new MuxStream(this.#nextStreamId, now);
    this.#nextStreamId += limits.STREAM_ID_STEP;
    this.#openedStreams += 1;
    this.#streams.set(stream.id, stream);
    this.#control.push(encodeFrame(SYN, stream.id));
    return stream.id;
  }

  /** Takes bytes, which must not change afterwards. False: wait for `writable` before writing more. */
  write(streamId: number, data: Buffer): boolean {
    const stream = this.#streams.get(streamId);
    if (stream === undefined || stream.local !== 'open' || stream.isRemoteEnded || data.length === 0)
      return true;
    stream.written(data);
    this.#pendingBytes += data.length;
    this.#senders.add(stream);
    stream.isWriterWaiting = stream.queue.length >= limits.STREAM_PENDING_BYTES;
    return !stream.isWriterWaiting;
  }

  /** The local client will send no more, but may still read. FIN follows when the far end has had its say. */
  end(streamId: number): void {
    const stream = this.#streams.get(streamId);
    if (stream?.local !== 'open') return;
    stream.local = 'ended';
    if (!stream.isSending) this.#startHalfClose(stream);
  }

  /**
   * The local client has gone: FIN at once, and what still comes is dropped. With `flush`, FIN after what was
   * written: for a client that is known to want no answer.
   */
  close(streamId: number, { flush = false }: { readonly flush?: boolean } = {}): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    stream.local = 'gone';
    this.#takeAll(stream);
    if (stream.isRemoteEnded) {
      this.#forget(stream);
      return;
    }
    if (!flush) this.#dropPending(stream);
    if (!stream.isSending) this.#sendFin(stream);
  }

  /** The local client has taken delivered bytes. */
  consumed(streamId: number, bytes: number, now: number): void {
    this.#now = now;
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    const taken = Math.min(bytes, stream.unreadBytes);
    stream.consumed(taken, now);
    this.#intake.taken(taken);
    this.#creditIfRoom();
    if (stream.isRemoteEnded && stream.unreadBytes === 0) this.#forget(stream);
  }

  // ---- data channel ------------------------------------------------------------------------------------------

  /** Bytes from the data channel, of which `credit` tells when they may be given back. */
  receive(data: Buffer, now: number): void {
    this.#now = now;
    this.#intake.received(data.length, now);
    if (!this.#isFailed) this.#read(data);
    this.#creditIfRoom();
  }

  /** The agent's ConnectToPortError. */
  connectFailed(): void {
    this.#refusals += 1;
  }

  /** The next bytes for the data channel, undefined when there are none: whole frames, together about PULL_BYTES. */
  pull(now: number): Buffer | undefined {
    this.#now = now;
    const frames = this.#control;
    let bytes = 0;
    for (const frame of frames) bytes += frame.length;
    this.#control = [];
    while (bytes < limits.PULL_BYTES) {
      const turn = this.#senders.next();
      if (turn === undefined) break;
      const data = turn.sender.queue.take(turn.bytes);
      this.#pendingBytes -= data.length;
      this.#senders.sent(turn.sender, data.length);
      frames.push(encodeFrame(PSH, turn.sender.id, data));
      bytes += FRAME_HEADER_BYTES + data.length;
      this.#afterSending(turn.sender, bytes);
    }
    if (frames.length === 0) return undefined;
    this.#pulledBytes += bytes;
    this.#lastPullAt = now;
    const [only] = frames;
    return frames.length === 1 && only !== undefined ? only : Buffer.concat(frames, bytes);
  }

  // ---- time --------------------------------------------------------------------------------------------------

  tick(now: number, path: PathFacts): void {
    this.#now = now;
    for (const stream of this.#halfClosed) {
      // A far end that we do not listen to is not silent.
      const isHearing = path.isHearing && stream.unreadBytes === 0 && !this.#intake.isHeldUp;
      if (stream.halfClose?.isDue({ ...path, isHearing }, now) === true) this.#sendFin(stream);
    }
    if (now >= this.#keepaliveAt()) {
      if (this.#control.length === 0) this.#control.push(encodeFrame(NOP, 0));
      this.#lastPullAt = now;
    }
    const stalled = this.#stalled();
    if (stalled !== undefined && now >= this.#giveUpAt(stalled)) this.#giveUp(stalled);
  }

  /** When to call `tick`; undefined when only an input can change anything. */
  deadline(now: number): number | undefined {
    let at = this.#keepaliveAt();
    for (const { halfClose } of this.#halfClosed) at = Math.min(at, halfClose?.deadline(now) ?? Infinity);
    const stalled = this.#stalled();
    if (stalled !== undefined) at = Math.min(at, this.#giveUpAt(stalled));
    return at === Infinity ? undefined : at;
  }

  /** What to do now, in order. */
  take(): readonly MuxAction[] {
    if (this.#actions.length === 0) return NO_ACTIONS;
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  // ---- sending -----------------------------------------------------------------------------------------------

  /** `bytesBefore`: of the pull that is being put together, up to here. */
  #afterSending(stream: MuxStream, bytesBefore: number): void {
    if (stream.isWriterWaiting && stream.queue.length < limits.STREAM_PENDING_BYTES / 2) {
      stream.isWriterWaiting = false;
      if (stream.local === 'open') this.#actions.push({ kind: 'writable', streamId: stream.id });
    }
    if (stream.isSending) return;
    if (stream.local === 'ended') this.#startHalfClose(stream, bytesBefore);
    else if (stream.local === 'gone') this.#sendFin(stream);
  }

  #startHalfClose(stream: MuxStream, bytesBefore = 0): void {
    if (stream.isRemoteEnded) return;
    // Its SYN may still be among the control frames.
    const lastByteAt = this.#pulledBytes + bytesBefore + this.#control.length * FRAME_HEADER_BYTES;
    stream.halfClose = new HalfClose(lastByteAt, stream.grace);
    this.#halfClosed.add(stream);
  }

  #sendFin(stream: MuxStream): void {
    this.#stopHalfClose(stream);
    if (stream.isFinSent) return;
    stream.isFinSent = true;
    this.#control.push(encodeFrame(FIN, stream.id));
  }

  #stopHalfClose(stream: MuxStream): void {
    stream.halfClose = undefined;
    this.#halfClosed.delete(stream);
  }

  #keepaliveAt(): number {
    return this.#options.hasKeepalive ? this.#lastPullAt + limits.KEEPALIVE_INTERVAL_MS : Infinity;
  }

  // ---- receiving ---------------------------------------------------------------------------------------------

  #read(data: Buffer): void {
    try {
      this.#reader.read(data);
    } catch (thrown) {
      this.#isFailed = true;
      const { message } = asProxyError(thrown);
      const error = new ProxyError('PROTOCOL_ERROR', `the agent's stream is broken: ${message}`, {
        cause: thrown,
      });
      this.#actions.push({ kind: 'failed', error });
    }
  }

  #receiveData(streamId: number, data: Buffer): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined || stream.isRemoteEnded) return;
    if (stream.local === 'gone') {
      stream.hasReceived = true;
      return;
    }
    stream.received(data.length, this.#now);
    this.#intake.delivered(data.length);
    this.#actions.push({ kind: 'deliver', streamId, data });
  }

  #receiveFin(streamId: number): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined || stream.isRemoteEnded) return;
    stream.isRemoteEnded = true;
    const isRefused = !stream.hasReceived && this.#refusals > 0;
    if (isRefused) this.#refusals -= 1;
    this.#dropPending(stream);
    this.#stopHalfClose(stream);
    if (stream.local === 'gone' || stream.unreadBytes === 0) this.#forget(stream);
    if (stream.local !== 'gone') this.#actions.push({ kind: isRefused ? 'refused' : 'ended', streamId });
  }

  #creditIfRoom(): void {
    const bytes = this.#intake.takeCredit(this.#streams.size);
    if (bytes > 0) this.#actions.push({ kind: 'credit', bytes });
  }

  /** The stream that holds up others the most. */
  #stalled(): MuxStream | undefined {
    if (!this.#intake.isHeldUp || this.#streams.size < 2) return undefined;
    let most: MuxStream | undefined;
    for (const stream of this.#streams.values()) {
      if (stream.unreadBytes > (most?.unreadBytes ?? 0)) most = stream;
    }
    return most;
  }

  #giveUpAt(stream: MuxStream): number {
    return Math.max(stream.takenAt, this.#intake.heldUpSince) + limits.STALL_LIMIT_MS;
  }

  #giveUp(stream: MuxStream): void {
    this.#actions.push({ kind: 'stalled', streamId: stream.id });
    this.close(stream.id);
  }

  // ---- ends --------------------------------------------------------------------------------------------------

  /** Nobody will take what was delivered. */
  #takeAll(stream: MuxStream): void {
    this.#intake.taken(stream.unreadBytes);
    stream.consumed(stream.unreadBytes, this.#now);
    this.#creditIfRoom();
  }

  #dropPending(stream: MuxStream): void {
    this.#pendingBytes -= stream.queue.length;
    stream.queue.clear();
    this.#senders.remove(stream);
  }

  #forget(stream: MuxStream): void {
    this.#stopHalfClose(stream);
    this.#senders.remove(stream);
    this.#streams.delete(stream.id);
    this.#creditIfRoom();
  }
}
