/**
 * Uploads over paths that are not kind: capped at 500 and 64 kB/s, pausing or closing above 1000 messages per second,
 * and swallowing large messages. What counts: no standstill, nothing sent twice for nothing, no session lost; and that a
 * key typed beside a bulk upload in the same ssh connection comes back.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EmulatorState } from '../../src/emulator/controls.ts';
import type { FaultChange } from '../../src/emulator/fault-settings.ts';
import { cliPath } from '../../test/support/cli.ts';
import { until } from '../../test/support/until.ts';
import type { Cloud, Node } from './cloud.ts';
import { startCloud } from './cloud.ts';
import { Connected } from './connected.ts';
import { startGreeter } from './far-end.ts';
import type { FarEnd } from './far-end.ts';
import type { BenchGroup, Figure } from './figure.ts';
import { Keyboard } from './keyboard.ts';
import { spread } from './samples.ts';

/** Of each upload. Milliseconds. */
const FOR_MS = 15_000;
const LOOK_MS = 20;
/** One way. Milliseconds. */
const LATENCY_MS = 10;
const KEYS = 20;
/** Uploads in a row over a path that `auto` has to learn. */
const LESSONS = 3;

const OPEN_PATH: FaultChange = {
  link: { latencyMs: LATENCY_MS, bytesPerSecondToAgent: 0 },
  rateLimit: { messagesPerSecond: 1000, closeAfterMs: 0 },
  rules: [],
};
const CAPS = [500_000, 64_000];
const SWALLOWS: FaultChange = { rules: [{ action: 'drop', direction: 'to-agent', largerThanBytes: 8192 }] };
const CLOSES: FaultChange = { rateLimit: { messagesPerSecond: 1000, closeAfterMs: 200 } };

export const paths: BenchGroup = {
  name: 'paths',
  about: 'Uploads over capped, pausing, closing and swallowing paths, 20 ms round trip',
  async run({ scale }) {
    const cloud = await startCloud(['--tls', '--nodes', '1']);
    const far = await startGreeter();
    const forMs = Math.max(3_000, FOR_MS * scale);
    try {
      const node = await cloud.addNode({ '22': far.address });
      const upload = new Uploads(cloud, node, far, forMs);
      const figures: Figure[] = [];
      for (const cap of CAPS) {
        const change: FaultChange = { link: { bytesPerSecondToAgent: cap } };
        for (const pace of ['off', 'auto']) {
          figures.push(...(await upload.over(`capped at ${cap / 1000} kB/s, pace ${pace}`, change, pace)));
          figures.push(await keysUnderBulk(cloud, cap, pace, Math.max(5, Math.round(KEYS * scale))));
        }
      }
      figures.push(...(await upload.over('pausing above 1000 messages/s, pace off', {}, 'off')));
      for (const [name, change] of [
        ['pausing', {}],
        ['closing above 1000 messages/s', CLOSES],
        ['swallowing above 8 KiB', SWALLOWS],
        ['closing and swallowing', { ...CLOSES, ...SWALLOWS }],
      ] as const) {
        upload.forget();
        for (let lesson = 1; lesson <= LESSONS; lesson += 1) {
          figures.push(...(await upload.over(`${name}, pace auto, ${lesson}`, change, 'auto')));
        }
      }
      return figures;
    } finally {
      far.close();
      await cloud.close();
    }
  },
};

class Uploads {
  readonly #cloud: Cloud;
  readonly #node: Node;
  readonly #far: FarEnd;
  readonly #forMs: number;
  #memory = 0;

  constructor(cloud: Cloud, node: Node, far: FarEnd, forMs: number) {
    this.#cloud = cloud;
    this.#node = node;
    this.#far = far;
    this.#forMs = forMs;
  }

  /** What `auto` has learnt is not known to the uploads that follow. */
  forget(): void {
    this.#memory += 1;
  }

  async over(name: string, change: FaultChange, pace: string): Promise<readonly Figure[]> {
    await this.#cloud.control('PATCH', 'faults', { ...OPEN_PATH });
    await this.#cloud.control('PATCH', 'faults', { ...change });
    const env = {
      ...this.#cloud.env,
      XDG_STATE_HOME: join(this.#cloud.directory, `state-${this.#memory}`),
    };
    const connected = new Connected({ ...this.#cloud, env }, this.#node.privateIp, {
      args: ['--pace', pace],
      sends: 'exec cat /dev/zero',
    });
    try {
      await connected.isIn;
      const startedAt = performance.now();
      const startBytes = this.#far.receivedBytes;
      let [bytes, grewAt, standstillMs] = [startBytes, startedAt, 0];
      connected.go();
      while (performance.now() < startedAt + this.#forMs && connected.isRunning) {
        await delay(LOOK_MS);
        const [now, at] = [this.#far.receivedBytes, performance.now()];
        standstillMs = Math.max(standstillMs, at - grewAt);
        if (now > bytes) [bytes, grewAt] = [now, at];
      }
      const seconds = (performance.now() - startedAt) / 1000;
      const isLost = !connected.isRunning;
      const { opens, sessions } = (await this.#cloud.control('GET', 'state')) as EmulatorState;
      const [session] = sessions;
      const { agent, relay } = session ?? {};
      const channels = opens.filter(({ sessionId }) => sessionId === session?.sessionId).length;
      const rate = (bytes - startBytes) / 1e6 / seconds;
      return [
        {
          name: `${name}: upload`,
          value: rate,
          unit: 'MB/s',
          note: `of ${relay?.messagesToAgent ?? 0} messages the agent had ${agent?.duplicatesReceived ?? 0} before; ${channels} channels opened`,
        },
        { name: `${name}: longest standstill`, value: standstillMs, unit: 'ms' },
        { name: `${name}: sessions lost`, value: Number(isLost), unit: '', goal: { atMost: 0 } },
      ];
    } finally {
      await connected.close();
    }
  }
}

/** Two channels of one ssh connection: a bulk upload, and keys into a terminal whose echo comes back. */
async function keysUnderBulk(cloud: Cloud, cap: number, pace: string, keys: number): Promise<Figure> {
  await cloud.control('PATCH', 'faults', { ...OPEN_PATH, link: { bytesPerSecondToAgent: 0 } });
  const master = join(cloud.directory, 'master');
  const ssh = [
    ...[
      'ssh',
      '-F',
      'none',
      '-q',
      '-i',
      cloud.identityFile,
      '-o',
      'IdentitiesOnly=yes',
      '-o',
      'BatchMode=yes',
    ],
    ...[
      '-o',
      'StrictHostKeyChecking=no',
      '-o',
      'UserKnownHostsFile=/dev/null',
      '-o',
      `ControlPath=${master}`,
    ],
    ...['-o', `ProxyCommand='${process.execPath}' '${cliPath}' connect --pace ${pace} %h %p`],
    `${cloud.sshUser}@${cloud.host}`,
  ];
  const [program = '', ...args] = ssh;
  const keyboard = new Keyboard(cloud, [program, '-tt', '-o', 'ControlMaster=yes', ...args, 'sh']);
  try {
    await keyboard.run('stty -icanon; cat > /dev/null');
    const quiet = await keyboard.echoMs();
    await cloud.control('PATCH', 'faults', { link: { bytesPerSecondToAgent: cap } });
    const bulk = spawn(program, [...args, 'cat > /dev/null'], {
      env: cloud.env,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const zeros = spawn('cat', ['/dev/zero'], { stdio: ['ignore', 'pipe', 'ignore'] });
    zeros.stdout.pipe(bulk.stdin);
    bulk.stdin.on('error', () => {});
    try {
      await until('the bulk is on its way', () => bulk.stdin.writableLength > 0);
      const echoes: number[] = [];
      for (let key = 0; key < keys; key += 1) echoes.push(await keyboard.echoMs());
      return {
        name: `capped at ${cap / 1000} kB/s, pace ${pace}: key to echo beside a bulk upload`,
        value: [...echoes].sort((a, b) => a - b)[Math.floor(echoes.length / 2)],
        unit: 'ms',
        note: `${spread(echoes, 'ms')}; ${quiet.toFixed(0)} ms without it`,
      };
    } finally {
      zeros.kill();
      bulk.kill();
    }
  } finally {
    keyboard.close();
  }
}
