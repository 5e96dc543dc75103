/** `ssm-proxy emulator --json` as a launcher runs it: the built program in a process of its own. */
import assert from 'node:assert/strict';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { EmulatorDescription } from '../../src/emulator/describe.ts';
import { spawnCli } from './cli.ts';

export interface EmulatorProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly line: string;
  readonly facts: EmulatorDescription & { readonly sshConfig: string };
  /** What an AWS client needs to find it. */
  readonly env: Readonly<Record<string, string>>;
  /** Sends the signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<{ readonly status: number | null; readonly stderr: string }>;
}

export async function startEmulatorProcess(args: readonly string[] = []): Promise<EmulatorProcess> {
  const child = spawnCli(['emulator', '--json', ...args]);
  child.stdin.end();
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const closed = once(child, 'close');
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([once(lines, 'line'), closed])) as [unknown];
  assert.ok(typeof line === 'string', `the emulator did not start: ${stderr}`);
  const facts = JSON.parse(line) as EmulatorProcess['facts'];
  return {
    child,
    line,
    facts,
    env: {
      AWS_ENDPOINT_URL: facts.endpoint,
      AWS_REGION: facts.region,
      AWS_ACCESS_KEY_ID: facts.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: facts.credentials.secretAccessKey,
      ...(facts.caFile === null ? {} : { AWS_CA_BUNDLE: facts.caFile }),
    },
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const [status] = (await closed) as [number | null];
      return { status, stderr };
    },
  };
}
