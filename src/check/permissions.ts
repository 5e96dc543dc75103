/**
 * What the caller may do, of all that connecting takes. Most is tried, in ways that change nothing: a dry run, and
 * calls about a session that does not exist, which AWS refuses only after it has looked at the permission. What can be
 * known by doing alone (StartSession, OpenDataChannel) the policy simulator is asked, where that is allowed.
 */
import type { CallerIdentity } from '../aws/caller-identity.ts';
import type { AwsContext } from '../aws/context.ts';
import { serviceErrorOf } from '../aws/errors.ts';
import { agentStatus, resumeSession, terminateSession } from '../aws/ssm-session.ts';
import { ProxyError } from '../errors.ts';
import { LOST_WITHOUT, NOBODYS_SUFFIX, needsOf } from '../policy/needs.ts';
import { userPolicy } from '../policy/policies.ts';
import { SSH_DOCUMENT } from '../session-purpose.ts';
import { placeOf } from './policy-gaps.ts';
import { whyNot } from './credentials-state.ts';
import type { Finding } from './finding.ts';
import { codeOf, failed, failure, ok, skipped, warning } from './finding.ts';

const SESSIONS = 'arn:aws:ssm:*:*:session/${aws:userid}-*';

export interface PermissionInputs {
  readonly context: Promise<AwsContext>;
  readonly caller: Promise<CallerIdentity>;
  /** A session will be opened: StartSession and OpenDataChannel are proved there. */
  readonly hasTarget: boolean;
  readonly document: string | undefined;
  readonly signal: AbortSignal;
}

export async function checkPermissions(inputs: PermissionInputs): Promise<readonly Finding[]> {
  const context = await inputs.context;
  let caller: CallerIdentity;
  try {
    caller = await inputs.caller;
  } catch (thrown) {
    return [skipped('permissions', 'Permissions', whyNot(thrown))];
  }
  const { signal } = inputs;
  // Sessions are named after the user or the role session.
  const name = caller.userId.split(':').at(-1) ?? caller.userId;
  const sessionId = `${caller.arn.includes(':user/') ? (caller.arn.split('/').at(-1) ?? name) : name}-${NOBODYS_SUFFIX}`;
  const options = { signal, isSingle: true };
  const found = await Promise.all([
    tried('ec2:DescribeInstances', '*', async () =>
      (await import('../aws/ec2.ts')).tryDescribeInstances(context, options),
    ),
    tried(
      'ssm:DescribeInstanceInformation',
      '*',
      async () => {
        const { status } = await agentStatus(context, `i-${NOBODYS_SUFFIX}`, options);
        if (status === 'unknown') throw new ProxyError('ACCESS_DENIED', 'denied');
      },
      `optional: ${LOST_WITHOUT.get('ssm:DescribeInstanceInformation') ?? ''}`,
    ),
    tried(
      'ssm:ResumeSession',
      SESSIONS,
      () => resumeSession(context, sessionId, options),
      LOST_WITHOUT.get('ssm:ResumeSession'),
    ),
    tried(
      'ssm:TerminateSession',
      SESSIONS,
      () => terminateSession(context, sessionId, options),
      LOST_WITHOUT.get('ssm:TerminateSession'),
    ),
    inputs.hasTarget ? [] : simulated(context, caller, inputs),
  ]);
  return found.flat();
}

/** `importance` given: the permission can be done without, in the way that it says. */
async function tried(
  action: string,
  resource: string,
  attempt: () => Promise<unknown>,
  importance?: string,
): Promise<readonly Finding[]> {
  const id = `permissions.${action}`;
  try {
    await attempt();
    return [ok(id, action, 'allowed')];
  } catch (thrown) {
    if (isAboutTheSession(thrown)) return [ok(id, action, 'allowed')];
    if (codeOf(thrown) !== 'ACCESS_DENIED') return [failure(id, action, thrown)];
    const fix = `allow ${action} on ${resource}`;
    return [
      importance === undefined
        ? failed(id, action, 'denied', fix)
        : warning(id, action, `denied; ${importance}`, fix),
    ];
  }
}

/** The permission was there, the session was not. */
function isAboutTheSession(thrown: unknown): boolean {
  if (codeOf(thrown) === 'SESSION_GONE') return true;
  const name = thrown instanceof ProxyError ? serviceErrorOf(thrown.cause)?.code : undefined;
  return name === 'DoesNotExistException' || name === 'ValidationException' || name === 'InvalidSessionId';
}

async function simulated(
  context: AwsContext,
  caller: CallerIdentity,
  { document = SSH_DOCUMENT, signal }: PermissionInputs,
): Promise<readonly Finding[]> {
  const { region } = context;
  const own = { account: undefined, regions: [], tags: {}, uses: ['connect'], document } as const;
  const needs = needsOf(userPolicy(own), placeOf(caller, region));
  const { policySource, simulate } = await import('../aws/policy-simulator.ts');
  const options = { signal, isSingle: true };
  const source = policySource(context, caller.arn, options);
  source.catch(() => {});
  return Promise.all(
    ['ssm:StartSession', 'ssmmessages:OpenDataChannel'].map(async (action) => {
      const id = `permissions.${action}`;
      // Managed instances are another matter: few have any.
      const asked = needs.filter(
        (need) => need.action === action && !/:managed-instance\//.test(need.pattern),
      );
      try {
        const arn = await source;
        const answers = await Promise.all(
          asked.map(({ resource }) => simulate(context, arn, { actions: [action], resource }, options)),
        );
        if (answers.flat().every(({ isAllowed }) => isAllowed))
          return ok(id, action, 'allowed, says the policy simulator');
        // It knows no tags of nodes and no conditions on them.
        const wanted = asked.map(({ pattern }) => pattern).join(' and on ');
        return warning(
          id,
          action,
          'not allowed on every node, says the policy simulator',
          `allow ${action} on ${wanted}, or see about one node: ssm-proxy check <target>`,
        );
      } catch {
        return skipped(
          id,
          action,
          'the policy simulator may not be asked; ssm-proxy check <target> tries it',
        );
      }
    }),
  );
}
