/** `ssm-proxy exec` against the emulator: bytes, streams, status, words, many nodes, terminals, old agents. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import { startCluster } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';
import { findProgram, skipWithout } from '../support/programs.ts';
import { Terminal } from '../support/terminal.ts';
import { until } from '../support/until.ts';

const HOST = '10.0.1.11';
const SEPARATE = 'Test-SeparateStreams';

let cluster: Cluster;

before(async () => {
  cluster = await startCluster({ nodes: 3, withSshd: false });
  cluster.emulator.controls.addDocument({
    name: SEPARATE,
    sessionType: 'NonInteractiveCommands',
    parameters: { command: { defaultValue: undefined, pattern: undefined } },
    properties: {},
    command: '{{ command }}',
    separateOutputStream: true,
    minimumAgentVersion: '3.1.1511.0',
  });
});
after(() => cluster.close());
afterEach(async () => {
  cluster.reset();
  for (const { instanceId } of cluster.emulator.instances) {
    cluster.emulator.controls.changeInstance(instanceId, { agentVersion: '3.3.987.0' });
  }
  await cluster.checkNothingLeft();
});

const exec = (...args: readonly string[]) => cluster.cli(['exec', ...args]);
/** A reply as text, for comparison. */
async function said(...args: readonly string[]) {
  const { status, stdout, stderr } = await exec(...args);
  return { status, stdout: stdout.toString(), stderr };
}

/** Both ways that a document may treat the streams. */
for (const [name, options] of [
  ['the standard document', []],
  ['a document with separate streams', ['--document', SEPARATE]],
] as const) {
  describe(`with ${name}`, () => {
    test('stdout, stderr and exit status are those of the command', async () => {
      assert.deepEqual(await said(...options, HOST, '--', 'echo out; echo err >&2; exit 7'), {
        status: 7,
        stdout: 'out\n',
        stderr: 'err\n',
      });
    });

    test('any bytes come through, whatever stands at the end', async () => {
      // Every byte, a genuine U+FFFD, an unfinished character; and enough of them to need many messages.
      const line = String.raw`i=0; while [ $i -lt 256 ]; do printf "\\$(printf %03o $i)"; i=$((i+1)); done; printf '\357\277\275'; seq 30000; printf '\360\237'`;
      const { status, stdout, stderr } = await exec(...options, HOST, '--', line);
      const expected = Buffer.concat([
        Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
        Buffer.from('\ufffd'),
        Buffer.from(Array.from({ length: 30_000 }, (_, i) => `${i + 1}\n`).join('')),
        Buffer.of(0xf0, 0x9f),
      ]);
      assert.deepEqual([status, stderr], [0, '']);
      const hash = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
      assert.equal(hash(stdout), hash(expected));
    });

    test('several words are a program and its arguments, exactly', async () => {
      const words = ['a b', "it's", '$HOME `id` "x" \\', '', '{{ x }}', '*', 'grüß\nline', '#no'];
      const { status, stdout } = await said(...options, HOST, '--', 'printf', '<%s>', ...words);
      assert.deepEqual([status, stdout], [0, words.map((word) => `<${word}>`).join('')]);
    });

    test('a program that does not exist is status 127 with the word of the shell, a signal 128 and more', async () => {
      const missing = await said(...options, HOST, '--', 'no-such-program', 'x');
      assert.deepEqual([missing.status, missing.stdout], [127, '']);
      assert.match(missing.stderr, /no-such-program: not found/);
      assert.equal((await said(...options, HOST, '--', 'kill -9 $$')).status, 137);
    });

    test('much on both streams at once', async () => {
      const line = 'seq 20000 >&2 & seq 20000; wait';
      const { status, stdout, stderr } = await said(...options, HOST, '--', line);
      const expected = Array.from({ length: 20_000 }, (_, i) => `${i + 1}\n`).join('');
      assert.equal(status, 0);
      assert.ok(stdout === expected && stderr === expected);
    });
  });
}

test('with separate streams output comes while the command runs', async () => {
  const running = cluster.startCli(['exec', '--document', SEPARATE, HOST, '--', 'echo early; sleep 600.5']);
  await until('the first line is there', () => running.outputSoFar() === 'early\n');
  process.kill(running.pid, 'SIGINT');
  assert.equal((await running.finished).status, 130);
});

test('stdin is not read: a loop over a list goes on', { skip: skipWithout('sh') }, async () => {
  const [node, cli] = cluster.cliCommand;
  const loop = `while read -r word; do '${node}' '${cli}' exec ${HOST} -- echo "$word"; done`;
  const { stdout } = await cluster.run('sh', ['-c', loop], { input: Buffer.from('one\ntwo\n') });
  assert.equal(stdout.toString(), 'one\ntwo\n');
});

test('--raw gives the words to the agent as they are', async () => {
  assert.deepEqual(await said('--raw', HOST, '--', 'sh', '-c', 'echo  a; echo b >&2; exit 3'), {
    status: 0,
    stdout: ' a\nb\n'.trimStart(),
    stderr: '',
  });
  assert.deepEqual(
    await said('--raw', '--document', SEPARATE, HOST, '--', 'sh', '-c', 'echo a; echo b >&2; exit 3'),
    {
      status: 3,
      stdout: 'a\n',
      stderr: 'b\n',
    },
  );
});

describe('on many nodes', () => {
  test('each line has the name of its node, and the largest status is the status', async () => {
    const { status, stdout, stderr } = await said(
      ...['--all', HOST, '10.0.1.10', '--', 'echo a; printf b; test -z "$HOME" || exit 4'],
    );
    assert.deepEqual([status, stderr], [4, '']);
    assert.deepEqual(stdout.split('\n').sort(), [
      '',
      'demo-head: a',
      'demo-head: b',
      'demo-worker1: a',
      'demo-worker1: b',
    ]);
  });

  test('--tag finds them, --parallel bounds how many run, --json is a line for each', async () => {
    for (const { instanceId } of cluster.emulator.instances) {
      const { tags } = cluster.emulator.controls.changeInstance(instanceId, {});
      cluster.emulator.controls.changeInstance(instanceId, { tags: { ...tags, team: 'ml' } });
    }
    const { status, stdout } = await said(
      ...[
        '--all',
        '--tag',
        'team=ml',
        '--parallel',
        '2',
        '--json',
        '--',
        String.raw`printf '\377'; echo e >&2; exit 2`,
      ],
    );
    assert.equal(status, 2);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      lines.map(({ instanceId }) => instanceId).sort(),
      cluster.emulator.instances.map(({ instanceId }) => instanceId).sort(),
    );
    for (const { exitStatus, stdoutBase64, stderr, error } of lines) {
      assert.deepEqual([exitStatus, stdoutBase64, stderr, error], [2, '/w==', 'e\n', null]);
    }
  });

  test('a node that cannot be reached is named, and does not stop the others', async () => {
    const controls = cluster.emulator.controls;
    const gone = cluster.instanceId(HOST);
    controls.changeInstance(gone, { agentOnline: false });
    try {
      const { status, stdout, stderr } = await said(
        ...['--all', '--connect-timeout', '1', HOST, '10.0.1.10', '--', 'echo here'],
      );
      assert.deepEqual([status, stdout], [69, 'demo-head: here\n']);
      assert.match(stderr, /^ssm-proxy: demo-worker1: .*\[TARGET_NOT_CONNECTED\]$/m);
    } finally {
      controls.changeInstance(gone, { agentOnline: true });
    }
  });

  test('nothing that matches is an error', async () => {
    const { status, stderr } = await said('--all', '--tag', 'no=one', '--', 'true');
    assert.equal(status, 68);
    assert.match(stderr, /no running instance matches in us-east-1 \[TARGET_NOT_FOUND\]/);
  });
});

describe('with -t', { skip: skipWithout('script') }, () => {
  test('the command has a terminal, and its status comes back', async () => {
    const { status, stdout } = await said('-t', HOST, '--', 'tty; stty size; exit 5');
    assert.equal(status, 5);
    assert.match(stdout, /^\/dev\/pts\/\d+\r\n\d+ \d+\r\n$/);
  });

  test('piped stdin is typed, and a silent command is waited for', async () => {
    const { status, stdout } = await cluster.cli(['exec', '-t', HOST, '--', 'stty -echo; wc -c'], {
      input: Buffer.from('12345\n'),
    });
    assert.deepEqual([status, stdout.toString()], [0, '6\r\n']);
  });

  test(
    'in a terminal, keys go to the command',
    { skip: findProgram('tmux') === undefined && 'not installed: tmux' },
    async () => {
      const [node, cli] = cluster.cliCommand;
      const terminal = new Terminal(
        `'${node}' '${cli}' exec -t ${HOST} -- 'stty size; read -r x; echo "got $x"; exit 9'`,
        {
          ...{ env: cluster.env, cwd: cluster.directory, columns: 77, rows: 21 },
        },
      );
      try {
        await terminal.shows(/^\d+ \d+$/m);
        terminal.type('words');
        terminal.press('Enter');
        assert.equal(await terminal.ended(), 9);
        assert.match(terminal.screen(), /^got words$/m);
      } finally {
        terminal.close();
      }
    },
  );
});

describe('agents below a gate', () => {
  test('below 3.0.1124.0 there are no non-interactive commands, and the error says what to do', async () => {
    cluster.emulator.controls.changeInstance(cluster.instanceId(HOST), { agentVersion: '3.0.1123.0' });
    const { status, stderr } = await said(HOST, '--', 'true');
    assert.notEqual(status, 0);
    assert.match(stderr, /update/i);
  });

  test('one that does not acknowledge duplicates runs commands', async () => {
    cluster.emulator.controls.changeInstance(cluster.instanceId(HOST), { agentVersion: '3.1.1511.0' });
    assert.deepEqual(await said(HOST, '--', 'echo old; exit 3'), { status: 3, stdout: 'old\n', stderr: '' });
  });
});

for (const [args, message] of [
  [[HOST], /the command is missing/],
  [['--', 'true'], /the target is missing/],
  [['a', 'b', '--', 'true'], /several targets need --all/],
  [['--all', '--', 'true'], /--all needs targets, --tag or --vpc/],
  [['-t', '--all', HOST, '--', 'true'], /-t goes with neither/],
] as const) {
  test(`exec ${args.join(' ')} is a mistake`, async () => {
    const { status, stderr } = await said(...args);
    assert.equal(status, 2);
    assert.match(stderr, message);
  });
}
