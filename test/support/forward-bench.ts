/** The library's `forward` over the emulator, and servers behind the node for it to reach. */
import * as http from 'node:http';
import { once } from 'node:events';
import * as net from 'node:net';
import type { AgentBehaviour } from '../../src/emulator/agent-link.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import { startEmulator } from '../../src/emulator/server.ts';
import type { ProxyError } from '../../src/errors.ts';
import type { Forward, ForwardOptions } from '../../src/forward.ts';
import { forward } from '../../src/forward.ts';

export const NODE_IP = '10.9.0.1';

export interface ForwardBenchOptions {
  /** What is behind the node's ports, or `host:port` that it reaches. */
  readonly dial: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
  readonly agentVersion?: string;
  readonly behaviour?: Partial<AgentBehaviour>;
}

export class ForwardBench {
  readonly emulator: Emulator;
  /** What `onError` was told. */
  readonly errors: ProxyError[] = [];
  readonly #forwards: Forward[] = [];

  static async start({ dial, agentVersion, behaviour }: ForwardBenchOptions): Promise<ForwardBench> {
    const emulator = await startEmulator({ nodes: 0 });
    await emulator.controls.addInstance({
      privateIp: NODE_IP,
      dial,
      ...(agentVersion !== undefined && { agentVersion }),
    });
    emulator.controls.changeBehaviour({ paceMs: 0, ...behaviour });
    emulator.controls.changeFaults({ rateLimit: { messagesPerSecond: 0 } });
    return new ForwardBench(emulator);
  }

  private constructor(emulator: Emulator) {
    this.emulator = emulator;
  }

  async forward(options: Partial<ForwardOptions>): Promise<Forward> {
    const { accessKeyId, secretAccessKey } = this.emulator.credentials;
    const opened = await forward({
      target: NODE_IP,
      region: this.emulator.region,
      endpointUrl: this.emulator.endpoint,
      env: {
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        AWS_CONFIG_FILE: '/dev/null',
        AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      },
      pace: 'off',
      connectTimeoutMs: 20_000,
      resumeTimeoutMs: 20_000,
      pingIntervalMs: 400,
      pongTimeoutMs: 600,
      onError: (error) => this.errors.push(error),
      ...options,
    });
    this.#forwards.push(opened);
    return opened;
  }

  /** A forward of one port; the local port. */
  async localPort(port: number, options: Partial<ForwardOptions> = {}): Promise<number> {
    const opened = await this.forward({ local: [{ to: { port } }], ...options });
    return portOf(opened);
  }

  /** Sessions that the service knows and that are not over. */
  get liveSessions(): number {
    return this.emulator.controls
      .sessions()
      .filter(({ status }) => status !== 'Terminated' && status !== 'Failed').length;
  }

  async close(): Promise<void> {
    await Promise.all(this.#forwards.map((each) => each.close()));
    await this.emulator.close();
  }
}

/** The port of the first listener. */
export function portOf({ listening }: Forward): number {
  const [first] = listening;
  if (first === undefined || !('port' in first)) throw new Error('no TCP port');
  return first.port;
}

export interface HttpServer {
  readonly address: { readonly host: string; readonly port: number };
  close(): void;
}

export async function startHttp(handler: http.RequestListener): Promise<HttpServer> {
  const server = http.createServer(handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: { host: '127.0.0.1', port: (server.address() as net.AddressInfo).port },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A connection that is half-open and never throws. */
export async function connectTo(options: net.NetConnectOpts): Promise<net.Socket> {
  const socket = net.connect({ ...options, allowHalfOpen: true } as net.NetConnectOpts);
  await once(socket, 'connect');
  socket.on('error', () => {});
  return socket;
}

/** All bytes until the end; rejects when the connection breaks. */
export async function readAll(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (data: Buffer) => chunks.push(data));
  socket.resume();
  await once(socket, 'end');
  return Buffer.concat(chunks);
}
