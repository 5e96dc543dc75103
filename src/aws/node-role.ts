/** The role of a node and its managed policies. */
import {
  AttachRolePolicyCommand,
  GetInstanceProfileCommand,
  ListAttachedRolePoliciesCommand,
} from '@aws-sdk/client-iam';
import type { CallOptions } from './call.ts';
import type { AwsContext } from './context.ts';
import { callIam } from './iam.ts';

export interface NodeRole {
  readonly roleName: string;
  readonly arn: string;
  /** ARNs of the managed policies attached to it. */
  readonly policies: readonly string[];
}

/** 10 pages of 100: the quota of policies on a role is 25. */
const MAX_PAGES = 10;

/** Undefined for a profile without a role. ACCESS_DENIED and the errors of every call. */
export async function nodeRole(
  context: AwsContext,
  instanceProfileArn: string,
  options: CallOptions = {},
): Promise<NodeRole | undefined> {
  const InstanceProfileName = instanceProfileArn.slice(instanceProfileArn.lastIndexOf('/') + 1);
  const { InstanceProfile } = await callIam(context, 'GetInstanceProfile', options, (client, abortSignal) =>
    client.send(new GetInstanceProfileCommand({ InstanceProfileName }), { abortSignal }),
  );
  const { RoleName: roleName, Arn: arn } = InstanceProfile?.Roles?.[0] ?? {};
  if (roleName === undefined || arn === undefined) return undefined;
  return { roleName, arn, policies: await attachedPolicies(context, roleName, options) };
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
    const answer = await callIam(context, 'ListAttachedRolePolicies', options, (client, abortSignal) =>
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
  await callIam(context, 'AttachRolePolicy', options, (client, abortSignal) =>
    client.send(new AttachRolePolicyCommand({ RoleName, PolicyArn }), { abortSignal }),
  );
}
