/**
 * One `connect` up to a moment, and what it has cost until then: the first byte of the far end, by when its WebSocket has
 * been open for two round trips; or the opening itself.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { EmulatorState } from '../../src/emulator/controls.ts';
import { defaultFaults } from '../../src/emulator/faults.ts';
import { cliPath } from '../../test/support/cli.ts';
import type { Cloud } from './cloud.ts';
import { cpuMsOf, peakMemoryOf } from './process-cost.ts';

export interface FirstByteCost {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakMebibytes: number;
}

/** The agent says nothing for so long after StartSession: what has sent its token then waits. */
const SILENCE_MS = 5_000;
const LOOK_MS = 5;

export type Environment = Readonly<Record<string, string>>;

/** Starts the program and looks at it in the moment of its first byte on stdout; then its input ends, and so does it. */
export async function untilFirstByte(command: readonly string[], env: Environment): Promise<FirstByteCost> {
  const [program = '', ...args] = command;
  const startedAt = performance.now();
  const child = spawn(program, args, { env });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  child.stdin.on('error', () => {});
  const closed = once(child, 'close') as Promise<[number | null]>;
  const cost = await Promise.race([costAtFirstByte(child, startedAt), closed]);
  if (Array.isArray(cost)) throw new Error(`${command.join(' ')} ended with ${cost[0]}: ${stderr}`);
  child.stdin.end();
  child.stdout.resume();
  await closed;
  return cost;
}

async function costAtFirstByte(
  { stdout, pid = 0 }: ChildProcessWithoutNullStreams,
  startedAt: number,
): Promise<FirstByteCost> {
  await once(stdout, 'data');
  const wallMs = performance.now() - startedAt;
  return { wallMs, cpuMs: cpuMsOf(pid), peakMebibytes: peakMemoryOf(pid) };
}

/**
 * Starts a `connect` and looks at it when the service has its token, the first message over the open WebSocket; then it
 * is ended. Nothing happens in it until then and the look, since the agent stays silent. The wall time is not measured.
 */
export async function untilOpen(cloud: Cloud, env: Environment): Promise<Omit<FirstByteCost, 'wallMs'>> {
  const boundOpens = async (): Promise<number> => {
    const { opens } = (await cloud.control('GET', 'state')) as EmulatorState;
    return opens.filter(({ outcome }) => outcome === 'bound').length;
  };
  await cloud.control('PATCH', 'faults', { agent: { startDelayMs: SILENCE_MS } });
  const before = await boundOpens();
  const child = spawn(process.execPath, [cliPath, 'connect', cloud.host], { env, stdio: 'pipe' });
  const closed = once(child, 'close');
  while ((await boundOpens()) === before) {
    if (child.exitCode !== null)
      throw new Error(`connect ended with ${child.exitCode} before its WebSocket was open`);
    await delay(LOOK_MS);
  }
  const { pid = 0 } = child;
  const cost = { cpuMs: cpuMsOf(pid), peakMebibytes: peakMemoryOf(pid) };
  child.kill('SIGTERM');
  await closed;
  await cloud.control('PATCH', 'faults', { agent: { startDelayMs: defaultFaults().agent.startDelayMs } });
  return cost;
}
