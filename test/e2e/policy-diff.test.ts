/** `ssm-proxy policy diff`: what the caller or a node's role lacks, told by the simulator, by documents, or by nobody. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { NODE, startCluster } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';

let cluster: Cluster;
before(async () => {
  cluster = await startCluster({ nodes: 2, withSshd: false });
});
after(() => cluster.close());
afterEach(async () => {
  cluster.reset();
  allow([]);
  cluster.emulator.controls.changeInstance(cluster.instanceId(NODE), { instanceProfile: 'demo-node' });
  await cluster.checkNothingLeft();
});

function allow(denied: readonly string[]): void {
  cluster.emulator.controls.changeIdentity(cluster.emulator.credentials.accessKeyId, { denied });
}

interface Difference {
  readonly principal: string | null;
  readonly source: string;
  readonly why: string | null;
  readonly isComplete: boolean;
  readonly answers: readonly { readonly action: string; readonly asked: string; readonly verdict: string }[];
  readonly toAdd: unknown;
  readonly beyond: readonly string[];
}

async function diff(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ status: number | null } & Difference> {
  const { status, stdout, stderr } = await cluster.cli(['policy', 'diff', '--json', ...args], { env });
  assert.equal(stderr, '');
  return { status, ...(JSON.parse(stdout.toString()) as Difference) };
}

const verdicts = ({ answers }: Difference, verdict: string): readonly string[] => [
  ...new Set(answers.filter((each) => each.verdict === verdict).map(({ action }) => action)),
];

test('who has everything lacks nothing: status 0', async () => {
  const found = await diff([]);
  assert.deepEqual([found.status, found.source, found.isComplete, found.toAdd], [0, 'simulator', true, null]);
  assert.equal(found.principal, 'arn:aws:iam::111122223333:user/demo');
  assert.ok(
    found.answers.some(({ asked }) => asked === 'arn:aws:ssm:us-east-1::document/AWS-StartSSHSession'),
  );
  assert.ok(found.answers.some(({ asked }) => /:session\/AIDA\w+-0{17}$/.test(asked)));
});

/** The simulator, and where that may not be asked the caller's own documents. */
for (const [source, unasked] of [
  ['simulator', []],
  ['policies', ['iam:SimulatePrincipalPolicy']],
] as const) {
  test(`what is missing is said by the ${source}, with the statements to add: status 1`, async () => {
    allow(['ssm:ResumeSession', 'ssmmessages:OpenDataChannel', 'ec2:DescribeVpcs', ...unasked]);
    const found = await diff(['--region', 'us-east-1']);
    assert.deepEqual([found.status, found.source], [1, source]);
    assert.deepEqual(verdicts(found, 'missing'), [
      'ec2:DescribeVpcs',
      'ssm:ResumeSession',
      'ssmmessages:OpenDataChannel',
    ]);
    assert.deepEqual(found.toAdd, {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Action: 'ec2:DescribeVpcs',
          Resource: '*',
          Condition: { StringEquals: { 'aws:RequestedRegion': ['us-east-1'] } },
        },
        {
          Effect: 'Allow',
          Action: ['ssm:ResumeSession', 'ssmmessages:OpenDataChannel'],
          Resource: 'arn:aws:ssm:us-east-1:*:session/${aws:userid}-*',
        },
      ],
    });
  });
}

test('who may look nowhere is told so, and which permissions would help: status 77', async () => {
  allow(['iam:*']);
  const found = await diff([]);
  assert.deepEqual([found.status, found.source, found.isComplete, found.toAdd], [77, 'nobody', false, null]);
  assert.match(found.why ?? '', /^iam:SimulatePrincipalPolicy is not allowed; iam:List\w+ is not allowed$/);
  assert.ok(found.answers.every(({ verdict }) => verdict === 'unknown'));
});

test('the role of a session is asked about, not the session; uses bring their documents', async () => {
  const role = 'arn:aws:iam::111122223333:role/ssh';
  const found = await diff(['--role', role, '--for', 'connect,shell'], { HOME: cluster.directory });
  assert.deepEqual([found.status, found.principal], [0, role]);
  assert.ok(
    found.answers.some(({ asked }) => asked.endsWith(':111122223333:document/SSM-SessionManagerRunShell')),
  );
});

test('in words: who, what, why it matters, and the policy to add', async () => {
  allow(['ssm:TerminateSession']);
  const { status, stdout } = await cluster.cli(['policy', 'diff', 'user']);
  assert.equal(status, 1);
  const text = stdout.toString();
  assert.match(
    text,
    /^You are {3}arn:aws:iam::111122223333:user\/demo\nSays who {2}the policy simulator\n\n/,
  );
  assert.match(text, /^allowed {2}ssm:StartSession +arn:aws:ec2:\*:\*:instance\/\*$/m);
  assert.match(text, /^missing {2}ssm:TerminateSession +arn:.* {2}without it sessions that end abnormally/m);
  assert.match(text, /\n\nAdd to a policy of this user or role:\n\n\{\n {2}"Version": "2012-10-17",\n/);
});

test('a node whose role lacks rights, one whose role has them, one without a profile', async () => {
  const { controls } = cluster.emulator;
  const good = await diff(['node', NODE]);
  assert.deepEqual([good.status, good.principal], [0, 'arn:aws:iam::111122223333:role/demo-node']);
  controls.putNodeRole('weak', ['arn:aws:iam::aws:policy/ReadOnlyAccess']);
  controls.changeInstance(cluster.instanceId(NODE), { instanceProfile: 'weak' });
  for (const denied of [[], ['iam:SimulatePrincipalPolicy']]) {
    allow(denied);
    const weak = await diff(['node', NODE]);
    assert.equal(weak.status, 1);
    assert.ok(verdicts(weak, 'missing').includes('ssmmessages:OpenDataChannel'));
    assert.ok(weak.beyond.includes('ec2messages:GetMessages'));
    assert.ok(!weak.beyond.includes('ssm:GetDocument'));
  }
  controls.changeInstance(cluster.instanceId(NODE), { instanceProfile: null });
  const bare = await cluster.cli(['policy', 'diff', 'node', NODE]);
  assert.equal(bare.status, 1);
  assert.match(bare.stdout.toString(), /^Says who {2}nobody: i-\w+ has no instance profile with a role\n/);
});

for (const [args, message] of [
  [['node'], 'the target is missing'],
  [['user', 'x'], 'policy diff user takes no argument "x"'],
  [['all'], 'there is no policy for "all"'],
] as const) {
  test(`policy diff ${args.join(' ')} is refused`, async () => {
    const { status, stderr } = await cluster.cli(['policy', 'diff', ...args]);
    assert.equal(status, 2);
    assert.ok(stderr.startsWith(`ssm-proxy: ${message} [USAGE]\n`), stderr);
  });
}
