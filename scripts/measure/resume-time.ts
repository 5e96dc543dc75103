/**
 * Time from a cut (TCP reset by the service) to the first byte that flows again, for a session of the library over the
 * emulator. Every wait of the network is put in: a round trip per API call, two for TCP and TLS of every new
 * connection, one for the WebSocket upgrade, and half a one for each message.
 */
import { once } from 'node:events';
import * as net from 'node:net';
import { connect } from '../../src/connect.ts';
import type { FaultChange } from '../../src/emulator/fault-settings.ts';
import { startEmulator } from '../../src/emulator/server.ts';
import { until } from '../../test/support/until.ts';
import { median } from './resources.ts';

export interface ResumeFigures {
  readonly roundTripMs: number;
  /** Median over all cuts, to the first new byte of ours at the far end. */
  readonly upMs: number;
  /** Median, to the first byte of the far end at our user, in order: what was lost is there again. */
  readonly downMs: number;
  readonly slowestDownMs: number;
  /** The same in round trips; 0 without latency. */
  readonly upRoundTrips: number;
  readonly downRoundTrips: number;
}

const CUTS = 10;
/** The far end says something this often. */
const TICK_MS = 10;
const PRIVATE_IP = '10.9.0.1';

/** `service`: what it does with what is on its way at the cut. */
export async function measureResume(roundTripMs: number, service: FaultChange): Promise<ResumeFigures> {
  const emulator = await startEmulator({ nodes: 0 });
  const farEnd = await startFarEnd();
  try {
    const { controls, credentials } = emulator;
    await controls.addInstance({ privateIp: PRIVATE_IP, dial: { '22': farEnd.address } });
    controls.changeFaults({
      ...service,
      link: { latencyMs: roundTripMs / 2 },
      api: { latencyMs: roundTripMs },
      accept: { delayMs: 2 * roundTripMs },
    });
    const stream = await connect({
      target: PRIVATE_IP,
      region: emulator.region,
      endpointUrl: emulator.endpoint,
      env: {
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        AWS_CONFIG_FILE: '/dev/null',
        AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      },
    });
    let receivedAt = 0;
    let pieces = 0;
    stream.on('data', () => {
      receivedAt = performance.now();
      pieces += 1;
    });
    const flowing = (): Promise<unknown> => {
      const before = pieces;
      return until('it flows', () => pieces > before + 50);
    };
    const up: number[] = [];
    const down: number[] = [];
    for (let cut = 0; cut < CUTS; cut += 1) {
      await flowing();
      const [session] = controls.sessions();
      if (session === undefined) throw new Error('there is no session');
      const heard = farEnd.heard();
      const cutAt = performance.now();
      controls.cutSession(session.sessionId);
      stream.write('x');
      const firstDown = once(stream, 'data').then(() => receivedAt - cutAt);
      up.push((await heard) - cutAt);
      down.push(await firstDown);
    }
    stream.destroy();
    if (!stream.closed) await once(stream, 'close');
    const [upMs, downMs] = [median(up), median(down)];
    const inRoundTrips = (ms: number): number =>
      roundTripMs === 0 ? 0 : Math.round((10 * ms) / roundTripMs) / 10;
    return {
      roundTripMs,
      upMs: Math.round(upMs),
      downMs: Math.round(downMs),
      slowestDownMs: Math.round(Math.max(...down)),
      upRoundTrips: inRoundTrips(upMs),
      downRoundTrips: inRoundTrips(downMs),
    };
  } finally {
    await emulator.close();
    farEnd.close();
  }
}

interface FarEnd {
  readonly address: { readonly host: string; readonly port: number };
  /** When it is given its next byte. */
  heard(): Promise<number>;
  close(): void;
}

async function startFarEnd(): Promise<FarEnd> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    const timer = setInterval(() => socket.write('tick'), TICK_MS);
    socket.once('close', () => clearInterval(timer));
    socket.on('data', () => server.emit('heard', performance.now()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  return {
    address: { host: '127.0.0.1', port },
    async heard() {
      const [at] = (await once(server, 'heard')) as [number];
      return at;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
