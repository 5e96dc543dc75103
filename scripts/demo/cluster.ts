/** The emulator in a process of its own, started as anybody would: `ssm-proxy emulator --json`. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { get } from 'node:http';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { EmulatorState } from '../../src/emulator/controls.ts';
import type { EmulatorDescription } from '../../src/emulator/describe.ts';
import { withoutOurVariables } from './program.ts';

export interface ClusterFacts extends EmulatorDescription {
  readonly sshConfig: string;
}

export interface Cluster {
  readonly facts: ClusterFacts;
  /** What the AWS side has seen. */
  state(): Promise<EmulatorState>;
  /** Ends it. Rejects if it left anything behind. */
  stop(): Promise<void>;
}

/** Built to build/, beside dist/. */
const cliPath = fileURLToPath(new URL('../dist/cli.cjs', import.meta.url));
const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 10_000;

export async function startCluster(signal: AbortSignal): Promise<Cluster> {
  const child = spawn(process.execPath, [cliPath, 'emulator', '--json', '--nodes', '3'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // It starts once: no cache of compiled code in the caller's home.
    env: { ...withoutOurVariables(process.env), XDG_CACHE_HOME: '/dev/null' },
  });
  const exited = once(child, 'exit');
  const limit = setTimeout(() => child.kill(), START_LIMIT_MS);
  try {
    const facts = await firstLine(child, signal);
    clearTimeout(limit);
    return {
      facts,
      state: () => readState(facts.control),
      async stop() {
        await end(child, exited);
        if (existsSync(facts.sshConfig)) throw new Error(`the emulator left ${facts.sshConfig} behind`);
      },
    };
  } catch (error) {
    clearTimeout(limit);
    await end(child, exited);
    throw error;
  }
}

type EmulatorProcess = ChildProcessByStdio<null, Readable, null>;

async function firstLine(child: EmulatorProcess, signal: AbortSignal): Promise<ClusterFacts> {
  const lines = createInterface({ input: child.stdout });
  try {
    const line = once(lines, 'line', { signal }) as Promise<[string]>;
    const [json] = await Promise.race([
      line,
      once(lines, 'close', { signal }).then(() => Promise.reject(new Error('the emulator did not start'))),
    ]);
    return JSON.parse(json) as ClusterFacts;
  } finally {
    lines.close();
    // Nothing more is expected, but a full pipe must not stop it.
    child.stdout.resume();
  }
}

async function end(child: EmulatorProcess, exited: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  const limit = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await exited;
  clearTimeout(limit);
}

async function readState(control: string): Promise<EmulatorState> {
  const [response] = (await once(get(`${control}state`, { agent: false }), 'response')) as [Readable];
  return JSON.parse(await text(response)) as EmulatorState;
}
