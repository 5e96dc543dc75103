/** The emulated APIs as the real AWS SDK sees them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  DescribeInstancesCommand,
  DescribeRegionsCommand,
  DescribeVpcsCommand,
  paginateDescribeInstances,
} from '@aws-sdk/client-ec2';
import type { Instance } from '@aws-sdk/client-ec2';
import {
  DescribeInstanceInformationCommand,
  DescribeSessionsCommand,
  GetConnectionStatusCommand,
  paginateDescribeInstanceInformation,
  ResumeSessionCommand,
  StartSessionCommand,
  TerminateSessionCommand,
} from '@aws-sdk/client-ssm';
import { AssumeRoleCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import { sdkClients } from '../support/emulator-clients.ts';
import type { SdkClients } from '../support/emulator-clients.ts';
import { scriptedAgents } from '../support/scripted-agent.ts';

let emulator: Emulator;
let sdk: SdkClients;

before(async () => {
  emulator = await startEmulator({ nodes: 0, startAgentSession: scriptedAgents().start });
  const dial = {};
  for (let i = 0; i < 12; i += 1) {
    await emulator.controls.addInstance({
      name: i === 0 ? 'head' : `worker${i}`,
      privateIp: `10.0.1.${10 + i}`,
      dial,
      tags: { role: i === 0 ? 'head' : 'worker' },
    });
  }
  await emulator.controls.addInstance({
    name: 'twin',
    privateIp: '10.0.9.9',
    vpcId: 'vpc-0aaaaaaaaaaaaaaa1',
    dial,
  });
  await emulator.controls.addInstance({
    name: 'twin',
    privateIp: '10.0.9.9',
    vpcId: 'vpc-0aaaaaaaaaaaaaaa2',
    dial,
  });
  await emulator.controls.addInstance({ name: 'far', privateIp: '10.0.1.10', region: 'eu-west-1', dial });
  await emulator.controls.addInstance({ name: 'off', privateIp: '10.0.8.1', state: 'stopped', dial });
  await emulator.controls.addInstance({ name: 'deaf', privateIp: '10.0.8.2', agentOnline: false, dial });
  await emulator.controls.addInstance({
    name: 'old',
    privateIp: '10.0.8.3',
    agentVersion: '3.1.1000.0',
    dial,
  });
  await emulator.controls.addInstance({
    name: 'edge',
    instanceId: 'mi-0123456789abcdef0',
    privateIp: '192.168.1.5',
    dial,
  });
  sdk = sdkClients(emulator);
});
after(async () => {
  sdk.destroy();
  await emulator.close();
});

async function describe(...filters: { Name: string; Values: string[] }[]): Promise<Instance[]> {
  const answer = await sdk.ec2.send(new DescribeInstancesCommand({ Filters: filters }));
  return (answer.Reservations ?? []).flatMap((reservation) => reservation.Instances ?? []);
}

async function idOf(name: string): Promise<string> {
  const [instance] = await describe({ Name: 'tag:Name', Values: [name] });
  assert.ok(instance?.InstanceId !== undefined, name);
  return instance.InstanceId;
}

test('DescribeInstances gives everything a resolver reads', async () => {
  const [head, ...more] = await describe({ Name: 'private-ip-address', Values: ['10.0.1.10'] });
  assert.deepEqual(more, []);
  assert.match(head?.InstanceId ?? '', /^i-[0-9a-f]{17}$/);
  assert.equal(head?.State?.Name, 'running');
  assert.equal(head?.State?.Code, 16);
  assert.equal(head?.PrivateIpAddress, '10.0.1.10');
  assert.equal(head?.PrivateDnsName, 'ip-10-0-1-10.ec2.internal');
  assert.equal(head?.PublicIpAddress, undefined);
  assert.ok(head?.LaunchTime instanceof Date);
  assert.deepEqual(
    head?.Tags?.map(({ Key, Value }) => `${Key}=${Value}`),
    ['role=head', 'Name=head'],
  );
  assert.equal(head?.NetworkInterfaces?.[0]?.PrivateIpAddresses?.[0]?.PrivateIpAddress, '10.0.1.10');
  assert.match(head?.VpcId ?? '', /^vpc-/);
  assert.equal(head?.Placement?.AvailabilityZone, 'us-east-1a');
});

test('filters are joined with and, their values with or', async () => {
  const names = async (...filters: { Name: string; Values: string[] }[]) =>
    (await describe(...filters)).map((each) => each.Tags?.find((tag) => tag.Key === 'Name')?.Value);
  assert.deepEqual(await names({ Name: 'tag:Name', Values: ['head', 'worker1'] }), ['head', 'worker1']);
  assert.deepEqual(
    await names(
      { Name: 'tag:role', Values: ['worker'] },
      { Name: 'private-ip-address', Values: ['10.0.1.1*'] },
    ),
    ['worker1', 'worker2', 'worker3', 'worker4', 'worker5', 'worker6', 'worker7', 'worker8', 'worker9'],
  );
  assert.deepEqual(await names({ Name: 'private-ip-address', Values: ['10.0.9.9'] }), ['twin', 'twin']);
  assert.deepEqual(
    await names(
      { Name: 'private-ip-address', Values: ['10.0.9.9'] },
      { Name: 'vpc-id', Values: ['vpc-0aaaaaaaaaaaaaaa2'] },
    ),
    ['twin'],
  );
  assert.deepEqual(await names({ Name: 'instance-state-name', Values: ['stopped'] }), ['off']);
});

test('regions do not see each other, and managed machines are not EC2’s', async () => {
  const ips = (await describe()).map((each) => each.PrivateIpAddress);
  assert.equal(ips.filter((ip) => ip === '10.0.1.10').length, 1);
  assert.equal(ips.includes('192.168.1.5'), false);
  const regions = await sdk.ec2.send(new DescribeRegionsCommand({}));
  assert.deepEqual(
    regions.Regions?.map((each) => each.RegionName),
    ['eu-west-1', 'us-east-1'],
  );
});

test('pages follow each other until there is no token', async () => {
  const pages: number[] = [];
  for await (const page of paginateDescribeInstances({ client: sdk.ec2, pageSize: 5 }, {})) {
    pages.push(page.Reservations?.length ?? 0);
  }
  assert.deepEqual(pages, [5, 5, 5, 2]);
});

test('the service can give smaller pages than asked for', async () => {
  emulator.controls.changeFaults({ api: { pageItems: 1 } });
  const answer = await sdk.ec2.send(new DescribeInstancesCommand({}));
  emulator.controls.changeFaults({ api: { pageItems: 0 } });
  assert.equal(answer.Reservations?.length, 1);
  assert.ok(answer.NextToken !== undefined);
});

const ec2Errors: readonly { name: string; input: object; code: string; message: RegExp; status: number }[] = [
  {
    name: 'an unknown filter',
    input: { Filters: [{ Name: 'colour', Values: ['red'] }] },
    code: 'InvalidParameterValue',
    message: /^The filter 'colour' is invalid$/,
    status: 400,
  },
  {
    name: 'an instance ID that does not exist',
    input: { InstanceIds: ['i-0123456789abcdef0'] },
    code: 'InvalidInstanceID.NotFound',
    message: /^The instance ID 'i-0123456789abcdef0' does not exist$/,
    status: 400,
  },
  {
    name: 'a malformed instance ID',
    input: { InstanceIds: ['i-12'] },
    code: 'InvalidInstanceID.Malformed',
    message: /^Invalid id: "i-12"$/,
    status: 400,
  },
  {
    name: 'a page that is too small',
    input: { MaxResults: 1 },
    code: 'InvalidParameterValue',
    message: /Expecting a value greater than 5/,
    status: 400,
  },
  {
    name: 'pages of given instances',
    input: { MaxResults: 10, InstanceIds: ['i-0123456789abcdef0'] },
    code: 'InvalidParameterCombination',
    message: /instancesSet cannot be used with the parameter maxResults/,
    status: 400,
  },
  {
    name: 'a token made up',
    input: { NextToken: 'AAAA' },
    code: 'InvalidNextToken',
    message: /./,
    status: 400,
  },
  {
    name: 'a dry run',
    input: { DryRun: true },
    code: 'DryRunOperation',
    message: /would have succeeded/,
    status: 412,
  },
  {
    name: 'more than 200 filter values',
    input: {
      Filters: [{ Name: 'private-ip-address', Values: Array.from({ length: 201 }, (_, i) => `10.1.0.${i}`) }],
    },
    code: 'FilterLimitExceeded',
    message: /200/,
    status: 400,
  },
];
for (const { name, input, code, message, status } of ec2Errors) {
  test(`DescribeInstances refuses ${name} with ${code}`, async () => {
    await assert.rejects(sdk.ec2.send(new DescribeInstancesCommand(input)), (error: unknown) => {
      const refused = error as {
        name: string;
        message: string;
        $metadata: { httpStatusCode: number; requestId: string };
      };
      assert.equal(refused.name, code);
      assert.match(refused.message, message);
      assert.equal(refused.$metadata.httpStatusCode, status);
      assert.match(refused.$metadata.requestId, /^[0-9a-f-]{36}$/);
      return true;
    });
  });
}

test('DescribeVpcs finds by ID and by name', async () => {
  emulator.controls.addVpc({
    vpcId: 'vpc-0bbbbbbbbbbbbbbb1',
    region: 'us-east-1',
    cidrBlock: '10.9.0.0/16',
    tags: { Name: 'gpu' },
    isDefault: false,
  });
  const byName = await sdk.ec2.send(
    new DescribeVpcsCommand({ Filters: [{ Name: 'tag:Name', Values: ['gpu'] }] }),
  );
  assert.deepEqual(
    byName.Vpcs?.map((vpc) => [vpc.VpcId, vpc.CidrBlock, vpc.Tags?.[0]?.Value]),
    [['vpc-0bbbbbbbbbbbbbbb1', '10.9.0.0/16', 'gpu']],
  );
  const byId = await sdk.ec2.send(
    new DescribeVpcsCommand({ Filters: [{ Name: 'vpc-id', Values: ['vpc-0aaaaaaaaaaaaaaa1'] }] }),
  );
  assert.equal(byId.Vpcs?.length, 1);
});

test('DescribeInstanceInformation pages, filters and tells who is online', async () => {
  const ids: (string | undefined)[] = [];
  for await (const page of paginateDescribeInstanceInformation({ client: sdk.ssm, pageSize: 5 }, {})) {
    ids.push(...(page.InstanceInformationList ?? []).map((each) => each.InstanceId));
  }
  assert.equal(ids.length, 18);
  const deaf = await idOf('deaf');
  const found = await sdk.ssm.send(
    new DescribeInstanceInformationCommand({
      Filters: [{ Key: 'InstanceIds', Values: [deaf, 'mi-0123456789abcdef0'] }],
    }),
  );
  assert.deepEqual(
    found.InstanceInformationList?.map((each) => [each.InstanceId, each.PingStatus, each.ResourceType]),
    [
      [deaf, 'ConnectionLost', 'EC2Instance'],
      ['mi-0123456789abcdef0', 'Online', 'ManagedInstance'],
    ],
  );
  await assert.rejects(
    sdk.ssm.send(new DescribeInstanceInformationCommand({ Filters: [{ Key: 'Colour', Values: ['red'] }] })),
    { name: 'InvalidFilterKey' },
  );
});

test('GetConnectionStatus says connected only for a running machine with its agent', async () => {
  const status = async (target: string) =>
    (await sdk.ssm.send(new GetConnectionStatusCommand({ Target: target }))).Status;
  assert.equal(await status(await idOf('head')), 'connected');
  assert.equal(await status(await idOf('deaf')), 'notconnected');
  assert.equal(await status(await idOf('off')), 'notconnected');
  assert.equal(await status('i-0123456789abcdef0'), 'notconnected');
});

test('StartSession answers with a session ID of the user, a token and a stream URL with a raw cell number', async () => {
  const started = await sdk.ssm.send(new StartSessionCommand({ Target: await idOf('head') }));
  assert.match(started.SessionId ?? '', /^demo-[0-9a-f]{17}$/);
  assert.ok((started.TokenValue ?? '').length > 100);
  const [url, query] = (started.StreamUrl ?? '').split('?');
  assert.equal(url, `${emulator.endpoint.replace('http', 'ws')}/v1/data-channel/${started.SessionId}`);
  assert.match(query ?? '', /^role=publish_subscribe&cell-number=[A-Za-z0-9+/]+=+$/);
  assert.match(query ?? '', /\+/);
  assert.match(query ?? '', /cell-number=.*\//);
});

test('a managed machine is a target too', async () => {
  const started = await sdk.ssm.send(new StartSessionCommand({ Target: 'mi-0123456789abcdef0' }));
  assert.ok(started.SessionId !== undefined);
});

const startErrors: readonly {
  name: string;
  target: string;
  input?: object;
  code: string;
  message: RegExp;
}[] = [
  {
    name: 'a stopped instance',
    target: 'off',
    code: 'TargetNotConnected',
    message: /^i-[0-9a-f]+ is not connected\.$/,
  },
  {
    name: 'an instance whose agent is away',
    target: 'deaf',
    code: 'TargetNotConnected',
    message: /is not connected\.$/,
  },
  {
    name: 'an unknown document',
    target: 'head',
    input: { DocumentName: 'No-Such' },
    code: 'InvalidDocument',
    message: /No-Such/,
  },
  {
    name: 'a document name with spaces',
    target: 'head',
    input: { DocumentName: 'a b' },
    code: 'ValidationException',
    message: /documentName/,
  },
  {
    name: 'a port that is none',
    target: 'head',
    input: { DocumentName: 'AWS-StartSSHSession', Parameters: { portNumber: ['70000'] } },
    code: 'InvalidParameters',
    message: /portNumber/,
  },
  {
    name: 'a parameter the document does not have',
    target: 'head',
    input: { DocumentName: 'AWS-StartSSHSession', Parameters: { host: ['x'] } },
    code: 'InvalidParameters',
    message: /host/,
  },
  {
    name: 'a document the agent is too old for',
    target: 'old',
    input: {
      DocumentName: 'AWS-StartPortForwardingSessionToRemoteHost',
      Parameters: { host: ['db.internal'] },
    },
    code: 'BadRequest',
    message: /./,
  },
  {
    name: 'a reason that is too long',
    target: 'head',
    input: { Reason: 'x'.repeat(257) },
    code: 'ValidationException',
    message: /256/,
  },
];
for (const { name, target, input, code, message } of startErrors) {
  test(`StartSession refuses ${name} with ${code}`, async () => {
    const command = new StartSessionCommand({ Target: await idOf(target), ...input });
    await assert.rejects(sdk.ssm.send(command), (error: unknown) => {
      const refused = error as Error;
      assert.equal(refused.name, code);
      assert.match(refused.message, message);
      return true;
    });
  });
}

test('a target of another region or that does not exist is not connected', async () => {
  for (const Target of ['i-0123456789abcdef0', 'nonsense']) {
    await assert.rejects(sdk.ssm.send(new StartSessionCommand({ Target })), {
      name: 'TargetNotConnected',
      message: `${Target} is not connected.`,
    });
  }
});

test('sessions are listed by state, owner, target and ID, newest first', async () => {
  const target = await idOf('worker3');
  const first = await sdk.ssm.send(new StartSessionCommand({ Target: target, Reason: 'one' }));
  const second = await sdk.ssm.send(new StartSessionCommand({ Target: target, Reason: 'two' }));
  const list = async (state: 'Active' | 'History') =>
    (
      await sdk.ssm.send(
        new DescribeSessionsCommand({ State: state, Filters: [{ key: 'Target', value: target }] }),
      )
    ).Sessions?.map((each) => [each.SessionId, each.Reason]);
  assert.deepEqual(await list('Active'), [
    [second.SessionId, 'two'],
    [first.SessionId, 'one'],
  ]);
  await sdk.ssm.send(new TerminateSessionCommand({ SessionId: first.SessionId }));
  assert.deepEqual(await list('Active'), [[second.SessionId, 'two']]);
  assert.deepEqual(await list('History'), [[first.SessionId, 'one']]);
  const { Arn } = await sdk.sts.send(new GetCallerIdentityCommand({}));
  const mine = await sdk.ssm.send(
    new DescribeSessionsCommand({ State: 'History', Filters: [{ key: 'Owner', value: Arn }], MaxResults: 1 }),
  );
  assert.equal(mine.Sessions?.length, 1);
  assert.ok(mine.Sessions?.[0]?.EndDate instanceof Date);
  // Ending it twice is no error; a session nobody knows is one.
  await sdk.ssm.send(new TerminateSessionCommand({ SessionId: first.SessionId }));
  await assert.rejects(sdk.ssm.send(new TerminateSessionCommand({ SessionId: 'demo-00000000000000000' })), {
    name: 'DoesNotExistException',
  });
});

test('ResumeSession gives a new token, and none for an ended session when it is told so', async () => {
  const started = await sdk.ssm.send(new StartSessionCommand({ Target: await idOf('head') }));
  const resumed = await sdk.ssm.send(new ResumeSessionCommand({ SessionId: started.SessionId }));
  assert.equal(resumed.SessionId, started.SessionId);
  assert.equal(resumed.StreamUrl, started.StreamUrl);
  assert.notEqual(resumed.TokenValue, started.TokenValue);
  emulator.controls.changeFaults({ resume: { streamUrl: 'other' } });
  const moved = await sdk.ssm.send(new ResumeSessionCommand({ SessionId: started.SessionId }));
  assert.notEqual(moved.StreamUrl, started.StreamUrl);
  emulator.controls.changeFaults({ resume: { streamUrl: 'none', ended: 'empty-token' } });
  const bare = await sdk.ssm.send(new ResumeSessionCommand({ SessionId: started.SessionId }));
  assert.equal(bare.StreamUrl, undefined);
  await sdk.ssm.send(new TerminateSessionCommand({ SessionId: started.SessionId }));
  const ended = await sdk.ssm.send(new ResumeSessionCommand({ SessionId: started.SessionId }));
  assert.equal(ended.TokenValue, '');
  emulator.controls.resetFaults();
  await assert.rejects(sdk.ssm.send(new ResumeSessionCommand({ SessionId: started.SessionId })), {
    name: 'DoesNotExistException',
  });
});

test('STS names the caller, and gives role credentials that work and name the role', async () => {
  const me = await sdk.sts.send(new GetCallerIdentityCommand({}));
  assert.deepEqual([me.Account, me.Arn], ['111122223333', 'arn:aws:iam::111122223333:user/demo']);
  const assumed = await sdk.sts.send(
    new AssumeRoleCommand({
      RoleArn: 'arn:aws:iam::111122223333:role/ops',
      RoleSessionName: 'jane@example.com',
    }),
  );
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = assumed.Credentials ?? {};
  assert.ok(
    AccessKeyId?.startsWith('ASIA') === true && SecretAccessKey !== undefined && SessionToken !== undefined,
  );
  assert.ok(Expiration instanceof Date && Expiration.getTime() > Date.now() + 3_500_000);
  const role = sdkClients(emulator, {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
  });
  const roleIdentity = await role.sts.send(new GetCallerIdentityCommand({}));
  assert.equal(roleIdentity.Arn, 'arn:aws:sts::111122223333:assumed-role/ops/jane@example.com');
  const started = await role.ssm.send(new StartSessionCommand({ Target: await idOf('head') }));
  assert.match(started.SessionId ?? '', /^jane@example\.com-[0-9a-f]{17}$/);
  role.destroy();
});

test('calls are counted by operation and outcome', async () => {
  const before = emulator.controls.state().calls['ssm:GetConnectionStatus'];
  emulator.controls.changeFaults({
    api: {
      failures: [
        { operation: 'ssm:GetConnectionStatus', code: 'ThrottlingException', times: 1 },
        { operation: 'ssm:GetConnectionStatus', code: 'InternalServerError', times: 1 },
      ],
    },
  });
  const call = () => sdk.ssm.send(new GetConnectionStatusCommand({ Target: 'i-1' }));
  await assert.rejects(call(), { name: 'ThrottlingException', message: 'Rate exceeded' });
  await assert.rejects(call(), (error: unknown) => {
    assert.equal((error as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode, 500);
    return true;
  });
  await call();
  const after = emulator.controls.state().calls['ssm:GetConnectionStatus'];
  assert.ok(after !== undefined);
  assert.equal(after.calls - (before?.calls ?? 0), 3);
  assert.equal(after.throttled, 1);
  assert.deepEqual(after.refused, { InternalServerError: 1 });
  emulator.controls.resetFaults();
});
