/** What ~/.sky/config.yaml says about reaching nodes, whether that fits together, and clusters with older lines. */
import { isAwsCliLine, isOwnLine } from '../skypilot/adoption.ts';
import { parseSkyConfig } from '../skypilot/sky-config.ts';
import type { SkyAwsSettings, SkyConfig } from '../skypilot/sky-config.ts';
import { generatedClusterFiles, generatedHosts, readSkyFile, skyConfigPath } from '../skypilot/sky-files.ts';
import { adoptClusterFile } from '../skypilot/adoption.ts';
import type { Finding } from './finding.ts';
import { failed, failure, ok, warning } from './finding.ts';
import { checkLine, optionInLine } from './sky-line.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const WRITE = 'run: ssm-proxy skypilot config --write';
/** Longest list of names in a line. */
const MAX_LISTED = 5;

export interface SkyFile {
  readonly path: string;
  /** Undefined: there is none, or it cannot be understood. */
  readonly config: SkyConfig | undefined;
  /** Why it cannot be understood. */
  readonly trouble: unknown;
}

export function readSkyConfig(env: Environment): SkyFile {
  const path = skyConfigPath(env);
  const text = readSkyFile(path);
  try {
    const config = text === undefined ? undefined : parseSkyConfig(text, path);
    return { path, config, trouble: undefined };
  } catch (trouble) {
    return { path, config: undefined, trouble };
  }
}

/** By region; undefined for all. */
export function linesOf({
  proxyCommand,
}: SkyAwsSettings): readonly (readonly [string | undefined, string])[] {
  if (proxyCommand === undefined) return [];
  return typeof proxyCommand === 'string' ? [[undefined, proxyCommand]] : [...proxyCommand];
}

export function checkSettings({ path, config, trouble }: SkyFile, env: Environment): readonly Finding[] {
  const id = 'sky-config.file';
  if (trouble !== undefined) return [failure(id, 'Config file', trouble)];
  if (config === undefined) return [failed(id, 'Config file', `there is no ${path}`, WRITE)];
  const { aws, regions } = config;
  const lines = linesOf(aws);
  const findings = [ok(id, 'Config file', path), internalIps(aws), ...useSsm(config)];
  for (const [region, { useInternalIps }] of regions) {
    if (useInternalIps === false && aws.useInternalIps === true)
      findings.push(
        warning(`sky-config.internal-ips.${region}`, 'Addresses', `use_internal_ips is off in ${region}`),
      );
  }
  if (lines.length === 0) {
    findings.push(failed('sky-line', 'Proxy line', 'aws.ssh_proxy_command is not set', WRITE));
  }
  if (lines.some(([region]) => region !== undefined)) {
    const names = lines.map(([region]) => region).join(', ');
    findings.push(ok('sky-config.regions', 'Regions', `SkyPilot launches in these only: ${names}`));
  }
  findings.push(...lines.flatMap(([region, line]) => checkLine(line, region, env)));
  findings.push(
    ...profileFindings(
      aws,
      lines.map(([, line]) => line),
      env,
    ),
  );
  if (config.hasRemoteApiServer) {
    findings.push(
      warning(
        'sky-config.api-server',
        'API server',
        'clusters are launched by another machine, with a config, a PATH and a profile of its own',
        'run this check there, too; here the line serves ssh and VS Code',
      ),
    );
  }
  return findings;
}

function internalIps({ useInternalIps }: SkyAwsSettings): Finding {
  const id = 'sky-config.internal-ips';
  if (useInternalIps === true) return ok(id, 'Addresses', 'use_internal_ips is on');
  return failed(
    id,
    'Addresses',
    'use_internal_ips is not on: SkyPilot gives nodes public addresses and connects to these',
    WRITE,
  );
}

function useSsm({ aws, regions }: SkyConfig): readonly Finding[] {
  const places = [
    ...(aws.useSsm === true ? ['aws.use_ssm'] : []),
    ...[...regions].flatMap(([region, { useSsm: isOn }]) =>
      isOn === true ? [`aws.region_configs.${region}.use_ssm`] : [],
    ),
  ];
  if (places.length === 0) return [];
  const id = 'sky-config.use-ssm';
  const text = places.join(', ');
  return [
    failed(id, 'use_ssm', `${text} is on, and SkyPilot refuses it together with ssh_proxy_command`, WRITE),
  ];
}

/** SkyPilot launches with AWS_PROFILE of its process; ssh mycluster runs from any shell. */
function profileFindings(
  { ssmProfile }: SkyAwsSettings,
  lines: readonly string[],
  env: Environment,
): readonly Finding[] {
  const id = 'sky-config.profile';
  const own = lines.filter(isOwnLine);
  const named = [...new Set(own.flatMap((line) => optionInLine(line, 'profile') ?? []))];
  if (ssmProfile !== undefined && !named.includes(ssmProfile) && own.length > 0) {
    const seen = `ssm_profile is ${ssmProfile}, which only use_ssm reads; the line does not name it`;
    return [warning(id, 'Profile', seen, WRITE)];
  }
  const ambient = env['AWS_PROFILE'];
  if (named.length > 0 || ambient === undefined || ambient === '' || own.length === 0) return [];
  return [
    warning(
      id,
      'Profile',
      `AWS_PROFILE is ${ambient} in this shell; ssh and VS Code from another one would use another profile`,
      `run: ssm-proxy skypilot config --write --profile ${ambient}`,
    ),
  ];
}

/** Clusters keep the line that they were launched with. */
export function checkClusters(env: Environment): readonly Finding[] {
  const id = 'sky-clusters';
  const hosts = generatedHosts(env).filter(({ proxyCommand }) => proxyCommand !== undefined);
  const old = [
    ...hosts.filter(({ proxyCommand }) => isAwsCliLine(proxyCommand ?? '')).map(({ name }) => name),
    ...generatedClusterFiles(env).filter(
      (file) => adoptClusterFile(file, readSkyFile(file) ?? '', () => '').length > 0,
    ),
  ];
  if (old.length > 0) {
    const more = old.length > MAX_LISTED ? `, and ${String(old.length - MAX_LISTED)} more` : '';
    const seen = `launched with a line of the AWS CLI, which stays: ${old.slice(0, MAX_LISTED).join(', ')}${more}`;
    return [warning(id, 'Clusters', seen, 'see what to change: ssm-proxy skypilot adopt')];
  }
  return [
    hosts.length === 0
      ? ok(id, 'Clusters', 'none has a proxy line yet')
      : ok(id, 'Clusters', `${String(hosts.length)} hosts, none with a line of the AWS CLI`),
  ];
}
