/**
 * Waits until a node can be reached: the instance runs, SSM is connected to its agent, and something answers on the
 * port. For launchers, which start the first ssh when this is over.
 *
 * It is done by doing it: a session is opened as `connect` opens it, and ended again. What may come right by itself is
 * tried again until the time is up; what cannot (permissions, credentials, a document) ends it at once.
 */
import { needsEc2, parseTarget } from '../aws/target.ts';
import type { Clock } from '../clock.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { targetContexts } from '../contexts.ts';
import type { FindTargetDependencies, TargetRequest } from '../find-target.ts';
import type { OpenSessionEvents } from '../open-session.ts';
import { formatSeconds } from './persist.ts';
import { ReadinessProbe } from './readiness-probe.ts';
import { retryDelayMs } from './retry-policy.ts';
import type { InstanceStart } from './start-instance.ts';
import { sleep } from './sleep.ts';

export interface WaitRequest extends TargetRequest {
  readonly port: number;
  readonly document: string | undefined;
  readonly parameters: Readonly<Record<string, readonly string[]>>;
  /** For everything. */
  readonly timeoutMs: number;
  /** StartSession calls per second of all processes of the user on this machine; 0: no limit. */
  readonly startsPerSecond: number;
  /** False: the port is one where the client speaks first, and an accepted connection is enough. */
  readonly needsBanner: boolean;
  /** Undefined: somebody else starts an instance that is stopped. */
  readonly startInstance?: InstanceStart | undefined;
  readonly reason: string;
}

export interface WaitResult {
  readonly instanceId: string;
  readonly region: string;
  /** First line of the far end; undefined when none was wanted. */
  readonly banner: string | undefined;
  /** Sessions that were tried. */
  readonly tries: number;
  /** Milliseconds from the start until each stage was first reached; `port` is the whole time. */
  readonly reachedMs: { readonly instance: number; readonly agent: number; readonly port: number };
}

export type WaitEvents = Pick<OpenSessionEvents, 'onStage' | 'onStarted' | 'onTerminated'>;

/** Bound on one try: one that hangs must not use up the whole time. Milliseconds. */
const TRY_MS = 20_000;
/** Between two tries, about. Milliseconds. */
const PORT_RETRY_MS = 1_000;
const INSTANCE_RETRY_MS = 3_000;

/** What may come right by itself. A name or an address may get another instance, an ID never does. */
const WORTH_WAITING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'TARGET_NOT_FOUND',
  'TARGET_STOPPED',
  'TARGET_NOT_CONNECTED',
  'CHANNEL_OPEN_FAILED',
  'HANDSHAKE_FAILED',
  'PORT_SILENT',
  'PORT_REFUSED',
  'SESSION_ENDED',
  'SESSION_GONE',
  'SESSION_LOST',
  'CONNECT_TIMEOUT',
]);

/** Rejects with CANCELLED, a final error, or the last one when the time is up. Every session it opened has ended. */
export async function waitForTarget(
  request: WaitRequest,
  dependencies: FindTargetDependencies,
  events: WaitEvents,
  signal: AbortSignal,
): Promise<WaitResult> {
  const { clock, log } = dependencies;
  const startedAt = clock.now();
  const remainingMs = (): number => request.timeoutMs - (clock.now() - startedAt);
  const hasId = !needsEc2(parseTarget(request.target));
  const reached = new Reached(clock, startedAt);
  const contexts = await targetContexts(request, { ...dependencies, signal });
  try {
    for (let tries = 1; ; tries += 1) {
      const probe = new ReadinessProbe(
        request,
        { ...dependencies, contexts },
        {
          ...events,
          onFound: () => reached.mark('instance'),
          onReady: () => reached.mark('agent'),
        },
      );
      try {
        const found = await probe.run(Math.min(TRY_MS, remainingMs()), remainingMs(), signal);
        reached.mark('port');
        return { ...found, tries, reachedMs: reached.times };
      } catch (thrown) {
        const error = asProxyError(thrown);
        log.info('not_ready', { code: error.code, tries });
        if (signal.aborted || !isWorthWaiting(error, hasId)) throw error;
        const delayMs = pauseMs(error);
        if (remainingMs() <= delayMs) throw timeIsUp(error, clock.now() - startedAt);
        events.onStage(waitingFor(error, request));
        await sleep(clock, delayMs, signal);
      }
    }
  } finally {
    for (const context of contexts) context.close();
  }
}

function isWorthWaiting(error: ProxyError, hasId: boolean): boolean {
  if (error.code === 'TARGET_TERMINATED') return !hasId;
  return WORTH_WAITING.has(error.code) || retryDelayMs(error, 1, 0) !== undefined;
}

function pauseMs(error: ProxyError): number {
  const isAboutInstance = error.code.startsWith('TARGET_') && error.code !== 'TARGET_NOT_CONNECTED';
  return (isAboutInstance ? INSTANCE_RETRY_MS : PORT_RETRY_MS) * (0.75 + Math.random() / 2);
}

function waitingFor(error: ProxyError, { target, port }: WaitRequest): string {
  switch (error.code) {
    case 'TARGET_NOT_FOUND':
    case 'TARGET_TERMINATED':
      return `waiting for an instance ${target}`;
    case 'TARGET_STOPPED':
      return `waiting for ${target} to be started`;
    case 'TARGET_NOT_CONNECTED':
      return `waiting for the SSM agent of ${target}`;
    case 'PORT_SILENT':
    case 'PORT_REFUSED':
    case 'SESSION_ENDED':
      return `waiting for port ${port} of ${target}`;
    default:
      return `waiting for ${target} (${error.message})`;
  }
}

function timeIsUp(error: ProxyError, spentMs: number): ProxyError {
  const waited = `waited for ${formatSeconds(spentMs)} (--timeout)`;
  const hint = error.hint === undefined ? waited : `${waited}; ${error.hint}`;
  return new ProxyError(error.code, error.message, { hint, cause: error });
}

/** When each stage was first reached. */
class Reached {
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #at = new Map<keyof WaitResult['reachedMs'], number>();

  constructor(clock: Clock, startedAt: number) {
    this.#clock = clock;
    this.#startedAt = startedAt;
  }

  mark(stage: keyof WaitResult['reachedMs']): void {
    if (!this.#at.has(stage)) this.#at.set(stage, this.#clock.now() - this.#startedAt);
  }

  get times(): WaitResult['reachedMs'] {
    const at = (stage: keyof WaitResult['reachedMs']): number => this.#at.get(stage) ?? 0;
    return { instance: at('instance'), agent: at('agent'), port: at('port') };
  }
}
