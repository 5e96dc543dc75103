/**
 * The client's end of a shared connection: asks the keeper for a stream and gets the socket that carries it. Loaded by
 * every `connect --share`, so it knows neither AWS nor WebSockets.
 *
 * A keeper that is not well must not cost time: it has to answer within 100 ms, and while it opens a session it has to
 * give a sign of life every second. A keeper that only lacks the processor, on a machine where fifty connections start
 * at once, is given more time.
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { sinceStartMs } from '../clock.ts';
import { ERROR_TABLE, ProxyError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { Place } from './place.ts';
import { LineReader, PROTOCOL, formatLine } from './wire.ts';
import type { ConnectRequest, Reply, Request } from './wire.ts';

/** From the connection to the first word, in ms. */
export const FIRST_WORD_MS = 100;
/** A timer that comes so late means that this process had no processor either. Milliseconds. */
const LATE_MS = 30;
/** The same for a keeper that waits for the processor. */
const BUSY_FIRST_WORD_MS = 2_000;
/** Between two signs of life while a session opens, in ms. */
export const SILENCE_MS = 3_000;

export type SharedOutcome =
  | {
      readonly kind: 'open';
      /** Paused; its data are the port's bytes. */
      readonly socket: Socket;
      readonly sessionId: string;
      readonly instanceId: string;
      /** Why it broke, when it did and the keeper knows. Never rejects. */
      readonly why: () => Promise<ProxyError | undefined>;
    }
  /** `isDead`: nobody listens on the socket. */
  | { readonly kind: 'alone'; readonly reason: string; readonly isDead: boolean }
  | { readonly kind: 'failed'; readonly error: ProxyError };

export interface SharedEvents {
  onStage(text: string): void;
}

type Up = Extract<Place, { kind: 'up' }>;

/** Never rejects. `path`: of the socket. Aborting closes the connection. */
export function openShared(
  path: string,
  keeper: Up,
  request: ConnectRequest,
  events: SharedEvents,
  signal: AbortSignal,
): Promise<SharedOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ path, allowHalfOpen: true });
    const startedAt = sinceStartMs();
    let hasAnswered = false;
    let limit = setTimeout(() => void onFirstLimit(), FIRST_WORD_MS);
    const finish = (outcome: SharedOutcome): void => {
      clearTimeout(limit);
      signal.removeEventListener('abort', onAbort);
      reader.release();
      socket.off('error', onError);
      socket.off('end', onGone);
      socket.off('close', onGone);
      if (outcome.kind !== 'open') {
        socket.on('error', () => {});
        socket.destroy();
      }
      resolve(outcome);
    };
    const alone = (reason: string, isDead = false): void => finish({ kind: 'alone', reason, isDead });
    const onAbort = (): void => alone('cancelled');
    const onGone = (): void => alone('the keeper has gone');
    const onError = (error: NodeJS.ErrnoException): void =>
      alone(error.code ?? error.message, error.code === 'ECONNREFUSED' || error.code === 'ENOENT');
    const onFirstLimit = async (): Promise<void> => {
      const isLate = sinceStartMs() - startedAt > FIRST_WORD_MS + LATE_MS;
      // The answer may be there, and this process not have come to read it.
      await new Promise((read) => setImmediate(() => setImmediate(read)));
      if (hasAnswered || signal.aborted) return;
      if (!isLate && !isRunnable(keeper.pid)) return alone('the keeper does not answer');
      limit = setTimeout(() => alone('the keeper does not answer'), BUSY_FIRST_WORD_MS);
    };
    const reader = new LineReader(socket, (content) => {
      const reply = asReply(content);
      clearTimeout(limit);
      limit = setTimeout(() => alone('the keeper fell silent'), SILENCE_MS);
      if (reply === undefined) return alone('the keeper is not understood');
      if (!hasAnswered && reply.is !== 'seen') return alone('the keeper is not understood');
      switch (reply.is) {
        case 'seen':
          hasAnswered = true;
          if (reply.protocol !== PROTOCOL) alone('the keeper is of another version');
          return;
        case 'stage':
          events.onStage(reply.text);
          return;
        case 'open':
          return finish({
            ...{ kind: 'open', socket, sessionId: reply.sessionId, instanceId: reply.instanceId },
            why: () => askWhy(path, reply.id),
          });
        case 'declined':
          return alone(reply.reason);
        case 'failed':
          return finish({ kind: 'failed', error: toldError(reply.error) });
        case 'why':
        case 'status':
        case 'done':
          return alone('the keeper is not understood');
      }
    });
    socket.on('error', onError);
    socket.on('end', onGone);
    socket.on('close', onGone);
    signal.addEventListener('abort', onAbort);
    socket.write(formatLine(request));
  });
}

/** One question, one answer (`status`, `stop`, `drain`). Undefined when there is none within `limitMs`. */
export function ask(path: string, request: Request, limitMs: number): Promise<Reply | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const limit = setTimeout(() => finish(undefined), limitMs);
    const finish = (reply: Reply | undefined): void => {
      clearTimeout(limit);
      socket.destroy();
      resolve(reply);
    };
    socket.on('error', () => finish(undefined));
    socket.on('close', () => finish(undefined));
    new LineReader(socket, (content) => {
      const reply = asReply(content);
      if (reply?.is !== 'seen') finish(reply);
    });
    socket.write(formatLine(request));
  });
}

async function askWhy(path: string, id: number): Promise<ProxyError | undefined> {
  const reply = await ask(path, { op: 'why', id }, FIRST_WORD_MS);
  return reply?.is === 'why' && reply.error !== undefined ? toldError(reply.error) : undefined;
}

/** The kernel says that the process would run if it could; where it cannot be asked (no /proc), it is believed to. */
function isRunnable(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).startsWith('R');
  } catch {
    return process.platform !== 'linux';
  }
}

function asReply(content: unknown): Reply | undefined {
  const isReply = typeof content === 'object' && content !== null && 'is' in content;
  return isReply ? (content as Reply) : undefined;
}

function toldError({
  code,
  message,
  hint,
}: {
  code: string;
  message: string;
  hint?: string | undefined;
}): ProxyError {
  const known = code in ERROR_TABLE ? (code as ErrorCode) : 'SESSION_ENDED';
  return new ProxyError(known, message, hint === undefined ? {} : { hint });
}
