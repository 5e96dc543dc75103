/** When the flight record becomes a file, how many are kept, and that trouble with it changes nothing. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { FlightFile, KEPT_FILES } from '../../src/cli/flight-file.ts';
import { ERROR_TABLE, ProxyError } from '../../src/errors.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { FlightRecorder } from '../../src/session/flight-recorder.ts';

let folder = '';
let wallNow = Date.parse('2026-01-02T03:04:05.678Z');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ssm-proxy-flight-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const records = (): string => join(folder, 'ssm-proxy', 'flight-records');

function flightFile(stateHome = folder): FlightFile {
  const recorder = new FlightRecorder({ version: '1' });
  recorder.event(0, 'link_up');
  return new FlightFile(recorder, { XDG_STATE_HOME: stateHome }, silentLog, () => wallNow);
}

test('the file has the time and the process in its name, mode 0600 and the record in it', async () => {
  const path = await flightFile().write();
  assert.equal(path, join(records(), `20260102T030405678Z-${process.pid}.log`));
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.match(readFileSync(path, 'utf8'), /^ssm-proxy flight recorder version=1\n.*\n +0\.0 \* link_up\n$/);
});

test(`the newest ${KEPT_FILES} are kept`, async () => {
  const file = flightFile();
  for (let count = 0; count < KEPT_FILES + 5; count += 1) {
    wallNow += 1000;
    await file.write();
  }
  const names = readdirSync(records()).sort();
  assert.equal(names.length, KEPT_FILES);
  assert.match(names.at(-1) ?? '', new RegExp(`^${new Date(wallNow).toISOString().replace(/[-:.]/g, '')}`));
});

test('the error of an abnormal end names the file and is otherwise the same', async () => {
  const cause = new Error('reset');
  const error = new ProxyError('SESSION_LOST', 'it was lost', {
    hint: 'connect again',
    cause,
    exitStatus: 9,
  });
  const explained = await flightFile().explain(error, true);
  const [name = ''] = readdirSync(records());
  assert.deepEqual(
    [explained.code, explained.message, explained.hint, explained.exitStatus, explained.cause],
    ['SESSION_LOST', 'it was lost', `connect again; details: ${join(records(), name)}`, 9, cause],
  );
  assert.equal(explained.stack, error.stack);
});

test('an error without a hint has the file as its hint', async () => {
  const explained = await flightFile().explain(new ProxyError('INTERNAL', 'oops'), false);
  assert.match(explained.hint ?? '', /^details: \//);
});

const plain: readonly ErrorCode[] = [
  'USAGE',
  'CONFIG_INVALID',
  'REGION_MISSING',
  'PROFILE_NOT_FOUND',
  'CREDENTIALS_MISSING',
  'CREDENTIALS_EXPIRED',
  'CREDENTIALS_INVALID',
  'ACCESS_DENIED',
  'TARGET_INVALID',
  'TARGET_NOT_FOUND',
  'TARGET_AMBIGUOUS',
  'TARGET_STOPPED',
  'TARGET_TERMINATED',
  'TARGET_NOT_CONNECTED',
  'DOCUMENT_INVALID',
  'CANCELLED',
];

for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
  const isPlain = plain.includes(code);
  test(`${code} ${isPlain ? 'speaks for itself' : 'gets a file'}`, async () => {
    const error = new ProxyError(code, 'what failed', { hint: 'what to do' });
    const explained = await flightFile().explain(error, true);
    assert.equal(explained === error, isPlain);
    assert.equal(/; details: /.test(explained.hint ?? ''), !isPlain);
  });
}

test('before there is a session, only a bug and a timeout get a file', async () => {
  const file = flightFile();
  for (const code of ['ENDPOINT_UNREACHABLE', 'SERVICE_ERROR', 'THROTTLED', 'TLS_UNTRUSTED'] as const) {
    const error = new ProxyError(code, 'what failed');
    assert.equal(await file.explain(error, false), error);
  }
  for (const code of ['INTERNAL', 'CONNECT_TIMEOUT'] as const) {
    const error = new ProxyError(code, 'what failed');
    assert.notEqual(await file.explain(error, false), error);
  }
});

test('where no file can be written the error stays as it is', async () => {
  const file = flightFile('/dev/null');
  assert.equal(await file.write(), undefined);
  const error = new ProxyError('SESSION_LOST', 'it was lost');
  assert.equal(await file.explain(error, true), error);
});
