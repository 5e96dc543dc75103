/** Files that make a running emulator usable from a shell: an ssh config and an environment to source. Mode 0600. */
import { writeFile } from 'node:fs/promises';
import * as path from 'node:path';
import type { EmulatorDescription } from './describe.ts';
import { ProxyError } from '../errors.ts';

export interface SshFiles {
  readonly configFile: string;
  readonly environmentFile: string;
}

export interface SshFilesOptions {
  /** The ProxyCommand up to the target, e.g. 'ssm-proxy connect'; ' %h %p' is added. */
  readonly command: string;
  readonly directory: string;
}

/** Writes `ssh_config` and `env` into the directory. Throws USAGE for paths that ssh config cannot hold. */
export async function writeSshConfig(
  emulator: EmulatorDescription,
  options: SshFilesOptions,
): Promise<SshFiles> {
  const configFile = path.join(options.directory, 'ssh_config');
  const environmentFile = path.join(options.directory, 'env');
  await writeFile(configFile, formatSshConfig(emulator, options.command), { mode: 0o600 });
  await writeFile(environmentFile, formatEnvironment(emulator), { mode: 0o600 });
  return { configFile, environmentFile };
}

/** Names of the nodes as host aliases, then everything an emulated node can be called. */
export function formatSshConfig(emulator: EmulatorDescription, command: string): string {
  const lines: string[] = [];
  for (const node of emulator.instances) {
    const names = [node.name, node.privateIp, node.instanceId].filter((name) => /^[\w.:-]+$/.test(name));
    lines.push(`Host ${names.join(' ')}`, `    User ${node.user}`);
    if (node.identityFile !== null) lines.push(`    IdentityFile ${quoted(node.identityFile)}`);
    lines.push('    IdentitiesOnly yes', '');
  }
  const [first] = emulator.instances;
  const patterns = ['10.*', 'i-*', 'mi-*', '*.internal', ...emulator.instances.map((node) => node.name)];
  lines.push(`Host ${patterns.filter((name) => /^[\w.*-]+$/.test(name)).join(' ')}`);
  if (first !== undefined) {
    lines.push(`    User ${first.user}`);
    if (first.identityFile !== null) lines.push(`    IdentityFile ${quoted(first.identityFile)}`);
  }
  lines.push(
    `    ProxyCommand ${command} %h %p`,
    '    IdentitiesOnly yes',
    '    PreferredAuthentications publickey',
    // Addresses and host keys are made up anew at every start.
    '    StrictHostKeyChecking no',
    '    UserKnownHostsFile /dev/null',
    '    GlobalKnownHostsFile /dev/null',
    '    LogLevel ERROR',
    '',
  );
  return lines.join('\n');
}

/** Lines for `. env`: everything the AWS SDK and CLI need, and nothing that points elsewhere. */
export function formatEnvironment(emulator: EmulatorDescription): string {
  const set = emulatorEnvironment(emulator);
  const lines = Object.entries(set).map(([name, value]) =>
    value === undefined ? `unset ${name}` : `export ${name}=${shellQuoted(value)}`,
  );
  return `${lines.join('\n')}\n`;
}

/** The environment as variables; undefined means: unset it. */
export function emulatorEnvironment(
  emulator: EmulatorDescription,
): Readonly<Record<string, string | undefined>> {
  return {
    AWS_ENDPOINT_URL: emulator.endpoint,
    AWS_REGION: emulator.region,
    AWS_DEFAULT_REGION: emulator.region,
    AWS_ACCESS_KEY_ID: emulator.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: emulator.credentials.secretAccessKey,
    AWS_SESSION_TOKEN: undefined,
    AWS_PROFILE: undefined,
    AWS_CA_BUNDLE: emulator.caFile ?? undefined,
    NO_PROXY: '127.0.0.1,localhost',
    no_proxy: '127.0.0.1,localhost',
  };
}

function quoted(file: string): string {
  if (/["\n]/.test(file))
    throw new ProxyError('USAGE', `ssh config cannot hold the path ${JSON.stringify(file)}`);
  // '%' starts a token in IdentityFile.
  return `"${file.replaceAll('%', '%%')}"`;
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
