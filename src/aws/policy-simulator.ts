/** IAM's policy simulator: what a user or role may do, as its own policies, its groups' and its boundary say. */
import { GetRoleCommand, SimulatePrincipalPolicyCommand } from '@aws-sdk/client-iam';
import { ProxyError } from '../errors.ts';
import type { CallOptions } from './call.ts';
import type { AwsContext } from './context.ts';
import { callIam } from './iam.ts';

/** What the simulator says of one action. */
export interface Simulated {
  readonly action: string;
  readonly isAllowed: boolean;
  /** Condition keys that the answer depends on, and that were not given. */
  readonly missingKeys: readonly string[];
}

export interface Question {
  readonly actions: readonly string[];
  /** An ARN, or `*`. */
  readonly resource: string;
  /** Values of condition keys. */
  readonly context?: Readonly<Record<string, readonly string[]>>;
}

/** `source`: ARN of the user or role (`policySource`). ACCESS_DENIED where the simulator may not be asked. */
export async function simulate(
  context: AwsContext,
  source: string,
  { actions, resource, context: keys = {} }: Question,
  options: CallOptions = {},
): Promise<readonly Simulated[]> {
  const command = new SimulatePrincipalPolicyCommand({
    PolicySourceArn: source,
    ActionNames: [...actions],
    ResourceArns: [resource],
    ContextEntries: Object.entries(keys).map(([ContextKeyName, values]) => ({
      ContextKeyName,
      ContextKeyValues: [...values],
      ContextKeyType: 'string',
    })),
  });
  const { EvaluationResults = [] } = await callIam(
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
      missingKeys: own.flatMap(({ MissingContextValues = [] }) => MissingContextValues),
    };
  });
}

/**
 * The ARN that policies hang on, for one as GetCallerIdentity gives it: the role's, not that of its session. A role may
 * have a path that the session's ARN does not show, so IAM is asked; where that is not allowed it is taken to have none.
 */
export async function policySource(
  context: AwsContext,
  callerArn: string,
  options: CallOptions = {},
): Promise<string> {
  const [, partition = '', account = '', RoleName] =
    /^arn:([^:]+):sts::(\d+):assumed-role\/([^/]+)\//.exec(callerArn) ?? [];
  if (RoleName === undefined) return callerArn;
  try {
    const { Role } = await callIam(context, 'GetRole', options, (client, abortSignal) =>
      client.send(new GetRoleCommand({ RoleName }), { abortSignal }),
    );
    if (Role?.Arn === undefined) throw new ProxyError('SERVICE_ERROR', 'GetRole answered without an ARN');
    return Role.Arn;
  } catch (thrown) {
    if (!(thrown instanceof ProxyError) || thrown.code !== 'ACCESS_DENIED') throw thrown;
    return `arn:${partition}:iam::${account}:role/${RoleName}`;
  }
}
