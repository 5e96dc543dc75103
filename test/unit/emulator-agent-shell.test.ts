/** Shells and commands of the emulated agent: protocol.md 6.1 to 6.3. Real processes; the agent's delays are virtual. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hasPseudoTerminals } from '../../src/emulator/agent-pty.ts';
import { Utf8Regrouper } from '../../src/emulator/agent-utf8.ts';
import { splitWords } from '../../src/emulator/agent-words.ts';
import { MESSAGE_TYPE, PAYLOAD_TYPE } from '../../src/protocol/message.ts';
import type { AgentSessionRequest } from '../../src/emulator/agent-link.ts';
import { FLAG, formatJson } from '../../src/protocol/payloads.ts';
import type { ScriptedClientOptions } from '../support/scripted-client.ts';
import { ScriptedClient } from '../support/scripted-client.ts';
import { until } from '../support/until.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const { OUTPUT, STD_ERR, EXIT_CODE, SIZE, FLAG: FLAG_TYPE } = PAYLOAD_TYPE;
const ERROR_TITLE = '\n----------ERROR-------\n';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ssm-proxy-test-'));
  // Temporary files of the agent go there too, so that they can be told from those of others.
  process.env['TMPDIR'] = directory;
});
after(async () => {
  await rm(directory, { recursive: true });
});

interface Run {
  readonly client: ScriptedClient;
  readonly clock: VirtualClock;
  /** Waits while the agent's time passes. */
  readonly waitFor: (what: string, check: () => boolean) => Promise<void>;
}

function start(
  t: { after(fn: () => void): void },
  request: Partial<AgentSessionRequest>,
  options: ScriptedClientOptions = {},
): Run {
  const clock = new VirtualClock();
  const environment = { PATH: process.env['PATH'] ?? '', HOME: directory, MARK: 'from the node' };
  const client = new ScriptedClient({
    clock,
    request: { properties: {}, ...request },
    shell: { directory, environment },
    ...options,
  });
  t.after(() => client.session.kill());
  const waitFor = async (what: string, check: () => boolean): Promise<void> => {
    await until(what, () => {
      clock.advance(200);
      return check();
    });
  };
  return { client, clock, waitFor };
}

describe('the shell, 6.1', () => {
  const SHELL = { sessionType: 'Standard_Stream' };

  test('starts without a handshake: the first message is Output, with number 0', async (t) => {
    const { client, waitFor } = start(t, SHELL);
    await waitFor('the prompt', () => client.output.length > 0);
    assert.equal(client.stream[0]?.payloadType, OUTPUT);
    assert.equal(client.stream[0]?.sequenceNumber, 0);
    assert.equal(client.stream[0]?.flags, 1);
  });

  test('the terminal is not read in the first second', async (t) => {
    const { client, clock } = start(t, SHELL);
    await until('the shell', () => client.traces.includes('shell-started'));
    clock.advance(999);
    client.send(OUTPUT, 'echo x\n');
    assert.equal(client.stream.length, 0);
  });

  test('a command runs in the environment and directory of the node; exit ends the task with Success', async (t) => {
    const { client, waitFor } = start(t, SHELL);
    await waitFor('the shell', () => client.traces.includes('shell-started'));
    client.send(OUTPUT, 'echo "<$MARK>" "$(pwd)" "$TERM"\n');
    await waitFor('its output', () => client.output.includes(`<from the node> ${directory} xterm-256color`));
    client.send(OUTPUT, 'exit 3\n');
    await waitFor('the end', () => client.hasEnded);
    assert.deepEqual(client.result, { status: 'Success', output: '' });
  });

  test('Size sets the size of the terminal, before and after something runs on it', async (t) => {
    if (!(await hasPseudoTerminals())) {
      t.skip('no script(1) of util-linux');
      return;
    }
    const { client, waitFor } = start(t, SHELL);
    await waitFor('the shell', () => client.traces.includes('shell-started'));
    for (const size of [
      { cols: 91, rows: 31 },
      { cols: 120, rows: 40 },
    ]) {
      client.send(SIZE, formatJson(size));
      await waitFor('the size', () => {
        client.send(OUTPUT, 'stty size\n');
        return client.output.includes(`\n${size.rows} ${size.cols}\r`);
      });
    }
  });

  test('a Size that cannot be read is not acknowledged', async (t) => {
    const { client, waitFor } = start(t, SHELL);
    await waitFor('the shell', () => client.traces.includes('shell-started'));
    client.send(SIZE, 'wide', 0);
    assert.deepEqual(client.acknowledged, []);
    client.send(SIZE, formatJson({ cols: 80, rows: 24 }), 0);
    assert.deepEqual(client.acknowledged, [0]);
  });

  test('Ctrl-C interrupts what runs and leaves the shell', async (t) => {
    if (!(await hasPseudoTerminals())) {
      t.skip('no script(1) of util-linux');
      return;
    }
    const { client, waitFor } = start(t, SHELL);
    await waitFor('the shell', () => client.traces.includes('shell-started'));
    client.send(OUTPUT, 'echo run""ning; sleep 1000\n');
    await waitFor('the command', () => client.output.includes('running\r'));
    client.send(OUTPUT, '\x03');
    client.send(OUTPUT, 'echo still""here\n');
    await waitFor('the shell again', () => client.output.includes('stillhere'));
  });

  test('flags mean nothing: TerminateSession is acknowledged and the shell goes on', async (t) => {
    const { client, waitFor } = start(t, SHELL);
    await waitFor('the shell', () => client.traces.includes('shell-started'));
    client.sendFlag(FLAG.TERMINATE_SESSION);
    assert.deepEqual(client.acknowledged, [0]);
    client.send(OUTPUT, 'echo go""es on\n');
    await waitFor('its output', () => client.output.includes('goes on\r'));
    assert.equal(client.hasEnded, false);
  });

  test('channel_closed kills the shell and what runs in it', async (t) => {
    const { client, waitFor, clock } = start(t, SHELL);
    await waitFor('the shell', () => client.traces.includes('shell-started'));
    client.send(OUTPUT, 'echo pid=$$; exec sleep 1000\n');
    await waitFor('the pid', () => /pid=\d+/.test(client.output.toString()));
    const pid = Number(/pid=(\d+)/.exec(client.output.toString())?.[1]);
    client.closeByService();
    await waitFor('the end', () => client.hasEnded);
    assert.equal(client.result?.status, 'Success');
    await until('the end of the process', () => !isRunning(pid));
    assert.equal(clock.pendingTimers, 0);
  });

  test('4.4: paused, the terminal is not read', async (t) => {
    const { client, clock, waitFor } = start(t, SHELL);
    await waitFor('the prompt', () => client.output.length > 0);
    client.send(OUTPUT, 'yes | head -c 50000\n');
    await waitFor('some output', () => client.output.length > 5000);
    // An acknowledgement under way would end the pause.
    client.acknowledges = false;
    await clock.advanceAsync(20);
    client.sendControl(MESSAGE_TYPE.PAUSE_PUBLICATION);
    clock.advance(20);
    const { sentBytes } = client.session.stats();
    await clock.advanceAsync(1000);
    // One more message may have been under way.
    assert.equal(client.session.stats().sentBytes - sentBytes <= 1024 + 3, true);
    client.sendControl(MESSAGE_TYPE.START_PUBLICATION);
    await waitFor('the rest', () => client.session.stats().sentBytes > 50_000);
  });
});

describe('interactive commands, 6.2', () => {
  test('run through a shell on a terminal and take input', async (t) => {
    const { client, waitFor } = start(t, {
      sessionType: 'InteractiveCommands',
      command: 'printf "name? "; read name; echo "hello $name"',
    });
    await waitFor('the question', () => client.output.includes('name?'));
    client.send(OUTPUT, 'Ada\n');
    await waitFor('the end', () => client.hasEnded);
    assert.match(client.output.toString(), /hello Ada/);
    assert.deepEqual(client.result, { status: 'Success', output: '' });
  });

  for (const sessionType of ['InteractiveCommands', 'NonInteractiveCommands']) {
    test(`empty ${sessionType} fail with the text of the agent`, async (t) => {
      const { client, waitFor } = start(t, { sessionType, command: ' \n' });
      await waitFor('the end', () => client.hasEnded);
      assert.deepEqual(client.result, {
        status: 'Failed',
        output: `Commands cannot be empty for session type ${sessionType}`,
      });
    });
  }
});

describe('non-interactive commands, 6.3, merged', () => {
  const run = (t: { after(fn: () => void): void }, command: string): Run =>
    start(t, { sessionType: 'NonInteractiveCommands', command });

  test('stdout and stderr come as one, as Output, without an exit code', async (t) => {
    const { client, waitFor } = run(t, `sh -c 'echo out; echo err >&2; echo "$MARK"; exit 7'`);
    await waitFor('the end', () => client.hasEnded);
    assert.equal(client.output.toString(), 'out\nerr\nfrom the node\n');
    assert.equal(client.hasType(STD_ERR), false);
    assert.equal(client.hasType(EXIT_CODE), false);
    assert.deepEqual(client.result, { status: 'Success', output: '' });
  });

  test('nothing is sent before the command has ended', async (t) => {
    const { client, waitFor } = run(
      t,
      `sh -c 'echo early; touch ready; while [ ! -e go ]; do sleep 0.05; done'`,
    );
    await waitFor('the command', () => client.traces.includes('command-started'));
    await until('its first output', () => existsSync(join(directory, 'ready')));
    assert.equal(client.output.length, 0);
    client.send(OUTPUT, '\x03');
    await waitFor('the end', () => client.hasEnded);
    assert.equal(client.output.toString(), 'early\n');
  });

  test('the words are not seen by a shell', async (t) => {
    const { client, waitFor } = run(t, `printf '%s\\n' $HOME '*' "a  b"`);
    await waitFor('the end', () => client.hasEnded);
    assert.equal(client.output.toString(), '$HOME\n*\na  b\n');
  });

  test('its temporary file is gone afterwards, also after a kill', async (t) => {
    const leftovers = (): string[] =>
      readdirSync(directory).filter((name) => name.startsWith('ssm-proxy-output-'));
    const { client, waitFor } = run(t, 'sleep 1000');
    await waitFor('the command', () => client.traces.includes('command-started'));
    assert.notDeepEqual(leftovers(), []);
    client.session.kill();
    await until('no temporary directory', () => leftovers().length === 0);
  });

  test('a command that does not exist: its text on StdErr after a second, and the task fails', async (t) => {
    const { client, waitFor } = run(t, 'no-such-command --at-all');
    await waitFor('the end', () => client.hasEnded);
    const reason = 'exec: "no-such-command": executable file not found in $PATH';
    assert.equal(client.bytesOf(STD_ERR).toString(), reason);
    assert.deepEqual(client.result, {
      status: 'Failed',
      output: `${ERROR_TITLE}Error occurred starting the command: ${reason}\n`,
    });
  });

  test('a line that cannot be split', async (t) => {
    const { client, waitFor } = run(t, "echo 'open");
    await waitFor('the end', () => client.hasEnded);
    const text =
      'Unable to start command: Failed to parse commands input: EOF found when expecting closing quote\n\n';
    assert.equal(client.bytesOf(STD_ERR).toString(), text);
    assert.equal(client.result?.output, `${ERROR_TITLE}${text}`);
  });
});

describe('non-interactive commands, 6.3, separate', () => {
  const run = (t: { after(fn: () => void): void }, command: string, properties = {}): Run =>
    start(t, { sessionType: 'NonInteractiveCommands', command, separateOutputStream: true, properties });

  test('stdout is Output, stderr is StdErr, and the exit code comes last', async (t) => {
    const { client, waitFor } = run(t, `sh -c 'echo out; echo err >&2; exit 7'`);
    await waitFor('the end', () => client.hasEnded);
    assert.equal(client.output.toString(), 'out\n');
    assert.equal(client.bytesOf(STD_ERR).toString(), 'err\n');
    assert.equal(client.stream.at(-1)?.payloadType, EXIT_CODE);
    assert.equal(client.bytesOf(EXIT_CODE).toString(), 'EXIT_CODE: 7');
    assert.deepEqual(client.result, { status: 'Success', output: '' });
  });

  test('output is sent while the command runs', async (t) => {
    const { client, waitFor } = run(t, `sh -c 'echo early; exec sleep 1000'`);
    await waitFor('the output', () => client.output.toString() === 'early\n');
    assert.equal(client.hasEnded, false);
  });

  test('a signal of its own counts as -1, one that was sent by Ctrl-C as 1', async (t) => {
    const own = run(t, `sh -c 'kill -TERM $$'`);
    await own.waitFor('the end', () => own.client.hasEnded);
    assert.equal(own.client.bytesOf(EXIT_CODE).toString(), 'EXIT_CODE: -1');
    const sent = run(t, 'sleep 1000');
    await sent.waitFor('the command', () => sent.client.traces.includes('command-started'));
    sent.client.send(OUTPUT, 'xx\x03');
    await sent.waitFor('the end', () => sent.client.hasEnded);
    assert.equal(sent.client.bytesOf(EXIT_CODE).toString(), 'EXIT_CODE: 1');
  });

  test('other input and Size are acknowledged and do nothing', async (t) => {
    const { client, waitFor } = run(t, 'sleep 1000');
    await waitFor('the command', () => client.traces.includes('command-started'));
    const numbers = [
      client.send(OUTPUT, 'hello\n'),
      client.send(SIZE, '{"cols":1,"rows":1}'),
      client.sendFlag(2),
    ];
    assert.deepEqual(client.acknowledged.slice(1), numbers);
    assert.equal(client.hasEnded, false);
    assert.equal(client.hasType(FLAG_TYPE), false);
  });

  test('prefixes begin each chunk after a line end, and messages stay within 1024 bytes', async (t) => {
    const { client, waitFor } = run(t, `sh -c 'echo out; echo err >&2; head -c 3000 /dev/zero'`, {
      stdOutSeparatorPrefix: 'STD_OUT:',
      stdErrSeparatorPrefix: 'STD_ERR:',
    });
    await waitFor('the end', () => client.hasEnded);
    assert.match(client.output.toString(), /^STD_OUT:out\n/);
    assert.equal(client.bytesOf(STD_ERR).toString(), 'STD_ERR:err\n');
    assert.equal(Math.max(...client.stream.map((message) => message.payload.length)) <= 1024, true);
  });

  test('a prefix with other characters fails the session', async (t) => {
    const { client, waitFor } = run(t, 'true', { stdErrSeparatorPrefix: 'a b' });
    await waitFor('the end', () => client.hasEnded);
    assert.deepEqual(client.result, { status: 'Failed', output: 'invalid stderrSeparatorPrefix a b' });
  });

  test('4.4: a pause aborts the output and fails the session', async (t) => {
    const { client, waitFor } = run(
      t,
      `sh -c 'echo early; while [ ! -e go2 ]; do sleep 0.02; done; echo late'`,
    );
    await waitFor('the output', () => client.output.toString() === 'early\n');
    client.sendControl(MESSAGE_TYPE.PAUSE_PUBLICATION);
    await writeFile(join(directory, 'go2'), '');
    await waitFor('the end', () => client.hasEnded);
    assert.equal(client.result?.status, 'Failed');
    assert.equal(client.hasType(EXIT_CODE), false);
  });

  test('a command that does not exist has exit code 1', async (t) => {
    const { client, waitFor } = run(t, './nothing-here');
    await waitFor('the end', () => client.hasEnded);
    assert.equal(client.bytesOf(EXIT_CODE).toString(), 'EXIT_CODE: 1');
    assert.equal(client.bytesOf(STD_ERR).toString(), 'fork/exec ./nothing-here: no such file or directory');
  });

  test('channel_closed kills the command', async (t) => {
    const { client, waitFor, clock } = run(t, `sh -c 'echo $$; exec sleep 1000'`);
    await waitFor('the pid', () => client.output.length > 0);
    const pid = Number(client.output.toString());
    client.closeByService();
    await waitFor('the end', () => client.hasEnded);
    await until('the end of the process', () => !isRunning(pid));
    assert.equal(clock.pendingTimers, 0);
  });
});

describe('terminal output on UTF-8 boundaries, 6.1', () => {
  const pushAll = (...chunks: string[]): string[] => {
    const regrouper = new Utf8Regrouper();
    return chunks.map((chunk) => regrouper.push(Buffer.from(chunk, 'hex')).toString('hex'));
  };
  const ROWS: readonly { name: string; chunks: string[]; sent: string[] }[] = [
    { name: 'ASCII passes', chunks: ['616263'], sent: ['616263'] },
    { name: 'a character of 2 bytes cut in two', chunks: ['61c3', 'a962'], sent: ['61', 'c3a962'] },
    {
      name: 'a character of 4 bytes, byte by byte',
      chunks: ['f0', '9f', '98', '80'],
      sent: ['', '', '', 'f09f9880'],
    },
    { name: 'an invalid byte before the last three passes', chunks: ['ff61626364'], sent: ['ff61626364'] },
    {
      name: 'an invalid byte among the last three is held, with what follows',
      chunks: ['6162ff63', '6465'],
      sent: ['6162', 'ff636465'],
    },
    { name: 'an overlong form is invalid', chunks: ['c0af616263'], sent: ['c0af616263'] },
    {
      name: 'a surrogate is invalid and passes byte by byte',
      chunks: ['eda08061626364'],
      sent: ['eda08061626364'],
    },
    {
      name: 'of a genuine U+FFFD only the first byte gets through',
      chunks: ['61efbfbd62636465'],
      sent: ['61ef62636465'],
    },
  ];
  for (const { name, chunks, sent } of ROWS) {
    test(name, () => assert.deepEqual(pushAll(...chunks), sent));
  }
});

describe('splitting a command line', () => {
  const ROWS: readonly { line: string; words: readonly string[] | string }[] = [
    { line: 'a  b\tc\nd', words: ['a', 'b', 'c', 'd'] },
    { line: `one 'two three' "four \\"five\\""`, words: ['one', 'two three', 'four "five"'] },
    { line: `a'b'"c"d`, words: ['abcd'] },
    { line: `''`, words: [''] },
    { line: `'a\\b' a\\ b`, words: ['a\\b', 'a b'] },
    { line: 'a # comment\nb c#d', words: ['a', 'b', 'c#d'] },
    { line: '"open', words: 'EOF found when expecting closing quote' },
    { line: 'end\\', words: 'EOF found after escape character' },
    { line: '   ', words: [] },
  ];
  for (const { line, words } of ROWS) {
    test(`${JSON.stringify(line)} gives ${JSON.stringify(words)}`, () => {
      assert.deepEqual(splitWords(line), typeof words === 'string' ? { error: words } : { words });
    });
  }
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
