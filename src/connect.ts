/** `connect()` of the library: a port of a node as a Duplex stream. */
import { systemClock } from './clock.ts';
import { ProxyError } from './errors.ts';
import { sessionRequestOf } from './library-options.ts';
import type { SessionOptions } from './library-options.ts';
import { silentLog } from './log.ts';
import { openSession } from './open-session.ts';
import type { SessionRequest } from './open-session.ts';
import { portPurpose } from './session-purpose.ts';
import type { DocumentParameters } from './session-purpose.ts';
import { SessionDuplex } from './session/duplex.ts';

export interface ConnectOptions extends SessionOptions {
  /** Default 22. */
  readonly port?: number;
  /** Default AWS-StartSSHSession. */
  readonly document?: string;
  /** Parameters of the document besides portNumber. */
  readonly parameters?: DocumentParameters;
  /** Put on the node for 60 s by EC2 Instance Connect, for one of its users, before the first byte is passed on. */
  readonly pushKey?: { readonly user: string; readonly publicKey: string };
  /** An instance that is stopped is started; `connectTimeoutMs` has to allow for it. Default false. */
  readonly startInstance?: boolean;
}

const DEFAULT_PORT = 22;

/**
 * Resolves when the session is set up; the stream then carries the port's bytes. Rejects with a ProxyError. Errors
 * after that are the stream's `error` events, ProxyErrors too.
 */
export async function connect(options: ConnectOptions): Promise<SessionDuplex> {
  const { signal } = options;
  if (signal?.aborted === true) throw cancelled(signal);
  const stream = new SessionDuplex();
  const cancelling = new AbortController();
  const onAbort = (): void => {
    cancelling.abort();
    if (signal !== undefined) stream.destroy(cancelled(signal));
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  stream.once('close', () => signal?.removeEventListener('abort', onAbort));
  let settle: (error?: Error) => void = () => {};
  const ready = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve() : reject(error));
  });
  ready.catch(() => {});
  // Until the caller has the stream its errors are the promise's.
  const onEarlyError = (error: Error): void => settle(error);
  stream.on('error', onEarlyError);
  try {
    const session = await openSession(
      request(options),
      { env: options.env ?? process.env, clock: systemClock, log: options.log ?? silentLog },
      {
        onStage: () => {},
        onNotice: (text) => options.log?.warn('notice', { text }),
        onReady: () => settle(),
        onData: (data) => stream.deliver(data),
        onWritable: () => stream.resumeWriting(),
        onDrained: () => stream.drained(),
        onEnd: (outcome) => {
          stream.sessionEnded(outcome);
          settle(
            signal?.aborted === true
              ? cancelled(signal)
              : new ProxyError('SESSION_ENDED', 'the session ended before it was set up'),
          );
        },
      },
      cancelling.signal,
    );
    stream.attach(session);
    await ready;
    stream.off('error', onEarlyError);
    return stream;
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

function request(options: ConnectOptions): SessionRequest {
  const { target, port = DEFAULT_PORT, document, parameters = {}, pushKey, startInstance } = options;
  return {
    ...sessionRequestOf(options, `connect ${target}:${port}`),
    purpose: portPurpose({ port, document, parameters }),
    pushKey: pushKey && (() => Promise.resolve(pushKey)),
    startInstance: startInstance === true ? { limitMs: undefined } : undefined,
  };
}

function cancelled(signal: AbortSignal): ProxyError {
  return new ProxyError('CANCELLED', 'cancelled by the caller', { cause: signal.reason });
}
