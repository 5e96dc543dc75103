import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { isPrivateIpv4, parseIp } from '../../src/aws/ip-address.ts';
import { needsEc2, parseTarget, regionOf } from '../../src/aws/target.ts';

const ID = 'i-0123456789abcdef0';

describe('targets', () => {
  const valid: readonly (readonly [string, Record<string, unknown>])[] = [
    [ID, { kind: 'instanceId', id: ID }],
    ['i-1234abcd', { kind: 'instanceId', id: 'i-1234abcd' }],
    ['I-0123456789ABCDEF0', { kind: 'instanceId', id: ID }],
    [`${ID}.ec2.internal`, { kind: 'instanceId', id: ID, region: 'us-east-1' }],
    [`${ID}.us-west-2.compute.internal`, { kind: 'instanceId', id: ID, region: 'us-west-2' }],
    [`${ID}.cn-north-1.compute.internal.`, { kind: 'instanceId', id: ID, region: 'cn-north-1' }],
    ['mi-0123456789abcdef0', { kind: 'managedInstanceId', id: 'mi-0123456789abcdef0' }],
    ['10.0.1.5', { kind: 'ip', address: '10.0.1.5', family: 4 }],
    ['2600:1F14:0:0::5', { kind: 'ip', address: '2600:1f14::5', family: 6 }],
    ['[2600:1f14::5]', { kind: 'ip', address: '2600:1f14::5', family: 6 }],
    ['::ffff:10.0.1.5', { kind: 'ip', address: '10.0.1.5', family: 4 }],
    ['ip-10-0-1-5', { kind: 'privateDns', address: '10.0.1.5', family: 4 }],
    ['ip-10-0-1-5.ec2.internal', { kind: 'privateDns', address: '10.0.1.5', family: 4, region: 'us-east-1' }],
    [
      'IP-10-0-1-5.us-west-2.compute.internal',
      { kind: 'privateDns', address: '10.0.1.5', family: 4, region: 'us-west-2' },
    ],
    ['ip-10-0-1-5.corp.example.com', { kind: 'privateDns', address: '10.0.1.5', family: 4 }],
    [
      'ec2-52-1-2-3.eu-west-1.compute.amazonaws.com',
      { kind: 'publicDns', address: '52.1.2.3', family: 4, region: 'eu-west-1' },
    ],
    [
      'ec2-52-1-2-3.compute-1.amazonaws.com',
      { kind: 'publicDns', address: '52.1.2.3', family: 4, region: 'us-east-1' },
    ],
    [
      'ec2-52-1-2-3.cn-north-1.compute.amazonaws.com.cn',
      { kind: 'publicDns', address: '52.1.2.3', family: 4, region: 'cn-north-1' },
    ],
    ['web-1', { kind: 'name', name: 'web-1' }],
    ['Web', { kind: 'name', name: 'Web' }],
    ['42', { kind: 'name', name: '42' }],
    ['ip-10-0-1-500', { kind: 'name', name: 'ip-10-0-1-500' }],
    ['ec2-52-1-2-3', { kind: 'name', name: 'ec2-52-1-2-3' }],
    ['db.example.com', { kind: 'name', name: 'db.example.com' }],
    ['i-am.example.com', { kind: 'name', name: 'i-am.example.com' }],
    ['prod:web', { kind: 'name', name: 'prod:web' }],
    ['größe', { kind: 'name', name: 'größe' }],
    ['__proto__', { kind: 'name', name: '__proto__' }],
  ];
  for (const [text, expected] of valid) {
    it(`reads ${text} as ${String(expected['kind'])}`, () => {
      assert.deepEqual(parseTarget(text), { text, ...expected });
    });
  }

  const invalid = [
    '',
    ' ',
    'web 1',
    'web\n',
    'a\u0000b',
    'a\u0085b',
    '-web',
    '--region',
    'i-',
    'i-0123',
    'i-0123456789abcdef01',
    'i-0123456789abcdeg0',
    'i-bad.ec2.internal',
    'mi-1234abcd',
    '10.0.1',
    '10.0.1.256',
    '010.0.0.1',
    '1.2.3.4.5',
    '2600:::1',
    '[10.0.0.1]',
    '[2600:1f14::5',
    'fe80::1%eth0]',
    'x'.repeat(257),
  ];
  for (const text of invalid) {
    it(`refuses ${JSON.stringify(text.slice(0, 30))}`, () => {
      assert.throws(
        () => parseTarget(text),
        (error: unknown) => {
          assert.ok(error instanceof ProxyError);
          assert.equal(error.code, 'TARGET_INVALID');
          assert.doesNotMatch(error.message, /[\u0000-\u001f\u007f-\u009f]/);
          return true;
        },
      );
    });
  }

  it('asks EC2 for everything but IDs', () => {
    const asked = [ID, 'mi-0123456789abcdef0', '10.0.0.1', 'ip-10-0-0-1', 'web'].map((text) =>
      needsEc2(parseTarget(text)),
    );
    assert.deepEqual(asked, [false, false, true, true, true]);
  });

  it('knows the region of names that tell it, and only of those', () => {
    const regions = ['ip-10-0-0-1.eu-west-1.compute.internal', `${ID}.ec2.internal`, '10.0.0.1', 'web'].map(
      (text) => regionOf(parseTarget(text)),
    );
    assert.deepEqual(regions, ['eu-west-1', 'us-east-1', undefined, undefined]);
  });
});

describe('IP addresses', () => {
  const spellings: readonly (readonly [string, string | undefined])[] = [
    ['2001:db8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:0DB8::0001', '2001:db8::1'],
    ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
    ['::', '::'],
    ['::1', '::1'],
    ['::ffff:0a00:0105', '10.0.1.5'],
    ['::ffff:255.255.255.255', '255.255.255.255'],
    ['1.2.3.4', '1.2.3.4'],
    ['1.2.3', undefined],
    ['0x7f.1.1.1', undefined],
    ['1.2.3.04', undefined],
    ['fe80::1%eth0', undefined],
    ['', undefined],
  ];
  for (const [text, expected] of spellings) {
    it(`writes ${text} as ${String(expected)}`, () => {
      assert.equal(parseIp(text)?.address, expected);
    });
  }

  it('knows the ranges that are never public', () => {
    const inside = [
      '10.0.0.0',
      '10.255.255.255',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.0.1',
      '100.64.0.1',
      '100.127.1.1',
      '169.254.1.1',
    ];
    const outside = [
      '9.255.255.255',
      '11.0.0.0',
      '172.15.255.255',
      '172.32.0.0',
      '192.167.0.1',
      '100.63.0.1',
      '100.128.0.1',
      '52.1.2.3',
    ];
    assert.deepEqual(
      inside.filter((address) => !isPrivateIpv4(address)),
      [],
    );
    assert.deepEqual(
      outside.filter((address) => isPrivateIpv4(address)),
      [],
    );
  });
});
