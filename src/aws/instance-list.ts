/** All running instances that targets, tags and VPC match, in the regions searched: for commands over many nodes. */
import { ProxyError } from '../errors.ts';
import type { AwsContext } from './context.ts';
import type { Instance, ResolveOptions, Scope } from './instance.ts';
import { searchAll } from './instance.ts';
import { needsEc2, parseTarget, regionOf } from './target.ts';

/**
 * In the order of the targets, each instance once. Without targets: all in the scope. IDs are not looked up unless
 * several regions are searched or the scope has to be checked. TARGET_NOT_FOUND for a target that nothing running
 * matches, TARGET_INVALID, and the errors of API calls.
 */
export async function listInstances(
  contexts: readonly AwsContext[],
  targets: readonly string[],
  scope: Scope,
  options: ResolveOptions = {},
): Promise<readonly Instance[]> {
  const wanted = targets.length === 0 ? [undefined] : targets;
  const found = await Promise.all(wanted.map((target) => listOne(contexts, target, scope, options)));
  const byId = new Map(found.flat().map((instance) => [instance.instanceId, instance]));
  return [...byId.values()];
}

async function listOne(
  contexts: readonly AwsContext[],
  text: string | undefined,
  scope: Scope,
  options: ResolveOptions,
): Promise<readonly Instance[]> {
  const target = text === undefined ? undefined : parseTarget(text);
  const region = target === undefined ? undefined : regionOf(target);
  const named = contexts.filter((context) => context.region === region);
  const searched = named.length > 0 ? named : contexts;
  const [only, second] = searched;
  const hasScope = scope.vpc !== undefined || Object.keys(scope.tags ?? {}).length > 0;
  if (target !== undefined && 'id' in target && !needsEc2(target) && only !== undefined) {
    // EC2 knows nothing of managed instances.
    if (target.kind === 'managedInstanceId' || (second === undefined && !hasScope)) {
      return [{ instanceId: target.id, region: only.region, state: 'unknown' }];
    }
  }
  const found = await searchAll(searched, target, scope, options);
  const running = [...found.values()]
    .map(({ record }) => record.instance)
    .filter(({ state }) => state === 'running');
  if (running.length > 0) return running.sort((one, other) => (labelOf(one) < labelOf(other) ? -1 : 1));
  const what = text === undefined ? 'no running instance matches' : `no running instance matches ${text}`;
  const regions = [...new Set(searched.map((context) => context.region))].join(', ');
  throw new ProxyError('TARGET_NOT_FOUND', `${what} in ${regions}`, {
    hint: 'check target, --tag, --vpc, --region and profile',
  });
}

function labelOf({ name = '', instanceId }: Instance): string {
  return `${name} ${instanceId}`;
}
