/** What policy documents say, where the simulator may not be asked; and statements from what is missing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluate } from '../../src/policy/evaluate.ts';
import { needsOf, policyOf } from '../../src/policy/needs.ts';
import { userPolicy } from '../../src/policy/policies.ts';

const ASKED = { action: 'ssm:StartSession', resource: 'arn:aws:ec2:us-east-1:111122223333:instance/*' };
const allow = { Effect: 'Allow', Action: 'ssm:*', Resource: '*' };
const tagged = { StringEquals: { 'ssm:resourceTag/team': 'ml' } };

for (const [name, statements, verdict] of [
  ['nothing', [], 'missing'],
  ['a wildcard', [allow], 'allowed'],
  ['one statement that is no list', allow, 'allowed'],
  ['another case of the action', [{ ...allow, Action: ['SSM:startsession'] }], 'allowed'],
  ['another resource', [{ ...allow, Resource: 'arn:aws:ec2:*:*:instance/i-1' }], 'missing'],
  ['a pattern with one character', [{ ...allow, Resource: 'arn:aws:ec2:us-east-?:*' }], 'allowed'],
  [
    'everything but others',
    [{ Effect: 'Allow', NotAction: 'iam:*', NotResource: 'arn:aws:s3:::*' }],
    'allowed',
  ],
  ['everything but this', [{ Effect: 'Allow', NotAction: 'ssm:Start*', Resource: '*' }], 'missing'],
  ['a condition', [{ ...allow, Condition: tagged }], 'unknown'],
  ['a denial', [allow, { ...allow, Effect: 'Deny' }], 'missing'],
  ['a denial under a condition', [allow, { ...allow, Effect: 'Deny', Condition: tagged }], 'unknown'],
  ['a denial of something else', [allow, { ...allow, Effect: 'Deny', Action: 'ssm:Get*' }], 'allowed'],
] as const) {
  test(`${name}: ${verdict}`, () => {
    assert.equal(evaluate([{ Version: '2012-10-17', Statement: statements }], ASKED, {}), verdict);
  });
}

test('variables stand for the caller, and what is no policy allows nothing', () => {
  const own = { Statement: [{ ...allow, Resource: 'arn:aws:ssm:*:*:session/${aws:userid}-*' }] };
  const asked = { action: 'ssm:ResumeSession', resource: 'arn:aws:ssm:us-east-1:1:session/AIDA-0' };
  assert.equal(evaluate([own], asked, { 'aws:userid': 'AIDA' }), 'allowed');
  assert.equal(evaluate([own], asked, { 'aws:userid': 'AIDB' }), 'missing');
  assert.equal(evaluate([null, 'x', { Statement: [7] }], asked, {}), 'missing');
});

test('all needs of a policy give the policy again, none give none', () => {
  const scope = { account: undefined, regions: [], tags: { team: 'ml' }, uses: ['connect', 'exec'] } as const;
  const policy = userPolicy(scope);
  const place = { partition: 'aws-cn', region: 'cn-north-1', account: '111122223333', userId: 'AIDA' };
  const needs = needsOf(policy, place);
  assert.deepEqual(policyOf(policy, needs), policy);
  assert.equal(policyOf(policy, []), undefined);
  const [instances] = needs.filter(({ action }) => action === 'ssm:StartSession');
  assert.equal(instances?.resource, 'arn:aws-cn:ec2:cn-north-1:111122223333:instance/*');
  assert.deepEqual(instances?.context['ssm:resourceTag/team'], ['ml']);
});
