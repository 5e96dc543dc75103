/** The completion scripts against the tables: nothing is missing, in whatever shell. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bashScript } from '../../src/cli/completion/bash.ts';
import { fishScript } from '../../src/cli/completion/fish.ts';
import { commandOffers } from '../../src/cli/completion/model.ts';
import { targetCandidates } from '../../src/cli/completion/target-words.ts';
import { zshScript } from '../../src/cli/completion/zsh.ts';
import { COMMANDS, optionsOf } from '../../src/cli/options.ts';

/** What a script has for an option of a command. */
const MARKS = {
  bash: (command: string, option: string) =>
    new RegExp(`^ +${command}\\) options='[^']*--${option}[+ ']`, 'm'),
  zsh: (command: string, option: string) =>
    new RegExp(`^ +${command}\\)\\n +_arguments -S \\\\\\n( +'.*\\n)*? +'[^\\]]*--${option}=?\\[`, 'm'),
  fish: (command: string, option: string) => new RegExp(`-n '__ssm_proxy_in ${command}' -l ${option} `),
} as const;

for (const [shell, script] of [
  ['bash', bashScript(commandOffers())],
  ['zsh', zshScript(commandOffers())],
  ['fish', fishScript(commandOffers())],
] as const) {
  test(`the script for ${shell} has every option of every command`, () => {
    for (const command of COMMANDS) {
      for (const { name } of [...optionsOf(command), { name: 'help' }]) {
        assert.match(script, MARKS[shell](command, name), `${command} --${name}`);
      }
    }
  });
}

test('the tables are read as they are written', () => {
  const offer = (name: string) => commandOffers().find((command) => command.name === name);
  assert.deepEqual(offer('connect')?.words, [{ kind: 'targets' }, { kind: 'none' }]);
  assert.deepEqual(offer('config')?.words, [{ kind: 'words', words: ['show'] }, { kind: 'targets' }]);
  assert.deepEqual([offer('exec')?.words, offer('exec')?.hasMore], [[{ kind: 'targets' }], true]);
  assert.deepEqual(offer('sessions')?.words[0], { kind: 'words', words: ['list', 'end'] });
  const valueOf = (name: string) => offer('connect')?.options.find((option) => option.name === name)?.value;
  assert.deepEqual(valueOf('pace'), { kind: 'words', words: ['safe', 'auto', 'off'] });
  assert.deepEqual(valueOf('log-file'), { kind: 'files' });
  assert.deepEqual(valueOf('vpc'), { kind: 'none' });
  assert.equal(valueOf('quiet'), undefined);
});

test('candidates are bounded, and control characters reach neither words nor descriptions', () => {
  const many = Array.from({ length: 1_500 }, (_, index) => ({
    instanceId: `i-${String(index).padStart(17, '0')}`,
    name: `n${index}`,
    nodeName: undefined,
    privateIp: undefined,
    state: 'running',
  }));
  assert.equal(targetCandidates(many, '').length, 1_000);
  const odd = {
    instanceId: 'i-1',
    name: 'two\nlines\t',
    nodeName: undefined,
    privateIp: '10.0.0.1',
    state: 'running',
  };
  assert.deepEqual(targetCandidates([odd], ''), [{ word: '10.0.0.1', meaning: 'two?lines? i-1 running' }]);
});
