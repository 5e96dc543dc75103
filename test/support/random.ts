/** Reproducible randomness: the seed is printed by tests that fail, and taken from TEST_SEED. */
export type Random = () => number;

/** Mulberry32: uniform in [0, 1). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomInteger(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

export function randomBuffer(random: Random, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 1) bytes[i] = Math.floor(random() * 256);
  return bytes;
}

/** Runs `body` with seeds; on failure the message names the one to repeat with TEST_SEED. */
export function forSeeds(count: number, body: (random: Random, seed: number) => void): void {
  const given = process.env['TEST_SEED'];
  const first = given === undefined ? 1 : Number(given);
  for (let seed = first; seed < first + (given === undefined ? count : 1); seed += 1) {
    try {
      body(seededRandom(seed), seed);
    } catch (error) {
      throw new Error(`failed with TEST_SEED=${seed}: ${String(error)}`, { cause: error });
    }
  }
}
