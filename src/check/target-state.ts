/** The node itself: found, running, its role, its agent. */
import type { AwsContext } from '../aws/context.ts';
import { describeInstance, locateAcross } from '../aws/instance.ts';
import type { Instance } from '../aws/instance.ts';
import { agentStatus } from '../aws/ssm-session.ts';
import type { NodeRole } from '../aws/node-role.ts';
import type { AgentStatus } from '../aws/ssm-session.ts';
import { parseTarget } from '../aws/target.ts';
import { asProxyError } from '../errors.ts';
import { isEverywhere } from '../find-target.ts';
import type { TargetRequest } from '../find-target.ts';
import type { Finding } from './finding.ts';
import { codeOf, failed, failure, ok, skipped, warning } from './finding.ts';
import { inTime } from '../times-in-words.ts';

/** Managed policies with which an agent can register and carry sessions. */
const SUFFICIENT: ReadonlySet<string> = new Set([
  'AmazonSSMManagedInstanceCore',
  'AmazonSSMManagedEC2InstanceDefaultPolicy',
  'AmazonEC2RoleforSSM',
  'AdministratorAccess',
]);
export const CORE_POLICY = 'AmazonSSMManagedInstanceCore';

export interface FoundNode {
  readonly context: AwsContext;
  readonly instance: Instance;
}

/** The instance that the target names, in whatever state. Rejects with why there is none. */
export async function findNode(
  request: TargetRequest,
  contexts: Promise<readonly AwsContext[]>,
  signal: AbortSignal,
): Promise<FoundNode> {
  const options = { signal, skipsDenied: isEverywhere(request) };
  const scope = { vpc: request.vpc, tags: request.tags };
  const { instance, context } = await locateAcross(
    await contexts,
    parseTarget(request.target),
    scope,
    options,
  );
  if (instance.instanceId.startsWith('mi-') || instance.state !== 'unknown') return { context, instance };
  try {
    return { context, instance: await describeInstance(context, instance.instanceId, { signal }) };
  } catch (thrown) {
    // An ID needs no EC2 call, so connect works without this permission.
    if (codeOf(thrown) === 'ACCESS_DENIED') return { context, instance };
    throw thrown;
  }
}

export async function checkTarget(
  pending: Promise<FoundNode>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  let node: FoundNode;
  try {
    node = await pending;
  } catch (thrown) {
    return [failure('target.instance', 'Instance', thrown)];
  }
  const agent = agentStatus(node.context, node.instance.instanceId, { signal });
  const [online, role] = await Promise.all([agentFinding(agent), roleFinding(node, agent, signal)]);
  return [instanceFinding(node.instance), role, online];
}

function instanceFinding(instance: Instance): Finding {
  const id = 'target.instance';
  const { instanceId, name, privateIp, region, vpcId, state, launchTime } = instance;
  const parts = [instanceId, name, privateIp, region, vpcId].filter((part) => part !== undefined);
  const launched = launchTime === undefined ? '' : `, launched ${inTime(launchTime.getTime() - Date.now())}`;
  const seen = `${parts.join(' ')}, ${state}${launched}`;
  switch (state) {
    case 'running':
    case 'unknown':
      return ok(id, 'Instance', seen);
    case 'pending':
      return warning(id, 'Instance', seen, 'wait until it runs: ssm-proxy wait');
    default:
      return failed(
        id,
        'Instance',
        seen,
        `start it: aws ec2 start-instances --instance-ids ${instanceId} --region ${region}`,
      );
  }
}

async function agentFinding(pending: Promise<AgentStatus>): Promise<Finding> {
  const id = 'target.agent';
  const what = 'SSM agent';
  try {
    const { status, agentVersion, lastPing, platform } = await pending;
    const facts = [agentVersion && `version ${agentVersion}`, platform].filter((part) => part).join(', ');
    const heard =
      lastPing === undefined
        ? ''
        : `, last heard of ${inTime(lastPing.getTime() - Date.now())} (${lastPing.toISOString()})`;
    switch (status) {
      case 'online':
        return ok(id, what, `online${facts === '' ? '' : `, ${facts}`}${heard}`);
      case 'unknown':
        return skipped(id, what, 'ssm:DescribeInstanceInformation is not allowed');
      case 'unregistered':
        return failed(
          id,
          what,
          'SSM does not know this instance',
          `give it a role with ${CORE_POLICY}, an SSM agent (snap install amazon-ssm-agent --classic), and a way to the endpoints ssm, ssmmessages and ec2messages (NAT or VPC endpoints)`,
        );
      default:
        return failed(
          id,
          what,
          `not connected${heard}`,
          'on the node: systemctl restart amazon-ssm-agent, and look at its way to the SSM endpoints (route, security group, DNS of the VPC)',
        );
    }
  } catch (thrown) {
    return failure(id, what, thrown);
  }
}

/** An agent that is online has what it needs, whatever the policies are called. */
async function roleFinding(
  { context, instance }: FoundNode,
  agent: Promise<AgentStatus>,
  signal: AbortSignal,
): Promise<Finding> {
  const id = 'target.role';
  const what = 'Role of node';
  const isOnline = (await agent.catch(() => undefined))?.status === 'online';
  if (instance.instanceId.startsWith('mi-'))
    return ok(id, what, 'a managed instance has the role of its activation');
  if (instance.instanceProfile === undefined) {
    if (isOnline || instance.state === 'unknown') {
      return ok(
        id,
        what,
        isOnline
          ? 'no instance profile, and the agent is online (default host management)'
          : 'not known: EC2 was not asked',
      );
    }
    return failed(
      id,
      what,
      'no instance profile',
      `attach one whose role has ${CORE_POLICY}: aws ec2 associate-iam-instance-profile --instance-id ${instance.instanceId} --region ${instance.region} --iam-instance-profile Name=NAME`,
    );
  }
  try {
    const { nodeRole } = await import('../aws/node-role.ts');
    const role = await nodeRole(context, instance.instanceProfile, { signal, isSingle: true });
    if (role === undefined)
      return failed(
        id,
        what,
        `the instance profile ${shortName(instance.instanceProfile)} holds no role`,
        'add a role to it',
      );
    const sufficient = sufficientPolicy(role);
    if (sufficient !== undefined) return ok(id, what, `${role.roleName}, with ${sufficient}`);
    if (isOnline) return ok(id, what, `${role.roleName}; the agent is online, so its policies suffice`);
    const partition = instance.instanceProfile.split(':')[1] ?? 'aws';
    const policyArn = `arn:${partition}:iam::aws:policy/${CORE_POLICY}`;
    return {
      ...failed(
        id,
        what,
        `${role.roleName} lacks ${CORE_POLICY}`,
        `aws iam attach-role-policy --role-name ${role.roleName} --policy-arn ${policyArn}; or let ssm-proxy do it: --fix`,
      ),
      mend: { kind: 'attach-policy', roleName: role.roleName, policyArn },
    };
  } catch (thrown) {
    const { code, message } = asProxyError(thrown);
    if (isOnline)
      return ok(id, what, `${shortName(instance.instanceProfile)}; the agent is online, so it suffices`);
    return skipped(id, what, code === 'ACCESS_DENIED' ? 'iam:GetInstanceProfile is not allowed' : message);
  }
}

/** The name of a managed policy of the role that has what an agent needs. */
export function sufficientPolicy({ policies }: NodeRole): string | undefined {
  return policies.map(shortName).find((name) => SUFFICIENT.has(name));
}

function shortName(arn: string): string {
  return arn.slice(arn.lastIndexOf('/') + 1);
}
