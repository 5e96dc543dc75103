/** Targets: every way to name a node, and every way in which a name leads nowhere, with code, status and lines. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { InstanceSpec } from '../../src/emulator/instance-settings.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { Cluster } from '../support/cluster.ts';
import { NODE, startCluster } from '../support/cluster.ts';
import { failureOf, statusOf } from '../support/failure.ts';
import { until } from '../support/until.ts';

const VPC_A = 'vpc-0aaaaaaaaaaaaaaa1';
const VPC_B = 'vpc-0bbbbbbbbbbbbbbb2';
/** The same address in two VPCs. */
const TWIN = '10.7.0.5';
const IDS = {
  stopped: 'i-00000000000000a01',
  terminated: 'i-00000000000000a02',
  offline: 'i-00000000000000a03',
  pending: 'i-00000000000000a04',
  rich: 'i-00000000000000a05',
  twinA: 'i-00000000000000a06',
  twinB: 'i-00000000000000a07',
  byName: 'i-00000000000000a08',
  managed: 'mi-00000000000000a09',
  unknown: 'i-0123456789abcdef0',
} as const;

let cluster: Cluster;

before(async () => {
  cluster = await startCluster({ withSshd: false, nodes: 2 });
  const { controls } = cluster.emulator;
  for (const [vpcId, name] of [
    [VPC_A, 'training'],
    [VPC_B, 'serving'],
  ] as const) {
    controls.addVpc({
      vpcId,
      region: cluster.emulator.region,
      cidrBlock: '10.7.0.0/16',
      tags: { Name: name },
      isDefault: false,
    });
  }
  const specs: readonly InstanceSpec[] = [
    { instanceId: IDS.stopped, privateIp: '10.6.0.1', name: 'sleeper', state: 'stopped' },
    { instanceId: IDS.terminated, privateIp: '10.6.0.2', name: 'gone', state: 'terminated' },
    { instanceId: IDS.offline, privateIp: '10.6.0.3', name: 'mute', agentOnline: false },
    { instanceId: IDS.pending, privateIp: '10.6.0.4', name: 'starting' },
    {
      instanceId: IDS.rich,
      name: 'gpu',
      interfaces: [
        {
          privateIps: ['10.6.0.5', '10.6.0.6'],
          ipv6Addresses: ['2600:1f14:abc:de01::5'],
          publicIp: '52.10.20.30',
        },
        { privateIps: ['10.6.1.5'] },
      ],
    },
    { instanceId: IDS.twinA, privateIp: TWIN, vpcId: VPC_A, name: 'trainer', tags: { team: 'red' } },
    { instanceId: IDS.twinB, privateIp: TWIN, vpcId: VPC_B, name: 'server', tags: { team: 'blue' } },
    { instanceId: IDS.byName, privateIp: '10.6.0.8', name: 'Capital-Node', hostnameType: 'resource-name' },
    { instanceId: IDS.managed, privateIp: '10.6.0.9', name: 'on-premises' },
  ];
  // All of them share the SSH server of the first node.
  const sshPort = cluster.emulator.instances[0]?.sshPort ?? 0;
  for (const spec of specs) {
    await controls.addInstance({ ...spec, dial: { '22': { host: '127.0.0.1', port: sshPort } } });
  }
});
after(() => cluster.close());
afterEach(async () => {
  cluster.reset();
  await cluster.checkNothingLeft();
});

describe('targets that are found', () => {
  for (const [title, args, instanceId] of [
    ['the first address of the first interface', ['10.6.0.5'], IDS.rich],
    ['a second address of an interface', ['10.6.0.6'], IDS.rich],
    ['an address of a second interface', ['10.6.1.5'], IDS.rich],
    ['an IPv6 address', ['2600:1f14:abc:de01::5'], IDS.rich],
    ['an IPv6 address written in another way', ['2600:1F14:0abc:de01:0:0:0:5'], IDS.rich],
    ['a public address', ['52.10.20.30'], IDS.rich],
    ['an IP-based DNS name', ['ip-10-6-0-5.ec2.internal'], IDS.rich],
    ['a resource-based DNS name', [`${IDS.byName}.ec2.internal`], IDS.byName],
    ['a Name tag', ['gpu'], IDS.rich],
    ['a Name tag as ssh hands it over, in lower case', ['capital-node'], IDS.byName],
    ['an instance ID', [IDS.rich], IDS.rich],
    ['a managed-instance ID', [IDS.managed], IDS.managed],
    ['an address with a port', ['10.6.0.5:22'], IDS.rich],
    ['an address in two VPCs, with --vpc and its ID', [TWIN, '--vpc', VPC_A], IDS.twinA],
    ['an address in two VPCs, with --vpc and its name', [TWIN, '--vpc', 'serving'], IDS.twinB],
    ['an address in two VPCs, with --tag', [TWIN, '--tag', 'team=red'], IDS.twinA],
    ['an address in two VPCs, with SSM_PROXY_TAG', [TWIN, 'team=blue'], IDS.twinB],
  ] as const) {
    test(title, async () => {
      const [target, second, ...rest] = args;
      const fromVariable = second?.startsWith('team=') === true;
      const words = fromVariable || second === undefined ? [target] : [target, second, ...rest];
      const env = fromVariable ? { SSM_PROXY_TAG: second } : {};
      const { status, stdout, stderr } = await cluster.cli(['connect', ...words], { env });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      assert.match(stdout.toString('latin1'), /^SSH-2\.0-/);
      assert.equal(cluster.emulator.controls.sessions()[0]?.target, instanceId);
    });
  }

  test('a pending instance is waited for until it runs', async () => {
    const { controls } = cluster.emulator;
    controls.changeInstance(IDS.pending, { state: 'pending' });
    const callsBefore = controls.state().calls['ec2:DescribeInstances']?.calls ?? 0;
    const program = cluster.startCli(['connect', '10.6.0.4'], { keepsInput: true });
    await until(
      'the proxy has seen that it is pending',
      () => (controls.state().calls['ec2:DescribeInstances']?.calls ?? 0) > callsBefore,
    );
    controls.changeInstance(IDS.pending, { state: 'running' });
    await until('the banner', () => program.outputSoFar().startsWith('SSH-2.0-'));
    program.stdin.end();
    const { status, stderr } = await program.finished;
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  });
});

interface FailureCase {
  readonly title: string;
  readonly args: readonly string[];
  readonly code: ErrorCode;
  readonly message: RegExp;
  readonly hint: RegExp;
}

const FAILURES: readonly FailureCase[] = [
  {
    title: 'an address that no instance has',
    args: ['10.99.99.99'],
    code: 'TARGET_NOT_FOUND',
    message: /^no instance with the address 10\.99\.99\.99 in us-east-1$/,
    hint: /--region/,
  },
  {
    title: 'an IPv6 address that no instance has',
    args: ['2600:1f14::99'],
    code: 'TARGET_NOT_FOUND',
    message: /^no instance with the address 2600:1f14::99 in us-east-1$/,
    hint: /--region/,
  },
  {
    title: 'a Name tag that no instance has',
    args: ['nobody'],
    code: 'TARGET_NOT_FOUND',
    message: /^no instance with the Name tag nobody, nor a cluster of that name, in us-east-1$/,
    hint: /lower case/,
  },
  {
    title: 'an address that is in another VPC',
    args: [TWIN, '--vpc', 'vpc-0ccccccccccccccc3'],
    code: 'TARGET_NOT_FOUND',
    message: /with VPC vpc-0ccccccccccccccc3$/,
    hint: /./,
  },
  {
    // SSM says TargetNotConnected to it; EC2, asked then, knows better.
    title: 'an instance ID that nobody has',
    args: [IDS.unknown],
    code: 'TARGET_NOT_FOUND',
    message: new RegExp(`^no instance ${IDS.unknown} in us-east-1$`),
    hint: /./,
  },
  {
    title: 'an instance whose agent is not connected',
    args: ['10.6.0.3', '--connect-timeout', '5'],
    code: 'TARGET_NOT_CONNECTED',
    message: new RegExp(
      `^An error occurred \\(TargetNotConnected\\) when calling the StartSession operation: ${IDS.offline} is not connected\\.`,
    ),
    hint: /agent/,
  },
  {
    title: 'a stopped instance by its address',
    args: ['10.6.0.1'],
    code: 'TARGET_STOPPED',
    message: new RegExp(`^10\\.6\\.0\\.1 is instance ${IDS.stopped} in us-east-1, stopped`),
    hint: new RegExp(`start-instances .*${IDS.stopped}`),
  },
  {
    title: 'a terminated instance by its name',
    args: ['gone'],
    code: 'TARGET_TERMINATED',
    message: new RegExp(`^gone is instance ${IDS.terminated} in us-east-1, terminated`),
    hint: /gone for good/,
  },
  {
    title: 'an address that two VPCs have',
    args: [TWIN],
    code: 'TARGET_AMBIGUOUS',
    message: /^10\.7\.0\.5 names 2 instances in us-east-1$/,
    hint: new RegExp(
      [
        '^choose with --vpc, --tag key=value, the instance ID:',
        `${IDS.twinA} us-east-1 ${VPC_A}( \\(training\\))? trainer running launched \\d{4}-`,
        `${IDS.twinB} us-east-1 ${VPC_B}( \\(serving\\))? server running launched \\d{4}-`,
      ].join('[^]*'),
    ),
  },
  {
    title: 'an IPv4 address with a part too many',
    args: ['10.0.1.1.1'],
    code: 'TARGET_INVALID',
    message: /it is not an IPv4 address$/,
    hint: /./,
  },
  {
    title: 'an instance ID with a wrong digit',
    args: ['i-0123456789abcdefg'],
    code: 'TARGET_INVALID',
    message: /8 or 17 hexadecimal digits$/,
    hint: /./,
  },
];

describe('targets that lead nowhere', () => {
  for (const { title, args, code, message, hint } of FAILURES) {
    test(`${title} is ${code}`, async () => {
      const program = cluster.startCli(['connect', ...args], { keepsInput: true });
      const result = await program.finished;
      const failure = failureOf(result);
      assert.deepEqual({ code: failure.code, status: result.status }, { code, status: statusOf(code) });
      assert.match(failure.message, message);
      assert.match(failure.hint, hint);
      assert.doesNotMatch(result.stderr, /^ssh:/m);
    });
  }

  test('an instance ID that nobody has is TARGET_NOT_CONNECTED for those who may not ask EC2', async () => {
    const { controls, credentials } = cluster.emulator;
    controls.changeIdentity(credentials.accessKeyId, { denied: ['ec2:DescribeInstances'] });
    const program = cluster.startCli(['connect', IDS.unknown, '--connect-timeout', '4'], {
      keepsInput: true,
    });
    const result = await program.finished;
    controls.changeIdentity(credentials.accessKeyId, { denied: [] });
    const { code, message } = failureOf(result);
    assert.equal(code, 'TARGET_NOT_CONNECTED');
    assert.match(
      message,
      new RegExp(
        `^An error occurred \\(TargetNotConnected\\) when calling the StartSession operation: ${IDS.unknown} is not connected\\.`,
      ),
    );
  });

  test('ssh shows the reason for a target that nobody has', async () => {
    const { status, stderr } = await cluster.ssh(['-l', 'ubuntu', '10.99.99.99', 'true']);
    assert.equal(status, 255);
    assert.match(
      stderr,
      /^ssm-proxy: no instance with the address 10\.99\.99\.99 in us-east-1 \[TARGET_NOT_FOUND\]\nssm-proxy: /,
    );
    assert.doesNotMatch(stderr, /^ssh:/m);
  });

  test('a node that was there and is stopped meanwhile ends the session with a reason', async () => {
    const { controls } = cluster.emulator;
    controls.changeInstance(IDS.pending, { state: 'running' });
    const program = cluster.startCli(['connect', '10.6.0.4'], { keepsInput: true });
    await until('the banner', () => program.outputSoFar().startsWith('SSH-2.0-'));
    controls.terminateSession(
      controls.sessions()[0]?.sessionId ?? '',
      'Session terminated by an administrator',
    );
    const { status, stderr } = await program.finished;
    assert.equal(status, statusOf('SESSION_ENDED'));
    assert.match(
      stderr,
      /^ssm-proxy: session \S+ on i-\w+ was ended: Session terminated by an administrator \[SESSION_ENDED\]\n/,
    );
  });
});

test('the node is reached whatever others in the account are called', async () => {
  const { status } = await cluster.ssh([NODE, 'true']);
  assert.equal(status, 0);
});
