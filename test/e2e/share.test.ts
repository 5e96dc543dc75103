/**
 * Many ssh commands over few sessions: `connect --share` with a real ssh, the built program and its keeper process.
 * After each case the keeper is stopped, and nothing may be left of it.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { generateSshKeyPair } from '../../src/emulator/node-keys.ts';
import { KeeperPlace } from '../../src/keeper/place.ts';
import { PROTOCOL } from '../../src/keeper/wire.ts';
import type { Cluster, RunOptions } from '../support/cluster.ts';
import { NODE, startCluster } from '../support/cluster.ts';
import { skipWithout } from '../support/programs.ts';
import type { ProgramResult } from '../support/programs.ts';
import { randomBuffer, seededRandom } from '../support/random.ts';
import { until } from '../support/until.ts';

interface Keeper {
  readonly pid: number;
  readonly clients: number;
  readonly nodes: readonly {
    readonly destination: string;
    readonly sessions: readonly {
      readonly sessionId: string;
      readonly streams: number;
      readonly streamsOpened: number;
    }[];
  }[];
}

const SHARE = { SSM_PROXY_SHARE: 'on' };
const NODES = 20;
let cluster: Cluster;

before(async () => {
  cluster = await startCluster({ withSshd: false, nodes: NODES });
});
after(() => cluster.close());
afterEach(async () => {
  await cluster.cli(['stop']);
  cluster.reset();
  await cluster.checkNothingLeft();
});

function ssh(args: readonly string[], options: RunOptions = {}): Promise<ProgramResult> {
  return cluster.ssh(args, { ...options, env: { ...SHARE, ...options.env } });
}

async function keeper(): Promise<Keeper | undefined> {
  const { stdout } = await cluster.cli(['status', '--json']);
  return (JSON.parse(stdout.toString()) as { keeper: Keeper | null }).keeper ?? undefined;
}

/** After the first connection, which goes alone. */
async function sharedSession(host = NODE, options?: RunOptions): Promise<string> {
  await expectHello(host, options);
  for (;;) {
    const found = (await keeper())?.nodes.find(({ destination }) => destination === `${host}:22`);
    const [session] = found?.sessions ?? [];
    if (session !== undefined) return session.sessionId;
  }
}

async function expectHello(host = NODE, options?: RunOptions): Promise<void> {
  const { status, stdout, stderr } = await ssh([host, 'echo hello'], options);
  assert.deepEqual(
    { status, stdout: stdout.toString(), stderr },
    { status: 0, stdout: 'hello\n', stderr: '' },
  );
}

function startSessionCalls(): number {
  return cluster.emulator.controls.state().calls['ssm:StartSession']?.succeeded ?? 0;
}

describe('connect --share', { skip: skipWithout('ssh') }, () => {
  test('a hundred ssh commands in a row take two sessions: the first one its own, the others one', async () => {
    const calls = startSessionCalls();
    await sharedSession();
    for (let count = 1; count < 100; count += 1) await expectHello();
    assert.equal(startSessionCalls() - calls, 2);
    const [session] = (await keeper())?.nodes[0]?.sessions ?? [];
    assert.equal(session?.streamsOpened, 99);
  });

  test('fifty at once to one node give one keeper and few sessions', async () => {
    const calls = startSessionCalls();
    const patient = ['-o', 'ConnectTimeout=60'];
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, index) => ssh([...patient, NODE, `echo ${index}`])),
    );
    assert.deepEqual(
      results.map(({ stdout, stderr }) => stdout.toString() + stderr),
      results.map((_, index) => `${index}\n`),
    );
    // Two, unless the machine is so busy that some take the keeper for stopped.
    const taken = startSessionCalls() - calls;
    assert.ok(taken >= 2 && taken <= 10, `${taken} sessions`);
    const keepers = cluster.processes().filter((line) => line.includes('keeper'));
    assert.equal(keepers.length, 1, keepers.join('\n'));
  });

  test('twenty nodes have one keeper, and one session each beside the first connection', async () => {
    const hosts = cluster.emulator.instances.map(({ privateIp }) => privateIp);
    assert.equal(hosts.length, NODES);
    await sharedSession(hosts[0]);
    const calls = startSessionCalls();
    await Promise.all(hosts.map((host) => expectHello(host)));
    await Promise.all(hosts.map((host) => expectHello(host)));
    // One each, unless the machine is so busy that some take the keeper for stopped and go alone.
    const taken = startSessionCalls() - calls;
    assert.ok(taken >= NODES - 1 && taken <= NODES + 8, `${taken} sessions`);
    assert.equal((await keeper())?.nodes.length, NODES);
  });

  test('bytes go both ways unchanged, several megabytes at once on one session', async () => {
    cluster.liftPaces();
    await sharedSession();
    const inputs = [1, 2, 3].map((seed) => randomBuffer(seededRandom(seed), 2_000_000));
    const results = await Promise.all(inputs.map((input) => ssh([NODE, 'cat'], { input })));
    const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
    assert.deepEqual(
      results.map(({ stdout, stderr }) => digest(stdout) + stderr),
      inputs.map(digest),
    );
  });

  test('ssh keys are ssh business: a refused key and an accepted one on the same session', async () => {
    await sharedSession();
    const calls = startSessionCalls();
    const refused = await ssh([
      '-o',
      'IdentityFile=none',
      '-o',
      'PubkeyAuthentication=no',
      NODE,
      'echo hello',
    ]);
    assert.equal(refused.status, 255);
    assert.match(refused.stderr, /Permission denied/);
    await expectHello();
    assert.equal(startSessionCalls(), calls);
  });

  test('users with keys of their own ride on the same session', async () => {
    const sessionId = await sharedSession();
    const key = join(cluster.directory, 'id_alice');
    const { privateKey, publicKey } = generateSshKeyPair('alice');
    writeFileSync(key, privateKey, { mode: 0o600 });
    writeFileSync(`${key}.pub`, publicKey);
    const asAlice = ['-i', key, '-l', 'alice', NODE, 'echo hello'];
    assert.equal((await ssh(asAlice)).status, 255);
    // Makes her key known to the node for a minute, over a session of its own.
    const pushing = `'${cluster.cliCommand.join("' '")}' connect %h %p --push-key='${key}' --user=alice`;
    assert.equal((await ssh(['-o', `ProxyCommand=${pushing}`, ...asAlice])).status, 0);
    const calls = startSessionCalls();
    const results = await Promise.all([ssh(asAlice), ssh([NODE, 'echo hello']), ssh(asAlice)]);
    assert.deepEqual(
      results.map(({ stdout, stderr }) => stdout.toString() + stderr),
      ['hello\n', 'hello\n', 'hello\n'],
    );
    assert.equal(startSessionCalls(), calls);
    assert.equal(await sharedSession(), sessionId);
  });

  test('exit statuses come back, and an ssh that is killed takes only its own stream with it', async () => {
    const sessionId = await sharedSession();
    assert.equal((await ssh([NODE, 'exit 7'])).status, 7);
    const sleeping = cluster.startSsh([NODE, 'echo up; sleep 100'], { env: SHARE });
    await until('it is up', () => sleeping.outputSoFar().includes('up'));
    sleeping.child.kill('SIGKILL');
    await sleeping.finished;
    await expectHello();
    assert.equal(await sharedSession(), sessionId);
  });

  test('a session that loses its WebSocket under load goes on, and its connections with it', async () => {
    cluster.liftPaces();
    await sharedSession();
    const input = randomBuffer(seededRandom(4), 4_000_000);
    cluster.emulator.controls.changeFaults({ link: { cutEveryMs: 700 } });
    const { status, stdout } = await ssh([NODE, 'cat'], { input });
    assert.equal(status, 0);
    assert.ok(stdout.equals(input));
  });

  test('a keeper that is killed under load ends its connections; the next one starts another, which ends what it left', async () => {
    const sessionId = await sharedSession();
    const first = await keeper();
    assert.ok(first !== undefined);
    const upload = cluster.startSsh([NODE, 'echo up; cat >/dev/null'], { env: SHARE, keepsInput: true });
    await until('it is up', () => upload.outputSoFar().includes('up'));
    upload.stdin.write(Buffer.alloc(500_000));
    process.kill(first.pid, 'SIGKILL');
    assert.equal((await upload.finished).status, 255);
    await sharedSession();
    assert.notEqual((await keeper())?.pid, first.pid);
    await until('what the killed keeper left is ended', () =>
      cluster.emulator.controls
        .sessions()
        .some((session) => session.sessionId === sessionId && session.status === 'Terminated'),
    );
  });

  test('keepers that are killed at any moment of a transfer leave the next one whole', async () => {
    cluster.liftPaces();
    const random = seededRandom(5);
    const input = randomBuffer(random, 1_000_000);
    // The first is killed as soon as its session can be seen: before anybody has used it.
    await sharedSession();
    const { pid = 0 } = (await keeper()) ?? {};
    process.kill(pid, 'SIGKILL');
    for (let round = 0; round < 3; round += 1) {
      await sharedSession();
      const { pid = 0 } = (await keeper()) ?? {};
      const transfer = ssh([NODE, 'cat'], { input });
      await new Promise((resolve) => setTimeout(resolve, random() * 500));
      process.kill(pid, 'SIGKILL');
      const { status, stdout } = await transfer;
      assert.ok(status === 255 || stdout.equals(input), `status ${status}`);
      const next = await ssh([NODE, 'cat'], { input });
      assert.deepEqual([next.status, next.stdout.equals(input)], [0, true]);
    }
    await until('what the killed keepers left is ended', () =>
      cluster.emulator.controls
        .sessions()
        .every(({ hasClient, status }) => hasClient || status === 'Terminated'),
    );
  });

  test('a keeper of an older version is told to drain, and another one started', async () => {
    const directory = join(cluster.env['XDG_RUNTIME_DIR'] ?? '', 'ssm-proxy');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const asked: string[] = [];
    const old = createServer((socket) => {
      socket.once('data', (line) => {
        asked.push(line.toString());
        socket.end('{"is":"done"}\n');
      });
    });
    await new Promise<void>((resolve) => old.listen(join(directory, 'k-old'), resolve));
    try {
      new KeeperPlace(directory).claim('k-old', PROTOCOL - 1, process.pid, Date.now());
      await sharedSession();
      assert.deepEqual(asked, ['{"op":"drain"}\n']);
    } finally {
      await new Promise((resolve) => old.close(resolve));
    }
  });

  test('a session that AWS ends is followed by another', async () => {
    const sessionId = await sharedSession();
    const sleeping = cluster.startSsh([NODE, 'echo up; sleep 100'], { env: SHARE });
    await until('it is up', () => sleeping.outputSoFar().includes('up'));
    cluster.emulator.controls.terminateSession(sessionId);
    assert.equal((await sleeping.finished).status, 255);
    await expectHello();
    assert.notEqual(await sharedSession(), sessionId);
  });

  test('after the idle time the session is ended, and then the keeper leaves', async () => {
    const env = { SSM_PROXY_SHARE: '1s' };
    await expectHello(NODE, { env });
    await until('the shared session is there, and ended', () =>
      cluster.emulator.controls.sessions().every(({ status }) => status === 'Terminated'),
    );
  });

  test('a session outlives the credentials that it was opened with', async () => {
    const { controls } = cluster.emulator;
    const keys = join(cluster.directory, 'keys.json');
    const config = join(cluster.directory, 'rotating-config');
    writeFileSync(config, `[profile rotating]\ncredential_process = cat ${keys}\n`);
    const issue = (): string => {
      const expiresAt = Date.now() + 3_600_000;
      const { accessKeyId, secretAccessKey, sessionToken } = controls.addIdentity({
        sessionToken: `token-${Math.random()}`,
        expiresAt,
      });
      const content = {
        ...{ Version: 1, AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey },
        ...{ SessionToken: sessionToken, Expiration: new Date(expiresAt).toISOString() },
      };
      writeFileSync(keys, JSON.stringify(content), { mode: 0o600 });
      return accessKeyId;
    };
    const env = {
      ...{ AWS_CONFIG_FILE: config, AWS_PROFILE: 'rotating' },
      ...{ AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' },
    };
    const first = issue();
    const sessionId = await sharedSession(NODE, { env });
    const upload = cluster.startSsh([NODE, 'echo up; cat'], { env: { ...SHARE, ...env }, keepsInput: true });
    await until('it is up', () => upload.outputSoFar().includes('up'));

    controls.changeIdentity(first, { expiresAt: Date.now() - 1_000 });
    issue();
    controls.cutSession(sessionId);
    upload.stdin.end('after the cut');
    const { status, stdout, stderr } = await upload.finished;
    assert.deepEqual([status, stdout.toString(), stderr], [0, 'up\nafter the cut', '']);
    const calls = startSessionCalls();
    await expectHello(NODE, { env });
    assert.equal(startSessionCalls(), calls);
    assert.equal(await sharedSession(NODE, { env }), sessionId);
  });

  test('two identities never ride on one session', async () => {
    await sharedSession();
    const calls = startSessionCalls();
    const config = join(cluster.directory, 'other-config');
    const { accessKeyId, secretAccessKey } = cluster.emulator.credentials;
    writeFileSync(
      config,
      `[profile other]\naws_access_key_id=${accessKeyId}\naws_secret_access_key=${secretAccessKey}\n`,
    );
    const other = {
      env: {
        AWS_CONFIG_FILE: config,
        AWS_PROFILE: 'other',
        AWS_ACCESS_KEY_ID: '',
        AWS_SECRET_ACCESS_KEY: '',
      },
    };
    await expectHello(NODE, other);
    await expectHello(NODE, other);
    assert.equal(startSessionCalls() - calls, 1);
    assert.equal((await keeper())?.nodes.length, 2);
  });

  test('a runtime directory that others can enter, or a link, is not used: connections go alone', async () => {
    const runtime = join(cluster.directory, 'hostile');
    const elsewhere = join(cluster.directory, 'elsewhere');
    for (const make of [
      () => mkdirSync(join(runtime, 'ssm-proxy'), { mode: 0o777 }),
      () => symlinkSync(elsewhere, join(runtime, 'ssm-proxy')),
    ]) {
      rmSync(runtime, { recursive: true, force: true });
      mkdirSync(runtime, { mode: 0o700 });
      mkdirSync(elsewhere, { recursive: true, mode: 0o700 });
      make();
      if (existsSync(join(runtime, 'ssm-proxy'))) chmodSync(join(runtime, 'ssm-proxy'), 0o777);
      // Nor is there a cache directory to fall back on.
      const env = { XDG_RUNTIME_DIR: runtime, XDG_CACHE_HOME: '/dev/null', HOME: '/dev/null' };
      await expectHello(NODE, { env });
      assert.deepEqual(readdirSync(join(runtime, 'ssm-proxy')), []);
      assert.equal(await keeper(), undefined);
    }
  });

  test('a captured stderr reaches its end with the first connection, although the keeper goes on', async () => {
    const { status, stderr } = await cluster.cli(['connect', NODE], { env: SHARE, input: '' });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    await until('the keeper is up', () => cluster.processes().some((line) => line.includes('keeper')));
  });

  test('ConnectTimeout=1 is enough for a shared connection', async () => {
    await sharedSession();
    const { status } = await ssh(['-o', 'ConnectTimeout=1', NODE, 'true']);
    assert.equal(status, 0);
  });

  test('a keeper that is stopped by a signal is gone around', async () => {
    await sharedSession();
    const { pid } = (await keeper()) ?? {};
    assert.ok(pid !== undefined);
    process.kill(pid, 'SIGSTOP');
    try {
      await expectHello();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await expectHello();
  });

  test('a port that nobody listens on is said to be so', async () => {
    await sharedSession();
    // The first goes through the keeper, which has no session to this port yet; the second rides on it.
    for (let count = 0; count < 2; count += 1) {
      const program = cluster.startCli(['connect', NODE, '1'], { env: SHARE, keepsInput: true });
      const { status, stdout, stderr } = await program.finished;
      assert.deepEqual([status, stdout.length], [69, 0]);
      assert.match(stderr, /the agent could not connect to port 1 of i-\w+ \[PORT_REFUSED\]/);
    }
  });

  test('status and stop say so when there is no keeper', async () => {
    const status = await cluster.cli(['status']);
    assert.deepEqual([status.status, status.stdout.toString()], [3, 'there is no keeper\n']);
    const stop = await cluster.cli(['stop', '--json']);
    assert.deepEqual([stop.status, stop.stdout.toString()], [0, '{"schema":1,"stopped":false}\n']);
  });
});
