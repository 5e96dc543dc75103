/** `ssm-proxy shell` on a real terminal (tmux), and on pipes, against the emulator's shell on a pseudo terminal. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { startCluster } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';
import { skipWithout } from '../support/programs.ts';
import { Terminal } from '../support/terminal.ts';
import { until } from '../support/until.ts';

const HOST = '10.0.1.11';

let cluster: Cluster;
let terminal: Terminal | undefined;

before(async () => {
  cluster = await startCluster({ nodes: 2, withSshd: false });
});
after(() => cluster.close());
afterEach(async () => {
  terminal?.close();
  terminal = undefined;
  cluster.reset();
  await cluster.checkNothingLeft();
});

/** A shell in a terminal; what the far side can see is in its own directory. */
function open(args = '', columns = 80, rows = 24): Terminal {
  const [node, cli] = cluster.cliCommand;
  const env = { ...cluster.env, LC_ALL: 'C.UTF-8' };
  const saved = join(cluster.directory, 'stty');
  terminal = new Terminal(
    // The terminal's settings before and after.
    `stty -g > '${saved}.before'; '${node}' '${cli}' shell ${HOST} ${args}; s=$?; stty -g > '${saved}.after'; exit $s`,
    { env, cwd: cluster.directory, columns, rows },
  );
  return terminal;
}

function checkRestored(): void {
  const saved = join(cluster.directory, 'stty');
  assert.equal(readFileSync(`${saved}.after`, 'utf8'), readFileSync(`${saved}.before`, 'utf8'));
}

describe('on a terminal', { skip: skipWithout('tmux', 'script') }, () => {
  test('keys, sizes, UTF-8 and control characters go to the far side, whose end is ours', async () => {
    const screen = open('', 91, 27);
    await screen.shows(/[#$] *$/);
    screen.type('stty size; echo grüß$((1+1)) 語😀');
    screen.press('Enter');
    await screen.shows(/^27 91$/m);
    await screen.shows(/^grüß2 語😀$/m);
    screen.resize(100, 30);
    screen.type('sleep 0.3; stty size');
    screen.press('Enter');
    await screen.shows(/^30 100$/m);
    // Ctrl-C and Ctrl-Z are the far side's.
    screen.type('sleep 600.25');
    screen.press('Enter');
    await until('the far side runs it', () =>
      execFileSync('ps', ['axo', 'args']).toString().includes('\nsleep 600.25\n'),
    );
    screen.press('C-c');
    await screen.shows(/\^C\s+# *$/);
    screen.type('echo alive$((1+1))');
    screen.press('Enter');
    await screen.shows(/^alive2$/m);
    screen.press('C-d');
    assert.equal(await screen.ended(), 0);
    checkRestored();
  });

  test('a full-screen program draws its screen as on a terminal of its own', async () => {
    const screen = open();
    await screen.shows(/[#$] *$/);
    // Raw output on the far side: a line feed alone must go straight down.
    screen.type("stty -opost; printf 'ab\\ncd\\r\\n'; stty opost");
    screen.press('Enter');
    await screen.shows(/^ab$/m);
    await screen.shows(/^ {2}cd$/m);
    screen.press('C-d');
    assert.equal(await screen.ended(), 0);
  });

  test('a paste of a megabyte arrives whole', async () => {
    cluster.liftPaces();
    const screen = open('--pace off');
    await screen.shows(/[#$] *$/);
    const line = 'abcdefghijklmnopqrstuvwxyz0123456789'.repeat(2);
    const lines = Math.ceil(1_048_576 / (line.length + 1));
    screen.type('stty -echo; cat > pasted; stty echo; sha256sum < pasted; wc -c < pasted');
    screen.press('Enter');
    await until('the far side reads', () => /cat > pasted/.test(screen.screen()));
    const text = `${line}\n`.repeat(lines);
    screen.paste(text);
    screen.press('C-d');
    await screen.shows(new RegExp(`^${text.length}$`, 'm'));
    screen.press('C-d');
    assert.equal(await screen.ended(), 0);
  });

  test('~. leaves a session whose far side does not answer, ~? helps, ~~ is one ~', async () => {
    const screen = open();
    await screen.shows(/[#$] *$/);
    screen.type('echo a~b');
    screen.press('Enter');
    await screen.shows(/^a~b$/m);
    screen.type('~?');
    await screen.shows(/~\. {3}end the session/);
    screen.press('Enter');
    await screen.shows(/one ~\s+# *$/);
    screen.type('~~x');
    await screen.shows(/(^|[^~])~x$/);
    screen.press('C-u', 'Enter');
    screen.type('~.');
    assert.equal(await screen.ended(), 130);
    await screen.shows(/session ended by ~\./);
    checkRestored();
  });

  test('a signal and a crash of the program give the terminal back', async () => {
    for (const [signal, status] of [
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      const screen = open();
      await screen.shows(/[#$] *$/);
      const pid = cluster
        .processes()
        .find((line) => / shell 10\.0\.1\.11 *$/.test(line) && !line.includes('stty'));
      assert.ok(pid !== undefined, cluster.processes().join('\n'));
      process.kill(Number.parseInt(pid, 10), signal);
      assert.equal(await screen.ended(), status);
      checkRestored();
      screen.close();
    }
  });

  test('suspended by ~^Z it gives the terminal back, and takes it again', async () => {
    const [node, cli] = cluster.cliCommand;
    terminal = new Terminal('exec sh -i', {
      env: { ...cluster.env, PS1: 'local> ', LC_ALL: 'C.UTF-8' },
      cwd: cluster.directory,
    });
    await terminal.shows(/local> $|local>$/);
    terminal.type(`'${node}' '${cli}' shell ${HOST}`);
    terminal.press('Enter');
    await terminal.shows(/[#$] *$/);
    terminal.type('echo far$((1+1))');
    terminal.press('Enter');
    await terminal.shows(/^far2$/m);
    terminal.type('~');
    terminal.press('C-z');
    await terminal.shows(/Stopped|Suspended/);
    terminal.type('stty -a | grep -c -- " echo "');
    terminal.press('Enter');
    await terminal.shows(/^1$/m);
    terminal.type('fg');
    terminal.press('Enter');
    await terminal.shows(/^.*ssm.*shell|cli\.cjs/m);
    terminal.type('echo again$((1+1))');
    terminal.press('Enter');
    await terminal.shows(/^again2$/m);
    terminal.press('C-d');
    await terminal.shows(/local> $|local>$/);
    terminal.type('exit 0');
    terminal.press('Enter');
    assert.equal(await terminal.ended(), 0);
  });

  test('a lost connection is told and mended, with what was typed meanwhile', async () => {
    const screen = open();
    await screen.shows(/[#$] *$/);
    const { controls } = cluster.emulator;
    controls.changeFaults({
      api: {
        failures: [
          {
            operation: 'ssm:ResumeSession',
            kind: 'error',
            code: 'InternalServerError',
            status: 500,
            forMs: 3_000,
          },
        ],
      },
    });
    controls.dropAllClients();
    await screen.shows(/the connection is lost; resuming it/);
    screen.type('echo back$((1+1))');
    screen.press('Enter');
    await screen.shows(/^back2$/m);
    await screen.shows(/the connection is back/);
    screen.press('C-d');
    assert.equal(await screen.ended(), 0);
  });
});

describe('on pipes', { skip: skipWithout('script') }, () => {
  test('commands are typed into the shell, and the end of the input ends it', async () => {
    const { status, stdout, stderr } = await cluster.cli(['shell', HOST], {
      input: Buffer.from('echo one$((1+1))\nsleep 1.2\necho two$((1+1))'),
    });
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout.toString(), /one2\r\n[^]*two2\r\n/);
  });

  test('a document of another type is refused, and the session ended', async () => {
    const { status, stderr } = await cluster.cli(['shell', HOST, '--document', 'AWS-StartSSHSession']);
    assert.equal(status, 65);
    assert.match(
      stderr,
      /^ssm-proxy: document AWS-StartSSHSession starts a session of type Port \[DOCUMENT_INVALID\]$/m,
    );
  });
});
