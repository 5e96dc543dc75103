/** `ssm-proxy resolve`: which instance a target is, and whether SSM reaches it, for people or as JSON. */
import { ProxyError } from '../errors.ts';
import { findInstance } from '../find-instance.ts';
import type { FoundInstance, ResolveRequest } from '../find-instance.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import type { LogRequest } from './log-file.ts';
import type { OptionReader } from './option-values.ts';
import { writeOut } from './output.ts';
import { printable } from './report.ts';
import { readTargetOptions } from './target-options.ts';

export interface ResolveArgs extends ResolveRequest, LogRequest {
  readonly json: boolean;
}

/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;
/** For everything: credentials, EC2 and SSM. */
const TIME_LIMIT_MS = 30_000;

/** Throws USAGE. */
export function readResolveArgs(target: string, options: OptionReader): ResolveArgs {
  return {
    target,
    ...readTargetOptions(options),
    json: options.switch('json'),
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
  };
}

/** Exit status. Throws the errors of AWS calls, TARGET_*, CONFIG_INVALID and others. */
export async function runResolve(args: ResolveArgs, io: CliIo): Promise<number> {
  const log = openLog(args, io);
  const limit = AbortSignal.timeout(TIME_LIMIT_MS);
  try {
    const found = await findInstance(args, { env: io.env, log }, limit);
    await writeOut(io.stdout, args.json ? asJson(args.target, found) : asText(found));
    return 0;
  } catch (error) {
    if (!limit.aborted) throw error;
    throw new ProxyError(
      'CONNECT_TIMEOUT',
      `no answer about ${args.target} within ${TIME_LIMIT_MS / 1000} s`,
      {
        hint: 'see what it waits for with --log-level debug',
        cause: error,
      },
    );
  } finally {
    log.close();
  }
}

/** Fields that are not known are null. */
function asJson(target: string, { instance, agent }: FoundInstance): string {
  const facts = {
    schema: SCHEMA,
    target,
    instanceId: instance.instanceId,
    name: instance.name ?? agent.computerName ?? null,
    privateIp: instance.privateIp ?? agent.ipAddress ?? null,
    publicIp: instance.publicIp ?? null,
    ipv6: instance.ipv6 ?? null,
    region: instance.region,
    vpcId: instance.vpcId ?? null,
    vpcName: instance.vpcName ?? null,
    state: instance.state,
    launchTime: instance.launchTime?.toISOString() ?? null,
    ssm: {
      status: agent.status,
      agentVersion: agent.agentVersion ?? null,
      lastPing: agent.lastPing?.toISOString() ?? null,
      platform: agent.platform ?? null,
    },
  };
  return `${JSON.stringify(facts)}\n`;
}

function asText({ instance, agent }: FoundInstance): string {
  const launched = instance.launchTime === undefined ? '' : `, launched ${instance.launchTime.toISOString()}`;
  const version = agent.agentVersion === undefined ? '' : `, agent ${agent.agentVersion}`;
  const lastPing = agent.lastPing === undefined ? '' : `, last heard of at ${agent.lastPing.toISOString()}`;
  const vpcName = instance.vpcName === undefined ? '' : ` (${instance.vpcName})`;
  const rows: readonly (readonly [name: string, value: string | undefined])[] = [
    ['Instance', instance.instanceId],
    ['Name', instance.name ?? agent.computerName],
    ['Private IP', instance.privateIp ?? agent.ipAddress],
    ['Public IP', instance.publicIp],
    ['IPv6', instance.ipv6],
    ['Region', instance.region],
    ['VPC', instance.vpcId === undefined ? undefined : `${instance.vpcId}${vpcName}`],
    ['State', `${instance.state}${launched}`],
    ['SSM', `${SSM_WORDS[agent.status]}${version}${lastPing}`],
  ];
  return rows
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value = '']) => `${name.padEnd(10)}  ${printable(value)}\n`)
    .join('');
}

const SSM_WORDS: Readonly<Record<FoundInstance['agent']['status'], string>> = {
  online: 'online',
  lost: 'connection lost',
  inactive: 'inactive',
  unregistered: 'not registered (no agent, no instance profile, or no way to the SSM endpoints)',
  unknown: 'not known (ssm:DescribeInstanceInformation is not allowed)',
};
