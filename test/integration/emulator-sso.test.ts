/** IAM Identity Center and IAM of the emulator, as the real SDK sees them. */
import {
  AttachRolePolicyCommand,
  GetInstanceProfileCommand,
  GetRoleCommand,
  IAMClient,
  ListAttachedRolePoliciesCommand,
  SimulatePrincipalPolicyCommand,
} from '@aws-sdk/client-iam';
import {
  GetRoleCredentialsCommand,
  ListAccountRolesCommand,
  ListAccountsCommand,
  LogoutCommand,
  SSOClient,
} from '@aws-sdk/client-sso';
import {
  CreateTokenCommand,
  RegisterClientCommand,
  SSOOIDCClient,
  StartDeviceAuthorizationCommand,
} from '@aws-sdk/client-sso-oidc';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import assert from 'node:assert/strict';
import * as crypto from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import { DEFAULT_SSO_SETTINGS, DEVICE_GRANT } from '../../src/emulator/sso-directory.ts';
import { sdkClients, sdkOptions } from '../support/emulator-clients.ts';
import { scriptedAgents } from '../support/scripted-agent.ts';

let emulator: Emulator;
let oidc: SSOOIDCClient;
let portal: SSOClient;
let iam: IAMClient;

before(async () => {
  emulator = await startEmulator({ nodes: 1, startAgentSession: scriptedAgents().start });
  const options = sdkOptions(emulator);
  oidc = new SSOOIDCClient(options);
  portal = new SSOClient(options);
  iam = new IAMClient(options);
});
after(() => emulator.close());
afterEach(() => emulator.controls.changeSso(DEFAULT_SSO_SETTINGS));

const REDIRECT = 'http://127.0.0.1/oauth/callback';
const startUrl = DEFAULT_SSO_SETTINGS.startUrl;
const nameOf = async (call: Promise<unknown>): Promise<string> => {
  try {
    await call;
  } catch (error) {
    return (error as Error).name;
  }
  return 'no error';
};

async function register(grantTypes?: string[]) {
  const { clientId, clientSecret } = await oidc.send(
    new RegisterClientCommand({
      clientName: 'test',
      clientType: 'public',
      scopes: ['sso:account:access'],
      ...(grantTypes !== undefined && { grantTypes, redirectUris: [REDIRECT], issuerUrl: startUrl }),
    }),
  );
  return { clientId, clientSecret };
}

async function deviceToken() {
  const client = await register();
  const device = await oidc.send(new StartDeviceAuthorizationCommand({ ...client, startUrl }));
  const poll = () =>
    oidc.send(new CreateTokenCommand({ ...client, grantType: DEVICE_GRANT, deviceCode: device.deviceCode }));
  return { client, device, poll };
}

test('a device code gives a token once its page was opened, and only one', async () => {
  const { device, poll } = await deviceToken();
  assert.equal(await nameOf(poll()), 'AuthorizationPendingException');
  assert.match(device.userCode ?? '', /^[0-9A-F]{4}-[0-9A-F]{4}$/);
  assert.equal((await fetch(device.verificationUriComplete ?? '')).status, 200);
  const token = await poll();
  assert.ok(token.accessToken);
  assert.ok(token.refreshToken);
  assert.equal(await nameOf(poll()), 'InvalidGrantException');
});

test('a person may decline, and a device code expires', async () => {
  emulator.controls.changeSso({ answer: 'deny' });
  const declined = await deviceToken();
  await fetch(declined.device.verificationUriComplete ?? '');
  assert.equal(await nameOf(declined.poll()), 'AccessDeniedException');
  emulator.controls.changeSso({ deviceMs: 0 });
  const expired = await deviceToken();
  assert.equal(await nameOf(expired.poll()), 'ExpiredTokenException');
});

test('an authorization code is bound to its challenge and redirect, and works once', async () => {
  const client = await register(['authorization_code', 'refresh_token']);
  const verifier = crypto.randomBytes(32).toString('base64url');
  const redirectUri = 'http://127.0.0.1:49152/oauth/callback';
  const authorize = async (): Promise<string> => {
    const url = new URL('/authorize', emulator.endpoint);
    const challenge = crypto.createHash('sha256').update(verifier).digest('base64url');
    const query = {
      response_type: 'code',
      client_id: client.clientId ?? '',
      redirect_uri: redirectUri,
      state: 'abc',
      code_challenge_method: 'S256',
      code_challenge: challenge,
    };
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const response = await fetch(url, { redirect: 'manual' });
    const location = new URL(response.headers.get('location') ?? '');
    assert.equal(location.searchParams.get('state'), 'abc');
    return location.searchParams.get('code') ?? '';
  };
  const exchange = (code: string, codeVerifier: string) =>
    oidc.send(
      new CreateTokenCommand({
        ...client,
        grantType: 'authorization_code',
        code,
        codeVerifier,
        redirectUri,
      }),
    );
  assert.equal(await nameOf(exchange(await authorize(), 'another')), 'InvalidGrantException');
  const code = await authorize();
  const token = await exchange(code, verifier);
  assert.ok(token.accessToken);
  assert.equal(await nameOf(exchange(code, verifier)), 'InvalidGrantException');
  const refreshed = await oidc.send(
    new CreateTokenCommand({ ...client, grantType: 'refresh_token', refreshToken: token.refreshToken }),
  );
  assert.notEqual(refreshed.accessToken, token.accessToken);
});

test('a registration for the browser is refused device codes', async () => {
  const client = await register(['authorization_code', 'refresh_token']);
  const start = oidc.send(new StartDeviceAuthorizationCommand({ ...client, startUrl }));
  assert.equal(await nameOf(start), 'UnauthorizedClientException');
});

test('the portal lists accounts and roles in pages, and gives credentials that sign', async () => {
  const account = {
    accountId: '222233334444',
    accountName: 'other',
    emailAddress: 'o@example.com',
    roles: ['R'],
  };
  emulator.controls.changeSso({ accounts: [...DEFAULT_SSO_SETTINGS.accounts, account] });
  const { device, poll } = await deviceToken();
  await fetch(device.verificationUriComplete ?? '');
  const { accessToken } = await poll();
  const first = await portal.send(new ListAccountsCommand({ accessToken, maxResults: 1 }));
  assert.deepEqual(
    first.accountList?.map((each) => each.accountId),
    ['111122223333'],
  );
  const { nextToken } = first;
  const second = await portal.send(new ListAccountsCommand({ accessToken, maxResults: 1, nextToken }));
  assert.deepEqual(
    second.accountList?.map((each) => each.accountName),
    ['other'],
  );
  assert.equal(second.nextToken, undefined);
  const roles = await portal.send(new ListAccountRolesCommand({ accessToken, accountId: '111122223333' }));
  assert.deepEqual(
    roles.roleList?.map((each) => each.roleName),
    ['PowerUser', 'ReadOnly'],
  );
  const wanted = { accessToken, accountId: '111122223333' };
  const refused = portal.send(new GetRoleCredentialsCommand({ ...wanted, roleName: 'Admin' }));
  assert.equal(await nameOf(refused), 'ForbiddenException');
  const { roleCredentials } = await portal.send(
    new GetRoleCredentialsCommand({ ...wanted, roleName: 'PowerUser' }),
  );
  const sdk = sdkClients(emulator, {
    accessKeyId: roleCredentials?.accessKeyId ?? '',
    secretAccessKey: roleCredentials?.secretAccessKey ?? '',
    sessionToken: roleCredentials?.sessionToken ?? '',
  });
  const caller = await sdk.sts.send(new GetCallerIdentityCommand({}));
  assert.match(
    caller.Arn ?? '',
    /assumed-role\/AWSReservedSSO_PowerUser_0123456789abcdef\/demo@example\.com$/,
  );
  sdk.destroy();
  await portal.send(new LogoutCommand({ accessToken }));
  assert.equal(await nameOf(portal.send(new ListAccountsCommand({ accessToken }))), 'UnauthorizedException');
});

test('IAM shows the role of a node, and a policy can be attached to it', async () => {
  emulator.controls.putNodeRole('bare', []);
  const { InstanceProfile } = await iam.send(new GetInstanceProfileCommand({ InstanceProfileName: 'bare' }));
  const [role] = InstanceProfile?.Roles ?? [];
  assert.equal(role?.Arn, 'arn:aws:iam::111122223333:role/bare');
  const listed = async (): Promise<unknown> => {
    const { AttachedPolicies } = await iam.send(new ListAttachedRolePoliciesCommand({ RoleName: 'bare' }));
    return AttachedPolicies?.map((each) => each.PolicyName) ?? [];
  };
  assert.deepEqual(await listed(), []);
  const PolicyArn = 'arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore';
  await iam.send(new AttachRolePolicyCommand({ RoleName: 'bare', PolicyArn }));
  assert.deepEqual(await listed(), ['AmazonSSMManagedInstanceCore']);
  assert.equal(await nameOf(iam.send(new GetRoleCommand({ RoleName: 'nobody' }))), 'NoSuchEntityException');
});

test('the simulator says what the deny list of the caller says', async () => {
  const { accessKeyId } = emulator.credentials;
  emulator.controls.changeIdentity(accessKeyId, { denied: ['ssm:StartSession'] });
  const { EvaluationResults } = await iam.send(
    new SimulatePrincipalPolicyCommand({
      PolicySourceArn: 'arn:aws:iam::111122223333:user/demo',
      ActionNames: ['ssm:StartSession', 'ssm:ResumeSession'],
      ResourceArns: ['*'],
    }),
  );
  emulator.controls.changeIdentity(accessKeyId, { denied: [] });
  assert.deepEqual(
    EvaluationResults?.map((each) => [each.EvalActionName, each.EvalDecision]),
    [
      ['ssm:StartSession', 'implicitDeny'],
      ['ssm:ResumeSession', 'allowed'],
    ],
  );
  emulator.controls.changeIdentity(accessKeyId, { denied: ['iam:*'] });
  const refused = iam.send(new GetRoleCommand({ RoleName: 'demo-node' }));
  assert.match(await nameOf(refused), /^AccessDenied/);
  emulator.controls.changeIdentity(accessKeyId, { denied: [] });
});
