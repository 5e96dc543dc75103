/**
 * The ProxyCommand for an ssh config of the emulator: complete in itself, so that it works in any terminal whatever
 * AWS account that is set up for. The keys are in files beside it, never on a command line.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EmulatorDescription } from '../emulator/describe.ts';
import { selfCommand } from './self-command.ts';
import { shellWord } from './shell-word.ts';

export interface AwsFiles {
  readonly configFile: string;
  readonly credentialsFile: string;
}

const PROFILE = 'emulator';
/** Would lead elsewhere although profile, region and endpoint are given as options. */
const MISLEADING_VARIABLES = [
  'AWS_ENDPOINT_URL_SSMMESSAGES',
  'AWS_CA_BUNDLE',
  'AWS_USE_FIPS_ENDPOINT',
  'AWS_USE_DUALSTACK_ENDPOINT',
  'SSM_PROXY_SSMMESSAGES_ENDPOINT',
  'SSM_PROXY_VPC',
  'SSM_PROXY_TAG',
  'SSM_PROXY_DOCUMENT',
  'SSM_PROXY_PARAMETER',
];

/** An AWS config and a credentials file (0600) that know the emulator's user and nothing else. */
export async function writeAwsFiles(emulator: EmulatorDescription, directory: string): Promise<AwsFiles> {
  const { region, credentials } = emulator;
  const configFile = join(directory, 'aws-config');
  const credentialsFile = join(directory, 'aws-credentials');
  await writeFile(configFile, `[profile ${PROFILE}]\nregion = ${region}\n`, { mode: 0o600 });
  const keys = [
    `aws_access_key_id = ${credentials.accessKeyId}`,
    `aws_secret_access_key = ${credentials.secretAccessKey}`,
  ];
  await writeFile(credentialsFile, `[${PROFILE}]\n${keys.join('\n')}\n`, { mode: 0o600 });
  return { configFile, credentialsFile };
}

/** Up to the target. ssh replaces `%` sequences in it and gives the rest to a shell. */
export function connectCommand(emulator: EmulatorDescription, files: AwsFiles): string {
  const variables = {
    AWS_CONFIG_FILE: files.configFile,
    AWS_SHARED_CREDENTIALS_FILE: files.credentialsFile,
    NO_PROXY: '127.0.0.1',
    no_proxy: '127.0.0.1',
    ...(emulator.caFile === null ? {} : { AWS_CA_BUNDLE: emulator.caFile }),
  };
  const words = [
    'env',
    ...MISLEADING_VARIABLES.flatMap((name) => ['-u', name]),
    ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    ...selfCommand(),
    'connect',
    ...['--profile', PROFILE, '--region', emulator.region, '--endpoint-url', emulator.endpoint],
  ];
  return words.map(shellWord).join(' ').replaceAll('%', '%%');
}
