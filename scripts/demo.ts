/**
 * `npm run demo`: real ssh and scp, through the real built `ssm-proxy connect`, to a private cluster that the emulator
 * plays. Says what happens, checks that it is so, and leaves nothing behind. Exit status 0 only if all of it held.
 *
 *   npm run demo             the tour
 *   npm run demo -- --keep   the same, then the cluster stays up until Ctrl-C
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster } from './demo/cluster.ts';
import type { Cluster } from './demo/cluster.ts';
import { copyBothWays } from './demo/copy.ts';
import { visitNode } from './demo/visit.ts';
import { hasProgram } from './demo/program.ts';

const COPY_BYTES = 1024 * 1024;
/** Longest time until the emulator has seen the end of every session. Milliseconds. */
const SESSIONS_END_MS = 5000;

/** Returns the exit status. */
export async function runDemo(args: readonly string[]): Promise<number> {
  const keep = args.includes('--keep');
  const unknown = args.find((arg) => arg !== '--keep');
  if (unknown !== undefined) {
    process.stderr.write(`demo: there is no option ${unknown}; there is --keep\n`);
    return 2;
  }
  if (!hasProgram('ssh') || !hasProgram('scp')) {
    process.stderr.write(
      'demo: it needs an OpenSSH client (ssh and scp), which this machine does not have\n',
    );
    return 1;
  }
  const stopped = new AbortController();
  let status = 0;
  const stop = (signal: NodeJS.Signals): void => {
    status ||= signal === 'SIGINT' ? 130 : 143;
    stopped.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  // A terminal that was closed must not keep it from cleaning up.
  process.stdout.on('error', () => stopped.abort());
  const folder = await mkdtemp(join(tmpdir(), 'ssm-proxy-demo-'));
  try {
    await tour(folder, keep, stopped.signal, () => (status = 0));
    return status;
  } catch (error) {
    if (stopped.signal.aborted) return status;
    process.stdout.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function tour(
  folder: string,
  keep: boolean,
  signal: AbortSignal,
  leaveInPeace: () => void,
): Promise<void> {
  say('SSH to private nodes through SSM. No AWS account is used, and nothing leaves this machine.', '');
  const cluster = await startCluster(signal);
  try {
    const { region, endpoint, instances } = cluster.facts;
    say(
      `The emulator plays AWS in ${region} at ${endpoint}. Its instances, at addresses that do not exist here:`,
    );
    for (const { name, privateIp, instanceId } of instances)
      say(`  ${name.padEnd(14)} ${privateIp}  ${instanceId}`);
    for (const node of instances) {
      say('', `$ ssh ${node.privateIp} hostname`);
      for (const line of await visitNode(cluster, node, folder, signal)) say(`  ${line}`);
    }
    const [first] = instances;
    if (first === undefined) throw new Error('the emulator has no instance');
    say('', `$ scp file ${first.privateIp}:copy && scp ${first.privateIp}:copy back`);
    for (const line of await copyBothWays(cluster, first, folder, COPY_BYTES, signal)) say(`  ${line}`);
    say('', await allSessionsEnded(cluster));
    if (keep) await keepUntilSignal(cluster, signal, leaveInPeace);
  } finally {
    await cluster.stop();
  }
  say('The emulator has ended, and its files are gone.', 'All of it worked.');
}

/** Waits for what follows the end of ssh: each session is terminated. */
async function allSessionsEnded(cluster: Cluster): Promise<string> {
  const startedAt = performance.now();
  for (;;) {
    const { sessions, openSockets } = await cluster.state();
    const open = sessions.filter(({ status }) => status !== 'Terminated');
    if (open.length === 0 && openSockets === 0)
      return `All ${sessions.length} sessions are terminated on the AWS side.`;
    if (performance.now() - startedAt > SESSIONS_END_MS) {
      throw new Error(`${open.length} sessions and ${openSockets} sockets are still open on the AWS side`);
    }
    await delay(20);
  }
}

async function keepUntilSignal(
  cluster: Cluster,
  signal: AbortSignal,
  leaveInPeace: () => void,
): Promise<void> {
  const [first] = cluster.facts.instances;
  say('', 'The cluster stays up until Ctrl-C. From any terminal, by name, private IP or instance ID:', '');
  say(`  ssh -F '${cluster.facts.sshConfig}' ${first?.privateIp ?? ''}`, '');
  if (!signal.aborted)
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  leaveInPeace();
  say('');
}

function say(...lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}
