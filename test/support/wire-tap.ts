/** Stands between a client and a server on 127.0.0.1, passes everything on and keeps a copy of both directions. */
import { once } from 'node:events';
import * as net from 'node:net';

export class WireTap {
  readonly #server: net.Server;
  readonly #chunks: Buffer[][] = [];
  readonly #sockets = new Set<net.Socket>();

  private constructor(server: net.Server) {
    this.#server = server;
  }

  /** `endpoint`: URL of the server, whose host and port count. */
  static async start(endpoint: string): Promise<WireTap> {
    const { hostname, port } = new URL(endpoint);
    const server = net.createServer();
    const tap = new WireTap(server);
    server.on('connection', (client) => {
      const upstream = net.connect(Number(port), hostname);
      tap.#join(client, upstream);
      tap.#join(upstream, client);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return tap;
  }

  /** `http://127.0.0.1:port`. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`;
  }

  /** All that has passed, each direction of each connection on its own. */
  get texts(): readonly string[] {
    return this.#chunks.map((chunks) => Buffer.concat(chunks).toString('latin1'));
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(from: net.Socket, to: net.Socket): void {
    const chunks: Buffer[] = [];
    this.#chunks.push(chunks);
    this.#sockets.add(from);
    from.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      to.write(chunk);
    });
    from.on('error', () => {});
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
