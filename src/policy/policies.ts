/**
 * The least IAM policies: of the person or role that connects, and of the nodes. The README shows the first one, and a
 * test holds the two together. Pure.
 */

/** One statement of a policy, in IAM's own words. */
export interface Statement {
  readonly Effect: 'Allow';
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

export interface Policy {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

/** The last two are options of `connect`, which they include. */
export const USES = [
  'connect',
  'shell',
  'exec',
  'forward',
  'host-keys',
  'push-key',
  'start-instance',
] as const;
export type Use = (typeof USES)[number];

export interface PolicyScope {
  /** Twelve digits; undefined: any. */
  readonly account: string | undefined;
  /** Empty: any. */
  readonly regions: readonly string[];
  /** Tags that the instances must have. */
  readonly tags: Readonly<Record<string, string>>;
  readonly uses: readonly Use[];
  /** A port document of the user's own, in place of AWS's. */
  readonly document?: string | undefined;
  /** User of the nodes for whom keys may be pushed; undefined: any. */
  readonly user?: string | undefined;
}

interface DocumentName {
  readonly name: string;
  /** In the caller's account; those of AWS are in none. */
  readonly isOwn: boolean;
}

const SSH_DOCUMENTS: readonly DocumentName[] = [{ name: 'AWS-StartSSHSession', isOwn: false }];

const DOCUMENTS: Readonly<Record<Use, readonly DocumentName[]>> = {
  connect: SSH_DOCUMENTS,
  'push-key': SSH_DOCUMENTS,
  'start-instance': SSH_DOCUMENTS,
  shell: [{ name: 'SSM-SessionManagerRunShell', isOwn: true }],
  exec: [
    { name: 'AWS-StartNonInteractiveCommand', isOwn: false },
    { name: 'AWS-StartInteractiveCommand', isOwn: false },
  ],
  forward: [
    { name: 'AWS-StartPortForwardingSession', isOwn: false },
    { name: 'AWS-StartPortForwardingSessionToRemoteHost', isOwn: false },
  ],
  // From the console; over a session they are read with what exec has.
  'host-keys': [],
};

/** For the person or role that connects. */
export function userPolicy(scope: PolicyScope): Policy {
  const { account = '*', tags, regions } = scope;
  const ec2Instances = arns(
    scope,
    (partition, region) => `arn:${partition}:ec2:${region}:${account}:instance/*`,
  );
  const instances = [
    ...ec2Instances,
    ...arns(scope, (partition, region) => `arn:${partition}:ssm:${region}:${account}:managed-instance/*`),
  ];
  const documents = [...new Set(scope.uses.flatMap((use) => documentsOf(use, scope)))].flatMap(
    ({ name, isOwn }) =>
      arns(
        scope,
        (partition, region) => `arn:${partition}:ssm:${region}:${isOwn ? account : '*'}:document/${name}`,
      ),
  );
  return policy([
    {
      ...allow(['ec2:DescribeInstances', 'ec2:DescribeVpcs', 'ssm:DescribeInstanceInformation'], '*'),
      ...(regions.length > 0 && { Condition: { StringEquals: { 'aws:RequestedRegion': regions } } }),
    },
    // A condition on tags of the instance would not hold for the document, which has none.
    ...(Object.keys(tags).length === 0
      ? [allow('ssm:StartSession', [...instances, ...documents])]
      : [
          { ...allow('ssm:StartSession', instances), Condition: tagCondition(tags) },
          allow('ssm:StartSession', documents),
        ]),
    allow(
      ['ssm:ResumeSession', 'ssm:TerminateSession', 'ssmmessages:OpenDataChannel'],
      arns(
        scope,
        (partition, region) => `arn:${partition}:ssm:${region}:${account}:session/\${aws:userid}-*`,
      ),
    ),
    ...onInstances(scope, ec2Instances),
  ]);
}

function documentsOf(use: Use, { document }: PolicyScope): readonly DocumentName[] {
  if (use !== 'connect' || document === undefined) return DOCUMENTS[use];
  return [{ name: document, isOwn: !document.startsWith('AWS-') }];
}

/** What is done to the instances themselves. */
function onInstances({ uses, tags, user }: PolicyScope, instances: readonly string[]): readonly Statement[] {
  const tagged = tagKeys('aws:ResourceTag', tags);
  const narrowed = (statement: Statement, equals: Readonly<Record<string, string>>): Statement =>
    Object.keys(equals).length === 0 ? statement : { ...statement, Condition: { StringEquals: equals } };
  return [
    ...(uses.includes('host-keys') ? [narrowed(allow('ec2:GetConsoleOutput', instances), tagged)] : []),
    ...(uses.includes('push-key')
      ? [
          narrowed(allow('ec2-instance-connect:SendSSHPublicKey', instances), {
            ...tagged,
            ...(user !== undefined && { 'ec2:osuser': user }),
          }),
        ]
      : []),
    ...(uses.includes('start-instance') ? [narrowed(allow('ec2:StartInstances', instances), tagged)] : []),
  ];
}

/** For the role of the nodes: what the agent needs for sessions. AmazonSSMManagedInstanceCore has it, and more. */
export function nodePolicy(): Policy {
  return policy([
    allow(
      [
        'ssm:UpdateInstanceInformation',
        'ssmmessages:CreateControlChannel',
        'ssmmessages:CreateDataChannel',
        'ssmmessages:OpenControlChannel',
        'ssmmessages:OpenDataChannel',
      ],
      '*',
    ),
  ]);
}

/** What AmazonSSMManagedInstanceCore allows beyond sessions: Run Command, inventory, patches, parameters. */
export const CORE_BEYOND_SESSIONS: readonly string[] = [
  ...['DescribeAssociation', 'DescribeDocument', 'GetDeployablePatchSnapshotForInstance', 'GetDocument'],
  ...['GetManifest', 'GetParameter', 'GetParameters', 'ListAssociations', 'ListInstanceAssociations'],
  ...['PutComplianceItems', 'PutConfigurePackageResult', 'PutInventory', 'UpdateAssociationStatus'],
  ...['UpdateInstanceAssociationStatus'],
]
  .map((name) => `ssm:${name}`)
  .concat(
    ['AcknowledgeMessage', 'DeleteMessage', 'FailMessage', 'GetEndpoint', 'GetMessages', 'SendReply'].map(
      (name) => `ec2messages:${name}`,
    ),
  );

function policy(statements: readonly Statement[]): Policy {
  return { Version: '2012-10-17', Statement: statements };
}

/** One text stands alone, as people write it. */
function allow(actions: string | readonly string[], resources: string | readonly string[]): Statement {
  const [only, second] = typeof resources === 'string' ? [resources] : resources;
  const resource = only !== undefined && second === undefined ? only : resources;
  return { Effect: 'Allow', Action: actions, Resource: resource };
}

/** All tags of one condition have to match. */
function tagCondition(tags: Readonly<Record<string, string>>): NonNullable<Statement['Condition']> {
  return { StringEquals: tagKeys('ssm:resourceTag', tags) };
}

/** EC2's services have another key for the same tags than SSM. */
function tagKeys(
  prefix: 'ssm:resourceTag' | 'aws:ResourceTag',
  tags: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(tags).map(([key, value]) => [`${prefix}/${key}`, value]));
}

function arns(
  { regions }: PolicyScope,
  arn: (partition: string, region: string) => string,
): readonly string[] {
  if (regions.length === 0) return [arn('aws', '*')];
  return regions.map((region) => arn(partitionOf(region), region));
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}
