/**
 * Port forwarding with many connections: the server side of smux version 1 (protocol.md 6.7), with the real
 * agent's ways: new streams are dialled one after the other with no timeout, so that an unreachable destination
 * holds up all later ones; there is no half-close in either direction; one unread stream stops all of them once
 * 4 MiB are buffered; a failed dial is told by a flag without stream ID and then a FIN.
 *
 * The real agent bridges messages and smux through a local unix socket. Here that socket is two bounded queues:
 * `#decoder` toward smux, `#output` toward the pump.
 */
import type { TimerHandle } from '../clock.ts';
import type { Frame, FrameCommand } from '../mux/frame.ts';
import { encodeFrame, FRAME_COMMAND, FrameDecoder } from '../mux/frame.ts';
import { PAYLOAD_TYPE } from '../protocol/message.ts';
import { FLAG, formatFlag } from '../protocol/payloads.ts';
import { compareVersions } from '../protocol/versions.ts';
import type { PendingVerdict } from './agent-channel.ts';
import { MuxOutput, MuxStream } from './agent-mux-stream.ts';
import type { PluginHost, SessionPlugin } from './agent-plugin.ts';
import { dialTarget, parsePortProperties } from './agent-port.ts';
import { AgentPump } from './agent-pump.ts';
import type { DialTarget, NodeConnection } from './agent-tcp.ts';

/** Bytes of all streams that wait to be written; above it nothing more is read. */
const MAX_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Bytes a unix socket's buffers take before a write to it blocks. */
const SOCKET_BUFFER_BYTES = 256 * 1024;
const ACCEPT_BACKLOG = 1024;
const KEEPALIVE_INTERVAL_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 30_000;

/** Whether the agent sends and expects keepalive frames, by its own version and the client's. */
export function hasKeepalive(agentVersion: string, clientVersion: string): boolean {
  const isFrom = (version: string): boolean => compareVersions(agentVersion, version) >= 0;
  if (isFrom('3.1.1446.0') && !isFrom('3.1.1476.0')) return false;
  if (isFrom('3.1.1575.0')) return compareVersions(clientVersion, '1.2.331.0') <= 0;
  return true;
}

export class MuxPlugin implements SessionPlugin {
  readonly #host: PluginHost;
  readonly #aborter = new AbortController();
  readonly #decoder = new FrameDecoder();
  readonly #output = new MuxOutput(() => this.#resumeStreams());
  readonly #streams = new Map<number, MuxStream>();
  /** Opened by the client and not yet dialled. */
  readonly #backlog: MuxStream[] = [];
  #target: DialTarget | undefined;
  #pump: AgentPump | undefined;
  #isDialling = false;
  #bufferedBytes = 0;
  #isReadPlanned = false;
  /** Settles the verdict of the message that found the socket to smux full. */
  #onRoom: ((verdict: 'handled' | 'refused') => void) | undefined;
  /** The client sent what is no smux: its streams are closed, and the session fails with the next message. */
  #isBroken = false;
  #hasReceivedFrame = false;
  #keepaliveTimers: TimerHandle[] = [];

  constructor(host: PluginHost) {
    this.#host = host;
  }

  start(): void {
    const { request, channel, clock, environment } = this.#host;
    const parsed = parsePortProperties(request.properties);
    if ('error' in parsed) {
      this.#host.finish('Failed', parsed.error);
      return;
    }
    this.#target = parsed.target;
    this.#pump = new AgentPump({
      source: this.#output,
      channel,
      clock,
      behaviour: environment.behaviour,
      send: (data) => {
        channel.send(PAYLOAD_TYPE.OUTPUT, data);
        if (this.#isBroken) this.#host.finish('Failed', '');
      },
      onEnd: () => this.#host.finish('Failed', ''),
    });
    this.#pump.start();
    if (hasKeepalive(request.agentVersion, this.#host.clientVersion)) this.#startKeepalive();
  }

  handle(payloadType: number | undefined, payload: Buffer): PendingVerdict {
    if (this.#pump === undefined || this.#aborter.signal.aborted) return 'refused';
    switch (payloadType) {
      case PAYLOAD_TYPE.OUTPUT:
        return this.#receive(payload);
      case PAYLOAD_TYPE.FLAG: {
        const flag = payload.length >= 4 ? payload.readUInt32BE(0) : 0;
        // DisconnectToPort means nothing here.
        return flag === FLAG.TERMINATE_SESSION ? this.#host.terminate() : 'handled';
      }
      default:
        return 'handled';
    }
  }

  onActive(): void {
    this.#pump?.wake();
  }

  onAcknowledged(): void {
    this.#pump?.wake();
  }

  stop(): void {
    this.#close((stream) => stream.close());
  }

  kill(): void {
    this.#close((stream) => stream.destroy());
  }

  #close(closeStream: (stream: MuxStream) => void): void {
    this.#aborter.abort();
    this.#pump?.stop();
    for (const timer of this.#keepaliveTimers) timer.cancel();
    this.#keepaliveTimers = [];
    for (const stream of this.#streams.values()) closeStream(stream);
    this.#streams.clear();
    this.#backlog.length = 0;
    this.#onRoom?.('refused');
    this.#onRoom = undefined;
  }

  #receive(payload: Buffer): PendingVerdict {
    // Frames outlive the message: what they hold must be ours.
    this.#decoder.push(Buffer.from(payload));
    this.#readFrames();
    if (this.#decoder.bufferedBytes <= SOCKET_BUFFER_BYTES) return 'handled';
    return new Promise((resolve) => {
      this.#onRoom = resolve;
    });
  }

  /** There is room again. Later, because it may be found from within #readFrames. */
  #readLater(): void {
    if (this.#isReadPlanned || this.#decoder.bufferedBytes === 0) return;
    this.#isReadPlanned = true;
    setImmediate(() => {
      this.#isReadPlanned = false;
      if (!this.#aborter.signal.aborted) this.#readFrames();
    });
  }

  #readFrames(): void {
    while (!this.#isBroken && this.#bufferedBytes < MAX_RECEIVE_BUFFER_BYTES) {
      if (this.#backlog.length > ACCEPT_BACKLOG) break;
      let frame: Frame | undefined;
      try {
        frame = this.#decoder.next();
      } catch {
        this.#breakDown();
        return;
      }
      if (frame === undefined) break;
      this.#hasReceivedFrame = true;
      this.#handleFrame(frame);
    }
    if (this.#onRoom !== undefined && this.#decoder.bufferedBytes <= SOCKET_BUFFER_BYTES) {
      this.#onRoom('handled');
      this.#onRoom = undefined;
    }
  }

  #handleFrame(frame: Frame): void {
    const stream = this.#streams.get(frame.streamId);
    switch (frame.command) {
      case FRAME_COMMAND.SYN:
        if (stream === undefined) this.#open(frame.streamId);
        break;
      case FRAME_COMMAND.PSH:
        stream?.write(frame.data);
        break;
      case FRAME_COMMAND.FIN:
        stream?.endByClient();
        break;
      case FRAME_COMMAND.NOP:
        break;
    }
  }

  #open(streamId: number): void {
    const stream: MuxStream = new MuxStream({
      streamId,
      clock: this.#host.clock,
      output: this.#output,
      onBuffered: (bytes) => {
        this.#bufferedBytes += bytes;
        if (bytes < 0) this.#readLater();
      },
      onClosed: () => this.#closeStream(stream),
    });
    this.#streams.set(streamId, stream);
    this.#backlog.push(stream);
    void this.#acceptStreams();
  }

  /** The accept loop: one dial at a time. */
  async #acceptStreams(): Promise<void> {
    const target = this.#target;
    if (this.#isDialling || target === undefined) return;
    this.#isDialling = true;
    for (let stream = this.#backlog.shift(); stream !== undefined; stream = this.#backlog.shift()) {
      const result = await dialTarget(this.#host, target, this.#aborter.signal);
      if (this.#aborter.signal.aborted) {
        if ('socket' in result) result.socket.destroy();
        return;
      }
      if ('error' in result) {
        this.#host.trace('dial-failed', { port: target.port, stream: stream.streamId });
        this.#host.channel.send(PAYLOAD_TYPE.FLAG, formatFlag(FLAG.CONNECT_TO_PORT_ERROR));
        stream.close();
        this.#closeStream(stream);
      } else {
        this.#attach(stream, result.socket);
      }
      this.#readFrames();
    }
    this.#isDialling = false;
  }

  #attach(stream: MuxStream, socket: NodeConnection): void {
    this.#host.trace('dialled', { port: this.#target?.port, stream: stream.streamId });
    stream.attach(socket);
  }

  /** The stream is over on our side: FIN, and what the client still sends on it is thrown away. */
  #closeStream(stream: MuxStream): void {
    if (this.#streams.get(stream.streamId) !== stream) return;
    this.#streams.delete(stream.streamId);
    this.#sendFrame(FRAME_COMMAND.FIN, stream.streamId);
  }

  #sendFrame(command: FrameCommand, streamId: number): void {
    this.#output.push(encodeFrame(command, streamId));
  }

  #resumeStreams(): void {
    for (const stream of this.#streams.values()) stream.resume();
  }

  /** smux stops reading for good; the session hangs until something is sent. */
  #breakDown(): void {
    this.#host.trace('smux-broken');
    this.#isBroken = true;
    for (const stream of [...this.#streams.values()]) {
      stream.close();
      this.#closeStream(stream);
    }
  }

  #startKeepalive(): void {
    const { clock } = this.#host;
    const ping = (): void => {
      this.#sendFrame(FRAME_COMMAND.NOP, 0);
      this.#keepaliveTimers[0] = clock.setTimer(KEEPALIVE_INTERVAL_MS, ping);
    };
    const check = (): void => {
      // A reader that waits for room is no dead peer.
      if (!this.#hasReceivedFrame && this.#bufferedBytes < MAX_RECEIVE_BUFFER_BYTES) {
        this.#host.trace('keepalive-timeout');
        this.#output.end();
        return;
      }
      this.#hasReceivedFrame = false;
      this.#keepaliveTimers[1] = clock.setTimer(KEEPALIVE_TIMEOUT_MS, check);
    };
    this.#keepaliveTimers = [
      clock.setTimer(KEEPALIVE_INTERVAL_MS, ping),
      clock.setTimer(KEEPALIVE_TIMEOUT_MS, check),
    ];
  }
}
