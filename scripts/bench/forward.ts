/**
 * What goes through one `ssm-proxy forward`: requests per second and their latency with 1, 10 and 100 connections, and
 * downloads over 1, 4 and 8 sessions. Servers and clients are this process; requests straight to the server stand
 * beside. Over TLS, no latency.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import * as net from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { spawnCli } from '../../test/support/cli.ts';
import { median } from '../measure/resources.ts';
import type { Cloud } from './cloud.ts';
import { startCloud } from './cloud.ts';
import { startFarEnd, startSource } from './far-end.ts';
import type { BenchGroup, Figure } from './figure.ts';
import { percentile } from './samples.ts';

const CONNECTIONS = [1, 10, 100];
const SESSIONS = [1, 4, 8];
const DOWNLOADS = 16;
/** Of each measurement. Milliseconds. */
const FOR_MS = 10_000;
/** Sessions are up and connections spread over them. Milliseconds. */
const WARM_UP_MS = 1_500;
const REQUEST = 'GET / HTTP/1.1\r\nHost: node\r\n\r\n';
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n';

export const forwarding: BenchGroup = {
  name: 'forward',
  about: 'Through one `forward`, over TLS',
  async run({ scale }) {
    const cloud = await startCloud(['--tls', '--nodes', '1']);
    const [web, source] = [
      await startFarEnd((socket) => socket.on('data', () => socket.write(ANSWER))),
      await startSource(),
    ];
    try {
      const dial = { '80': web.address, '81': source.address };
      const paced = await cloud.addNode(dial);
      const lifted = await cloud.addNode(dial, { paceMs: 0 });
      await cloud.control('PATCH', 'faults', { rateLimit: { messagesPerSecond: 0 } });
      const figures: Figure[] = [];
      const forMs = Math.max(1_000, FOR_MS * scale);
      const requests = async (what: string, port: number): Promise<void> => {
        for (const connections of CONNECTIONS)
          figures.push(await requestFigure(what, port, connections, forMs));
      };
      await requests('straight to the server', web.address.port);
      await withForward(cloud, paced.privateIp, 80, [], (port) => requests('at the usual pace', port));
      await withForward(cloud, lifted.privateIp, 80, ['--pace', 'off'], (port) =>
        requests('without pace', port),
      );
      for (const sessions of SESSIONS) {
        const args = ['--sessions', String(sessions)];
        await withForward(cloud, paced.privateIp, 81, args, async (port) => {
          figures.push(await downloadFigure(port, sessions, forMs));
        });
      }
      return figures;
    } finally {
      web.close();
      source.close();
      await cloud.close();
    }
  },
};

async function withForward(
  cloud: Cloud,
  target: string,
  port: number,
  args: readonly string[],
  use: (port: number) => Promise<void>,
): Promise<void> {
  const command = ['forward', target, '-L', `0:${port}`, '--json', '--start-rate', '0', ...args];
  const child: ChildProcessWithoutNullStreams = spawnCli(command, { env: cloud.env });
  child.stderr.resume();
  const closed = once(child, 'close');
  try {
    const lines = createInterface({ input: child.stdout });
    const [line] = (await Promise.race([once(lines, 'line'), closed])) as [unknown];
    if (typeof line !== 'string') throw new Error('the forward did not start');
    const { listening } = JSON.parse(line) as { listening: readonly { port: number }[] };
    await use(listening[0]?.port ?? 0);
  } finally {
    child.kill('SIGTERM');
    await closed;
  }
}

/** One request after the other on each of the connections. */
async function requestFigure(
  what: string,
  port: number,
  connections: number,
  forMs: number,
): Promise<Figure> {
  const latencies: number[] = [];
  let isCounting = false;
  const sockets = Array.from({ length: connections }, () => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    let heard = 0;
    let askedAt = 0;
    const ask = (): void => {
      heard = 0;
      askedAt = performance.now();
      socket.write(REQUEST);
    };
    socket.on('connect', ask);
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => {
      heard += data.length;
      if (heard < ANSWER.length) return;
      if (isCounting) latencies.push(performance.now() - askedAt);
      ask();
    });
    return socket;
  });
  try {
    await delay(WARM_UP_MS);
    isCounting = true;
    const startedAt = performance.now();
    await delay(forMs);
    const seconds = (performance.now() - startedAt) / 1000;
    if (latencies.length === 0) throw new Error(`${what}: no answer came`);
    return {
      name: `requests over ${connections} connection${connections === 1 ? '' : 's'}, ${what}`,
      value: latencies.length / seconds,
      unit: 'per second',
      note: `latency ${median(latencies).toFixed(2)} ms, p99 ${percentile(latencies, 99).toFixed(2)} ms`,
    };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

async function downloadFigure(port: number, sessions: number, forMs: number): Promise<Figure> {
  let bytes = 0;
  const sockets = Array.from({ length: DOWNLOADS }, () => {
    const socket = net.connect({ port, host: '127.0.0.1' }, () => socket.write('x'));
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => (bytes += data.length));
    return socket;
  });
  try {
    await delay(WARM_UP_MS);
    const before = { bytes, at: performance.now() };
    await delay(forMs);
    return {
      name: `${DOWNLOADS} downloads at once, ${sessions} session${sessions === 1 ? '' : 's'}, agent's pace`,
      value: (bytes - before.bytes) / 1000 / (performance.now() - before.at),
      unit: 'MB/s',
    };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}
