/** Whether the instance of an address is known from an earlier lookup, so that EC2 need not be asked (shared-lookup.ts). */
import type { AwsContext } from '../aws/context.ts';
import type { Ec2Filter } from '../aws/ec2.ts';
import type { Scope } from '../aws/instance-match.ts';
import { isVpcId, lookups, scopeFilters } from '../aws/instance-match.ts';
import { parseTarget } from '../aws/target.ts';
import { accountOfKey, fingerprint } from '../gate/identity.ts';
import type { LookupFiles } from '../gate/lookup-files.ts';

/**
 * How long an answer serves. Addresses are given to other machines, if rarely that soon; then ssh sees another host key.
 * Milliseconds.
 */
export const ANSWER_LIFE_MS = 180_000;

export interface KnownInstanceQuestion {
  readonly context: AwsContext;
  readonly target: string;
  readonly scope: Scope;
  readonly files: LookupFiles;
  /** Since the epoch. */
  readonly wallNowMs: number;
}

/** Its ID as it was found; undefined also when it cannot be told without asking somebody. */
export async function knownInstance(question: KnownInstanceQuestion): Promise<string | undefined> {
  const { context, target, scope, files, wallNowMs } = question;
  if (scope.vpc !== undefined && !isVpcId(scope.vpc)) return undefined;
  const [lookup] = lookups(parseTarget(target));
  const [name = '', value = ''] = lookup ?? [];
  if (typeof value !== 'string' || context.readyCredentials() === undefined) return undefined;
  const key = fingerprint(await lookupGroup(context, name, scopeFilters(scope)), value);
  const record = files.find(key, ANSWER_LIFE_MS, wallNowMs) as
    { instance?: { instanceId?: unknown } } | null | undefined;
  const instanceId = record?.instance?.instanceId;
  return typeof instanceId === 'string' ? instanceId : undefined;
}

/** Lookups with the same answer for everybody: same identity, region, endpoint, filter and scope. */
export async function lookupGroup(
  context: AwsContext,
  name: string,
  scope: readonly Ec2Filter[],
): Promise<string> {
  const { accessKeyId } = await context.credentials();
  return fingerprint(
    accountOfKey(accessKeyId),
    context.profile ?? '',
    context.role ?? '',
    context.region,
    context.endpoint('EC2') ?? '',
    name,
    JSON.stringify(scope),
  );
}
