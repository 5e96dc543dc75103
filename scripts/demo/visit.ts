/** One ssh to one node, with what both sides say about it: the proxy's log and the AWS side's own record. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EmulatorState } from '../../src/emulator/controls.ts';
import type { DescribedInstance } from '../../src/emulator/describe.ts';
import type { Cluster } from './cluster.ts';
import { runProgram } from './program.ts';

/** ssh -v says so when the banner of the far end has arrived. */
const BANNER_LINE = /^debug1: Remote protocol version/m;

/** Lines that tell what happened. Rejects if anything is not as it should be. */
export async function visitNode(
  cluster: Cluster,
  node: DescribedInstance,
  folder: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const logFile = join(folder, `${node.name}.log`);
  const before = await cluster.state();
  const ran = await runProgram('ssh', ['-v', '-F', cluster.facts.sshConfig, node.privateIp, 'hostname'], {
    env: { SSM_PROXY_LOG_FILE: logFile, SSM_PROXY_LOG_LEVEL: 'info' },
    folder,
    signal,
    watchFor: BANNER_LINE,
  });
  const after = await cluster.state();
  const log = await readFile(logFile, 'utf8');

  const resolved = fieldOf(log, 'resolved', 'instanceId');
  if (resolved !== node.instanceId) throw new Error(`${node.privateIp} was resolved to ${resolved}`);
  const sessionId = fieldOf(log, 'session_started', 'sessionId');
  const session = after.sessions.find((known) => known.sessionId === sessionId);
  if (session?.target !== node.instanceId)
    throw new Error(`the AWS side has no session ${sessionId} on ${resolved}`);
  if (ran.watchedAfterMs === undefined) throw new Error('ssh did not see a banner');
  const output = ran.stdout.trim();
  if (output !== node.name) throw new Error(`the remote command said ${JSON.stringify(output)}`);

  const requests = requestsBetween(before, after);
  return [
    `resolved ${node.privateIp} to ${resolved}`,
    `session ${sessionId}, document ${session.documentName}, port ${session.parameters['portNumber'] ?? ''}`,
    `${requests.length} round trips to AWS: ${requests.join(', ')}`,
    `${Math.round(ran.watchedAfterMs)} ms from the start of ssh to the banner of its SSH server`,
    `the remote command printed: ${output}`,
  ];
}

/** Requests of this visit up to the SSH bytes, as the AWS side counted them. What ends a session comes later. */
function requestsBetween(before: EmulatorState, after: EmulatorState): readonly string[] {
  const calls = Object.entries(after.calls)
    .filter(([operation]) => operation !== 'ssm:TerminateSession')
    .flatMap(([operation, { calls: count }]) => {
      const more = count - (before.calls[operation]?.calls ?? 0);
      return Array.from({ length: more }, () => operation);
    });
  const opens = after.opens.length - before.opens.length;
  return [...calls, ...Array.from({ length: opens }, () => 'data channel')];
}

/** A field of the first event of that name in a log. */
function fieldOf(log: string, event: string, field: string): string {
  const line = log.split('\n').find((text) => new RegExp(`^\\S+ \\w+ ${event} `).test(text));
  const [, value] = new RegExp(` ${field}=(\\S+)`).exec(line ?? '') ?? [];
  if (value === undefined) throw new Error(`the log of ssm-proxy has no ${field} of ${event}`);
  return value;
}
