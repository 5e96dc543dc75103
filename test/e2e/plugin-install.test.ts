/** `ssm-proxy plugin`: where the drop-in is put, what it never touches or hides, and how it goes. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { execFileSync } from 'node:child_process';
import { runCli } from '../support/cli.ts';

const AMAZONS = '#!/bin/sh\necho 1.2.677.0\n';

let folder = '';
let own = '';
let amazons = '';

before(() => {
  folder = mkdtempSync(join(tmpdir(), "ssm proxy's plugin "));
  own = join(folder, '.local', 'bin', 'session-manager-plugin');
  amazons = join(folder, 'amazons', 'session-manager-plugin');
  mkdirSync(join(folder, 'amazons'));
});
after(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  rmSync(join(folder, '.local'), { recursive: true, force: true });
  rmSync(amazons, { force: true });
});

/** `path`: folders before those of the system. */
function plugin(args: readonly string[], ...path: readonly string[]) {
  const env = { HOME: folder, PATH: [...path, '/usr/bin', '/bin'].join(delimiter) };
  return runCli(['plugin', ...args], { env });
}

function putAmazons(): void {
  writeFileSync(amazons, AMAZONS);
  chmodSync(amazons, 0o755);
}

const ownFolder = (): string => join(own, '..');
const amazonsFolder = (): string => join(amazons, '..');

describe('plugin install', () => {
  test('puts a program there that runs, once', async () => {
    const first = await plugin(['install'], ownFolder());
    assert.deepEqual([first.status, first.stdout, first.stderr], [0, `${own} is installed.\n`, '']);
    assert.equal(statSync(own).mode & 0o777, 0o755);
    // Found by the name alone, by a program that knows no node.
    const version = execFileSync('session-manager-plugin', ['--version'], {
      env: { PATH: `${ownFolder()}${delimiter}/usr/bin${delimiter}/bin` },
    });
    assert.equal(version.toString(), '1.2.835.0\n');
    const second = await plugin(['install'], ownFolder());
    assert.deepEqual([second.status, second.stdout], [0, `${own} is installed already.\n`]);
  });

  test('says when nobody would find it', async () => {
    const { status, stdout } = await plugin(['install']);
    assert.equal(status, 0);
    assert.equal(stdout, `${own} is installed.\nNote: its folder is not on the PATH.\n`);
    putAmazons();
    const behind = await plugin(['install'], amazonsFolder(), ownFolder());
    assert.equal(
      behind.stdout,
      `${own} is installed already.\nNote: ${amazons}, which is not of ssm-proxy, is found first.\n`,
    );
  });

  test("does not hide Amazon's, unless that is asked for", async () => {
    putAmazons();
    const refused = await plugin(['install'], ownFolder(), amazonsFolder());
    assert.equal(refused.status, 2);
    assert.equal(
      refused.stderr.split('\n')[0],
      `ssm-proxy: ${own} would come before ${amazons}, which is not of ssm-proxy [USAGE]`,
    );
    assert.ok(!existsSync(own));
    const asked = await plugin(['install', '--shadow'], ownFolder(), amazonsFolder());
    assert.deepEqual(
      [asked.status, asked.stdout],
      [0, `${own} is installed.\nNote: it comes before ${amazons} now.\n`],
    );
  });

  test("writes over nobody else's file, whatever is asked for", async () => {
    putAmazons();
    for (const action of ['install', 'uninstall']) {
      const { status, stderr } = await plugin([action, '--shadow', '--dir', amazonsFolder()]);
      // What is not ours is not installed, as far as uninstall goes.
      assert.equal(status, 2, stderr);
      assert.match(stderr, /is there already, and is not of ssm-proxy \[USAGE\]/);
    }
    assert.equal(readFileSync(amazons, 'utf8'), AMAZONS);
  });
});

test('plugin path and uninstall find ours on the PATH, too', async () => {
  const elsewhere = join(folder, 'else where');
  const missing = await plugin(['path'], elsewhere);
  assert.equal(missing.status, 2);
  assert.match(missing.stderr, /not installed \[USAGE\]\nssm-proxy: ssm-proxy plugin install does it\n/);
  await plugin(['install', '--dir', elsewhere]);
  const there = join(elsewhere, 'session-manager-plugin');
  assert.equal((await plugin(['path'], elsewhere)).stdout, `${there}\n`);
  assert.equal((await plugin(['path', '--dir', elsewhere])).stdout, `${there}\n`);
  assert.equal((await plugin(['uninstall'], elsewhere)).stdout, `${there} is removed.\n`);
  assert.ok(!existsSync(there));
  assert.equal((await plugin(['uninstall'])).stdout, `${own} is not installed.\n`);
});

test('plugin needs one of its actions', async () => {
  for (const args of [[], ['update'], ['install', 'here']]) {
    const { status, stderr } = await plugin(args);
    assert.equal(status, 2);
    assert.match(stderr, /\[USAGE\]\nssm-proxy: ssm-proxy plugin install, path or uninstall\n/);
  }
});
