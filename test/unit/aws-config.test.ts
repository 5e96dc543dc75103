/** Region, profile, endpoint and client settings, from real files in a home directory of their own. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadSharedConfigFiles } from '@smithy/core/config';
import { readConfigFiles } from '../../src/aws/config-files.ts';
import { createAwsContext } from '../../src/aws/context.ts';
import type { AwsSettings } from '../../src/aws/context.ts';
import { clientSettings, configuredEndpoint } from '../../src/aws/endpoints.ts';
import type { EndpointService } from '../../src/aws/endpoints.ts';
import { parseIni } from '../../src/aws/ini-file.ts';
import { profileChain, selectProfile } from '../../src/aws/profile.ts';
import { ProxyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import type { AwsHomeFiles } from '../support/aws-home.ts';
import { createAwsHome } from '../support/aws-home.ts';

const CONFIG = `
[default]
region = eu-central-1   ; where most of it is

[profile dev]
region = us-west-2
endpoint_url = https://general.example.com
services = local
use_fips_endpoint = true
max_attempts = 7
retry_mode = adaptive

[profile "two words"]
region = ap-south-1

[profile plain]
output = json

[services local]
ssm =
  endpoint_url = https://ssm.example.com
ssmmessages =
  endpoint_url = https://messages.example.com
sts =
    endpoint_url = https://sts.example.com
`;
const CREDENTIALS = `
[keys]
aws_access_key_id = AKIDKEYS
aws_secret_access_key = secret
region = sa-east-1
[dev]
aws_access_key_id = AKIDDEV
aws_secret_access_key = secret
`;

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof ProxyError) return error.code;
    throw error;
  }
  return 'none';
}

async function contextFor(
  settings: Omit<AwsSettings, 'env' | 'log'> & { env?: NodeJS.ProcessEnv },
  files: AwsHomeFiles = { config: CONFIG, credentials: CREDENTIALS },
) {
  using home = createAwsHome(files);
  return createAwsContext({ ...settings, env: { ...home.env, ...settings.env }, log: silentLog });
}

async function failureOf(work: Promise<unknown>): Promise<ProxyError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ProxyError);
  return error;
}

describe('the region', () => {
  const all = { AWS_REGION: 'eu-west-1', AWS_DEFAULT_REGION: 'eu-west-2' };
  const rows: readonly (readonly [string, Parameters<typeof contextFor>[0], string, string])[] = [
    [
      'the flag before all',
      { region: 'eu-west-3', targetRegion: 'us-east-2', env: all },
      'eu-west-3',
      'flag',
    ],
    ["the target's name next", { targetRegion: 'us-east-2', env: all }, 'us-east-2', 'target'],
    ['AWS_REGION next', { env: all }, 'eu-west-1', 'AWS_REGION'],
    [
      'AWS_DEFAULT_REGION next',
      { env: { AWS_DEFAULT_REGION: 'eu-west-2' } },
      'eu-west-2',
      'AWS_DEFAULT_REGION',
    ],
    ['an empty variable is none', { env: { AWS_REGION: '' } }, 'eu-central-1', 'profile'],
    ['the default profile', {}, 'eu-central-1', 'profile'],
    ['the profile of the flag', { profile: 'dev', env: { AWS_PROFILE: 'keys' } }, 'us-west-2', 'profile'],
    [
      'the profile of AWS_PROFILE',
      { env: { AWS_PROFILE: 'dev', AWS_DEFAULT_PROFILE: 'keys' } },
      'us-west-2',
      'profile',
    ],
    ['the profile of AWS_DEFAULT_PROFILE', { env: { AWS_DEFAULT_PROFILE: 'dev' } }, 'us-west-2', 'profile'],
    ['a profile of the credentials file', { profile: 'keys' }, 'sa-east-1', 'profile'],
    ['a profile in quotes', { profile: 'two words' }, 'ap-south-1', 'profile'],
  ];
  for (const [name, settings, region, source] of rows) {
    it(`takes ${name}`, async () => {
      const context = await contextFor(settings);
      assert.deepEqual([context.region, context.regionSource], [region, source]);
    });
  }

  it('takes [profile default], and [default] before it', async () => {
    const spelled = await contextFor({}, { config: '[profile default]\nregion = us-east-2\n' });
    assert.equal(spelled.region, 'us-east-2');
    const both = await contextFor(
      {},
      { config: '[profile default]\nregion = us-east-2\n[default]\nregion = us-west-1\n' },
    );
    assert.equal(both.region, 'us-west-1');
  });

  it('reads files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name', async () => {
    using home = createAwsHome();
    const config = home.write('elsewhere/config', '[profile x]\nregion = us-east-2\n');
    home.write('elsewhere/credentials', '[y]\nregion = us-west-1\n');
    const env = {
      ...home.env,
      AWS_CONFIG_FILE: config,
      AWS_SHARED_CREDENTIALS_FILE: '~/elsewhere/credentials',
    };
    assert.equal((await createAwsContext({ env, profile: 'x', log: silentLog })).region, 'us-east-2');
    assert.equal((await createAwsContext({ env, profile: 'y', log: silentLog })).region, 'us-west-1');
  });

  it('missing is an error that says which profiles have one', async () => {
    const error = await failureOf(contextFor({ profile: 'plain' }));
    assert.equal(error.code, 'REGION_MISSING');
    assert.match(error.message, /profile plain has none/);
    assert.match(error.hint ?? '', /--region, AWS_REGION.*default \(eu-central-1\), .*dev \(us-west-2\)/);
  });

  it('must look like one: it becomes part of host names', async () => {
    const flag = await failureOf(contextFor({ region: 'evil.example.com/#' }));
    assert.equal(flag.code, 'USAGE');
    const variable = await failureOf(contextFor({ env: { AWS_REGION: 'us_west_2' } }));
    assert.equal(variable.code, 'CONFIG_INVALID');
    assert.match(variable.message, /AWS_REGION/);
  });

  it('can be changed for the same identity', async () => {
    const context = await contextFor({
      region: 'eu-west-3',
      env: { AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'B' },
    });
    const other = context.withRegion('us-east-2');
    assert.equal(other.region, 'us-east-2');
    assert.equal(await other.credentials(), await context.credentials());
    assert.throws(() => context.withRegion('a b'), { code: 'USAGE' });
  });
});

describe('the profile', () => {
  it('that does not exist is an error which lists those that do, and says who named it', async () => {
    const flag = await failureOf(contextFor({ profile: 'nope', region: 'us-east-1' }));
    assert.equal(flag.code, 'PROFILE_NOT_FOUND');
    assert.equal(flag.message, 'the AWS profile nope does not exist');
    assert.equal(flag.hint, 'profiles that exist: default, dev, keys, plain, two words');
    const variable = await failureOf(contextFor({ env: { AWS_PROFILE: 'nope' } }));
    assert.match(variable.message, /nope \(from AWS_PROFILE\)/);
    const none = await failureOf(contextFor({ profile: 'nope' }, {}));
    assert.match(none.hint ?? '', /no profile exists in .*\.aws\/config or .*\.aws\/credentials/);
  });

  it('default need not exist, even when it is named', async () => {
    const context = await contextFor({ profile: 'default', region: 'us-east-1' }, {});
    assert.equal(context.profile, 'default');
  });

  it('is undefined when nobody named one', async () => {
    assert.equal((await contextFor({})).profile, undefined);
    assert.equal((await contextFor({ env: { AWS_PROFILE: 'dev' } })).profile, 'dev');
  });

  it('of both files is one, and the credentials file wins', () => {
    using home = createAwsHome({
      config: '[profile a]\nregion = one\noutput = json\n',
      credentials: '[a]\nregion = two\n',
    });
    assert.deepEqual({ ...readConfigFiles(home.env).profiles.get('a') }, { region: 'two', output: 'json' });
  });

  it('whose file is a directory is reported with that file', () => {
    using home = createAwsHome();
    home.write('.aws/config/x', '');
    const files = readConfigFiles(home.env);
    assert.match(files.problems.join(), /\.aws\/config cannot be read \(EISDIR\)/);
    assert.throws(
      () => selectProfile('dev', {}, files),
      (error: unknown) => {
        assert.ok(error instanceof ProxyError);
        assert.match(error.hint ?? '', /cannot be read/);
        return true;
      },
    );
  });
});

describe('profiles that cannot work', () => {
  const broken: readonly (readonly [string, string, RegExp])[] = [
    [
      'an unknown source_profile',
      'role_arn = arn\nsource_profile = nope',
      /names source_profile nope, which does not exist/,
    ],
    [
      'both kinds of source',
      'role_arn = arn\nsource_profile = b\ncredential_source = Environment',
      /both source_profile and credential_source/,
    ],
    ['no source at all', 'role_arn = arn', /neither source_profile nor credential_source/],
    ['an unknown sso_session', 'sso_session = corp', /no \[sso-session corp\]/],
    ['an sso_session without a region', 'sso_session = half', /\[sso-session half\] has no sso_region/],
    ['a circle', 'role_arn = arn\nsource_profile = b', /leads back to itself/],
  ];
  for (const [name, body, expected] of broken) {
    it(`${name} is CONFIG_INVALID`, () => {
      using home = createAwsHome({
        config: `[profile a]\n${body}\n[profile b]\nrole_arn = arn\nsource_profile = a\n[sso-session half]\nsso_start_url = https://x\n`,
      });
      const files = readConfigFiles(home.env);
      assert.throws(
        () => profileChain('a', files),
        (error: unknown) => {
          assert.ok(error instanceof ProxyError);
          assert.equal(error.code, 'CONFIG_INVALID');
          assert.match(error.message, expected);
          return true;
        },
      );
    });
  }

  it('a profile may be its own source', () => {
    using home = createAwsHome({
      config:
        '[profile a]\nrole_arn = arn\nsource_profile = a\naws_access_key_id = A\naws_secret_access_key = B\n',
    });
    assert.equal(profileChain('a', readConfigFiles(home.env)).length, 1);
  });
});

describe('config files', () => {
  const texts = [
    CONFIG,
    CREDENTIALS,
    '[profile a]\nkey = value # comment\nurl = https://x/#fragment\nempty =\n  nested = 1\n  other=2\nback = 3\n',
    '; first line\n\n[default]\r\nregion=us-east-1\r\n#x\n [profile b] \n a = 1 ;c\n',
    '[profile a]\na = 1\n[profile a]\nb = 2\na = 3\n',
    'orphan = 1\n[profile c]\nno equals sign\n= no key\nk = a = b\n',
    "[profile 'q']\na = 1\n[ profile d ]\na = 2\n",
    '[sso-session s]\nsso_region = x\n[services v]\nec2 = \n  endpoint_url = http://h\n',
  ];
  for (const [index, text] of texts.entries()) {
    it(`are read as the SDK reads them (${String(index)})`, async () => {
      using home = createAwsHome({ config: text });
      const configFilepath = `${home.directory}/.aws/config`;
      const filepath = `${home.directory}/.aws/none`;
      const { configFile } = await loadSharedConfigFiles({ configFilepath, filepath, ignoreCache: true });
      const ours = readConfigFiles(home.env);
      for (const [name, settings] of Object.entries(configFile)) {
        const found =
          ours.profiles.get(name) ??
          ours.ssoSessions.get(name.replace(/^sso-session\./, '')) ??
          ours.services.get(name.replace(/^services\./, ''));
        assert.deepEqual({ ...found }, settings, name);
      }
    });
  }

  it('keep keys of any name apart from the prototype', () => {
    const section = parseIni('[a]\n__proto__ = x\nconstructor = y\n').get('a');
    assert.deepEqual(Object.entries(section ?? {}), [
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    assert.equal(Object.getPrototypeOf(parseIni('[a]\nx = 1\n').get('a')), null);
  });
});

describe('endpoints', () => {
  const rows: readonly (readonly [
    string,
    EndpointService,
    { flag?: string; messages?: string; env?: NodeJS.ProcessEnv; profile?: string },
    string | undefined,
  ])[] = [
    ['none', 'SSM', {}, undefined],
    [
      'the flag',
      'SSM',
      { flag: 'https://flag', env: { AWS_ENDPOINT_URL_SSM: 'https://env' } },
      'https://flag',
    ],
    [
      'the variable of the service',
      'SSM',
      { env: { AWS_ENDPOINT_URL_SSM: 'https://own', AWS_ENDPOINT_URL: 'https://all' } },
      'https://own',
    ],
    [
      'the variable for all',
      'EC2',
      { env: { AWS_ENDPOINT_URL_SSM: 'https://own', AWS_ENDPOINT_URL: 'https://all' }, profile: 'dev' },
      'https://all',
    ],
    [
      'the variable of SSO-OIDC',
      'SSO_OIDC',
      { env: { AWS_ENDPOINT_URL_SSO_OIDC: 'https://oidc' } },
      'https://oidc',
    ],
    ['the services section', 'SSM', { profile: 'dev' }, 'https://ssm.example.com'],
    ['the services section, indented further', 'STS', { profile: 'dev' }, 'https://sts.example.com'],
    ["the profile's endpoint_url", 'EC2', { profile: 'dev' }, 'https://general.example.com'],
    [
      'nothing when told to ignore',
      'SSM',
      {
        env: { AWS_ENDPOINT_URL: 'https://all', AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' },
        profile: 'dev',
      },
      undefined,
    ],
    [
      'the flag when told to ignore the rest',
      'SSM',
      { flag: 'https://flag', env: { AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'TRUE' } },
      'https://flag',
    ],
    [
      'none for the data channel from settings for all',
      'SSMMESSAGES',
      { flag: 'https://flag', env: { AWS_ENDPOINT_URL: 'https://all' } },
      undefined,
    ],
    [
      'the data channel: its flag',
      'SSMMESSAGES',
      { messages: 'wss://m', env: { AWS_ENDPOINT_URL_SSMMESSAGES: 'https://env' } },
      'wss://m',
    ],
    [
      'the data channel: its variable',
      'SSMMESSAGES',
      { env: { AWS_ENDPOINT_URL_SSMMESSAGES: 'https://env' }, profile: 'dev' },
      'https://env',
    ],
    [
      'the data channel: its services section',
      'SSMMESSAGES',
      { profile: 'dev' },
      'https://messages.example.com',
    ],
  ];
  for (const [name, service, { flag, messages, env = {}, profile }, expected] of rows) {
    it(`of ${service}: ${name}`, () => {
      using home = createAwsHome({ config: CONFIG });
      const files = readConfigFiles(home.env);
      const { settings } = selectProfile(profile, env, files);
      const endpoint = configuredEndpoint(service, {
        endpointUrl: flag,
        ssmmessagesEndpoint: messages,
        env,
        settings,
        files,
      });
      assert.equal(endpoint, expected);
    });
  }

  it('that are no URLs are errors which name the setting', () => {
    const files = readConfigFiles({ HOME: '/nonexistent' });
    const of = (flag: string | undefined, env: NodeJS.ProcessEnv) => () =>
      configuredEndpoint('SSM', {
        endpointUrl: flag,
        ssmmessagesEndpoint: undefined,
        env,
        settings: {},
        files,
      });
    assert.throws(of('localhost:4566', {}), { code: 'USAGE', message: /--endpoint-url/ });
    assert.throws(of(undefined, { AWS_ENDPOINT_URL_SSM: 'ftp://x' }), {
      code: 'CONFIG_INVALID',
      message: /AWS_ENDPOINT_URL_SSM/,
    });
    assert.throws(of(undefined, { AWS_ENDPOINT_URL: 'https://user:password@host' }), {
      code: 'CONFIG_INVALID',
    });
  });

  it('of a services section that does not exist are an error', () => {
    const files = readConfigFiles({ HOME: '/nonexistent' });
    const settings = { services: 'gone' };
    assert.throws(
      () =>
        configuredEndpoint('SSM', {
          endpointUrl: undefined,
          ssmmessagesEndpoint: undefined,
          env: {},
          settings,
          files,
        }),
      { code: 'CONFIG_INVALID', message: /\[services gone\]/ },
    );
  });
});

describe('client settings', () => {
  it('have defaults', () => {
    assert.deepEqual(clientSettings({}, {}), {
      useFipsEndpoint: false,
      useDualstackEndpoint: false,
      maxAttempts: 3,
      retryMode: 'standard',
      userAgentAppId: '',
    });
  });

  it('come from the profile, and from the environment before it', () => {
    const profile = {
      use_fips_endpoint: 'true',
      use_dualstack_endpoint: 'true',
      max_attempts: '7',
      retry_mode: 'adaptive',
    };
    const fromProfile = clientSettings({}, profile);
    assert.deepEqual(
      [
        fromProfile.useFipsEndpoint,
        fromProfile.useDualstackEndpoint,
        fromProfile.maxAttempts,
        fromProfile.retryMode,
      ],
      [true, true, 7, 'adaptive'],
    );
    const env = {
      AWS_USE_FIPS_ENDPOINT: 'false',
      AWS_USE_DUALSTACK_ENDPOINT: 'false',
      AWS_MAX_ATTEMPTS: '2',
      AWS_RETRY_MODE: 'legacy',
    };
    const fromEnv = clientSettings(env, profile);
    assert.deepEqual(
      [fromEnv.useFipsEndpoint, fromEnv.useDualstackEndpoint, fromEnv.maxAttempts, fromEnv.retryMode],
      [false, false, 2, 'standard'],
    );
  });

  it('refuse an AWS_MAX_ATTEMPTS that is no number', () => {
    for (const value of ['many', '0', '-1', '1.5']) {
      assert.equal(
        codeOf(() => clientSettings({ AWS_MAX_ATTEMPTS: value }, {})),
        'CONFIG_INVALID',
        value,
      );
    }
  });
});
