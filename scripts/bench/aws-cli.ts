/**
 * `ssh node true` with our ProxyCommand, beside what SkyPilot builds from the AWS CLI: `aws ec2 describe-instances`, then
 * `aws ssm start-session` with a Session Manager plugin. CPU time is that of all processes on this side. No latency.
 *
 *   BENCH_AWS_CLI                  the CLI; default /usr/bin/aws, where Debian's package has it
 *   BENCH_SESSION_MANAGER_PLUGIN   a plugin that opens stream URLs outside AWS (the official one: before 1.2.889.0)
 *
 * Without a plugin the pair ends before the session: its two commands alone, with a plugin that does nothing, are
 * compared with the whole `ssh` through ours.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cliPath } from '../../test/support/cli.ts';
import { until } from '../../test/support/until.ts';
import type { Cloud } from './cloud.ts';
import { startCloud } from './cloud.ts';
import type { BenchGroup, BenchOptions, Figure } from './figure.ts';
import type { CommandCost } from './process-cost.ts';
import { costOf } from './process-cost.ts';
import { pairedRatio, spread, takeTurns } from './samples.ts';

const ROUNDS = 15;
/** Of the pair's CPU time. */
const GOAL = 1 / 8;
const DEFAULT_CLI = '/usr/bin/aws';
/**
 * ssh does not wait for its ProxyCommand, so that counts its own time: arguments are a file for it and the command. ssh
 * sends HUP in the end; the command sees the end of its input instead.
 */
const METER = 'trap : HUP; file=$1; shift; TIMEFORMAT="%U %S"; exec 4>&2; { time "$@" 2>&4; } 2>"$file"';

export const awsCli: BenchGroup = {
  name: 'aws-cli',
  about: '`ssh node true` through ssm-proxy and through the AWS CLI with a plugin, over TLS, no latency',
  async run(options) {
    const cli = process.env['BENCH_AWS_CLI'] ?? DEFAULT_CLI;
    if (!existsSync(cli)) return [missing(`the AWS CLI is not there: BENCH_AWS_CLI=${cli}`)];
    const plugin = process.env['BENCH_SESSION_MANAGER_PLUGIN'];
    if (plugin !== undefined && !existsSync(plugin))
      return [missing(`BENCH_SESSION_MANAGER_PLUGIN=${plugin}`)];
    const cloud = await startCloud(['--tls', '--nodes', '1']);
    try {
      return await measure(new Ways(cloud, cli, plugin), plugin !== undefined, options);
    } finally {
      await cloud.close();
    }
  },
};

async function measure(ways: Ways, hasPlugin: boolean, { scale }: BenchOptions): Promise<readonly Figure[]> {
  const theirs = hasPlugin ? (): Promise<CommandCost> => ways.ssh('pair') : () => ways.pairAlone();
  // Fills the caches of both.
  await ways.ssh('ours');
  await theirs();
  const series = await takeTurns(Math.max(3, Math.round(ROUNDS * scale)), {
    ours: () => ways.ssh('ours'),
    theirs,
  });
  const of = (name: string, what: keyof CommandCost): number[] =>
    (series.get(name) ?? []).map((cost) => cost[what]);
  const other = hasPlugin ? 'through the pair' : 'of the pair’s two commands alone, its plugin doing nothing';
  return (['cpuMs', 'wallMs'] as const).map((what) => ({
    name: `${what === 'cpuMs' ? 'CPU' : 'wall'}, \`ssh node true\` through ssm-proxy over that ${other}`,
    value: pairedRatio(of('ours', what), of('theirs', what)),
    unit: 'x',
    ...(what === 'cpuMs' && { goal: { atMost: GOAL } }),
    note: `${spread(of('ours', what), 'ms')} over ${spread(of('theirs', what), 'ms')}; ${ways.version}`,
  }));
}

function missing(why: string): Figure {
  return {
    name: '`ssh node true` over the AWS CLI pair',
    value: undefined,
    unit: 'x',
    note: `skipped: ${why}`,
  };
}

/** Both ways to the node, as files that ssh can run. */
class Ways {
  readonly version: string;
  readonly #cloud: Cloud;
  readonly #env: Readonly<Record<string, string>>;

  constructor(cloud: Cloud, cli: string, plugin: string | undefined) {
    this.#cloud = cloud;
    const bin = this.#file('bin');
    mkdirSync(bin);
    symlinkSync(cli, join(bin, 'aws'));
    const name = join(bin, 'session-manager-plugin');
    if (plugin === undefined) {
      writeFileSync(name, '#!/bin/sh\nexit 0\n');
      chmodSync(name, 0o755);
    } else symlinkSync(plugin, name);
    const { region, endpoint, caFile } = cloud.facts;
    this.#env = {
      ...cloud.env,
      PATH: [bin, cloud.env['PATH'] ?? ''].join(delimiter),
      LANG: 'C.UTF-8',
      AWS_PAGER: '',
      AWS_DEFAULT_REGION: region,
      // For a plugin in Go.
      ...(caFile !== null && { SSL_CERT_FILE: caFile }),
    };
    this.version = plugin === undefined ? cli : `${cli} with ${plugin}`;
    const common = `--endpoint-url ${endpoint} --region ${region}`;
    const find = `aws ec2 describe-instances ${common} --filters Name=private-ip-address,Values="$1" --query 'Reservations[].Instances[].InstanceId' --output text`;
    const start = `aws ssm start-session --target "$(${find})" ${common} --document-name AWS-StartSSHSession --parameters portNumber="$2"`;
    writeFileSync(this.#file('pair'), `${start}\n`);
    writeFileSync(this.#file('meter'), `${METER}\n`);
    this.#writeConfig('ours', `${process.execPath} ${cliPath} connect %h %p`);
    this.#writeConfig('pair', `/bin/sh ${this.#file('pair')} %h %p`);
  }

  /** The whole of `ssh node true`: ssh, and its ProxyCommand with all that it starts. */
  async ssh(way: 'ours' | 'pair'): Promise<CommandCost> {
    const times = this.#file('times');
    rmSync(times, { force: true });
    const { wallMs, cpuMs } = await costOf(
      ['ssh', '-F', this.#file(`ssh-${way}`), this.#cloud.host, 'true'],
      this.#env,
    );
    const [user = NaN, system = NaN] = await until('the end of the ProxyCommand', () => {
      const text = existsSync(times) ? readFileSync(times, 'utf8') : '';
      return text.endsWith('\n') ? text.trim().split(' ').map(Number) : undefined;
    });
    return { wallMs, cpuMs: cpuMs + 1000 * (user + system) };
  }

  async pairAlone(): Promise<CommandCost> {
    const { wallMs, cpuMs } = await costOf(
      ['/bin/sh', this.#file('pair'), this.#cloud.host, '22'],
      this.#env,
    );
    return { wallMs, cpuMs };
  }

  #writeConfig(way: string, proxy: string): void {
    const { identityFile, sshUser } = this.#cloud;
    const lines = [
      ...['Host *', `User ${sshUser}`, `IdentityFile ${identityFile}`, 'IdentitiesOnly yes', 'BatchMode yes'],
      ...['StrictHostKeyChecking no', 'UserKnownHostsFile /dev/null', 'LogLevel ERROR'],
      `ProxyCommand bash ${this.#file('meter')} ${this.#file('times')} ${proxy}`,
    ];
    writeFileSync(this.#file(`ssh-${way}`), `${lines.join('\n')}\n`);
  }

  #file(name: string): string {
    return join(this.#cloud.directory, name);
  }
}
