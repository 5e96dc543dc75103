/**
 * What sharing saves: a series of `ssh node true`, one after the other and at once, on sessions of their own, on a shared
 * one (`connect --share`), and through ssh's own ControlMaster; with the round trip to AWS that `LATENCIES` says.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EmulatorState } from '../../src/emulator/controls.ts';
import { cliPath } from '../../test/support/cli.ts';
import { median } from '../measure/resources.ts';
import { startCloud } from './cloud.ts';
import type { Cloud } from './cloud.ts';
import type { BenchGroup, BenchOptions, Figure } from './figure.ts';
import { keeperFigures } from './keeper-cost.ts';
import { costOf } from './process-cost.ts';
import { pairedRatio, spread, takeTurns } from './samples.ts';
import { untilFirstByte } from './to-banner.ts';

/** Round trips in ms. */
const LATENCIES = [0, 50, 100];
const IN_A_ROW = 100;
const AT_ONCE = 50;
const BANNERS = 15;

type Way = 'own' | 'shared' | 'controlmaster';

export const sharing: BenchGroup = {
  name: 'sharing',
  about: 'Many `ssh node true`: sessions of their own, a shared one, and ssh’s own ControlMaster',
  async run(options) {
    const figures: Figure[] = [];
    for (const roundTripMs of LATENCIES) {
      const bench = await SharingBench.start(roundTripMs);
      try {
        figures.push(...(await bench.figures(options)));
      } finally {
        await bench.close();
      }
    }
    return [...figures, ...(await keeperFigures(options.scale))];
  },
};

class SharingBench {
  readonly #cloud: Cloud;
  readonly #roundTripMs: number;

  static async start(roundTripMs: number): Promise<SharingBench> {
    const cloud = await startCloud(['--nodes', '2']);
    await cloud.control('PATCH', 'faults', {
      link: { latencyMs: roundTripMs / 2 },
      api: { latencyMs: roundTripMs },
    });
    return new SharingBench(cloud, roundTripMs);
  }

  private constructor(cloud: Cloud, roundTripMs: number) {
    this.#cloud = cloud;
    this.#roundTripMs = roundTripMs;
    for (const way of ['own', 'shared', 'controlmaster'] as const) {
      writeFileSync(this.#config(way), this.#configText(way));
    }
  }

  async figures({ scale }: BenchOptions): Promise<readonly Figure[]> {
    const figures: Figure[] = [];
    const at = `at ${this.#roundTripMs} ms`;
    const count = Math.max(5, Math.round(IN_A_ROW * scale));
    const rows = {
      own: await this.#inARow('own', count),
      shared: await this.#inARow('shared', count),
      controlmaster: await this.#inARow('controlmaster', count),
    };
    const burst = Math.max(5, Math.round(AT_ONCE * scale));
    const bursts = { own: await this.#atOnce('own', burst), shared: await this.#atOnce('shared', burst) };
    figures.push(
      compared(`${count} in a row ${at}, wall time, shared over own`, rows.own, rows.shared),
      compared(
        `${count} in a row ${at}, wall time, shared over ControlMaster`,
        rows.controlmaster,
        rows.shared,
      ),
      calls(`${count} in a row ${at}, StartSession calls`, rows.shared.calls, rows.own.calls),
      compared(`${burst} at once ${at}, wall time, shared over own`, bursts.own, bursts.shared),
      calls(`${burst} at once ${at}, StartSession calls`, bursts.shared.calls, bursts.own.calls),
      ...(await this.#banner(scale)),
    );
    return figures;
  }

  async close(): Promise<void> {
    await costOf([process.execPath, cliPath, 'stop'], this.#cloud.env).catch(() => {});
    await this.#cloud.close();
  }

  async #inARow(way: Way, count: number): Promise<Series> {
    const before = await this.#startCalls();
    const script = `for i in $(seq ${count}); do ssh -F "$1" "$2" true || exit 1; done`;
    const command = ['bash', '-c', script, 'bash', this.#config(way), this.#cloud.host];
    const { wallMs } = await costOf(command, this.#cloud.env);
    return { wallMs, calls: (await this.#startCalls()) - before };
  }

  async #atOnce(way: Way, count: number): Promise<Series> {
    const before = await this.#startCalls();
    const script = `for i in $(seq ${count}); do ssh -F "$1" "$2" true & pids="$pids $!"; done; for p in $pids; do wait $p || exit 1; done`;
    const command = ['bash', '-c', script, 'bash', this.#config(way), this.#cloud.host];
    const { wallMs } = await costOf(command, this.#cloud.env);
    return { wallMs, calls: (await this.#startCalls()) - before };
  }

  /** From the start of the process to sshd's first byte, on a session that is there. */
  async #banner(scale: number): Promise<readonly Figure[]> {
    const { env, host } = this.#cloud;
    const own = [process.execPath, cliPath, 'connect', host];
    const shared = [process.execPath, cliPath, 'connect', '--share', host];
    const series = await takeTurns(Math.max(3, Math.round(BANNERS * scale)), {
      own: () => untilFirstByte(own, env),
      shared: () => untilFirstByte(shared, env),
    });
    const of = (name: string, what: 'wallMs' | 'cpuMs'): number[] =>
      (series.get(name) ?? []).map((cost) => cost[what]);
    const walls = of('shared', 'wallMs');
    return [
      {
        name: `time to banner of a shared connection at ${this.#roundTripMs} ms`,
        value: median(walls),
        unit: 'ms',
        goal: { atMost: 1.2 * this.#roundTripMs + 60 },
        note: `${spread(walls, 'ms')}; own ${spread(of('own', 'wallMs'), 'ms')}`,
      },
      {
        name: `CPU time to banner at ${this.#roundTripMs} ms, shared over own`,
        value: pairedRatio(of('shared', 'cpuMs'), of('own', 'cpuMs')),
        unit: 'x',
        note: `${spread(of('shared', 'cpuMs'), 'ms')} over ${spread(of('own', 'cpuMs'), 'ms')}`,
      },
    ];
  }

  async #startCalls(): Promise<number> {
    const state = (await this.#cloud.control('GET', 'state')) as EmulatorState;
    return state.calls['ssm:StartSession']?.succeeded ?? 0;
  }

  #config(way: Way): string {
    return join(this.#cloud.directory, `ssh-${way}`);
  }

  #configText(way: Way): string {
    const { host, sshUser, identityFile, directory } = this.#cloud;
    const share = way === 'shared' ? ' --share' : '';
    const master = ['  ControlMaster auto', `  ControlPath ${directory}/cm-%C`, '  ControlPersist 30'];
    return [
      `Host ${host}`,
      `  User ${sshUser}`,
      `  IdentityFile ${identityFile}`,
      `  ProxyCommand ${process.execPath} ${cliPath} connect${share} %h %p`,
      '  StrictHostKeyChecking no',
      '  UserKnownHostsFile /dev/null',
      '  LogLevel ERROR',
      '  ConnectTimeout 120',
      ...(way === 'controlmaster' ? master : []),
      '',
    ].join('\n');
  }
}

interface Series {
  readonly wallMs: number;
  readonly calls: number;
}

function compared(name: string, over: Series, of: Series): Figure {
  const seconds = ({ wallMs }: Series): string => `${(wallMs / 1000).toFixed(1)} s`;
  return { name, value: of.wallMs / over.wallMs, unit: 'x', note: `${seconds(of)} over ${seconds(over)}` };
}

function calls(name: string, shared: number, own: number): Figure {
  return { name, value: shared, unit: 'calls', goal: { atMost: 2 }, note: `${own} on sessions of their own` };
}
