/** What is asked of EC2, what is believed of its answer, and which instance is chosen or which error said. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Ec2Filter, Instance, InstanceRecord } from '../../src/aws/ec2.ts';
import { chooseInstance } from '../../src/aws/instance-choice.ts';
import { isInScope, lookups, nameSpellings, recognise, scopeFilters } from '../../src/aws/instance-match.ts';
import { parseTarget } from '../../src/aws/target.ts';
import { ProxyError } from '../../src/errors.ts';

interface Sketch extends Partial<Instance> {
  readonly addresses?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly tags?: Readonly<Record<string, string>>;
  readonly reason?: string;
}

function record({
  addresses = [],
  dnsNames = [],
  tags = {},
  reason = '',
  ...instance
}: Sketch): InstanceRecord {
  return {
    instance: { instanceId: 'i-0000000000000000a', region: 'us-west-2', state: 'running', ...instance },
    addresses,
    dnsNames,
    tags: new Map(Object.entries(tags)),
    transitionReason: reason,
  };
}

function errorOf(work: () => unknown): ProxyError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ProxyError);
    return error;
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' });
}

describe('the filters', () => {
  const every = 'network-interface.addresses.private-ip-address';
  /** The names themselves, and those with a hash after a hyphen. */
  const clusters = (...names: readonly string[]): readonly Ec2Filter[] =>
    ['tag:skypilot-cluster-name', 'tag:ray-cluster-name'].map((tag) => [
      tag,
      ...names.flatMap((name) => [name, { startsWith: `${name}-` }]),
    ]);
  const rows: readonly (readonly [string, readonly Ec2Filter[]])[] = [
    ['i-0123456789abcdef0', [['instance-id', 'i-0123456789abcdef0']]],
    ['10.0.1.5', [[every, '10.0.1.5']]],
    ['100.64.0.9', [[every, '100.64.0.9']]],
    ['ip-10-0-1-5', [[every, '10.0.1.5']]],
    [
      '52.1.2.3',
      [
        ['ip-address', '52.1.2.3'],
        [every, '52.1.2.3'],
        ['network-interface.addresses.association.public-ip', '52.1.2.3'],
      ],
    ],
    ['2600:1F14:0::5', [['network-interface.ipv6-addresses.ipv6-address', '2600:1f14::5']]],
    ['Web', [['tag:Name', 'Web'], ...clusters('Web')]],
    [
      'gpu-node',
      [
        ['tag:Name', 'gpu-node', 'Gpu-node', 'Gpu-Node', 'GPU-NODE'],
        ...clusters('gpu-node', 'Gpu-node', 'Gpu-Node', 'GPU-NODE'),
      ],
    ],
    [
      'Db.Example.com',
      [
        ['tag:Name', 'Db.Example.com'],
        ['private-dns-name', 'db.example.com'],
        ['dns-name', 'db.example.com'],
      ],
    ],
  ];
  for (const [text, expected] of rows) {
    it(`for ${text} are ${expected.map(([name]) => name).join(', ')}`, () => {
      assert.deepEqual(lookups(parseTarget(text)), expected);
    });
  }

  it('carry the scope, but a VPC by name takes a lookup of its own', () => {
    assert.deepEqual(scopeFilters({ vpc: 'vpc-0abc', tags: { team: 'ml', 'a b': '' } }), [
      ['tag:team', 'ml'],
      ['tag:a b', ''],
      ['vpc-id', 'vpc-0abc'],
    ]);
    assert.deepEqual(scopeFilters({ vpc: 'prod' }), []);
  });

  it('ask for a name without letters once', () => {
    assert.deepEqual(nameSpellings('42'), ['42']);
  });
});

describe('an answer', () => {
  it('counts only if the instance owns the address', () => {
    const right = record({ addresses: ['10.0.1.5', '10.0.1.6'] });
    const wrong = record({ addresses: ['10.0.1.50'] });
    assert.deepEqual(recognise(parseTarget('10.0.1.6'), [wrong, right]), [right]);
    assert.deepEqual(recognise(parseTarget('ip-10-0-1-5.ec2.internal'), [wrong]), []);
  });

  it('counts only if the instance has the name', () => {
    const right = record({ name: 'web' });
    const wrong = record({ name: 'web-2' });
    assert.deepEqual(recognise(parseTarget('web'), [wrong, right]), [right]);
  });

  it('with the very name goes before one in other letters', () => {
    const upper = record({ name: 'WEB' });
    const exact = record({ name: 'web' });
    assert.deepEqual(recognise(parseTarget('web'), [upper, exact]), [exact]);
    assert.deepEqual(recognise(parseTarget('web'), [upper]), [upper]);
    assert.deepEqual(recognise(parseTarget('Web'), [upper, exact]), []);
  });

  it('counts by any DNS name', () => {
    const found = record({ name: 'x', dnsNames: ['db.example.com'] });
    assert.deepEqual(recognise(parseTarget('DB.example.com.'), [found]), [found]);
  });

  it('counts only inside the scope', () => {
    const inside = record({ vpcId: 'vpc-1', tags: { team: 'ml' } });
    assert.equal(isInScope(inside, {}, undefined), true);
    assert.equal(isInScope(inside, { vpc: 'vpc-1', tags: { team: 'ml' } }, undefined), true);
    assert.equal(isInScope(inside, { vpc: 'vpc-2' }, undefined), false);
    assert.equal(isInScope(inside, { tags: { team: 'web' } }, undefined), false);
    assert.equal(isInScope(inside, { tags: { other: '' } }, undefined), false);
    assert.equal(isInScope(inside, { vpc: 'prod' }, new Set(['vpc-1'])), true);
    assert.equal(isInScope(inside, { vpc: 'prod' }, new Set(['vpc-2'])), false);
    assert.equal(isInScope(record({}), { vpc: 'prod' }, new Set(['vpc-1'])), false);
  });
});

describe('the choice', () => {
  const target = parseTarget('10.0.1.5');
  const choose = (records: readonly InstanceRecord[], regions: readonly string[] = ['us-west-2']) =>
    chooseInstance(target, records, {}, regions, { now: Date.parse('2026-11-20T10:14:30Z') });

  for (const state of ['running', 'pending'] as const) {
    it(`takes the only ${state} instance, whatever else has ended`, () => {
      const right = record({ instanceId: 'i-1', state });
      const others = (['stopped', 'terminated', 'shutting-down'] as const).map((ended) =>
        record({ state: ended }),
      );
      assert.equal(choose([...others, right]), right.instance);
    });
  }

  it('says since when an instance is stopped, and how to start it', () => {
    const reason = 'User initiated (2026-11-20 10:11:12 GMT)';
    const error = errorOf(() =>
      choose([record({ state: 'terminated' }), record({ state: 'stopped', reason })]),
    );
    assert.equal(error.code, 'TARGET_STOPPED');
    assert.equal(
      error.message,
      '10.0.1.5 is instance i-0000000000000000a in us-west-2, stopped since 2026-11-20 10:11:12 GMT (3 minutes)',
    );
    assert.match(
      error.hint ?? '',
      /aws ec2 start-instances --region us-west-2 --instance-ids i-0000000000000000a/,
    );
  });

  it('names an instance that was asked for by ID once', () => {
    const id = 'i-0000000000000000a';
    const error = errorOf(() =>
      chooseInstance(parseTarget(id), [record({ state: 'stopping' })], {}, ['us-west-2']),
    );
    assert.equal(error.message, 'instance i-0000000000000000a in us-west-2 is stopping');
  });

  for (const state of ['terminated', 'shutting-down'] as const) {
    it(`says that an instance is ${state}`, () => {
      const error = errorOf(() => choose([record({ state })]));
      assert.equal(error.code, 'TARGET_TERMINATED');
      assert.match(error.message, new RegExp(state));
    });
  }

  it('names regions and scope when there is nothing', () => {
    const error = errorOf(() =>
      chooseInstance(parseTarget('web'), [], { vpc: 'prod', tags: { team: 'ml' } }, [
        'us-west-2',
        'eu-west-1',
      ]),
    );
    assert.equal(error.code, 'TARGET_NOT_FOUND');
    assert.equal(
      error.message,
      'no instance with the Name tag web, nor a cluster of that name, in us-west-2, eu-west-1 with VPC prod and tag team=ml',
    );
    assert.match(error.hint ?? '', /--region.*%n as typed/);
  });

  it('lists the candidates with what tells them apart, a short line each', () => {
    const launchTime = new Date('2026-11-20T10:11:12Z');
    const records = [
      record({ instanceId: 'i-1', vpcId: 'vpc-1', vpcName: 'prod', name: 'a', launchTime }),
      record({ instanceId: 'i-2', vpcId: 'vpc-2', region: 'eu-west-1', state: 'pending' }),
    ];
    const error = errorOf(() => choose(records, ['us-west-2', 'eu-west-1']));
    assert.equal(error.code, 'TARGET_AMBIGUOUS');
    assert.equal(error.message, '10.0.1.5 names 2 instances');
    assert.deepEqual(error.hint?.split('\n'), [
      'choose with --region, --vpc, --tag key=value, the instance ID:',
      '  i-1 us-west-2 vpc-1 (prod) a running launched 2026-11-20T10:11:12.000Z',
      '  i-2 eu-west-1 vpc-2 pending',
    ]);
  });

  it('cuts a long list of candidates', () => {
    const records = Array.from({ length: 25 }, (_each, index) =>
      record({ instanceId: `i-${String(index)}` }),
    );
    const lines = errorOf(() => choose(records)).hint?.split('\n') ?? [];
    assert.equal(lines.length, 12);
    assert.equal(lines.at(-1), '  and 15 more');
    assert.doesNotMatch(lines[0] ?? '', /--vpc|--region/);
  });
});
