/** Many `connect`s at once, each a process of its own, against an account that allows a few StartSession per second. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Emulator } from '../../src/emulator/server.ts';
import type { CallCount } from '../../src/emulator/call-log.ts';
import { spawnCli } from './cli.ts';

export interface ManyOptions {
  readonly count: number;
  /** Added to each command line. */
  readonly args?: readonly string[];
}

/** One `connect`, in the order of their starts. Times in ms from the first start. */
export interface OneOfMany {
  readonly startedMs: number;
  /** When its first bytes came; undefined if none did. */
  readonly bannerMs: number | undefined;
  readonly banner: string;
  readonly status: number | null;
  readonly stderr: string;
}

export interface ManyResult {
  readonly all: readonly OneOfMany[];
  /** API calls of all of them, by 'service:Operation'. */
  readonly calls: Readonly<Record<string, Readonly<CallCount>>>;
  /** How far each one came in from its place in the order of starts: the mean over all. */
  readonly meanDisplacement: number;
}

/** Starts them all, lets each go when it has its banner, and waits for the last one. One runtime directory for all. */
export async function connectMany(
  emulator: Emulator,
  { count, args = [] }: ManyOptions,
): Promise<ManyResult> {
  const runtimeDirectory = mkdtempSync(join(tmpdir(), 'ssm-proxy-many-'));
  const env = {
    AWS_ENDPOINT_URL: emulator.endpoint,
    AWS_REGION: emulator.region,
    AWS_ACCESS_KEY_ID: emulator.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: emulator.credentials.secretAccessKey,
    XDG_RUNTIME_DIR: runtimeDirectory,
    XDG_STATE_HOME: join(runtimeDirectory, 'state'),
  };
  const addresses = emulator.instances.map(({ privateIp }) => privateIp);
  const startedAt = performance.now();
  try {
    const all = await Promise.all(
      Array.from({ length: count }, (_each, index) =>
        connectOne(['connect', addresses[index % addresses.length] ?? '', ...args], env, startedAt),
      ),
    );
    return { all, calls: emulator.controls.state().calls, meanDisplacement: meanDisplacement(all) };
  } finally {
    rmSync(runtimeDirectory, { recursive: true, force: true });
  }
}

async function connectOne(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  zero: number,
): Promise<OneOfMany> {
  const startedMs = performance.now() - zero;
  const child = spawnCli(args, { env });
  let bannerMs: number | undefined;
  let banner = '';
  let stderr = '';
  child.stdin.on('error', () => {});
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  child.stdout.on('data', (data: Buffer) => {
    bannerMs ??= performance.now() - zero;
    banner += data.toString();
    child.stdin.end();
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { startedMs, bannerMs, banner, status, stderr };
}

function meanDisplacement(all: readonly OneOfMany[]): number {
  const arrivals = all
    .map(({ bannerMs = Infinity }, start) => ({ bannerMs, start }))
    .sort((a, b) => a.bannerMs - b.bannerMs);
  const sum = arrivals.reduce((total, { start }, arrival) => total + Math.abs(start - arrival), 0);
  return all.length === 0 ? 0 : sum / all.length;
}
