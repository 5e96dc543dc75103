/** The emulator as a whole: TLS, API faults, its control interface, and that nothing is left of it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import * as http from 'node:http';
import * as net from 'node:net';
import { after, before, test } from 'node:test';
import { DescribeInstancesCommand } from '@aws-sdk/client-ec2';
import { GetConnectionStatusCommand, StartSessionCommand } from '@aws-sdk/client-ssm';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { describeEmulator } from '../../src/emulator/describe.ts';
import { startEmulator } from '../../src/emulator/server.ts';
import type { EmulatorState } from '../../src/emulator/controls.ts';
import { writeSshConfig } from '../../src/emulator/ssh-files.ts';
import { MESSAGE_TYPE } from '../../src/protocol/message.ts';
import { sdkClients } from '../support/emulator-clients.ts';
import { until } from '../support/until.ts';
import { RecordingClock } from '../support/recording-clock.ts';
import { scriptedAgents } from '../support/scripted-agent.ts';
import { ServiceBench } from '../support/service-bench.ts';

let bench: ServiceBench;
const clock = new RecordingClock();

before(async () => {
  bench = await ServiceBench.create({ clock });
});
after(() => bench.close());

// ---- control interface -------------------------------------------------------------------------------------

interface JsonAnswer {
  readonly status: number | undefined;
  readonly body: Record<string, unknown>;
}

function call(method: string, url: string, input?: unknown): Promise<JsonAnswer> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('end', () => {
        resolve({ status: response.statusCode, body: JSON.parse(text) as Record<string, unknown> });
      });
    });
    request.on('error', reject);
    request.end(input === undefined ? undefined : JSON.stringify(input));
  });
}

const control = (method: string, path: string, input?: unknown): Promise<JsonAnswer> =>
  call(method, `${bench.emulator.control}${path}`, input);

test('the control interface needs its token', async () => {
  const { origin } = new URL(bench.emulator.control);
  for (const path of ['/', '/state', '/wrong-token/state']) {
    assert.equal((await call('GET', origin + path)).status, 404);
  }
  assert.match(new URL(bench.emulator.control).pathname, /^\/[\w-]{32}\/$/);
});

test('state tells instances, sessions, calls, opens and sockets, and no secret', async () => {
  const { sessionId, tokenValue } = await bench.open();
  const { status, body } = await control('GET', 'state');
  assert.equal(status, 200);
  const state = body as unknown as EmulatorState;
  const session = state.sessions.find((each) => each.sessionId === sessionId);
  assert.equal(session?.status, 'Connected');
  assert.equal(session?.owner, 'arn:aws:iam::111122223333:user/demo');
  assert.ok((state.calls['ssm:StartSession']?.succeeded ?? 0) > 0);
  assert.equal(state.opens.at(-1)?.outcome, 'bound');
  assert.ok(state.openSockets >= 1);
  const text = JSON.stringify(body);
  assert.equal(text.includes(bench.emulator.credentials.secretAccessKey), false);
  assert.equal(text.includes(tokenValue), false);
});

test('faults are changed, replaced and refused with the reason', async () => {
  const changed = await control('PATCH', 'faults', { link: { latencyMs: 7 } });
  assert.equal((changed.body['link'] as { latencyMs: number }).latencyMs, 7);
  assert.equal(bench.emulator.controls.faults.link.latencyMs, 7);
  const refused = await control('PATCH', 'faults', { link: { latency: 7 } });
  assert.equal(refused.status, 400);
  assert.match(String(refused.body['error']), /link\.latency/);
  await control('PUT', 'faults', { absent: { pauseAgent: false } });
  assert.equal(bench.emulator.controls.faults.link.latencyMs, 0);
  assert.equal(bench.emulator.controls.faults.absent.pauseAgent, false);
  await control('PUT', 'faults', {});
  assert.equal((await control('GET', 'faults')).status, 200);
});

test('instances come, change and go', async () => {
  const added = await control('POST', 'instances', {
    name: 'late',
    privateIp: '10.0.7.7',
    dial: { '22': '127.0.0.1:2222' },
  });
  const instanceId = String(added.body['instanceId']);
  assert.match(instanceId, /^i-/);
  const connection = async () => {
    const answer = await bench.sdk.ssm.send(new GetConnectionStatusCommand({ Target: instanceId }));
    return answer.Status;
  };
  assert.equal(await connection(), 'connected');
  await control('PATCH', `instances/${instanceId}`, { agentOnline: false, behaviour: { paceMs: 0 } });
  assert.equal(await connection(), 'notconnected');
  const known = bench.emulator.controls.state().instances.find((each) => each.instanceId === instanceId);
  assert.equal(known?.behaviour.paceMs, 0);
  assert.deepEqual(known?.dial, { '22': { host: '127.0.0.1', port: 2222 } });
  assert.equal((await control('PATCH', `instances/${instanceId}`, { state: 'asleep' })).status, 400);
  await control('DELETE', `instances/${instanceId}`);
  assert.equal((await control('PATCH', `instances/${instanceId}`, {})).status, 400);
});

test('sessions are acted on', async () => {
  const cut = await bench.open();
  assert.equal((await control('POST', `sessions/${cut.sessionId}/cut`)).status, 200);
  assert.equal((await cut.client.gone()).code, 1006);
  const closed = await bench.open();
  await control('POST', `sessions/${closed.sessionId}/close`, { code: 1001, reason: 'why not' });
  assert.deepEqual(await closed.client.gone(), { code: 1001, reason: 'why not' });
  const paused = await bench.open();
  await control('POST', `sessions/${paused.sessionId}/pause`, { side: 'client' });
  await until('pause', () => paused.client.ofType(MESSAGE_TYPE.PAUSE_PUBLICATION)[0]);
  await control('POST', `sessions/${paused.sessionId}/start`, { side: 'agent' });
  await until('start', () => paused.agent.ofType(MESSAGE_TYPE.START_PUBLICATION)[0]);
  const killed = await bench.open();
  await control('POST', `sessions/${killed.sessionId}/drop-agent`, { forMs: 5 });
  await until('back', () => killed.agent.events.includes('up'));
  await control('POST', `sessions/${killed.sessionId}/kill-agent`);
  assert.deepEqual(killed.agent.events, ['down', 'up', 'killed']);
  await control('POST', `sessions/${killed.sessionId}/terminate`, { output: 'enough' });
  assert.equal(bench.session(killed.sessionId).output, 'enough');
  assert.equal(bench.session(killed.sessionId).status, 'Terminated');
  assert.equal((await control('POST', 'sessions/unknown/cut')).status, 400);
  assert.equal((await control('POST', `sessions/${killed.sessionId}/explode`)).status, 404);
});

test('clock, access keys, VPCs, documents, agents and preferences are settable', async () => {
  const changed = await control('PATCH', 'clock', { offsetMs: 1000, speed: 2 });
  assert.deepEqual([changed.body['offsetMs'], changed.body['speed']], [1000, 2]);
  await control('PATCH', 'clock', { offsetMs: 0, speed: 1 });
  assert.equal((await control('PATCH', 'clock', { speed: 0 })).status, 400);
  const key = await control('POST', 'identities', { userName: 'jane', denied: ['ssm:*'] });
  const accessKeyId = String(key.body['accessKeyId']);
  await control('PATCH', `identities/${accessKeyId}`, { denied: [] });
  const jane = sdkClients(bench.emulator, {
    accessKeyId,
    secretAccessKey: String(key.body['secretAccessKey']),
  });
  assert.match((await jane.sts.send(new GetCallerIdentityCommand({}))).Arn ?? '', /user\/jane$/);
  await control('DELETE', `identities/${accessKeyId}`);
  await assert.rejects(jane.sts.send(new GetCallerIdentityCommand({})), { name: 'InvalidClientTokenId' });
  jane.destroy();
  assert.equal((await control('POST', 'vpcs', { vpcId: 'vpc-1', tags: { Name: 'x' } })).status, 200);
  assert.equal((await control('PATCH', 'behaviour', { paceMs: 0 })).status, 200);
  assert.equal((await control('PATCH', 'behaviour', { pace: 0 })).status, 400);
  assert.equal((await control('PATCH', 'preferences', { kmsKeyId: 'alias/sessions' })).status, 200);
  await control('PATCH', 'preferences', { kmsKeyId: null });
  await control('POST', 'documents', {
    name: 'Team-SSH',
    sessionType: 'Port',
    parameters: { port: { defaultValue: '2200' } },
    properties: { portNumber: '{{ port }}' },
  });
  const started = await bench.sdk.ssm.send(
    new StartSessionCommand({ Target: bench.instanceId, DocumentName: 'Team-SSH' }),
  );
  const agent = await bench.agentOf(started.SessionId ?? '');
  assert.deepEqual(agent.request.properties, { portNumber: '2200' });
});

test('what is not JSON, or not known, is refused', async () => {
  assert.equal((await control('GET', 'nothing')).status, 404);
  assert.equal((await control('DELETE', 'state')).status, 404);
  const answer = await new Promise<number | undefined>((resolve, reject) => {
    const request = http.request(
      `${bench.emulator.control}faults`,
      { method: 'PATCH', agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode);
      },
    );
    request.on('error', reject);
    request.end('{');
  });
  assert.equal(answer, 400);
});

// ---- faults of the API -------------------------------------------------------------------------------------

const status = () => bench.sdk.ssm.send(new GetConnectionStatusCommand({ Target: bench.instanceId }));

test('StartSession fails for some calls, for some time, or for one target', async () => {
  const start = () => bench.sdk.ssm.send(new StartSessionCommand({ Target: bench.instanceId }));
  const failure = { operation: 'ssm:StartSession', code: 'TargetNotConnected' };
  await bench.with({ api: { failures: [{ ...failure, times: 2 }] } }, async () => {
    const expected = { name: 'TargetNotConnected', message: `${bench.instanceId} is not connected.` };
    await assert.rejects(start(), expected);
    await assert.rejects(start(), expected);
    await start();
  });
  await bench.with({ api: { failures: [{ ...failure, forMs: 60_000 }] } }, async () => {
    await assert.rejects(start(), { name: 'TargetNotConnected' });
    clock.skip(60_001);
    await start();
  });
  await bench.with({ api: { failures: [{ ...failure, target: 'i-00000000000000000' }] } }, async () => {
    await start();
  });
});

test('an operation is throttled by its bucket', async () => {
  const throttles = { 'ssm:GetConnectionStatus': { perSecond: 0.001, burst: 2 } };
  await bench.with({ api: { throttles } }, async () => {
    await status();
    await status();
    await assert.rejects(status(), { name: 'ThrottlingException', message: 'Rate exceeded' });
    await bench.sdk.ec2.send(new DescribeInstancesCommand({}));
  });
  await bench.with(
    { api: { throttles: { 'ec2:DescribeInstances': { perSecond: 0.001, burst: 1 } } } },
    async () => {
      await bench.sdk.ec2.send(new DescribeInstancesCommand({}));
      await assert.rejects(bench.sdk.ec2.send(new DescribeInstancesCommand({})), {
        name: 'RequestLimitExceeded',
      });
    },
  );
});

test('the API can be slow, silent, or cut the connection', async () => {
  await bench.with({ api: { latencyMs: 60 } }, async () => {
    clock.delays.length = 0;
    await status();
    assert.ok(clock.delays.includes(60));
  });
  await bench.with({ api: { failures: [{ kind: 'reset', times: 1 }] } }, async () => {
    await assert.rejects(status(), /ECONNRESET|socket hang up/);
    await status();
  });
  await bench.with({ api: { failures: [{ kind: 'hang', times: 1 }] } }, async () => {
    const abort = new AbortController();
    const command = new GetConnectionStatusCommand({ Target: bench.instanceId });
    const hanging = bench.sdk.ssm.send(command, { abortSignal: abort.signal });
    const refused = assert.rejects(hanging, { name: 'AbortError' });
    await until(
      'the call came in',
      () => bench.emulator.controls.state().calls['ssm:GetConnectionStatus']?.refused['hang'],
    );
    abort.abort();
    await refused;
  });
});

test('new connections can be slow or never answered', async () => {
  const port = Number(new URL(bench.emulator.endpoint).port);
  // Establishes a connection.
  await status();
  await bench.with({ accept: { silent: true } }, async () => {
    const socket = net.connect(port, '127.0.0.1');
    const answers: Buffer[] = [];
    socket.on('data', (data) => answers.push(data));
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    const fresh = sdkClients(bench.emulator);
    const abort = new AbortController();
    const asked = fresh.ssm.send(new GetConnectionStatusCommand({ Target: 'i-1' }), {
      abortSignal: abort.signal,
    });
    const refused = assert.rejects(asked, { name: 'AbortError' });
    // The established connection is still served: silence is for new ones.
    await status();
    assert.deepEqual(answers, []);
    abort.abort();
    await refused;
    fresh.destroy();
    socket.destroy();
  });
  await bench.with({ accept: { delayMs: 50 } }, async () => {
    const fresh = sdkClients(bench.emulator);
    clock.delays.length = 0;
    await fresh.ssm.send(new GetConnectionStatusCommand({ Target: 'i-1' }));
    assert.ok(clock.delays.includes(50));
    fresh.destroy();
  });
});

// ---- TLS, files, and the end -------------------------------------------------------------------------------

test('over TLS the API and the data channel are trusted with the CA file, and not without', async () => {
  const tls = await ServiceBench.create({ tls: true });
  const { caFile, endpoint } = tls.emulator;
  assert.ok(caFile !== null && endpoint.startsWith('https://127.0.0.1:'));
  assert.match(readFileSync(caFile, 'utf8'), /^-----BEGIN CERTIFICATE-----/);
  const ca = readFileSync(caFile);
  const session = await tls.open({ ca });
  assert.match(session.streamUrl, /^wss:/);
  session.agent.output('over TLS');
  await until('output', () => session.client.output.toString() === 'over TLS');
  tls.emulator.controls.cutSession(session.sessionId);
  assert.equal((await session.client.gone()).code, 1006);
  const distrustful = tls.connect(await tls.resume(session.sessionId));
  await distrustful.gone();
  assert.match(String(distrustful.error), /self.signed|unable to (verify|get)/i);
  await tls.close();
});

test('nodes get SSH servers and identities; a real sshd can stand behind the first', async () => {
  const emulator = await startEmulator({
    nodes: 2,
    sshTarget: { host: '127.0.0.1', port: 2022, user: 'me' },
  });
  try {
    const description: unknown = JSON.parse(describeEmulator(emulator));
    const { endpoint, region, credentials, caFile, control, instances } = emulator;
    assert.deepEqual(description, { endpoint, region, credentials, caFile, control, instances });
    const [head, worker] = emulator.instances;
    assert.deepEqual(
      [head?.name, head?.privateIp, head?.sshPort, head?.user, head?.identityFile],
      ['demo-head', '10.0.1.10', 2022, 'me', null],
    );
    assert.deepEqual([worker?.name, worker?.privateIp], ['demo-worker1', '10.0.1.11']);
    assert.equal(statSync(worker?.identityFile ?? '').mode & 0o777, 0o600);
    assert.equal(statSync(emulator.directory).mode & 0o777, 0o700);
    const files = await writeSshConfig(emulator, {
      command: 'ssm-proxy connect',
      directory: emulator.directory,
    });
    assert.equal(statSync(files.configFile).mode & 0o777, 0o600);
    assert.equal(statSync(files.environmentFile).mode & 0o777, 0o600);
  } finally {
    await emulator.close();
  }
});

test('a closed emulator leaves no socket, timer, server or file', async () => {
  const before = process.getActiveResourcesInfo().sort();
  const other = await ServiceBench.create({ tls: true });
  const { directory, caFile } = other.emulator;
  const open = await other.open({ ca: readFileSync(caFile ?? '') });
  await other.start();
  other.emulator.controls.changeFaults({
    rules: [{ action: 'delay', delayMs: 60_000 }],
    link: { latencyMs: 20 },
    lifetimes: { sessionMs: 3_600_000 },
  });
  open.agent.output('never arrives');
  open.client.input('neither');
  const port = Number(new URL(other.emulator.endpoint).port);
  await other.close();
  await other.emulator.close();
  assert.equal(existsSync(directory), false);
  const refused = await new Promise((resolve) => {
    net
      .connect(port, '127.0.0.1')
      .on('error', resolve)
      .on('connect', () => resolve(undefined));
  });
  assert.match(String(refused), /ECONNREFUSED/);
  await until('all resources are gone', () => {
    const left = process.getActiveResourcesInfo().sort();
    return JSON.stringify(left) === JSON.stringify(before) || left.length <= before.length;
  });
});

test('options that cannot be used are refused, and leave nothing', async () => {
  const port = Number(new URL(bench.emulator.endpoint).port);
  await assert.rejects(startEmulator({ port, startAgentSession: scriptedAgents().start }), { code: 'USAGE' });
  await assert.rejects(startEmulator({ nodes: -1 }), { code: 'USAGE' });
  await assert.rejects(startEmulator({ nodes: 1000 }), { code: 'USAGE' });
});
