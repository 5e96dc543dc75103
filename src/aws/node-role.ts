/** The role of a node, and what a caller may do: the IAM calls of `check`. The only file that knows the IAM client. */
import {
  AttachRolePolicyCommand,
  GetInstanceProfileCommand,
  GetRoleCommand,
  IAMClient,
  ListAttachedRolePoliciesCommand,
  SimulatePrincipalPolicyCommand,
} from '@aws-sdk/client-iam';
import { ProxyError } from '../errors.ts';
import type { CallOptions } from './call.ts';
import { call } from './call.ts';
import { clientCache } from './client-cache.ts';
import type { AwsContext } from './context.ts';
import type { AwsCredentials } from './credential-store.ts';

export interface NodeRole {
  readonly roleName: string;
  /** ARNs of the managed policies attached to it. */
  readonly policies: readonly string[];
}

/** What the policy simulator says of one action. */
export interface Simulated {
  readonly action: string;
  readonly isAllowed: boolean;
}

const clientOf = clientCache('IAM', (config) => new IAMClient(config));
/** 10 pages of 100: the quota of policies on a role is 25. */
const MAX_PAGES = 10;

/** Undefined for a profile without a role. ACCESS_DENIED and the errors of every call. */
export async function nodeRole(
  context: AwsContext,
  instanceProfileArn: string,
  options: CallOptions = {},
): Promise<NodeRole | undefined> {
  const InstanceProfileName = instanceProfileArn.slice(instanceProfileArn.lastIndexOf('/') + 1);
  const { InstanceProfile } = await send(context, 'GetInstanceProfile', options, (client, abortSignal) =>
    client.send(new GetInstanceProfileCommand({ InstanceProfileName }), { abortSignal }),
  );
  const roleName = InstanceProfile?.Roles?.[0]?.RoleName;
  if (roleName === undefined) return undefined;
  return { roleName, policies: await attachedPolicies(context, roleName, options) };
}

async function attachedPolicies(
  context: AwsContext,
  RoleName: string,
  options: CallOptions,
): Promise<readonly string[]> {
  const found: string[] = [];
  let Marker: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const command = new ListAttachedRolePoliciesCommand({
      RoleName,
      ...(Marker !== undefined && { Marker }),
    });
    const answer = await send(context, 'ListAttachedRolePolicies', options, (client, abortSignal) =>
      client.send(command, { abortSignal }),
    );
    found.push(...(answer.AttachedPolicies ?? []).map(({ PolicyArn }) => PolicyArn ?? ''));
    Marker = answer.IsTruncated === true ? answer.Marker : undefined;
    if (Marker === undefined) break;
  }
  return found;
}

/** ACCESS_DENIED and the errors of every call. */
export async function attachPolicy(
  context: AwsContext,
  RoleName: string,
  PolicyArn: string,
  options: CallOptions = {},
): Promise<void> {
  await send(context, 'AttachRolePolicy', options, (client, abortSignal) =>
    client.send(new AttachRolePolicyCommand({ RoleName, PolicyArn }), { abortSignal }),
  );
}

/**
 * Whether the caller (an ARN as GetCallerIdentity gives it) may do these actions on these resources, as its own
 * policies say; an action is allowed when it is on all of them. ACCESS_DENIED where the simulator may not be asked.
 */
export async function simulate(
  context: AwsContext,
  callerArn: string,
  actions: readonly string[],
  resources: readonly string[],
  options: CallOptions = {},
): Promise<readonly Simulated[]> {
  const PolicySourceArn = await policySource(context, callerArn, options);
  const command = new SimulatePrincipalPolicyCommand({
    PolicySourceArn,
    ActionNames: [...actions],
    ResourceArns: [...resources],
  });
  const { EvaluationResults = [] } = await send(
    context,
    'SimulatePrincipalPolicy',
    options,
    (client, abortSignal) => client.send(command, { abortSignal }),
  );
  return actions.map((action) => {
    const own = EvaluationResults.filter(({ EvalActionName }) => EvalActionName === action);
    return {
      action,
      isAllowed: own.length > 0 && own.every(({ EvalDecision }) => EvalDecision === 'allowed'),
    };
  });
}

/** Policies hang on the role, not on its session; a role may have a path that the session's ARN does not show. */
async function policySource(context: AwsContext, callerArn: string, options: CallOptions): Promise<string> {
  const RoleName = /:assumed-role\/([^/]+)\//.exec(callerArn)?.[1];
  if (RoleName === undefined) return callerArn;
  const { Role } = await send(context, 'GetRole', options, (client, abortSignal) =>
    client.send(new GetRoleCommand({ RoleName }), { abortSignal }),
  );
  if (Role?.Arn === undefined) throw new ProxyError('SERVICE_ERROR', 'GetRole answered without an ARN');
  return Role.Arn;
}

function send<T>(
  context: AwsContext,
  operation: string,
  options: CallOptions,
  perform: (client: IAMClient, abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  return call(
    context,
    {
      operation,
      send: (credentials: AwsCredentials, abortSignal) =>
        perform(clientOf(context, credentials, options), abortSignal),
    },
    options,
  );
}
