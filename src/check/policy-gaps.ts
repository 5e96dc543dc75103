/**
 * What a user or role lacks of a policy: the policy simulator is asked, and where that is not allowed the policies are
 * read and weighed here. Organization-wide limits (SCPs) are beyond both.
 */
import type { CallerIdentity } from '../aws/caller-identity.ts';
import type { AwsContext } from '../aws/context.ts';
import type { Simulated } from '../aws/policy-simulator.ts';
import { policySource, simulate } from '../aws/policy-simulator.ts';
import { policyDocuments } from '../aws/principal-policies.ts';
import { asProxyError } from '../errors.ts';
import { evaluate } from '../policy/evaluate.ts';
import type { Verdict } from '../policy/evaluate.ts';
import type { Need, Place } from '../policy/needs.ts';

export interface Answer {
  readonly need: Need;
  readonly verdict: Verdict;
  /** Why it is unknown. */
  readonly why: string | undefined;
}

export interface PolicyGaps {
  /** ARN of the user or role that the policies hang on. */
  readonly principal: string;
  readonly source: 'simulator' | 'policies' | 'nobody';
  /** Why it was not the simulator. */
  readonly why: string | undefined;
  readonly answers: readonly Answer[];
}

/** Who the caller is, in the terms of policies. */
export function placeOf({ arn, account, userId }: CallerIdentity, region: string): Place {
  return { partition: arn.split(':')[1] ?? 'aws', region, account, userId };
}

/** `arn`: as GetCallerIdentity gives it, or of a role. What cannot be asked is unknown, with the reason. CANCELLED. */
export async function findGaps(
  context: AwsContext,
  arn: string,
  needs: readonly Need[],
  { userId }: Pick<Place, 'userId'>,
  signal: AbortSignal,
): Promise<PolicyGaps> {
  if (/^arn:[^:]+:iam::\d+:root$/.test(arn)) {
    return { principal: arn, source: 'policies', why: undefined, answers: all(needs, 'allowed', undefined) };
  }
  const options = { signal };
  const principal = await policySource(context, arn, options);
  let why: string;
  try {
    const answers = await simulated(context, principal, needs, signal);
    return { principal, source: 'simulator', why: undefined, answers };
  } catch (thrown) {
    why = reasonOf(thrown, 'iam:SimulatePrincipalPolicy');
  }
  try {
    const documents = await policyDocuments(context, principal, options);
    const variables = { 'aws:userid': userId };
    const answers = needs.map((need) => {
      const verdict = evaluate(documents, need, variables);
      return { need, verdict, why: verdict === 'unknown' ? 'it depends on a condition' : undefined };
    });
    return { principal, source: 'policies', why, answers };
  } catch (thrown) {
    const unread = reasonOf(thrown, 'reading its policies');
    return {
      principal,
      source: 'nobody',
      why: `${why}; ${unread}`,
      answers: all(needs, 'unknown', undefined),
    };
  }
}

async function simulated(
  context: AwsContext,
  principal: string,
  needs: readonly Need[],
  signal: AbortSignal,
): Promise<readonly Answer[]> {
  // One question for each resource: answers about several at once are hard to tell apart.
  const groups = new Map<string, Need[]>();
  for (const need of needs) {
    const key = JSON.stringify([need.resource, need.context]);
    groups.set(key, [...(groups.get(key) ?? []), need]);
  }
  const answers = await Promise.all(
    [...groups.values()].map(async (own) => {
      const [{ resource, context: keys } = { resource: '*', context: {} }] = own;
      const actions = own.map(({ action }) => action);
      const found = await simulate(context, principal, { actions, resource, context: keys }, { signal });
      return own.map((need) =>
        answerOf(
          need,
          found.find(({ action }) => action === need.action),
        ),
      );
    }),
  );
  return needs.flatMap((need) => answers.flat().filter((answer) => answer.need === need));
}

function answerOf(need: Need, found: Simulated | undefined): Answer {
  if (found === undefined) return { need, verdict: 'unknown', why: 'the simulator did not say' };
  if (found.isAllowed) return { need, verdict: 'allowed', why: undefined };
  if (found.missingKeys.length === 0) return { need, verdict: 'missing', why: undefined };
  return { need, verdict: 'unknown', why: `it depends on ${found.missingKeys.join(', ')}` };
}

function all(needs: readonly Need[], verdict: Verdict, why: string | undefined): readonly Answer[] {
  return needs.map((need) => ({ need, verdict, why }));
}

/** Denied calls are an answer about the caller; everything else is trouble, too, and not worth a failure here. */
function reasonOf(thrown: unknown, what: string): string {
  const { code, message } = asProxyError(thrown);
  if (code !== 'ACCESS_DENIED') return message;
  const [, action = what] = /not authorized to perform: ([\w-]+:\w+)/.exec(message) ?? [];
  return `${action} is not allowed`;
}
