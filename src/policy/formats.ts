/** A policy as JSON, Terraform or CloudFormation. Pure. */
import { stringify } from 'yaml';
import type { Policy } from './policies.ts';

export const POLICY_FORMATS = ['json', 'terraform', 'cloudformation'] as const;
export type PolicyFormat = (typeof POLICY_FORMATS)[number];

const NAMES = {
  user: { terraform: 'ssm_proxy_user', name: 'ssm-proxy-user', cloudformation: 'SsmProxyUserPolicy' },
  node: { terraform: 'ssm_proxy_node', name: 'ssm-proxy-node', cloudformation: 'SsmProxyNodePolicy' },
} as const;
export type PolicyKind = keyof typeof NAMES;

/** With a line break at the end. */
export function formatPolicy(policy: Policy, kind: PolicyKind, format: PolicyFormat): string {
  switch (format) {
    case 'json':
      return `${json(policy)}\n`;
    case 'terraform':
      return terraform(policy, kind);
    case 'cloudformation':
      return cloudFormation(policy, kind);
  }
}

function json(policy: Policy): string {
  return JSON.stringify(policy, null, 2);
}

/** HCL takes JSON's objects as expressions; `${` would be its own template. */
function terraform(policy: Policy, kind: PolicyKind): string {
  const names = NAMES[kind];
  const expression = json(policy)
    .replaceAll('${', () => '$${')
    .replaceAll('\n', '\n  ');
  return [
    `resource "aws_iam_policy" "${names.terraform}" {`,
    `  name   = "${names.name}"`,
    `  policy = jsonencode(${expression})`,
    '}',
    '',
  ].join('\n');
}

/** Outside of Fn::Sub `${` is plain text. */
function cloudFormation(policy: Policy, kind: PolicyKind): string {
  return stringify(
    {
      Resources: {
        [NAMES[kind].cloudformation]: {
          Type: 'AWS::IAM::ManagedPolicy',
          Properties: { PolicyDocument: policy },
        },
      },
    },
    { lineWidth: 0 },
  );
}
