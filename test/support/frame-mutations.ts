/** Ways to break one data-channel message, from a single bit to its length. Returns a new buffer. */
import { createHash } from 'node:crypto';
import type { Random } from './random.ts';
import { randomBuffer, randomInteger } from './random.ts';

/** Offsets of the envelope (src/protocol/message.ts), spelled out: they must not follow the code under test. */
const INTEGER_FIELDS: readonly { readonly offset: number; readonly size: 4 | 8 }[] = [
  { offset: 0, size: 4 },
  { offset: 36, size: 4 },
  { offset: 40, size: 8 },
  { offset: 48, size: 8 },
  { offset: 56, size: 8 },
  { offset: 112, size: 4 },
  { offset: 116, size: 4 },
];
const BOUNDARIES: readonly bigint[] = [
  0n,
  1n,
  2n,
  112n,
  116n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const TYPES: readonly string[] = [
  'input_stream_data',
  'output_stream_data',
  'acknowledge',
  'channel_closed',
  'start_publication',
  'pause_publication',
  'agent_session_state',
  'what_is_this',
  '',
];

type Mutation = (frame: Buffer, random: Random) => Buffer;

const MUTATIONS: readonly Mutation[] = [
  (frame, random) => {
    for (let flips = randomInteger(random, 1, 8); flips > 0; flips -= 1) {
      const at = randomInteger(random, 0, frame.length - 1);
      frame[at] = (frame[at] ?? 0) ^ (1 << randomInteger(random, 0, 7));
    }
    return frame;
  },
  (frame, random) => frame.subarray(0, randomInteger(random, 0, frame.length)),
  (frame, random) => Buffer.concat([frame, randomBuffer(random, randomInteger(random, 1, 64))]),
  (frame, random) => {
    const field = INTEGER_FIELDS[randomInteger(random, 0, INTEGER_FIELDS.length - 1)];
    const value = BOUNDARIES[randomInteger(random, 0, BOUNDARIES.length - 1)];
    if (field === undefined || value === undefined || frame.length < field.offset + field.size) return frame;
    if (field.size === 8) frame.writeBigUInt64BE(value, field.offset);
    else frame.writeUInt32BE(Number(BigInt.asUintN(32, value)), field.offset);
    return frame;
  },
  // A sequence number nearby: duplicates, gaps, and numbers of things not sent yet.
  (frame, random) => {
    if (frame.length >= 56) frame.writeBigInt64BE(BigInt(randomInteger(random, -3, 400)), 48);
    return frame;
  },
  (frame, random) => {
    const type = TYPES[randomInteger(random, 0, TYPES.length - 1)] ?? '';
    if (frame.length >= 36) frame.write(type.padEnd(32), 4, 'latin1');
    return frame;
  },
  // Another payload type, with a payload that does not fit it.
  (frame, random) => {
    if (frame.length >= 116) frame.writeUInt32BE(randomInteger(random, 0, 16), 112);
    return frame;
  },
  // Broken JSON, with nothing else wrong.
  (frame, random) => {
    if (frame.length <= 121) return frame;
    const at = randomInteger(random, 120, frame.length - 1);
    frame.write('}{"[]0,:'[randomInteger(random, 0, 7)] ?? '}', at, 'latin1');
    return frame;
  },
];

export function mutateFrame(random: Random, original: Buffer): Buffer {
  let frame = Buffer.from(original);
  for (let rounds = randomInteger(random, 1, 2); rounds > 0 && frame.length > 0; rounds -= 1) {
    const mutation = MUTATIONS[randomInteger(random, 0, MUTATIONS.length - 1)];
    if (mutation !== undefined) frame = Buffer.from(mutation(frame, random));
  }
  if (random() < 0.5) repairDigest(frame);
  return frame;
}

/** With a good digest the broken payload gets past the first check. */
function repairDigest(frame: Buffer): void {
  if (frame.length <= 120 || frame.readUInt32BE(0) !== 116) return;
  createHash('sha256').update(frame.subarray(120)).digest().copy(frame, 80);
}
