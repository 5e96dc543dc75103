/** Files of the user's that others edit too: one at a time, whole, with a copy, through links. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { editFile } from '../../src/files/edit-file.ts';

const top = mkdtempSync(join(tmpdir(), 'ssm-proxy-edit-'));
after(() => rmSync(top, { recursive: true }));
let folder: string;
let path: string;
let number = 0;
beforeEach(() => {
  folder = join(top, String((number += 1)));
  mkdirSync(folder);
  path = join(folder, 'config');
});

const append = (text: string | undefined): string => `${text ?? ''}x`;

async function refusal(): Promise<ProxyError> {
  const error: unknown = await editFile(path, { edit: append }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof ProxyError);
  assert.equal(error.code, 'CONFIG_INVALID');
  return error;
}

test('a new file is private, and so is its new folder', async () => {
  path = join(folder, '.ssh', 'config');
  assert.deepEqual(await editFile(path, { edit: append, backupSuffix: '.old' }), {
    hasChanged: true,
    backup: undefined,
  });
  assert.equal(readFileSync(path, 'utf8'), 'x');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(folder, '.ssh')).mode & 0o777, 0o700);
});

test('a file that is there keeps its mode, and what was in it', async () => {
  writeFileSync(path, 'old');
  chmodSync(path, 0o644);
  const { backup } = await editFile(path, { edit: append, backupSuffix: '.old' });
  assert.equal(backup, `${path}.old`);
  assert.deepEqual(
    [readFileSync(path, 'utf8'), readFileSync(`${path}.old`, 'utf8'), statSync(path).mode & 0o777],
    ['oldx', 'old', 0o644],
  );
});

test('no change writes nothing, and makes no copy', async () => {
  writeFileSync(path, 'old');
  const before = statSync(path).mtimeMs;
  const { hasChanged } = await editFile(path, { edit: (text) => text, backupSuffix: '.old' });
  assert.deepEqual([hasChanged, statSync(path).mtimeMs], [false, before]);
  assert.deepEqual(readdirSync(folder), ['config']);
});

test('undefined removes the file', async () => {
  writeFileSync(path, 'old');
  assert.equal((await editFile(path, { edit: () => undefined })).hasChanged, true);
  assert.deepEqual(readdirSync(folder), []);
  assert.equal((await editFile(path, { edit: () => undefined })).hasChanged, false);
});

test('a symbolic link stays one, and the file that it leads to is changed', async () => {
  const real = join(folder, 'dotfiles');
  writeFileSync(real, 'old');
  symlinkSync(real, path);
  await editFile(path, { edit: append });
  assert.ok(lstatSync(path).isSymbolicLink());
  assert.equal(readFileSync(real, 'utf8'), 'oldx');
});

test('a link to nothing is refused', async () => {
  symlinkSync(join(folder, 'gone'), path);
  assert.match((await refusal()).message, /a symbolic link that leads nowhere$/);
});

test('a folder by that name is refused', async () => {
  mkdirSync(path);
  assert.match((await refusal()).message, /it is not a file$/);
});

test('a file of another user is refused', { skip: process.geteuid?.() !== 0 && 'needs root' }, async () => {
  writeFileSync(path, 'old');
  chownSync(path, 12_345, 12_345);
  assert.match((await refusal()).message, /it belongs to user 12345$/);
  assert.equal(readFileSync(path, 'utf8'), 'old');
});

test('twenty edits at the same time are twenty edits', async () => {
  await Promise.all(Array.from({ length: 20 }, () => editFile(path, { edit: append })));
  assert.equal(readFileSync(path, 'utf8'), 'x'.repeat(20));
  assert.deepEqual(readdirSync(folder), ['config']);
});

test('a lock that a killed program left is taken over', async () => {
  const lock = join(folder, '.config.ssm-proxy-lock');
  mkdirSync(lock);
  const longAgo = new Date(Date.now() - 60_000);
  utimesSync(lock, longAgo, longAgo);
  await editFile(path, { edit: append });
  assert.equal(readFileSync(path, 'utf8'), 'x');
  assert.ok(!existsSync(lock));
});

test('a file that another program changes meanwhile is read again', async () => {
  writeFileSync(path, 'old');
  let edits = 0;
  await editFile(path, {
    edit(text) {
      edits += 1;
      if (edits === 1) writeFileSync(path, 'theirs');
      return append(text);
    },
  });
  assert.equal(readFileSync(path, 'utf8'), 'theirsx');
});

test('a file that another program keeps changing is left to it', async () => {
  writeFileSync(path, 'old');
  const edit = (text = ''): string => {
    writeFileSync(path, `${text}y`);
    return append(text);
  };
  await assert.rejects(editFile(path, { edit }), {
    code: 'CONFIG_INVALID',
    message: /another program keeps changing it$/,
  });
  assert.equal(readFileSync(path, 'utf8'), 'oldyyy');
  assert.deepEqual(readdirSync(folder), ['config']);
});

test('an edit that throws leaves everything as it was', async () => {
  writeFileSync(path, 'old');
  const failing = editFile(path, {
    edit() {
      throw new ProxyError('CONFIG_INVALID', 'no');
    },
  });
  await assert.rejects(failing, { message: 'no' });
  assert.equal(readFileSync(path, 'utf8'), 'old');
  assert.deepEqual(readdirSync(folder), ['config']);
});
