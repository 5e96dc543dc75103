/**
 * How long nodes take to say their first line over SSM, for a live list. Each look opens a session, and StartSession is
 * what an account has little of: a node is looked at when it comes online, again after a quarter of an hour (after a
 * minute if that failed), and never more than one begins in a second.
 */
import type { AwsContext } from '../aws/context.ts';
import type { Clock, TimerHandle } from '../clock.ts';
import { asProxyError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { Log } from '../log.ts';
import { ReadinessProbe } from '../opening/readiness-probe.ts';
import type { FleetNode } from './nodes.ts';

/** Since the look began; a wait for a turn at StartSession is in it. */
export type BannerTime =
  | { readonly kind: 'measuring' }
  | { readonly kind: 'measured'; readonly ms: number }
  | { readonly kind: 'failed'; readonly code: ErrorCode };

export interface BannerTimesParts {
  readonly contexts: readonly AwsContext[];
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly log: Log;
  readonly endpointUrl: string | undefined;
  /** That the contexts have assumed, if any. */
  readonly role: string | undefined;
  /** StartSession calls per second of all processes of the user on this machine; 0: no limit. */
  readonly startsPerSecond: number;
  /** Shown in CloudTrail. */
  readonly reason: string;
  /** For tests; default: a session to port 22. Resolves at the first byte. */
  readonly look?: (node: FleetNode, signal: AbortSignal) => Promise<unknown>;
}

const BETWEEN_STARTS_MS = 1_000;
const MAX_AT_ONCE = 4;
const AGAIN_MS = 15 * 60_000;
const FAILED_AGAIN_MS = 60_000;
const LOOK_LIMIT_MS = 20_000;
const PORT = 22;

interface Look {
  time: BannerTime;
  /** When it ended, or began while it runs. */
  at: number;
}

export class BannerTimes {
  readonly #parts: BannerTimesParts;
  readonly #looks = new Map<string, Look>();
  readonly #running = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  #waiting: FleetNode[] = [];
  #lastStartAt = -Infinity;
  #timer: TimerHandle | undefined;
  /** Whoever may start no session is not told so once for each node. */
  #isDenied = false;

  constructor(parts: BannerTimesParts) {
    this.#parts = parts;
  }

  /** Undefined: not looked at, because it is not online or its turn has not come. */
  of({ instance }: FleetNode): BannerTime | undefined {
    return this.#looks.get(instance.instanceId)?.time;
  }

  /** All nodes as they are now. Looks at those that are due, and does not wait for it. */
  update(nodes: readonly FleetNode[]): void {
    const online = nodes.filter(
      ({ instance, agent }) => instance.state === 'running' && agent.status === 'online',
    );
    const ids = new Set(online.map(({ instance }) => instance.instanceId));
    // What comes back is looked at anew.
    for (const id of this.#looks.keys()) if (!ids.has(id)) this.#looks.delete(id);
    this.#waiting = online.filter((node) => this.#isDue(node));
    this.#next();
  }

  /** Ends what is under way, sessions included. */
  async close(): Promise<void> {
    this.#waiting = [];
    this.#timer?.cancel();
    this.#abort.abort();
    await Promise.all(this.#running);
  }

  #isDue({ instance }: FleetNode): boolean {
    const look = this.#looks.get(instance.instanceId);
    if (look === undefined) return true;
    const ageMs = this.#parts.clock.now() - look.at;
    switch (look.time.kind) {
      case 'measuring':
        return false;
      case 'measured':
        return ageMs >= AGAIN_MS;
      case 'failed':
        return ageMs >= FAILED_AGAIN_MS;
    }
  }

  #next(): void {
    const { clock } = this.#parts;
    this.#timer?.cancel();
    const [node] = this.#waiting;
    if (node === undefined || this.#isDenied || this.#running.size >= MAX_AT_ONCE) return;
    const inMs = this.#lastStartAt + BETWEEN_STARTS_MS - clock.now();
    if (inMs > 0) {
      this.#timer = clock.setTimer(inMs, () => this.#next());
      return;
    }
    this.#waiting.shift();
    this.#lastStartAt = clock.now();
    const running = this.#measure(node).finally(() => {
      this.#running.delete(running);
      this.#next();
    });
    this.#running.add(running);
    this.#next();
  }

  async #measure(node: FleetNode): Promise<void> {
    const { clock, log, look = (which, signal) => this.#probe(which, signal) } = this.#parts;
    const { instanceId } = node.instance;
    const startedAt = clock.now();
    const earlier = this.#looks.get(instanceId);
    const own: Look = { time: earlier?.time ?? { kind: 'measuring' }, at: startedAt };
    this.#looks.set(instanceId, own);
    try {
      await look(node, this.#abort.signal);
      own.time = { kind: 'measured', ms: clock.now() - startedAt };
    } catch (thrown) {
      const { code } = asProxyError(thrown);
      own.time = { kind: 'failed', code };
      this.#isDenied ||= code === 'ACCESS_DENIED';
      log.info('banner_not_seen', { instanceId, code });
    }
    own.at = clock.now();
  }

  async #probe({ instance, profile }: FleetNode, signal: AbortSignal): Promise<void> {
    const { contexts, startsPerSecond, reason, endpointUrl, role, ...rest } = this.#parts;
    const context = contexts.find((each) => each.region === instance.region && each.profile === profile);
    const probe = new ReadinessProbe(
      {
        target: instance.instanceId,
        ...{ regions: [instance.region], profile, role, endpointUrl, ssmmessagesEndpoint: undefined },
        ...{ vpc: undefined, tags: {}, account: undefined, document: undefined, parameters: {} },
        ...{ port: PORT, needsBanner: true, timeoutMs: LOOK_LIMIT_MS, startsPerSecond, reason },
      },
      { ...rest, ...(context !== undefined && { contexts: [context] }) },
      { onStage: () => {}, onFound: () => {}, onReady: () => {} },
    );
    await probe.run(LOOK_LIMIT_MS, LOOK_LIMIT_MS, signal);
  }
}
