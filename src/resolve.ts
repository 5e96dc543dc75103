/** `resolve()` of the library: which instance a target is, and whether SSM reaches it. */
import type { AgentStatus, Instance } from './aws/node-facts.ts';
import { ProxyError } from './errors.ts';
import { findInstance } from './find-instance.ts';
import type { TargetOptions } from './library-options.ts';
import { silentLog } from './log.ts';

export interface ResolvedTarget extends Instance {
  /** What SSM knows of the instance's agent. */
  readonly agent: AgentStatus;
}

/** For everything: credentials, EC2 and SSM. Milliseconds. */
const TIME_LIMIT_MS = 30_000;

/** Rejects with the errors of AWS calls, TARGET_*, CONFIG_INVALID and others, CONNECT_TIMEOUT after 30 s, CANCELLED. */
export async function resolve(options: TargetOptions): Promise<ResolvedTarget> {
  const { target, region, signal } = options;
  const stop = new AbortController();
  const onAbort = (): void => stop.abort();
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  let isTimeUp = false;
  const timer = setTimeout(() => {
    isTimeUp = true;
    stop.abort();
  }, TIME_LIMIT_MS);
  try {
    const request = {
      target,
      regions: typeof region === 'string' ? [region] : region,
      profile: options.profile,
      role: options.role,
      account: options.account,
      endpointUrl: options.endpointUrl,
      ssmmessagesEndpoint: undefined,
      vpc: options.vpc,
      tags: options.tags ?? {},
    };
    const dependencies = { env: options.env ?? process.env, log: options.log ?? silentLog };
    const { instance, agent } = await findInstance(request, dependencies, stop.signal);
    return { ...instance, agent };
  } catch (error) {
    if (isTimeUp) {
      throw new ProxyError('CONNECT_TIMEOUT', `no answer about ${target} within ${TIME_LIMIT_MS / 1000} s`, {
        cause: error,
      });
    }
    if (stop.signal.aborted) throw new ProxyError('CANCELLED', 'cancelled by the caller', { cause: error });
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
