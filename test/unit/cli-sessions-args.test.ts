/** What `ssm-proxy sessions` lets one ask for: ending the wrong session cannot be undone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OptionReader } from '../../src/cli/option-values.ts';
import { readSessionsArgs } from '../../src/cli/sessions.ts';

function args(words: readonly string[], ...options: readonly string[]) {
  const texts = new Map(
    options.map((option) => {
      const [name = '', value = 'true'] = option.split('=');
      return [name, [value]];
    }),
  );
  return readSessionsArgs(words, new OptionReader('sessions', texts, {}));
}

for (const words of [[], ['list']]) {
  test(`sessions ${words.join(' ')} lists`, () => {
    assert.equal(args(words).ending, undefined);
  });
}

for (const [words, options, selection] of [
  [['end', 'a-1', 'b-2'], [], { sessionIds: ['a-1', 'b-2'], isMine: false, isForgotten: false }],
  [['end'], ['mine'], { sessionIds: [], isMine: true, isForgotten: false }],
  [['end'], ['forgotten'], { sessionIds: [], isMine: false, isForgotten: true }],
  [
    ['end'],
    ['mine', 'older-than=1h'],
    { sessionIds: [], isMine: true, isForgotten: false, olderThanMs: 3_600_000 },
  ],
] as const) {
  test(`sessions ${words.join(' ')} --${options.join(' --')} is understood`, () => {
    assert.deepEqual(args(words, ...options).ending, { olderThanMs: undefined, ...selection });
  });
}

for (const [words, options, message] of [
  [['kill'], [], /no action "kill"/],
  [['end'], [], /not said which sessions/],
  [['end'], ['older-than=1h'], /not said which sessions/],
  [['end'], ['dry-run'], /not said which sessions/],
  [['end', 'a-1'], ['mine'], /cannot be combined/],
  [['end', 'a-1'], ['forgotten'], /cannot be combined/],
  [['end', 'a-1'], ['older-than=1h'], /cannot be combined/],
  [['end'], ['mine', 'older-than=soon'], /--older-than "soon" cannot be used/],
  [['list'], ['mine'], /takes all sessions/],
  [[], ['dry-run'], /takes all sessions/],
  [['list', 'a-1'], [], /takes all sessions/],
] as const) {
  test(`sessions ${words.join(' ')} --${options.join(' --')} is refused`, () => {
    assert.throws(() => args(words, ...options), { code: 'USAGE', message });
  });
}
