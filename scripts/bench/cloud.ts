/**
 * The AWS side of a benchmark: the emulator as a process of its own, with a real sshd behind its first node where one is
 * installed, and an environment for clients that knows nothing else of this machine. NODE_EXTRA_CA_CERTS is not in it.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentBehaviour, DialAddress } from '../../src/emulator/agent-link.ts';
import type { EmulatedInstance } from '../../src/emulator/instance.ts';
import { startEmulatorProcess } from '../../test/support/emulator-process.ts';
import type { EmulatorProcess } from '../../test/support/emulator-process.ts';
import { findProgram } from '../../test/support/programs.ts';
import type { Sshd } from '../../test/support/sshd.ts';
import { startSshd } from '../../test/support/sshd.ts';

export interface Node {
  readonly instanceId: string;
  readonly privateIp: string;
}

export interface Cloud {
  readonly facts: EmulatorProcess['facts'];
  /** For clients: PATH, a home, the XDG folders, region, keys, endpoint and trust. */
  readonly env: Readonly<Record<string, string>>;
  /** Private, for the benchmark's own files. */
  readonly directory: string;
  /** Private IP of the node with sshd behind it. */
  readonly host: string;
  /** For `ssh -i`, as `sshUser`. */
  readonly identityFile: string;
  readonly sshUser: string;
  /** The emulator's control interface: `PATCH`, `faults`, `{ link: { latencyMs: 50 } }`. */
  control(method: string, path: string, content?: unknown): Promise<unknown>;
  /** A further instance; its ports lead where `dial` says. */
  addNode(dial: Readonly<Record<string, DialAddress>>, behaviour?: Partial<AgentBehaviour>): Promise<Node>;
  close(): Promise<void>;
}

/** `args`: of `ssm-proxy emulator`. */
export async function startCloud(args: readonly string[] = []): Promise<Cloud> {
  const directory = mkdtempSync(join(tmpdir(), 'ssm-proxy-bench-'));
  const folder = (name: string): string => {
    mkdirSync(join(directory, name), { mode: 0o700 });
    return join(directory, name);
  };
  const sshd = findProgram('sshd') === undefined ? undefined : await startSshd(folder('sshd'));
  const target = sshd === undefined ? [] : ['--ssh-target', `${sshd.host}:${sshd.port}`];
  const emulator = await startEmulatorProcess([...args, ...target]);
  let added = 0;
  const [node] = emulator.facts.instances;
  if (node === undefined) throw new Error('the emulator has no node');
  return {
    facts: emulator.facts,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: folder('home'),
      XDG_CACHE_HOME: folder('cache'),
      XDG_RUNTIME_DIR: folder('run'),
      XDG_STATE_HOME: folder('state'),
      AWS_EC2_METADATA_DISABLED: 'true',
      ...emulator.env,
    },
    directory,
    host: node.privateIp,
    ...sshIdentity(sshd, node),
    control: (method, path, content) => callControl(emulator, method, path, content),
    async addNode(dial, behaviour = {}) {
      added += 1;
      const spec = { privateIp: `10.77.${added >> 8}.${added & 255}`, dial, behaviour };
      const { instanceId } = (await callControl(emulator, 'POST', 'instances', spec)) as EmulatedInstance;
      return { instanceId, privateIp: spec.privateIp };
    },
    async close() {
      await emulator.stop();
      await sshd?.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function sshIdentity(
  sshd: Sshd | undefined,
  node: EmulatorProcess['facts']['instances'][number],
): Pick<Cloud, 'identityFile' | 'sshUser'> {
  if (sshd !== undefined) return { identityFile: sshd.identityFile, sshUser: sshd.user };
  return { identityFile: node.identityFile ?? '', sshUser: node.user };
}

async function callControl(
  { facts }: EmulatorProcess,
  method: string,
  path: string,
  content: unknown,
): Promise<unknown> {
  const answer = await fetch(new URL(path, facts.control), {
    method,
    ...(content !== undefined && { body: JSON.stringify(content) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
  return answer.json();
}
