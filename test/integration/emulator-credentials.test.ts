/** Refused credentials and missing permissions, in the words of each service, as the real SDK reports them. */
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import assert from 'node:assert/strict';
import * as http from 'node:http';
import { after, before, test } from 'node:test';
import { DescribeInstancesCommand } from '@aws-sdk/client-ec2';
import { DescribeSessionsCommand, SSMClient, StartSessionCommand } from '@aws-sdk/client-ssm';
import { AssumeRoleCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import { sdkClients, sdkOptions } from '../support/emulator-clients.ts';
import type { SdkClients, SdkCredentials } from '../support/emulator-clients.ts';
import { scriptedAgents } from '../support/scripted-agent.ts';

let emulator: Emulator;

before(async () => {
  emulator = await startEmulator({ nodes: 0, startAgentSession: scriptedAgents().start });
});
after(() => emulator.close());

interface Refused {
  readonly name: string;
  readonly message: string;
  readonly status: number | undefined;
}

async function refusalOf(call: () => Promise<unknown>): Promise<Refused> {
  try {
    await call();
  } catch (error) {
    const { name, message, $metadata } = error as {
      name: string;
      message: string;
      $metadata?: { httpStatusCode?: number };
    };
    return { name, message, status: $metadata?.httpStatusCode };
  }
  throw new Error('the call was not refused');
}

async function refusals(credentials: SdkCredentials) {
  const sdk: SdkClients = sdkClients(emulator, credentials);
  try {
    return {
      ec2: await refusalOf(() => sdk.ec2.send(new DescribeInstancesCommand({}))),
      ssm: await refusalOf(() => sdk.ssm.send(new DescribeSessionsCommand({ State: 'Active' }))),
      sts: await refusalOf(() => sdk.sts.send(new GetCallerIdentityCommand({}))),
    };
  } finally {
    sdk.destroy();
  }
}

const EC2_INVALID = {
  name: 'AuthFailure',
  message: 'AWS was not able to validate the provided access credentials',
  status: 401,
};
const WRONG_SIGNATURE =
  'The request signature we calculated does not match the signature you provided. ' +
  'Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';

test('an unknown access key', async () => {
  const found = await refusals({ accessKeyId: 'AKIAUNKNOWN', secretAccessKey: 'x' });
  const message = 'The security token included in the request is invalid.';
  assert.deepEqual(found, {
    ec2: EC2_INVALID,
    ssm: { name: 'UnrecognizedClientException', message, status: 400 },
    sts: { name: 'InvalidClientTokenId', message, status: 403 },
  });
});

test('a wrong secret', async () => {
  const found = await refusals({ ...emulator.credentials, secretAccessKey: 'not the one' });
  assert.deepEqual(found, {
    ec2: EC2_INVALID,
    ssm: { name: 'InvalidSignatureException', message: WRONG_SIGNATURE, status: 400 },
    sts: { name: 'SignatureDoesNotMatch', message: WRONG_SIGNATURE, status: 403 },
  });
});

test('an expired session token', async () => {
  const identity = emulator.controls.addIdentity({ sessionToken: 'token', expiresAt: Date.now() - 1000 });
  const found = await refusals({
    accessKeyId: identity.accessKeyId,
    secretAccessKey: identity.secretAccessKey,
    sessionToken: 'token',
  });
  const message = 'The security token included in the request is expired';
  assert.deepEqual(found, {
    ec2: { name: 'RequestExpired', message: 'Request has expired.', status: 400 },
    ssm: { name: 'ExpiredTokenException', message, status: 400 },
    // The SDK knows this one by the name of its class.
    sts: { name: found.sts.name, message, status: 403 },
  });
  assert.match(found.sts.name, /^ExpiredToken/);
});

test('a session token that is not the one of the key', async () => {
  const found = await refusals({ ...emulator.credentials, sessionToken: 'made up' });
  assert.equal(found.ec2.name, 'AuthFailure');
  assert.equal(found.ssm.name, 'UnrecognizedClientException');
  assert.equal(found.sts.name, 'InvalidClientTokenId');
});

test('a clock that is ten minutes off', async () => {
  emulator.controls.setClock({ offsetMs: 600_000 });
  const found = await refusals(emulator.credentials);
  emulator.controls.setClock({ offsetMs: 0 });
  assert.deepEqual(found.ec2, EC2_INVALID);
  assert.equal(found.ssm.name, 'InvalidSignatureException');
  assert.match(
    found.ssm.message,
    /^Signature expired: \d{8}T\d{6}Z is now earlier than \d{8}T\d{6}Z \(\d{8}T\d{6}Z - 5 min\.\)$/,
  );
  assert.equal(found.sts.name, 'SignatureDoesNotMatch');
  assert.match(found.sts.message, /^Signature expired/);
});

test('an SDK that may retry corrects its clock by the Date header and gets through', async () => {
  emulator.controls.setClock({ offsetMs: -600_000 });
  const sdk = sdkClients(emulator);
  try {
    const call = () => sdk.ssm.send(new DescribeSessionsCommand({ State: 'Active' }));
    const refused = await refusalOf(call);
    assert.match(refused.message, /^Signature not yet current/);
    await call();
  } finally {
    emulator.controls.setClock({ offsetMs: 0 });
    sdk.destroy();
  }
});

test('a missing permission names who may not do what on what', async () => {
  const identity = emulator.controls.addIdentity({
    userName: 'jane',
    denied: ['ssm:StartSession', 'ec2:*', 'sts:AssumeRole', 'sts:GetCallerIdentity'],
  });
  const sdk = sdkClients(emulator, identity as SdkCredentials);
  const who = 'User: arn:aws:iam::111122223333:user/jane is not authorized to perform:';
  const arn = 'arn:aws:ec2:us-east-1:111122223333:instance/i-0123456789abcdef0';
  assert.deepEqual(
    await refusalOf(() => sdk.ssm.send(new StartSessionCommand({ Target: 'i-0123456789abcdef0' }))),
    {
      name: 'AccessDeniedException',
      message: `${who} ssm:StartSession on resource: ${arn} because no identity-based policy allows the ssm:StartSession action`,
      status: 400,
    },
  );
  assert.deepEqual(await refusalOf(() => sdk.ec2.send(new DescribeInstancesCommand({}))), {
    name: 'UnauthorizedOperation',
    message:
      `You are not authorized to perform this operation. ${who} ec2:DescribeInstances ` +
      'because no identity-based policy allows the ec2:DescribeInstances action',
    status: 403,
  });
  const role = { RoleArn: 'arn:aws:iam::111122223333:role/ops', RoleSessionName: 'jane' };
  const assume = await refusalOf(() => sdk.sts.send(new AssumeRoleCommand(role)));
  assert.deepEqual([assume.name, assume.status], ['AccessDenied', 403]);
  // Asking who one is needs no permission.
  const { Arn } = await sdk.sts.send(new GetCallerIdentityCommand({}));
  assert.equal(Arn, 'arn:aws:iam::111122223333:user/jane');
  emulator.controls.changeIdentity(identity.accessKeyId, { denied: [] });
  await sdk.ec2.send(new DescribeInstancesCommand({}));
  sdk.destroy();
});

test('credentials scoped to another service', async () => {
  const ssm = new SSMClient({
    ...sdkOptions(emulator),
    signer: new SignatureV4({
      service: 'ec2',
      region: emulator.region,
      credentials: emulator.credentials,
      sha256: Sha256,
    }),
  });
  const found = await refusalOf(() => ssm.send(new DescribeSessionsCommand({ State: 'Active' })));
  assert.deepEqual(found, {
    name: 'InvalidSignatureException',
    message: "Credential should be scoped to correct service: 'ssm'.",
    status: 400,
  });
  ssm.destroy();
});

// ---- requests no SDK sends ---------------------------------------------------------------------------------

interface RawAnswer {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

function post(headers: Record<string, string>, body: string): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const request = http.request(emulator.endpoint, { method: 'POST', headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body: text }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

test('an unsigned request is told so, in the protocol of its service', async () => {
  const ec2 = await post(FORM, 'Action=DescribeInstances&Version=2016-11-15');
  assert.equal(ec2.status, 400);
  assert.match(
    ec2.body,
    /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<Response><Errors><Error><Code>MissingParameter<\/Code>/,
  );
  assert.match(ec2.body, /<Message>The request must contain the parameter AWSAccessKeyId<\/Message>/);
  assert.match(ec2.body, /<RequestID>[0-9a-f-]{36}<\/RequestID><\/Response>$/);
  const sts = await post(FORM, 'Action=GetCallerIdentity&Version=2011-06-15');
  assert.equal(sts.status, 403);
  assert.match(sts.body, /<Type>Sender<\/Type><Code>MissingAuthenticationToken<\/Code>/);
  const ssm = await post(
    { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'AmazonSSM.StartSession' },
    '{"Target":"i-0"}',
  );
  assert.equal(ssm.status, 400);
  assert.deepEqual(JSON.parse(ssm.body), {
    __type: 'MissingAuthenticationTokenException',
    message: 'Missing Authentication Token',
  });
  assert.equal(ssm.headers['x-amzn-errortype'], 'MissingAuthenticationTokenException');
  assert.match(String(ssm.headers['x-amzn-requestid']), /^[0-9a-f-]{36}$/);
});

test('text of a request never becomes markup of an answer', async () => {
  const sdk = sdkClients(emulator);
  const name = `<a&"'>`;
  const refused = await refusalOf(() =>
    sdk.ec2.send(new DescribeInstancesCommand({ Filters: [{ Name: name, Values: ['x'] }] })),
  );
  assert.equal(refused.message, `The filter '${name}' is invalid`);
  sdk.destroy();
});

test('a request body beyond every AWS request is refused', async () => {
  const { status } = await post(FORM, 'x'.repeat(3 * 1024 * 1024));
  assert.equal(status, 413);
});
