/** How commands and their output travel: words, the lines of the script, the marks of a terminal. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { splitWords } from '../../src/emulator/agent-words.ts';
import { argvOf, quoteWords } from '../../src/exec/command-line.ts';
import { FrameReader, framedCommand } from '../../src/exec/output-frames.ts';
import { StatusMarks, markedCommand } from '../../src/exec/status-mark.ts';
import { randomInteger, seededRandom } from '../support/random.ts';

const WORDS = [
  'plain',
  '',
  'a b',
  "it's",
  '"q"',
  '$HOME',
  '`id`',
  '\\',
  '\n',
  '#',
  '*',
  '{{ x }}',
  '{{{',
  'grüß',
  '!x',
];

test('quoted words are the same words to the agent and to a shell', () => {
  assert.deepEqual(splitWords(quoteWords(WORDS)), { words: WORDS });
  const { stdout } = spawnSync('sh', ['-c', `printf '<%s>' ${quoteWords(WORDS)}`], { encoding: 'utf8' });
  assert.equal(stdout, WORDS.map((word) => `<${word}>`).join(''));
  assert.doesNotMatch(quoteWords(WORDS), /\{\{/);
});

test('one word is a line for the shell, several are left alone', () => {
  assert.deepEqual(argvOf(['a | b']), ['sh', '-c', 'a | b']);
  assert.deepEqual(argvOf(['a', 'b']), ['a', 'b']);
});

interface Heard {
  stdout: string;
  stderr: string;
  status: number | undefined;
}

function listen(): { heard: Heard; reader: FrameReader } {
  const heard: Heard = { stdout: '', stderr: '', status: undefined };
  const reader = new FrameReader({
    onBytes: (data, stream) => (heard[stream] += data.toString('latin1')),
    onStatus: (status) => (heard.status = status),
  });
  return { heard, reader };
}

test('the lines of the script are read however they are cut', () => {
  const random = seededRandom(7);
  const text = Buffer.from('1aGVsbG8g\n2ZXJy\n1d29ybGT/\nnot one of ours\nx17\n');
  for (let round = 0; round < 200; round += 1) {
    const { heard, reader } = listen();
    for (let from = 0; from < text.length;) {
      const to = from + randomInteger(random, 1, 9);
      reader.push(text.subarray(from, to));
      from = to;
    }
    reader.end();
    assert.deepEqual(heard, { stdout: 'hello world\xff', stderr: 'errnot one of ours\n', status: 17 });
  }
});

test('an error of the agent without a line end is stderr, and a line without end is no memory', () => {
  const { heard, reader } = listen();
  reader.push(Buffer.from('exec: "sh": not found'));
  reader.end();
  assert.equal(heard.stderr, 'exec: "sh": not found');
  const flood = Buffer.alloc(65_536, 'z');
  for (let i = 0; i < 10; i += 1) reader.push(flood);
  assert.ok(heard.stderr.length >= 400_000, `${heard.stderr.length} characters were passed on`);
});

test('a node without base64 is an error with a way out', () => {
  const { reader } = listen();
  assert.throws(() => reader.push(Buffer.from('!\n')), { code: 'SESSION_ENDED', hint: /--raw/ });
});

for (const shell of ['sh', 'bash', 'busybox']) {
  const found = spawnSync('sh', ['-c', `command -v ${shell}`]).status === 0;
  test(`the script does its work in ${shell}`, { skip: !found && `not installed: ${shell}` }, () => {
    const split = splitWords(framedCommand(['sh', '-c', 'printf "a\\0b"; echo e >&2; exit 9']));
    assert.ok('words' in split);
    const [, ...args] = split.words;
    const [program = '', ...before] = shell === 'busybox' ? ['busybox', 'sh'] : [shell];
    const apart = spawnSync(program, [...before, ...args]);
    // Both streams into one file, as the agent does it.
    const merged = spawnSync('sh', ['-c', 'exec 2>&1; exec "$@"', 'sh', program, ...before, ...args]);
    for (const [stdout, stderr] of [
      [apart.stdout, apart.stderr],
      [merged.stdout, merged.stderr],
    ]) {
      const { heard, reader } = listen();
      reader.push(stdout ?? Buffer.alloc(0));
      reader.push(stderr ?? Buffer.alloc(0));
      assert.deepEqual(heard, { stdout: 'a\0b', stderr: 'e\n', status: 9 });
    }
    assert.deepEqual([apart.status, merged.status, merged.stderr.length], [9, 9, 0]);
  });
}

test('marks are taken out of a terminal, and only they, however the output is cut', () => {
  const output = 'x\x1b[1m\x1b_other\x1b\\\x1b_ssm-proxy:n0:no-end-that-is-near----------y\x1b_ssm';
  const text = `\x1b_ssm-proxy:n0:start\x1b\\${output}\x1b_ssm-proxy:n0:42\x1b\\`;
  for (const size of [1, 2, 3, 7, 1000]) {
    const marks = new StatusMarks('n0');
    let clean = '';
    for (let from = 0; from < text.length; from += size) {
      clean += marks.push(Buffer.from(text.slice(from, from + size), 'latin1')).toString('latin1');
    }
    clean += marks.end().toString('latin1');
    assert.deepEqual([clean, marks.exitStatus], [output, 42], `in pieces of ${size}`);
  }
});

test('the marks of another nonce are output', () => {
  const marks = new StatusMarks('n1');
  const text = '\x1b_ssm-proxy:n0:42\x1b\\';
  assert.equal(marks.push(Buffer.from(text, 'latin1')).toString('latin1'), text);
  assert.equal(marks.exitStatus, undefined);
});

test('a marked command says its marks and keeps its status', () => {
  const text = markedCommand(argvOf(['printf hi; exit 6']), 'n2');
  const split = splitWords(text);
  assert.ok('words' in split);
  const [program = '', ...args] = split.words;
  // By a shell, as most agents do it, and by words, as agents in containers do.
  for (const { stdout, status } of [spawnSync('sh', ['-c', text]), spawnSync(program, args)]) {
    const marks = new StatusMarks('n2');
    assert.equal(marks.push(stdout).toString(), 'hi');
    assert.deepEqual([marks.exitStatus, status], [6, 6]);
  }
});
