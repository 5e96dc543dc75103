/** The policy documents of a user or role, read one by one: for callers who may read them and not ask the simulator. */
import {
  GetGroupPolicyCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetRolePolicyCommand,
  GetUserPolicyCommand,
  ListAttachedGroupPoliciesCommand,
  ListAttachedRolePoliciesCommand,
  ListAttachedUserPoliciesCommand,
  ListGroupPoliciesCommand,
  ListGroupsForUserCommand,
  ListRolePoliciesCommand,
  ListUserPoliciesCommand,
} from '@aws-sdk/client-iam';
import type { IAMClient } from '@aws-sdk/client-iam';
import { ProxyError } from '../errors.ts';
import type { CallOptions } from './call.ts';
import type { AwsContext } from './context.ts';
import { callIam } from './iam.ts';

/** 10 pages of 100: quotas are lower. */
const MAX_PAGES = 10;

/** Parsed documents of all policies, those of a user's groups included. ACCESS_DENIED when one of them may not be read. */
export async function policyDocuments(
  context: AwsContext,
  arn: string,
  options: CallOptions = {},
): Promise<readonly unknown[]> {
  const [, kind, name = ''] = /:(user|role)\/(?:.*\/)?([^/]+)$/.exec(arn) ?? [];
  const reader = new PolicyReader(context, options);
  if (kind === 'role') return reader.ofRole(name);
  if (kind === 'user') return reader.ofUser(name);
  throw new ProxyError('SERVICE_ERROR', `${arn} is neither a user nor a role`);
}

/** A page of a list. */
interface Page<T> {
  readonly items: readonly (T | undefined)[] | undefined;
  readonly marker: string | undefined;
}

class PolicyReader {
  readonly #context: AwsContext;
  readonly #options: CallOptions;

  constructor(context: AwsContext, options: CallOptions) {
    this.#context = context;
    this.#options = options;
  }

  async ofRole(RoleName: string): Promise<readonly unknown[]> {
    const [attached, inline] = await Promise.all([
      this.#all('ListAttachedRolePolicies', async (client, abortSignal, page) => {
        const { AttachedPolicies, Marker } = await client.send(
          new ListAttachedRolePoliciesCommand({ RoleName, ...page }),
          { abortSignal },
        );
        return { items: AttachedPolicies?.map(({ PolicyArn }) => PolicyArn), marker: Marker };
      }),
      this.#all('ListRolePolicies', async (client, abortSignal, page) => {
        const answer = await client.send(new ListRolePoliciesCommand({ RoleName, ...page }), { abortSignal });
        return { items: answer.PolicyNames, marker: answer.Marker };
      }),
    ]);
    return Promise.all([
      ...attached.map((arn) => this.#managed(arn)),
      ...inline.map((PolicyName) =>
        this.#document('GetRolePolicy', (client, abortSignal) =>
          client.send(new GetRolePolicyCommand({ RoleName, PolicyName }), { abortSignal }),
        ),
      ),
    ]);
  }

  async ofUser(UserName: string): Promise<readonly unknown[]> {
    const [attached, inline, groups] = await Promise.all([
      this.#all('ListAttachedUserPolicies', async (client, abortSignal, page) => {
        const { AttachedPolicies, Marker } = await client.send(
          new ListAttachedUserPoliciesCommand({ UserName, ...page }),
          { abortSignal },
        );
        return { items: AttachedPolicies?.map(({ PolicyArn }) => PolicyArn), marker: Marker };
      }),
      this.#all('ListUserPolicies', async (client, abortSignal, page) => {
        const answer = await client.send(new ListUserPoliciesCommand({ UserName, ...page }), { abortSignal });
        return { items: answer.PolicyNames, marker: answer.Marker };
      }),
      this.#all('ListGroupsForUser', async (client, abortSignal, page) => {
        const answer = await client.send(new ListGroupsForUserCommand({ UserName, ...page }), {
          abortSignal,
        });
        return { items: answer.Groups?.map(({ GroupName }) => GroupName), marker: answer.Marker };
      }),
    ]);
    const ofGroups = await Promise.all(groups.map((name) => this.#ofGroup(name)));
    const own = await Promise.all([
      ...attached.map((arn) => this.#managed(arn)),
      ...inline.map((PolicyName) =>
        this.#document('GetUserPolicy', (client, abortSignal) =>
          client.send(new GetUserPolicyCommand({ UserName, PolicyName }), { abortSignal }),
        ),
      ),
    ]);
    return [...own, ...ofGroups.flat()];
  }

  async #ofGroup(GroupName: string): Promise<readonly unknown[]> {
    const [attached, inline] = await Promise.all([
      this.#all('ListAttachedGroupPolicies', async (client, abortSignal, page) => {
        const { AttachedPolicies, Marker } = await client.send(
          new ListAttachedGroupPoliciesCommand({ GroupName, ...page }),
          { abortSignal },
        );
        return { items: AttachedPolicies?.map(({ PolicyArn }) => PolicyArn), marker: Marker };
      }),
      this.#all('ListGroupPolicies', async (client, abortSignal, page) => {
        const answer = await client.send(new ListGroupPoliciesCommand({ GroupName, ...page }), {
          abortSignal,
        });
        return { items: answer.PolicyNames, marker: answer.Marker };
      }),
    ]);
    return Promise.all([
      ...attached.map((arn) => this.#managed(arn)),
      ...inline.map((PolicyName) =>
        this.#document('GetGroupPolicy', (client, abortSignal) =>
          client.send(new GetGroupPolicyCommand({ GroupName, PolicyName }), { abortSignal }),
        ),
      ),
    ]);
  }

  async #managed(PolicyArn: string): Promise<unknown> {
    const { Policy } = await callIam(this.#context, 'GetPolicy', this.#options, (client, abortSignal) =>
      client.send(new GetPolicyCommand({ PolicyArn }), { abortSignal }),
    );
    const VersionId = Policy?.DefaultVersionId ?? 'v1';
    return this.#document('GetPolicyVersion', async (client, abortSignal) => {
      const command = new GetPolicyVersionCommand({ PolicyArn, VersionId });
      const { PolicyVersion } = await client.send(command, { abortSignal });
      return { PolicyDocument: PolicyVersion?.Document };
    });
  }

  /** IAM gives documents percent-encoded. */
  async #document(
    operation: string,
    send: (client: IAMClient, signal: AbortSignal) => Promise<{ PolicyDocument?: string | undefined }>,
  ): Promise<unknown> {
    const { PolicyDocument = '' } = await callIam(this.#context, operation, this.#options, send);
    try {
      return JSON.parse(decodeURIComponent(PolicyDocument)) as unknown;
    } catch (cause) {
      throw new ProxyError('SERVICE_ERROR', `${operation} answered with what is no policy`, { cause });
    }
  }

  async #all<T>(
    operation: string,
    send: (client: IAMClient, signal: AbortSignal, page: { Marker?: string }) => Promise<Page<T>>,
  ): Promise<readonly T[]> {
    const found: T[] = [];
    let marker: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const from = marker === undefined ? {} : { Marker: marker };
      const answer = await callIam(this.#context, operation, this.#options, (client, abortSignal) =>
        send(client, abortSignal, from),
      );
      found.push(...(answer.items ?? []).filter((item) => item !== undefined));
      ({ marker } = answer);
      if (marker === undefined) break;
    }
    return found;
  }
}
