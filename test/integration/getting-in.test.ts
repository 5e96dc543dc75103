/** From a target to a running session through trouble that passes and trouble that stays, against the emulator. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import { asProxyError } from '../../src/errors.ts';
import type { ProxyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { openSession } from '../../src/open-session.ts';
import { portPurpose } from '../../src/session-purpose.ts';
import type { SessionRequest } from '../../src/open-session.ts';
import type { Sharing } from '../../src/opening/get-in.ts';
import { waitForTarget } from '../../src/opening/wait-for-target.ts';
import type { WaitRequest } from '../../src/opening/wait-for-target.ts';
import { until } from '../support/until.ts';

const HEAD = '10.0.1.10';

let emulator: Emulator;
let runtimeDirectory: string;
let env: NodeJS.ProcessEnv;
before(async () => {
  emulator = await startEmulator({ nodes: 1 });
  runtimeDirectory = mkdtempSync(join(tmpdir(), 'ssm-proxy-getting-in-'));
  env = {
    HOME: '/nonexistent',
    XDG_RUNTIME_DIR: runtimeDirectory,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ENDPOINT_URL: emulator.endpoint,
    AWS_REGION: emulator.region,
    AWS_ACCESS_KEY_ID: emulator.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: emulator.credentials.secretAccessKey,
  };
});
after(async () => {
  await emulator.close();
  rmSync(runtimeDirectory, { recursive: true });
});

let callsBefore: ReturnType<Emulator['controls']['state']>['calls'];
beforeEach(() => {
  emulator.controls.resetFaults();
  emulator.controls.changeInstance(head(), { state: 'running', agentOnline: true });
  callsBefore = emulator.controls.state().calls;
});

function head(): string {
  return emulator.instances[0]?.instanceId ?? '';
}

/** Calls of an operation in this test. */
function calls(operation: string): number {
  return (emulator.controls.state().calls[operation]?.calls ?? 0) - (callsBefore[operation]?.calls ?? 0);
}

function request(changes: Partial<SessionRequest> = {}): SessionRequest {
  return {
    target: HEAD,
    regions: undefined,
    profile: undefined,
    role: undefined,
    account: undefined,
    endpointUrl: undefined,
    ssmmessagesEndpoint: undefined,
    vpc: undefined,
    tags: {},
    purpose: portPurpose({ port: 22, document: undefined, parameters: {} }),
    connectTimeoutMs: 20_000,
    timeLimitName: '--connect-timeout',
    messagesPerSecond: undefined,
    reason: 'test',
    ...changes,
  };
}

/** Opens a session, takes its first bytes, and ends it. */
async function banner(changes: Partial<SessionRequest> = {}): Promise<string> {
  let settle: (text: string) => void = () => {};
  let fail: (error: Error) => void = () => {};
  const first = new Promise<string>((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  first.catch(() => {});
  const session = await openSession(
    request(changes),
    { env, clock: systemClock, log: silentLog },
    {
      onStage: () => {},
      onReady: () => {},
      onData: (data) => settle(data.toString()),
      onWritable: () => {},
      onDrained: () => {},
      onNotice: () => {},
      onEnd: (outcome) => fail(outcome.kind === 'failed' ? outcome.error : new Error(outcome.kind)),
    },
    new AbortController().signal,
  );
  try {
    return await first;
  } finally {
    await session.terminate();
  }
}

function failing(operation: string, code: string, status: number, times: number) {
  return { api: { failures: [{ operation, code, message: 'As AWS says it.', status, times }] } };
}

async function failure(promise: Promise<unknown>): Promise<ProxyError> {
  return promise.then(
    () => assert.fail('it succeeded'),
    (error: unknown) => asProxyError(error),
  );
}

describe('getting in', () => {
  it('waits for an agent that is not connected yet', async () => {
    emulator.controls.changeFaults(failing('ssm:StartSession', 'TargetNotConnected', 400, 2));
    assert.match(await banner(), /^SSH-2\.0-/);
    assert.equal(calls('ssm:StartSession'), 3);
  });

  it('tries a throttled call again itself, one attempt at a time', async () => {
    emulator.controls.changeFaults(failing('ssm:StartSession', 'ThrottlingException', 400, 1));
    assert.match(await banner(), /^SSH-2\.0-/);
    assert.equal(calls('ssm:StartSession'), 2);
  });

  it('gets past trouble of DescribeInstances', async () => {
    emulator.controls.changeFaults(failing('ec2:DescribeInstances', 'InternalError', 500, 2));
    assert.match(await banner(), /^SSH-2\.0-/);
    assert.equal(calls('ec2:DescribeInstances'), 3);
  });

  it('gets past a data channel that is refused at first', async () => {
    emulator.controls.changeFaults({
      open: { outcomes: [{ kind: 'status', status: 503 }, { kind: 'reset' }] },
    });
    assert.match(await banner(), /^SSH-2\.0-/);
    assert.equal(calls('ssm:ResumeSession'), 2);
  });

  it('corrects a wrong clock without the retries of the SDK', async () => {
    emulator.controls.setClock({ offsetMs: 3_600_000 });
    try {
      assert.match(await banner(), /^SSH-2\.0-/);
      assert.ok(calls('ssm:StartSession') <= 2);
    } finally {
      emulator.controls.setClock({ offsetMs: 0 });
    }
  });

  const final: readonly (readonly [name: string, awsCode: string, code: string])[] = [
    ['a missing permission', 'AccessDeniedException', 'ACCESS_DENIED'],
    ['an invalid document', 'InvalidDocument', 'DOCUMENT_INVALID'],
    ['expired credentials', 'ExpiredTokenException', 'CREDENTIALS_EXPIRED'],
  ];
  for (const [name, awsCode, code] of final) {
    it(`ends at once on ${name}`, async () => {
      emulator.controls.changeFaults(failing('ssm:StartSession', awsCode, 400, 0));
      const error = await failure(banner());
      assert.equal(error.code, code);
      assert.match(
        error.message,
        new RegExp(`^An error occurred \\(${awsCode}\\) when calling the StartSession`),
      );
      assert.equal(calls('ssm:StartSession'), 1);
    });
  }

  for (const [state, code] of [
    ['stopped', 'TARGET_STOPPED'],
    ['terminated', 'TARGET_TERMINATED'],
  ] as const) {
    it(`finds out that an instance given by its ID is ${state}, and ends`, async () => {
      emulator.controls.changeInstance(head(), { state });
      const error = await failure(banner({ target: head() }));
      assert.equal(error.code, code);
      assert.equal(calls('ssm:StartSession'), 1);
    });
  }

  it('finds out that nobody knows the ID, and ends', async () => {
    const error = await failure(banner({ target: 'i-00000000000000000' }));
    assert.equal(error.code, 'TARGET_NOT_FOUND');
    assert.equal(calls('ssm:StartSession'), 1);
  });

  it('tries to the end of the time when nothing more may be asked, and says so in the words of AWS', async () => {
    emulator.controls.changeInstance(head(), { agentOnline: false });
    const { accessKeyId } = emulator.credentials;
    emulator.controls.changeIdentity(accessKeyId, {
      denied: ['ec2:DescribeInstances', 'ssm:DescribeInstanceInformation'],
    });
    try {
      const error = await failure(banner({ target: head(), connectTimeoutMs: 3_000 }));
      assert.equal(error.code, 'TARGET_NOT_CONNECTED');
      assert.match(
        error.message,
        /^An error occurred \(TargetNotConnected\) when calling the StartSession operation/,
      );
      assert.match(error.hint ?? '', /^tried for \d\.?\d? s \(--connect-timeout\); /);
      assert.ok(calls('ssm:StartSession') > 1);
    } finally {
      emulator.controls.changeIdentity(accessKeyId, { denied: [] });
    }
  });

  it('tells what SSM knows of an agent that stays away', async () => {
    emulator.controls.changeInstance(head(), { agentOnline: false });
    const error = await failure(banner({ target: head(), connectTimeoutMs: 2_500 }));
    assert.equal(error.code, 'TARGET_NOT_CONNECTED');
    assert.match(
      error.hint ?? '',
      new RegExp(`SSM has not heard of the agent on ${head()} since \\S+Z \\(\\d+ \\w+\\)`),
    );
  });

  it('names the trouble of a data channel that never comes up', async () => {
    emulator.controls.changeFaults({
      open: { outcomes: Array.from({ length: 50 }, () => ({ kind: 'status' as const, status: 503 })) },
    });
    const error = await failure(banner({ connectTimeoutMs: 3_000 }));
    assert.equal(error.code, 'CHANNEL_OPEN_FAILED');
    assert.match(error.hint ?? '', /^tried for 3/);
  });
});

describe('together with other processes', () => {
  const sharing: Sharing = { startsPerSecond: 3, queueTimeoutMs: 60_000, sharesLookups: true };

  it('an address is looked up once a minute', async () => {
    assert.match(await banner({ sharing }), /^SSH-2\.0-/);
    const first = calls('ec2:DescribeInstances');
    assert.match(await banner({ sharing }), /^SSH-2\.0-/);
    assert.equal(calls('ec2:DescribeInstances'), first);
  });

  it('an address that has another instance now is looked up again when the old one is not connected', async () => {
    assert.match(await banner({ sharing }), /^SSH-2\.0-/);
    const old = emulator.controls.state().instances.find(({ instanceId }) => instanceId === head());
    const port = old?.dial['22']?.port;
    assert.ok(port !== undefined);
    emulator.controls.changeInstance(head(), { state: 'terminated', privateIp: '10.0.1.250' });
    const { instanceId } = await emulator.controls.addInstance({
      privateIp: HEAD,
      dial: { '22': { host: '127.0.0.1', port } },
    });
    try {
      assert.match(await banner({ sharing }), /^SSH-2\.0-/);
      assert.equal(emulator.controls.state().sessions[0]?.target, instanceId);
    } finally {
      emulator.controls.removeInstance(instanceId);
      emulator.controls.changeInstance(head(), { privateIp: HEAD });
    }
  });

  it('who would wait too long for a turn is told so at once', async () => {
    const key = { startsPerSecond: 0.01, queueTimeoutMs: 5_000, sharesLookups: false };
    for (let turn = 0; turn < 2; turn += 1) assert.match(await banner({ sharing: key }), /^SSH-2\.0-/);
    const error = await failure(banner({ sharing: key }));
    assert.equal(error.code, 'THROTTLED');
    assert.match(error.message, /the next turn at StartSession is in \d+ s$/);
    assert.equal(calls('ssm:StartSession'), 2);
  });
});

describe('waiting for a node', () => {
  function waiting(changes: Partial<WaitRequest> = {}, onStage: (stage: string) => void = () => {}) {
    const { target, reason, regions, profile, role, account, endpointUrl } = request();
    const { ssmmessagesEndpoint, vpc, tags } = request();
    return waitForTarget(
      {
        ...{ target, port: 22, reason, regions, profile, role, account, endpointUrl },
        ...{ ssmmessagesEndpoint, vpc, tags },
        ...{ document: undefined, parameters: {}, timeoutMs: 30_000, startsPerSecond: 0, needsBanner: true },
        ...changes,
      },
      { env, clock: systemClock, log: silentLog },
      { onStage },
      new AbortController().signal,
    );
  }
  const openSessions = (): unknown[] =>
    emulator.controls.state().sessions.filter(({ endedAt }) => endedAt === undefined);

  it('ends with the banner of sshd, and leaves no session behind', async () => {
    const { banner: line, instanceId, tries } = await waiting();
    assert.match(line ?? '', /^SSH-2\.0-\S+$/);
    assert.deepEqual([instanceId, tries], [head(), 1]);
    await until('all sessions have ended', () => openSessions().length === 0);
  });

  it('goes through an instance that is not there yet, is pending, not connected, and has no sshd yet', async () => {
    const name = 'late-node';
    const stages: string[] = [];
    const result = waiting({ target: name, timeoutMs: 60_000 }, (stage) => stages.push(stage));
    const seen = (pattern: RegExp) =>
      until(String(pattern), () => stages.some((stage) => pattern.test(stage)));
    await seen(/waiting for an instance late-node/);
    const { instanceId } = await emulator.controls.addInstance({
      name,
      state: 'pending',
      agentOnline: false,
      privateIp: '10.0.1.99',
      dial: { '22': { host: '127.0.0.1', port: 1 } },
    });
    await seen(/waiting for i-\w+ to run/);
    emulator.controls.changeInstance(instanceId, { state: 'running' });
    await seen(/waiting for the SSM agent/);
    emulator.controls.changeInstance(instanceId, { agentOnline: true });
    await seen(/waiting for port 22 of late-node/);
    const port = emulator.controls.state().instances.find((each) => each.instanceId === head())?.dial[
      '22'
    ]?.port;
    assert.ok(port !== undefined);
    emulator.controls.changeInstance(instanceId, { dial: { '22': { host: '127.0.0.1', port } } });
    const ready = await result;
    assert.equal(ready.instanceId, instanceId);
    assert.ok(ready.tries > 2);
    assert.ok(
      ready.reachedMs.instance < ready.reachedMs.agent && ready.reachedMs.agent < ready.reachedMs.port,
    );
    await until('all sessions have ended', () => openSessions().length === 0);
    emulator.controls.removeInstance(instanceId);
  });

  describe('on a port where the client speaks first', () => {
    const server = createServer((socket) => {
      received.push('connection');
      socket.on('data', (data) => received.push(data.toString()));
      socket.on('error', () => {});
    });
    const received: string[] = [];
    before(async () => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      emulator.controls.changeInstance(head(), { dial: { '8080': { host: '127.0.0.1', port } } });
    });
    after(() => server.close());

    it('an accepted connection is enough, and not a byte is sent on it', async () => {
      const { banner: line } = await waiting({ port: 8080, needsBanner: false });
      assert.equal(line, undefined);
      assert.deepEqual(received, ['connection']);
    });

    it('the banner that never comes is the error, with the option that helps', async () => {
      const error = await failure(waiting({ port: 8080, timeoutMs: 2_000 }));
      assert.equal(error.code, 'PORT_SILENT');
      assert.match(error.message, /accepts connections and sends nothing/);
      assert.match(error.hint ?? '', /--no-banner/);
    });

    it('a port that nobody listens on is not ready', async () => {
      const error = await failure(waiting({ port: 9999, needsBanner: false, timeoutMs: 4_500 }));
      assert.equal(error.code, 'PORT_SILENT');
      assert.match(error.hint ?? '', /^waited for \d\.?\d? s \(--timeout\)/);
      await until('all sessions have ended', () => openSessions().length === 0);
    });
  });

  it('ends at once on what stays wrong', async () => {
    emulator.controls.changeFaults(failing('ssm:StartSession', 'AccessDeniedException', 400, 0));
    assert.equal((await failure(waiting())).code, 'ACCESS_DENIED');
    emulator.controls.resetFaults();
    emulator.controls.changeInstance(head(), { state: 'terminated' });
    assert.equal((await failure(waiting({ target: head() }))).code, 'TARGET_TERMINATED');
  });
});
