/**
 * Memory of a session of the library while messages pass: the heap after a collection before and after many of them, and
 * what is allocated per message and where, also what has been collected since, by V8's sampling profiler. The service and
 * the far end are other processes.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Session } from 'node:inspector/promises';
import type { HeapProfiler } from 'node:inspector';
import { connect } from '../../src/connect.ts';
import type { SessionDuplex } from '../../src/session/duplex.ts';
import type { Cloud } from './cloud.ts';
import { startCloud } from './cloud.ts';
import type { BenchGroup, Figure } from './figure.ts';
import { GREETING } from './far-end.ts';

/** Of 1024 bytes, in each direction. */
const MESSAGES = 100_000;
/** As many messages each time. */
const WARM_UPS = 2;
const MESSAGE_BYTES = 1024;
/** Between two samples, on average. Bytes. */
const SAMPLE_BYTES = 4096;
const SITES = 5;
const KIBIBYTE = 1024;
/** Takes all that it is sent; at the first byte, if `process.argv[1]` is "down", it begins to send without end. */
const FAR_END = `
const server = require('net').createServer((socket) => {
  socket.on('error', () => {});
  socket.write(${JSON.stringify(GREETING)});
  const chunk = Buffer.alloc(65536);
  const send = () => { while (socket.write(chunk)); };
  if (process.argv[1] === 'down') socket.once('data', () => { socket.on('drain', send); send(); });
  socket.resume();
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

export const memory: BenchGroup = {
  name: 'memory',
  about: 'Memory of a session while messages of 1024 bytes pass, without pace',
  async run({ scale }) {
    const cloud = await startCloud(['--nodes', '1']);
    try {
      await cloud.control('PATCH', 'faults', { rateLimit: { messagesPerSecond: 0 } });
      const messages = Math.max(10_000, Math.round(MESSAGES * scale));
      return [...(await measure(cloud, 'up', messages)), ...(await measure(cloud, 'down', messages))];
    } finally {
      await cloud.close();
    }
  },
};

async function measure(cloud: Cloud, direction: 'up' | 'down', messages: number): Promise<readonly Figure[]> {
  const farEnd = spawn(process.execPath, ['-e', FAR_END, direction], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = (await once(farEnd.stdout, 'data')) as [Buffer];
  const address = { host: '127.0.0.1', port: Number(port) };
  const { privateIp } = await cloud.addNode({ '22': address }, { paceMs: 0 });
  const inspector = new Session();
  inspector.connect();
  const stream = await connect({
    target: privateIp,
    region: cloud.facts.region,
    endpointUrl: cloud.facts.endpoint,
    env: { ...cloud.env },
    pace: 'off',
  });
  try {
    const carry = direction === 'up' ? upload : download;
    // Buffers and pools have their size, functions are compiled.
    for (let round = 0; round < WARM_UPS; round += 1) await carry(stream, messages);
    const before = await settled(inspector);
    await inspector.post('HeapProfiler.startSampling', {
      samplingInterval: SAMPLE_BYTES,
      // Known to V8, not yet to the types.
      ...{ includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true },
    });
    await carry(stream, messages);
    const { profile } = await inspector.post('HeapProfiler.stopSampling');
    const after = await settled(inspector);
    const sites = allocationSites(profile);
    const perMessage = (bytes: number): number => bytes / messages;
    const total = sites.reduce((sum, { bytes }) => sum + bytes, 0);
    const top = sites.slice(0, SITES).map(({ name, bytes }) => `${name} ${perMessage(bytes).toFixed(0)}`);
    const name = direction === 'up' ? 'upload' : 'download';
    return [
      {
        name: `${name}, heap after ${messages} more messages`,
        value: (after.heapUsed - before.heapUsed) / KIBIBYTE,
        unit: 'KiB more',
        note: `${(before.heapUsed / KIBIBYTE / KIBIBYTE).toFixed(1)} MiB before; buffers ${((after.arrayBuffers - before.arrayBuffers) / KIBIBYTE).toFixed(0)} KiB more`,
      },
      {
        name: `${name}, allocated on the heap per message`,
        value: perMessage(total),
        unit: 'bytes',
        note: `most of it: ${top.join(', ')}`,
      },
    ];
  } finally {
    stream.destroy();
    inspector.disconnect();
    farEnd.kill();
  }
}

async function upload(stream: SessionDuplex, messages: number): Promise<void> {
  const chunk = Buffer.alloc(64 * KIBIBYTE);
  for (let left = messages * MESSAGE_BYTES; left > 0; left -= chunk.length) {
    if (!stream.write(chunk)) await once(stream, 'drain');
  }
}

async function download(stream: SessionDuplex, messages: number): Promise<void> {
  let left = messages * MESSAGE_BYTES;
  stream.write('x');
  await new Promise<void>((resolve) => {
    const take = (data: Buffer): void => {
      left -= data.length;
      if (left > 0) return;
      stream.pause();
      stream.off('data', take);
      resolve();
    };
    stream.on('data', take);
    stream.resume();
  });
}

/** Memory of this process when nothing can be collected. */
async function settled(inspector: Session): Promise<NodeJS.MemoryUsage> {
  await inspector.post('HeapProfiler.collectGarbage');
  return process.memoryUsage();
}

interface Site {
  readonly name: string;
  readonly bytes: number;
}

/** Bytes by function, most first. */
function allocationSites({ head }: HeapProfiler.SamplingHeapProfile): readonly Site[] {
  const bytes = new Map<string, number>();
  const visit = ({ callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode): void => {
    const where = callFrame.url.startsWith('node:') ? ` (${callFrame.url})` : '';
    const name = `${callFrame.functionName === '' ? 'anonymous' : callFrame.functionName}${where}`;
    bytes.set(name, (bytes.get(name) ?? 0) + selfSize);
    for (const child of children) visit(child);
  };
  visit(head);
  return [...bytes].map(([name, sum]) => ({ name, bytes: sum })).sort((a, b) => b.bytes - a.bytes);
}
