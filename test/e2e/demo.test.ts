/** `npm run demo` as a newcomer runs it, apart from the installation. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { projectRoot } from '../support/cli.ts';
import { findProgram } from '../support/programs.ts';

const skip = (findProgram('ssh') ?? findProgram('scp')) === undefined && 'there is no OpenSSH client';

test(
  'the demo reaches every node, copies a file both ways, and leaves nothing behind',
  { skip },
  async () => {
    // Every file of the demo, the emulator and the proxies would go here.
    const folder = mkdtempSync(join(tmpdir(), 'ssm proxy demo test '));
    try {
      const env = { PATH: process.env['PATH'] ?? '', HOME: folder, TMPDIR: folder };
      const bootstrap = join(projectRoot, 'scripts', 'bootstrap.mjs');
      const { stdout } = await promisify(execFile)(process.execPath, [bootstrap, 'demo'], {
        cwd: projectRoot,
        env,
      });
      assert.equal([...stdout.matchAll(/resolved 10\.0\.1\.1\d to i-[0-9a-f]{17}/g)].length, 3);
      assert.equal(
        [...stdout.matchAll(/3 round trips to AWS: ec2:DescribeInstances, ssm:StartSession/g)].length,
        3,
      );
      assert.match(stdout, /All 5 sessions are terminated on the AWS side\./);
      assert.match(stdout, /All of it worked\.\n$/);
      assert.deepEqual(readdirSync(folder), []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

test('the demo refuses options that it does not know', async () => {
  const bootstrap = join(projectRoot, 'scripts', 'bootstrap.mjs');
  const run = promisify(execFile)(process.execPath, [bootstrap, 'demo', '--kep'], { cwd: projectRoot });
  await assert.rejects(run, { code: 2, stderr: /there is no option --kep/ });
});
