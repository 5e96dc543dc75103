/** Injected failures and throttles of API calls: which of the settings in force hits this call. */
import type { ApiFailure } from '../faults.ts';
import { TokenBucket } from '../token-bucket.ts';
import type { BucketRate } from '../token-bucket.ts';
import type { World } from '../world.ts';
import { Refusal } from './refusal.ts';

interface RunningBucket {
  readonly rate: BucketRate;
  readonly bucket: TokenBucket;
}

/** Operations that EC2 throttles in its own words. */
const isEc2 = (operation: string): boolean => operation.startsWith('ec2:');

export class ApiFailures {
  readonly #world: World;
  readonly #used = new WeakMap<ApiFailure, number>();
  readonly #buckets = new Map<string, RunningBucket>();

  constructor(world: World) {
    this.#world = world;
  }

  /** The failure that hits a call of `operation` ('ssm:StartSession'), if one does; counts it. */
  next(operation: string, mentions: (target: string) => boolean): ApiFailure | undefined {
    const now = this.#world.clock.plain.now();
    for (const failure of this.#world.faults.api.failures) {
      if (!covers(failure.operation, operation)) continue;
      if (failure.target !== '' && !mentions(failure.target)) continue;
      if (failure.forMs > 0 && now - this.#world.failuresSetAt > failure.forMs) continue;
      const used = this.#used.get(failure) ?? 0;
      if (failure.times > 0 && used >= failure.times) continue;
      this.#used.set(failure, used + 1);
      return failure;
    }
    return undefined;
  }

  /** Throws Refusal when the operation's bucket is empty. */
  throttle(operation: string): void {
    const rate = this.#world.faults.api.throttles[operation];
    if (rate === undefined) return;
    const now = this.#world.clock.plain.now();
    let running = this.#buckets.get(operation);
    if (running?.rate !== rate) {
      running = { rate, bucket: new TokenBucket(rate, now) };
      this.#buckets.set(operation, running);
    }
    if (running.bucket.take(now)) return;
    throw isEc2(operation)
      ? new Refusal('RequestLimitExceeded', 'Request limit exceeded.', 503)
      : new Refusal('ThrottlingException', 'Rate exceeded');
  }
}

function covers(pattern: string, operation: string): boolean {
  return (
    pattern === '*' || pattern === operation || pattern === `${operation.slice(0, operation.indexOf(':'))}:*`
  );
}
