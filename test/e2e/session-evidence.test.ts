/**
 * Ends that nobody planned, as processes: uncaught errors, a resume that is given up, SIGKILL. What each leaves: a
 * flight record that explains it, a session record that `ssm-proxy sessions` can use, and otherwise nothing.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { cliPath } from '../support/cli.ts';
import type { Cluster, RunOptions } from '../support/cluster.ts';
import { NODE, startCluster } from '../support/cluster.ts';
import type { Program } from '../support/programs.ts';
import { until } from '../support/until.ts';

/** Throws where nobody catches it, on SIGUSR2. */
const BOMB = `process.on('SIGUSR2', () => {
  if (process.env.BOMB === 'promise') void Promise.reject(new Error('boom'));
  else setImmediate(() => { throw new Error('boom'); });
});`;

let cluster: Cluster;
let bomb = '';

before(async () => {
  cluster = await startCluster({ withSshd: false });
  bomb = join(cluster.directory, 'bomb.cjs');
  writeFileSync(bomb, BOMB);
});
after(() => cluster.close());
afterEach(async () => {
  cluster.reset();
  await cluster.checkNothingLeft();
  rmSync(join(cluster.stateHome, 'ssm-proxy'), { recursive: true, force: true });
});

function namesIn(folder: string): readonly string[] {
  const path = join(cluster.stateHome, 'ssm-proxy', folder);
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(path, name));
}
const flightRecords = (): readonly string[] => namesIn('flight-records');
const sessionRecords = (): readonly string[] => namesIn('sessions');

/** A connection that is up and has its record. */
async function startConnected(options: RunOptions = {}, nodeArgs: readonly string[] = []): Promise<Program> {
  const before = sessionRecords().length;
  const args = [...nodeArgs, cliPath, 'connect', NODE];
  const program = cluster.start(process.execPath, args, { keepsInput: true, ...options });
  await until('the banner arrives', () => program.outputSoFar().startsWith('SSH-2.0-'));
  const isHidden = options.env?.['XDG_STATE_HOME'] !== undefined;
  await until('the session is recorded', () => isHidden || sessionRecords().length > before);
  return program;
}

function newestSession() {
  const [session] = cluster.emulator.controls.sessions();
  assert.ok(session !== undefined);
  return session;
}

interface Listed {
  readonly sessionId: string;
  readonly state: string;
  readonly status: string | null;
  readonly target: string | null;
  readonly pid: number | null;
  readonly result?: string;
}

async function sessionsJson(...args: readonly string[]): Promise<readonly Listed[]> {
  const { status, stdout, stderr } = await cluster.cli(['sessions', ...args, '--json']);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  const { schema, sessions } = JSON.parse(stdout.toString()) as { schema: number; sessions: Listed[] };
  assert.equal(schema, 1);
  return sessions;
}

/** Error line, hint with a path, and nothing else; the path. */
function recordNamedIn(stderr: string, message: RegExp): string {
  const [line = '', hint = '', ...rest] = stderr.split('\n');
  assert.match(line, message);
  assert.deepEqual(rest, ['']);
  const [, path = ''] = /^ssm-proxy: .*details: (\/.*\.log)$/.exec(hint) ?? [];
  assert.deepEqual(flightRecords(), [path], hint);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  return readFileSync(path, 'utf8');
}

for (const kind of ['exception', 'promise']) {
  test(`an uncaught ${kind} ends the session, is reported, and leaves a record`, async () => {
    const program = await startConnected({ env: { BOMB: kind } }, ['--require', bomb]);
    program.child.kill('SIGUSR2');
    const { status, stderr } = await program.finished;
    assert.equal(status, 1);
    const record = recordNamedIn(stderr, /^ssm-proxy: unexpected error: boom \[INTERNAL\]$/);
    assert.match(record, new RegExp(`^ssm-proxy flight recorder .* sessionId=${newestSession().sessionId}`));
    assert.match(record, / \* crash\b.*\n/);
    assert.match(record, / > input_stream_data seq=\d+ payload=flag bytes=4\n/);
    assert.equal(newestSession().status, 'Terminated');
    assert.deepEqual(sessionRecords(), []);
  });
}

test('an uncaught error while the session is being started ends what was started', async () => {
  cluster.emulator.controls.changeFaults({ agent: { startDelayMs: 2_000 } });
  const program = cluster.start(process.execPath, ['--require', bomb, cliPath, 'connect', NODE], {
    keepsInput: true,
  });
  const known = newestOrNone();
  await until('the session is started', () => newestOrNone() !== known);
  program.child.kill('SIGUSR2');
  const { status, stderr, stdout } = await program.finished;
  assert.deepEqual([status, stdout.toString()], [1, '']);
  recordNamedIn(stderr, /^ssm-proxy: unexpected error: boom \[INTERNAL\]$/);
});

function newestOrNone(): string | undefined {
  return cluster.emulator.controls.sessions()[0]?.sessionId;
}

test('where the service does not answer, a crashed process is gone all the same, and its session is not forgotten', async () => {
  const program = await startConnected({}, ['--require', bomb]);
  const { controls } = cluster.emulator;
  controls.changeFaults({
    link: { blackhole: 'both' },
    api: { failures: [{ operation: 'ssm:TerminateSession', kind: 'hang' }] },
  });
  program.child.kill('SIGUSR2');
  const { status } = await program.finished;
  assert.equal(status, 1);
  assert.equal(sessionRecords().length, 1);
  cluster.reset();
  const { sessionId } = newestSession();
  assert.deepEqual(
    (await sessionsJson()).map((session) => [session.sessionId, session.state, session.pid]),
    [[sessionId, 'forgotten', program.pid]],
  );
  const ended = await sessionsJson('end', '--forgotten');
  assert.deepEqual(
    ended.map(({ result }) => result),
    ['ended'],
  );
});

test('ended while StartSession is answering, and TerminateSession fails: the session is not forgotten', async () => {
  const { controls } = cluster.emulator;
  controls.changeFaults({
    api: { latencyMs: 300, failures: [{ operation: 'ssm:TerminateSession', code: 'InternalServerError' }] },
  });
  const known = newestOrNone();
  const program = cluster.startCli(['connect', NODE], { keepsInput: true });
  await until('the session is started', () => newestOrNone() !== known);
  program.child.kill('SIGTERM');
  const { status, stdout } = await program.finished;
  assert.deepEqual([status, stdout.toString()], [143, '']);
  cluster.reset();
  const { sessionId } = newestSession();
  assert.deepEqual(
    (await sessionsJson()).map((session) => [session.sessionId, session.state, session.pid]),
    [[sessionId, 'forgotten', program.pid]],
  );
  await sessionsJson('end', '--forgotten');
});

test('ended while StartSession is answering: the session is ended too, and leaves no trace', async () => {
  const { controls } = cluster.emulator;
  controls.changeFaults({ api: { latencyMs: 300 } });
  const known = newestOrNone();
  const program = cluster.startCli(['connect', NODE], { keepsInput: true });
  await until('the session is started', () => newestOrNone() !== known);
  program.child.kill('SIGTERM');
  assert.equal((await program.finished).status, 143);
  assert.notEqual(newestSession().status, 'Connected');
  assert.deepEqual(sessionRecords(), []);
});

test('a resume that is given up ends the session with the reason and a record of the attempts', async () => {
  const program = await startConnected({ env: { SSM_PROXY_RESUME_TIMEOUT: '1s' } });
  const { controls } = cluster.emulator;
  controls.changeFaults({
    api: { failures: [{ operation: 'ssm:ResumeSession', code: 'InternalServerError', status: 500 }] },
  });
  controls.cutSession(newestSession().sessionId);
  const { status, stderr } = await program.finished;
  assert.equal(status, 74);
  const record = recordNamedIn(stderr, /^ssm-proxy: .* \[SESSION_LOST\]$/);
  assert.match(record, / \* link_lost closeCode=1006 /);
  assert.match(record, / \* resume_failed .*code=SERVICE_ERROR/);
  assert.match(record, / \* session_end outcome=SESSION_LOST /);
  assert.deepEqual(sessionRecords(), []);
});

test('SIGUSR1 writes a record, and the session goes on without a word', async () => {
  const program = await startConnected();
  program.child.kill('SIGUSR1');
  const path = await until('the record is there', () => flightRecords()[0]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.match(readFileSync(path, 'utf8'), / < output_stream_data seq=2 payload=output bytes=\d+\n/);
  const banner = program.outputSoFar();
  // A client's banner makes the server send its key exchange.
  program.stdin.write('SSH-2.0-test\r\n');
  await until('more arrives', () => program.receivedBytes() > banner.length);
  program.child.kill('SIGUSR1');
  await until('there is a second record', () => flightRecords().length === 2);
  program.stdin.end();
  const { status, stderr } = await program.finished;
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
});

test('SIGUSR1 and a bad end without a usable state directory change nothing else', async () => {
  const program = await startConnected({
    env: { XDG_STATE_HOME: '/dev/null', SSM_PROXY_RESUME_TIMEOUT: '1s' },
  });
  program.child.kill('SIGUSR1');
  const banner = program.outputSoFar();
  program.stdin.write('SSH-2.0-test\r\n');
  await until('more arrives', () => program.receivedBytes() > banner.length);
  cluster.emulator.controls.changeFaults({ api: { failures: [{ operation: 'ssm:ResumeSession' }] } });
  cluster.emulator.controls.cutSession(newestSession().sessionId);
  const { status, stderr } = await program.finished;
  assert.equal(status, 74);
  assert.match(stderr, /^ssm-proxy: .* \[SESSION_LOST\]\nssm-proxy: .*\n$/);
  assert.doesNotMatch(stderr, /details:/);
});

describe('a process that was killed', () => {
  test('leaves a record, by which its session is found and ended, while live ones stay', async () => {
    const killed = await startConnected();
    const { sessionId } = newestSession();
    const live = await startConnected();
    killed.child.kill('SIGKILL');
    await killed.finished;
    const listed = await sessionsJson();
    assert.deepEqual(
      listed.map(({ sessionId: id, state, target, pid }) => [id === sessionId, state, target, pid]),
      [
        [true, 'forgotten', `${NODE}:22`, killed.pid],
        [false, 'live', `${NODE}:22`, live.pid],
      ],
    );
    const wouldEnd = await sessionsJson('end', '--forgotten', '--dry-run');
    assert.deepEqual(
      wouldEnd.map(({ sessionId: id, result }) => [id, result]),
      [[sessionId, 'would-end']],
    );
    assert.equal(sessionRecords().length, 2);
    const ended = await sessionsJson('end', '--forgotten');
    assert.deepEqual(
      ended.map(({ sessionId: id, result }) => [id, result]),
      [[sessionId, 'ended']],
    );
    await until('AWS has ended it', () =>
      cluster.emulator.controls
        .sessions()
        .some((each) => each.sessionId === sessionId && each.status === 'Terminated'),
    );
    assert.deepEqual(
      (await sessionsJson()).map(({ state }) => state),
      ['live'],
    );
    live.stdin.end();
    assert.equal((await live.finished).status, 0);
  });

  test('is shown as such to people', async () => {
    const killed = await startConnected();
    killed.child.kill('SIGKILL');
    await killed.finished;
    const { status, stdout } = await cluster.cli(['sessions']);
    assert.equal(status, 0);
    assert.match(
      stdout.toString(),
      new RegExp(
        `^SESSION .*\\n${newestSession().sessionId}  forgotten .* ${NODE}:22 .* ${killed.pid}, gone\\n$`,
      ),
    );
    await sessionsJson('end', '--forgotten');
    assert.equal((await cluster.cli(['sessions'])).stdout.toString(), 'No sessions.\n');
    const nothing = await cluster.cli(['sessions', 'end', '--forgotten']);
    assert.equal(nothing.stdout.toString(), 'No sessions to end.\n');
  });

  test('has a record that says where to ask, in a shell that is set up for nothing', async () => {
    const killed = await startConnected();
    killed.child.kill('SIGKILL');
    await killed.finished;
    const env = { AWS_REGION: '', AWS_ENDPOINT_URL: '' };
    const ended = await cluster.cli(['sessions', 'end', '--forgotten'], { env });
    assert.deepEqual({ status: ended.status, stderr: ended.stderr }, { status: 0, stderr: '' });
    assert.match(ended.stdout.toString(), new RegExp(`^ended +${newestSession().sessionId} +forgotten, i-`));
    assert.deepEqual(sessionRecords(), []);
  });

  test('has its record cleared away once AWS has ended the session', async () => {
    const killed = await startConnected();
    killed.child.kill('SIGKILL');
    await killed.finished;
    const { sessionId } = newestSession();
    cluster.emulator.controls.terminateSession(sessionId);
    await until('AWS has ended it', () => newestSession().status === 'Terminated');
    assert.deepEqual(await sessionsJson(), []);
    assert.deepEqual(sessionRecords(), []);
  });
});

test('a live session is ended by its ID, and its process with it', async () => {
  const program = await startConnected();
  const ended = await sessionsJson('end', newestSession().sessionId);
  assert.deepEqual(
    ended.map(({ state, result }) => [state, result]),
    [['live', 'ended']],
  );
  await program.finished;
  assert.deepEqual(sessionRecords(), []);
});

test('--mine is about sessions of other machines too, and --older-than spares the young', async () => {
  const here = await startConnected();
  const there = await startConnected({ env: { XDG_STATE_HOME: join(cluster.directory, 'other-machine') } });
  assert.deepEqual((await sessionsJson()).map(({ state, status }) => [state, status]).sort(), [
    ['elsewhere', 'Connected'],
    ['live', 'Connected'],
  ]);
  assert.deepEqual(await sessionsJson('end', '--mine', '--older-than', '1h'), []);
  const ended = await sessionsJson('end', '--mine', '--older-than', '1ms');
  assert.deepEqual(
    ended.map(({ result }) => result),
    ['ended', 'ended'],
  );
  await Promise.all([here.finished, there.finished]);
});

test('without permission to ask AWS, what this machine knows is listed, and the error is told', async () => {
  const program = await startConnected();
  const { controls, credentials } = cluster.emulator;
  controls.changeIdentity(credentials.accessKeyId, { denied: ['ssm:DescribeSessions'] });
  try {
    const { status, stdout, stderr } = await cluster.cli(['sessions', '--json']);
    assert.equal(status, 77);
    assert.match(stderr, /when calling the DescribeSessions operation.*\[ACCESS_DENIED\]/);
    const listed = JSON.parse(stdout.toString()) as { sessions: Listed[]; errors: { code: string }[] };
    assert.deepEqual(
      listed.sessions.map(({ state, status: known }) => [state, known]),
      [['live', null]],
    );
    assert.deepEqual(
      listed.errors.map(({ code }) => code),
      ['ACCESS_DENIED'],
    );
  } finally {
    controls.changeIdentity(credentials.accessKeyId, { denied: [] });
    program.stdin.end();
  }
  assert.equal((await program.finished).status, 0);
});

test('a session that cannot be ended is reported, and decides the exit status', async () => {
  const { status, stdout, stderr } = await cluster.cli([
    'sessions',
    'end',
    'demo-00000000000000000',
    '--json',
  ]);
  assert.equal(status, 69);
  const { sessions } = JSON.parse(stdout.toString()) as { sessions: Listed[] };
  assert.deepEqual(
    sessions.map(({ sessionId, result }) => [sessionId, result]),
    [['demo-00000000000000000', 'failed']],
  );
  assert.match(stderr, /^ssm-proxy: An error occurred \(DoesNotExistException\) .* \[SERVICE_ERROR\]\n/);
});
