/** Why AWS refused, out of its own words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { denialHint } from '../../src/aws/denial.ts';

const USER = 'User: arn:aws:iam::111122223333:user/demo is not authorized to perform:';
const NODE = 'arn:aws:ec2:us-east-1:111122223333:instance/i-0123456789abcdef0';

for (const [name, message, hint] of [
  [
    'no policy of the caller allows it',
    `${USER} ssm:StartSession on resource: ${NODE} because no identity-based policy allows the ssm:StartSession action`,
    `allow ssm:StartSession on ${NODE} in a policy of this user or role`,
  ],
  [
    'EC2, which names no resource',
    `You are not authorized to perform this operation. ${USER} ec2:DescribeInstances because no identity-based policy allows the ec2:DescribeInstances action`,
    'allow ec2:DescribeInstances in a policy of this user or role',
  ],
  [
    'any resource',
    `${USER} ssm:DescribeSessions on resource: *`,
    'allow ssm:DescribeSessions in a policy of this user or role',
  ],
  [
    'a permissions boundary',
    `${USER} ssm:StartSession on resource: ${NODE} because no permissions boundary allows the ssm:StartSession action`,
    `allow ssm:StartSession on ${NODE} in the permissions boundary, too`,
  ],
  [
    'a session policy',
    `${USER} ssm:StartSession on resource: ${NODE} because no session policy allows the ssm:StartSession action`,
    `allow ssm:StartSession on ${NODE} in the session policy, too`,
  ],
  [
    'a service control policy that denies',
    `${USER} ssm:StartSession on resource: ${NODE} with an explicit deny in a service control policy: arn:aws:organizations::1:policy/p`,
    `the service control policy denies ssm:StartSession on ${NODE} explicitly: no other policy can allow it, it has to change itself`,
  ],
  [
    'an identity-based policy that denies',
    `${USER} ssm:ResumeSession on resource: arn:aws:ssm:us-east-1:111122223333:session/demo-0a with an explicit deny in an identity-based policy`,
    'the identity-based policy denies ssm:ResumeSession on arn:aws:ssm:us-east-1:111122223333:session/demo-0a explicitly: no other policy can allow it, it has to change itself',
  ],
  [
    'a message that is encoded',
    'You are not authorized to perform this operation. Encoded authorization failure message: abcDEF-123',
    'what was denied is encoded: aws sts decode-authorization-message --encoded-message <the long word above>',
  ],
  ['a refusal without a reason', 'User is not authorized to perform this operation.', undefined],
  ['something else', 'Rate exceeded', undefined],
] as const) {
  test(name, () => {
    assert.equal(denialHint(message), hint);
  });
}
