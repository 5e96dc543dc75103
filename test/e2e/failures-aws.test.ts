/** What AWS or the configuration of AWS has against a connection: code, exit status, two lines, nothing on stdout. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { FaultChange } from '../../src/emulator/fault-settings.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { Cluster } from '../support/cluster.ts';
import { NODE, startCluster } from '../support/cluster.ts';
import { failureOf, statusOf } from '../support/failure.ts';
import { closedPort } from '../support/tcp-server.ts';

let cluster: Cluster;
let closedEndpoint: string;

before(async () => {
  cluster = await startCluster({ withSshd: false, nodes: 2 });
  const { host, port } = await closedPort();
  closedEndpoint = `http://${host}:${port}`;
});
after(() => cluster.close());
afterEach(async () => {
  cluster.reset();
  await cluster.checkNothingLeft();
});

interface FailureCase {
  readonly title: string;
  readonly args?: readonly string[];
  /** An empty text takes a variable out. */
  readonly env?: () => Readonly<Record<string, string>>;
  readonly faults?: FaultChange;
  /** Actions that the access key lacks. */
  readonly denied?: readonly string[];
  readonly code: ErrorCode;
  readonly message: RegExp;
}

const NO_KEYS = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };
const failing = (operation: string, code: string, message: string, status = 400): FaultChange => ({
  api: { failures: [{ operation, kind: 'error', code, message, status }] },
});

/** Every open within the test. */
const refusing = (status: number): FaultChange => ({
  open: { outcomes: Array.from({ length: 100 }, () => ({ kind: 'status' as const, status })) },
});

const CASES: readonly FailureCase[] = [
  {
    title: 'no credentials',
    env: () => NO_KEYS,
    code: 'CREDENTIALS_MISSING',
    message: /^no AWS credentials$/,
  },
  {
    title: 'a profile without credentials',
    env: () => ({
      ...NO_KEYS,
      AWS_CONFIG_FILE: config('[profile empty]\nregion = us-east-1\n'),
      AWS_PROFILE: 'empty',
    }),
    code: 'CREDENTIALS_MISSING',
    message: /^no AWS credentials for profile empty/,
  },
  {
    title: 'an access key that AWS does not know',
    env: () => ({ AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE' }),
    code: 'CREDENTIALS_INVALID',
    message: /^An error occurred \(AuthFailure\) when calling the DescribeInstances operation: /,
  },
  {
    title: 'a wrong secret',
    env: () => ({ AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }),
    code: 'CREDENTIALS_INVALID',
    message:
      /^An error occurred \((AuthFailure|SignatureDoesNotMatch)\) when calling the DescribeInstances operation: /,
  },
  {
    title: 'a wrong secret, where only SSM is asked',
    args: ['i-0123456789abcdef0'],
    env: () => ({ AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }),
    code: 'CREDENTIALS_INVALID',
    message: /^An error occurred \(InvalidSignatureException\) when calling the StartSession operation: /,
  },
  {
    title: 'an expired token',
    env: () => expiredKeys(),
    code: 'CREDENTIALS_EXPIRED',
    message:
      /^An error occurred \((RequestExpired|ExpiredToken\w*)\) when calling the DescribeInstances operation: /,
  },
  {
    title: 'an expired token, where only SSM is asked',
    args: ['i-0123456789abcdef0'],
    env: () => expiredKeys(),
    code: 'CREDENTIALS_EXPIRED',
    message: /^An error occurred \(ExpiredTokenException\) when calling the StartSession operation: /,
  },
  {
    title: 'no region',
    env: () => ({ AWS_REGION: '' }),
    code: 'REGION_MISSING',
    message: /region/,
  },
  {
    title: 'a profile that does not exist',
    args: [NODE, '--profile', 'nobody'],
    code: 'PROFILE_NOT_FOUND',
    message: /nobody/,
  },
  {
    title: 'an endpoint that nobody listens on',
    args: [NODE, '--connect-timeout', '3'],
    env: () => ({ AWS_ENDPOINT_URL: closedEndpoint }),
    code: 'ENDPOINT_UNREACHABLE',
    message: /127\.0\.0\.1:\d+/,
  },
  {
    title: 'a host name that does not exist',
    args: [NODE, '--connect-timeout', '3'],
    env: () => ({ AWS_ENDPOINT_URL: 'http://aws.invalid' }),
    code: 'ENDPOINT_UNREACHABLE',
    message: /aws\.invalid/,
  },
  {
    title: 'no permission for DescribeInstances',
    denied: ['ec2:DescribeInstances'],
    code: 'ACCESS_DENIED',
    message: /^An error occurred \(UnauthorizedOperation\) when calling the DescribeInstances operation: /,
  },
  {
    title: 'no permission for StartSession',
    denied: ['ssm:StartSession'],
    code: 'ACCESS_DENIED',
    message: /^An error occurred \(AccessDeniedException\) when calling the StartSession operation: /,
  },
  {
    title: 'a document that does not exist',
    args: [NODE, '--document', 'No-Such-Document'],
    code: 'DOCUMENT_INVALID',
    message: /^An error occurred \(InvalidDocument\) when calling the StartSession operation: /,
  },
  {
    title: 'a parameter that the document does not have',
    args: [NODE, '--parameter', 'colour=red'],
    code: 'DOCUMENT_INVALID',
    message: /^An error occurred \(\w+\) when calling the StartSession operation: /,
  },
  {
    title: 'throttling that does not end',
    args: [NODE, '--connect-timeout', '4'],
    faults: failing('ssm:StartSession', 'ThrottlingException', 'Rate exceeded'),
    code: 'THROTTLED',
    message:
      /^An error occurred \(ThrottlingException\) when calling the StartSession operation: Rate exceeded/,
  },
  {
    title: 'an error of the service that does not end',
    args: [NODE, '--connect-timeout', '4'],
    faults: failing('ssm:StartSession', 'InternalServerError', 'An error occurred on the server side.', 500),
    code: 'SERVICE_ERROR',
    message: /^An error occurred \(InternalServerError\) when calling the StartSession operation: /,
  },
  {
    title: 'a service that never answers',
    args: [NODE, '--connect-timeout', '3'],
    faults: { api: { failures: [{ operation: '*', kind: 'hang' }] } },
    code: 'CONNECT_TIMEOUT',
    message: /^no connection to 10\.0\.1\.11 within 3 s/,
  },
  {
    title: 'a data channel that is forbidden',
    args: [NODE, '--connect-timeout', '4'],
    faults: refusing(403),
    code: 'ACCESS_DENIED',
    message: /HTTP 403/,
  },
  {
    title: 'a data channel that is unavailable',
    args: [NODE, '--connect-timeout', '4'],
    faults: refusing(503),
    code: 'CHANNEL_OPEN_FAILED',
    message: /HTTP 503/,
  },
];

for (const { title, args, env, faults, denied, code, message } of CASES) {
  test(`${title} is ${code}`, async () => {
    const { controls, credentials } = cluster.emulator;
    if (faults !== undefined) controls.changeFaults(faults);
    controls.changeIdentity(credentials.accessKeyId, { denied: denied ?? [] });
    try {
      const words = ['connect', ...(args ?? [NODE])];
      const program = cluster.startCli(words, { env: env?.() ?? {}, keepsInput: true });
      const result = await program.finished;
      const failure = failureOf(result);
      assert.deepEqual(
        { code: failure.code, status: result.status },
        { code, status: statusOf(code) },
        result.stderr,
      );
      assert.match(failure.message, message);
      assert.doesNotMatch(result.stderr, /^ssh:/m);
    } finally {
      controls.changeIdentity(credentials.accessKeyId, { denied: [] });
    }
  });
}

test('throttling that ends within the connect timeout is waited out', async () => {
  cluster.emulator.controls.changeFaults({
    api: {
      failures: [
        {
          operation: 'ssm:StartSession',
          kind: 'error',
          code: 'ThrottlingException',
          message: 'Rate exceeded',
          status: 400,
          times: 4,
        },
      ],
    },
  });
  const { status, stdout, stderr } = await cluster.cli(['connect', NODE]);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.match(stdout.toString('latin1'), /^SSH-2\.0-/);
});

test('credentials and region of a profile are used', async () => {
  const { accessKeyId, secretAccessKey } = cluster.emulator.credentials;
  const env = {
    ...NO_KEYS,
    AWS_REGION: '',
    AWS_CONFIG_FILE: config('[profile cluster]\nregion = us-east-1\n'),
    AWS_SHARED_CREDENTIALS_FILE: config(
      `[cluster]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
    ),
  };
  const { status, stderr } = await cluster.ssh(
    ['-o', `ProxyCommand ${cluster.cliCommand.join(' ')} connect --profile cluster %h %p`, NODE, 'true'],
    { env },
  );
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
});

let files = 0;
/** A file of its own with this text. */
function config(text: string): string {
  const folder = join(cluster.directory, 'aws');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `file-${(files += 1)}`);
  writeFileSync(file, text);
  return file;
}

function expiredKeys(): Record<string, string> {
  const { accessKeyId, secretAccessKey, sessionToken } = cluster.emulator.controls.addIdentity({
    userName: 'expired',
    sessionToken: 'token-of-yesterday',
    expiresAt: Date.now() - 60_000,
  });
  return {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken ?? '',
  };
}
