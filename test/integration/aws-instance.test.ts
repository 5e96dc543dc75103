/** Finding instances, against a small EC2 on loopback: what is asked, paging, several regions, lying answers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createAwsContext } from '../../src/aws/context.ts';
import type { AwsContext } from '../../src/aws/context.ts';
import { describeInstance, resolveAcross, resolveInstance } from '../../src/aws/instance.ts';
import { parseTarget } from '../../src/aws/target.ts';
import { ProxyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import type { Answer, SeenRequest, TestServer } from '../support/aws-server.ts';
import { serveHttp, xml } from '../support/aws-server.ts';

interface Node {
  readonly id: string;
  readonly region?: string;
  readonly ip?: string;
  /** Of further interfaces. */
  readonly moreIps?: readonly string[];
  readonly publicIp?: string;
  readonly ipv6?: string;
  readonly name?: string;
  readonly state?: string;
  readonly vpc?: string;
  readonly reason?: string;
  readonly privateDns?: string;
}

const REGION = 'us-west-2';
const VPCS: Readonly<Record<string, string>> = { 'vpc-1': 'prod', 'vpc-2': 'test', 'vpc-3': 'prod' };

function nodeXml(node: Node): string {
  const item = (inner: string): string => `<item>${inner}</item>`;
  const cards = [node.ip, ...(node.moreIps ?? [])].map((ip, index) =>
    item(
      `<privateIpAddress>${ip ?? ''}</privateIpAddress><privateIpAddressesSet>${item(
        `<privateIpAddress>${ip ?? ''}</privateIpAddress>${index === 0 && node.publicIp ? `<association><publicIp>${node.publicIp}</publicIp></association>` : ''}`,
      )}</privateIpAddressesSet>${index === 0 && node.ipv6 ? `<ipv6AddressesSet>${item(`<ipv6Address>${node.ipv6}</ipv6Address>`)}</ipv6AddressesSet>` : ''}`,
    ),
  );
  return item(
    `<reservationId>r-1</reservationId><instancesSet>${item(
      `<instanceId>${node.id}</instanceId><instanceState><code>16</code><name>${node.state ?? 'running'}</name></instanceState>` +
        `<privateDnsName>${node.privateDns ?? ''}</privateDnsName><reason>${node.reason ?? ''}</reason><launchTime>2026-11-20T10:11:12.000Z</launchTime>` +
        `<privateIpAddress>${node.ip ?? ''}</privateIpAddress>${node.publicIp ? `<ipAddress>${node.publicIp}</ipAddress>` : ''}<vpcId>${node.vpc ?? 'vpc-1'}</vpcId>` +
        `<networkInterfaceSet>${cards.join('')}</networkInterfaceSet>` +
        `<tagSet>${node.name ? item(`<key>Name</key><value>${node.name}</value>`) : ''}</tagSet>`,
    )}</instancesSet>`,
  );
}

/** Filters of a request: name to values. */
function filtersOf({ parameters }: SeenRequest): Record<string, string[]> {
  const filters: Record<string, string[]> = {};
  for (let i = 1; parameters.has(`Filter.${String(i)}.Name`); i += 1) {
    const values: string[] = [];
    for (let j = 1; parameters.has(`Filter.${String(i)}.Value.${String(j)}`); j += 1) {
      values.push(parameters.get(`Filter.${String(i)}.Value.${String(j)}`) ?? '');
    }
    filters[parameters.get(`Filter.${String(i)}.Name`) ?? ''] = values;
  }
  return filters;
}

const FILTERS: Readonly<Record<string, (node: Node) => readonly (string | undefined)[]>> = {
  'instance-id': (node) => [node.id],
  'network-interface.addresses.private-ip-address': (node) => [node.ip, ...(node.moreIps ?? [])],
  'ip-address': (node) => [node.publicIp],
  'network-interface.addresses.association.public-ip': (node) => [node.publicIp],
  'network-interface.ipv6-addresses.ipv6-address': (node) => [node.ipv6],
  'tag:Name': (node) => [node.name],
  'vpc-id': (node) => [node.vpc ?? 'vpc-1'],
  'private-dns-name': (node) => [node.privateDns],
  'dns-name': () => [],
};

function regionOf({ headers }: SeenRequest): string {
  return /Credential=[^/]+\/\d+\/([^/]+)/.exec(headers.authorization ?? '')?.[1] ?? '';
}

function ec2Error(code: string, message: string, status: number): Answer {
  return xml(
    `<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>1</RequestID></Response>`,
    status,
  );
}

function vpcAnswer(request: SeenRequest): Answer {
  const filters = filtersOf(request);
  const found = Object.entries(VPCS).filter(
    ([id, name]) => filters['vpc-id']?.includes(id) === true || filters['tag:Name']?.includes(name) === true,
  );
  const items = found.map(
    ([id, name]) =>
      `<item><vpcId>${id}</vpcId><tagSet><item><key>Name</key><value>${name}</value></item></tagSet></item>`,
  );
  return xml(`<DescribeVpcsResponse><vpcSet>${items.join('')}</vpcSet></DescribeVpcsResponse>`);
}

/** An EC2 with these instances; filters work, answers come in pages of `pageSize`. */
function ec2(nodes: readonly Node[], pageSize = 100): (request: SeenRequest) => Answer {
  return (request) => {
    if (request.operation === 'DescribeVpcs') return vpcAnswer(request);
    const filters = Object.entries(filtersOf(request));
    const matching = nodes.filter(
      (node) =>
        (node.region ?? REGION) === regionOf(request) &&
        filters.every(([name, values]) =>
          FILTERS[name]?.(node).some((value) => value !== undefined && values.includes(value)),
        ),
    );
    const from = Number(request.parameters.get('NextToken') ?? 0);
    const next = from + pageSize < matching.length ? `<nextToken>${String(from + pageSize)}</nextToken>` : '';
    const items = matching.slice(from, from + pageSize).map(nodeXml);
    return xml(
      `<DescribeInstancesResponse><reservationSet>${items.join('')}</reservationSet>${next}</DescribeInstancesResponse>`,
    );
  };
}

async function withEc2<T>(
  handler: (request: SeenRequest) => Answer,
  work: (context: AwsContext, server: TestServer) => Promise<T>,
): Promise<T> {
  await using server = await serveHttp(handler);
  const env = {
    HOME: '/nonexistent',
    AWS_ACCESS_KEY_ID: 'AKID',
    AWS_SECRET_ACCESS_KEY: 's',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_MAX_ATTEMPTS: '1',
  };
  const context = await createAwsContext({ region: REGION, env, endpointUrl: server.url, log: silentLog });
  try {
    return await work(context, server);
  } finally {
    context.close();
  }
}

async function failure(work: Promise<unknown>): Promise<ProxyError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ProxyError, `a ProxyError, not ${String(error)}`);
  return error;
}

const NODES: readonly Node[] = [
  {
    id: 'i-0000000000000000a',
    ip: '10.0.1.5',
    moreIps: ['10.0.2.5', '10.0.3.5'],
    name: 'gpu-1',
    ipv6: '2600:1f14::5',
  },
  { id: 'i-0000000000000000b', ip: '10.0.1.6', publicIp: '52.1.2.3', name: 'Web' },
  {
    id: 'i-0000000000000000c',
    ip: '10.0.1.7',
    name: 'old',
    state: 'stopped',
    reason: 'User initiated (2026-11-20 10:11:12 GMT)',
  },
  { id: 'i-0000000000000000d', ip: '198.51.100.7', name: 'public-range-inside' },
  { id: 'i-0000000000000000e', ip: '10.9.9.9', vpc: 'vpc-1', name: 'twin' },
  { id: 'i-0000000000000000f', ip: '10.9.9.9', vpc: 'vpc-2', name: 'twin', state: 'pending' },
  { id: 'i-00000000000000010', ip: '10.0.5.1', name: 'db', privateDns: 'db.corp.example.com' },
];

describe('an instance', () => {
  const rows: readonly (readonly [string, string, number])[] = [
    ['10.0.1.5', 'i-0000000000000000a', 1],
    ['10.0.3.5', 'i-0000000000000000a', 1],
    ['2600:1F14:0::0:5', 'i-0000000000000000a', 1],
    ['ip-10-0-1-6.us-west-2.compute.internal', 'i-0000000000000000b', 1],
    ['52.1.2.3', 'i-0000000000000000b', 1],
    ['198.51.100.7', 'i-0000000000000000d', 2],
    ['gpu-1', 'i-0000000000000000a', 1],
    ['Web', 'i-0000000000000000b', 1],
    ['web', 'i-0000000000000000b', 1],
    ['db.corp.example.com', 'i-00000000000000010', 2],
  ];
  for (const [text, id, calls] of rows) {
    it(`is found by ${text} with ${String(calls)} call(s)`, async () => {
      await withEc2(ec2(NODES), async (context, { requests }) => {
        const found = await resolveInstance(context, parseTarget(text));
        assert.equal(found.instanceId, id);
        assert.equal(requests.length, calls);
      });
    });
  }

  it('comes with what EC2 says of it', async () => {
    await withEc2(ec2(NODES), async (context) => {
      assert.deepEqual(await resolveInstance(context, parseTarget('10.0.2.5')), {
        instanceId: 'i-0000000000000000a',
        name: 'gpu-1',
        privateIp: '10.0.1.5',
        ipv6: '2600:1f14::5',
        region: REGION,
        vpcId: 'vpc-1',
        state: 'running',
        launchTime: new Date('2026-11-20T10:11:12Z'),
      });
    });
  });

  it('by its ID costs no call', async () => {
    await withEc2(ec2([]), async (context, { requests }) => {
      for (const id of ['i-0123456789abcdef0', 'mi-0123456789abcdef0']) {
        assert.deepEqual(await resolveInstance(context, parseTarget(id), { vpc: 'prod' }), {
          instanceId: id,
          region: REGION,
          state: 'unknown',
        });
      }
      assert.equal(requests.length, 0);
    });
  });

  it('is asked for with the filter, the scope and a page size, and wildcards are taken literally', async () => {
    await withEc2(ec2(NODES), async (context, { requests }) => {
      await failure(
        resolveInstance(context, parseTarget('A*b?c\\d'), { vpc: 'vpc-0abc', tags: { 'team*': 'ml*' } }),
      );
      assert.deepEqual(filtersOf(requests[0] ?? assert.fail()), {
        'tag:Name': ['A\\*b\\?c\\\\d'],
        'tag:team*': ['ml\\*'],
        'vpc-id': ['vpc-0abc'],
      });
      assert.equal(requests[0]?.parameters.get('MaxResults'), '1000');
    });
  });

  it('is found on any page', async () => {
    const many = Array.from({ length: 7 }, (_each, index): Node => ({
      id: `i-${String(index)}`,
      name: 'pool',
      state: index === 6 ? 'running' : 'terminated',
    }));
    await withEc2(ec2(many, 2), async (context, { requests }) => {
      assert.equal((await resolveInstance(context, parseTarget('pool'))).instanceId, 'i-6');
      assert.deepEqual(
        requests.map(({ parameters }) => parameters.get('NextToken')),
        [null, '2', '4', '6'],
      );
    });
  });

  it('is not believed in when pages never end', async () => {
    const endless = xml(
      '<DescribeInstancesResponse><reservationSet/><nextToken>again</nextToken></DescribeInstancesResponse>',
    );
    await withEc2(
      () => endless,
      async (context) =>
        assert.equal((await failure(resolveInstance(context, parseTarget('web')))).code, 'SERVICE_ERROR'),
    );
  });

  it('is not taken from a server that ignores filters', async () => {
    const everything = (request: SeenRequest): Answer =>
      request.operation === 'DescribeVpcs'
        ? vpcAnswer(request)
        : xml(
            `<DescribeInstancesResponse><reservationSet>${NODES.map(nodeXml).join('')}</reservationSet></DescribeInstancesResponse>`,
          );
    await withEc2(everything, async (context) => {
      assert.equal(
        (await failure(resolveInstance(context, parseTarget('10.0.99.99')))).code,
        'TARGET_NOT_FOUND',
      );
      assert.equal((await failure(resolveInstance(context, parseTarget('nobody')))).code, 'TARGET_NOT_FOUND');
      assert.equal(
        (await failure(resolveInstance(context, parseTarget('gpu-1'), { tags: { a: 'b' } }))).code,
        'TARGET_NOT_FOUND',
      );
      assert.equal(
        (await resolveInstance(context, parseTarget('10.9.9.9'), { vpc: 'vpc-2' })).instanceId,
        'i-0000000000000000f',
      );
    });
  });

  it('that is stopped is TARGET_STOPPED', async () => {
    await withEc2(ec2(NODES), async (context) => {
      const error = await failure(resolveInstance(context, parseTarget('10.0.1.7')));
      assert.equal(error.code, 'TARGET_STOPPED');
      assert.match(error.message, /stopped since 2026-11-20 10:11:12 GMT/);
    });
  });

  it('may not be looked up: ACCESS_DENIED in the words of the AWS CLI', async () => {
    await withEc2(
      () => ec2Error('UnauthorizedOperation', 'You are not authorized to perform this operation.', 403),
      async (context) => {
        const error = await failure(resolveInstance(context, parseTarget('web')));
        assert.equal(error.code, 'ACCESS_DENIED');
        assert.equal(
          error.message,
          'An error occurred (UnauthorizedOperation) when calling the DescribeInstances operation: You are not authorized to perform this operation.',
        );
        assert.match(error.hint ?? '', /ec2:DescribeInstances/);
      },
    );
  });
});

describe('two instances', () => {
  it('of one address are TARGET_AMBIGUOUS, with the names of their VPCs', async () => {
    await withEc2(ec2(NODES), async (context) => {
      const error = await failure(resolveInstance(context, parseTarget('10.9.9.9')));
      assert.equal(error.code, 'TARGET_AMBIGUOUS');
      assert.equal(error.message, '10.9.9.9 names 2 instances in us-west-2');
      assert.deepEqual(error.hint?.split('\n'), [
        'choose with --vpc, --tag key=value, the instance ID:',
        '  i-0000000000000000e us-west-2 vpc-1 (prod) twin running launched 2026-11-20T10:11:12.000Z',
        '  i-0000000000000000f us-west-2 vpc-2 (test) twin pending launched 2026-11-20T10:11:12.000Z',
      ]);
    });
  });

  it('are told apart without the names when those may not be read', async () => {
    const noVpcs = (request: SeenRequest): Answer =>
      request.operation === 'DescribeVpcs'
        ? ec2Error('UnauthorizedOperation', 'no', 403)
        : ec2(NODES)(request);
    await withEc2(noVpcs, async (context) => {
      const error = await failure(resolveInstance(context, parseTarget('twin')));
      assert.equal(error.code, 'TARGET_AMBIGUOUS');
      assert.match(error.hint ?? '', /vpc-1 twin running/);
    });
  });

  it('are told apart by the VPC, by ID or by name', async () => {
    await withEc2(ec2(NODES), async (context) => {
      const find = (vpc: string) => resolveInstance(context, parseTarget('10.9.9.9'), { vpc });
      assert.equal((await find('vpc-2')).instanceId, 'i-0000000000000000f');
      assert.equal((await find('test')).instanceId, 'i-0000000000000000f');
      assert.equal((await find('prod')).instanceId, 'i-0000000000000000e');
      const error = await failure(find('nowhere'));
      assert.equal(error.code, 'TARGET_NOT_FOUND');
      assert.match(error.message, /with VPC nowhere/);
    });
  });
});

describe('several regions', () => {
  const nodes: readonly Node[] = [
    { id: 'i-0000000000000000a', ip: '172.31.0.5', region: 'us-west-2' },
    { id: 'i-0000000000000000b', ip: '172.31.0.5', region: 'eu-west-1', vpc: 'vpc-3' },
    { id: 'i-0000000000000000c', ip: '172.31.0.6', region: 'eu-west-1' },
  ];
  const regions = ['us-west-2', 'eu-west-1', 'ap-south-1'];
  const across = (context: AwsContext): AwsContext[] => regions.map((region) => context.withRegion(region));

  it('are searched at once, and the one that has it is named', async () => {
    await withEc2(ec2(nodes), async (context, { requests }) => {
      const found = await resolveAcross(across(context), parseTarget('172.31.0.6'));
      assert.deepEqual([found.instanceId, found.region], ['i-0000000000000000c', 'eu-west-1']);
      assert.deepEqual(requests.map(regionOf).sort(), [...regions].sort());
    });
  });

  it('that both have it are TARGET_AMBIGUOUS', async () => {
    await withEc2(ec2(nodes), async (context) => {
      const error = await failure(resolveAcross(across(context), parseTarget('172.31.0.5')));
      assert.equal(error.code, 'TARGET_AMBIGUOUS');
      assert.match(error.hint ?? '', /choose with --region, --vpc,/);
      assert.match(error.hint ?? '', /eu-west-1 vpc-3 \(prod\)/);
    });
  });

  it('are not searched when the name tells one of them', async () => {
    await withEc2(ec2(nodes), async (context, { requests }) => {
      const target = parseTarget('ip-172-31-0-5.eu-west-1.compute.internal');
      assert.equal((await resolveAcross(across(context), target)).instanceId, 'i-0000000000000000b');
      assert.deepEqual(requests.map(regionOf), ['eu-west-1']);
    });
  });

  it('tell where an ID is', async () => {
    await withEc2(ec2(nodes), async (context) => {
      const found = await resolveAcross(across(context), parseTarget('i-0000000000000000b'));
      assert.equal(found.region, 'eu-west-1');
      const error = await failure(resolveAcross(across(context), parseTarget('mi-0123456789abcdef0')));
      assert.match(error.hint ?? '', /--region/);
    });
  });

  it('fail when one of them does: the instance may be there', async () => {
    const oneFails = (request: SeenRequest): Answer =>
      regionOf(request) === 'ap-south-1'
        ? ec2Error('OptInRequired', 'not subscribed', 401)
        : ec2(nodes)(request);
    await withEc2(oneFails, async (context) => {
      assert.equal(
        (await failure(resolveAcross(across(context), parseTarget('172.31.0.6')))).code,
        'ACCESS_DENIED',
      );
    });
  });

  it('that have nothing are all named', async () => {
    await withEc2(ec2(nodes), async (context) => {
      const error = await failure(resolveAcross(across(context), parseTarget('nobody')));
      assert.match(error.message, /in us-west-2, eu-west-1, ap-south-1$/);
    });
  });
});

describe('a description', () => {
  it('is of any state, and has the name of the VPC', async () => {
    await withEc2(ec2(NODES), async (context) => {
      const found = await describeInstance(context, 'i-0000000000000000c');
      assert.deepEqual([found.state, found.name, found.vpcName], ['stopped', 'old', 'prod']);
      assert.equal(
        (await failure(describeInstance(context, 'i-0123456789abcdef0'))).code,
        'TARGET_NOT_FOUND',
      );
    });
  });

  it('ends with its signal', async () => {
    const abort = new AbortController();
    const silent = (request: SeenRequest): Answer => {
      abort.abort();
      return ec2(NODES)(request);
    };
    await withEc2(silent, async (context) => {
      const error = await failure(describeInstance(context, 'i-0000000000000000a', { signal: abort.signal }));
      assert.equal(error.code, 'CANCELLED');
    });
  });
});
