/** Instances, documents, filters and the descriptions made of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { filterInstances, wildcardPattern } from '../../src/emulator/api/ec2-filters.ts';
import { Refusal } from '../../src/emulator/api/refusal.ts';
import { describeEmulator } from '../../src/emulator/describe.ts';
import { privateDnsName, resolveDial } from '../../src/emulator/instance.ts';
import { ServiceClock } from '../../src/emulator/service-clock.ts';
import { builtInDocuments, resolveParameters, substitute } from '../../src/emulator/session-document.ts';
import { formatEnvironment, formatSshConfig } from '../../src/emulator/ssh-files.ts';
import { World } from '../../src/emulator/world.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

function world(): World {
  return new World({ region: 'us-east-1', clock: new ServiceClock(new VirtualClock()), log: silentLog });
}

const wildcards: readonly [string, string, boolean][] = [
  ['10.0.1.10', '10.0.1.10', true],
  ['10.0.1.10', '10x0.1.10', false],
  ['10.0.*', '10.0.1.10', true],
  ['10.0.1.1?', '10.0.1.10', true],
  ['10.0.1.1?', '10.0.1.1', false],
  ['head', 'Head', false],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'axb', false],
  ['a\\\\b', 'a\\b', true],
  ['[x](y)', '[x](y)', true],
  ['*', 'anything\nat all', true],
];
for (const [pattern, value, matches] of wildcards) {
  test(`filter value ${pattern} ${matches ? 'matches' : 'does not match'} ${JSON.stringify(value)}`, () => {
    assert.equal(wildcardPattern(pattern).test(value), matches);
  });
}

test('every interface of an instance is found by its addresses', () => {
  const it = world();
  const gpu = it.addInstance({
    name: 'gpu',
    interfaces: [
      { privateIps: ['10.0.1.5', '10.0.1.6'], publicIp: '54.1.2.3' },
      { privateIps: ['10.0.2.5'], ipv6Addresses: ['2600:1f18::5'], vpcId: 'vpc-2' },
    ],
  });
  const other = it.addInstance({ name: 'other', privateIp: '10.0.1.7' });
  const find = (name: string, ...values: string[]) => filterInstances([gpu, other], [{ name, values }]);
  assert.deepEqual(find('private-ip-address', '10.0.1.5'), [gpu]);
  assert.deepEqual(find('private-ip-address', '10.0.2.5'), []);
  assert.deepEqual(find('network-interface.addresses.private-ip-address', '10.0.2.5'), [gpu]);
  assert.deepEqual(find('network-interface.addresses.private-ip-address', '10.0.1.6', '10.0.1.7'), [
    gpu,
    other,
  ]);
  assert.deepEqual(find('network-interface.ipv6-addresses.ipv6-address', '2600:1f18::5'), [gpu]);
  assert.deepEqual(find('ipv6-address', '2600:1f18::*'), [gpu]);
  assert.deepEqual(find('ip-address', '54.1.2.3'), [gpu]);
  assert.deepEqual(find('network-interface.addresses.association.public-ip', '54.1.2.3'), [gpu]);
  assert.deepEqual(find('network-interface.association.public-ip', '54.1.2.3'), [gpu]);
  assert.deepEqual(find('dns-name', 'ec2-54-1-2-3.compute-1.amazonaws.com'), [gpu]);
  assert.deepEqual(find('private-dns-name', 'ip-10-0-1-5.ec2.internal'), [gpu]);
  assert.deepEqual(find('network-interface.private-dns-name', 'ip-10-0-2-5.ec2.internal'), [gpu]);
  assert.deepEqual(find('tag:Name', 'g*'), [gpu]);
  assert.deepEqual(find('tag-key', 'Name'), [gpu, other]);
  assert.deepEqual(find('instance-state-name', 'stopped'), []);
  assert.deepEqual(find('vpc-id', 'vpc-2'), []);
});

test('a filter that EC2 does not know is refused', () => {
  assert.throws(
    () => filterInstances([], [{ name: 'colour', values: ['red'] }]),
    (error: unknown) => error instanceof Refusal && error.code === 'InvalidParameterValue',
  );
});

test('a terminated instance has no addresses any more', () => {
  const it = world();
  const instance = it.addInstance({ privateIp: '10.0.1.5' });
  it.changeInstance(instance.instanceId, { state: 'terminated' });
  assert.deepEqual(filterInstances([instance], [{ name: 'private-ip-address', values: ['10.0.1.5'] }]), []);
  assert.deepEqual(filterInstances([instance], [{ name: 'instance-id', values: [instance.instanceId] }]), [
    instance,
  ]);
});

test('private DNS names follow region and hostname type', () => {
  const it = world();
  const plain = it.addInstance({ privateIp: '10.0.1.5' });
  const west = it.addInstance({ privateIp: '10.0.1.6', region: 'us-west-2', hostnameType: 'resource-name' });
  assert.equal(privateDnsName(plain, '10.0.1.5'), 'ip-10-0-1-5.ec2.internal');
  assert.equal(privateDnsName(west, '10.0.1.6'), `${west.instanceId}.us-west-2.compute.internal`);
});

test('ports lead where the dial map says, other nodes by their address, and nowhere else', () => {
  const it = world();
  const head = it.addInstance({
    privateIp: '10.0.1.5',
    dial: { '22': { host: '127.0.0.1', port: 2201 }, 'db.internal:5432': { host: '127.0.0.1', port: 9 } },
  });
  const worker = it.addInstance({ privateIp: '10.0.1.6', dial: { '22': { host: '127.0.0.1', port: 2202 } } });
  const open = it.addInstance({ privateIp: '10.0.1.7', dial: { '*': { host: '127.0.0.1', port: 0 } } });
  const dial = (host: string | undefined, port: number, from = head) => {
    const found = resolveDial(from, it.instances.values(), host, port);
    return `${found.host}:${found.port}`;
  };
  const refused = '127.0.0.1:1';
  assert.equal(dial(undefined, 22), '127.0.0.1:2201');
  assert.equal(dial('localhost', 22), '127.0.0.1:2201');
  assert.equal(dial(undefined, 23), refused);
  assert.equal(dial('10.0.1.6', 22), '127.0.0.1:2202');
  assert.equal(dial('ip-10-0-1-6.ec2.internal', 22), '127.0.0.1:2202');
  assert.equal(dial('db.internal', 5432), '127.0.0.1:9');
  assert.equal(dial('192.0.2.1', 22), refused);
  assert.equal(dial(undefined, 8080, open), '127.0.0.1:8080');
  it.changeInstance(worker.instanceId, { state: 'stopped' });
  assert.equal(dial('10.0.1.6', 22), refused);
});

const badInstances: readonly { spec: object; path: RegExp }[] = [
  { spec: { instanceId: 'head' }, path: /instance\.instanceId/ },
  { spec: { privateIp: '10.0.1' }, path: /IPv4/ },
  { spec: { state: 'sleeping' }, path: /instance\.state/ },
  { spec: { colour: 'red' }, path: /instance\.colour/ },
  { spec: { interfaces: [{ privateIps: [] }] }, path: /privateIps/ },
  { spec: { interfaces: [], privateIp: '10.0.1.1' }, path: /interfaces/ },
  { spec: { dial: { '22': '127.0.0.1:99999' } }, path: /instance\.dial\.22/ },
  { spec: { behaviour: { paceMs: 'slow' } }, path: /behaviour\.paceMs/ },
  { spec: { launchTime: 'yesterday' }, path: /launchTime/ },
];
for (const { spec, path } of badInstances) {
  test(`instance ${JSON.stringify(spec)} is refused with its path`, () => {
    assert.throws(
      () => world().addInstance(spec),
      (error: unknown) => error instanceof ProxyError && error.code === 'USAGE' && path.test(error.message),
    );
  });
}

test('a refused change leaves the instance as it was', () => {
  const it = world();
  const instance = it.addInstance({ privateIp: '10.0.1.5', behaviour: { paceMs: 0 } });
  const before = structuredClone(instance);
  assert.throws(() =>
    it.changeInstance(instance.instanceId, {
      state: 'stopped',
      behaviour: { paceMs: 3 },
      privateIp: 'nowhere',
    }),
  );
  assert.deepEqual(instance, before);
});

test('documents check their parameters and fill in defaults', () => {
  const document = (name: string) => {
    const found = builtInDocuments().find((each) => each.name === name);
    assert.ok(found !== undefined);
    return found;
  };
  const ssh = document('AWS-StartSSHSession');
  assert.deepEqual(resolveParameters(ssh, {}), { values: { portNumber: '22' } });
  for (const port of ['1', '22', '65535']) {
    assert.deepEqual(resolveParameters(ssh, { portNumber: [port] }), { values: { portNumber: port } });
  }
  for (const port of ['0', '65536', '022', 'ssh', '']) {
    assert.ok('problem' in resolveParameters(ssh, { portNumber: [port] }), port);
  }
  assert.ok('problem' in resolveParameters(ssh, { host: ['10.0.0.1'] }));
  const remote = document('AWS-StartPortForwardingSessionToRemoteHost');
  assert.ok('problem' in resolveParameters(remote, { portNumber: ['5432'] }));
  assert.deepEqual(resolveParameters(remote, { portNumber: ['5432'], host: ['db.internal'] }), {
    values: { portNumber: '5432', localPortNumber: '0', host: 'db.internal' },
  });
  assert.equal(
    substitute('{{ host }}:{{portNumber}} {{ other }}', { host: 'h', portNumber: '1' }),
    'h:1 {{ other }}',
  );
});

const EMULATOR = {
  endpoint: 'http://127.0.0.1:4566',
  region: 'us-east-1',
  credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: "it's/secret+" },
  caFile: null,
  control: 'http://127.0.0.1:1/token/',
  instances: [
    {
      instanceId: 'i-0123456789abcdef0',
      privateIp: '10.0.1.10',
      name: 'demo-head',
      user: 'ubuntu',
      identityFile: '/tmp/with space/50%/key',
      sshPort: 2201,
    },
  ],
};

test('the description is one line with exactly the promised keys', () => {
  const line = describeEmulator({ ...EMULATOR, extra: true } as typeof EMULATOR);
  assert.doesNotMatch(line, /\n/);
  assert.deepEqual(JSON.parse(line), EMULATOR);
  assert.deepEqual(Object.keys(JSON.parse(line) as object), [
    'endpoint',
    'region',
    'credentials',
    'caFile',
    'control',
    'instances',
  ]);
});

test('the ssh config holds the proxy command, and paths with spaces and percent signs', () => {
  const text = formatSshConfig(EMULATOR, 'ssm-proxy connect');
  assert.match(text, /^Host demo-head 10\.0\.1\.10 i-0123456789abcdef0$/m);
  assert.match(text, /^ {4}IdentityFile "\/tmp\/with space\/50%%\/key"$/m);
  assert.match(text, /^ {4}ProxyCommand ssm-proxy connect %h %p$/m);
});

test('the environment file quotes values and unsets what points elsewhere', () => {
  const text = formatEnvironment(EMULATOR);
  assert.match(text, /^export AWS_ENDPOINT_URL='http:\/\/127\.0\.0\.1:4566'$/m);
  assert.match(text, /^export AWS_SECRET_ACCESS_KEY='it'\\''s\/secret\+'$/m);
  assert.match(text, /^unset AWS_PROFILE$/m);
  assert.match(text, /^unset AWS_CA_BUNDLE$/m);
});
