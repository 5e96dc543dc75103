/** `ssm-proxy login` and `logout` against the emulator's Identity Center; the AWS CLI is the judge of the cache. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import { DEFAULT_SSO_SETTINGS } from '../../src/emulator/sso-directory.ts';
import type { AwsHome } from '../support/aws-home.ts';
import { createAwsHome } from '../support/aws-home.ts';
import type { TestBrowser } from '../support/browser.ts';
import { createBrowser } from '../support/browser.ts';
import type { CliResult } from '../support/cli.ts';
import { runCli, spawnCli } from '../support/cli.ts';
import { skipWithout, startProgram } from '../support/programs.ts';
import { scriptedAgents } from '../support/scripted-agent.ts';
import { until } from '../support/until.ts';

const { startUrl } = DEFAULT_SSO_SETTINGS;
const CONFIG = `[profile dev]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = PowerUser
region = us-east-1

[profile old]
sso_start_url = ${startUrl}
sso_region = us-east-1
sso_account_id = 111122223333
sso_role_name = ReadOnly
region = us-east-1

[sso-session corp]
sso_start_url = ${startUrl}
sso_region = us-east-1
sso_registration_scopes = sso:account:access
`;
const CORP = createHash('sha1').update('corp').digest('hex');
const LEGACY = createHash('sha1').update(startUrl).digest('hex');

let emulator: Emulator;
let home: AwsHome;
let browser: TestBrowser;

before(async () => {
  emulator = await startEmulator({ nodes: 1, startAgentSession: scriptedAgents().start });
});
after(() => emulator.close());
beforeEach(() => {
  home = createAwsHome({ config: CONFIG });
  browser = createBrowser(home.directory);
});
afterEach(() => {
  home[Symbol.dispose]();
  emulator.controls.changeSso(DEFAULT_SSO_SETTINGS);
});

function env(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    HOME: home.directory,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ENDPOINT_URL: emulator.endpoint,
    BROWSER: browser.command,
    ...more,
  };
}
const cli = (
  args: readonly string[],
  more?: Readonly<Record<string, string>>,
  input?: string,
): Promise<CliResult> => runCli(args, { env: env(more), ...(input !== undefined && { input }) });
const cacheDirectory = (): string => join(home.directory, '.aws', 'sso', 'cache');
const readCache = (key: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(cacheDirectory(), `${key}.json`), 'utf8')) as Record<string, unknown>;
const succeed = (result: CliResult): CliResult => {
  assert.equal(result.status, 0, result.stderr);
  return result;
};
/** The role that profile dev gives, as the program itself gets it. */
const resolves = (profile: string): Promise<CliResult> =>
  cli(['resolve', '10.0.1.10', '--profile', profile, '--json']);

test('a browser login ends where the AWS CLI keeps its own, and connect uses it', async () => {
  const refused = await resolves('dev');
  assert.match(
    refused.stderr,
    /the SSO login of profile dev has expired or is missing \[CREDENTIALS_EXPIRED\]/,
  );
  assert.match(refused.stderr, /run: ssm-proxy login --profile dev/);
  const { stdout, stderr } = succeed(await cli(['login', '--profile', 'dev']));
  assert.match(
    stdout,
    /^Logged in to corp \(https:\/\/demo\.awsapps\.com\/start\) until \d{4}-\d\d-\d\d \d\d:\d\d, renewed/,
  );
  assert.match(stderr, /your browser shows this page/);
  const [page = ''] = browser.visited();
  const query = new URL(page).searchParams;
  assert.equal(query.get('response_type'), 'code');
  assert.equal(query.get('code_challenge_method'), 'S256');
  assert.match(query.get('redirect_uri') ?? '', /^http:\/\/127\.0\.0\.1:\d+\/oauth\/callback$/);
  const token = readCache(CORP);
  assert.deepEqual(Object.keys(token).sort(), [
    'accessToken',
    'clientId',
    'clientSecret',
    'expiresAt',
    'refreshToken',
    'region',
    'registrationExpiresAt',
    'startUrl',
  ]);
  assert.match(String(token['expiresAt']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  for (const name of readdirSync(cacheDirectory())) {
    assert.equal(statSync(join(cacheDirectory(), name)).mode & 0o777, 0o600, name);
  }
  for (const secret of ['accessToken', 'refreshToken', 'clientSecret']) {
    assert.ok(!`${stdout}${stderr}`.includes(String(token[secret])), secret);
  }
  succeed(await resolves('dev'));
});

test('without a browser a code is shown, and approving it anywhere is enough', async () => {
  emulator.controls.changeSso({ intervalSeconds: 0 });
  const child = spawnCli(['login', '--profile', 'old', '--no-browser'], { env: env() });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const page = await until('the page is shown', () => /^ {2}(http\S+)$/m.exec(stderr)?.[1]);
  assert.match(stderr, /The page must show this code: [0-9A-F]{4}-[0-9A-F]{4}/);
  assert.deepEqual(browser.visited(), []);
  await fetch(page);
  const status = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(status, 0, stderr);
  // Older profiles ask for no scopes, so there is nothing to prolong the login with.
  assert.equal(readCache(LEGACY)['refreshToken'], undefined);
  succeed(await resolves('old'));
});

test('over SSH the code is used even where a browser can be opened', async () => {
  succeed(await cli(['login', '--profile', 'dev'], { SSH_CONNECTION: '192.0.2.1 1 192.0.2.2 22' }));
  assert.match(browser.visited()[0] ?? '', /\/device\?user_code=/);
});

test('a client registration is kept, and made anew for the other way to log in', async () => {
  const registered = (): number => emulator.controls.state().calls['sso-oidc:RegisterClient']?.calls ?? 0;
  const before = registered();
  succeed(await cli(['login', '--profile', 'dev']));
  succeed(await cli(['login', '--profile', 'dev']));
  assert.equal(registered() - before, 1);
  succeed(await cli(['login', '--profile', 'dev'], { SSH_CONNECTION: 'x' }));
  assert.equal(registered() - before, 2);
});

test('a login that is declined fails, and changes nothing', async () => {
  emulator.controls.changeSso({ answer: 'deny' });
  for (const more of [{}, { SSH_CONNECTION: 'x' }]) {
    const { status, stderr } = await cli(['login', '--profile', 'dev'], more);
    assert.equal(status, 77);
    assert.match(stderr, /the login was declined in the browser.*\[LOGIN_FAILED\]/);
    assert.equal(existsSync(join(cacheDirectory(), `${CORP}.json`)), false);
  }
});

test('a code that nobody approves fails when it expires', async () => {
  emulator.controls.changeSso({ answer: 'ignore', deviceMs: 1000, intervalSeconds: 0 });
  const { status, stderr } = await cli(['login', '--profile', 'dev', '--no-browser']);
  assert.equal(status, 77);
  assert.match(stderr, /nobody approved the login before its code expired \[LOGIN_FAILED\]/);
});

test('an expired token is prolonged without a person, and login is asked for once it cannot be', async () => {
  emulator.controls.changeSso({ tokenMs: 1000 });
  succeed(await cli(['login', '--profile', 'dev']));
  const first = readCache(CORP)['accessToken'];
  emulator.controls.changeSso({ tokenMs: 3_600_000 });
  succeed(await resolves('dev'));
  assert.notEqual(readCache(CORP)['accessToken'], first);
  emulator.controls.revokeSsoTokens();
  // Kept role credentials would do for their hour.
  rmSync(join(home.directory, '.aws', 'cli'), { recursive: true });
  const { status, stderr } = await resolves('dev');
  assert.equal(status, 77);
  assert.match(stderr, /run: ssm-proxy login --profile dev/);
});

test('logout ends the login here and at the service', async () => {
  succeed(await cli(['login', '--profile', 'dev']));
  succeed(await resolves('dev'));
  const logouts = (): number => emulator.controls.state().calls['sso:Logout']?.succeeded ?? 0;
  const before = logouts();
  const { stdout } = succeed(await cli(['logout', '--profile', 'dev']));
  assert.equal(stdout, `Logged out of corp (${startUrl}).\n`);
  assert.equal(logouts(), before + 1);
  assert.equal(existsSync(join(cacheDirectory(), `${CORP}.json`)), false);
  assert.equal((await resolves('dev')).status, 77);
  assert.match(succeed(await cli(['logout', '--profile', 'dev'])).stdout, /^Nobody was logged in to corp/);
  succeed(await cli(['login', '--profile', 'dev']));
  succeed(await cli(['login', '--profile', 'old']));
  home.write('.aws/cli/cache/a.json', '{"ProviderType":"sso"}');
  home.write('.aws/cli/cache/b.json', '{"ProviderType":"assume-role"}');
  assert.equal(succeed(await cli(['logout', '--all'])).stdout, 'Logged out of 2 SSO logins.\n');
  assert.deepEqual(readdirSync(join(home.directory, '.aws', 'cli', 'cache')), ['b.json']);
});

describe('which login', () => {
  test('the only one there is serves where no profile is named', async () => {
    home.write('.aws/config', CONFIG.replace(/\[profile old\][^[]*/, ''));
    assert.match(succeed(await cli(['login'])).stdout, /^Logged in to corp/);
  });

  test('of several, none is guessed', async () => {
    const { status, stderr } = await cli(['login']);
    assert.equal(status, 78);
    assert.match(stderr, /no profile is named, and there is no default profile \[CONFIG_INVALID\]/);
    assert.match(stderr, /name a profile with --profile; profiles with SSO: dev, old/);
  });

  test('a profile without SSO, and a machine without any', async () => {
    home.write('.aws/config', `${CONFIG}[profile keys]\nregion = us-east-1\n`);
    assert.match((await cli(['login', '--profile', 'keys'])).stderr, /profile keys does not use SSO/);
    home.write('.aws/config', '');
    assert.match((await cli(['login'])).stderr, /set SSO up with: ssm-proxy login --configure/);
  });
});

test('login --configure asks, logs in, lets choose, and adds to the config file', async () => {
  const before = `# my file\n[default]\nregion = eu-west-1 ; home\nfancy = yes\n`;
  home.write('.aws/config', before);
  const other = { accountId: '222233334444', accountName: 'another', emailAddress: '', roles: ['Only'] };
  emulator.controls.changeSso({ accounts: [...DEFAULT_SSO_SETTINGS.accounts, other] });
  const answers = [
    'corp',
    'not a url',
    startUrl,
    'us-east-1',
    '',
    '9',
    '2',
    'PowerUser',
    'gpu',
    'us-east-1',
    '',
  ];
  const { stdout, stderr } = succeed(await cli(['login', '--configure'], {}, answers.join('\n')));
  assert.match(stderr, /a URL has no spaces/);
  assert.match(
    stderr,
    /^ {3}1 {2}222233334444 {2}another\n {3}2 {2}111122223333 {2}demo \(demo@example\.com\)$/m,
  );
  assert.match(stderr, /a number from 1 to 2, or a name from the list/);
  assert.match(stdout, /^Profile gpu is in .*config \(before: .*config\.before-ssm-proxy\)\./);
  assert.match(stdout, /export AWS_PROFILE=gpu/);
  assert.equal(
    readFileSync(join(home.directory, '.aws', 'config'), 'utf8'),
    `${before}
[sso-session corp]
sso_start_url = ${startUrl}
sso_region = us-east-1
sso_registration_scopes = sso:account:access

[profile gpu]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = PowerUser
region = us-east-1
`,
  );
  succeed(await resolves('gpu'));
  // Once more: the login is good, the presets are the answers of before, and nothing changes.
  const again = ['', '', '', '', '111122223333', '1', 'gpu', 'y', ''];
  const second = succeed(await cli(['login', '--configure'], {}, again.join('\n') + '\n'));
  assert.equal(browser.visited().length, 1);
  assert.match(second.stdout, /^Profile gpu is in \S+config\.\n/);
});

test('login --configure without anybody to answer says so', async () => {
  const { status, stderr } = await cli(['login', '--configure']);
  assert.equal(status, 2);
  assert.match(stderr, /no answer to the question: SSO session name.*\[USAGE\]/);
});

describe('the AWS CLI', { skip: skipWithout('aws') }, () => {
  const aws = async (args: readonly string[], profile: string): Promise<CliResult> => {
    const program = startProgram('aws', [...args, '--profile', profile], {
      cwd: home.directory,
      env: { PATH: process.env['PATH'] ?? '', ...env(), AWS_PAGER: '' },
    });
    const { status, signal, stdout, stderr } = await program.finished;
    return { status, signal, stdout: stdout.toString(), stderr };
  };

  test('uses our login, of both kinds of profile, and its refresh token', async () => {
    emulator.controls.changeSso({ tokenMs: 1000 });
    succeed(await cli(['login', '--profile', 'dev']));
    emulator.controls.changeSso({ tokenMs: 3_600_000 });
    const caller = succeed(await aws(['sts', 'get-caller-identity', '--output', 'text'], 'dev'));
    assert.match(caller.stdout, /AWSReservedSSO_PowerUser/);
    succeed(await cli(['login', '--profile', 'old']));
    const older = succeed(await aws(['sts', 'get-caller-identity', '--output', 'text'], 'old'));
    assert.match(older.stdout, /AWSReservedSSO_ReadOnly/);
  });
});
