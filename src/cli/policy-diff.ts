/** `ssm-proxy policy diff`: what the caller, or the role of a node, lacks of the policy that `ssm-proxy policy` prints. */
import { setMaxListeners } from 'node:events';
import { nodeRole } from '../aws/node-role.ts';
import { callerIdentity } from '../aws/caller-identity.ts';
import type { AwsContext } from '../aws/context.ts';
import { findGaps, placeOf } from '../check/policy-gaps.ts';
import type { Answer, PolicyGaps } from '../check/policy-gaps.ts';
import { findNode } from '../check/target-state.ts';
import { createContexts, targetContexts } from '../contexts.ts';
import { ERROR_TABLE, ProxyError } from '../errors.ts';
import { checkAccounts } from '../find-target.ts';
import type { TargetRequest } from '../find-target.ts';
import type { PolicyKind } from '../policy/formats.ts';
import { LOST_WITHOUT, needsOf, policyOf } from '../policy/needs.ts';
import type { Need } from '../policy/needs.ts';
import { CORE_BEYOND_SESSIONS, nodePolicy } from '../policy/policies.ts';
import type { Policy } from '../policy/policies.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import type { LogRequest } from './log-file.ts';
import { writeOut } from './output.ts';
import { printable } from './report.ts';
import { columns } from './text-table.ts';

export interface PolicyDiffArgs extends Omit<TargetRequest, 'target'>, LogRequest {
  readonly kind: PolicyKind;
  /** Of `node`. */
  readonly target: string | undefined;
  readonly policy: Policy;
  readonly json: boolean;
}

interface Difference {
  readonly gaps: PolicyGaps;
  /** What to add; undefined when nothing is missing. */
  readonly toAdd: Policy | undefined;
  /** Rights of AmazonSSMManagedInstanceCore that are no matter of sessions, and that the role lacks. */
  readonly beyond: readonly string[];
}

/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;
const TIME_LIMIT_MS = 25_000;
const MISSING_STATUS = 1;
const MAX_LISTENERS = 200;

/** Exit status: 0 nothing is missing, 1 something is, 77 nothing is known to be, and something could not be told. */
export async function runPolicyDiff(args: PolicyDiffArgs, io: CliIo): Promise<number> {
  const log = openLog(args, io);
  const abort = new AbortController();
  // Every question listens to it.
  setMaxListeners(MAX_LISTENERS, abort.signal);
  const timer = setTimeout(() => abort.abort(timeIsUp()), TIME_LIMIT_MS);
  const { target, kind } = args;
  const parts = { env: io.env, log, signal: abort.signal };
  const contexts =
    target === undefined ? createContexts(args, parts) : targetContexts({ ...args, target }, parts);
  try {
    const all = await contexts;
    await checkAccounts(all, args.account, abort.signal);
    const difference =
      kind === 'node' && target !== undefined
        ? await ofNode({ ...args, target }, contexts, abort.signal)
        : await ofCaller(args, all[0], abort.signal);
    await writeOut(io.stdout, args.json ? asJson(kind, difference) : asText(kind, difference));
    return statusOf(difference);
  } finally {
    clearTimeout(timer);
    for (const context of await contexts.catch(() => [])) context.close();
    log.close();
  }
}

async function ofCaller(
  { policy }: PolicyDiffArgs,
  context: AwsContext | undefined,
  signal: AbortSignal,
): Promise<Difference> {
  if (context === undefined) throw new ProxyError('REGION_MISSING', 'no region to look in');
  const caller = await callerIdentity(context, { signal });
  const place = placeOf(caller, context.region);
  const gaps = await findGaps(context, caller.arn, needsOf(policy, place), place, signal);
  return { gaps, toAdd: missingOf(policy, gaps), beyond: [] };
}

async function ofNode(
  request: TargetRequest,
  contexts: Promise<readonly AwsContext[]>,
  signal: AbortSignal,
): Promise<Difference> {
  const { context, instance } = await findNode(request, contexts, signal);
  const { instanceId, instanceProfile } = instance;
  if (instanceId.startsWith('mi-')) {
    throw new ProxyError(
      'TARGET_INVALID',
      `${instanceId} is a managed instance, whose role is that of its activation`,
      {
        hint: 'ssm-proxy policy node says what that role needs',
      },
    );
  }
  const role =
    instanceProfile === undefined ? undefined : await nodeRole(context, instanceProfile, { signal });
  const caller = await callerIdentity(context, { signal });
  const policy = nodePolicy();
  const place = placeOf(caller, context.region);
  const needs = needsOf(policy, place);
  if (role === undefined) {
    const answers = needs.map((need): Answer => ({ need, verdict: 'missing', why: undefined }));
    const why = `${instanceId} has no instance profile with a role`;
    return { gaps: { principal: '', source: 'nobody', why, answers }, toAdd: policy, beyond: [] };
  }
  const others: Policy = {
    ...policy,
    Statement: [{ Effect: 'Allow', Action: CORE_BEYOND_SESSIONS, Resource: '*' }],
  };
  const gaps = await findGaps(context, role.arn, [...needs, ...needsOf(others, place)], place, signal);
  const isBeyond = ({ action }: Need): boolean => CORE_BEYOND_SESSIONS.includes(action);
  const own = { ...gaps, answers: gaps.answers.filter(({ need }) => !isBeyond(need)) };
  const beyond = gaps.answers.filter(({ need, verdict }) => verdict === 'missing' && isBeyond(need));
  return { gaps: own, toAdd: missingOf(policy, own), beyond: beyond.map(({ need }) => need.action) };
}

function missingOf(policy: Policy, { answers }: PolicyGaps): Policy | undefined {
  const missing = answers.filter(({ verdict }) => verdict === 'missing').map(({ need }) => need);
  return policyOf(policy, missing);
}

function statusOf({ gaps, toAdd }: Difference): number {
  if (toAdd !== undefined) return MISSING_STATUS;
  return gaps.answers.some(({ verdict }) => verdict === 'unknown') ? ERROR_TABLE.ACCESS_DENIED.exitStatus : 0;
}

function asText(kind: PolicyKind, { gaps, toAdd, beyond }: Difference): string {
  const { principal, source, why, answers } = gaps;
  const head = [
    ...(principal === '' ? [] : [[kind === 'user' ? 'You are' : 'Role', principal]]),
    ['Says who', `${SOURCE_WORDS[source]}${why === undefined ? '' : `: ${why}`}`],
  ];
  const rows = answers.map(({ need, verdict, why: reason }) => [
    VERDICT_WORDS[verdict],
    need.action,
    need.pattern,
    reason ?? (verdict === 'missing' ? (LOST_WITHOUT.get(need.action) ?? '') : ''),
  ]);
  const paragraphs = [columns(head), columns(rows)];
  if (beyond.length > 0) {
    paragraphs.push(
      `Not needed for sessions, but in AmazonSSMManagedInstanceCore and not allowed: ${beyond.join(', ')}\n`,
    );
  }
  if (toAdd !== undefined) {
    paragraphs.push(
      `Add to a policy of this ${kind === 'user' ? 'user or role' : 'role'}:\n`,
      `${JSON.stringify(toAdd, null, 2)}\n`,
    );
  } else if (answers.every(({ verdict }) => verdict === 'allowed')) {
    paragraphs.push('Nothing is missing.\n');
  } else {
    paragraphs.push('Nothing is known to be missing, but not everything could be told.\n');
  }
  return paragraphs.map((text) => text.replace(/[^\n]+/g, printable)).join('\n');
}

const SOURCE_WORDS: Readonly<Record<PolicyGaps['source'], string>> = {
  simulator: 'the policy simulator',
  policies: 'the policies, read one by one, without limits of the organization',
  nobody: 'nobody',
};

const VERDICT_WORDS = { allowed: 'allowed', missing: 'missing', unknown: 'not known' } as const;

function asJson(kind: PolicyKind, { gaps, toAdd, beyond }: Difference): string {
  const { principal, source, why, answers } = gaps;
  const facts = {
    ...{ schema: SCHEMA, kind, principal: principal === '' ? null : principal, source, why: why ?? null },
    isComplete: answers.every(({ verdict }) => verdict === 'allowed'),
    answers: answers.map(({ need, verdict, why: reason }) => ({
      ...{ action: need.action, resource: need.pattern, asked: need.resource, verdict, why: reason ?? null },
    })),
    toAdd: toAdd ?? null,
    beyond,
  };
  return `${JSON.stringify(facts)}\n`;
}

function timeIsUp(): ProxyError {
  return new ProxyError('CONNECT_TIMEOUT', `no answer within ${TIME_LIMIT_MS / 1000} s`, {
    hint: 'see what stands in the way: ssm-proxy check',
  });
}
