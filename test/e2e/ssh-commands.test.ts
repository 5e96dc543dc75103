/** Commands through real ssh to both far ends: output, exit status, input, many at once, git. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { FAR_ENDS, NO_PACE, startCluster } from '../support/cluster.ts';
import { skipWithout } from '../support/programs.ts';
import { randomBuffer, randomInteger, seededRandom } from '../support/random.ts';

let cluster: Cluster;

before(async () => {
  cluster = await startCluster();
});
after(() => cluster.close());

for (const { name, host, skip } of FAR_ENDS) {
  describe(`ssh to the ${name}`, { skip: skip || skipWithout('ssh') }, () => {
    afterEach(async () => {
      cluster.reset();
      await cluster.checkNothingLeft();
    });

    test('a command prints to stdout and nothing comes on stderr', async () => {
      const { status, stdout, stderr } = await cluster.ssh([host, 'echo out; echo done']);
      assert.deepEqual(
        { status, stdout: stdout.toString(), stderr },
        { status: 0, stdout: 'out\ndone\n', stderr: '' },
      );
    });

    test('stderr of a command arrives alone', async () => {
      const { status, stdout, stderr } = await cluster.ssh([host, 'echo out; echo problem >&2']);
      assert.deepEqual(
        { status, stdout: stdout.toString(), stderr },
        { status: 0, stdout: 'out\n', stderr: 'problem\n' },
      );
    });

    for (const status of [0, 1, 7, 254]) {
      test(`exit status ${status} comes back`, async () => {
        const result = await cluster.ssh([host, `exit ${status}`]);
        assert.deepEqual({ status: result.status, stderr: result.stderr }, { status, stderr: '' });
      });
    }

    test('a command that a signal ends gives 255, as ssh has it', async () => {
      const { status, stdout } = await cluster.ssh([host, 'echo before; kill -TERM $$; echo after']);
      assert.deepEqual({ status, stdout: stdout.toString() }, { status: 255, stdout: 'before\n' });
    });

    for (const [title, input] of [
      ['nothing', ''],
      ['one line feed', '\n'],
      ['one NUL', '\0'],
      ['carriage returns and line feeds', '\r\n\r\n\n\r'],
      ['text of an SSH banner', 'SSH-2.0-nobody\r\n'],
    ] as const) {
      test(`${title} goes through cat unchanged`, async () => {
        const { status, stdout, stderr } = await cluster.ssh([host, 'cat'], { input });
        assert.deepEqual(
          { status, stdout: stdout.toString(), stderr },
          { status: 0, stdout: input, stderr: '' },
        );
      });
    }

    test('a megabyte of every byte goes through cat unchanged, at the default paces', async () => {
      const input = randomBuffer(seededRandom(1), 1_000_000);
      const { status, stdout } = await cluster.ssh([host, 'cat'], { input });
      assert.equal(status, 0);
      assert.ok(stdout.equals(input), `${stdout.length} bytes came back`);
    });

    test('chunks from 1 byte to 1 MB go both ways at once', async () => {
      // One process at the far end prints while it reads, so that neither direction waits for the other.
      cluster.liftPaces();
      const random = seededRandom(2);
      const program = cluster.startSsh([host, 'head -c 8000000 /dev/zero & cat >&2; wait'], {
        keepsInput: true,
        env: NO_PACE,
      });
      const sent = createHash('sha256');
      const received = createHash('sha256');
      program.child.stderr?.on('data', (data: Buffer) => received.update(data));
      let sentBytes = 0;
      while (sentBytes < 8_000_000) {
        const chunk = randomBuffer(random, Math.ceil(2 ** (random() * 20)));
        sentBytes += chunk.length;
        sent.update(chunk);
        if (!program.stdin.write(chunk)) await new Promise((resolve) => program.stdin.once('drain', resolve));
      }
      program.stdin.end();
      const { status, stdout } = await program.finished;
      assert.equal(status, 0);
      assert.ok(stdout.equals(Buffer.alloc(8_000_000)), `${stdout.length} zeros arrived`);
      assert.equal(received.digest('hex'), sent.digest('hex'));
    });

    test('10 connections at once each get their own answer', async () => {
      const results = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          cluster.ssh([host, `cat; exit ${i}`], { input: randomBuffer(seededRandom(i), 100_000) }),
        ),
      );
      for (const [i, { status, stdout, stderr }] of results.entries()) {
        assert.deepEqual({ i, status, stderr }, { i, status: i, stderr: '' });
        assert.ok(stdout.equals(randomBuffer(seededRandom(i), 100_000)), `connection ${i}`);
      }
    });

    test('git clones and pushes', { skip: skipWithout('git') }, async () => {
      const work = join(cluster.directory, `git-${host}`);
      const bare = join(work, 'far.git');
      mkdirSync(work);
      const env = {
        GIT_SSH_COMMAND: `ssh -F ${cluster.sshConfigFile}`,
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_TERMINAL_PROMPT: '0',
        GIT_AUTHOR_NAME: 'a',
        GIT_AUTHOR_EMAIL: 'a@example.com',
        GIT_COMMITTER_NAME: 'a',
        GIT_COMMITTER_EMAIL: 'a@example.com',
      };
      const git = async (cwd: string, ...args: string[]): Promise<string> => {
        const { status, stdout, stderr } = await cluster.run('git', args, { env, cwd });
        assert.equal(status, 0, stderr);
        return stdout.toString().trim();
      };
      await git(work, 'init', '--quiet', '--bare', bare);
      await git(work, 'clone', '--quiet', `${host}:${bare}`, 'first');
      const random = seededRandom(3);
      for (let i = 0; i < 20; i += 1) {
        const content = randomBuffer(random, randomInteger(random, 1, 50_000));
        writeFileSync(join(work, 'first', `file-${i}`), content);
      }
      await git(join(work, 'first'), 'add', '.');
      await git(join(work, 'first'), 'commit', '--quiet', '--message', 'twenty files');
      await git(join(work, 'first'), 'push', '--quiet', 'origin', 'HEAD:main');
      await git(work, 'clone', '--quiet', '--branch', 'main', `${host}:${bare}`, 'second');
      const head = await git(join(work, 'first'), 'rev-parse', 'HEAD');
      assert.equal(await git(join(work, 'second'), 'rev-parse', 'HEAD'), head);
      await git(join(work, 'second'), 'fsck', '--strict');
    });
  });
}

describe('names of a node', { skip: skipWithout('ssh') }, () => {
  afterEach(() => cluster.checkNothingLeft());

  for (const [title, name] of [
    ['private IP', () => '10.0.1.11'],
    ['Name tag', () => 'demo-worker1'],
    ['instance ID', () => cluster.instanceId('10.0.1.11')],
  ] as const) {
    test(`ssh reaches it by ${title}`, async () => {
      const { status, stdout, stderr } = await cluster.ssh([name(), 'hostname']);
      assert.deepEqual(
        { status, stdout: stdout.toString(), stderr },
        { status: 0, stdout: 'demo-worker1\n', stderr: '' },
      );
    });
  }

  test('an instance ID needs no call to EC2', async () => {
    const callsBefore = cluster.emulator.controls.state().calls['ec2:DescribeInstances']?.calls;
    assert.equal((await cluster.ssh([cluster.instanceId('10.0.1.11'), 'true'])).status, 0);
    assert.equal(cluster.emulator.controls.state().calls['ec2:DescribeInstances']?.calls, callsBefore);
  });

  test('StartSession says who, from where and why', async () => {
    assert.equal((await cluster.ssh(['10.0.1.11', 'true'])).status, 0);
    const [session] = cluster.emulator.controls.sessions();
    assert.match(session?.reason ?? '', /^ssm-proxy\/\d+\.\d+\.\d+ \S+@\S+ connect 10\.0\.1\.11:22$/);
  });
});
