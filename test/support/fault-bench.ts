/**
 * One session of the library over the emulator, with a far end that judges: a TCP server that sends a known stream,
 * hashes what it gets, and says at the end what it got. Bulk goes both ways at once; interactive is a dialogue.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as net from 'node:net';
import { once } from 'node:events';
import type { ConnectOptions } from '../../src/connect.ts';
import { connect } from '../../src/connect.ts';
import type { AgentBehaviour } from '../../src/emulator/agent-link.ts';
import type { FaultChange } from '../../src/emulator/fault-settings.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Traffic } from './fault-cases.ts';
import { randomBuffer, randomInteger, seededRandom } from './random.ts';

export interface FaultCase {
  readonly traffic: Traffic;
  readonly seed: number;
  readonly faults: FaultChange;
  readonly behaviour?: Partial<AgentBehaviour>;
  readonly agentVersion?: string;
  readonly options?: Partial<ConnectOptions>;
  /** Bytes each way for bulk. */
  readonly bytes?: number;
}

const INTERACTIVE_ROUNDS = 20;
const IP = '10.9.0.1';

/** Runs one case to its end; rejects with the client's error, or with what arrived wrong. Leaves nothing behind. */
export async function runFaultCase(faultCase: FaultCase): Promise<void> {
  const { traffic, seed, bytes = 60_000 } = faultCase;
  const judge = await startJudge(traffic, seed, bytes);
  const emulator = await startEmulator({ nodes: 0 });
  try {
    await emulator.controls.addInstance({
      privateIp: IP,
      dial: { '22': judge.address },
      ...(faultCase.agentVersion !== undefined && { agentVersion: faultCase.agentVersion }),
    });
    emulator.controls.changeBehaviour({ paceMs: 0, ...faultCase.behaviour });
    emulator.controls.changeFaults({ seed, rateLimit: { messagesPerSecond: 0 }, ...faultCase.faults });
    const stream = await connect(connectOptions(emulator, faultCase.options));
    const failed = new Promise<never>((_resolve, reject) => stream.on('error', reject));
    const talk = traffic === 'bulk' ? bulk(stream, seed, bytes) : dialogue(stream, seed);
    try {
      await Promise.race([talk, failed]);
    } finally {
      failed.catch(() => {});
      stream.destroy();
      if (!stream.closed) await once(stream, 'close');
    }
  } finally {
    await emulator.close();
    judge.close();
  }
}

function connectOptions(emulator: Emulator, options: Partial<ConnectOptions> = {}): ConnectOptions {
  const { accessKeyId, secretAccessKey } = emulator.credentials;
  return {
    target: IP,
    region: emulator.region,
    endpointUrl: emulator.endpoint,
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
    ...options,
  };
}

type Talker = NodeJS.WritableStream & AsyncIterable<Buffer>;

/** Sends `bytes` while it receives as many, then the judge's hash of what it got. */
async function bulk(stream: Talker, seed: number, bytes: number): Promise<void> {
  const random = seededRandom(seed);
  const upload = randomBuffer(random, bytes);
  const sending = (async () => {
    for (let offset = 0; offset < bytes;) {
      const size = randomInteger(random, 1, 5000);
      if (!stream.write(upload.subarray(offset, offset + size))) await once(stream, 'drain');
      offset += size;
    }
  })();
  const received: Buffer[] = [];
  let got = 0;
  // By hand: leaving a for await loop would destroy the stream, and with it what is still being sent.
  const incoming = stream[Symbol.asyncIterator]();
  while (got < bytes + 32) {
    const chunk = await nextChunk(incoming);
    received.push(chunk);
    got += chunk.length;
  }
  await sending;
  const all = Buffer.concat(received);
  assert.equal(all.length, bytes + 32, 'all bytes arrived');
  assert.ok(all.subarray(0, bytes).equals(downloadOf(seed, bytes)), 'download is exact');
  assert.equal(all.subarray(bytes).toString('hex'), sha256(upload).toString('hex'), 'upload is exact');
}

/** Says something, waits for the echo, says more. */
async function dialogue(stream: Talker, seed: number): Promise<void> {
  const random = seededRandom(seed);
  const incoming = stream[Symbol.asyncIterator]();
  for (let round = 0; round < INTERACTIVE_ROUNDS; round += 1) {
    const said = randomBuffer(random, randomInteger(random, 1, 40));
    stream.write(said);
    let heard = Buffer.alloc(0);
    while (heard.length < said.length) {
      heard = Buffer.concat([heard, await nextChunk(incoming)]);
    }
    assert.ok(heard.equals(said), `round ${round}`);
  }
}

async function nextChunk(incoming: AsyncIterator<Buffer>): Promise<Buffer> {
  const next = await incoming.next();
  if (next.done === true) throw new Error('the stream ended early');
  return next.value;
}

interface Judge {
  readonly address: { readonly host: string; readonly port: number };
  close(): void;
}

async function startJudge(traffic: Traffic, seed: number, bytes: number): Promise<Judge> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    if (traffic === 'interactive') {
      socket.pipe(socket);
      return;
    }
    socket.write(downloadOf(seed, bytes));
    const hash = createHash('sha256');
    let got = 0;
    socket.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      got += chunk.length;
      // It stays open: an agent whose server has gone waits 2 s for what is unacknowledged, then ends the session.
      if (got === bytes) socket.write(hash.digest());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  return {
    address: { host: '127.0.0.1', port },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function downloadOf(seed: number, bytes: number): Buffer {
  return randomBuffer(seededRandom(seed + 1_000_000), bytes);
}

function sha256(data: Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}
