/** What this machine brings along: Node.js, OpenSSH, and whether ssh would come our way for the target. */
import { execFile } from 'node:child_process';
import { parseTarget } from '../aws/target.ts';
import { VERSION } from '../version.ts';
import type { Finding } from './finding.ts';
import { ok, warning } from './finding.ts';

/** Oldest Node.js that this program supports; also `engines` of package.json. */
const OLDEST_NODE = 20;
const RUN_LIMIT_MS = 3_000;

export async function checkLocalTools(
  env: NodeJS.ProcessEnv,
  target: string | undefined,
): Promise<readonly Finding[]> {
  const [version, config] = await Promise.all([
    run('ssh', ['-V'], env),
    target === undefined ? undefined : run('ssh', ['-G', '--', target], env),
  ]);
  return [node(), ssh(version), ...(config === undefined ? [] : [sshConfig(config, target ?? '')])];
}

function node(): Finding {
  const { node: running } = process.versions;
  const seen = `Node.js ${running}, ssm-proxy ${VERSION}, ${process.platform} ${process.arch}`;
  if (Number.parseInt(running, 10) >= OLDEST_NODE) return ok('local.node', 'Program', seen);
  return warning('local.node', 'Program', seen, `use Node.js ${String(OLDEST_NODE)} or newer`);
}

function ssh({ output, isFound }: Ran): Finding {
  if (isFound) return ok('local.ssh', 'ssh', output.trim().split(/\r?\n/, 1)[0] ?? '');
  return warning(
    'local.ssh',
    'ssh',
    'no ssh in PATH: the connections that other programs make are not concerned',
    'install OpenSSH (Debian: apt install openssh-client)',
  );
}

/** As ssh itself reads its files. */
function sshConfig({ output, isFound }: Ran, target: string): Finding {
  const proxy = /^proxycommand (.*)$/im.exec(output)?.[1];
  const what = 'ssh config';
  if (proxy !== undefined && /\bconnect\b.*%h/.test(proxy)) return ok('local.ssh-config', what, proxy);
  const seen = !isFound
    ? 'ssh does not read its files'
    : proxy === undefined || proxy === 'none'
      ? `ssh ${target} would connect directly`
      : `ssh ${target} would use: ${proxy}`;
  const id = 'local.ssh-config';
  const { kind } = parseTarget(target);
  if (kind === 'name' || kind === 'publicDns') {
    const lines = `"Host ${target}" and below it "ProxyCommand ssm-proxy connect %h %p"`;
    return warning(id, what, seen, `put into ~/.ssh/config: ${lines}`);
  }
  return { ...warning(id, what, seen, 'run: ssm-proxy ssh-config --write'), mend: { kind: 'ssh-config' } };
}

interface Ran {
  /** Both outputs: ssh -V speaks on stderr. */
  readonly output: string;
  readonly isFound: boolean;
}

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { env, timeout: RUN_LIMIT_MS, killSignal: 'SIGKILL', encoding: 'utf8' } as const;
    const child = execFile(program, [...args], options, (error, stdout, stderr) => {
      resolve({ output: `${stdout}${stderr}`, isFound: error === null });
    });
    child.stdin?.end();
  });
}
