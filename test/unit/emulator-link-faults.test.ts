/** Message rules: which messages they hit and what becomes of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { LinkFaults } from '../../src/emulator/link-faults.ts';
import { parseRules } from '../../src/emulator/message-rule.ts';
import type { Direction } from '../../src/emulator/message-rule.ts';
import { seededRandom } from '../../src/emulator/random.ts';
import {
  decodeMessage,
  encodeMessage,
  isDigestValid,
  MESSAGE_TYPE,
  PAYLOAD_TYPE,
} from '../../src/protocol/message.ts';

function stream(
  sequenceNumber: number,
  options: { payloadType?: number; bytes?: number; type?: string } = {},
): Buffer {
  return encodeMessage({
    messageType: options.type ?? MESSAGE_TYPE.OUTPUT_STREAM_DATA,
    createdDate: 1,
    sequenceNumber,
    messageId: Buffer.alloc(16, 7),
    payloadType: options.payloadType ?? PAYLOAD_TYPE.OUTPUT,
    payload: Buffer.alloc(options.bytes ?? 10, sequenceNumber),
  });
}

function faultsWith(rules: unknown[], seed = 1): LinkFaults {
  const faults = new LinkFaults(seededRandom(seed));
  faults.setRules(parseRules(rules, 'rules'));
  return faults;
}

function apply(faults: LinkFaults, data: Buffer, direction: Direction = 'to-client') {
  let message;
  try {
    message = decodeMessage(data);
  } catch {
    message = undefined;
  }
  return faults.apply(direction, data, message);
}

/** Sequence numbers that pass at once, message by message. */
function passed(faults: LinkFaults, sequences: readonly number[]): number[] {
  return sequences.flatMap((sequence) =>
    apply(faults, stream(sequence)).flatMap((action) =>
      action.kind === 'pass' ? [decodeMessage(action.data).sequenceNumber] : [],
    ),
  );
}

test('without rules every message passes unchanged, also one that is no message', () => {
  const faults = faultsWith([]);
  const data = stream(3);
  assert.deepEqual(apply(faults, data), [{ kind: 'pass', data }]);
  const junk = Buffer.from('junk');
  assert.deepEqual(apply(faults, junk), [{ kind: 'pass', data: junk }]);
});

const selections: readonly { name: string; rule: Record<string, unknown>; left: number[] }[] = [
  { name: 'all', rule: {}, left: [] },
  { name: 'the first three', rule: { count: 3 }, left: [3, 4, 5, 6, 7, 8, 9] },
  { name: 'those after the first eight', rule: { skip: 8 }, left: [0, 1, 2, 3, 4, 5, 6, 7] },
  { name: 'every third', rule: { every: 3 }, left: [0, 1, 3, 4, 6, 7, 9] },
  {
    name: 'every third after two, twice',
    rule: { every: 3, skip: 2, count: 2 },
    left: [0, 1, 2, 3, 5, 6, 8, 9],
  },
  {
    name: 'a range of sequence numbers',
    rule: { fromSequence: 2, toSequence: 4 },
    left: [0, 1, 5, 6, 7, 8, 9],
  },
  { name: 'whenever 400 more bytes have passed', rule: { everyBytes: 390 }, left: [0, 1, 3, 4, 6, 7, 9] },
  { name: 'none with probability 0', rule: { probability: 0 }, left: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] },
  {
    name: 'none of the other direction',
    rule: { direction: 'to-agent' },
    left: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  },
  {
    name: 'none of another type',
    rule: { messageType: 'acknowledge' },
    left: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  },
  { name: 'none of another payload type', rule: { payloadType: 7 }, left: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] },
];
for (const { name, rule, left } of selections) {
  test(`a drop rule drops ${name}`, () => {
    const faults = faultsWith([{ action: 'drop', ...rule }]);
    assert.deepEqual(passed(faults, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), left);
  });
}

test('probability is reproducible by its seed', () => {
  const run = (seed: number): number[] => {
    const faults = faultsWith([{ action: 'drop', probability: 0.3 }], seed);
    return passed(
      faults,
      Array.from({ length: 200 }, (_, i) => i),
    );
  };
  assert.deepEqual(run(5), run(5));
  assert.notDeepEqual(run(5), run(6));
  assert.ok(run(5).length > 110 && run(5).length < 170);
});

test('a rule for first transmissions lets retransmissions through', () => {
  const faults = faultsWith([
    { action: 'drop', firstTransmissionOnly: true, fromSequence: 1, toSequence: 1 },
  ]);
  assert.deepEqual(passed(faults, [0, 1, 2, 1, 3]), [0, 2, 1, 3]);
});

test('a rule for large messages leaves those alone that are as large or smaller', () => {
  const bytes = stream(0, { bytes: 2000 }).length;
  const faults = faultsWith([{ action: 'drop', largerThanBytes: bytes }]);
  assert.equal(apply(faults, stream(0, { bytes: 2000 }))[0]?.kind, 'pass');
  assert.deepEqual(apply(faults, stream(1, { bytes: 2001 })), []);
  assert.equal(apply(faults, stream(2))[0]?.kind, 'pass');
});

test('the phase follows the handshake', () => {
  const faults = faultsWith([
    { action: 'drop', phase: 'handshake', payloadType: PAYLOAD_TYPE.OUTPUT },
    { action: 'cut', phase: 'after-handshake', direction: 'to-agent' },
  ]);
  assert.equal(faults.phase, 'before-handshake');
  assert.equal(apply(faults, stream(0, { payloadType: PAYLOAD_TYPE.HANDSHAKE_REQUEST }))[0]?.kind, 'pass');
  assert.equal(faults.phase, 'handshake');
  assert.equal(apply(faults, stream(0, { type: MESSAGE_TYPE.INPUT_STREAM_DATA }), 'to-agent').length, 0);
  assert.equal(apply(faults, stream(1, { payloadType: PAYLOAD_TYPE.HANDSHAKE_COMPLETE }))[0]?.kind, 'pass');
  assert.equal(faults.phase, 'after-handshake');
  assert.equal(
    apply(faults, stream(1, { type: MESSAGE_TYPE.INPUT_STREAM_DATA }), 'to-agent')[0]?.kind,
    'cut',
  );
});

test('the service’s own messages are hit only by rules that name them', () => {
  const faults = faultsWith([{ action: 'drop' }]);
  const notice = stream(0, { type: MESSAGE_TYPE.PAUSE_PUBLICATION });
  assert.equal(apply(faults, notice)[0]?.kind, 'pass');
  const named = faultsWith([{ action: 'drop', messageType: MESSAGE_TYPE.PAUSE_PUBLICATION }]);
  assert.deepEqual(apply(named, notice), []);
});

test('duplicates pass at once, and their copies later or at once', () => {
  const later = apply(faultsWith([{ action: 'duplicate', copies: 2, delayMs: 30 }]), stream(0));
  assert.deepEqual(
    later.map((action) => action.kind),
    ['pass', 'pass-later', 'pass-later'],
  );
  const atOnce = apply(faultsWith([{ action: 'duplicate', delayMs: 0 }]), stream(0));
  assert.deepEqual(
    atOnce.map((action) => action.kind),
    ['pass', 'pass'],
  );
});

test('a delayed message passes later', () => {
  const data = stream(0);
  assert.deepEqual(apply(faultsWith([{ action: 'delay', delayMs: 250 }]), data), [
    { kind: 'pass-later', data, delayMs: 250 },
  ]);
});

test('a reordered message is overtaken by as many as the rule says', () => {
  const faults = faultsWith([{ action: 'reorder', behind: 3, count: 1 }]);
  assert.deepEqual(passed(faults, [0, 1, 2, 3, 4]), [1, 2, 3, 0, 4]);
  assert.equal(faults.hasHeld('to-client'), false);
});

test('a held message can be released when nothing overtakes it', () => {
  const faults = faultsWith([{ action: 'reorder', behind: 5 }]);
  const data = stream(0);
  assert.deepEqual(apply(faults, data), []);
  assert.equal(faults.hasHeld('to-client'), true);
  assert.deepEqual(faults.flushHeld('to-client'), [data]);
  assert.equal(faults.hasHeld('to-client'), false);
});

test('links are cut, closed and left half-open', () => {
  const data = stream(0);
  assert.deepEqual(apply(faultsWith([{ action: 'cut' }]), data), [{ kind: 'cut', partial: undefined }]);
  assert.deepEqual(apply(faultsWith([{ action: 'cut-mid-message' }]), data), [
    { kind: 'cut', partial: data },
  ]);
  assert.deepEqual(apply(faultsWith([{ action: 'close', closeCode: 1001, closeReason: 'away' }]), data), [
    { kind: 'close', code: 1001, reason: 'away' },
  ]);
  assert.deepEqual(apply(faultsWith([{ action: 'half-open' }]), data), [{ kind: 'half-open' }]);
});

const corruptions: readonly { action: string; check: (original: Buffer, damaged: Buffer) => void }[] = [
  {
    action: 'bad-digest',
    check: (original, damaged) => {
      assert.equal(isDigestValid(decodeMessage(damaged)), false);
      assert.deepEqual(decodeMessage(damaged).payload, decodeMessage(original).payload);
    },
  },
  {
    action: 'bad-payload',
    check: (original, damaged) => {
      assert.equal(isDigestValid(decodeMessage(damaged)), false);
      assert.notDeepEqual(decodeMessage(damaged).payload, decodeMessage(original).payload);
    },
  },
  {
    action: 'wrong-length',
    check: (original, damaged) => {
      assert.equal(damaged.length, original.length);
      assert.notEqual(
        decodeMessage(damaged).declaredPayloadLength,
        decodeMessage(original).declaredPayloadLength,
      );
    },
  },
  {
    action: 'truncate',
    check: (_original, damaged) => assert.throws(() => decodeMessage(damaged), ProxyError),
  },
  {
    action: 'unknown-message-type',
    check: (_original, damaged) => assert.equal(decodeMessage(damaged).messageType, 'emulator_made_this_up'),
  },
  {
    action: 'unknown-payload-type',
    check: (_original, damaged) => assert.equal(decodeMessage(damaged).payloadType, 99),
  },
];
for (const { action, check } of corruptions) {
  test(`${action} damages a copy`, () => {
    const original = stream(4);
    const before = Buffer.from(original);
    const [result] = apply(faultsWith([{ action }]), original);
    assert.ok(result?.kind === 'pass');
    check(original, result.data);
    assert.deepEqual(original, before);
  });
}

test('counts go on while the list of rules is the same, and start anew with another', () => {
  const faults = new LinkFaults(seededRandom(1));
  const rules = parseRules([{ action: 'drop', count: 1 }], 'rules');
  faults.setRules(rules);
  assert.deepEqual(passed(faults, [0, 1]), [1]);
  faults.setRules(rules);
  assert.deepEqual(passed(faults, [2]), [2]);
  faults.setRules([...rules]);
  assert.deepEqual(passed(faults, [3, 4]), [4]);
});

const badRules: readonly { name: string; rule: unknown; path: RegExp }[] = [
  { name: 'no action', rule: {}, path: /rules\[0\]\.action/ },
  { name: 'an unknown action', rule: { action: 'explode' }, path: /rules\[0\]\.action/ },
  { name: 'an unknown key', rule: { action: 'drop', colour: 1 }, path: /rules\[0\]\.colour/ },
  { name: 'a probability above 1', rule: { action: 'drop', probability: 2 }, path: /probability/ },
  { name: 'every 0th', rule: { action: 'drop', every: 0 }, path: /every/ },
  {
    name: 'a close code that must not be sent',
    rule: { action: 'close', closeCode: 1006 },
    path: /closeCode/,
  },
  { name: 'a text for a number', rule: { action: 'drop', skip: '3' }, path: /skip/ },
];
for (const { name, rule, path } of badRules) {
  test(`a rule with ${name} is refused with its path`, () => {
    assert.throws(
      () => parseRules([rule], 'rules'),
      (error: unknown) => error instanceof ProxyError && error.code === 'USAGE' && path.test(error.message),
    );
  });
}
