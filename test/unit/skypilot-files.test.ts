/** SkyPilot's files: its config keeps everything that is not ours, and old proxy lines are recognised. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adoptClusterFile, adoptHosts, isAwsCliLine, isOwnLine } from '../../src/skypilot/adoption.ts';
import { mergeSkyConfig, parseSkyConfig, skyConfigText } from '../../src/skypilot/sky-config.ts';
import { parseHosts } from '../../src/skypilot/sky-files.ts';
import { ProxyError } from '../../src/errors.ts';

const LINE = 'ssm-proxy connect %h %p';
const FILE = '/somewhere/.sky/config.yaml';

/** As use_ssm of SkyPilot builds it. */
const AWS_LINE =
  'aws ssm start-session --target "$(aws ec2 describe-instances --region us-west-2 --filters Name=private-ip-address,Values=%h --query "Reservations[].Instances[].InstanceId" --profile research --output text)" --region us-west-2 --profile research --document-name AWS-StartSSHSession --parameters portNumber=%p';

test('an empty config gets the two keys', () => {
  const expected = `aws:\n  use_internal_ips: true\n  ssh_proxy_command: ${LINE}\n`;
  assert.equal(skyConfigText({ proxyCommand: LINE }), expected);
  assert.equal(mergeSkyConfig('', { proxyCommand: LINE }, FILE).text, expected);
  assert.equal(
    mergeSkyConfig('# only a comment\n', { proxyCommand: LINE }, FILE).text,
    `# only a comment\n\n${expected}`,
  );
});

test('lines by region are a map', () => {
  const proxyCommand = new Map([
    ['us-east-1', 'ssm-proxy connect --region us-east-1 %h %p'],
    ['us-west-2', 'ssm-proxy connect --region us-west-2 %h %p'],
  ]);
  assert.equal(
    skyConfigText({ proxyCommand }),
    [
      'aws:',
      '  use_internal_ips: true',
      '  ssh_proxy_command:',
      '    us-east-1: ssm-proxy connect --region us-east-1 %h %p',
      '    us-west-2: ssm-proxy connect --region us-west-2 %h %p',
      '',
    ].join('\n'),
  );
  const text = skyConfigText({ proxyCommand });
  assert.deepEqual(parseSkyConfig(text, FILE).aws.proxyCommand, proxyCommand);
  assert.equal(mergeSkyConfig(text, { proxyCommand }, FILE).text, text);
});

const BUSY = `# My clusters
allowed_clouds: [aws]   # nothing else

jobs:
  controller:
    resources:
      cpus: 4+  # is enough

# --- AWS ---
aws:
  # ask Ann before changing this
  vpc_names:
    - research   # the big one
    - spare
  use_ssm: true # since March
  labels: { team: "ml" }

docker:
  run_options:
    - -v /a:/b
`;

test('everything else stays as it is, byte for byte', () => {
  const { text, remarks } = mergeSkyConfig(BUSY, { proxyCommand: LINE }, FILE);
  const expected = BUSY.replace('  use_ssm: true # since March\n', '').replace(
    'aws:\n',
    `aws:\n  use_internal_ips: true\n  ssh_proxy_command: ${LINE}\n`,
  );
  assert.equal(text, expected);
  assert.deepEqual(remarks, ['aws.use_ssm is gone: SkyPilot refuses it together with ssh_proxy_command']);
});

for (const [name, text, expected] of [
  [
    'a section of four columns',
    'aws:\n    vpc_name: a # b\n',
    `aws:\n    use_internal_ips: true\n    ssh_proxy_command: ${LINE}\n    vpc_name: a # b\n`,
  ],
  [
    'an empty section',
    'aws:  # later\ngcp: {}\n',
    `aws:  # later\n  use_internal_ips: true\n  ssh_proxy_command: ${LINE}\ngcp: {}\n`,
  ],
  [
    'a value that is replaced, and its comment',
    'aws:\n  use_internal_ips: false # for now\n  ssh_proxy_command:\n    us-east-1: other\n\n    eu-west-1: other\n# end\n',
    `aws:\n  use_internal_ips: true # for now\n  ssh_proxy_command: ${LINE}\n# end\n`,
  ],
  [
    'a last line without a line break',
    'aws:',
    `aws:\n  use_internal_ips: true\n  ssh_proxy_command: ${LINE}\n`,
  ],
] as const) {
  test(`a file with ${name} keeps its look`, () => {
    const merged = mergeSkyConfig(text, { proxyCommand: LINE }, FILE).text;
    assert.equal(merged, expected);
    assert.equal(parseSkyConfig(merged, FILE).aws.proxyCommand, LINE);
  });
}

test('a section in braces is written anew, with its comments', () => {
  const { text } = mergeSkyConfig('# top\naws: { vpc_name: a } # why\n', { proxyCommand: LINE }, FILE);
  const { aws } = parseSkyConfig(text, FILE);
  assert.deepEqual([aws.proxyCommand, aws.useInternalIps, aws.vpcNames], [LINE, true, ['a']]);
  assert.match(text, /^# top\n/);
  assert.match(text, /# why/);
});

test('merged twice is merged once', () => {
  const once = mergeSkyConfig(BUSY, { proxyCommand: LINE }, FILE).text;
  assert.deepEqual(mergeSkyConfig(once, { proxyCommand: LINE }, FILE), { text: once, remarks: [] });
});

test('use_ssm of one region goes too, and another proxy line is replaced', () => {
  const text =
    'aws:\n  ssh_proxy_command: ssh -W %h:%p jump\n  region_configs:\n    us-east-1:\n      use_ssm: true\n      vpc_names: a\n';
  const merged = mergeSkyConfig(text, { proxyCommand: LINE }, FILE);
  const { aws, regions } = parseSkyConfig(merged.text, FILE);
  assert.equal(aws.proxyCommand, LINE);
  assert.deepEqual(
    [regions.get('us-east-1')?.useSsm, regions.get('us-east-1')?.vpcNames],
    [undefined, ['a']],
  );
  assert.equal(merged.remarks.length, 2);
});

test('a config of a remote API server is remarked upon', () => {
  const text = 'api_server:\n  endpoint: http://sky.example:46580\n';
  assert.match(mergeSkyConfig(text, { proxyCommand: LINE }, FILE).remarks.join(), /API server/);
});

test('what SkyPilot reads is read: names of VPCs, profile, values by region', () => {
  const config = parseSkyConfig(
    'aws:\n  vpc_name: one\n  use_internal_ips: true\n  ssm_profile: p\n  region_configs:\n    eu-west-1: { vpc_names: [x, y], use_ssm: false }\n',
    FILE,
  );
  assert.deepEqual(config.aws, {
    useInternalIps: true,
    useSsm: undefined,
    vpcNames: ['one'],
    ssmProfile: 'p',
    proxyCommand: undefined,
  });
  assert.deepEqual(config.regions.get('eu-west-1')?.vpcNames, ['x', 'y']);
  assert.equal(config.regions.get('eu-west-1')?.useSsm, false);
});

for (const text of ['- a\n', 'aws: [1]\n', 'aws: {\n', 'a: 1\na: 2\n']) {
  test(`${JSON.stringify(text)} is not changed`, () => {
    assert.throws(
      () => mergeSkyConfig(text, { proxyCommand: LINE }, FILE),
      (error) =>
        error instanceof ProxyError && error.code === 'CONFIG_INVALID' && error.message.startsWith(FILE),
    );
  });
}

const GENERATED = `# Added by sky
Host train
  HostName 10.0.1.10
  User ubuntu
  ProxyCommand ${AWS_LINE}

Host train-worker1
  HostName 10.0.1.11
  ProxyCommand ssm-proxy connect %h %p
Host *.example
  ProxyCommand ${AWS_LINE}
`;

test("the hosts of a cluster's file are read", () => {
  const hosts = parseHosts(GENERATED, '/f');
  assert.deepEqual(
    hosts.map(({ name, hostName }) => [name, hostName]),
    [
      ['train', '10.0.1.10'],
      ['train-worker1', '10.0.1.11'],
    ],
  );
});

const newLine = (region?: string, profile?: string): string => `new ${region ?? '-'} ${profile ?? '-'}`;

test('only lines of the AWS CLI are to be changed, with their region and profile', () => {
  const [adoption, second] = adoptHosts(parseHosts(GENERATED, '/f'), newLine);
  assert.equal(second, undefined);
  assert.deepEqual(adoption, {
    file: '/f',
    host: 'train',
    oldLine: AWS_LINE,
    newLine: 'new us-west-2 research',
  });
});

test('a line that the cluster file folds over several lines is found', () => {
  const folded = `auth:\n  ssh_user: ubuntu\n  ssh_proxy_command: aws ssm start-session --target "$(aws\n    ec2 describe-instances)" --region us-east-1\n    --document-name AWS-StartSSHSession\n`;
  assert.equal(adoptClusterFile('/c.yml', folded, newLine)[0]?.newLine, 'new us-east-1 -');
  assert.deepEqual(adoptClusterFile('/c.yml', `auth:\n  ssh_proxy_command: ${LINE}\n`, newLine), []);
  assert.deepEqual(adoptClusterFile('/c.yml', 'not: {yaml', newLine), []);
});

for (const [line, isOurs, isAws] of [
  [LINE, true, false],
  ['/usr/bin/node /opt/x/dist/cli.cjs connect --region a %h %p', true, false],
  ["'/opt/a b/ssm-proxy' connect %h %p", true, false],
  [AWS_LINE, false, true],
  [`env AWS_RETRY_MODE=adaptive /bin/sh -c '${AWS_LINE}'`, false, true],
  ['ssh -W %h:%p jump', false, false],
  ['my-ssm-proxy-thing %h', false, false],
] as const) {
  test(`${line.slice(0, 50)} is ${isOurs ? 'ours' : isAws ? "the AWS CLI's" : "somebody else's"}`, () => {
    assert.deepEqual([isOwnLine(line), isAwsCliLine(line)], [isOurs, isAws]);
  });
}
