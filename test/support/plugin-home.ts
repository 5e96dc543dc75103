/**
 * The drop-in session-manager-plugin as `ssm-proxy plugin install` puts it, first on the PATH of its callers, and the AWS
 * CLIs of this machine in front of the emulator.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { sdkClients } from './emulator-clients.ts';
import { findProgram } from './programs.ts';
import { StartSessionCommand } from '@aws-sdk/client-ssm';

/** Paths of the different programs by the name `aws`, the one that is found first first. */
export function awsClis(): readonly string[] {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = new Map<string, string>();
  for (const folder of folders) {
    try {
      const path = join(folder, 'aws');
      const real = realpathSync(path);
      if (!found.has(real)) found.set(real, path);
    } catch {
      // Not there.
    }
  }
  return [...found.values()];
}

/** For `{ skip }`. */
export const skipWithoutAws = findProgram('aws') === undefined && 'not installed: aws';

/** The variable in which newer AWS CLIs give the answer of StartSession. */
export const RESPONSE_VARIABLE = 'AWS_SSM_START_SESSION_RESPONSE';

export interface PluginHome {
  /** Path of the installed file. */
  readonly plugin: string;
  /** For programs that start the plugin, or `aws`. */
  readonly env: Readonly<Record<string, string>>;
  /** The environment with another AWS CLI. */
  envOf(aws: string): Readonly<Record<string, string>>;
}

/** Older AWS CLIs do not read AWS_ENDPOINT_URL: a wrapper gives it to them. */
export async function installPlugin(cluster: Cluster): Promise<PluginHome> {
  const folder = join(cluster.directory, 'plugin home');
  const { status, stdout, stderr } = await cluster.cli(['plugin', 'install', '--dir', folder]);
  assert.deepEqual([status, stderr], [0, '']);
  const plugin = join(folder, 'session-manager-plugin');
  assert.match(stdout.toString(), new RegExp(`^${plugin} is installed\\.\\n`));
  const envOf = (aws: string): Readonly<Record<string, string>> => {
    const wrapped = join(cluster.directory, `aws-${awsClis().indexOf(aws)}`);
    mkdirSync(wrapped, { recursive: true });
    writeFileSync(join(wrapped, 'aws'), `#!/bin/sh\nexec '${aws}' --endpoint-url "$AWS_ENDPOINT_URL" "$@"\n`);
    chmodSync(join(wrapped, 'aws'), 0o755);
    return {
      PATH: [wrapped, folder, process.env['PATH'] ?? ''].join(delimiter),
      AWS_DEFAULT_REGION: cluster.emulator.region,
      AWS_PAGER: '',
      LC_ALL: 'C.UTF-8',
      // Tells a version manager's wrapper where its versions are, if `aws` is one.
      ...(process.env['PYENV_ROOT'] === undefined ? {} : { PYENV_ROOT: process.env['PYENV_ROOT'] }),
    };
  };
  return { plugin, env: envOf(awsClis()[0] ?? ''), envOf };
}

export interface StartedByHand {
  readonly sessionId: string;
  readonly tokenValue: string;
  /** What the AWS CLI gives the plugin. */
  readonly response: string;
}

/** StartSession, as a caller of the plugin does it. */
export async function startSession(
  cluster: Cluster,
  request: {
    readonly Target: string;
    readonly DocumentName?: string;
    readonly Parameters?: Record<string, string[]>;
  },
): Promise<StartedByHand> {
  const clients = sdkClients(cluster.emulator);
  try {
    const {
      SessionId = '',
      TokenValue = '',
      StreamUrl = '',
    } = await clients.ssm.send(new StartSessionCommand(request));
    return {
      sessionId: SessionId,
      tokenValue: TokenValue,
      response: JSON.stringify({ SessionId, TokenValue, StreamUrl }),
    };
  } finally {
    clients.destroy();
  }
}
