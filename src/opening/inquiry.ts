/**
 * Why an instance is not connected, found out beside the tries to start a session: a stopped, terminated or unknown
 * instance makes them pointless, a silent agent gives a better hint. What may not be asked, or fails, is ignored.
 */
import type { AwsContext } from '../aws/context.ts';
import type { AgentStatus } from '../aws/ssm-session.ts';
import type { Clock } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import { lasting } from '../times-in-words.ts';

/** Between two looks. Milliseconds. */
const LOOK_EVERY_MS = 10_000;
/** What ends the tries. */
const FINAL_CODES: ReadonlySet<string> = new Set(['TARGET_NOT_FOUND', 'TARGET_STOPPED', 'TARGET_TERMINATED']);

export interface InquiryParts {
  readonly context: AwsContext;
  readonly instanceId: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The instance is pending: what is waited for is its start. */
  readonly onPending: () => void;
}

export class Inquiry {
  /** Rejects with the reason why no try can succeed; never resolves. */
  readonly verdict: Promise<never>;
  readonly #parts: InquiryParts;
  readonly #closed = new AbortController();
  readonly #signal: AbortSignal;
  #reject: (error: ProxyError) => void = () => {};
  #lookedAt: number | undefined;
  #agent: AgentStatus | undefined;

  constructor(parts: InquiryParts) {
    this.#parts = parts;
    this.#signal = AbortSignal.any([parts.signal, this.#closed.signal]);
    this.verdict = new Promise((_resolve, reject) => {
      this.#reject = reject;
    });
    // Nobody may be waiting when it comes.
    this.verdict.catch(() => {});
  }

  /** After each TargetNotConnected. Looks at once, then now and then; does not wait for the answers. */
  look(): void {
    const { clock } = this.#parts;
    const now = clock.now();
    if (this.#lookedAt !== undefined && now - this.#lookedAt < LOOK_EVERY_MS) return;
    this.#lookedAt = now;
    void this.#askEc2();
    void this.#askSsm();
  }

  /** What SSM knows of the agent, in words; undefined while it has not told. */
  get hint(): string | undefined {
    const { instanceId } = this.#parts;
    const lastPing = since(this.#agent?.lastPing, this.#parts.clock.wallNow());
    switch (this.#agent?.status) {
      case 'unregistered':
        return `SSM does not know ${instanceId}: it may still be booting, or has no SSM agent, no instance profile with AmazonSSMManagedInstanceCore, or no way to the SSM endpoints`;
      case 'lost':
      case 'inactive':
        return `SSM has not heard of the agent on ${instanceId}${lastPing}: look at the agent and its way to the SSM endpoints`;
      case 'online':
        return `SSM shows the agent on ${instanceId} as online: try again`;
      default:
        return undefined;
    }
  }

  /** Ends what is still being asked. */
  close(): void {
    this.#closed.abort();
  }

  async #askEc2(): Promise<void> {
    const { context, instanceId, onPending } = this.#parts;
    // Managed instances are not EC2's.
    if (!instanceId.startsWith('i-')) return;
    try {
      const { checkInstance } = await import('../aws/instance.ts');
      const { state } = await checkInstance(context, instanceId, { signal: this.#signal, isSingle: true });
      if (state === 'pending' && !this.#signal.aborted) onPending();
    } catch (error) {
      if (error instanceof ProxyError && FINAL_CODES.has(error.code)) this.#reject(error);
    }
  }

  async #askSsm(): Promise<void> {
    const { context, instanceId } = this.#parts;
    try {
      const { agentStatus } = await import('../aws/ssm-session.ts');
      this.#agent = await agentStatus(context, instanceId, { signal: this.#signal, isSingle: true });
    } catch {
      // The default hint stays.
    }
  }
}

/** ` since 2026-11-23T14:02:00Z (3 hours)`. */
function since(time: Date | undefined, now: number): string {
  if (time === undefined) return '';
  const text = time.toISOString().replace(/\.\d+Z$/, 'Z');
  const agoMs = now - time.getTime();
  return ` since ${text}${agoMs >= 0 ? ` (${lasting(agoMs)})` : ''}`;
}
