/** A TCP server on a free port of 127.0.0.1 for tests: keeps its connections, and what it was sent. */
import { once } from 'node:events';
import * as net from 'node:net';

export class TestServer {
  readonly connections: net.Socket[] = [];
  readonly #chunks: Buffer[][] = [];
  readonly #server: net.Server;

  private constructor(server: net.Server) {
    this.#server = server;
  }

  /** `onConnection` runs for each connection; by default it only collects what it is sent. */
  static async start(onConnection: (socket: net.Socket) => void = () => {}): Promise<TestServer> {
    const server = net.createServer({ allowHalfOpen: true });
    const started = new TestServer(server);
    server.on('connection', (socket) => {
      const index = started.connections.push(socket) - 1;
      const chunks: Buffer[] = [];
      started.#chunks[index] = chunks;
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
      });
      onConnection(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return started;
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: (this.#server.address() as net.AddressInfo).port };
  }

  /** Bytes received, per connection; undefined where there were none. */
  get received(): readonly (Buffer | undefined)[] {
    return this.#chunks.map((chunks) => {
      if (chunks.length > 1) chunks.splice(0, chunks.length, Buffer.concat(chunks));
      return chunks[0];
    });
  }

  /** How many bytes a connection has received; cheap. */
  receivedBytes(index: number): number {
    return (this.#chunks[index] ?? []).reduce((sum, chunk) => sum + chunk.length, 0);
  }

  close(): void {
    this.#server.close(() => {});
    for (const socket of this.connections) socket.destroy();
  }
}

/** A port of 127.0.0.1 on which nothing listens. */
export async function closedPort(): Promise<{ host: string; port: number }> {
  const server = await TestServer.start();
  const { address } = server;
  server.close();
  return address;
}
