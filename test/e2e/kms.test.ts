/**
 * KMS-encrypted sessions end to end: GenerateDataKey at the emulator's KMS, AES-256-GCM both ways, challenge. Port
 * sessions stay as they are: the agent does not encrypt them. (Vectors of the cipher: test/unit/cipher.test.ts.)
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import { startCluster } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';
import { skipWithout } from '../support/programs.ts';
import { until } from '../support/until.ts';

const HOST = '10.0.1.11';
const KEY = 'arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d';
const NOTICE = 'ssm-proxy: This session is encrypted using AWS KMS.\n';

let cluster: Cluster;

before(async () => {
  cluster = await startCluster({ nodes: 2, withSshd: false });
});
after(() => cluster.close());
afterEach(async () => {
  const { controls } = cluster.emulator;
  controls.setKmsKey(undefined);
  controls.changeIdentity(cluster.emulator.credentials.accessKeyId, { denied: [] });
  controls.changeInstance(cluster.instanceId(HOST), { agentVersion: '3.3.987.0' });
  cluster.reset();
  await cluster.checkNothingLeft();
});

/** Calls of GenerateDataKey while `run` runs. */
async function keysGenerated(run: () => Promise<unknown>): Promise<number> {
  const count = (): number => cluster.emulator.controls.state().calls['kms:GenerateDataKey']?.calls ?? 0;
  const before = count();
  await run();
  return count() - before;
}

for (const [what, agentVersion] of [
  ['with a random challenge', '3.3.987.0'],
  ['of an agent before the random challenge', '3.3.807.0'],
] as const) {
  describe(`a session ${what}`, () => {
    test('exec: output, status, and the word of the agent', async () => {
      cluster.emulator.controls.changeInstance(cluster.instanceId(HOST), { agentVersion });
      cluster.emulator.controls.setKmsKey(KEY);
      const generated = await keysGenerated(async () => {
        const line = 'seq 5000; echo err >&2; exit 3';
        const { status, stdout, stderr } = await cluster.cli(['exec', HOST, '--', line]);
        const expected = Array.from({ length: 5_000 }, (_, i) => `${i + 1}\n`).join('');
        assert.equal(status, 3);
        assert.ok(stdout.toString() === expected);
        assert.deepEqual(stderr.replace(NOTICE, ''), 'err\n');
        assert.ok(stderr.includes(NOTICE), stderr);
      });
      assert.equal(generated, 1);
    });

    test('shell: what is typed and what is said', { skip: skipWithout('script') }, async () => {
      cluster.emulator.controls.changeInstance(cluster.instanceId(HOST), { agentVersion });
      cluster.emulator.controls.setKmsKey(KEY);
      const data = randomBytes(30_000).toString('base64');
      const lines = data.match(/.{1,76}/g) ?? [];
      const generated = await keysGenerated(async () => {
        const { status, stdout, stderr } = await cluster.cli(['shell', HOST], {
          input: Buffer.from(`stty -echo; cat > file <<E\n${lines.join('\n')}\nE\nsha256sum < file\n`),
        });
        assert.deepEqual([status, stderr], [0, NOTICE]);
        const sum = createHash('sha256')
          .update(`${lines.join('\n')}\n`)
          .digest('hex');
        assert.ok(stdout.includes(sum), stdout.toString().slice(-500));
      });
      assert.equal(generated, 1);
    });
  });
}

test('connect is not encrypted by KMS, whatever the preferences say', async () => {
  cluster.emulator.controls.setKmsKey(KEY);
  const generated = await keysGenerated(async () => {
    const { status, stdout, stderr } = await cluster.ssh([HOST, 'echo hello']);
    assert.deepEqual([status, stdout.toString(), stderr], [0, 'hello\n', '']);
  });
  assert.equal(generated, 0);
});

test('a cut in the middle of an encrypted session costs nothing', async () => {
  cluster.emulator.controls.setKmsKey(KEY);
  const { controls } = cluster.emulator;
  const resumed = (): number => controls.state().calls['ssm:ResumeSession']?.succeeded ?? 0;
  const before = resumed();
  controls.changeFaults({ link: { cutEveryMs: 500 } });
  // It lasts until the cuts are over: one that swallows the end of a session is another matter.
  const program = cluster.startCli(['exec', HOST, '--', 'seq 40000; sleep 2']);
  await until('it has been resumed', () => resumed() > before);
  controls.changeFaults({ link: { cutEveryMs: 0 } });
  const { status, stdout } = await program.finished;
  assert.equal(status, 0);
  assert.ok(stdout.toString() === Array.from({ length: 40_000 }, (_, i) => `${i + 1}\n`).join(''));
});

test('without kms:GenerateDataKey the session is not set up, and the error says why', async () => {
  cluster.emulator.controls.setKmsKey(KEY);
  cluster.emulator.controls.changeIdentity(cluster.emulator.credentials.accessKeyId, {
    denied: ['kms:GenerateDataKey'],
  });
  const { status, stderr } = await cluster.cli(['exec', HOST, '--', 'true']);
  assert.equal(status, 76);
  assert.match(stderr, /GenerateDataKey.*\[HANDSHAKE_FAILED\]/);
});
