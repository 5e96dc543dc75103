/**
 * From a target to its instance: one DescribeInstances for most, none for IDs. Filters at the server, so that the
 * cost does not grow with the account; answers checked here (instance-match.ts).
 */
import { ProxyError } from '../errors.ts';
import type { CallOptions } from './call.ts';
import type { AwsContext } from './context.ts';
import type { Ec2Filter, InstanceRecord } from './ec2.ts';
import { chooseInstance } from './instance-choice.ts';
import type { Scope } from './instance-match.ts';
import { isInScope, isVpcId, lookups, recognise, scopeFilters } from './instance-match.ts';
import type { Instance } from './node-facts.ts';
import type { Target } from './target.ts';
import { needsEc2, regionOf } from './target.ts';

export type { Instance, InstanceState } from './node-facts.ts';
export type { Scope } from './instance-match.ts';

/** DescribeInstances as this module uses it: all instances, in any state, that match every filter. */
export type DescribeInstances = (
  context: AwsContext,
  filters: readonly Ec2Filter[],
  options: CallOptions,
) => Promise<InstanceRecord[]>;

export interface ResolveOptions extends CallOptions {
  /** Default: EC2 is asked. */
  readonly describe?: DescribeInstances | undefined;
  /** True: a region that may not be searched holds nothing, as long as another one may be. */
  readonly skipsDenied?: boolean | undefined;
  /** True: where nothing runs, the only instance that is stopped is the answer. */
  readonly takesStopped?: boolean | undefined;
}

/** An instance, and who found it. */
export interface Located {
  readonly instance: Instance;
  readonly context: AwsContext;
}

/** The EC2 client is the largest part of the program: loaded only when it has to be asked. */
const describeInstances: DescribeInstances = async (...call) =>
  (await import('./ec2.ts')).describeInstances(...call);

async function describeVpcs(
  context: AwsContext,
  filters: readonly Ec2Filter[],
  options: CallOptions,
): Promise<ReadonlyMap<string, string>> {
  const ec2 = await import('./ec2.ts');
  return ec2.describeVpcs(context, filters, options);
}

/**
 * The instance that a target names in the context's region. For IDs nothing is asked: state `unknown`, and the scope
 * does not matter. TARGET_NOT_FOUND, TARGET_AMBIGUOUS, TARGET_STOPPED, TARGET_TERMINATED, and the errors of API calls.
 */
export function resolveInstance(
  context: AwsContext,
  target: Target,
  scope: Scope = {},
  options: ResolveOptions = {},
): Promise<Instance> {
  return resolveAcross([context], target, scope, options);
}

/** The instance alone; see locateAcross. */
export async function resolveAcross(
  contexts: readonly AwsContext[],
  target: Target,
  scope: Scope = {},
  options: ResolveOptions = {},
): Promise<Instance> {
  return (await locateAcross(contexts, target, scope, options)).instance;
}

/**
 * As resolveInstance, over several regions and profiles at once (one context each): the same address may exist in each
 * of them. An error in one region is an error of all: the instance may be there. An instance that two profiles see is
 * one instance, of the first.
 */
export async function locateAcross(
  contexts: readonly AwsContext[],
  target: Target,
  scope: Scope = {},
  options: ResolveOptions = {},
): Promise<Located> {
  const named = contexts.filter(({ region }) => region === regionOf(target));
  const searched = named.length > 0 ? named : contexts;
  const [only, second] = searched;
  if (only === undefined) throw new ProxyError('REGION_MISSING', 'no region to search in');
  if (!needsEc2(target) && 'id' in target) {
    if (second === undefined) {
      return { instance: { instanceId: target.id, region: only.region, state: 'unknown' }, context: only };
    }
    if (target.kind === 'managedInstanceId') {
      throw new ProxyError(
        'TARGET_AMBIGUOUS',
        `${target.id} may be in any of ${String(searched.length)} regions or profiles`,
        {
          hint: 'name one region with --region, and one profile',
        },
      );
    }
  }
  const abort = new AbortController();
  const signal =
    options.signal === undefined ? abort.signal : AbortSignal.any([options.signal, abort.signal]);
  const ended = { ...options, signal };
  try {
    const found = await searchAll(searched, target, scope, ended);
    const records = [...found.values()].map(({ record }) => record);
    const regions = [...new Set(searched.map(({ region }) => region))];
    const instance = await chooseWithVpcs(searched, target, records, scope, regions, ended);
    return { instance, context: found.get(instance.instanceId)?.context ?? only };
  } finally {
    // The first failure ends the searches in the other regions.
    abort.abort();
  }
}

/** The names of VPCs are asked for only where they tell candidates apart. */
async function chooseWithVpcs(
  contexts: readonly AwsContext[],
  target: Target,
  records: readonly InstanceRecord[],
  scope: Scope,
  regions: readonly string[],
  options: ResolveOptions,
): Promise<Instance> {
  try {
    return chooseInstance(target, records, scope, regions, options);
  } catch (error) {
    if (!(error instanceof ProxyError) || error.code !== 'TARGET_AMBIGUOUS') throw error;
    return chooseInstance(target, await withVpcNames(contexts, records, options), scope, regions, options);
  }
}

export interface FoundRecord {
  readonly record: InstanceRecord;
  readonly context: AwsContext;
}

/**
 * All that a target names, in any state, by instance ID: of contexts that see the same one, the first has it. Without
 * a target: all in the scope.
 */
export async function searchAll(
  contexts: readonly AwsContext[],
  target: Target | undefined,
  scope: Scope,
  options: ResolveOptions,
): Promise<ReadonlyMap<string, FoundRecord>> {
  const hasProfiles = new Set(contexts.map(({ profile }) => profile)).size > 1;
  const denials: ProxyError[] = [];
  const found = await Promise.all(
    contexts.map(async (context) => {
      try {
        return await search(context, target, scope, options);
      } catch (error) {
        const isDenial = error instanceof ProxyError && error.code === 'ACCESS_DENIED';
        if (options.skipsDenied !== true || !isDenial) throw error;
        denials.push(error);
        return [];
      }
    }),
  );
  const [denial] = denials;
  if (denial !== undefined && denials.length === contexts.length) throw denial;
  const byId = new Map<string, FoundRecord>();
  contexts.forEach((context, index) => {
    for (const record of found[index] ?? []) {
      const { instance } = record;
      if (byId.has(instance.instanceId)) continue;
      const { profile } = context;
      const shown = hasProfiles && profile !== undefined ? { ...instance, profile } : instance;
      byId.set(instance.instanceId, { record: { ...record, instance: shown }, context });
    }
  });
  return byId;
}

/** All that a target names in one region, in any state; without a target: all in the scope. */
async function search(
  context: AwsContext,
  target: Target | undefined,
  scope: Scope,
  options: ResolveOptions,
): Promise<InstanceRecord[]> {
  const vpcName = scope.vpc !== undefined && !isVpcId(scope.vpc) ? scope.vpc : undefined;
  const vpcs =
    vpcName === undefined
      ? Promise.resolve(undefined)
      : describeVpcs(context, [['tag:Name', vpcName]], options).then(
          (names) => new Set([...names].filter(([, name]) => name === vpcName).map(([id]) => id)),
        );
  // Both at once; a failure of either one is the failure.
  const [records, vpcIds] = await Promise.all([searchInstances(context, target, scope, options), vpcs]);
  const inScope = records.filter((record) => isInScope(record, scope, vpcIds));
  return target === undefined ? inScope : recognise(target, inScope);
}

/** Goes on to the next lookup until one finds something that the target names. */
async function searchInstances(
  context: AwsContext,
  target: Target | undefined,
  scope: Scope,
  options: ResolveOptions,
): Promise<InstanceRecord[]> {
  const describe = options.describe ?? describeInstances;
  if (target === undefined) return describe(context, scopeFilters(scope), options);
  for (const lookup of lookups(target)) {
    const records = await describe(context, [lookup, ...scopeFilters(scope)], options);
    if (recognise(target, records).length > 0) return records;
  }
  return [];
}

/** The same records with the names of their VPCs, which make a list of candidates readable; without, if not allowed. */
async function withVpcNames(
  contexts: readonly AwsContext[],
  records: readonly InstanceRecord[],
  options: CallOptions,
): Promise<InstanceRecord[]> {
  const names = new Map<string, string>();
  await Promise.all(
    contexts.map(async (context) => {
      const ids = new Set(
        records.flatMap(({ instance }) =>
          instance.region === context.region && instance.vpcId !== undefined ? [instance.vpcId] : [],
        ),
      );
      for (const [id, name] of await vpcNames(context, [...ids], options)) names.set(id, name);
    }),
  );
  return records.map((record) => {
    const vpcName = names.get(record.instance.vpcId ?? '');
    return vpcName ? { ...record, instance: { ...record.instance, vpcName } } : record;
  });
}

async function vpcNames(
  context: AwsContext,
  ids: readonly string[],
  options: CallOptions,
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map();
  try {
    return await describeVpcs(context, [['vpc-id', ...ids]], options);
  } catch (error) {
    context.log.debug('vpc-names-unknown', { code: error instanceof ProxyError ? error.code : 'INTERNAL' });
    return new Map();
  }
}

/**
 * What became of an instance that SSM does not reach: as resolveInstance, but EC2 is asked for an ID, too.
 * TARGET_NOT_FOUND, TARGET_STOPPED, TARGET_TERMINATED.
 */
export async function checkInstance(
  context: AwsContext,
  instanceId: string,
  options: CallOptions = {},
): Promise<Instance> {
  const target: Target = { text: instanceId, kind: 'instanceId', id: instanceId };
  const records = await describeInstances(context, lookups(target), options);
  return chooseInstance(target, recognise(target, records), {}, [context.region]);
}

/**
 * All about one instance, in whatever state, with the name of its VPC where that may be read. TARGET_NOT_FOUND if it
 * is not in the context's region.
 */
export async function describeInstance(
  context: AwsContext,
  instanceId: string,
  options: CallOptions = {},
): Promise<Instance> {
  const records = await describeInstances(context, [['instance-id', instanceId]], options);
  const found = records.find(({ instance }) => instance.instanceId === instanceId);
  if (found === undefined) {
    throw new ProxyError('TARGET_NOT_FOUND', `no instance ${instanceId} in ${context.region}`, {
      hint: 'check region and profile (--region, --profile)',
    });
  }
  const [record = found] = await withVpcNames([context], [found], options);
  return record.instance;
}
