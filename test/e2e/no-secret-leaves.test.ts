/**
 * A whole session at the finest log level: a resume, a flight record on request, an abnormal end. No secret of it,
 * as read off the wire, is in any log, error or file that it leaves.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { startCluster } from '../support/cluster.ts';
import { TestServer } from '../support/tcp-server.ts';
import { until } from '../support/until.ts';
import { WireTap } from '../support/wire-tap.ts';

const PORT = '7007';
const SESSION_TOKEN = `session-token-${randomUUID()}/+==`;
const PARAMETER = `parameter-${randomUUID()}`;
const DOWNSTREAM = `from-the-node-${randomUUID()}`;
const DOCUMENT = 'Own-Port';

let cluster: Cluster;
let server: TestServer;
let tap: WireTap;
let target = '';
let secretAccessKey = '';
let env: Readonly<Record<string, string>> = {};

before(async () => {
  cluster = await startCluster({ nodes: 1, withSshd: false });
  // Speaks first, as sshd does, then sends everything back.
  server = await TestServer.start((socket) => {
    socket.write(`${DOWNSTREAM}\n`);
    socket.pipe(socket);
  });
  const { controls, endpoint } = cluster.emulator;
  ({ instanceId: target } = await controls.addInstance({
    privateIp: '10.0.9.9',
    dial: { [PORT]: server.address },
  }));
  controls.addDocument({
    name: DOCUMENT,
    sessionType: 'Port',
    parameters: {
      portNumber: { defaultValue: '22', pattern: undefined },
      note: { defaultValue: '', pattern: undefined },
    },
    properties: { portNumber: '{{ portNumber }}' },
    command: undefined,
    separateOutputStream: false,
    minimumAgentVersion: '1.0',
  });
  const identity = controls.addIdentity({
    userName: 'temporary',
    sessionToken: SESSION_TOKEN,
    expiresAt: Date.now() + 3_600_000,
  });
  ({ secretAccessKey } = identity);
  tap = await WireTap.start(endpoint);
  env = {
    AWS_ENDPOINT_URL: tap.url,
    AWS_ACCESS_KEY_ID: identity.accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: SESSION_TOKEN,
    SSM_PROXY_RESUME_TIMEOUT: '1s',
  };
});
after(async () => {
  await tap.close();
  server.close();
  await cluster.close();
});
afterEach(async () => {
  cluster.reset();
  await cluster.checkNothingLeft();
  rmSync(join(cluster.stateHome, 'ssm-proxy'), { recursive: true, force: true });
});

function filesOf(folder: string): readonly string[] {
  const path = join(cluster.stateHome, 'ssm-proxy', folder);
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => !name.startsWith('.'))
    .map((name) => readFileSync(join(path, name), 'utf8'));
}

/** What passed on the wire and must stay there, by kind. */
function secretsOnTheWire(): ReadonlyMap<string, ReadonlySet<string>> {
  const patterns = {
    token: /"TokenValue":"([^"]+)"/g,
    'query of a stream URL': /"StreamUrl":"[^"?]*\?([^"]+)"/g,
    cell: /[?&]cell-number=([^&" ]+)/g,
    'signature of a header': /Signature=([0-9a-f]{64})/g,
    'signature of a URL': /X-Amz-Signature=([0-9a-f]{64})/g,
    'key of the WebSocket': /Sec-WebSocket-Key: (\S+)/gi,
  };
  const found = new Map<string, Set<string>>();
  for (const [kind, pattern] of Object.entries(patterns)) {
    const values = tap.texts.flatMap((text) => [...text.matchAll(pattern)].map(([, value = '']) => value));
    found.set(kind, new Set(values.flatMap((value) => [value, decodeURIComponent(value)])));
  }
  return found;
}

interface Traces {
  readonly stderr: string;
  readonly log: string;
  readonly flightRecords: readonly string[];
  readonly sessionRecords: readonly string[];
  readonly upstream: string;
}

/** Connects, sends and receives, loses the link, resumes, is asked for a record, loses the link for good. */
async function eventfulSession(args: readonly string[], extraEnv: Record<string, string>): Promise<Traces> {
  const { controls } = cluster.emulator;
  const upstream = `to-the-node-${randomUUID()}`;
  const program = cluster.startCli(
    ['connect', target, PORT, '--document', DOCUMENT, '--parameter', `note=${PARAMETER}`, ...args],
    { keepsInput: true, env: { ...env, ...extraEnv } },
  );
  await until('the node speaks', () => program.outputSoFar().includes(DOWNSTREAM));
  program.stdin.write(`${upstream} 1\n`);
  await until('it answers', () => program.outputSoFar().includes(`${upstream} 1`));
  const sessionRecords = await until('there is a session record', () => {
    const files = filesOf('sessions');
    return files.length > 0 && files;
  });
  const sessionId = controls.sessions()[0]?.sessionId ?? '';
  controls.cutSession(sessionId);
  program.stdin.write(`${upstream} 2\n`);
  await until('it answers after a resume', () => program.outputSoFar().includes(`${upstream} 2`));
  program.child.kill('SIGUSR1');
  await until('there is a flight record', () => filesOf('flight-records').length === 1);
  controls.changeFaults({ api: { failures: [{ operation: 'ssm:ResumeSession' }] } });
  controls.cutSession(sessionId);
  const { status, stderr } = await program.finished;
  assert.equal(status, 74, stderr);
  const logFile = join(cluster.directory, 'log');
  const log = existsSync(logFile) ? readFileSync(logFile, 'utf8') : '';
  rmSync(logFile, { force: true });
  return { stderr, log, flightRecords: filesOf('flight-records'), sessionRecords, upstream };
}

function assertNoSecret(traces: Traces): void {
  const secrets = new Map<string, ReadonlySet<string>>([
    ...secretsOnTheWire(),
    ['secret key', new Set([secretAccessKey])],
    ['session token', new Set([SESSION_TOKEN])],
    ['parameter', new Set([PARAMETER])],
    ['stream bytes', new Set([DOWNSTREAM, traces.upstream])],
  ]);
  const texts = [traces.stderr, traces.log, ...traces.flightRecords, ...traces.sessionRecords];
  for (const [kind, values] of secrets) {
    for (const value of values) {
      // Two lengths of a secret's start: one that is cut off is told as well.
      for (const part of [value, value.slice(0, 24)]) {
        for (const form of [part, Buffer.from(part).toString('hex'), base64Of(part)]) {
          for (const text of texts) assert.ok(!text.includes(form), `${kind} is in:\n${text}`);
        }
      }
    }
  }
}

/** Whole groups only: what comes behind does not change them. */
function base64Of(text: string): string {
  return Buffer.from(text.slice(0, Math.floor(text.length / 3) * 3)).toString('base64');
}

function kindsFound(): readonly string[] {
  return [...secretsOnTheWire()].filter(([, values]) => values.size > 0).map(([kind]) => kind);
}

test('nothing secret is in a log file, an error, a flight record or a session record', async () => {
  const logFile = join(cluster.directory, 'log');
  const traces = await eventfulSession(['--log-level', 'trace', '--log-file', logFile], {
    AWS_ENDPOINT_URL_SSMMESSAGES: tap.url,
  });
  // Otherwise there was nothing to be found, or not where it was looked for.
  assert.deepEqual(kindsFound(), [
    'token',
    'query of a stream URL',
    'cell',
    'signature of a header',
    'key of the WebSocket',
  ]);
  assert.ok((secretsOnTheWire().get('token')?.size ?? 0) >= 2, 'one token of the start, one of the resume');
  assert.match(traces.log, / info session\.link_lost /);
  assert.match(traces.log, / operation=ResumeSession /);
  assert.equal(traces.flightRecords.length, 2);
  for (const record of traces.flightRecords)
    assert.match(record, / < output_stream_data seq=\d+ payload=output /);
  assert.equal(traces.sessionRecords.length, 1);
  assert.match(traces.stderr, /\[SESSION_LOST\]/);
  assertNoSecret(traces);
});

test('nor on stderr as a log, with a stream URL that carries its own signature', async () => {
  cluster.emulator.controls.changeFaults({ open: { presignedUrl: true } });
  const traces = await eventfulSession(['--log-level', 'trace'], {});
  assert.ok(kindsFound().includes('signature of a URL'));
  assert.match(traces.stderr, / info session\.link_lost /);
  assert.equal(traces.flightRecords.length, 2);
  assertNoSecret(traces);
});
