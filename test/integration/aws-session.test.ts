/** The Session Manager calls against a server on loopback: requests, answers, errors, retries, limits. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createAwsContext } from '../../src/aws/context.ts';
import type { AwsContext, AwsSettings } from '../../src/aws/context.ts';
import { agentStatus, resumeSession, startSession, terminateSession } from '../../src/aws/ssm-session.ts';
import { signStreamUrl } from '../../src/aws/stream-url.ts';
import { createTlsMaterial } from '../../src/emulator/tls-authority.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { ProxyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import type { AwsHome } from '../support/aws-home.ts';
import { createAwsHome, replaceProcessEnv } from '../support/aws-home.ts';
import type { Handler } from '../support/aws-server.ts';
import {
  closedPort,
  json,
  jsonError,
  serveHttp,
  serveProxy,
  serveRaw,
  serveSilence,
} from '../support/aws-server.ts';

const STREAM_URL =
  'wss://ssmmessages.us-west-2.amazonaws.com/v1/data-channel/me@x?role=r&cell-number=ab+/c==';
const GRANT = { SessionId: 'me-0abc', StreamUrl: STREAM_URL, TokenValue: 'token' };
const KEYS = { AWS_ACCESS_KEY_ID: 'AKID', AWS_SECRET_ACCESS_KEY: 'secret' };
const REQUEST = {
  target: 'i-0123456789abcdef0',
  documentName: 'AWS-StartSSHSession',
  parameters: { portNumber: ['22'] },
  reason: 'me@laptop',
};

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

function context(settings: Partial<AwsSettings> & { env?: NodeJS.ProcessEnv } = {}): Promise<AwsContext> {
  return createAwsContext({
    region: 'us-west-2',
    log: silentLog,
    ...settings,
    env: { ...home.env, ...KEYS, ...settings.env },
  });
}

/** Runs `work` with a context for a server that answers by `handler`. */
async function withServer<T>(
  handler: Handler,
  work: (context: AwsContext, requests: Awaited<ReturnType<typeof serveHttp>>['requests']) => Promise<T>,
  settings: Parameters<typeof context>[0] = {},
): Promise<T> {
  await using server = await serveHttp(handler);
  const made = await context({ endpointUrl: server.url, ...settings });
  try {
    return await work(made, server.requests);
  } finally {
    made.close();
  }
}

async function failure(work: Promise<unknown>): Promise<ProxyError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ProxyError, `a ProxyError, not ${String(error)}`);
  return error;
}

describe('StartSession', () => {
  it('asks for target, document, parameters and reason, signed for ssm, and says who asks', async () => {
    await withServer(
      () => json(GRANT),
      async (made, requests) => {
        assert.deepEqual(await startSession(made, REQUEST), {
          sessionId: 'me-0abc',
          streamUrl: STREAM_URL,
          tokenValue: 'token',
        });
        const [request] = requests;
        assert.deepEqual(JSON.parse(request?.body ?? ''), {
          Target: 'i-0123456789abcdef0',
          DocumentName: 'AWS-StartSSHSession',
          Parameters: { portNumber: ['22'] },
          Reason: 'me@laptop',
        });
        assert.equal(request?.headers['x-amz-target'], 'AmazonSSM.StartSession');
        assert.match(
          request?.headers.authorization ?? '',
          /Credential=AKID\/\d{8}\/us-west-2\/ssm\/aws4_request/,
        );
        assert.match(request?.headers['user-agent'] ?? '', /ssm-proxy\/\d/);
      },
    );
  });

  it('leaves out what is not given, and cuts a long reason', async () => {
    await withServer(
      () => json(GRANT),
      async (made, requests) => {
        await startSession(made, {
          target: 'mi-1',
          documentName: undefined,
          parameters: {},
          reason: undefined,
        });
        assert.deepEqual(JSON.parse(requests[0]?.body ?? ''), { Target: 'mi-1' });
        await startSession(made, { ...REQUEST, reason: `x${'🚀'.repeat(300)}` });
        const { Reason } = JSON.parse(requests[1]?.body ?? '') as { Reason: string };
        assert.ok(Reason.length <= 256);
        assert.match(Reason, /^x(🚀)+$/u, 'no half character');
      },
    );
  });

  const errors: readonly (readonly [string, number, ErrorCode])[] = [
    ['TargetNotConnected', 400, 'TARGET_NOT_CONNECTED'],
    ['AccessDeniedException', 400, 'ACCESS_DENIED'],
    ['InvalidDocument', 400, 'DOCUMENT_INVALID'],
    ['ValidationException', 400, 'DOCUMENT_INVALID'],
    ['UnrecognizedClientException', 400, 'CREDENTIALS_INVALID'],
    ['ExpiredTokenException', 400, 'CREDENTIALS_EXPIRED'],
  ];
  for (const [name, status, code] of errors) {
    it(`answered with ${name} is ${code}, and asked once`, async () => {
      await withServer(
        () => jsonError(name, 'AWS says\nso.', status),
        async (made, requests) => {
          const error = await failure(startSession(made, REQUEST));
          assert.equal(error.code, code);
          assert.equal(
            error.message,
            `An error occurred (${name}) when calling the StartSession operation: AWS says so.`,
          );
          assert.equal(requests.length, 1);
        },
      );
    });
  }

  for (const [name, status] of [
    ['ThrottlingException', 400],
    ['InternalServerError', 500],
  ] as const) {
    it(`is tried again after ${name}`, async () => {
      let calls = 0;
      await withServer(
        () => ((calls += 1) === 1 ? jsonError(name, 'later', status) : json(GRANT)),
        async (made) => {
          assert.equal((await startSession(made, REQUEST)).sessionId, 'me-0abc');
          assert.equal(calls, 2);
        },
      );
    });
  }

  it('is tried as often as AWS_MAX_ATTEMPTS says', async () => {
    await withServer(
      () => jsonError('ThrottlingException', 'Rate exceeded'),
      async (made, requests) => {
        const error = await failure(startSession(made, REQUEST));
        assert.equal(error.code, 'THROTTLED');
        assert.equal(requests.length, 1);
      },
      { env: { AWS_MAX_ATTEMPTS: '1' } },
    );
  });

  it('ends with its signal between two attempts, and with its reason', async () => {
    const reason = new ProxyError('CONNECT_TIMEOUT', 'too late');
    const abort = new AbortController();
    await withServer(
      () => {
        setImmediate(() => abort.abort(reason));
        return jsonError('ThrottlingException', 'Rate exceeded');
      },
      async (made) =>
        assert.equal(await failure(startSession(made, REQUEST, { signal: abort.signal })), reason),
    );
  });

  it('ends with its signal while the server is silent', async () => {
    const abort = new AbortController();
    await withServer(
      () => {
        abort.abort();
        return undefined;
      },
      async (made) => {
        assert.equal(
          (await failure(startSession(made, REQUEST, { signal: abort.signal }))).code,
          'CANCELLED',
        );
      },
    );
  });

  it('ends with its signal while a credential_process runs', async () => {
    const script = home.write('slow.cjs', 'setTimeout(() => {}, 600)');
    home.write('.aws/config', `[profile slow]\ncredential_process = "${process.execPath}" "${script}"\n`);
    const made = await context({ profile: 'slow', endpointUrl: 'http://127.0.0.1:1' });
    const abort = new AbortController();
    const call = startSession(made, REQUEST, { signal: abort.signal });
    abort.abort();
    assert.equal((await failure(call)).code, 'CANCELLED');
  });

  it('is not sent at all when its signal has gone before', async () => {
    await withServer(
      () => json(GRANT),
      async (made, requests) => {
        const error = await failure(startSession(made, REQUEST, { signal: AbortSignal.abort() }));
        assert.equal(error.code, 'CANCELLED');
        assert.equal(requests.length, 0);
      },
    );
  });

  it('ends within its timeout when the server is silent', async () => {
    await using silent = await serveSilence();
    const made = await context({
      endpointUrl: `http://127.0.0.1:${String(silent.port)}`,
      timeouts: { connectMs: 50, requestMs: 50 },
      env: { AWS_MAX_ATTEMPTS: '1' },
    });
    const error = await failure(startSession(made, REQUEST));
    assert.equal(error.code, 'ENDPOINT_UNREACHABLE');
    assert.match(error.message, /127\.0\.0\.1:\d+: timed out/);
  });

  it('to a closed port is ENDPOINT_UNREACHABLE', async () => {
    const made = await context({
      endpointUrl: `http://127.0.0.1:${String(await closedPort())}`,
      env: { AWS_MAX_ATTEMPTS: '1' },
    });
    assert.match((await failure(startSession(made, REQUEST))).message, /connection refused \(ECONNREFUSED\)/);
  });

  it('answered by a page that is no JSON is an error of one line', async () => {
    await withServer(
      () => ({
        status: 200,
        headers: { 'content-type': 'text/html' },
        body: '<html>\n<h1>Hotel Wi-Fi</h1>\n</html>',
      }),
      async (made) => {
        const error = await failure(startSession(made, REQUEST));
        assert.equal(error.code, 'SERVICE_ERROR');
        assert.equal(error.message, 'the answer to StartSession does not come from AWS (HTTP 200)');
      },
      { env: { AWS_MAX_ATTEMPTS: '1' } },
    );
  });

  it('answered with an error page that is none of AWS is known by its status', async () => {
    await withServer(
      () => ({ status: 404, headers: { 'content-type': 'text/html' }, body: '<h1>Not here</h1>' }),
      async (made) => {
        const error = await failure(startSession(made, REQUEST));
        assert.equal(
          error.message,
          'An error occurred (404) when calling the StartSession operation: no error of AWS in the answer',
        );
      },
    );
  });

  it('broken off in the middle of the answer is ENDPOINT_UNREACHABLE', async () => {
    await using server = await serveRaw('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"Session');
    const made = await context({
      endpointUrl: `http://127.0.0.1:${String(server.port)}`,
      env: { AWS_MAX_ATTEMPTS: '1' },
    });
    assert.equal((await failure(startSession(made, REQUEST))).code, 'ENDPOINT_UNREACHABLE');
  });

  it('answered without a token is an error', async () => {
    await withServer(
      () => json({ ...GRANT, TokenValue: null }),
      async (made) => assert.equal((await failure(startSession(made, REQUEST))).code, 'SERVICE_ERROR'),
    );
  });

  it('gives the stream URL with the host that the settings name', async () => {
    await withServer(
      () => json(GRANT),
      async (made) => {
        const { streamUrl } = await startSession(made, REQUEST);
        assert.equal(streamUrl, 'ws://127.0.0.1:4566/v1/data-channel/me@x?role=r&cell-number=ab+/c==');
      },
      { env: { AWS_ENDPOINT_URL_SSMMESSAGES: 'http://127.0.0.1:4566' } },
    );
  });
});

describe('expired credentials', () => {
  it('are read anew once, and the call is repeated', async () => {
    const write = (id: string) =>
      home.write('.aws/credentials', `[default]\naws_access_key_id = ${id}\naws_secret_access_key = s\n`);
    write('AKIDOLD');
    await using server = await serveHttp(({ headers }) => {
      if (headers.authorization?.includes('AKIDNEW') === true) return json(GRANT);
      write('AKIDNEW');
      return jsonError('ExpiredTokenException', 'The security token included in the request is expired');
    });
    const made = await createAwsContext({
      region: 'us-west-2',
      env: home.env,
      endpointUrl: server.url,
      log: silentLog,
    });
    assert.equal((await startSession(made, REQUEST)).sessionId, 'me-0abc');
    assert.equal(server.requests.length, 2);
    made.close();
  });
});

describe('ResumeSession', () => {
  it('uses credentials read anew, every time', async () => {
    await withServer(
      () => json(GRANT),
      async (made, requests) => {
        const env: NodeJS.ProcessEnv = { ...home.env, ...KEYS };
        const changing = await createAwsContext({
          region: 'us-west-2',
          env,
          endpointUrl: made.endpoint('SSM'),
          log: silentLog,
        });
        await startSession(changing, REQUEST);
        for (const id of ['AKIDSECOND', 'AKIDTHIRD']) {
          env['AWS_ACCESS_KEY_ID'] = id;
          assert.equal((await resumeSession(changing, 'me-0abc')).tokenValue, 'token');
        }
        await terminateSession(changing, 'me-0abc');
        changing.close();
        assert.deepEqual(
          requests.map(({ operation, headers }) => [
            operation,
            /Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1],
          ]),
          [
            ['StartSession', 'AKID'],
            ['ResumeSession', 'AKIDSECOND'],
            ['ResumeSession', 'AKIDTHIRD'],
            ['TerminateSession', 'AKIDTHIRD'],
          ],
        );
      },
    );
  });

  it('bears a login that has ended while the role credentials are good', async () => {
    const file = home.write(
      'process.cjs',
      `const fs = require('fs'); const mark = __filename + '.done'; if (fs.existsSync(mark)) process.exit(1); fs.writeFileSync(mark, '');
       console.log(JSON.stringify({ Version: 1, AccessKeyId: 'AKIDROLE', SecretAccessKey: 's', SessionToken: 't', Expiration: new Date(Date.now() + 3600000).toISOString() }))`,
    );
    home.write('.aws/config', `[profile p]\ncredential_process = "${process.execPath}" "${file}"\n`);
    await withServer(
      () => json(GRANT),
      async (made) => {
        await made.credentials();
        assert.equal((await resumeSession(made, 'me-0abc')).sessionId, 'me-0abc');
      },
      { profile: 'p' },
    );
  });

  for (const [name, answer] of [
    ['a null token', json({ SessionId: 'me-0abc', StreamUrl: STREAM_URL, TokenValue: null })],
    ['an empty token', json({ SessionId: 'me-0abc', StreamUrl: STREAM_URL, TokenValue: '' })],
    ['nothing', json({})],
    ['DoesNotExistException', jsonError('DoesNotExistException', 'Session does not exist')],
  ] as const) {
    it(`answered with ${name} is SESSION_GONE`, async () => {
      await withServer(
        () => answer,
        async (made) => assert.equal((await failure(resumeSession(made, 'me-0abc'))).code, 'SESSION_GONE'),
      );
    });
  }

  it('may answer with another stream URL, or with none', async () => {
    const answers = [
      { ...GRANT, StreamUrl: 'wss://other/x' },
      { SessionId: 'me-0abc', TokenValue: 'token' },
    ];
    await withServer(
      () => json(answers.shift()),
      async (made) => {
        assert.equal((await resumeSession(made, 'me-0abc')).streamUrl, 'wss://other/x');
        assert.equal((await resumeSession(made, 'me-0abc')).streamUrl, '');
      },
    );
  });

  it('forbidden is ACCESS_DENIED', async () => {
    await withServer(
      () => jsonError('AccessDeniedException', 'no'),
      async (made) => {
        const error = await failure(resumeSession(made, 'me-0abc'));
        assert.equal(error.code, 'ACCESS_DENIED');
        assert.match(error.hint ?? '', /ssm:ResumeSession/);
      },
    );
  });
});

describe("the agent's status", () => {
  const entry = {
    InstanceId: 'i-1',
    PingStatus: 'Online',
    AgentVersion: '3.3.987.0',
    LastPingDateTime: 1_700_000_000,
    PlatformType: 'Linux',
    ComputerName: 'node.local',
    IPAddress: '10.0.0.1',
  };

  it('is what SSM says', async () => {
    await withServer(
      () => json({ InstanceInformationList: [{ InstanceId: 'i-other' }, entry] }),
      async (made, requests) => {
        assert.deepEqual(await agentStatus(made, 'i-1'), {
          status: 'online',
          agentVersion: '3.3.987.0',
          lastPing: new Date(1_700_000_000_000),
          platform: 'Linux',
          computerName: 'node.local',
          ipAddress: '10.0.0.1',
        });
        assert.deepEqual(JSON.parse(requests[0]?.body ?? ''), {
          Filters: [{ Key: 'InstanceIds', Values: ['i-1'] }],
          MaxResults: 50,
        });
      },
    );
  });

  for (const [ping, status] of [
    ['ConnectionLost', 'lost'],
    ['Inactive', 'inactive'],
    ['Sleeping', 'unknown'],
  ] as const) {
    it(`${ping} is ${status}`, async () => {
      await withServer(
        () => json({ InstanceInformationList: [{ InstanceId: 'i-1', PingStatus: ping }] }),
        async (made) => assert.deepEqual(await agentStatus(made, 'i-1'), { status }),
      );
    });
  }

  it('of an instance that SSM does not know is unregistered', async () => {
    await withServer(
      () => json({ InstanceInformationList: [{ ...entry, InstanceId: 'i-2' }] }),
      async (made) => assert.deepEqual(await agentStatus(made, 'i-1'), { status: 'unregistered' }),
    );
  });

  it('that may not be asked for is unknown', async () => {
    await withServer(
      () => jsonError('AccessDeniedException', 'no'),
      async (made) => assert.deepEqual(await agentStatus(made, 'i-1'), { status: 'unknown' }),
    );
  });
});

describe('the clock', () => {
  it('of AWS is used for the signature of the upgrade', async () => {
    const ahead = Date.now() + 3_600_000;
    await withServer(
      () => ({
        ...json(GRANT),
        headers: { 'content-type': 'application/x-amz-json-1.1', date: new Date(ahead).toUTCString() },
      }),
      async (made) => {
        const { streamUrl } = await startSession(made, REQUEST);
        const headers = await signStreamUrl(made, streamUrl);
        const [, y, mo, d, h, mi, s] =
          /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(headers?.['x-amz-date'] ?? '') ?? [];
        const signedAt = Date.parse(`${y ?? ''}-${mo ?? ''}-${d ?? ''}T${h ?? ''}:${mi ?? ''}:${s ?? ''}Z`);
        assert.ok(Math.abs(signedAt - ahead) < 60_000);
      },
    );
  });
});

describe('the endpoints of a region', () => {
  const rows: readonly (readonly [string, NodeJS.ProcessEnv, string])[] = [
    ['us-west-2', {}, 'ssm.us-west-2.amazonaws.com:443'],
    ['cn-north-1', {}, 'ssm.cn-north-1.amazonaws.com.cn:443'],
    ['us-gov-west-1', { AWS_USE_FIPS_ENDPOINT: 'true' }, 'ssm.us-gov-west-1.amazonaws.com:443'],
    ['us-west-2', { AWS_USE_FIPS_ENDPOINT: 'true' }, 'ssm-fips.us-west-2.amazonaws.com:443'],
    ['us-west-2', { AWS_USE_DUALSTACK_ENDPOINT: 'true' }, 'ssm.us-west-2.api.aws:443'],
  ];
  for (const [region, env, expected] of rows) {
    it(`of ${region} with ${JSON.stringify(env)} is ${expected}, through the proxy`, async () => {
      await using proxy = await serveProxy(() => ({ status: 403 }));
      const made = await context({ region, env: { ...env, HTTPS_PROXY: proxy.url } });
      const error = await failure(startSession(made, REQUEST));
      assert.equal(proxy.connects[0]?.target, expected);
      assert.equal(error.code, 'ENDPOINT_UNREACHABLE');
      assert.match(error.message, /the HTTP proxy 127\.0\.0\.1:\d+ answered 403/);
    });
  }

  it('that settings name do not go with FIPS', async () => {
    const made = await context({
      endpointUrl: 'https://127.0.0.1:1',
      env: { AWS_USE_FIPS_ENDPOINT: 'true' },
    });
    const error = await failure(startSession(made, REQUEST));
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.match(error.message, /FIPS and custom endpoint/);
  });
});

describe('TLS of the API', () => {
  it('trusts AWS_CA_BUNDLE or ca_bundle of the profile, direct and through a proxy', async () => {
    const tls = await createTlsMaterial(Date.now());
    const caFile = home.write('ca.pem', tls.authority);
    home.write('.aws/config', `[profile ca]\nca_bundle = ${caFile}\n`);
    await using server = await serveHttp(() => json(GRANT), tls);
    await using proxy = await serveProxy(() => ({ port: server.port }));
    const direct = `https://localhost:${String(server.port)}`;
    const proxied = `https://localhost.:${String(server.port)}`;
    for (const settings of [
      { endpointUrl: direct, env: { AWS_CA_BUNDLE: caFile } },
      { endpointUrl: direct, profile: 'ca' },
      { endpointUrl: proxied, env: { AWS_CA_BUNDLE: caFile, HTTPS_PROXY: proxy.url } },
    ]) {
      // A profile without keys: those of the environment are for the unnamed one only.
      const made = await context(settings);
      const answer = await startSession(
        { ...made, credentials: () => Promise.resolve({ accessKeyId: 'A', secretAccessKey: 's' }) },
        REQUEST,
      );
      assert.equal(answer.sessionId, 'me-0abc');
      made.close();
    }
    assert.equal(proxy.connects.length, 1);
  });

  it('that is not trusted is TLS_UNTRUSTED, and tried once', async () => {
    const tls = await createTlsMaterial(Date.now());
    await using server = await serveHttp(() => json(GRANT), tls);
    const made = await context({ endpointUrl: `https://localhost:${String(server.port)}` });
    assert.equal((await failure(startSession(made, REQUEST))).code, 'TLS_UNTRUSTED');
    assert.equal(server.requests.length, 0);
  });

  it('with a bundle that cannot be read is CONFIG_INVALID', async () => {
    const made = await context({
      endpointUrl: 'https://localhost:1',
      env: { AWS_CA_BUNDLE: '/nonexistent/ca.pem' },
    });
    const error = await failure(startSession(made, REQUEST));
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.match(error.message, /\/nonexistent\/ca\.pem cannot be read \(ENOENT\)/);
  });
});
