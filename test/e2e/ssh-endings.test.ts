/**
 * Every way an ssh can end, at every stage of a connection: afterwards its proxy is gone, and the session
 * terminated. `checkNothingLeft` holds the promised time.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Writable } from 'node:stream';
import type { SessionState } from '../../src/emulator/controls.ts';
import type { Cluster } from '../support/cluster.ts';
import { FAR_ENDS, NODE, startCluster } from '../support/cluster.ts';
import type { Program } from '../support/programs.ts';
import { skipWithout } from '../support/programs.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;

before(async () => {
  cluster = await startCluster();
});
after(() => cluster.close());
afterEach(async () => {
  cluster.reset();
  await cluster.checkNothingLeft();
});

/** How far a connection has come when it is ended. */
interface Stage {
  readonly name: string;
  /** Remote command. */
  readonly command: string;
  /** Makes the service stop there. */
  prepare?(): void;
  /** Keeps the input flowing. */
  feed?(stdin: Writable): void;
  /** Shell syntax for the input, on a terminal. */
  readonly redirect?: string;
  isReached(program: Program, before: Progress): boolean;
}

interface Progress {
  readonly describeCalls: number;
  readonly sessions: number;
  readonly opens: number;
}

const WHILE_CONNECTING: readonly Stage[] = [
  {
    name: 'while the target is looked up',
    command: 'true',
    prepare: () =>
      cluster.emulator.controls.changeFaults({
        api: { failures: [{ operation: 'ec2:DescribeInstances', kind: 'hang' }] },
      }),
    isReached: (_program, before) => progress().describeCalls > before.describeCalls,
  },
  {
    name: 'while StartSession is answered',
    command: 'true',
    prepare: () => cluster.emulator.controls.changeFaults({ api: { latencyMs: 500 } }),
    isReached: (_program, before) => progress().sessions > before.sessions,
  },
  {
    name: 'while the data channel opens',
    command: 'true',
    prepare: () => cluster.emulator.controls.changeFaults({ open: { outcomes: [{ kind: 'hang' }] } }),
    isReached: (_program, before) => progress().opens > before.opens,
  },
  {
    name: 'while the port is dialled',
    command: 'true',
    prepare: () => cluster.emulator.controls.changeBehaviour({ dialDelayMs: 60_000 }),
    isReached: (_program, before) =>
      progress().sessions > before.sessions && newestSession()?.hasClient === true,
  },
];

const WHILE_CONNECTED: readonly Stage[] = [
  {
    name: 'while idle',
    command: 'echo ready; cat',
    isReached: (program) => program.outputSoFar().includes('ready'),
  },
  {
    name: 'during a download',
    command: 'cat /dev/zero',
    isReached: (_program, before) =>
      progress().sessions > before.sessions && (newestSession()?.agent?.sentBytes ?? 0) > 500_000,
  },
  {
    name: 'during an upload',
    command: 'cat > /dev/null',
    redirect: '< /dev/zero',
    feed: (stdin) => {
      const block = Buffer.alloc(65_536);
      const more = (): void => {
        while (stdin.writable && stdin.write(block));
      };
      stdin.on('drain', more);
      more();
    },
    isReached: (_program, before) =>
      progress().sessions > before.sessions && (newestSession()?.agent?.receivedBytes ?? 0) > 300_000,
  },
];

function progress(): Progress {
  const { calls, sessions, opens } = cluster.emulator.controls.state();
  return {
    describeCalls: calls['ec2:DescribeInstances']?.calls ?? 0,
    sessions: sessions.length,
    opens: opens.length,
  };
}

function newestSession(): SessionState | undefined {
  return cluster.emulator.controls.sessions()[0];
}

/** Starts ssh and resolves when it is at the stage; it is the caller's to end. */
async function reach(stage: Stage, start: () => Program): Promise<Program> {
  stage.prepare?.();
  const before = progress();
  const program = start();
  stage.feed?.(program.stdin);
  await until(stage.name, () => {
    assert.equal(program.child.exitCode, null, `ended early: ${program.errorsSoFar()}`);
    return stage.isReached(program, before);
  });
  return program;
}

/** ssh may say that it was killed; a message of ours there would be one too many. */
function assertQuiet(text: string): void {
  assert.doesNotMatch(text, /ssm-proxy: [^\r\n]* \[[A-Z_]+\]/);
}

const CASES = [
  ...WHILE_CONNECTING.map((stage) => ({ stage, far: { name: 'any', host: NODE, skip: false as const } })),
  ...FAR_ENDS.flatMap((far) => WHILE_CONNECTED.map((stage) => ({ stage, far }))),
];

for (const { stage, far } of CASES) {
  const where = far.name === 'any' ? '' : ` (${far.name})`;
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
    test(
      `nothing is left of an ssh that ${signal} ends ${stage.name}${where}`,
      { skip: far.skip || skipWithout('ssh') },
      async () => {
        const program = await reach(stage, () =>
          cluster.startSsh([far.host, stage.command], {
            keepsInput: true,
            keepsOutput: stage.name === 'while idle',
          }),
        );
        process.kill(program.pid, signal);
        assertQuiet((await program.finished).stderr);
      },
    );
  }

  test(
    `nothing is left after Ctrl-C on a terminal ${stage.name}${where}`,
    { skip: far.skip || skipWithout('ssh', 'script') },
    async () => {
      const command = `ssh -F ${cluster.sshConfigFile} -T ${far.host} '${stage.command}' ${stage.redirect ?? ''}`;
      // The terminal's own shell must not take the signal for ssh.
      const program = await reach({ ...stage, feed: () => {} }, () =>
        cluster.start('script', ['-qefc', `exec ${command}`, '/dev/null'], { keepsInput: true }),
      );
      program.stdin.write('\x03');
      const { stdout } = await program.finished;
      assertQuiet(stdout.toString('latin1'));
    },
  );
}

describe('the end of a connection', { skip: skipWithout('ssh') }, () => {
  for (const { name, host, skip } of FAR_ENDS) {
    test(
      `Ctrl-C in a remote terminal reaches the remote command only (${name})`,
      { skip: skip || skipWithout('script') },
      async () => {
        const inside = `ssh -F ${cluster.sshConfigFile} -tt ${host} 'trap : INT; echo ready; sleep 600; echo ended'`;
        const program = cluster.start('script', ['-qefc', `exec ${inside}`, '/dev/null'], {
          keepsInput: true,
        });
        await until('the remote command runs', () => program.outputSoFar().includes('ready'));
        program.stdin.write('\x03');
        const { stdout } = await program.finished;
        assert.match(stdout.toString(), /ready[^]*ended/);
        assertQuiet(stdout.toString());
      },
    );

    test(`a remote command that ends by itself ends everything at once (${name})`, { skip }, async () => {
      // The input stays open: nothing but the far end can end it.
      const program = cluster.startSsh([host, 'exit 3'], { keepsInput: true });
      const { status, stderr } = await program.finished;
      assert.deepEqual({ status, stderr }, { status: 3, stderr: '' });
    });
  }

  test('ssh ends when its proxy is killed; its session stays, as nobody could end it', async () => {
    const program = cluster.startSsh([NODE, 'echo ready; cat'], { keepsInput: true });
    await until('the remote command runs', () => program.outputSoFar().includes('ready'));
    const proxies = cluster.processes().filter((line) => line.includes(` connect ${NODE} 22`));
    assert.equal(proxies.length, 1, cluster.processes().join('\n'));
    process.kill(Number.parseInt(proxies[0] ?? '', 10), 'SIGKILL');
    assert.equal((await program.finished).status, 255);
    const session = newestSession();
    assert.ok(session !== undefined);
    await until('the client is gone', () => newestSession()?.hasClient === false);
    assert.notEqual(newestSession()?.status, 'Terminated');
    cluster.emulator.controls.terminateSession(session.sessionId);
    // What it knew of its session stays, for whoever cleans up later.
    rmSync(cluster.env['XDG_STATE_HOME'] ?? '', { recursive: true, force: true });
  });
});
