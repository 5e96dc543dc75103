/** The other process of the soak: the emulator, an echo behind its instance, and a new misfortune every few seconds. */
import { once } from 'node:events';
import * as net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultChange } from '../../src/emulator/fault-settings.ts';
import type { Controls } from '../../src/emulator/controls.ts';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Random } from '../../test/support/random.ts';
import { randomInteger, seededRandom } from '../../test/support/random.ts';

export interface FarEndFacts {
  readonly endpoint: string;
  readonly region: string;
  readonly privateIp: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface FarEndReport {
  readonly misfortunes: number;
  readonly resumeCalls: number;
  readonly farEndRssMegabytes: number;
}

const PRIVATE_IP = '10.9.0.1';
const FROM_MS = 1_000;
const TO_MS = 4_000;

/** Runs until the parent process disconnects. Its first message is FarEndFacts; to each one it answers a report. */
export async function runFarEnd(seed: number): Promise<void> {
  const echo = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const { port } = echo.address() as net.AddressInfo;
  const emulator = await startEmulator({ nodes: 0 });
  const { controls } = emulator;
  await controls.addInstance({ privateIp: PRIVATE_IP, dial: { '22': { host: '127.0.0.1', port } } });
  controls.changeBehaviour({ paceMs: 0 });
  controls.resetFaults(HEALTHY);
  let misfortunes = 0;
  const ended = new AbortController();
  process.once('disconnect', () => ended.abort());
  process.on('message', () => {
    process.send?.({
      misfortunes,
      resumeCalls: controls.state().calls['ssm:ResumeSession']?.calls ?? 0,
      farEndRssMegabytes: Math.round(process.memoryUsage().rss / 1e6),
    } satisfies FarEndReport);
  });
  const { accessKeyId, secretAccessKey } = emulator.credentials;
  process.send?.({
    endpoint: emulator.endpoint,
    region: emulator.region,
    privateIp: PRIVATE_IP,
    accessKeyId,
    secretAccessKey,
  } satisfies FarEndFacts);
  const random = seededRandom(seed);
  while (!ended.signal.aborted) {
    await delay(randomInteger(random, FROM_MS, TO_MS), undefined, { signal: ended.signal }).catch(() => {});
    misfortune(controls, random);
    misfortunes += 1;
  }
  await emulator.close();
  echo.close();
}

const HEALTHY: FaultChange = { rateLimit: { messagesPerSecond: 0 } };

const RULES: readonly FaultChange[] = [
  { rules: [{ action: 'drop', probability: 0.1, count: 5 }] },
  { rules: [{ action: 'duplicate', probability: 0.2, copies: 2, count: 50 }] },
  { rules: [{ action: 'delay', probability: 0.05, delayMs: 150, count: 10 }] },
  { rules: [{ action: 'reorder', probability: 0.1, behind: 3, count: 20 }] },
  { rules: [{ action: 'bad-digest', direction: 'to-client', count: 3 }] },
  { rules: [{ action: 'bad-payload', direction: 'to-client', count: 3 }] },
  { rules: [{ action: 'wrong-length', count: 3 }] },
  { rules: [{ action: 'unknown-message-type', direction: 'to-client', count: 2 }] },
  { rules: [{ action: 'cut-mid-message', count: 1 }] },
  { rules: [{ action: 'cut', everyBytes: 50_000, count: 3 }] },
  { rules: [{ action: 'close', closeCode: 1001, every: 30, count: 1 }] },
];
const SERVICE: readonly FaultChange[] = [
  { absent: { clientFrames: 'keep', pauseAgent: false, startAgent: false, pauseClient: false } },
  { absent: { pauseAgent: false, startAgent: false } },
  { open: { startPublicationFirst: false, tokenSingleUse: false } },
  { open: { outcomes: [{ kind: 'reset' }, { kind: 'status', status: 503 }] } },
  { resume: { streamUrl: 'other', oldUrl: 'silent' } },
  { resume: { streamUrl: 'none' } },
  { link: { latencyMs: 30 } },
  { link: { fragmentBytes: 100 } },
  { api: { failures: [{ operation: 'ssm:ResumeSession', code: 'ThrottlingException', times: 2 }] } },
  { api: { failures: [{ operation: 'ssm:ResumeSession', code: 'InternalServerError', times: 1 }] } },
  { api: { failures: [{ operation: 'ssm:ResumeSession', kind: 'reset', times: 1 }] } },
  {},
];

/** Another service than before, another message fault, and something that happens to one session at once. */
function misfortune(controls: Controls, random: Random): void {
  const pick = <T>(values: readonly T[]): T | undefined => values[Math.floor(random() * values.length)];
  controls.resetFaults({ ...HEALTHY, ...pick(SERVICE), ...(random() < 0.5 ? pick(RULES) : {}) });
  const live = controls.sessions().filter(({ hasClient }) => hasClient);
  const sessionId = pick(live)?.sessionId;
  if (sessionId === undefined) return;
  pick([
    () => controls.cutSession(sessionId),
    () => controls.cutSession(sessionId),
    () => controls.closeSession(sessionId, 1000, 'Bye'),
    () => controls.halfOpenSession(sessionId),
    () => controls.dropAgent(sessionId, 300),
    () => controls.dropAllClients(),
  ])?.();
}
