/** `ssm-proxy policy`: the least IAM policy, for people or for nodes. Only `policy diff` asks AWS (policy-diff.ts). */
import { checkRegion } from '../aws/region.ts';
import { ALL_REGIONS } from '../aws/regions.ts';
import { ProxyError } from '../errors.ts';
import type { PolicyFormat, PolicyKind } from '../policy/formats.ts';
import { POLICY_FORMATS, formatPolicy } from '../policy/formats.ts';
import type { Policy, PolicyScope, Use } from '../policy/policies.ts';
import { USES, nodePolicy, userPolicy } from '../policy/policies.ts';
import type { CliIo } from './io.ts';
import type { OptionReader } from './option-values.ts';
import { writeOut } from './output.ts';
import type { PolicyDiffArgs } from './policy-diff.ts';
import { readAccount, readTargetOptions } from './target-options.ts';

export type PolicyArgs = PrintArgs | { readonly diff: PolicyDiffArgs };

interface PrintArgs {
  readonly diff?: undefined;
  readonly kind: PolicyKind;
  readonly format: PolicyFormat;
  readonly policy: Policy;
}

/** `words`: what follows `policy`; `narrowing`: what was given for this policy, without the config file. Throws USAGE. */
export function readPolicyArgs(
  [kind = '', ...words]: readonly string[],
  options: OptionReader,
  narrowing: OptionReader,
): PolicyArgs {
  if (kind === 'diff') return { diff: readDiffArgs(words, options, narrowing) };
  const [extra] = words;
  if (extra !== undefined) {
    throw new ProxyError('USAGE', `policy ${kind} takes no argument ${JSON.stringify(extra)}`, {
      hint: 'ssm-proxy policy diff node <target> is about one node',
    });
  }
  const format = readChoice(options.text('format') ?? 'json', 'format', POLICY_FORMATS);
  const scope = readScope(narrowing);
  if (kind === 'user') return { kind, format, policy: userPolicy(scope) };
  if (kind !== 'node') {
    throw new ProxyError('USAGE', `there is no policy for ${JSON.stringify(kind)}`, {
      hint: 'ssm-proxy policy user, ssm-proxy policy node, or ssm-proxy policy diff',
    });
  }
  const isNarrowed =
    scope.account !== undefined ||
    scope.regions.length > 0 ||
    Object.keys(scope.tags).length > 0 ||
    scope.user !== undefined;
  if (isNarrowed || options.text('for') !== undefined) {
    throw new ProxyError('USAGE', 'the policy of a node cannot be narrowed', {
      hint: '--account, --region, --tag, --user and --for are for ssm-proxy policy user',
    });
  }
  return { kind, format, policy: nodePolicy() };
}

function readDiffArgs(
  [kind = 'user', target, extra]: readonly string[],
  options: OptionReader,
  narrowing: OptionReader,
): PolicyDiffArgs {
  const hint = 'ssm-proxy policy diff [user], or ssm-proxy policy diff node <target>';
  const fail = (what: string): never => {
    throw new ProxyError('USAGE', what, { hint });
  };
  if (extra !== undefined) fail(`policy diff takes no argument ${JSON.stringify(extra)}`);
  if (kind === 'user' && target !== undefined)
    fail(`policy diff user takes no argument ${JSON.stringify(target)}`);
  if (kind === 'node' && target === undefined) fail('the target is missing');
  if (kind !== 'user' && kind !== 'node') fail(`there is no policy for ${JSON.stringify(kind)}`);
  return {
    ...readTargetOptions(options),
    kind: kind === 'node' ? 'node' : 'user',
    target,
    policy: kind === 'node' ? nodePolicy() : userPolicy(readScope(narrowing)),
    json: options.switch('json'),
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
  };
}

function readScope(options: OptionReader): PolicyScope {
  const regions = options.list('region') ?? [];
  for (const region of regions) checkRegion(region, 'flag');
  return {
    account: readAccount(options),
    regions: regions.includes(ALL_REGIONS) ? [] : regions,
    tags: Object.fromEntries(options.pairs('tag')),
    user: options.text('user'),
    uses: [...new Set((options.list('for') ?? ['connect']).map((use): Use => readChoice(use, 'for', USES)))],
  };
}

function readChoice<Choice extends string>(text: string, name: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((known) => known === text);
  if (choice !== undefined) return choice;
  throw new ProxyError('USAGE', `--${name} ${JSON.stringify(text)} cannot be used`, {
    hint: `give one of ${choices.join(', ')}`,
  });
}

/** Exit status. */
export async function runPolicy(args: PolicyArgs, io: CliIo): Promise<number> {
  if (args.diff !== undefined) {
    const { runPolicyDiff } = await import('./policy-diff.ts');
    return runPolicyDiff(args.diff, io);
  }
  const { kind, format, policy } = args;
  await writeOut(io.stdout, formatPolicy(policy, kind, format));
  return 0;
}
