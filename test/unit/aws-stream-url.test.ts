/**
 * The signature of the upgrade request, against one computed here by the published steps of SigV4 with node:crypto:
 * nothing is shared with the signer that is tested.
 */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import type { AwsContext, AwsCredentials } from '../../src/aws/context.ts';
import { createAwsContext } from '../../src/aws/context.ts';
import { replaceStreamHost } from '../../src/aws/stream-host.ts';
import { signStreamUrl } from '../../src/aws/stream-url.ts';
import { ProxyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';

// AWS's own example credentials.
const CREDENTIALS: AwsCredentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const DATE = new Date('2026-11-23T15:04:05.678Z');

async function contextWith(credentials: () => Promise<AwsCredentials>): Promise<AwsContext> {
  const env = { HOME: '/nonexistent', AWS_EC2_METADATA_DISABLED: 'true' };
  const context = await createAwsContext({ env, region: 'us-west-2', log: silentLog });
  return { ...context, credentials, signingDate: () => DATE };
}

interface Expected {
  readonly host: string;
  readonly canonicalPath: string;
  readonly canonicalQuery: string;
  readonly token?: string;
}

function expectedAuthorization({ host, canonicalPath, canonicalQuery, token }: Expected): string {
  const hmac = (key: string | Buffer, text: string): Buffer =>
    createHmac('sha256', key).update(text).digest();
  const hex = (text: string): string => createHash('sha256').update(text).digest('hex');
  const headers = [
    `host:${host}`,
    'x-amz-date:20261123T150405Z',
    ...(token ? [`x-amz-security-token:${token}`] : []),
  ];
  const signedHeaders = headers.map((line) => line.slice(0, line.indexOf(':'))).join(';');
  const canonicalRequest = [
    'GET',
    canonicalPath,
    canonicalQuery,
    ...headers,
    '',
    signedHeaders,
    hex(''),
  ].join('\n');
  const scope = '20261123/us-west-2/ssmmessages/aws4_request';
  const stringToSign = ['AWS4-HMAC-SHA256', '20261123T150405Z', scope, hex(canonicalRequest)].join('\n');
  const dateKey = hmac(`AWS4${CREDENTIALS.secretAccessKey}`, '20261123');
  const signingKey = hmac(hmac(hmac(dateKey, 'us-west-2'), 'ssmmessages'), 'aws4_request');
  const signature = hmac(signingKey, stringToSign).toString('hex');
  return `AWS4-HMAC-SHA256 Credential=${CREDENTIALS.accessKeyId}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
}

const HOST = 'ssmmessages.us-west-2.amazonaws.com';

describe('the signature of the upgrade request', () => {
  const rows: readonly (readonly [string, string, Expected])[] = [
    [
      'of a plain stream URL',
      `wss://${HOST}/v1/data-channel/user-0abc?role=publish_subscribe`,
      { host: HOST, canonicalPath: '/v1/data-channel/user-0abc', canonicalQuery: 'role=publish_subscribe' },
    ],
    [
      'reads a raw + as a space and encodes / and =',
      `wss://${HOST}/v1/data-channel/user-0abc?role=publish_subscribe&cell-number=ab+/c==`,
      {
        host: HOST,
        canonicalPath: '/v1/data-channel/user-0abc',
        canonicalQuery: 'cell-number=ab%20%2Fc%3D%3D&role=publish_subscribe',
      },
    ],
    [
      'keeps an escaped + a plus',
      `wss://${HOST}/v1/data-channel/u?cell-number=a%2Bb`,
      { host: HOST, canonicalPath: '/v1/data-channel/u', canonicalQuery: 'cell-number=a%2Bb' },
    ],
    [
      'encodes the path once more',
      `wss://${HOST}/v1/data-channel/me@example.com-0a%20b?role=x`,
      { host: HOST, canonicalPath: '/v1/data-channel/me%40example.com-0a%2520b', canonicalQuery: 'role=x' },
    ],
    [
      'sorts names and values, and leaves out what is no pair',
      `wss://${HOST}/p?b=2&a=9&a=1&bare&bad=%zz&semi;colon=1&`,
      { host: HOST, canonicalPath: '/p', canonicalQuery: 'a=1&a=9&b=2&bare=' },
    ],
    [
      'names a port that is not the own one of the scheme',
      'wss://localhost:4567/v1/x?role=y',
      { host: 'localhost:4567', canonicalPath: '/v1/x', canonicalQuery: 'role=y' },
    ],
    [
      'leaves out a port that is',
      `wss://${HOST.toUpperCase()}:443/v1/x`,
      { host: HOST, canonicalPath: '/v1/x', canonicalQuery: '' },
    ],
  ];
  for (const [name, url, expected] of rows) {
    it(name, async () => {
      const context = await contextWith(() => Promise.resolve(CREDENTIALS));
      assert.deepEqual(await signStreamUrl(context, url), {
        'x-amz-date': '20261123T150405Z',
        authorization: expectedAuthorization(expected),
      });
    });
  }

  it('covers the session token', async () => {
    const context = await contextWith(() => Promise.resolve({ ...CREDENTIALS, sessionToken: 'a/token==' }));
    const headers = await signStreamUrl(context, `wss://${HOST}/v1/x?role=y`);
    assert.deepEqual(headers, {
      'x-amz-date': '20261123T150405Z',
      'x-amz-security-token': 'a/token==',
      authorization: expectedAuthorization({
        host: HOST,
        canonicalPath: '/v1/x',
        canonicalQuery: 'role=y',
        token: 'a/token==',
      }),
    });
  });

  for (const name of ['X-Amz-Algorithm', 'x-amz-signature', 'X-Amz-Security-Token', 'X-Amz-Credential']) {
    it(`is left out when the URL holds ${name}`, async () => {
      const context = await contextWith(() => Promise.reject(new Error('credentials must not be asked for')));
      assert.equal(await signStreamUrl(context, `wss://${HOST}/v1/x?role=y&${name}=z`), undefined);
    });
  }

  it('is left out when there are no credentials, and that is no error', async () => {
    const context = await contextWith(() => Promise.reject(new ProxyError('CREDENTIALS_MISSING', 'none')));
    assert.equal(await signStreamUrl(context, `wss://${HOST}/v1/x`), undefined);
  });

  it('is made with the credentials of the moment', async () => {
    let calls = 0;
    const context = await contextWith(() =>
      Promise.resolve({ ...CREDENTIALS, accessKeyId: `AKID${String((calls += 1))}` }),
    );
    const first = await signStreamUrl(context, `wss://${HOST}/v1/x`);
    const second = await signStreamUrl(context, `wss://${HOST}/v1/x`);
    assert.match(first?.['authorization'] ?? '', /Credential=AKID1\//);
    assert.match(second?.['authorization'] ?? '', /Credential=AKID2\//);
  });
});

describe('the host of the stream URL', () => {
  const rest = '/v1/data-channel/a%2fB@c?role=publish_subscribe&cell-number=ab+/c==';
  const rows: readonly (readonly [string | undefined, string])[] = [
    [undefined, `wss://${HOST}${rest}`],
    ['https://vpce-1.example.com', `wss://vpce-1.example.com${rest}`],
    ['https://vpce-1.example.com/', `wss://vpce-1.example.com${rest}`],
    ['wss://vpce-1.example.com:8443', `wss://vpce-1.example.com:8443${rest}`],
    ['http://127.0.0.1:4566', `ws://127.0.0.1:4566${rest}`],
    ['http://[::1]:4566', `ws://[::1]:4566${rest}`],
  ];
  for (const [endpoint, expected] of rows) {
    it(`for ${String(endpoint)} changes nothing but scheme, host and port`, () => {
      assert.equal(replaceStreamHost(`wss://${HOST}${rest}`, endpoint), expected);
    });
  }

  it('cannot be replaced by an endpoint with a path', () => {
    assert.throws(() => replaceStreamHost(`wss://${HOST}/x`, 'https://gateway.example.com/base'), {
      code: 'CONFIG_INVALID',
      message: /has a path/,
    });
  });
});
