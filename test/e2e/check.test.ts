/** `ssm-proxy check`: what it says of a healthy node, and of everything that can be wrong with one. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { DEFAULT_SSO_SETTINGS } from '../../src/emulator/sso-directory.ts';
import { generateSshKeyPair } from '../../src/emulator/node-keys.ts';
import { createBrowser } from '../support/browser.ts';
import type { Cluster } from '../support/cluster.ts';
import { FAR_ENDS, NODE, startCluster } from '../support/cluster.ts';
import type { ProgramResult } from '../support/programs.ts';
import { skipWithout } from '../support/programs.ts';

let cluster: Cluster;
before(async () => {
  cluster = await startCluster();
});
after(() => cluster.close());
afterEach(async () => {
  cluster.reset();
  cluster.emulator.controls.setClock({ offsetMs: 0 });
  allow([]);
  for (const name of ['.aws', '.ssh']) {
    rmSync(join(cluster.directory, 'home', name), { recursive: true, force: true });
  }
  await cluster.checkNothingLeft();
});

function allow(denied: readonly string[]): void {
  cluster.emulator.controls.changeIdentity(cluster.emulator.credentials.accessKeyId, { denied });
}

interface Line {
  readonly area: string;
  readonly id: string;
  readonly level: string;
  readonly seen: string;
  readonly fix: string | null;
}

interface Report {
  readonly status: number | null;
  readonly lines: readonly Line[];
  readonly line: (id: string) => Line;
  readonly failed: () => readonly string[];
}

async function check(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Report> {
  const { status, stdout, stderr } = await cluster.cli(['check', '--json', ...args], { env });
  assert.equal(stderr, '');
  const {
    schema,
    isOk,
    findings: lines,
  } = JSON.parse(stdout.toString()) as {
    schema: number;
    isOk: boolean;
    findings: readonly Line[];
  };
  assert.equal(schema, 1);
  assert.equal(status, isOk ? 0 : 1);
  return {
    status,
    lines,
    line(id) {
      const found = lines.find((each) => each.id === id);
      assert.ok(found !== undefined, `there is a line ${id}`);
      return found;
    },
    failed: () => lines.filter(({ level }) => level === 'failed').map(({ id }) => id),
  };
}
const text = ({ stdout }: ProgramResult): string => stdout.toString();

/** No keys in the environment: profiles are what there is. */
const NO_KEYS = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };
function writeConfig(content: string): void {
  mkdirSync(join(cluster.directory, 'home', '.aws'), { recursive: true });
  writeFileSync(join(cluster.directory, 'home', '.aws', 'config'), content);
}

for (const { name, host, skip } of FAR_ENDS) {
  test(`a healthy node with ${name}: every line is good, and the session is ended`, { skip }, async () => {
    const report = await check([host]);
    assert.deepEqual(report.failed(), []);
    assert.equal(report.status, 0);
    const { line } = report;
    assert.match(
      line('credentials.identity').seen,
      /^account 111122223333, arn:aws:iam::111122223333:user\/demo$/,
    );
    assert.match(
      line('network.ssmmessages').seen,
      /^127\.0\.0\.1:\d+ \(by settings\): 127\.0\.0\.1 \(this machine\)/,
    );
    assert.match(
      line('target.instance').seen,
      new RegExp(`^${cluster.instanceId(host)} .* ${host.replaceAll('.', '\\.')} .*running`),
    );
    assert.match(line('target.role').seen, /^demo-node, with AmazonSSMManagedInstanceCore$/);
    assert.match(line('target.agent').seen, /^online, version 3\./);
    assert.match(line('session.banner').seen, /^says SSH-2\.0-/);
    assert.match(line('session.time').seen, /from the start to the first byte$/);
    assert.match(line('session.rtt').seen, /to the agent and back$/);
    assert.match(line('session.host-keys').seen, /^SHA256:\S+ \(ssh-ed25519\), read over a session$/);
    assert.equal(line('session.known-hosts').seen, `has nothing about ${host}`);
    assert.match(line('session.throughput').seen, /^\d+\.\d MB\/s up, from a sample of 128 KiB/);
    for (const id of ['ec2:DescribeInstances', 'ssm:ResumeSession', 'ssm:TerminateSession']) {
      assert.equal(line(`permissions.${id}`).level, 'ok', id);
    }
    const [session] = cluster.emulator.controls.sessions();
    assert.match(session?.reason ?? '', /^ssm-proxy\/\S+ \S+ check /);
  });
}

test(
  "a key in known_hosts that is not the node's, as an earlier node with this address leaves it",
  { skip: skipWithout('ssh-keygen') },
  async () => {
    mkdirSync(join(cluster.directory, 'home', '.ssh'));
    const [type, old] = generateSshKeyPair('old').publicKey.split(' ');
    const file = join(cluster.directory, 'home', '.ssh', 'known_hosts');
    writeFileSync(file, `${NODE} ${type ?? ''} ${old ?? ''}\n`);
    const report = await check([NODE]);
    assert.deepEqual(report.failed(), ['session.known-hosts']);
    assert.match(report.line('session.known-hosts').fix ?? '', /: ssh-keygen -R 10\.0\.1\.11$/);
  },
);

test('without a target nothing is started, and the policy simulator is asked', async () => {
  const before = cluster.emulator.controls.sessions().length;
  const report = await check([]);
  assert.deepEqual(report.failed(), []);
  assert.equal(report.line('permissions.ssm:StartSession').seen, 'allowed, says the policy simulator');
  assert.equal(report.line('permissions.ssmmessages:OpenDataChannel').level, 'ok');
  assert.equal(cluster.emulator.controls.sessions().length, before);
  allow(['ssm:StartSession', 'iam:GetRole']);
  assert.match(
    (await check([])).line('permissions.ssm:StartSession').fix ?? '',
    /^allow ssm:StartSession on arn:aws:ec2/,
  );
  allow(['iam:*']);
  const silent = (await check([])).line('permissions.ssm:StartSession');
  assert.deepEqual([silent.level, /ssm-proxy check <target>/.test(silent.seen)], ['skipped', true]);
});

test('a report in words: areas in order, what to do below each line, a summary', async () => {
  const result = await cluster.cli(['check', NODE]);
  assert.deepEqual([result.status, result.stderr], [0, '']);
  const titles = text(result)
    .split('\n')
    .filter((line) => /^[A-Z]/.test(line));
  assert.deepEqual(titles.slice(0, -1), [
    'This machine',
    'AWS configuration',
    'Credentials',
    'Network',
    'Permissions',
    'Node',
    'Session',
  ]);
  assert.match(titles.at(-1) ?? '', /^Nothing failed: \d warnings?, \d+ ok\.$/);
});

describe('permissions', () => {
  test('each one that is missing is named, with what to allow', async () => {
    allow(['ssm:ResumeSession', 'ssm:TerminateSession', 'ssm:DescribeInstanceInformation']);
    const report = await check([NODE]);
    assert.equal(report.status, 0);
    for (const action of ['ssm:ResumeSession', 'ssm:TerminateSession', 'ssm:DescribeInstanceInformation']) {
      const { level, seen, fix } = report.line(`permissions.${action}`);
      assert.equal(level, 'warning', action);
      assert.match(seen, /^denied; /, action);
      assert.ok(fix?.startsWith(`allow ${action} on `), fix ?? '');
    }
    // TerminateSession is not allowed, and the flag on the channel ends the session all the same.
  });

  test('without StartSession it says so where the session is started', async () => {
    allow(['ssm:StartSession']);
    const report = await check([NODE]);
    assert.deepEqual(report.failed(), ['session.start']);
    const { seen } = report.line('session.start');
    assert.match(
      seen,
      /not authorized to perform: ssm:StartSession on resource: arn:aws:ec2:.*\[ACCESS_DENIED\]$/,
    );
  });

  test('without DescribeInstances an address cannot be looked up', async () => {
    allow(['ec2:DescribeInstances']);
    const report = await check([NODE]);
    assert.deepEqual(report.failed(), ['permissions.ec2:DescribeInstances', 'target.instance']);
    assert.equal(report.line('session').level, 'skipped');
  });
});

describe('the node', () => {
  test('one that nobody knows', async () => {
    const report = await check(['10.9.9.9']);
    assert.deepEqual(report.failed(), ['target.instance']);
    assert.match(report.line('target.instance').seen, /\[TARGET_NOT_FOUND\]$/);
  });

  test('one that is stopped', async () => {
    const instanceId = cluster.instanceId(NODE);
    cluster.emulator.controls.changeInstance(instanceId, { state: 'stopped' });
    const report = await check([NODE]);
    cluster.emulator.controls.changeInstance(instanceId, { state: 'running' });
    assert.deepEqual(report.failed(), ['target.instance']);
    assert.match(report.line('target.instance').seen, /stopped/);
    assert.equal(report.line('session').level, 'skipped');
  });

  test('one without an instance profile, and one whose role lacks the policy, which --fix attaches', async () => {
    const { controls } = cluster.emulator;
    const instanceId = cluster.instanceId(NODE);
    controls.changeInstance(instanceId, { agentOnline: false, instanceProfile: null });
    const bare = await check([NODE]);
    assert.deepEqual(bare.failed(), ['target.role', 'target.agent']);
    assert.match(bare.line('target.role').fix ?? '', /associate-iam-instance-profile --instance-id i-/);
    controls.putNodeRole('weak', ['arn:aws:iam::aws:policy/ReadOnlyAccess']);
    controls.changeInstance(instanceId, { instanceProfile: 'weak' });
    const declined = await cluster.cli(['check', NODE, '--fix'], { input: '\n' });
    assert.match(
      declined.stderr,
      /Attach arn:aws:iam::aws:policy\/AmazonSSMManagedInstanceCore to the role weak\? \[y\/N\]: /,
    );
    assert.deepEqual(controls.nodeRolePolicies('weak'), ['arn:aws:iam::aws:policy/ReadOnlyAccess']);
    const fixed = await cluster.cli(['check', NODE, '--fix'], { input: 'n\ny\n' });
    assert.match(text(fixed), /failed {3}Role of node {2}.*weak lacks AmazonSSMManagedInstanceCore/);
    assert.match(fixed.stderr, /Attached\./);
    // The agent is still away.
    assert.equal(fixed.status, 1);
    assert.equal(controls.nodeRolePolicies('weak')?.length, 2);
    controls.changeInstance(instanceId, { agentOnline: true, instanceProfile: 'demo-node' });
  });

  test('a port where nobody listens', async () => {
    const report = await check([NODE, '81']);
    assert.deepEqual(report.failed(), ['session.banner']);
    assert.match(report.line('session.banner').seen, /nothing answers on port 81/);
  });
});

describe('the network', () => {
  test('an endpoint that cannot be reached, and the rest that can', async () => {
    const report = await check([], { AWS_ENDPOINT_URL_SSM: 'http://127.0.0.1:1' });
    assert.equal(report.status, 1);
    assert.match(report.line('network.ssm').seen, /cannot reach 127\.0\.0\.1:1: connection refused/);
    assert.equal(report.line('network.ec2').level, 'ok');
  });

  test('a name that does not exist, and an HTTP proxy that refuses', async () => {
    const unknown = await check([], { AWS_ENDPOINT_URL_STS: 'https://sts.invalid' });
    assert.match(
      unknown.line('network.sts').seen,
      /sts\.invalid:443.*(does not exist|does not answer|no address|cannot be resolved)/,
    );
    const proxy = createServer().on('connect', (_request, socket) => socket.end('HTTP/1.1 407 No\r\n\r\n'));
    await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as AddressInfo;
    const HTTPS_PROXY = `http://user:secret@127.0.0.1:${String(port)}`;
    const refused = await check([], { AWS_ENDPOINT_URL_STS: 'https://sts.invalid', HTTPS_PROXY });
    proxy.close();
    const { seen } = refused.line('network.sts');
    assert.match(seen, /the HTTP proxy 127\.0\.0\.1:\d+ answered 407/);
    assert.ok(!JSON.stringify(refused.lines).includes('secret'));
  });

  test('a clock that is off is said to be, though we sign by the clock of AWS', async () => {
    cluster.emulator.controls.setClock({ offsetMs: 600_000 });
    const { level, seen } = (await check([])).line('credentials.clock');
    assert.equal(level, 'warning');
    assert.match(seen, /^(9|10) minutes behind AWS$/);
  });
});

describe('profile and region', () => {
  const PROFILES = `[profile b]\nregion = us-east-1\naws_access_key_id = x\naws_secret_access_key = y\n[profile a]\nregion = us-east-1\n`;

  test('several profiles and no default one: none is guessed, and the way out is said', async () => {
    writeConfig(PROFILES);
    const report = await check([], NO_KEYS);
    const { level, seen, fix } = report.line('config.profile');
    assert.equal(level, 'failed');
    assert.match(seen, /^no profile is named and there is no default profile; profiles that exist: a, b$/);
    assert.match(fix ?? '', /^choose one: export AWS_PROFILE=\w before sky, ssh and ssm-proxy alike/);
    assert.match(report.line('credentials.source').seen, /no AWS credentials/);
    assert.equal(report.line('permissions').level, 'skipped');
  });

  test('a profile that does not exist, and a region that nobody says', async () => {
    writeConfig(PROFILES);
    const missing = await check(['--profile', 'c'], NO_KEYS);
    assert.deepEqual(missing.failed(), ['config.profile']);
    assert.match(
      missing.line('config.profile').seen,
      /the AWS profile c does not exist \[PROFILE_NOT_FOUND\]/,
    );
    assert.match(missing.line('credentials').seen, /^not tried: the AWS profile c does not exist/);
    const nowhere = await check([], { AWS_REGION: '' });
    assert.deepEqual(nowhere.failed(), ['config.region']);
  });

  test('keys in the environment that win over AWS_PROFILE', async () => {
    writeConfig(PROFILES);
    const { level, seen } = (await check([], { AWS_PROFILE: 'b' })).line('config.profile');
    assert.equal(level, 'warning');
    assert.match(seen, /AWS_ACCESS_KEY_ID is set and goes before it/);
  });

  test('an account that is not the one that was meant', async () => {
    const report = await check(['--account', '999999999999']);
    assert.ok(report.failed().includes('credentials.identity'));
  });
});

test(
  'ssh that would go elsewhere is found, and --fix writes its config',
  { skip: skipWithout('ssh') },
  async () => {
    const own = join(cluster.directory, 'home', '.ssh', 'ssm-proxy.conf');
    assert.match((await check([NODE])).line('local.ssh-config').seen, /^ssh \S+ would connect directly$/);
    const fixed = await cluster.cli(['check', NODE, '--fix'], { input: 'y\n' });
    assert.equal(fixed.status, 0, fixed.stderr);
    assert.match(readFileSync(own, 'utf8'), /ProxyCommand .* connect %h %p/);
    assert.match((await check(['gpu-node'])).line('local.ssh-config').fix ?? '', /"Host gpu-node"/);
  },
);

test('an SSO login that is missing is found, and --fix logs in', async () => {
  const { startUrl } = DEFAULT_SSO_SETTINGS;
  writeConfig(
    `[default]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = PowerUser\n[sso-session corp]\nsso_start_url = ${startUrl}\nsso_region = us-east-1\nsso_registration_scopes = sso:account:access\n`,
  );
  const report = await check([], NO_KEYS);
  assert.deepEqual(report.failed(), ['sso.login', 'credentials.source']);
  assert.equal(report.line('sso.login').fix, 'run: ssm-proxy login');
  const folder = join(cluster.directory, 'home', '.aws');
  const env = { ...NO_KEYS, BROWSER: createBrowser(folder).command };
  const fixed = await cluster.cli(['check', '--fix'], { env, input: 'y\n' });
  assert.match(fixed.stderr, /Log in to SSO for profile default\? \[y\/N\]: /);
  assert.match(fixed.stderr, /Logged in to corp/);
  const after = await check([NODE], NO_KEYS);
  assert.deepEqual(after.failed(), []);
  assert.match(after.line('sso.login').seen, /ends in 7 hours and is prolonged by itself$/);
  assert.match(after.line('credentials.identity').seen, /AWSReservedSSO_PowerUser/);
});

describe('on a terminal', { skip: skipWithout('script', 'stty') }, () => {
  /** The screen as it was written, without the status line's redraws. */
  async function onTerminal(columns: number, env: Readonly<Record<string, string>>): Promise<string> {
    const screen = join(cluster.directory, `screen-${String(columns)}`);
    const command = `stty cols ${String(columns)} rows 50; '${cluster.cliCommand.join("' '")}' check ${NODE}`;
    const { status } = await cluster.run('script', ['-qec', command, screen], {
      env: { TERM: 'xterm', ...env },
    });
    assert.equal(status, 0);
    return readFileSync(screen, 'utf8').replace(/^Script .*\n/gm, '');
  }
  const linesOf = (screen: string): readonly string[] =>
    screen.replaceAll(/\r\x1b\[K[^\r\n]*(?=\r\x1b\[K)|\r\x1b\[K/g, '').split(/\r*\n/);

  test('lines fit 80 columns, and use 200', async () => {
    const narrow = linesOf(await onTerminal(80, { NO_COLOR: '1' }));
    assert.deepEqual(
      narrow.filter((line) => line.length > 80 && !/\S{60}/.test(line)),
      [],
    );
    assert.ok(
      narrow.some((line) => /^ {11,}\S/.test(line)),
      'something is folded',
    );
    const wide = linesOf(await onTerminal(200, { NO_COLOR: '1' }));
    assert.ok(wide.some((line) => line.length > 100));
    assert.ok(wide.length < narrow.length);
  });

  test('colour is for terminals that have it, and for people who want it', async () => {
    const colour = /\x1b\[3[123]m/;
    assert.match(await onTerminal(80, {}), colour);
    assert.doesNotMatch(await onTerminal(80, { NO_COLOR: '1' }), colour);
    assert.doesNotMatch(await onTerminal(80, { TERM: 'dumb' }), /\x1b/);
  });
});
