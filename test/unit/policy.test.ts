/** The least policies, and the three ways in which they are written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { formatPolicy } from '../../src/policy/formats.ts';
import { nodePolicy, userPolicy } from '../../src/policy/policies.ts';
import type { Policy, PolicyScope, Statement } from '../../src/policy/policies.ts';

const ANY: PolicyScope = { account: undefined, regions: [], tags: {}, uses: ['connect'] };

function statementsFor(policy: Policy, action: string): readonly Statement[] {
  return policy.Statement.filter(({ Action }) => [Action].flat().includes(action));
}

function resources(policy: Policy, action: string): readonly string[] {
  return statementsFor(policy, action).flatMap(({ Resource }) => Resource);
}

test('account and regions are in every ARN that has them', () => {
  const policy = userPolicy({ ...ANY, account: '111122223333', regions: ['us-east-1', 'cn-north-1'] });
  assert.deepEqual(resources(policy, 'ssm:StartSession'), [
    'arn:aws:ec2:us-east-1:111122223333:instance/*',
    'arn:aws-cn:ec2:cn-north-1:111122223333:instance/*',
    'arn:aws:ssm:us-east-1:111122223333:managed-instance/*',
    'arn:aws-cn:ssm:cn-north-1:111122223333:managed-instance/*',
    'arn:aws:ssm:us-east-1:*:document/AWS-StartSSHSession',
    'arn:aws-cn:ssm:cn-north-1:*:document/AWS-StartSSHSession',
  ]);
  assert.deepEqual(resources(policy, 'ssm:ResumeSession'), [
    'arn:aws:ssm:us-east-1:111122223333:session/${aws:userid}-*',
    'arn:aws-cn:ssm:cn-north-1:111122223333:session/${aws:userid}-*',
  ]);
  assert.deepEqual(statementsFor(policy, 'ec2:DescribeInstances')[0]?.Condition, {
    StringEquals: { 'aws:RequestedRegion': ['us-east-1', 'cn-north-1'] },
  });
});

test('a condition on tags is on the instances, and not on the document', () => {
  const policy = userPolicy({ ...ANY, tags: { team: 'ml', 'skypilot-cluster-name': 'train' } });
  const [instances, documents, none] = statementsFor(policy, 'ssm:StartSession');
  assert.equal(none, undefined);
  assert.deepEqual(instances?.Condition, {
    StringEquals: { 'ssm:resourceTag/team': 'ml', 'ssm:resourceTag/skypilot-cluster-name': 'train' },
  });
  assert.ok([instances?.Resource].flat().every((arn) => arn?.includes('instance/')));
  assert.deepEqual(documents, {
    Effect: 'Allow',
    Action: 'ssm:StartSession',
    Resource: 'arn:aws:ssm:*:*:document/AWS-StartSSHSession',
  });
});

test('each use brings its documents; the shell document is in the own account', () => {
  const policy = userPolicy({ ...ANY, account: '111122223333', uses: ['shell', 'exec', 'forward'] });
  const documents = resources(policy, 'ssm:StartSession').filter((arn) => arn.includes(':document/'));
  assert.deepEqual(documents, [
    'arn:aws:ssm:*:111122223333:document/SSM-SessionManagerRunShell',
    'arn:aws:ssm:*:*:document/AWS-StartNonInteractiveCommand',
    'arn:aws:ssm:*:*:document/AWS-StartInteractiveCommand',
    'arn:aws:ssm:*:*:document/AWS-StartPortForwardingSession',
    'arn:aws:ssm:*:*:document/AWS-StartPortForwardingSessionToRemoteHost',
  ]);
});

test('the console may be read only where host keys are wanted, and only that of tagged instances', () => {
  assert.deepEqual(statementsFor(userPolicy(ANY), 'ec2:GetConsoleOutput'), []);
  const scope: PolicyScope = {
    ...ANY,
    account: '111122223333',
    regions: ['us-east-1'],
    tags: { team: 'ml' },
  };
  const [statement] = statementsFor(
    userPolicy({ ...scope, uses: ['connect', 'host-keys'] }),
    'ec2:GetConsoleOutput',
  );
  assert.deepEqual(statement, {
    Effect: 'Allow',
    Action: 'ec2:GetConsoleOutput',
    Resource: 'arn:aws:ec2:us-east-1:111122223333:instance/*',
    Condition: { StringEquals: { 'aws:ResourceTag/team': 'ml' } },
  });
});

test('keys and starts are for instances, under conditions of their own', () => {
  const tags = { team: 'ml' };
  const uses = ['push-key', 'start-instance'] as const;
  const policy = userPolicy({ ...ANY, tags, uses, user: 'ubuntu' });
  const Resource = 'arn:aws:ec2:*:*:instance/*';
  assert.deepEqual(policy.Statement.slice(-2), [
    {
      Effect: 'Allow',
      Action: 'ec2-instance-connect:SendSSHPublicKey',
      Resource,
      Condition: { StringEquals: { 'aws:ResourceTag/team': 'ml', 'ec2:osuser': 'ubuntu' } },
    },
    {
      Effect: 'Allow',
      Action: 'ec2:StartInstances',
      Resource,
      Condition: { StringEquals: { 'aws:ResourceTag/team': 'ml' } },
    },
  ]);
  const documents = resources(policy, 'ssm:StartSession').filter((arn) => arn.includes(':document/'));
  assert.deepEqual(documents, ['arn:aws:ssm:*:*:document/AWS-StartSSHSession']);
  assert.equal(userPolicy({ ...ANY, uses: ['push-key'] }).Statement.at(-1)?.Condition, undefined);
  assert.equal(statementsFor(userPolicy(ANY), 'ec2:StartInstances').length, 0);
});

test('a session needs all of its calls', () => {
  for (const action of [
    'ssm:StartSession',
    'ssm:ResumeSession',
    'ssm:TerminateSession',
    'ssmmessages:OpenDataChannel',
  ])
    assert.equal(statementsFor(userPolicy(ANY), action).length, 1, action);
});

test('CloudFormation has the policy as it is', () => {
  for (const [kind, policy] of [
    ['user', userPolicy(ANY)],
    ['node', nodePolicy()],
  ] as const) {
    const template = parse(formatPolicy(policy, kind, 'cloudformation')) as {
      Resources: Record<string, { Type: string; Properties: { PolicyDocument: unknown } }>;
    };
    const [resource] = Object.values(template.Resources);
    assert.equal(resource?.Type, 'AWS::IAM::ManagedPolicy');
    assert.deepEqual(resource?.Properties.PolicyDocument, policy);
  }
});

test("Terraform's templates leave IAM's variables alone", () => {
  const text = formatPolicy(userPolicy(ANY), 'user', 'terraform');
  const [, expression = ''] = /policy = jsonencode\(([^]*)\)\n\}\n$/.exec(text) ?? [];
  assert.doesNotMatch(expression, /(?<!\$)\$\{/);
  assert.deepEqual(JSON.parse(expression.replaceAll('$${', () => '${')), userPolicy(ANY));
});

test('JSON is what the console takes', () => {
  assert.deepEqual(JSON.parse(formatPolicy(nodePolicy(), 'node', 'json')), nodePolicy());
});
