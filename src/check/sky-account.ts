/** What SkyPilot will use in the account: its VPC and that one's way to SSM, and the role that it gives to nodes. */
import type { AwsContext } from '../aws/context.ts';
import { asProxyError } from '../errors.ts';
import type { Finding } from './finding.ts';
import { codeOf, failed, failure, ok, skipped, warning } from './finding.ts';
import { CORE_POLICY, sufficientPolicy } from './target-state.ts';

/** SkyPilot's name for the instance profile, and for the role in it. */
const SKY_PROFILE = 'skypilot-v1';
/** What an agent has to reach. The third one only agents before 3.3 need for Run Command. */
const NEEDED_ENDPOINTS = ['ssm', 'ssmmessages'];

/** `vpcNames`: of the config. Each is looked for in every region of `contexts`. */
export async function checkSkyAccount(
  contexts: readonly AwsContext[],
  vpcNames: readonly string[],
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const found = await Promise.all([
    ...contexts.flatMap((context) => vpcNames.map((name) => vpcFindings(context, name, signal))),
    ...contexts.slice(0, 1).map(async (context) => [await roleFinding(context, signal)]),
  ]);
  return found.flat();
}

async function vpcFindings(
  context: AwsContext,
  name: string,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { region } = context;
  const id = `sky-account.vpc.${region}.${name}`;
  const what = 'VPC';
  const { describeVpcEndpoints } = await import('../aws/ec2.ts');
  const { vpcIdsByName } = await import('../aws/vpcs.ts');
  let vpcs: ReadonlySet<string>;
  try {
    vpcs = await vpcIdsByName(context, name, { signal });
  } catch (thrown) {
    if (codeOf(thrown) !== 'ACCESS_DENIED') return [failure(id, what, thrown)];
    return [skipped(id, what, `${name} in ${region}: not known, ec2:DescribeVpcs is not allowed`)];
  }
  const [vpcId, second] = vpcs;
  if (vpcId === undefined) {
    return [
      failed(id, what, `no VPC is named ${name} in ${region}`, 'mend vpc_names, or leave the region out'),
    ];
  }
  const seen = `${name} is ${[...vpcs].join(', ')} in ${region}`;
  if (second !== undefined) return [warning(id, what, seen, 'give one of them another Name tag')];
  const wayId = id.replace('.vpc.', '.way-to-ssm.');
  try {
    const services = await describeVpcEndpoints(context, vpcId, { signal });
    const missing = NEEDED_ENDPOINTS.filter((each) => !services.includes(`com.amazonaws.${region}.${each}`));
    const way =
      missing.length === 0
        ? ok(wayId, 'Way to SSM', `${vpcId} has VPC endpoints for ${NEEDED_ENDPOINTS.join(' and ')}`)
        : warning(
            wayId,
            'Way to SSM',
            `${vpcId} has no VPC endpoint for ${missing.join(' and ')}: nodes reach SSM only if their subnets have a NAT, which is not looked at`,
            `without a NAT, make endpoints: ${missing.map((each) => `com.amazonaws.${region}.${each}`).join(', ')}`,
          );
    return [ok(id, what, seen), way];
  } catch (thrown) {
    const { code, message } = asProxyError(thrown);
    const why = code === 'ACCESS_DENIED' ? 'ec2:DescribeVpcEndpoints is not allowed' : message;
    return [ok(id, what, seen), skipped(wayId, 'Way to SSM', `not known: ${why}`)];
  }
}

async function roleFinding(context: AwsContext, signal: AbortSignal): Promise<Finding> {
  const id = 'sky-account.role';
  const what = 'Role of nodes';
  try {
    const { nodeRole } = await import('../aws/node-role.ts');
    const role = await nodeRole(context, SKY_PROFILE, { signal, isSingle: true });
    if (role === undefined) return failed(id, what, `the instance profile ${SKY_PROFILE} holds no role`);
    const sufficient = sufficientPolicy(role);
    if (sufficient !== undefined) return ok(id, what, `${role.roleName}, with ${sufficient}`);
    const policyArn = `arn:${role.arn.split(':')[1] ?? 'aws'}:iam::aws:policy/${CORE_POLICY}`;
    return failed(
      id,
      what,
      `${role.roleName} has no managed policy with the rights of ${CORE_POLICY}`,
      `unless a policy of your own has them: aws iam attach-role-policy --role-name ${role.roleName} --policy-arn ${policyArn}`,
    );
  } catch (thrown) {
    const { code, message } = asProxyError(thrown);
    if (code === 'ACCESS_DENIED')
      return skipped(id, what, 'not known: iam:GetInstanceProfile is not allowed');
    if (!/NoSuchEntity/.test(message)) return failure(id, what, thrown);
    return warning(
      id,
      what,
      `there is no instance profile ${SKY_PROFILE} yet: SkyPilot makes it with the first launch`,
      `after that it needs ${CORE_POLICY}: run this check again`,
    );
  }
}
