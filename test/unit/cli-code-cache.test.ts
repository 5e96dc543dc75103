/** The cache of compiled code: it serves its owner, bounds itself, and is not there in case of doubt. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { CodeCache } from '../../src/cli/code-cache.ts';

const SOURCE = 'exports.add = (a, b) => a + b; exports.file = __filename;';
const MODIFIED = new Date('2026-01-01T00:00:00Z');
const requireHere = createRequire(import.meta.url);

let folder = '';
let code = '';
let copies = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ssm-proxy-code-'));
  code = join(folder, 'ssm-proxy', 'code');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The same program in another place, so that this process has not loaded it yet. */
function program(source = SOURCE): string {
  const path = join(folder, String((copies += 1)), 'program.cjs');
  mkdirSync(join(path, '..'));
  writeFileSync(path, source);
  utimesSync(path, MODIFIED, MODIFIED);
  return path;
}

function run(env: Record<string, string> = { XDG_CACHE_HOME: folder }, path = program()): CodeCache {
  const cache = new CodeCache(env);
  cache.load(path);
  const loaded = requireHere(path) as { add(a: number, b: number): number; file: string };
  assert.deepEqual([loaded.add(2, 3), loaded.file], [5, path]);
  return cache;
}

/** Names of the kept files. */
function kept(): string[] {
  try {
    return readdirSync(code);
  } catch {
    return [];
  }
}

function theFile(): string {
  const [name, ...others] = kept();
  assert.ok(name !== undefined && others.length === 0, kept().join(' '));
  return join(code, name);
}

test('what is compiled is kept in a private file of a private directory', () => {
  run().save();
  assert.equal(statSync(code).mode & 0o777, 0o700);
  assert.equal(statSync(theFile()).mode & 0o777, 0o600);
  assert.match(theFile(), new RegExp(`${process.version}-${process.arch}-\\d+$`));
});

test('a kept file is taken, and then not written again', () => {
  run().save();
  const file = theFile();
  utimesSync(file, MODIFIED, MODIFIED);
  run().save();
  assert.deepEqual(statSync(file).mtime, MODIFIED);
});

test('a file that V8 does not take is replaced', () => {
  run().save();
  const content = readFileSync(theFile());
  writeFileSync(theFile(), Buffer.alloc(content.length, 7));
  run().save();
  assert.deepEqual(readFileSync(theFile()).subarray(0, 8), content.subarray(0, 8));
});

test('an empty file is replaced', () => {
  run().save();
  truncateSync(theFile());
  run().save();
  assert.ok(statSync(theFile()).size > 0);
});

test('a changed program of the same length does not get the code of the old one', () => {
  run().save();
  const path = program(SOURCE.replace('a + b', 'a - b'));
  utimesSync(path, new Date(), new Date());
  new CodeCache({ XDG_CACHE_HOME: folder }).load(path);
  assert.equal((requireHere(path) as { add(a: number, b: number): number }).add(2, 3), -1);
});

test('a directory that others can write to is left alone', () => {
  run().save();
  const file = theFile();
  writeFileSync(file, 'not to be read');
  chmodSync(code, 0o770);
  run().save();
  assert.equal(readFileSync(file, 'utf8'), 'not to be read');
});

test('a directory that is a link is left alone', () => {
  mkdirSync(join(folder, 'elsewhere'), { mode: 0o700 });
  mkdirSync(join(folder, 'ssm-proxy'));
  symlinkSync(join(folder, 'elsewhere'), code);
  run().save();
  assert.deepEqual(readdirSync(join(folder, 'elsewhere')), []);
});

test('a file that others can write to is not read, nor is a link or a FIFO', () => {
  run().save();
  const file = theFile();
  chmodSync(file, 0o622);
  run();
  rmSync(file);
  symlinkSync('/dev/zero', file);
  run();
  rmSync(file);
  execFileSync('mkfifo', [file]);
  run();
});

test('without a home, with a relative one, and where nothing can be written, programs run', () => {
  run({}).save();
  run({ HOME: 'relative' }).save();
  run({ HOME: '/dev/null' }).save();
});

test('HOME is used when there is no XDG_CACHE_HOME', () => {
  run({ HOME: folder }).save();
  assert.equal(readdirSync(join(folder, '.cache', 'ssm-proxy', 'code')).length, 1);
});

test('old files go, the newest stay', () => {
  mkdirSync(code, { recursive: true, mode: 0o700 });
  for (let i = 0; i < 40; i += 1) {
    writeFileSync(join(code, `old-${i}`), '');
    utimesSync(join(code, `old-${i}`), MODIFIED, MODIFIED);
  }
  run().save();
  assert.equal(kept().length, 24);
  assert.ok(kept().some((name) => name.startsWith('program-')));
});

test('a program that throws is left to require(), which throws too', () => {
  const path = program('throw new Error("at load")');
  new CodeCache({ XDG_CACHE_HOME: folder }).load(path);
  assert.throws(() => requireHere(path) as unknown, /at load/);
});
