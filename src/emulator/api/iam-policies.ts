/** What the principals of the emulated IAM may do, and the documents that say so. */
import { isDenied } from '../identities.ts';
import type { Identity } from '../identities.ts';
import { SSM_CORE_POLICY, roleArn } from '../node-roles.ts';
import type { World } from '../world.ts';

/** Roles of IAM Identity Center have a path that their session's ARN does not show. */
const SSO_PATH = '/aws-reserved/sso.amazonaws.com/';

/** By ARN: what managed policies allow, of what matters here. */
export const MANAGED_ACTIONS: ReadonlyMap<string, readonly string[]> = new Map([
  [
    SSM_CORE_POLICY,
    [
      ...['UpdateInstanceInformation', 'GetDocument', 'ListAssociations'].map((name) => `ssm:${name}`),
      ...['CreateControlChannel', 'CreateDataChannel', 'OpenControlChannel', 'OpenDataChannel'].map(
        (name) => `ssmmessages:${name}`,
      ),
      'ec2messages:*',
    ],
  ],
  ['arn:aws:iam::aws:policy/AdministratorAccess', ['*']],
  ['arn:aws:iam::aws:policy/ReadOnlyAccess', ['ec2:Describe*', 'ssm:Get*', 'ssm:List*']],
]);

/** Whether the user or role with this ARN may do an action; undefined when there is none. */
export function principalAt(world: World, arn: string): ((action: string) => boolean) | undefined {
  const [, kind, name = ''] = /^arn:aws:iam::\d{12}:(user|role)\/(?:.*\/)?([^/]+)$/.exec(arn) ?? [];
  if (kind !== 'user' && kind !== 'role') return undefined;
  const identity = world.identities.list().find((each) => isPrincipal(each, kind, name));
  if (identity !== undefined && (kind === 'user' || arn === roleArn(`${rolePath(name).slice(1)}${name}`))) {
    return (action) => !isDenied(identity, action);
  }
  const role = kind === 'role' ? world.nodeRoles.find(name) : undefined;
  if (role === undefined) return undefined;
  const patterns = [...role.policies].flatMap((policy) => MANAGED_ACTIONS.get(policy) ?? []);
  return (action) =>
    patterns.some((pattern) =>
      pattern.endsWith('*') ? action.startsWith(pattern.slice(0, -1)) : action === pattern,
    );
}

/** Sessions of a role are asked about by the role. */
export function isPrincipal({ arn }: Identity, kind: 'user' | 'role', name: string): boolean {
  return kind === 'user' ? arn.endsWith(`:user/${name}`) : arn.includes(`:assumed-role/${name}/`);
}

export function rolePath(roleName: string): string {
  return roleName.startsWith('AWSReservedSSO_') ? SSO_PATH : '/';
}

/** Percent-encoded, as IAM gives it. */
export function policyDocument(allowed: readonly string[], denied: readonly string[]): string {
  const statement = (Effect: string, Action: readonly string[]) => ({ Effect, Action, Resource: '*' });
  const Statement = [
    ...(allowed.length > 0 ? [statement('Allow', allowed)] : []),
    ...(denied.length > 0 ? [statement('Deny', denied)] : []),
  ];
  return encodeURIComponent(JSON.stringify({ Version: '2012-10-17', Statement }));
}
