/**
 * What the session needs of a WebSocket, and nothing more. `websocket.ts` implements it; tests have their own.
 *
 * A transport is one connection: it opens once, closes once, and is never reused. After `close()` or
 * `destroy()` no further event arrives except at most one `onClose`.
 */

export interface TransportEvents {
  /** The upgrade succeeded. */
  onOpen(): void;
  /**
   * One whole message. The transport gives the buffer away: it never writes to it again. `hasMore`: another one came
   * with it and follows at once, so that the answers to all of them can leave together.
   */
  onMessage(data: Buffer, isBinary: boolean, hasMore?: boolean): void;
  onPong(): void;
  /** Everything given to send has left for the kernel; sent only after `bufferedBytes` was above 0. */
  onDrain(): void;
  /**
   * The connection is over, or could not be opened. `code` is the WebSocket close code, 1006 when there was none.
   * `error` is set when there was a failure to report.
   */
  onClose(info: TransportClose): void;
}

export interface TransportClose {
  readonly code: number;
  readonly reason: string;
  readonly error: Error | undefined;
  /** HTTP status of a refused upgrade. */
  readonly httpStatus?: number;
}

export interface Transport {
  /** Sends messages in order; never blocks. Allowed only after onOpen; ignored once closed. */
  send(messages: readonly Buffer[]): void;
  sendText(text: string): void;
  ping(): void;
  /** Stops and restarts reading from the socket (backpressure). A few messages may still arrive after pause. */
  pause(): void;
  resume(): void;
  /** Bytes accepted by send and not yet given to the kernel. */
  readonly bufferedBytes: number;
  /** Sends a close frame and waits for the peer at most a short time. Idempotent. */
  close(): void;
  /** Drops the connection at once. Idempotent. */
  destroy(): void;
}

/** Opens a transport to `url` exactly as given. Throws nothing: failures arrive at `onClose`. */
export type Connect = (url: string, events: TransportEvents) => Transport;
