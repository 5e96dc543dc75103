/** The codec and the channel under broken frames; `npm run fuzz` runs millions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from '../support/channel-fuzzer.ts';
import { loadMessageVectors, vectorBytes } from '../support/vectors.ts';

const FRAMES = 30_000;

test('30,000 random and broken frames cause no crash, no unbounded memory and only known errors', () => {
  const seed = Number(process.env['TEST_SEED'] ?? 1);
  const result = fuzz(FRAMES, seed, loadMessageVectors().map(vectorBytes));
  assert.ok(result.frames >= FRAMES);
  // It has to have been somewhere: past the handshake, and at every kind of end.
  assert.ok(result.ready > result.channels / 4, `${result.ready} of ${result.channels} channels were ready`);
  for (const end of ['open', 'closed', 'PROTOCOL_ERROR']) assert.ok((result.ends[end] ?? 0) > 0, end);
  assert.ok(result.undecodable > 0 && result.undecodable < result.frames / 2);
});
