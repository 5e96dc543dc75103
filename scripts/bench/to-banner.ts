/** One `connect` up to the first byte of the far end: by then its WebSocket has been open for two round trips. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpuMsOf, peakMemoryOf } from './process-cost.ts';

export interface FirstByteCost {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakMebibytes: number;
}

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
