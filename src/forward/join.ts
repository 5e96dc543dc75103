/**
 * Joins a local connection to a forwarded one, with backpressure both ways.
 *
 * The local client's end is passed on as `end`; its reset, or a failed write to it, closes the stream at once. The
 * far end's close becomes a half-close here, after the last byte; what the client goes on sending has nowhere to go,
 * so after LINGER_MS it gets a reset, as it would from the server's own kernel. A stream that fails (refused,
 * session over) resets the client, which must not take a broken answer for a whole one.
 */
import type { Socket } from 'node:net';
import type { ForwardStream } from './forward-stream.ts';

/** Time to read the answer before a reset might take it away (the kernel drops what was not read). Milliseconds. */
const LINGER_MS = 2_000;

/** `socket` is paused and half-open (allowHalfOpen), and has an `error` listener. */
export function join(socket: Socket, stream: ForwardStream): void {
  let linger: NodeJS.Timeout | undefined;
  if (socket.destroyed) {
    stream.destroy();
    return;
  }
  const finish = (): void => {
    if (stream.lostBytes > 0) reset(socket);
    else socket.destroy();
  };

  socket.on('data', (data: Buffer) => {
    if (!stream.write(data)) socket.pause();
  });
  stream.on('drain', () => socket.resume());
  socket.once('end', () => {
    if (stream.lostBytes > 0) reset(socket);
    else stream.end();
  });
  socket.once('close', () => {
    clearTimeout(linger);
    stream.destroy();
  });

  stream.on('data', (data: Buffer) => {
    if (!socket.write(data)) stream.pause();
  });
  socket.on('drain', () => stream.resume());
  stream.once('end', () => {
    socket.end(() => {
      linger = setTimeout(finish, LINGER_MS);
    });
  });
  stream.once('error', () => reset(socket));
  socket.resume();
}

/** The client learns that the connection is broken. Unix sockets have no reset; they just end. */
export function reset(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
