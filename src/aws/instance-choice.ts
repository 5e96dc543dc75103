/**
 * From the instances that a target names to the one to connect to, or to the error that says why there is none.
 * Pure. Running instances count, and pending ones, which are worth waiting for.
 */
import { ProxyError } from '../errors.ts';
import { lasting } from '../times-in-words.ts';
import type { Instance, InstanceRecord, InstanceState } from './ec2.ts';
import type { Scope } from './instance-match.ts';
import type { Target } from './target.ts';

const CONNECTABLE: ReadonlySet<InstanceState> = new Set(['running', 'pending']);
const STOPPED: ReadonlySet<InstanceState> = new Set(['stopped', 'stopping']);
/** More regions than these are counted, not named. */
const MAX_REGIONS_NAMED = 6;
/** Longest list of candidates in a hint. */
const MAX_LISTED = 10;

export interface ChoiceOptions {
  /** True: where nothing runs, the only instance that is stopped or stopping is the choice. */
  readonly takesStopped?: boolean | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: number | undefined;
}

/** TARGET_AMBIGUOUS, TARGET_STOPPED, TARGET_TERMINATED or TARGET_NOT_FOUND. `regions`: where was searched. */
export function chooseInstance(
  target: Target,
  records: readonly InstanceRecord[],
  scope: Scope,
  regions: readonly string[],
  { takesStopped = false, now = Date.now() }: ChoiceOptions = {},
): Instance {
  const connectable = records.filter(({ instance }) => CONNECTABLE.has(instance.state));
  const [first, second] = connectable;
  if (first !== undefined && second === undefined) return first.instance;
  if (first !== undefined) throw ambiguous(target, connectable, regions);
  const allStopped = records.filter(({ instance }) => STOPPED.has(instance.state));
  const [stopped, otherStopped] = allStopped;
  if (takesStopped && stopped !== undefined) {
    if (otherStopped !== undefined) throw ambiguous(target, allStopped, regions);
    return stopped.instance;
  }
  if (stopped !== undefined) throw notRunning('TARGET_STOPPED', target, stopped, now);
  const [ended] = records;
  if (ended !== undefined) throw notRunning('TARGET_TERMINATED', target, ended, now);
  throw notFound(target, scope, regions);
}

function notRunning(
  code: 'TARGET_STOPPED' | 'TARGET_TERMINATED',
  target: Target,
  record: InstanceRecord,
  now: number,
): ProxyError {
  const { instance, transitionReason } = record;
  const time = /\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:GMT|UTC))\)/.exec(transitionReason)?.[1];
  const agoMs = now - Date.parse(time ?? '');
  const since = time === undefined ? '' : ` since ${time}${agoMs >= 0 ? ` (${lasting(agoMs)})` : ''}`;
  const what = target.text === instance.instanceId ? '' : `${target.text} is `;
  const start = `start it: connect with --start-instance, or aws ec2 start-instances --region ${instance.region} --instance-ids ${instance.instanceId}`;
  return new ProxyError(
    code,
    `${what}instance ${instance.instanceId} in ${instance.region}${what === '' ? ' is' : ','} ${instance.state}${since}`,
    {
      hint: code === 'TARGET_STOPPED' ? start : 'the instance is gone for good: check the name or address',
    },
  );
}

function notFound(target: Target, scope: Scope, regions: readonly string[]): ProxyError {
  const places =
    regions.length > MAX_REGIONS_NAMED ? `${String(regions.length)} regions` : regions.join(', ');
  const where = `in ${places}${describeScope(scope)}`;
  const lowerCase =
    target.kind === 'name' && target.name === target.name.toLowerCase()
      ? '; ssh gives %h in lower case, %n as typed'
      : '';
  return new ProxyError('TARGET_NOT_FOUND', `no instance ${describeTarget(target)} ${where}`, {
    hint: `check region and profile (--region, --profile)${lowerCase}`,
  });
}

function describeTarget(target: Target): string {
  switch (target.kind) {
    case 'instanceId':
    case 'managedInstanceId':
      return target.id;
    case 'name':
      return `with the Name tag ${target.name}, nor a cluster of that name,`;
    case 'ip':
      return `with the address ${target.address}`;
    case 'privateDns':
    case 'publicDns':
      return `with the address ${target.address} (${target.text})`;
  }
}

export function describeScope(scope: Scope): string {
  const parts = Object.entries(scope.tags ?? {}).map(([key, value]) => `tag ${key}=${value}`);
  if (scope.vpc !== undefined) parts.unshift(`VPC ${scope.vpc}`);
  return parts.length === 0 ? '' : ` with ${parts.join(' and ')}`;
}

function ambiguous(
  target: Target,
  records: readonly InstanceRecord[],
  regions: readonly string[],
): ProxyError {
  const instances = records.map(({ instance }) => instance);
  const lines = instances.slice(0, MAX_LISTED).map(describeCandidate);
  if (instances.length > MAX_LISTED) lines.push(`  and ${String(instances.length - MAX_LISTED)} more`);
  const ways = [
    new Set(instances.map(({ region }) => region)).size > 1 ? '--region' : undefined,
    new Set(instances.map(({ profile }) => profile)).size > 1 ? '--profile' : undefined,
    new Set(instances.map(({ vpcId }) => vpcId)).size > 1 ? '--vpc' : undefined,
    '--tag key=value',
    'the instance ID',
  ].filter((way) => way !== undefined);
  const where = regions.length > 1 ? '' : ` in ${regions.join('')}`;
  return new ProxyError(
    'TARGET_AMBIGUOUS',
    `${target.text} names ${String(instances.length)} instances${where}`,
    { hint: [`choose with ${ways.join(', ')}:`, ...lines].join('\n') },
  );
}

function describeCandidate(instance: Instance): string {
  const vpc =
    instance.vpcId === undefined
      ? ''
      : ` ${instance.vpcId}${instance.vpcName ? ` (${instance.vpcName})` : ''}`;
  const name = instance.name === undefined ? '' : ` ${instance.name}`;
  const launched = instance.launchTime === undefined ? '' : ` launched ${instance.launchTime.toISOString()}`;
  const profile = instance.profile === undefined ? '' : ` profile ${instance.profile}`;
  return `  ${instance.instanceId} ${instance.region}${profile}${vpc}${name} ${instance.state}${launched}`;
}
