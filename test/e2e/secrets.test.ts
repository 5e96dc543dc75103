/** A whole session with everything logged that can be: no secret of it shows in log, stderr, command line or files. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import * as net from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { NODE, startCluster } from '../support/cluster.ts';
import { skipWithout } from '../support/programs.ts';
import { TestServer } from '../support/tcp-server.ts';
import { until } from '../support/until.ts';

/** Goes over the session in both directions, inside the SSH encryption and, to an echo, without it. */
const PAYLOAD = 'payload-that-nobody-may-log';

let cluster: Cluster;
let keys: Record<string, string>;
/** Stands between the program and the API, and keeps what both say. */
let relay: TestServer;
const overheard: string[] = [];

before(async () => {
  cluster = await startCluster({ withSshd: false, nodes: 2 });
  relay = await TestServer.start((socket) => {
    const upstream = net.connect(Number(new URL(cluster.emulator.endpoint).port), '127.0.0.1');
    upstream.on('error', () => socket.destroy());
    socket.on('data', (data: Buffer) => overheard.push(data.toString('latin1')));
    upstream.on('data', (data: Buffer) => overheard.push(data.toString('latin1')));
    socket.pipe(upstream).pipe(socket);
  });
  const { accessKeyId, secretAccessKey, sessionToken } = cluster.emulator.controls.addIdentity({
    userName: 'careful',
    sessionToken: 'session-token-of-the-careful-user',
    expiresAt: Date.now() + 3_600_000,
  });
  keys = {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken ?? '',
    AWS_ENDPOINT_URL: `http://127.0.0.1:${relay.address.port}`,
  };
});
after(async () => {
  relay.close();
  await cluster.close();
});
afterEach(async () => {
  overheard.length = 0;
  cluster.reset();
  await cluster.checkNothingLeft();
});

/** What must not show: keys, tokens, signatures, and the query of the newest stream URL. */
function secrets(): string[] {
  const api = overheard.join('');
  const [, token] = /"TokenValue":"([^"]{16,})"/.exec(api) ?? [];
  const signatures = [...api.matchAll(/Signature=([0-9a-f]{64})/g)].map(([, signature]) => signature ?? '');
  assert.ok(token !== undefined && signatures.length > 0, 'token and signatures were overheard');
  const requestUrl = cluster.emulator.controls.state().opens.at(-1)?.requestUrl ?? '';
  const query = requestUrl.slice(requestUrl.indexOf('?') + 1);
  assert.ok(query.length > 10, `the stream URL has a query: ${requestUrl}`);
  const secret = keys['AWS_SECRET_ACCESS_KEY'] ?? '';
  const values = new URLSearchParams(query);
  return [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64'),
    keys['AWS_SESSION_TOKEN'] ?? '',
    token,
    ...signatures,
    query,
    // Short ones, such as the role and the lifetime, are no secrets.
    ...[...values.values()].filter((value) => value.length >= 16),
    PAYLOAD,
    Buffer.from(PAYLOAD).toString('base64'),
    Buffer.from(PAYLOAD).toString('hex'),
  ];
}

function assertClean(where: string, text: string): void {
  for (const secret of secrets()) {
    assert.ok(!text.includes(secret), `${where} shows ${JSON.stringify(secret.slice(0, 6))}...`);
  }
  assert.doesNotMatch(text, /X-Amz-Signature|X-Amz-Security-Token|TokenValue|"?Authorization"?[:=]/i, where);
}

for (const isPresigned of [false, true]) {
  const how = isPresigned ? 'a presigned stream URL' : 'a stream URL signed by us';
  test(`a trace of a session with ${how} holds no secret`, { skip: skipWithout('ssh') }, async () => {
    cluster.emulator.controls.changeFaults({ open: { presignedUrl: isPresigned } });
    const logFile = join(cluster.directory, `trace-${String(isPresigned)}.log`);
    const env = { ...keys, SSM_PROXY_LOG_LEVEL: 'trace', SSM_PROXY_LOG_FILE: logFile };
    const program = cluster.startSsh([NODE, 'cat'], { keepsInput: true, env });
    program.stdin.write(PAYLOAD);
    await until('the payload is back', () => program.outputSoFar().includes(PAYLOAD));
    // In the middle of it: command lines, and a cut that makes it resume.
    assertClean('a command line', cluster.processes().join('\n'));
    const [session] = cluster.emulator.controls.sessions();
    cluster.emulator.controls.cutSession(session?.sessionId ?? '');
    program.stdin.write('again');
    await until('it has resumed', () => program.outputSoFar().endsWith('again'));
    program.stdin.end();
    const { status, stderr } = await program.finished;
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });

    const log = readFileSync(logFile, 'utf8');
    assert.match(log, /session_started/);
    assert.match(log, /resumes=1/);
    assertClean('the log', log);
    assert.equal(statSync(logFile).mode & 0o777, 0o600);
  });
}

test('a trace on stderr and what is kept of a session that fails hold no secret', async () => {
  cluster.emulator.controls.changeBehaviour({ portFailureMs: 100 });
  const env = { ...keys, SSM_PROXY_LOG_LEVEL: 'trace' };
  const program = cluster.startCli(['connect', NODE, '7777'], { keepsInput: true, env });
  program.stdin.write(PAYLOAD);
  const { stdout, stderr } = await program.finished;
  assert.equal(stdout.length, 0);
  assert.match(stderr, /\[PORT_REFUSED\]/);
  assertClean('stderr', stderr);
  for (const name of readdirSync(cluster.stateHome, { recursive: true, encoding: 'utf8' })) {
    const path = join(cluster.stateHome, name);
    if (statSync(path).isFile()) assertClean(name, readFileSync(path, 'latin1'));
  }
});

test('a wrong secret is not repeated in the error', async () => {
  const wrong = 'wrong/secret+that+must+not+be+shown+anywhere';
  const env = { ...keys, AWS_SECRET_ACCESS_KEY: wrong, SSM_PROXY_LOG_LEVEL: 'trace' };
  const { stdout, stderr } = await cluster.cli(['connect', NODE], { env });
  assert.equal(stdout.length, 0);
  assert.match(stderr, /\[CREDENTIALS_INVALID\]/);
  assert.ok(!stderr.includes(wrong));
  assert.ok(!stderr.includes(keys['AWS_SESSION_TOKEN'] ?? '?'));
});
