/**
 * A policy as single questions: one action on one resource, as the policy simulator takes them. And back: of what is
 * missing, the statements to add. What `check` and `policy diff` ask about comes from the policies that `policy` prints,
 * so the three cannot disagree. Pure.
 */
import type { Policy, Statement } from './policies.ts';

export interface Need {
  readonly action: string;
  /** As the policy has it: `arn:aws:ec2:*:*:instance/*`. */
  readonly pattern: string;
  /** What is asked about: an ARN that the pattern stands for, or `*`. */
  readonly resource: string;
  /** Keys that the policy's conditions are about, with the values that it wants. */
  readonly context: Readonly<Record<string, readonly string[]>>;
  readonly statement: Statement;
}

/** Who asks, and where. */
export interface Place {
  readonly partition: string;
  readonly region: string;
  /** Twelve digits. */
  readonly account: string;
  /** What `${aws:userid}` stands for. */
  readonly userId: string;
}

/** An ID of the right form that no session has. */
export const NOBODYS_SUFFIX = '00000000000000000';

/** What is lost without an action; the others are needed by every connection. */
export const LOST_WITHOUT: ReadonlyMap<string, string> = new Map([
  ['ec2:DescribeInstances', 'without it targets can be given by instance ID only'],
  ['ec2:DescribeVpcs', 'for --vpc by name only'],
  ['ssm:DescribeInstanceInformation', 'it tells why an agent is not connected'],
  ['ssm:ResumeSession', 'without it a connection that is lost, or an hour old, cannot be carried on'],
  ['ssm:TerminateSession', 'without it sessions that end abnormally stay open until their idle timeout'],
]);

export function needsOf(policy: Policy, place: Place): readonly Need[] {
  return policy.Statement.flatMap((statement) =>
    listOf(statement.Action).flatMap((action) =>
      listOf(statement.Resource).map((pattern) => ({
        ...{ action, pattern, statement },
        resource: instanceOf(pattern, place),
        context: contextOf(statement, place),
      })),
    ),
  );
}

/** The policy's own statements, cut down to these needs; undefined when there is none. */
export function policyOf(policy: Policy, needs: readonly Need[]): Policy | undefined {
  const statements = policy.Statement.flatMap((statement) => {
    const own = needs.filter((need) => need.statement === statement);
    // Actions that lack the same resources stay together.
    const groups = new Map<string, { actions: string[]; resources: readonly string[] }>();
    for (const action of new Set(own.map((need) => need.action))) {
      const resources = own.filter((need) => need.action === action).map(({ pattern }) => pattern);
      const group = groups.get(resources.join(' ')) ?? { actions: [], resources };
      group.actions.push(action);
      groups.set(resources.join(' '), group);
    }
    return [...groups.values()].map(({ actions, resources }) => ({
      ...statement,
      Action: single(actions),
      Resource: single(resources),
    }));
  });
  return statements.length === 0 ? undefined : { ...policy, Statement: statements };
}

/** `*` in an ARN's fields becomes the caller's own; documents of AWS are in no account. */
function instanceOf(pattern: string, { partition, region, account, userId }: Place): string {
  const [, own, service, ownRegion, ownAccount, rest = ''] =
    /^arn:([^:]*):([^:]*):([^:]*):([^:]*):(.*)$/.exec(pattern) ?? [];
  if (own === undefined || service === undefined) return pattern;
  const isOfAws = rest.startsWith('document/AWS-');
  const fields = [
    own === 'aws' ? partition : own,
    service,
    ownRegion === '*' ? region : ownRegion,
    isOfAws ? '' : ownAccount === '*' ? account : ownAccount,
  ];
  return `arn:${fields.join(':')}:${rest.replace('${aws:userid}-*', `${userId}-${NOBODYS_SUFFIX}`)}`;
}

function contextOf({ Condition = {} }: Statement, { region }: Place): Need['context'] {
  const keys = Object.values(Condition).flatMap((each) => Object.entries(each));
  return {
    'aws:RequestedRegion': [region],
    ...Object.fromEntries(keys.map(([key, value]) => [key, listOf(value)])),
  };
}

function listOf<T>(value: T | readonly T[]): readonly T[] {
  return Array.isArray(value) ? (value as readonly T[]) : [value as T];
}

function single(values: readonly string[]): string | readonly string[] {
  const [only, second] = values;
  return only !== undefined && second === undefined ? only : values;
}
