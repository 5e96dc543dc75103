/**
 * Wall time of `connect` from its start to sshd's banner at 100 ms round trip, with and without a known instance. The
 * round trips on its way are what another 100 ms of round-trip time add to it: whatever overlaps does not count twice.
 */
import { rmSync } from 'node:fs';
import { cliPath } from '../../test/support/cli.ts';
import { median } from '../measure/resources.ts';
import { startCloud } from './cloud.ts';
import type { Cloud } from './cloud.ts';
import { startDelayedPath } from './delayed-path.ts';
import type { DelayedPath } from './delayed-path.ts';
import type { BenchGroup, BenchOptions, Figure } from './figure.ts';
import { spread, takeTurns } from './samples.ts';
import { untilFirstByte } from './to-banner.ts';

const ROUNDS = 15;
const ROUND_TRIP_MS = 100;
/** Beyond the round trips: Node's own start and what cannot be hidden. Milliseconds. */
const OWN_MS = 120;

export const roundTrips: BenchGroup = {
  name: 'round-trips',
  about:
    'Wall time of `connect` to the first byte of sshd at 100 ms round trip, over TLS, with keys in the environment',
  async run(options) {
    const cloud = await startCloud(['--tls']);
    const path = await startDelayedPath(Number(new URL(cloud.facts.endpoint).port));
    try {
      return await measure(cloud, path, options);
    } finally {
      path.close();
      await cloud.close();
    }
  },
};

async function measure(cloud: Cloud, path: DelayedPath, { scale }: BenchOptions): Promise<readonly Figure[]> {
  const far = `https://127.0.0.1:${path.port}`;
  const env = { ...cloud.env, AWS_ENDPOINT_URL: far, SSM_PROXY_SSMMESSAGES_ENDPOINT: far };
  const runtime = cloud.env['XDG_RUNTIME_DIR'] ?? '';
  const wall = async (roundTripMs: number, isKnown: boolean): Promise<number> => {
    // The lookups that this machine remembers.
    if (!isKnown) rmSync(`${runtime}/ssm-proxy/lookups`, { recursive: true, force: true });
    path.roundTripMs = roundTripMs;
    const command = [process.execPath, cliPath, 'connect', cloud.host];
    return (await untilFirstByte(command, env)).wallMs;
  };
  // Fills the code cache.
  await wall(0, false);
  await wall(0, true);
  const series = await takeTurns(Math.max(3, Math.round(ROUNDS * scale)), {
    asked: () => wall(ROUND_TRIP_MS, false),
    askedFar: () => wall(2 * ROUND_TRIP_MS, false),
    known: () => wall(ROUND_TRIP_MS, true),
    knownFar: () => wall(2 * ROUND_TRIP_MS, true),
  });
  const values = (name: string): readonly number[] => series.get(name) ?? [];
  const figures = (name: string, words: string, allowed: number): Figure[] => {
    const [near, farther] = [values(name), values(`${name}Far`)];
    const trips = median(near.map((ms, round) => ((farther[round] ?? NaN) - ms) / ROUND_TRIP_MS));
    return [
      {
        name: `wall, ${words}`,
        value: median(near),
        unit: 'ms',
        goal: { atMost: allowed * ROUND_TRIP_MS + OWN_MS },
        note: spread(near, 'ms'),
      },
      { name: `round trips, ${words}`, value: trips, unit: 'round trips', goal: { atMost: allowed + 0.5 } },
    ];
  };
  return [...figures('known', 'instance known', 6), ...figures('asked', 'EC2 asked', 7)];
}
