/** What is sent again, and when: cases that a whole channel rarely gets into. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outbox } from '../../src/protocol/outbox.ts';

function filled(count: number): Outbox {
  const outbox = new Outbox();
  for (let n = 0; n < count; n += 1) outbox.add(Buffer.from(String(n)), 1, 0);
  return outbox;
}

const texts = (messages: readonly Buffer[]): string[] => messages.map((message) => message.toString());

test('one tick takes what is known to be lost and an overdue probe, and leaves nothing due', () => {
  const outbox = filled(3);
  // The oldest is probed; then the newest is acknowledged, which says nothing of the probe that was sent after it.
  assert.deepEqual(texts(outbox.takeDue(1000, undefined)), ['0']);
  outbox.acknowledge(2, 1001);
  const late = 20_000;
  assert.deepEqual(texts(outbox.takeDue(late, undefined)), ['1', '0']);
  assert.ok((outbox.deadline(undefined) ?? Infinity) > late);
});

test('the oldest is not sent twice when it is both lost and overdue', () => {
  const outbox = filled(2);
  outbox.acknowledge(1, 10);
  assert.deepEqual(texts(outbox.takeDue(20_000, undefined)), ['0']);
});
