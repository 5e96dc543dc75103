import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, test } from 'node:test';
import type { CliIo } from '../../src/cli/io.ts';
import { openLog } from '../../src/cli/log-file.ts';

let folder = '';
let stderr = new PassThrough();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ssm-proxy-log-'));
  stderr = new PassThrough();
});
afterEach(() => rmSync(folder, { recursive: true }));

function io(): CliIo {
  return { stdin: new PassThrough(), stdout: new PassThrough(), stderr, env: {} };
}
const written = (): string => String(stderr.read() ?? '');
const mode = (file: string): number => statSync(file).mode & 0o777;

test('nothing is logged unless asked', () => {
  const log = openLog({ logLevel: undefined, logFile: undefined }, io());
  log.error('bad');
  log.close();
  assert.equal(written(), '');
});

test('a level without a file logs to stderr', () => {
  const log = openLog({ logLevel: 'info', logFile: undefined }, io());
  log.info('opened', { port: 22 });
  log.debug('detail');
  assert.match(written(), /^\S+Z info opened port=22\n$/);
});

test('a file alone takes info and above, with the process ID, and nothing goes to stderr', () => {
  const file = join(folder, 'log');
  const log = openLog({ logLevel: undefined, logFile: file }, io());
  log.info('one');
  log.debug('two');
  log.child('ws').warn('three');
  log.close();
  log.error('after the end');
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  assert.equal(lines.length, 2);
  assert.match(lines[0] ?? '', new RegExp(`Z info one pid=${process.pid}$`));
  assert.match(lines[1] ?? '', /Z warn ws\.three pid=/);
  assert.equal(written(), '');
});

test('a new file is readable by its owner only', () => {
  const file = join(folder, 'log');
  openLog({ logLevel: 'trace', logFile: file }, io()).close();
  assert.equal(mode(file), 0o600);
});

test('a file that others could read is appended to, and closed to them', () => {
  const file = join(folder, 'log');
  writeFileSync(file, 'earlier\n');
  chmodSync(file, 0o644);
  const log = openLog({ logLevel: undefined, logFile: file }, io());
  log.info('later');
  log.close();
  assert.equal(mode(file), 0o600);
  assert.match(readFileSync(file, 'utf8'), /^earlier\n.* info later/);
});

test('a file that cannot be opened is a usage error that names it', () => {
  const file = join(folder, 'absent', 'log');
  assert.throws(() => openLog({ logLevel: undefined, logFile: file }, io()), {
    code: 'USAGE',
    message: new RegExp(`^the log file ${file} cannot be opened: ENOENT`),
  });
});
