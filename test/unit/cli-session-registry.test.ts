/** The record of a running session: when it comes and goes, and how its process is recognised. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { processIdentity } from '../../src/cli/process-identity.ts';
import { readSessionRecords } from '../../src/cli/session-registry.ts';
import { SessionTrace } from '../../src/cli/session-trace.ts';
import { silentLog } from '../../src/log.ts';
import { until } from '../support/until.ts';

const STARTED = {
  sessionId: 'demo-0123',
  instanceId: 'i-0123456789abcdef0',
  region: 'us-west-2',
  profile: undefined,
  role: undefined,
  ssmEndpoint: 'https://ssm.example.test/path?query',
};
const WALL_NOW = 1_767_322_800_000;

let folder = '';
let env: Readonly<Record<string, string>> = {};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ssm-proxy-registry-'));
  env = { XDG_STATE_HOME: folder };
});
afterEach(() => rmSync(folder, { recursive: true }));

const sessions = (): string => join(folder, 'ssm-proxy', 'sessions');
const names = (): readonly string[] => {
  try {
    return readdirSync(sessions()).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
};
const newTrace = (environment = env): SessionTrace =>
  new SessionTrace(environment, silentLog, () => WALL_NOW);

test('the record says which session it is, who runs it and for whom', async () => {
  const trace = newTrace();
  assert.equal(trace.hasBegun, false);
  trace.begin(STARTED, '10.0.1.10:22');
  trace.firstByte();
  await until('the record is there', () => names().length === 1);
  assert.equal(trace.hasBegun, true);
  const [record, ...others] = await readSessionRecords(env);
  assert.deepEqual(others, []);
  assert.deepEqual(
    { ...record, parentName: undefined },
    {
      ...STARTED,
      ssmEndpoint: 'https://ssm.example.test',
      destination: '10.0.1.10:22',
      pid: process.pid,
      processStart: await processIdentity(process.pid),
      startedAt: WALL_NOW,
      parentPid: process.ppid,
      parentName: undefined,
      path: join(sessions(), 'session-demo-0123.json'),
      isProcessAlive: true,
      isShared: false,
    },
  );
  assert.equal(statSync(record?.path ?? '').mode & 0o777, 0o600);
  await trace.end(true);
});

test('without a first byte the record comes by itself', async () => {
  const trace = newTrace();
  trace.begin(STARTED, '10.0.1.10:22');
  assert.deepEqual(names(), []);
  await until('the record is there', () => names().length === 1);
  await trace.end(true);
});

test('it goes when the session is over', async () => {
  const trace = newTrace();
  trace.begin(STARTED, '10.0.1.10:22');
  trace.firstByte();
  await until('the record is there', () => names().length === 1);
  await trace.end(true);
  assert.deepEqual(readdirSync(sessions()), []);
});

test('a session that is over before its record was due leaves nothing', async () => {
  const trace = newTrace();
  trace.begin(STARTED, '10.0.1.10:22');
  await trace.end(true);
  assert.deepEqual(names(), []);
});

test('a session that may not be over leaves its record, even one that was not yet due', async () => {
  const trace = newTrace();
  trace.begin(STARTED, '10.0.1.10:22');
  await trace.end(false);
  assert.deepEqual(names(), ['session-demo-0123.json']);
});

test('without a session there is nothing to leave', async () => {
  await newTrace().end(false);
  assert.deepEqual(names(), []);
});

test('a state directory that cannot be used is no trouble', async () => {
  const trace = newTrace({ XDG_STATE_HOME: '/dev/null' });
  trace.begin(STARTED, '10.0.1.10:22');
  trace.firstByte();
  await trace.end(false);
});

test('a session ID cannot lead out of the directory', async () => {
  const trace = newTrace();
  trace.begin({ ...STARTED, sessionId: '../../etc/x y' }, '10.0.1.10:22');
  await trace.end(false);
  assert.deepEqual(names(), ['session-.._.._etc_x_y.json']);
});

test('a process that has gone, and a later one with its ID, are not the one that ran the session', async () => {
  const trace = newTrace();
  trace.begin(STARTED, '10.0.1.10:22');
  await trace.end(false);
  const path = join(sessions(), 'session-demo-0123.json');
  const record = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  const aliveWith = async (change: Record<string, unknown>): Promise<boolean | undefined> => {
    writeFileSync(path, JSON.stringify({ ...record, ...change }));
    return (await readSessionRecords(env))[0]?.isProcessAlive;
  };
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  assert.equal(await aliveWith({}), true);
  assert.equal(await aliveWith({ processStart: 'another boot/1' }), false);
  assert.equal(await aliveWith({ pid: child.pid }), false);
});

for (const [what, text] of [
  ['no JSON', '{'],
  ['no object', '[]'],
  ['null', 'null'],
  [
    'another schema',
    JSON.stringify({ ...STARTED, schema: 2, destination: 'x', pid: 1, startedAt: 1, parentPid: 1 }),
  ],
  ['no session ID', JSON.stringify({ schema: 1, destination: 'x', pid: 1, startedAt: 1, parentPid: 1 })],
  [
    'a process ID that is none',
    JSON.stringify({ ...STARTED, schema: 1, destination: 'x', pid: -1, startedAt: 1, parentPid: 1 }),
  ],
] as const) {
  test(`a file with ${what} is not a record`, async () => {
    const trace = newTrace();
    trace.begin(STARTED, '10.0.1.10:22');
    await trace.end(false);
    writeFileSync(join(sessions(), 'other.json'), text);
    assert.deepEqual(
      (await readSessionRecords(env)).map(({ sessionId }) => sessionId),
      ['demo-0123'],
    );
  });
}
