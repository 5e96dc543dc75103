/** The emulated agent's outbox and inbox: protocol.md 4.1 to 4.3, agent columns. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Arrival } from '../../src/emulator/agent-inbox.ts';
import { AgentInbox, INBOX_CAPACITY_MESSAGES } from '../../src/emulator/agent-inbox.ts';
import { AgentOutbox, OUTBOX_CAPACITY_MESSAGES } from '../../src/emulator/agent-outbox.ts';
import { decodeMessage } from '../../src/protocol/message.ts';
import { encodeStream } from '../support/scripted-client.ts';

describe('the outbox of the emulated agent', () => {
  test('4.1: the RTO is 200 ms before the first acknowledgement', () => {
    const outbox = new AgentOutbox();
    outbox.record(Buffer.from('a'), 0);
    assert.equal(outbox.takeDue(200), undefined);
    assert.equal(outbox.takeDue(200.5)?.toString(), 'a');
  });

  // Worked by hand from the formula of 4.1, starting from RTT 100, variation 0.
  const SAMPLES: readonly { samples: readonly number[]; rtoMs: number }[] = [
    // VAR = 0.25 * |100 - 100| = 0, RTT = 100, RTO = 100 + 10
    { samples: [100], rtoMs: 110 },
    // VAR = 25, RTT = 87.5, RTO = 87.5 + 100
    { samples: [0], rtoMs: 187.5 },
    // then VAR = 18.75 + 0.25 * 87.5 = 40.625, RTT = 76.5625, RTO = 76.5625 + 162.5
    { samples: [0, 0], rtoMs: 239.0625 },
    // VAR = 0.25 * 900 = 225, RTT = 212.5, RTO = 1112.5, cut to 1000
    { samples: [1000], rtoMs: 1000 },
  ];
  for (const { samples, rtoMs } of SAMPLES) {
    test(`4.1: samples of ${samples.join(', ')} ms give an RTO of ${rtoMs} ms, without a lower bound`, () => {
      const outbox = new AgentOutbox();
      for (const [index, sample] of samples.entries()) {
        outbox.record(Buffer.from('x'), 5000);
        outbox.acknowledge(index, 5000 + sample);
      }
      assert.equal(outbox.rtoMs, rtoMs);
    });
  }

  test('4.1: acknowledgements of repeated messages count as samples, from the last transmission', () => {
    const outbox = new AgentOutbox();
    outbox.record(Buffer.from('x'), 0);
    assert.notEqual(outbox.takeDue(1000), undefined);
    outbox.acknowledge(0, 1100);
    assert.equal(outbox.rtoMs, 110);
  });

  test('4.2: only the oldest message is repeated, and at once per RTO', () => {
    const outbox = new AgentOutbox();
    for (const text of ['a', 'b', 'c']) outbox.record(Buffer.from(text), 0);
    assert.equal(outbox.takeDue(300)?.toString(), 'a');
    assert.equal(outbox.takeDue(400), undefined);
    assert.equal(outbox.takeDue(501)?.toString(), 'a');
    assert.equal(outbox.retransmissions, 2);
    outbox.acknowledge(0, 501);
    assert.equal(outbox.takeDue(601)?.toString(), 'b');
  });

  test('4.2: an acknowledged message in the middle is not repeated', () => {
    const outbox = new AgentOutbox();
    for (const text of ['a', 'b', 'c']) outbox.record(Buffer.from(text), 0);
    outbox.acknowledge(1, 100);
    outbox.acknowledge(0, 100);
    assert.equal(outbox.takeDue(10_000)?.toString(), 'c');
    assert.equal(outbox.unackedMessages, 1);
  });

  test('4.3: acknowledgements of unknown messages are ignored', () => {
    const outbox = new AgentOutbox();
    outbox.record(Buffer.from('a'), 0);
    outbox.acknowledge(7, 50);
    outbox.acknowledge(-1, 50);
    assert.equal(outbox.rtoMs, 200);
    assert.equal(outbox.unackedMessages, 1);
  });

  test('4.1: when the buffer is full new messages get a number but are not remembered', () => {
    const outbox = new AgentOutbox(2);
    for (const text of ['a', 'b', 'c']) outbox.record(Buffer.from(text), 0);
    assert.equal(outbox.nextSequenceNumber, 3);
    assert.equal(outbox.unackedMessages, 2);
    assert.equal(outbox.unackedBytes, 2);
    outbox.acknowledge(2, 100);
    assert.equal(outbox.unackedMessages, 2);
    outbox.acknowledge(0, 100);
    outbox.acknowledge(1, 100);
    assert.equal(outbox.takeDue(100_000), undefined);
    assert.equal(outbox.unackedBytes, 0);
  });

  test('4.1: both buffers hold 100,000 messages', () => {
    assert.equal(OUTBOX_CAPACITY_MESSAGES, 100_000);
    assert.equal(INBOX_CAPACITY_MESSAGES, 100_000);
  });
});

describe('the inbox of the emulated agent, 4.3', () => {
  const message = (sequenceNumber: number) =>
    decodeMessage(encodeStream(1, Buffer.from('x'), sequenceNumber));

  test('the message in turn is handled, one ahead is acknowledged and kept, a duplicate acknowledged', () => {
    const inbox = new AgentInbox();
    const arrive = (n: number): Arrival => inbox.arrive(message(n), true);
    assert.deepEqual([2, 1, 1, 0].map(arrive), ['acknowledge', 'acknowledge', 'acknowledge', 'handle']);
    inbox.advance();
    assert.deepEqual([inbox.peek()?.payload.toString(), inbox.expectedSequenceNumber], ['x', 1]);
    inbox.advance();
    inbox.advance();
    assert.equal(inbox.peek(), undefined);
    assert.deepEqual([0, 3].map(arrive), ['acknowledge', 'handle']);
    assert.equal(inbox.duplicates, 1);
  });

  test('agents before 3.2.1041.0 drop duplicates', () => {
    const inbox = new AgentInbox();
    inbox.arrive(message(0), false);
    inbox.advance();
    assert.equal(inbox.arrive(message(0), false), 'drop');
  });

  test('beyond its capacity messages ahead are dropped without acknowledgement', () => {
    const inbox = new AgentInbox(2);
    assert.deepEqual(
      [1, 2, 3, 0].map((n) => inbox.arrive(message(n), true)),
      ['acknowledge', 'acknowledge', 'drop', 'handle'],
    );
  });

  test('what is kept does not change with the receive buffer', () => {
    const inbox = new AgentInbox();
    const bytes = encodeStream(1, Buffer.from('kept'), 1);
    inbox.arrive(decodeMessage(bytes), true);
    bytes.fill(0);
    inbox.arrive(message(0), true);
    inbox.advance();
    assert.equal(inbox.peek()?.payload.toString(), 'kept');
  });

  test('a kept message whose handling failed stays, and stays in turn', () => {
    const inbox = new AgentInbox();
    inbox.arrive(message(1), true);
    inbox.arrive(message(0), true);
    inbox.advance();
    assert.notEqual(inbox.peek(), undefined);
    assert.notEqual(inbox.peek(), undefined);
    assert.equal(inbox.expectedSequenceNumber, 1);
  });
});
