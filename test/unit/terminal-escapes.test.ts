/** Escapes of a terminal session: what reaches the far side, and what is read here, however the input is cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EscapeFilter } from '../../src/terminal/escape-filter.ts';

/** The bytes that go on, with commands as <words>. */
function filtered(chunks: readonly string[]): string {
  const filter = new EscapeFilter();
  return chunks
    .flatMap((chunk) => filter.feed(Buffer.from(chunk, 'latin1')))
    .map((part) => (part.kind === 'data' ? part.data.toString('latin1') : `<${part.command}>`))
    .join('');
}

for (const [what, typed, expected] of [
  ['text goes on', 'ls -l ~/x\r', 'ls -l ~/x\r'],
  ['an escape at the very start', '~.', '<end>'],
  ['after carriage return and after line feed', 'a\r~.b\n~?', 'a\r<end>b\n<help>'],
  ['not within a line', 'a~.', 'a~.'],
  ['two tildes are one', '~~.', '~.'],
  ['two tildes end the look-out', 'x\r~~\r', 'x\r~\r'],
  ['Ctrl-Z suspends', '\r~\x1a', '\r<suspend>'],
  ['a tilde before anything else is that', '~a~.', '~a~.'],
  ['a tilde before a line end is that, and the next line begins', '~\r~.', '~\r<end>'],
  ['escapes one after the other', '~?~?~.', '<help><help><end>'],
  ['bytes above 127 are bytes', '\xe8\xaa\x9e\r~.', '\xe8\xaa\x9e\r<end>'],
] as const) {
  test(what, () => {
    assert.equal(filtered([typed]), expected);
    assert.equal(filtered([...typed]), expected, 'one byte at a time');
  });
}

test('a tilde waits for the byte after it', () => {
  const filter = new EscapeFilter();
  assert.deepEqual(filter.feed(Buffer.from('~')), []);
  assert.deepEqual(filter.feed(Buffer.from('/')), [
    { kind: 'data', data: Buffer.from('~') },
    { kind: 'data', data: Buffer.from('/') },
  ]);
});
