/**
 * Every source of credentials that can be played on loopback, through the SDK's real providers. This process's
 * environment is replaced, because the providers read process.env.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { createAwsContext } from '../../src/aws/context.ts';
import type { AwsContext, AwsSettings } from '../../src/aws/context.ts';
import { ProxyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import type { AwsHome } from '../support/aws-home.ts';
import { createAwsHome, replaceProcessEnv } from '../support/aws-home.ts';
import type { Handler, SeenRequest } from '../support/aws-server.ts';
import { closedPort, json, serveHttp, xml } from '../support/aws-server.ts';

const SOON = (): string => new Date(Date.now() + 3_600_000).toISOString();
const PAST = '2020-01-01T00:00:00Z';

let home: AwsHome;
let restore: () => void;

beforeEach(() => {
  home = createAwsHome();
  restore = replaceProcessEnv(home.env);
});
afterEach(() => {
  restore();
  home[Symbol.dispose]();
});

function setEnv(env: Record<string, string>): void {
  Object.assign(process.env, env);
}

function context(settings: Partial<AwsSettings> = {}): Promise<AwsContext> {
  return createAwsContext({ region: 'us-west-2', env: process.env, log: silentLog, ...settings });
}

async function keyId(settings: Partial<AwsSettings> = {}): Promise<string> {
  const made = await context(settings);
  try {
    return (await made.credentials()).accessKeyId;
  } finally {
    made.close();
  }
}

async function failure(settings: Partial<AwsSettings> = {}): Promise<ProxyError> {
  const error: unknown = await keyId(settings).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ProxyError, `a ProxyError, not ${String(error)}`);
  return error;
}

/** A fake STS that gives keys named after the call. */
function sts(): Handler {
  return ({ operation, parameters, headers }: SeenRequest) => {
    if (parameters.get('RoleArn')?.endsWith('forbidden') === true) {
      return xml(
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User is not authorized to perform: sts:AssumeRole</Message></Error><RequestId>1</RequestId></ErrorResponse>',
        403,
      );
    }
    const caller = /Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1] ?? 'nobody';
    return xml(
      `<${operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${operation}Result><Credentials><AccessKeyId>ROLE-${caller}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${SOON()}</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser></${operation}Result></${operation}Response>`,
    );
  };
}

describe('keys in the environment', () => {
  const KEYS = { AWS_ACCESS_KEY_ID: 'AKIDENV', AWS_SECRET_ACCESS_KEY: 's' };

  it('are taken with their token and expiry', async () => {
    const expiration = SOON();
    setEnv({
      ...KEYS,
      AWS_SESSION_TOKEN: 't',
      AWS_CREDENTIAL_EXPIRATION: expiration,
      AWS_ACCOUNT_ID: '123456789012',
    });
    assert.deepEqual(await (await context()).credentials(), {
      accessKeyId: 'AKIDENV',
      secretAccessKey: 's',
      sessionToken: 't',
      expiration: new Date(expiration),
      accountId: '123456789012',
    });
  });

  it('go before AWS_PROFILE and after --profile, as in the AWS CLI', async () => {
    home.write('.aws/credentials', '[p]\naws_access_key_id = AKIDFILE\naws_secret_access_key = s\n');
    setEnv({ ...KEYS, AWS_PROFILE: 'p' });
    assert.equal(await keyId(), 'AKIDENV');
    assert.equal(await keyId({ profile: 'p' }), 'AKIDFILE');
  });

  it('that are half there are an error', async () => {
    setEnv({ AWS_ACCESS_KEY_ID: 'AKIDENV' });
    const error = await failure();
    assert.equal(error.code, 'CREDENTIALS_MISSING');
    assert.match(error.message, /AWS_SECRET_ACCESS_KEY is not/);
  });

  it('that have expired are CREDENTIALS_EXPIRED', async () => {
    setEnv({ ...KEYS, AWS_CREDENTIAL_EXPIRATION: PAST });
    assert.equal((await failure()).code, 'CREDENTIALS_EXPIRED');
  });

  it('may come from an environment that is not the process’s', async () => {
    assert.equal(await keyId({ env: { ...home.env, ...KEYS } }), 'AKIDENV');
  });
});

describe('shared files', () => {
  it('hold static keys', async () => {
    home.write('.aws/credentials', '[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = s\n');
    assert.equal(await keyId(), 'AKIDDEFAULT');
  });

  it('hold them in config too, also as [profile default]', async () => {
    home.write(
      '.aws/config',
      '[profile default]\naws_access_key_id = AKIDCONFIG\naws_secret_access_key = s\n',
    );
    assert.equal(await keyId(), 'AKIDCONFIG');
  });

  it('may be elsewhere', async () => {
    setEnv({
      AWS_SHARED_CREDENTIALS_FILE: home.write(
        'x/creds',
        '[q]\naws_access_key_id = AKIDX\naws_secret_access_key = s\n',
      ),
    });
    assert.equal(await keyId({ profile: 'q' }), 'AKIDX');
  });

  it('are read again for fresh credentials only', async () => {
    const write = (id: string) =>
      home.write('.aws/credentials', `[default]\naws_access_key_id = ${id}\naws_secret_access_key = s\n`);
    write('AKIDFIRST');
    const made = await context();
    assert.equal((await made.credentials()).accessKeyId, 'AKIDFIRST');
    write('AKIDSECOND');
    assert.equal((await made.credentials()).accessKeyId, 'AKIDFIRST');
    assert.equal((await made.freshCredentials()).accessKeyId, 'AKIDSECOND');
    assert.equal((await made.credentials()).accessKeyId, 'AKIDSECOND');
    assert.equal(made.cachedCredentials()?.accessKeyId, 'AKIDSECOND');
  });
});

describe('credential_process', () => {
  function processProfile(script: string): void {
    const file = home.write('process.cjs', script);
    home.write('.aws/config', `[profile p]\ncredential_process = "${process.execPath}" "${file}"\n`);
  }
  const print = (expiration: string): string =>
    `const fs = require('fs'); const file = __filename + '.count'; let n = 0; try { n = +fs.readFileSync(file, 'utf8') } catch {}
     fs.writeFileSync(file, String(n + 1));
     console.log(JSON.stringify({ Version: 1, AccessKeyId: 'AKIDPROCESS' + n, SecretAccessKey: 's', SessionToken: 't', Expiration: ${expiration} }))`;

  it('is run', async () => {
    processProfile(print(JSON.stringify(SOON())));
    assert.equal(await keyId({ profile: 'p' }), 'AKIDPROCESS0');
  });

  it('is run once for what asks at the same time, and again near the expiry', async () => {
    processProfile(print('new Date(Date.now() + (n === 0 ? 60000 : 3600000)).toISOString()'));
    const made = await context({ profile: 'p' });
    const both = await Promise.all([made.credentials(), made.credentials()]);
    assert.deepEqual(
      both.map(({ accessKeyId }) => accessKeyId),
      ['AKIDPROCESS0', 'AKIDPROCESS0'],
    );
    assert.equal((await made.credentials()).accessKeyId, 'AKIDPROCESS1');
    assert.equal((await made.credentials()).accessKeyId, 'AKIDPROCESS1');
  });

  it('that fails near the expiry does no harm before it', async () => {
    processProfile(
      `if (require('fs').existsSync(__filename + '.count')) process.exit(3);` +
        print('new Date(Date.now() + 60000).toISOString()'),
    );
    const made = await context({ profile: 'p' });
    assert.equal((await made.credentials()).accessKeyId, 'AKIDPROCESS0');
    assert.equal((await made.credentials()).accessKeyId, 'AKIDPROCESS0');
    await assert.rejects(made.freshCredentials(), { code: 'CREDENTIALS_MISSING' });
  });

  it('that fails is the error, and no other source is tried', async () => {
    processProfile(`console.error('vault is sealed'); process.exit(7)`);
    await using container = await serveHttp(() => ({ body: '{}' }));
    setEnv({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${container.url}/creds` });
    const error = await failure({ profile: 'p' });
    assert.equal(error.code, 'CREDENTIALS_MISSING');
    assert.match(error.message, /for profile p: Command failed/);
    assert.equal(container.requests.length, 0);
  });

  it('that returns old keys is CREDENTIALS_EXPIRED', async () => {
    processProfile(print(JSON.stringify(PAST)));
    assert.equal((await failure({ profile: 'p' })).code, 'CREDENTIALS_EXPIRED');
  });
});

describe('assume-role', () => {
  const CONFIG = [
    '[profile role]',
    'role_arn = arn:aws:iam::123456789012:role/r',
    'source_profile = base',
    'external_id = ext',
    'duration_seconds = 900',
    '[profile base]',
    'aws_access_key_id = AKIDBASE',
    'aws_secret_access_key = s',
    '[profile chained]',
    'role_arn = arn:aws:iam::123456789012:role/second',
    'source_profile = role',
    '[profile forbidden]',
    'role_arn = arn:aws:iam::123456789012:role/forbidden',
    'source_profile = base',
    '[profile env]',
    'role_arn = arn:aws:iam::123456789012:role/r',
    'credential_source = Environment',
    '[profile mfa]',
    'role_arn = arn:aws:iam::123456789012:role/r',
    'source_profile = base',
    'mfa_serial = arn:aws:iam::123456789012:mfa/me',
  ].join('\n');
  beforeEach(() => void home.write('.aws/config', CONFIG));

  it('asks STS with the keys of the source', async () => {
    await using server = await serveHttp(sts());
    setEnv({ AWS_ENDPOINT_URL_STS: server.url });
    assert.equal(await keyId({ profile: 'role' }), 'ROLE-AKIDBASE');
    const [request] = server.requests;
    assert.equal(request?.operation, 'AssumeRole');
    assert.equal(request?.parameters.get('RoleArn'), 'arn:aws:iam::123456789012:role/r');
    assert.equal(request?.parameters.get('ExternalId'), 'ext');
    assert.equal(request?.parameters.get('DurationSeconds'), '900');
    assert.match(request?.headers.authorization ?? '', /\/us-west-2\/sts\/aws4_request/);
  });

  it('is asked for once by several processes, and again for fresh credentials', async () => {
    await using server = await serveHttp(sts());
    setEnv({ AWS_ENDPOINT_URL_STS: server.url });
    assert.equal(await keyId({ profile: 'role' }), 'ROLE-AKIDBASE');
    assert.equal(await keyId({ profile: 'role' }), 'ROLE-AKIDBASE');
    assert.equal(server.requests.length, 1);
    const made = await context({ profile: 'role' });
    assert.equal(made.readyCredentials()?.accessKeyId, 'ROLE-AKIDBASE');
    await made.freshCredentials();
    assert.equal(server.requests.length, 2);
    made.close();
  });

  it('goes through a chain of roles', async () => {
    await using server = await serveHttp(sts());
    setEnv({ AWS_ENDPOINT_URL: server.url });
    assert.equal(await keyId({ profile: 'chained' }), 'ROLE-ROLE-AKIDBASE');
    assert.equal(server.requests.length, 2);
  });

  it('takes keys of the environment as source', async () => {
    await using server = await serveHttp(sts());
    setEnv({ AWS_ENDPOINT_URL_STS: server.url, AWS_ACCESS_KEY_ID: 'AKIDENV', AWS_SECRET_ACCESS_KEY: 's' });
    assert.equal(await keyId({ profile: 'env' }), 'ROLE-AKIDENV');
  });

  for (const [name, section] of [
    ['endpoint_url', (url: string) => `endpoint_url = ${url}\n`],
    [
      'a services section',
      (url: string) => `services = here\n[services here]\nsts =\n  endpoint_url = ${url}\n`,
    ],
  ] as const) {
    it(`finds STS by ${name} of the profile that --profile names`, async () => {
      await using server = await serveHttp(sts());
      home.write(
        '.aws/config',
        `${CONFIG}\n[profile local]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n${section(server.url)}`,
      );
      assert.equal(await keyId({ profile: 'local' }), 'ROLE-AKIDBASE');
    });
  }

  it('that is denied is ACCESS_DENIED, in the words of the AWS CLI', async () => {
    await using server = await serveHttp(sts());
    setEnv({ AWS_ENDPOINT_URL_STS: server.url });
    const error = await failure({ profile: 'forbidden' });
    assert.equal(error.code, 'ACCESS_DENIED');
    assert.equal(
      error.message,
      'An error occurred (AccessDenied) when calling the AssumeRole operation: User is not authorized to perform: sts:AssumeRole',
    );
  });

  it('that wants an MFA code is an error that says so', async () => {
    const error = await failure({ profile: 'mfa' });
    assert.equal(error.code, 'CREDENTIALS_MISSING');
    assert.match(error.message, /MFA code/);
  });

  it('without STS is ENDPOINT_UNREACHABLE', async () => {
    setEnv({ AWS_ENDPOINT_URL_STS: `http://127.0.0.1:${String(await closedPort())}`, AWS_MAX_ATTEMPTS: '1' });
    assert.equal((await failure({ profile: 'role' })).code, 'ENDPOINT_UNREACHABLE');
  });
});

describe('web identity', () => {
  it('of the environment gives the token of the file to STS', async () => {
    await using server = await serveHttp(sts());
    setEnv({
      AWS_ENDPOINT_URL_STS: server.url,
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/pod',
      AWS_WEB_IDENTITY_TOKEN_FILE: home.write('token', 'a.web.token'),
    });
    assert.equal(await keyId(), 'ROLE-nobody');
    const [request] = server.requests;
    assert.equal(request?.operation, 'AssumeRoleWithWebIdentity');
    assert.equal(request?.parameters.get('WebIdentityToken'), 'a.web.token');
    assert.equal(request?.headers.authorization, undefined);
  });

  it('of a profile works too', async () => {
    await using server = await serveHttp(sts());
    setEnv({ AWS_ENDPOINT_URL_STS: server.url });
    const file = home.write('token', 'x');
    home.write(
      '.aws/config',
      `[profile w]\nrole_arn = arn:aws:iam::123456789012:role/pod\nweb_identity_token_file = ${file}\n`,
    );
    assert.equal(await keyId({ profile: 'w' }), 'ROLE-nobody');
  });
});

describe('containers and instances', () => {
  it('give credentials over HTTP', async () => {
    await using server = await serveHttp(() => ({
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        AccessKeyId: 'AKIDCONTAINER',
        SecretAccessKey: 's',
        Token: 't',
        Expiration: SOON(),
      }),
    }));
    setEnv({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/creds`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'secret',
    });
    assert.equal(await keyId(), 'AKIDCONTAINER');
    assert.equal(server.requests[0]?.headers.authorization, 'secret');
  });

  it('give credentials and, at last, the region by the metadata service', async () => {
    await using server = await serveHttp(({ method, url, headers }) => {
      if (method === 'PUT') return { body: 'token' };
      if (headers['x-aws-ec2-metadata-token'] !== 'token') return { status: 401 };
      if (url.endsWith('/placement/region')) return { body: 'ap-northeast-1' };
      if (url.endsWith('/security-credentials/')) return { body: 'node-role' };
      const body = {
        Code: 'Success',
        AccessKeyId: 'AKIDNODE',
        SecretAccessKey: 's',
        Token: 't',
        Expiration: SOON(),
      };
      return { body: JSON.stringify(body) };
    });
    delete process.env['AWS_EC2_METADATA_DISABLED'];
    setEnv({ AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url });
    const made = await context({ region: undefined });
    assert.deepEqual([made.region, made.regionSource], ['ap-northeast-1', 'metadata']);
    assert.equal((await made.credentials()).accessKeyId, 'AKIDNODE');
  });

  it('that say nothing about the region leave it missing', async () => {
    await using server = await serveHttp(() => ({ status: 404 }));
    delete process.env['AWS_EC2_METADATA_DISABLED'];
    setEnv({ AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url });
    assert.equal((await failure({ region: undefined })).code, 'REGION_MISSING');
  });
});

describe('SSO', () => {
  const START_URL = 'https://corp.awsapps.com/start';
  const PROFILE = 'sso_account_id = 123456789012\nsso_role_name = Admin\n';
  const SESSION = `[profile s]\nsso_session = corp\n${PROFILE}[sso-session corp]\nsso_start_url = ${START_URL}\nsso_region = eu-west-1\n`;
  const cacheFile = (key: string): string =>
    `.aws/sso/cache/${createHash('sha1').update(key).digest('hex')}.json`;

  const portal: Handler = ({ url, headers, body }) => {
    if (url.startsWith('/federation/credentials')) {
      const token = headers['x-amz-sso_bearer_token'];
      const error = (name: string, status: number) => ({
        status,
        headers: { 'content-type': 'application/json', 'x-amzn-errortype': name },
        body: JSON.stringify({ message: 'No access' }),
      });
      if (token === 'revoked') return error('UnauthorizedException', 401);
      if (token === 'no-role') return error('ForbiddenException', 403);
      const roleCredentials = {
        accessKeyId: `SSO-${String(token)}`,
        secretAccessKey: 's',
        sessionToken: 't',
        expiration: Date.now() + 3_600_000,
      };
      return { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ roleCredentials }) };
    }
    const { refreshToken } = JSON.parse(body) as { refreshToken: string };
    if (refreshToken === 'used') {
      return {
        status: 400,
        headers: { 'x-amzn-errortype': 'InvalidGrantException' },
        body: '{"error":"invalid_grant"}',
      };
    }
    return {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ accessToken: `new-${refreshToken}`, expiresIn: 28_800, refreshToken: 'next' }),
    };
  };

  async function withPortal<T>(work: (requests: SeenRequest[]) => Promise<T>): Promise<T> {
    await using server = await serveHttp(portal);
    setEnv({ AWS_ENDPOINT_URL_SSO: server.url, AWS_ENDPOINT_URL_SSO_OIDC: server.url });
    return await work(server.requests);
  }
  const login = (key: string, token: Record<string, unknown>) =>
    home.write(cacheFile(key), JSON.stringify(token));

  it('sessions give the credentials of the role', async () => {
    home.write('.aws/config', SESSION);
    login('corp', { startUrl: START_URL, region: 'eu-west-1', accessToken: 'abc', expiresAt: SOON() });
    await withPortal(async (requests) => {
      assert.equal(await keyId({ profile: 's' }), 'SSO-abc');
      const query = new URLSearchParams(requests[0]?.url.replace(/^[^?]*/, ''));
      assert.deepEqual([query.get('account_id'), query.get('role_name')], ['123456789012', 'Admin']);
    });
  });

  it('profiles of the old kind do too', async () => {
    home.write(
      '.aws/config',
      `[profile old]\nsso_start_url = ${START_URL}\nsso_region = eu-west-1\n${PROFILE}`,
    );
    login(START_URL, { accessToken: 'legacy', expiresAt: SOON() });
    await withPortal(async () => assert.equal(await keyId({ profile: 'old' }), 'SSO-legacy'));
  });

  it('tokens are renewed and written back', async () => {
    home.write('.aws/config', SESSION.replaceAll('corp]', 'renewed]').replace('= corp', '= renewed'));
    const file = login('renewed', {
      accessToken: 'old',
      expiresAt: PAST,
      refreshToken: 'r1',
      clientId: 'c',
      clientSecret: 's',
      registrationExpiresAt: SOON(),
    });
    await withPortal(async () => assert.equal(await keyId({ profile: 's' }), 'SSO-new-r1'));
    const kept = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
    assert.deepEqual([kept['accessToken'], kept['refreshToken']], ['new-r1', 'next']);
  });

  const expired: readonly (readonly [string, Record<string, unknown> | undefined])[] = [
    ['nobody logged in', undefined],
    ['the login has expired', { accessToken: 'abc', expiresAt: PAST }],
    [
      'the renewal is refused',
      { accessToken: 'abc', expiresAt: PAST, refreshToken: 'used', clientId: 'c', clientSecret: 's' },
    ],
    ['the token is revoked', { accessToken: 'revoked', expiresAt: SOON() }],
  ];
  for (const [index, [name, token]] of expired.entries()) {
    it(`is CREDENTIALS_EXPIRED when ${name}, and says how to log in`, async () => {
      // The SDK remembers attempts by session name: each case has its own.
      const session = `corp${String(index)}`;
      home.write('.aws/config', SESSION.replaceAll('corp]', `${session}]`).replace('= corp', `= ${session}`));
      if (token !== undefined) login(session, token);
      const error = await withPortal(() => failure({ profile: 's' }));
      assert.equal(error.code, 'CREDENTIALS_EXPIRED');
      assert.match(error.message, /SSO login of profile s/);
      assert.equal(error.hint, 'run: ssm-proxy login --profile s');
    });
  }

  it('is ACCESS_DENIED when the role is not given', async () => {
    home.write('.aws/config', SESSION);
    login('corp', { accessToken: 'no-role', expiresAt: SOON() });
    const error = await withPortal(() => failure({ profile: 's' }));
    assert.equal(error.code, 'ACCESS_DENIED');
    assert.match(error.hint ?? '', /sso_role_name/);
  });

  it('is ENDPOINT_UNREACHABLE when the portal is', async () => {
    home.write('.aws/config', SESSION);
    login('corp', { accessToken: 'abc', expiresAt: SOON() });
    setEnv({ AWS_ENDPOINT_URL_SSO: `http://127.0.0.1:${String(await closedPort())}`, AWS_MAX_ATTEMPTS: '1' });
    setEnv({ AWS_ENDPOINT_URL_SSO_OIDC: process.env['AWS_ENDPOINT_URL_SSO'] ?? '' });
    assert.equal((await failure({ profile: 's' })).code, 'ENDPOINT_UNREACHABLE');
  });

  it('may be the source of a role, with STS elsewhere', async () => {
    home.write(
      '.aws/config',
      `${SESSION}[profile r]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = s\n`,
    );
    login('corp', { accessToken: 'abc', expiresAt: SOON() });
    await using server = await serveHttp(sts());
    setEnv({ AWS_ENDPOINT_URL_STS: server.url });
    await withPortal(async () => assert.equal(await keyId({ profile: 'r' }), 'ROLE-SSO-abc'));
  });
});

describe('without any source', () => {
  it('the error lists the profiles that exist', async () => {
    home.write(
      '.aws/credentials',
      '[a]\naws_access_key_id = A\naws_secret_access_key = s\n[b]\nregion = x\n',
    );
    const error = await failure();
    assert.equal(error.code, 'CREDENTIALS_MISSING');
    assert.equal(error.message, 'no AWS credentials');
    assert.match(error.hint ?? '', /--profile.*profiles that exist: a, b/);
  });

  it('of a named profile the error names it', async () => {
    home.write('.aws/config', '[profile empty]\nregion = us-east-1\n');
    const error = await failure({ profile: 'empty' });
    assert.equal(error.message, 'no AWS credentials for profile empty');
  });
});

describe('a process of its own', () => {
  // The SDK warns at most once in a process, so only a fresh one shows what would be said.
  const SCRIPT = `
    const [contextUrl, sessionUrl, logUrl] = process.argv.slice(1);
    const { createAwsContext } = await import(contextUrl);
    const { startSession } = await import(sessionUrl);
    const { createLog } = await import(logUrl);
    const log = createLog('trace', (line) => process.stdout.write(line + '\\n'), Date.now);
    for (const profile of [undefined, 'p']) {
      const context = await createAwsContext({ region: 'us-west-2', profile, env: process.env, log });
      await startSession(context, { target: 'i-1', documentName: 'D', parameters: {}, reason: 'r' });
      context.close();
    }`;

  it('says nothing on stderr, puts no secret into the log, and ends by itself', async () => {
    await using server = await serveHttp((request) =>
      request.operation === 'StartSession'
        ? json({ SessionId: 's-1', StreamUrl: 'wss://h/secret-path', TokenValue: 'secret-token' })
        : sts()(request),
    );
    home.write(
      '.aws/config',
      '[profile p]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = Environment\n',
    );
    const modules = ['aws/context.js', 'aws/ssm-session.js', 'log.js'].map(
      (name) => new URL(`../../src/${name}`, import.meta.url).href,
    );
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '-e', SCRIPT, ...modules],
      {
        timeout: 30_000,
        env: {
          ...home.env,
          PATH: process.env['PATH'],
          AWS_ENDPOINT_URL: server.url,
          AWS_ACCESS_KEY_ID: 'AKIDENV',
          AWS_SECRET_ACCESS_KEY: 'secret-key',
          AWS_PROFILE: 'p',
          AWS_SDK_UA_APP_ID: 'x'.repeat(80),
        },
      },
    );
    assert.equal(stderr, '');
    assert.doesNotMatch(stdout, /secret/);
    assert.match(stdout, /credentials source=environment/);
    assert.match(stdout, /credentials source="sources of profile p"/);
    const started = server.requests.filter(({ operation }) => operation === 'StartSession');
    assert.deepEqual(
      started.map(({ headers }) => /Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1]),
      ['AKIDENV', 'ROLE-AKIDENV'],
    );
  });
});
