/** IAM, as much as it takes to see and mend the role of a node, and to ask what a caller may do. */
import { isDenied } from '../identities.ts';
import type { Identity } from '../identities.ts';
import { instanceProfileArn, roleArn } from '../node-roles.ts';
import type { NodeRole } from '../node-roles.ts';
import type { World } from '../world.ts';
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
};

const CREATED = '2024-01-01T00:00:00Z';
/** Roles of IAM Identity Center have a path that their session's ARN does not show. */
const SSO_PATH = '/aws-reserved/sso.amazonaws.com/';

/** Says of each action and resource what the identity's deny list says. */
function simulatePrincipalPolicy(world: World, parameters: URLSearchParams): XmlElement {
  const source = parameters.get('PolicySourceArn') ?? '';
  const principal = world.identities.list().find((each) => isPrincipal(each, source));
  if (principal === undefined)
    throw new Refusal('NoSuchEntity', `The principal ${source} cannot be found.`, 404);
  const resources = numberedValues(parameters, 'ResourceArns\\.member');
  const results = numberedValues(parameters, 'ActionNames\\.member').flatMap((action) =>
    (resources.length === 0 ? ['*'] : resources).map((resource) => ({
      EvalActionName: action,
      EvalResourceName: resource,
      EvalDecision: isDenied(principal, action) ? 'implicitDeny' : 'allowed',
      MatchedStatements: '',
      MissingContextValues: '',
    })),
  );
  return { EvaluationResults: members(results), IsTruncated: false };
}

/** Sessions of a role are asked about by the ARN of the role. */
function isPrincipal(identity: Identity, source: string): boolean {
  if (identity.arn === source) return identity.arn.startsWith('arn:aws:iam:');
  const role = /:assumed-role\/([^/]+)\//.exec(identity.arn)?.[1];
  return role !== undefined && source === roleArn(`${rolePath(role).slice(1)}${role}`);
}

function rolePath(roleName: string): string {
  return roleName.startsWith('AWSReservedSSO_') ? SSO_PATH : '/';
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
  const attached = [...roleOf(world, parameters).policies].map((arn) => ({
    PolicyName: arn.slice(arn.lastIndexOf('/') + 1),
    PolicyArn: arn,
  }));
  return { AttachedPolicies: members(attached), IsTruncated: false };
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
