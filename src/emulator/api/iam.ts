/**
 * IAM, as much as it takes to see and mend the role of a node, and to ask what a caller or such a role may do: by the
 * simulator, or by the documents of its policies (iam-policies.ts).
 */
import { instanceProfileArn, roleArn } from '../node-roles.ts';
import type { NodeRole } from '../node-roles.ts';
import type { World } from '../world.ts';
import { MANAGED_ACTIONS, isPrincipal, policyDocument, principalAt, rolePath } from './iam-policies.ts';
import { members, numberedValues } from './query-xml.ts';
import type { XmlElement } from './query-xml.ts';
import { Refusal } from './refusal.ts';

export type IamOperation = (world: World, parameters: URLSearchParams) => XmlElement;

export const IAM_OPERATIONS: Readonly<Record<string, IamOperation>> = {
  SimulatePrincipalPolicy: simulatePrincipalPolicy,
  GetRole: getRole,
  GetInstanceProfile: getInstanceProfile,
  ListAttachedRolePolicies: listAttachedRolePolicies,
  AttachRolePolicy: attachRolePolicy,
  ListRolePolicies: (world, parameters) => inlinePolicies(world, 'role', parameters.get('RoleName')),
  GetRolePolicy: (world, parameters) => inlinePolicy(world, 'role', parameters.get('RoleName'), parameters),
  ListAttachedUserPolicies: () => ({ AttachedPolicies: members([]), IsTruncated: false }),
  ListUserPolicies: (world, parameters) => inlinePolicies(world, 'user', parameters.get('UserName')),
  GetUserPolicy: (world, parameters) => inlinePolicy(world, 'user', parameters.get('UserName'), parameters),
  ListGroupsForUser: () => ({ Groups: members([]), IsTruncated: false }),
  GetPolicy: getPolicy,
  GetPolicyVersion: getPolicyVersion,
};

const CREATED = '2024-01-01T00:00:00Z';

/** Says of each action and resource what the identity's deny list says, or the managed policies of a node's role. */
function simulatePrincipalPolicy(world: World, parameters: URLSearchParams): XmlElement {
  const source = parameters.get('PolicySourceArn') ?? '';
  const may = principalAt(world, source);
  if (may === undefined) throw new Refusal('NoSuchEntity', `The principal ${source} cannot be found.`, 404);
  const resources = numberedValues(parameters, 'ResourceArns\\.member');
  const results = numberedValues(parameters, 'ActionNames\\.member').flatMap((action) =>
    (resources.length === 0 ? ['*'] : resources).map((resource) => ({
      EvalActionName: action,
      EvalResourceName: resource,
      EvalDecision: may(action) ? 'allowed' : 'implicitDeny',
      MatchedStatements: '',
      MissingContextValues: '',
    })),
  );
  return { EvaluationResults: members(results), IsTruncated: false };
}

function getRole(world: World, parameters: URLSearchParams): XmlElement {
  const roleName = parameters.get('RoleName') ?? '';
  const isKnown =
    world.nodeRoles.find(roleName) !== undefined ||
    world.identities.list().some(({ arn }) => arn.includes(`:assumed-role/${roleName}/`));
  if (!isKnown) throw noSuchRole(roleName);
  return { Role: roleXml(roleName) };
}

function getInstanceProfile(world: World, parameters: URLSearchParams): XmlElement {
  const name = parameters.get('InstanceProfileName') ?? '';
  const role = world.nodeRoles.find(name);
  if (role === undefined) {
    throw new Refusal('NoSuchEntity', `Instance Profile ${name} cannot be found.`, 404);
  }
  return {
    InstanceProfile: {
      Path: '/',
      InstanceProfileName: name,
      InstanceProfileId: 'AIPAEXAMPLEEXAMPLE0',
      Arn: instanceProfileArn(name),
      CreateDate: CREATED,
      Roles: members([roleXml(role.roleName)]),
    },
  };
}

function listAttachedRolePolicies(world: World, parameters: URLSearchParams): XmlElement {
  const name = parameters.get('RoleName') ?? '';
  // Roles of callers have an inline policy only.
  const isCaller = world.identities.list().some((each) => isPrincipal(each, 'role', name));
  const attached = [...(isCaller ? [] : roleOf(world, parameters).policies)].map((arn) => ({
    PolicyName: arn.slice(arn.lastIndexOf('/') + 1),
    PolicyArn: arn,
  }));
  return { AttachedPolicies: members(attached), IsTruncated: false };
}

/** Callers have one inline policy each: everything, but for what is denied to them. Roles of nodes have none. */
const INLINE = 'emulated';

function inlinePolicies(world: World, kind: 'user' | 'role', name: string | null): XmlElement {
  const identity = world.identities.list().find((each) => isPrincipal(each, kind, name ?? ''));
  if (identity === undefined) roleOf(world, new URLSearchParams({ RoleName: name ?? '' }));
  return { PolicyNames: members(identity === undefined ? [] : [INLINE]), IsTruncated: false };
}

function inlinePolicy(
  world: World,
  kind: 'user' | 'role',
  name: string | null,
  parameters: URLSearchParams,
): XmlElement {
  const PolicyName = parameters.get('PolicyName') ?? '';
  const identity = world.identities.list().find((each) => isPrincipal(each, kind, name ?? ''));
  if (identity === undefined || PolicyName !== INLINE) {
    throw new Refusal('NoSuchEntity', `The ${kind} policy with name ${PolicyName} cannot be found.`, 404);
  }
  return {
    ...(kind === 'user' ? { UserName: name ?? '' } : { RoleName: name ?? '' }),
    PolicyName,
    PolicyDocument: policyDocument(['*'], identity.denied),
  };
}

function getPolicy(_world: World, parameters: URLSearchParams): XmlElement {
  const arn = knownPolicy(parameters);
  const PolicyName = arn.slice(arn.lastIndexOf('/') + 1);
  return { Policy: { PolicyName, Arn: arn, DefaultVersionId: 'v1', CreateDate: CREATED } };
}

function getPolicyVersion(_world: World, parameters: URLSearchParams): XmlElement {
  const Document = policyDocument(MANAGED_ACTIONS.get(knownPolicy(parameters)) ?? [], []);
  return { PolicyVersion: { Document, VersionId: 'v1', IsDefaultVersion: 'true', CreateDate: CREATED } };
}

function knownPolicy(parameters: URLSearchParams): string {
  const arn = parameters.get('PolicyArn') ?? '';
  if (MANAGED_ACTIONS.has(arn)) return arn;
  throw new Refusal('NoSuchEntity', `Policy ${arn} does not exist or is not attachable.`, 404);
}

function attachRolePolicy(world: World, parameters: URLSearchParams): XmlElement {
  const arn = parameters.get('PolicyArn') ?? '';
  if (!/^arn:aws:iam::(aws|\d{12}):policy\/[\w+=,.@/-]+$/.test(arn)) {
    throw new Refusal('InvalidInput', `ARN ${arn} is not valid.`);
  }
  roleOf(world, parameters).policies.add(arn);
  return {};
}

function roleOf(world: World, parameters: URLSearchParams): NodeRole {
  const name = parameters.get('RoleName') ?? '';
  const role = world.nodeRoles.find(name);
  if (role === undefined) throw noSuchRole(name);
  return role;
}

function roleXml(roleName: string): XmlElement {
  const path = rolePath(roleName);
  return {
    Path: path,
    RoleName: roleName,
    RoleId: 'AROAEXAMPLEEXAMPLE0',
    Arn: roleArn(`${path.slice(1)}${roleName}`),
    CreateDate: CREATED,
    MaxSessionDuration: 3600,
  };
}

function noSuchRole(name: string): Refusal {
  return new Refusal('NoSuchEntity', `The role with name ${name} cannot be found.`, 404);
}
