/**
 * Whether cost grows with what there is: CPU time per byte with the size of a transfer, per connection with their number,
 * per lookup with the instances of the account.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Emulator } from '../../src/emulator/server.ts';
import { startEmulator } from '../../src/emulator/server.ts';
import { cliPath } from '../../test/support/cli.ts';
import type { Cloud } from './cloud.ts';
import { startCloud } from './cloud.ts';
import { Connected } from './connected.ts';
import { startGreeter, startSource } from './far-end.ts';
import type { BenchGroup, Figure } from './figure.ts';
import { connectCrowd, disperse, memoryOfCrowd } from './many.ts';
import { peakMemoryOf } from './process-cost.ts';
import { pairedRatio, spread, takeTurns } from './samples.ts';
import { untilFirstByte } from './to-banner.ts';

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * 1024;
/** The last two only from a scale of 0.1 and of 1 on. */
const SIZES = [KIBIBYTE, 32 * KIBIBYTE, MEBIBYTE, 32 * MEBIBYTE, 256 * MEBIBYTE, 1024 * MEBIBYTE];
const CONNECTIONS = [1, 10, 50, 200];
const INSTANCES = [10, 1_000, 10_000, 100_000];
const LOOKUPS = 15;

export const growth: BenchGroup = {
  name: 'growth',
  about: 'Cost per byte, per connection and per lookup while their number grows',
  async run({ scale }) {
    const cloud = await startCloud(['--tls', '--nodes', '1']);
    try {
      await cloud.control('PATCH', 'faults', { rateLimit: { messagesPerSecond: 0 } });
      const sizes = SIZES.slice(0, scale >= 1 ? 6 : scale >= 0.1 ? 5 : 4);
      const counts = CONNECTIONS.filter((count) => count <= Math.max(10, CONNECTIONS.length * 50 * scale));
      return [
        ...(await perByte(cloud, 'upload', sizes)),
        ...(await perByte(cloud, 'download', sizes)),
        ...(await perConnection(cloud, counts)),
        ...(await perInstance(Math.max(3, Math.round(LOOKUPS * scale)), scale >= 0.1 ? 4 : 3)),
      ];
    } finally {
      await cloud.close();
    }
  },
};

/** CPU time of `connect` from the moment when it is in, without pace. */
async function perByte(
  cloud: Cloud,
  direction: 'upload' | 'download',
  sizes: readonly number[],
): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  const perMebibyte: number[] = [];
  for (const bytes of sizes) {
    const isUp = direction === 'upload';
    const far = isUp ? await startGreeter() : await startSource(bytes);
    const { privateIp } = await cloud.addNode({ '22': far.address }, { paceMs: 0 });
    const sends = isUp ? `head -c ${bytes} /dev/zero` : 'echo';
    const connected = new Connected(cloud, privateIp, { args: ['--pace', 'off'], sends });
    try {
      await connected.isIn;
      const before = { cpuMs: connected.cpuMs, at: performance.now() };
      connected.go();
      await (isUp ? far.received(bytes) : connected.received(bytes));
      const ms = performance.now() - before.at;
      const cpuMs = connected.cpuMs - before.cpuMs;
      perMebibyte.push((cpuMs * MEBIBYTE) / bytes);
      figures.push({
        name: `${direction} of ${sizeText(bytes)}, CPU`,
        value: (cpuMs * MEBIBYTE) / bytes,
        unit: 'ms per MiB',
        note: `${cpuMs.toFixed(1)} ms in ${ms.toFixed(0)} ms; peak RSS ${peakMemoryOf(connected.pid).toFixed(0)} MiB`,
      });
    } finally {
      await connected.close();
      far.close();
    }
  }
  const [smaller = NaN, largest = NaN] = perMebibyte.slice(-2);
  const [smallerSize = NaN, largestSize = NaN] = sizes.slice(-2).map(sizeText);
  return [
    ...figures,
    {
      name: `${direction}, CPU per byte of ${largestSize} over ${smallerSize}`,
      value: largest / smaller,
      unit: 'x',
    },
  ];
}

async function perConnection(cloud: Cloud, counts: readonly number[]): Promise<readonly Figure[]> {
  const far = await startGreeter();
  const node = await cloud.addNode({ '22': far.address });
  const figures: Figure[] = [];
  try {
    for (const count of counts) {
      const { all, cpuMs, wallMs } = await connectCrowd(cloud, node, count);
      const { pss, note } = memoryOfCrowd(all);
      await disperse(all);
      figures.push({
        name: `${count} at once, CPU of each until it is in`,
        value: cpuMs / count,
        unit: 'ms',
        note: `the last after ${(wallMs / 1000).toFixed(1)} s; PSS ${pss.toFixed(1)} MiB each, ${note}`,
      });
    }
    return figures;
  } finally {
    far.close();
  }
}

/** Accounts of several sizes, which take turns: a `connect` that has to ask for its instance. */
async function perInstance(rounds: number, accounts: number): Promise<readonly Figure[]> {
  const far = await startGreeter();
  const worlds: Account[] = [];
  try {
    for (const instances of INSTANCES.slice(0, accounts))
      worlds.push(await Account.start(instances, far.address));
    const series = await takeTurns(
      rounds,
      Object.fromEntries(worlds.map((world) => [String(world.instances), () => world.lookup()])),
    );
    const of = (what: 'cpuMs' | 'wallMs', { instances }: Account): number[] =>
      (series.get(String(instances)) ?? []).map((cost) => cost[what]);
    const [smallest] = worlds;
    if (smallest === undefined) return [];
    return worlds.slice(1).flatMap((world): Figure[] => [
      {
        name: `\`connect\` among ${world.instances} instances, CPU over that among ${smallest.instances}`,
        value: pairedRatio(of('cpuMs', world), of('cpuMs', smallest)),
        unit: 'x',
        note: `${spread(of('cpuMs', world), 'ms')}; wall ${spread(of('wallMs', world), 'ms')}, of which the emulator looks through its list`,
      },
      {
        name: `DescribeInstances calls per lookup among ${world.instances} instances`,
        value: world.describeCalls / rounds,
        unit: 'calls',
        goal: { atMost: 1 },
      },
    ]);
  } finally {
    for (const world of worlds) await world.close();
    far.close();
  }
}

/** An account with so many instances, in this process: a hundred thousand requests to make them would take long. */
class Account {
  readonly instances: number;
  readonly #emulator: Emulator;

  static async start(
    instances: number,
    address: { readonly host: string; readonly port: number },
  ): Promise<Account> {
    const emulator = await startEmulator({ nodes: 0 });
    mkdirSync(join(emulator.directory, 'run'), { mode: 0o700 });
    for (let number = 0; number < instances; number += 1) {
      await emulator.controls.addInstance({ privateIp: addressOf(number), dial: { '22': address } });
    }
    return new Account(emulator, instances);
  }

  private constructor(emulator: Emulator, instances: number) {
    this.#emulator = emulator;
    this.instances = instances;
  }

  get describeCalls(): number {
    return this.#emulator.controls.state().calls['ec2:DescribeInstances']?.calls ?? 0;
  }

  async lookup(): Promise<{ readonly cpuMs: number; readonly wallMs: number }> {
    const { endpoint, region, credentials, directory } = this.#emulator;
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: directory,
      XDG_CACHE_HOME: `${directory}/cache`,
      XDG_RUNTIME_DIR: `${directory}/run`,
      XDG_STATE_HOME: `${directory}/state`,
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    };
    // The lookups that this machine remembers.
    rmSync(`${directory}/run/ssm-proxy/lookups`, { recursive: true, force: true });
    const command = [process.execPath, cliPath, 'connect', addressOf(this.instances - 1)];
    return untilFirstByte(command, env);
  }

  close(): Promise<void> {
    return this.#emulator.close();
  }
}

function addressOf(number: number): string {
  return `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
}

function sizeText(bytes: number): string {
  return bytes < MEBIBYTE ? `${bytes / KIBIBYTE} KiB` : `${bytes / MEBIBYTE} MiB`;
}
