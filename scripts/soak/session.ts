/** One session of the soak: random bytes to an echo, for a while, then both hashes are compared. */
import { createHash, randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../src/connect.ts';
import type { Random } from '../../test/support/random.ts';
import { randomInteger } from '../../test/support/random.ts';
import type { FarEndFacts } from './far-end.ts';

const MAX_CHUNK_BYTES = 8_000;
/** Echo on its way: an agent heals 10 lost messages a second, so this bounds what one loss costs. */
const MAX_OUTSTANDING_BYTES = 32_000;
const ECHO_LIMIT_MS = 180_000;

/** Resolves with the bytes carried each way; rejects when the session fails or the echo differs. */
export async function soakSession(facts: FarEndFacts, random: Random, latestEnd: number): Promise<number> {
  const stream = await connect({
    target: facts.privateIp,
    region: facts.region,
    endpointUrl: facts.endpoint,
    env: {
      AWS_ACCESS_KEY_ID: facts.accessKeyId,
      AWS_SECRET_ACCESS_KEY: facts.secretAccessKey,
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    },
    pace: 'off',
    connectTimeoutMs: 120_000,
    resumeTimeoutMs: 120_000,
    renewAfterMs: randomInteger(random, 2_000, 20_000),
    pingIntervalMs: 1_000,
    pongTimeoutMs: 2_000,
  });
  const sent = createHash('sha256');
  const received = createHash('sha256');
  let bytes = 0;
  let echoed = 0;
  let failure: Error | undefined;
  let wake: () => void = () => {};
  stream.on('error', (error: Error) => {
    failure = error;
    wake();
  });
  stream.on('data', (data: Buffer) => {
    received.update(data);
    echoed += data.length;
    wake();
  });
  const failIfBroken = (): void => {
    if (failure !== undefined) throw failure;
    if (stream.destroyed) throw new Error('the stream ended by itself');
  };
  try {
    const endAt = Math.min(latestEnd, performance.now() + randomInteger(random, 3_000, 40_000));
    const giveUpAt = endAt + ECHO_LIMIT_MS;
    while (performance.now() < endAt || echoed < bytes) {
      failIfBroken();
      if (performance.now() > giveUpAt) throw new Error(`${bytes - echoed} bytes did not come back`);
      if (performance.now() < endAt && bytes - echoed < MAX_OUTSTANDING_BYTES) {
        const chunk = randomFillSync(Buffer.allocUnsafe(randomInteger(random, 1, MAX_CHUNK_BYTES)));
        sent.update(chunk);
        bytes += chunk.length;
        stream.write(chunk);
        // Now a dialogue, now bulk.
        if (random() < 0.3) await delay(randomInteger(random, 1, 300));
        continue;
      }
      const stop = new AbortController();
      await Promise.race([
        new Promise<void>((resolve) => (wake = resolve)),
        delay(1_000, undefined, { signal: stop.signal }).catch(() => {}),
      ]);
      stop.abort();
    }
    if (sent.digest('hex') !== received.digest('hex')) throw new Error(`the echo of ${bytes} bytes differs`);
    return bytes;
  } finally {
    stream.destroy();
    if (!stream.closed) await once(stream, 'close').catch(() => {});
  }
}
