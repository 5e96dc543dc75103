/**
 * From a parsed target to its instance: EC2's own names first, then, for a name that EC2 does not know, the files in
 * which SkyPilot keeps the addresses of its clusters.
 */
import type { AwsContext } from './aws/context.ts';
import type { Located, ResolveOptions, Scope } from './aws/instance.ts';
import { locateAcross } from './aws/instance.ts';
import type { Target } from './aws/target.ts';
import { parseTarget } from './aws/target.ts';
import { asProxyError } from './errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** As locateAcross. What stands in the files serves only while the instance with that address is SkyPilot's. */
export async function locate(
  contexts: readonly AwsContext[],
  target: Target,
  scope: Scope,
  options: ResolveOptions,
  env: Environment,
): Promise<Located> {
  try {
    return await locateAcross(contexts, target, scope, options);
  } catch (thrown) {
    if (target.kind !== 'name' || asProxyError(thrown).code !== 'TARGET_NOT_FOUND') throw thrown;
    const address = await generatedAddress(target.name, env);
    if (address === undefined) throw thrown;
    const isClusterNode = { ...scope, tagKeys: CLUSTER_KEYS };
    return await locateAcross(contexts, parseTarget(address), isClusterNode, options).catch(() => {
      throw thrown;
    });
  }
}

const CLUSTER_KEYS = ['skypilot-cluster-name'] as const;

/** The address that SkyPilot wrote for a host of this name; names in any case, since ssh hands over lower case. */
async function generatedAddress(name: string, env: Environment): Promise<string | undefined> {
  const { generatedHosts } = await import('./skypilot/sky-files.ts');
  const wanted = name.toLowerCase();
  const host = generatedHosts(env).find((each) => each.name.toLowerCase() === wanted);
  // Only an address ends the search for sure: a name would lead back to here.
  return host?.hostName !== undefined && /^[\d.]+$/.test(host.hostName) ? host.hostName : undefined;
}
