/**
 * Many `connect`s at once, each a process of its own, against an account that allows a few StartSession per second. The
 * emulator is a process of its own too: starting so many would keep this one from answering. It goes before them, since
 * the real AWS does not have to share two cores with its clients.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EmulatorState } from '../../src/emulator/controls.ts';
import { spawnCli } from './cli.ts';
import { startEmulatorProcess } from './emulator-process.ts';
import type { EmulatorProcess } from './emulator-process.ts';

export interface ManyOptions {
  readonly count: number;
  /** StartSession calls that the account allows per second; 3 may come at once. */
  readonly perSecond: number;
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
  /** Of the emulator, when all have ended. */
  readonly state: EmulatorState;
  /** How far each one came in from its place in the order of starts: the mean over all. */
  readonly meanDisplacement: number;
}

const MAX_NODES = 200;
const LOWEST_PRIORITY = 19;

/** Starts them all, lets each go when it has its banner, and waits for the last one. One runtime directory for all. */
export async function connectMany({ count, perSecond, args = [] }: ManyOptions): Promise<ManyResult> {
  const directory = mkdtempSync(join(tmpdir(), 'ssm-proxy-many-'));
  const emulator = await startEmulatorProcess(['--nodes', String(Math.min(MAX_NODES, count))]);
  try {
    const throttles = { 'ssm:StartSession': { perSecond, burst: 3 } };
    await control(emulator, 'PATCH', 'faults', { api: { throttles } });
    const env = { ...emulator.env, XDG_RUNTIME_DIR: directory, XDG_STATE_HOME: join(directory, 'state') };
    const addresses = emulator.facts.instances.map(({ privateIp }) => privateIp);
    const startedAt = performance.now();
    const all = await Promise.all(
      Array.from({ length: count }, (_each, index) =>
        connectOne(['connect', addresses[index % addresses.length] ?? '', ...args], env, startedAt),
      ),
    );
    const state = (await control(emulator, 'GET', 'state')) as EmulatorState;
    return { all, state, meanDisplacement: meanDisplacement(all) };
  } finally {
    await emulator.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function control(
  { facts }: EmulatorProcess,
  method: string,
  path: string,
  content?: unknown,
): Promise<unknown> {
  const answer = await fetch(new URL(path, facts.control), {
    method,
    ...(content !== undefined && { body: JSON.stringify(content) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
  return answer.json();
}

async function connectOne(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  zero: number,
): Promise<OneOfMany> {
  const startedMs = performance.now() - zero;
  const child = spawnCli(args, { env });
  if (child.pid !== undefined) setPriority(child.pid, LOWEST_PRIORITY);
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
