/** `ssm-proxy policy`: the least IAM policy, for people or for nodes. Nothing is asked of AWS. */
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
import { readAccount } from './target-options.ts';

export interface PolicyArgs {
  readonly kind: PolicyKind;
  readonly format: PolicyFormat;
  readonly policy: Policy;
}

/** Throws USAGE. */
export function readPolicyArgs(kind: string, options: OptionReader): PolicyArgs {
  const format = readChoice(options.text('format') ?? 'json', 'format', POLICY_FORMATS);
  const scope = readScope(options);
  if (kind === 'user') return { kind, format, policy: userPolicy(scope) };
  if (kind !== 'node') {
    throw new ProxyError('USAGE', `there is no policy for ${JSON.stringify(kind)}`, {
      hint: 'ssm-proxy policy user, or ssm-proxy policy node',
    });
  }
  const isNarrowed =
    scope.account !== undefined || scope.regions.length > 0 || Object.keys(scope.tags).length > 0;
  if (isNarrowed || options.text('for') !== undefined) {
    throw new ProxyError('USAGE', 'the policy of a node cannot be narrowed', {
      hint: '--account, --region, --tag and --for are for ssm-proxy policy user',
    });
  }
  return { kind, format, policy: nodePolicy() };
}

function readScope(options: OptionReader): PolicyScope {
  const regions = options.list('region') ?? [];
  for (const region of regions) checkRegion(region, 'flag');
  return {
    account: readAccount(options),
    regions: regions.includes(ALL_REGIONS) ? [] : regions,
    tags: Object.fromEntries(options.pairs('tag')),
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
export async function runPolicy({ kind, format, policy }: PolicyArgs, io: CliIo): Promise<number> {
  await writeOut(io.stdout, formatPolicy(policy, kind, format));
  return 0;
}
