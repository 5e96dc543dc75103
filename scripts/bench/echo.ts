/**
 * From a byte to its echo. One byte to an echo behind a port of the node: through `connect`, over a bare data channel of
 * the same cloud, and what we add. One key into a terminal on the node: `shell` and the bare data channel. Both stay open
 * and take turns. Over TLS.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { cliPath } from '../../test/support/cli.ts';
import { median } from '../measure/resources.ts';
import type { BareChannel } from './bare-channel.ts';
import { openBareChannel } from './bare-channel.ts';
import type { Cloud } from './cloud.ts';
import { startCloud } from './cloud.ts';
import { startEcho } from './far-end.ts';
import type { BenchGroup, Figure } from './figure.ts';
import { Keyboard } from './keyboard.ts';
import { pairedDifferences, percentile, spread, takeTurns } from './samples.ts';

const BYTES = 2000;
const KEYS = 400;
/** Longer than the agent sleeps after a message, so that no byte waits for the end of that. */
const BETWEEN_MS = 4;

export const echo: BenchGroup = {
  name: 'echo',
  about: 'From a byte to its echo, over TLS, beside the bare data channel',
  async run({ scale }) {
    const cloud = await startCloud(['--tls', '--nodes', '1']);
    try {
      return [
        ...(await portEcho(cloud, Math.max(50, Math.round(BYTES * scale)))),
        ...(await shellEcho(cloud, Math.max(50, Math.round(KEYS * scale)))),
      ];
    } finally {
      await cloud.close();
    }
  },
};

async function portEcho(cloud: Cloud, count: number): Promise<readonly Figure[]> {
  const far = await startEcho();
  const { privateIp, instanceId } = await cloud.addNode({ '22': far.address });
  const bare = await openBareChannel(cloud, instanceId, 'AWS-StartSSHSession');
  const child = spawn(process.execPath, [cliPath, 'connect', privateIp], { env: cloud.env });
  child.stderr.resume();
  try {
    const ours = (): Promise<number> =>
      turn(() => {
        const back = once(child.stdout, 'data');
        child.stdin.write('x');
        return back;
      });
    // Until both are up.
    await ours();
    await bareTurn(bare, 'x');
    const series = await takeTurns(count, { ours, bare: () => bareTurn(bare, 'x') });
    return added('one byte through `connect`', series, { median: 1, p99: 3 });
  } finally {
    bare.close();
    child.kill();
    far.close();
  }
}

async function shellEcho(cloud: Cloud, count: number): Promise<readonly Figure[]> {
  const [node] = cloud.facts.instances;
  const bare = await openBareChannel(cloud, node?.instanceId ?? '');
  const shell = new Keyboard(cloud, [process.execPath, cliPath, 'shell', cloud.host, '--quiet']);
  try {
    const isReady = new Promise<void>((resolve) => {
      let heard = '';
      bare.onData = (payload) => {
        heard += payload.toString('latin1');
        if (heard.includes('ready')) resolve();
      };
    });
    bare.write("echo rea''dy; stty -icanon; cat > /dev/null\n");
    await isReady;
    await shell.run('stty -icanon; cat > /dev/null');
    await bareTurn(bare, 'k');
    const ours = async (): Promise<number> => {
      await delay(BETWEEN_MS);
      return shell.echoMs();
    };
    const series = await takeTurns(count, { ours, bare: () => bareTurn(bare, 'k') });
    return added('one key through `shell`', series, {});
  } finally {
    bare.close();
    shell.close();
  }
}

function bareTurn(bare: BareChannel, text: string): Promise<number> {
  return turn(() => {
    const back = new Promise<void>((resolve) => (bare.onData = () => resolve()));
    bare.write(text);
    return back;
  });
}

/** Milliseconds that one echo takes. */
async function turn(there: () => Promise<unknown>): Promise<number> {
  await delay(BETWEEN_MS);
  const startedAt = performance.now();
  await there();
  return performance.now() - startedAt;
}

/** `atMost`: in ms. */
function added(
  name: string,
  series: ReadonlyMap<string, readonly number[]>,
  atMost: { readonly median?: number; readonly p99?: number },
): readonly Figure[] {
  const [ours = [], bare = []] = [series.get('ours'), series.get('bare')];
  const p99 = (values: readonly number[]): number => percentile(values, 99);
  return [
    {
      name: `${name}, added to the bare data channel, median`,
      value: median(pairedDifferences(ours, bare)),
      unit: 'ms',
      ...(atMost.median !== undefined && { goal: { atMost: atMost.median } }),
      note: `ours ${spread(ours, 'ms')}; bare ${spread(bare, 'ms')}`,
    },
    {
      name: `${name}, added to the bare data channel, p99`,
      value: p99(ours) - p99(bare),
      unit: 'ms',
      ...(atMost.p99 !== undefined && { goal: { atMost: atMost.p99 } }),
      note: `ours ${p99(ours).toFixed(1)} ms; bare ${p99(bare).toFixed(1)} ms; ${ours.length} each`,
    },
  ];
}
