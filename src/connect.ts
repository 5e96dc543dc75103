/** `connect()` of the library: a port of a node as a Duplex stream. */
import { systemClock } from './clock.ts';
import { ProxyError } from './errors.ts';
import type { Log } from './log.ts';
import { silentLog } from './log.ts';
import { openSession } from './open-session.ts';
import type { SessionRequest } from './open-session.ts';
import { SAFE_MESSAGES_PER_SECOND } from './protocol/limits.ts';
import { portPurpose } from './session-purpose.ts';
import { SessionDuplex } from './session/duplex.ts';
import { VERSION } from './version.ts';

export interface ConnectOptions {
  /** Private or public IP address, instance ID, managed-instance ID, private DNS name or Name tag. */
  readonly target: string;
  /** Default 22. */
  readonly port?: number;
  /** One region, several to search, or `all`; default: as the AWS CLI finds it. */
  readonly region?: string | readonly string[];
  /** Several to search are separated by commas. */
  readonly profile?: string;
  /** Account number that the credentials must belong to. */
  readonly account?: string;
  /** For every API call. */
  readonly endpointUrl?: string;
  /** Replaces the host of the stream URL. */
  readonly ssmmessagesEndpoint?: string;
  /** VPC of the target, by ID or Name tag. */
  readonly vpc?: string;
  /** Tags that the target must have. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Default AWS-StartSSHSession. */
  readonly document?: string;
  /** Parameters of the document besides portNumber. */
  readonly parameters?: Readonly<Record<string, readonly string[]>>;
  /** From the call to the first byte of the far end, in ms; default 30,000. */
  readonly connectTimeoutMs?: number;
  /** How long a lost connection may take to come back before the stream fails, in ms; default 10 min. */
  readonly resumeTimeoutMs?: number;
  /** Age of the WebSocket from which it is renewed in a quiet moment, in ms; default 50 min. */
  readonly renewAfterMs?: number;
  /** Between two WebSocket pings, in ms; default 25 s. */
  readonly pingIntervalMs?: number;
  /** How long the answer to a ping may take, in ms; default 10 s. */
  readonly pongTimeoutMs?: number;
  /** `safe` (default) is 900 messages of 1024 bytes a second, `off` has no limit, a number is messages a second. */
  readonly pace?: 'safe' | 'off' | number;
  /** Shown in CloudTrail; default: the name and version of this package. */
  readonly reason?: string;
  /** Ends the attempt, and later the stream. */
  readonly signal?: AbortSignal;
  /** Instead of process.env. */
  readonly env?: NodeJS.ProcessEnv;
  readonly log?: Log;
}

const DEFAULT_PORT = 22;
const DEFAULT_CONNECT_TIMEOUT_MS = 30_000;

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
  const { port = DEFAULT_PORT, document, parameters = {} } = options;
  return {
    ...sessionRequest(options),
    purpose: portPurpose({ port, document, parameters }),
    reason: options.reason ?? `ssm-proxy/${VERSION} connect ${options.target}:${port}`,
  };
}

/** All of a session's request but what it is for. */
export function sessionRequest(options: ConnectOptions): Omit<SessionRequest, 'purpose' | 'reason'> {
  const { region, pace = 'safe' } = options;
  return {
    target: options.target,
    regions: typeof region === 'string' ? [region] : region,
    profile: options.profile,
    account: options.account,
    endpointUrl: options.endpointUrl,
    ssmmessagesEndpoint: options.ssmmessagesEndpoint,
    vpc: options.vpc,
    tags: options.tags ?? {},
    connectTimeoutMs: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    timeLimitName: 'connectTimeoutMs',
    times: {
      resumeTimeoutMs: options.resumeTimeoutMs,
      renewAfterMs: options.renewAfterMs,
      pingIntervalMs: options.pingIntervalMs,
      pongTimeoutMs: options.pongTimeoutMs,
    },
    messagesPerSecond: pace === 'safe' ? SAFE_MESSAGES_PER_SECOND : pace === 'off' ? undefined : pace,
  };
}

function cancelled(signal: AbortSignal): ProxyError {
  return new ProxyError('CANCELLED', 'cancelled by the caller', { cause: signal.reason });
}
