/** The user's private directory: who may look into it, and what is not trusted. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import {
  listStateFiles,
  openStateFolder,
  readStateFile,
  removeStateFiles,
  stateFolderPath,
  writeStateFile,
} from '../../src/cli/state-directory.ts';

let folder = '';
let env: Readonly<Record<string, string>> = {};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ssm-proxy-state-'));
  env = { XDG_STATE_HOME: join(folder, 'state') };
});
afterEach(() => rmSync(folder, { recursive: true }));

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

test('it is below XDG_STATE_HOME, or ~/.local/state', () => {
  assert.equal(stateFolderPath({ XDG_STATE_HOME: '/x', HOME: '/h' }, 'sessions'), '/x/ssm-proxy/sessions');
  const usual = '/h/.local/state/ssm-proxy/sessions';
  assert.equal(stateFolderPath({ HOME: '/h' }, 'sessions'), usual);
  assert.equal(stateFolderPath({ XDG_STATE_HOME: '', HOME: '/h' }, 'sessions'), usual);
  assert.equal(stateFolderPath({ XDG_STATE_HOME: 'relative', HOME: '/h' }, 'sessions'), usual);
});

test('directories and files are made for the user alone, whatever the umask', async () => {
  const before = process.umask(0);
  try {
    const path = await openStateFolder(env, 'sessions');
    assert.equal(path, join(folder, 'state', 'ssm-proxy', 'sessions'));
    const file = await writeStateFile(path, 'name.json', 'text');
    assert.equal(file, join(path, 'name.json'));
    assert.deepEqual(
      [modeOf(path), modeOf(join(path, '..')), modeOf(join(folder, 'state')), modeOf(file)],
      ['700', '700', '700', '600'],
    );
    assert.equal(readFileSync(file, 'utf8'), 'text');
    assert.deepEqual(readdirSync(path), ['name.json']);
  } finally {
    process.umask(before);
  }
});

test('a directory that others could look into is closed to them', async () => {
  const path = await openStateFolder(env, 'sessions');
  chmodSync(path, 0o755);
  chmodSync(join(path, '..'), 0o777);
  await openStateFolder(env, 'sessions');
  assert.deepEqual([modeOf(path), modeOf(join(path, '..'))], ['700', '700']);
});

for (const [what, place] of [
  ['the directory', ['ssm-proxy']],
  ['the folder', ['ssm-proxy', 'sessions']],
] as const) {
  test(`${what} must not be a symbolic link`, async () => {
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    const path = join(folder, 'state', ...place);
    mkdirSync(join(path, '..'), { recursive: true });
    symlinkSync(elsewhere, path);
    await assert.rejects(openStateFolder(env, 'sessions'), {
      code: 'CONFIG_INVALID',
      message: /is a symbolic link/,
      hint: /XDG_STATE_HOME/,
    });
    if (place.length === 2) await assert.rejects(listStateFiles(env, 'sessions'), { code: 'CONFIG_INVALID' });
  });
}

test('a file in the place of a directory is an error with a name', async () => {
  mkdirSync(join(folder, 'state'));
  writeFileSync(join(folder, 'state', 'ssm-proxy'), '');
  await assert.rejects(openStateFolder(env, 'sessions'), {
    code: 'CONFIG_INVALID',
    message: /^the state directory cannot be used: .*ssm-proxy.*: (ENOTDIR|EEXIST)/,
  });
});

test(
  'a directory of another user is not used',
  { skip: process.getuid?.() !== 0 && 'not root' },
  async () => {
    await openStateFolder(env, 'sessions');
    const { chownSync } = await import('node:fs');
    chownSync(join(folder, 'state', 'ssm-proxy'), 65_534, 65_534);
    await assert.rejects(openStateFolder(env, 'sessions'), { message: /belongs to user 65534/ });
  },
);

test('writing replaces a file as a whole and leaves nothing else', async () => {
  const path = await openStateFolder(env, 'sessions');
  await writeStateFile(path, 'one', 'first');
  await writeStateFile(path, 'one', 'second');
  assert.deepEqual(await listStateFiles(env, 'sessions'), ['one']);
  assert.equal(await readStateFile(join(path, 'one')), 'second');
  await assert.rejects(writeStateFile(join(path, 'gone'), 'one', ''), { code: 'CONFIG_INVALID' });
});

test('a symbolic link in the place of a file is replaced, and what it points to stays', async () => {
  const path = await openStateFolder(env, 'sessions');
  writeFileSync(join(folder, 'victim'), 'untouched');
  symlinkSync(join(folder, 'victim'), join(path, 'one'));
  assert.equal(await readStateFile(join(path, 'one')), undefined);
  await writeStateFile(path, 'one', 'ours');
  assert.equal(readFileSync(join(folder, 'victim'), 'utf8'), 'untouched');
  assert.equal(await readStateFile(join(path, 'one')), 'ours');
});

test('what is not a small file of our own is not read', async () => {
  const path = await openStateFolder(env, 'sessions');
  mkdirSync(join(path, 'directory'));
  writeFileSync(join(path, 'large'), Buffer.alloc(70_000));
  const { execFileSync } = await import('node:child_process');
  execFileSync('mkfifo', [join(path, 'fifo')]);
  for (const name of ['directory', 'large', 'fifo', 'missing'])
    assert.equal(await readStateFile(join(path, name)), undefined, name);
});

test('no directory means no files, and none is made by looking', async () => {
  assert.deepEqual(await listStateFiles(env, 'sessions'), []);
  assert.ok(!existsSync(join(folder, 'state')));
});

test('of the files that match, the last by name are kept', async () => {
  const path = await openStateFolder(env, 'sessions');
  for (const name of ['3.log', '1.log', '2.log', '0.txt']) await writeStateFile(path, name, '');
  await removeStateFiles(path, /\.log$/, 2);
  assert.deepEqual(await listStateFiles(env, 'sessions'), ['0.txt', '2.log', '3.log']);
});
