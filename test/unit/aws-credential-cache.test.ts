/** Temporary credentials in the AWS CLI's cache: names and content as botocore makes them, and what is not trusted. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import {
  credentialCacheFile,
  readCachedCredentials,
  writeCachedCredentials,
} from '../../src/aws/credential-cache.ts';
import { createAwsHome } from '../support/aws-home.ts';
import type { AwsHome } from '../support/aws-home.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const LATER = '2026-11-23T12:15:00Z';
const ROLE = { role_arn: 'arn:aws:iam::111122223333:role/dev', source_profile: 'base' };
const SSO = { sso_account_id: '111122223333', sso_role_name: 'Admin' };

let home: AwsHome;
beforeEach(() => (home = createAwsHome()));
afterEach(() => home[Symbol.dispose]());

function fileFor(settings: Readonly<Record<string, string>>): string {
  const file = credentialCacheFile(settings, home.env);
  assert.ok(file !== undefined);
  return file;
}

/** Made with botocore 1.43 (AssumeRoleCredentialFetcher and SSOCredentialFetcher). */
const NAMES: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
  ['a role', ROLE, 'd048026984ef9e845abd7c7c9f9de5dff21571ba'],
  [
    'a role with everything',
    {
      ...ROLE,
      external_id: 'caf\u00e9',
      duration_seconds: '900',
      role_session_name: 'me',
      mfa_serial: 'arn:aws:iam::111122223333:mfa/me',
    },
    '7f960f7b52b63721968aa3828146e29e62cd3a64',
  ],
  [
    'SSO of the old kind',
    { ...SSO, sso_start_url: 'https://x.awsapps.com/start', sso_region: 'us-east-1' },
    '96130de6de3a9325997e31bc748f60a8aabf21e4',
  ],
  ['an SSO session', { ...SSO, sso_session: 'corp' }, '0cdbf32b99792a73981dd3f142bc63ab50240b44'],
];

for (const [what, settings, name] of NAMES) {
  test(`${what} has the name that botocore gives it`, () => {
    assert.equal(fileFor(settings), join(home.directory, '.aws', 'cli', 'cache', `${name}.json`));
  });
}

test('keys, processes and web identities are not kept', () => {
  const kinds = [
    { aws_access_key_id: 'AKIA', aws_secret_access_key: 's' },
    { credential_process: 'x' },
    { role_arn: 'arn:aws:iam::111122223333:role/dev', web_identity_token_file: '/token' },
    { sso_account_id: '111122223333' },
  ];
  for (const settings of kinds) assert.equal(credentialCacheFile(settings, home.env), undefined);
  assert.equal(credentialCacheFile(ROLE, {}), undefined);
});

test('what the AWS CLI has written is read', () => {
  const file = fileFor(ROLE);
  // As the AWS CLI writes it, with the answer of STS around.
  const content = {
    Credentials: {
      AccessKeyId: 'ASIA',
      SecretAccessKey: 's',
      SessionToken: 't',
      Expiration: '2026-11-23T12:15:00+00:00',
      AccountId: '111122223333',
    },
    AssumedRoleUser: { AssumedRoleId: 'AROA:x', Arn: 'arn:aws:sts::111122223333:assumed-role/dev/x' },
    ResponseMetadata: { HTTPStatusCode: 200 },
  };
  home.write(file.slice(home.directory.length + 1), JSON.stringify(content));
  assert.deepEqual(readCachedCredentials(file, NOW), {
    accessKeyId: 'ASIA',
    secretAccessKey: 's',
    sessionToken: 't',
    expiration: new Date(LATER),
    accountId: '111122223333',
  });
  assert.equal(readCachedCredentials(file, NOW + 1), undefined, 'less than 15 minutes are left');
});

test('what is written is for its owner, whole, and can be read', () => {
  const file = fileFor({ ...SSO, sso_session: 'corp' });
  const credentials = {
    accessKeyId: 'ASIA',
    secretAccessKey: 's',
    sessionToken: 't',
    expiration: new Date(`${LATER.slice(0, -1)}.500Z`),
  };
  writeCachedCredentials(file, SSO, credentials);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(dirname(file)), [basename(file)]);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
    ProviderType: 'sso',
    Credentials: { AccessKeyId: 'ASIA', SecretAccessKey: 's', SessionToken: 't', Expiration: LATER },
  });
  assert.deepEqual(readCachedCredentials(file, NOW), { ...credentials, expiration: new Date(LATER) });
});

test('lasting credentials are not written', () => {
  const file = fileFor(ROLE);
  writeCachedCredentials(file, ROLE, { accessKeyId: 'AKIA', secretAccessKey: 's' });
  assert.equal(readCachedCredentials(file, NOW), undefined);
});

test('a file that others can write to, half a file and something else are no credentials', () => {
  const file = fileFor(ROLE);
  const name = file.slice(home.directory.length + 1);
  const credentials = { AccessKeyId: 'A', SecretAccessKey: 's', SessionToken: 't', Expiration: LATER };
  home.write(name, JSON.stringify({ Credentials: credentials }));
  assert.ok(readCachedCredentials(file, NOW) !== undefined);
  chmodSync(file, 0o666);
  assert.equal(readCachedCredentials(file, NOW), undefined);
  chmodSync(file, 0o600);
  const others = [
    '{"Credentials": {"AccessKeyId"',
    '7',
    '{"Credentials": null}',
    '{"Credentials": {}}',
    JSON.stringify({ Credentials: { ...credentials, Expiration: 'never' } }),
  ];
  for (const content of others) {
    home.write(name, content);
    assert.equal(readCachedCredentials(file, NOW), undefined, content);
  }
});
