/**
 * The AWS edge against the emulator, which checks every signature by itself: API calls, the upgrade of the data
 * channel, lookups, TLS, and a clock that is wrong.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createAwsContext } from '../../src/aws/context.ts';
import type { AwsContext, AwsSettings } from '../../src/aws/context.ts';
import { describeInstance, resolveInstance } from '../../src/aws/instance.ts';
import { agentStatus, resumeSession, startSession, terminateSession } from '../../src/aws/ssm-session.ts';
import { signStreamUrl } from '../../src/aws/stream-url.ts';
import { parseTarget } from '../../src/aws/target.ts';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import { silentLog } from '../../src/log.ts';
import { createWebSocketConnect } from '../../src/transport/websocket.ts';
import { TransportRecorder } from '../support/transport-recorder.ts';

let emulator: Emulator;
before(async () => {
  emulator = await startEmulator({ nodes: 1, tls: true });
});
after(() => emulator.close());

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

function context(
  keys: Keys = emulator.credentials,
  settings: Partial<AwsSettings> = {},
): Promise<AwsContext> {
  const env = {
    HOME: '/nonexistent',
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    ...(keys.sessionToken !== undefined && { AWS_SESSION_TOKEN: keys.sessionToken }),
    AWS_CA_BUNDLE: emulator.caFile ?? '',
    AWS_MAX_ATTEMPTS: '2',
  };
  return createAwsContext({
    region: emulator.region,
    endpointUrl: emulator.endpoint,
    env,
    log: silentLog,
    ...settings,
  });
}

function node(): { instanceId: string; privateIp: string } {
  const [first] = emulator.instances;
  assert.ok(first);
  return { instanceId: first.instanceId, privateIp: first.privateIp };
}

function start(made: AwsContext, target = node().instanceId) {
  const parameters = { portNumber: ['22'] };
  return startSession(made, { target, documentName: 'AWS-StartSSHSession', parameters, reason: 'test' });
}

/** Opens the data channel of a grant and closes it again. */
async function openChannel(made: AwsContext, streamUrl: string): Promise<TransportRecorder> {
  const connect = createWebSocketConnect({
    network: made.network,
    sign: (url) => signStreamUrl(made, url),
    log: silentLog,
  });
  const events = new TransportRecorder();
  const transport = connect(streamUrl, events);
  await events.until(() => events.isOpen);
  transport.destroy();
  await events.close();
  return events;
}

function lastOpen() {
  const open = emulator.controls.state().opens.at(-1);
  assert.ok(open);
  return open;
}

describe('with the emulator', () => {
  it('an instance is found by its address and described', async () => {
    const made = await context();
    const found = await resolveInstance(made, parseTarget(node().privateIp));
    assert.equal(found.instanceId, node().instanceId);
    const described = await describeInstance(made, found.instanceId);
    assert.equal(described.state, 'running');
    assert.ok(described.vpcName);
    assert.equal((await agentStatus(made, found.instanceId)).status, 'online');
    made.close();
  });

  it('every way to name an instance finds it', async () => {
    emulator.controls.addVpc({
      vpcId: 'vpc-0e1a57',
      region: emulator.region,
      cidrBlock: '10.77.0.0/16',
      isDefault: false,
      tags: { Name: 'edge' },
    });
    const added = await emulator.controls.addInstance({
      name: 'Edge-Node',
      dial: {},
      interfaces: [
        {
          privateIps: ['10.77.0.5', '10.77.0.6'],
          publicIp: '52.9.8.7',
          ipv6Addresses: ['2600:1f14::77'],
          vpcId: 'vpc-0e1a57',
        },
        { privateIps: ['10.77.1.5'], vpcId: 'vpc-0e1a57' },
      ],
      tags: { team: 'edge' },
    });
    const made = await context();
    const names = [
      '10.77.0.5',
      '10.77.0.6',
      '10.77.1.5',
      '52.9.8.7',
      '2600:1F14:0::77',
      'Edge-Node',
      'edge-node',
      'ip-10-77-0-5.ec2.internal',
    ];
    for (const name of names) {
      const scope = { vpc: 'edge', tags: { team: 'edge' } };
      assert.equal(
        (await resolveInstance(made, parseTarget(name), scope)).instanceId,
        added.instanceId,
        name,
      );
    }
    made.close();
  });

  it('a session is started, opened with a signature that holds, resumed, and terminated', async () => {
    const made = await context();
    const grant = await start(made);
    await openChannel(made, grant.streamUrl);
    assert.equal(grant.streamUrl.endsWith(lastOpen().requestUrl), true);
    assert.deepEqual(
      [lastOpen().signature, lastOpen().accessKeyId],
      ['header', emulator.credentials.accessKeyId],
    );
    const resumed = await resumeSession(made, grant.sessionId);
    assert.notEqual(resumed.tokenValue, grant.tokenValue);
    await openChannel(made, resumed.streamUrl);
    assert.equal(lastOpen().accessKeyId, emulator.credentials.accessKeyId);
    await terminateSession(made, grant.sessionId);
    await assert.rejects(resumeSession(made, grant.sessionId), { code: 'SESSION_GONE' });
    made.close();
  });

  it('temporary credentials sign the upgrade with their token', async () => {
    const keys = emulator.controls.addIdentity({ userName: 'temp', sessionToken: 'a+temporary/token==' });
    const made = await context(keys);
    const grant = await start(made);
    await openChannel(made, grant.streamUrl);
    assert.equal(lastOpen().accessKeyId, keys.accessKeyId);
    await terminateSession(made, grant.sessionId);
    made.close();
  });

  it('an upgrade that is signed with another secret is ACCESS_DENIED', async () => {
    const made = await context();
    const grant = await start(made);
    const forged = {
      ...made,
      credentials: () => Promise.resolve({ ...emulator.credentials, secretAccessKey: 'wrong' }),
    };
    const connect = createWebSocketConnect({
      network: made.network,
      sign: (url) => signStreamUrl(forged, url),
      log: silentLog,
    });
    const events = new TransportRecorder();
    connect(grant.streamUrl, events);
    const { error, httpStatus } = await events.close();
    assert.equal(httpStatus, 403);
    assert.equal(error !== undefined && 'code' in error && error.code, 'ACCESS_DENIED');
    await terminateSession(made, grant.sessionId);
    made.close();
  });

  const refusals: readonly (readonly [string, () => Keys, string, RegExp])[] = [
    [
      'a wrong secret',
      () => ({ ...emulator.credentials, secretAccessKey: 'wrong' }),
      'CREDENTIALS_INVALID',
      /StartSession operation/,
    ],
    [
      'an unknown key',
      () => ({ accessKeyId: 'AKIAUNKNOWN', secretAccessKey: 'x' }),
      'CREDENTIALS_INVALID',
      /UnrecognizedClientException/,
    ],
    [
      'an expired token',
      () => emulator.controls.addIdentity({ sessionToken: 'old', expiresAt: 1 }),
      'CREDENTIALS_EXPIRED',
      /expired/i,
    ],
    [
      'a missing permission',
      () => emulator.controls.addIdentity({ denied: ['ssm:StartSession'] }),
      'ACCESS_DENIED',
      /AccessDeniedException/,
    ],
  ];
  for (const [name, keys, code, text] of refusals) {
    it(`${name} is ${code}`, async () => {
      const made = await context(keys());
      await assert.rejects(start(made), { code, message: text });
      made.close();
    });
  }

  it('an agent that is not connected is TARGET_NOT_CONNECTED', async () => {
    const offline = await emulator.controls.addInstance({ name: 'offline', agentOnline: false, dial: {} });
    const made = await context();
    await assert.rejects(start(made, offline.instanceId), {
      code: 'TARGET_NOT_CONNECTED',
      message: /\(TargetNotConnected\)/,
    });
    made.close();
  });

  it('a clock that is an hour off is corrected, for calls and for the upgrade', async () => {
    emulator.controls.setClock({ offsetMs: 3_600_000 });
    try {
      const made = await context();
      const grant = await start(made);
      await openChannel(made, grant.streamUrl);
      assert.equal(lastOpen().signature, 'header');
      assert.equal(lastOpen().accessKeyId, emulator.credentials.accessKeyId);
      await terminateSession(made, grant.sessionId);
      made.close();
    } finally {
      emulator.controls.setClock({ offsetMs: 0 });
    }
  });
});
