/**
 * The service's end of a client's WebSocket, as far as ClientLink needs it: whole messages, and the rude ways in which
 * a connection can end. Here over `ws`; tests in virtual time have one in memory.
 */
import * as net from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

export interface ClientSocketEvents {
  onMessage(data: Buffer, isText: boolean): void;
  onPing(data: Buffer): void;
  /** The connection is over, after everything that came before; 1006 without a close frame. Called once. */
  onClose(code: number): void;
}

export interface ClientSocket {
  /** False from the first close frame on, in either direction. */
  readonly isOpen: boolean;
  /** Bytes not yet given to the kernel. */
  readonly bufferedBytes: number;
  readonly isPaused: boolean;
  /** To be called once, before the first event can come. */
  listen(events: ClientSocketEvents): void;
  /** One message, in fragments of so many bytes (0: whole). `onSent`: it has left for the kernel. */
  send(data: Buffer, fragmentBytes: number, onSent: () => void): void;
  pong(data: Buffer): void;
  /** A close frame after everything sent before. */
  close(code: number, reason: string): void;
  /** Stops and restarts reading. */
  pause(): void;
  resume(): void;
  /** Reads on and forgets what it reads, so that only the end of the connection is still noticed. */
  forgetInput(): void;
  /** The first half of a message, then the end of the stream. `destroy` it soon after. */
  breakOff(message: Buffer): void;
  /** Drops the connection with RST where that is possible. */
  reset(): void;
  /** Drops it without more ado. */
  destroy(): void;
}

export class WebSocketClientSocket implements ClientSocket {
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;

  /** `socket` is the TCP or TLS connection below. */
  constructor(webSocket: WebSocket, socket: Duplex) {
    this.#webSocket = webSocket;
    this.#socket = socket;
  }

  get isOpen(): boolean {
    return this.#webSocket.readyState === this.#webSocket.OPEN;
  }

  get bufferedBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  get isPaused(): boolean {
    return this.#webSocket.isPaused;
  }

  listen(events: ClientSocketEvents): void {
    this.#webSocket.on('message', (data: Buffer, isBinary: boolean) => events.onMessage(data, !isBinary));
    this.#webSocket.on('ping', (data: Buffer) => events.onPing(data));
    this.#webSocket.on('close', (code) => events.onClose(code));
    // 'close' follows every error.
    this.#webSocket.on('error', () => {});
  }

  send(data: Buffer, fragmentBytes: number, onSent: () => void): void {
    if (fragmentBytes === 0 || data.length <= fragmentBytes) {
      this.#webSocket.send(data, { binary: true }, onSent);
      return;
    }
    for (let start = 0; start < data.length; start += fragmentBytes) {
      const fin = start + fragmentBytes >= data.length;
      const part = data.subarray(start, start + fragmentBytes);
      this.#webSocket.send(part, { binary: true, fin }, fin ? onSent : undefined);
    }
  }

  pong(data: Buffer): void {
    this.#webSocket.pong(data);
  }

  close(code: number, reason: string): void {
    this.#webSocket.close(code, reason);
  }

  pause(): void {
    this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  forgetInput(): void {
    this.#socket.removeAllListeners('data');
    this.#socket.on('data', () => {});
    this.#socket.resume();
  }

  breakOff(message: Buffer): void {
    // A reset could overtake the half frame, so this one ends with FIN.
    this.#socket.write(halfFrame(message));
    this.#socket.end();
  }

  reset(): void {
    resetSocket(this.#socket);
  }

  destroy(): void {
    this.#webSocket.terminate();
  }
}

/** Drops a connection with RST where the platform can (plain TCP), else with FIN. */
export function resetSocket(socket: Duplex): void {
  // A socket that is being ended cannot be reset any more: Node would leave its handle open for ever.
  const canReset = socket instanceof net.Socket && !('encrypted' in socket) && !socket.writableEnded;
  if (canReset && !socket.destroyed) socket.resetAndDestroy();
  else socket.destroy();
}

/** The header of a binary frame for all of `data`, then half of it (RFC 6455 5.2; servers do not mask). */
function halfFrame(data: Buffer): Buffer {
  const header = Buffer.alloc(data.length < 126 ? 2 : 10);
  header[0] = 0x82;
  if (data.length < 126) {
    header[1] = data.length;
  } else {
    header[1] = 127;
    header.writeBigUInt64BE(BigInt(data.length), 2);
  }
  return Buffer.concat([header, data.subarray(0, data.length >> 1)]);
}
