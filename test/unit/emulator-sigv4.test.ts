/** Signature verification, with AWS's own published examples as the judge. */
import assert from 'node:assert/strict';
import * as crypto from 'node:crypto';
import { test } from 'node:test';
import { checkSignature, signatureForm } from '../../src/emulator/api/sigv4.ts';
import type { SignedRequest } from '../../src/emulator/api/sigv4.ts';
import { Identities } from '../../src/emulator/identities.ts';

const ACCESS_KEY = 'AKIDEXAMPLE';
const SECRET_KEY = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const SIGNED_AT = Date.parse('2015-08-30T12:36:00Z');

function identities(): Identities {
  const known = new Identities();
  known.addUser({ accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY });
  return known;
}

/** Source: AWS General Reference, Signature Version 4 test suite (get-vanilla) and the ListUsers walk-through. */
const published: readonly { name: string; request: SignedRequest }[] = [
  {
    name: 'get-vanilla of the test suite',
    request: {
      method: 'GET',
      rawUrl: '/',
      headers: {
        host: 'example.amazonaws.com',
        'x-amz-date': '20150830T123600Z',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ' +
          'SignedHeaders=host;x-amz-date, ' +
          'Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
      },
      body: Buffer.alloc(0),
    },
  },
  {
    name: 'the ListUsers walk-through',
    request: {
      method: 'GET',
      rawUrl: '/?Action=ListUsers&Version=2010-05-08',
      headers: {
        host: 'iam.amazonaws.com',
        'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
        'x-amz-date': '20150830T123600Z',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, ' +
          'SignedHeaders=content-type;host;x-amz-date, ' +
          'Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
      },
      body: Buffer.alloc(0),
    },
  },
];
for (const { name, request } of published) {
  test(`${name} is accepted`, async () => {
    const check = await checkSignature(request, identities(), SIGNED_AT + 1000);
    assert.equal(check.problem, undefined);
    assert.equal(check.scope?.region, 'us-east-1');
  });

  test(`${name} is refused when anything signed differs`, async () => {
    const variants: SignedRequest[] = [
      { ...request, method: 'PUT' },
      { ...request, rawUrl: `${request.rawUrl}x` },
      { ...request, body: Buffer.from('x') },
      { ...request, headers: { ...request.headers, host: 'elsewhere.example' } },
    ];
    for (const variant of variants) {
      const check = await checkSignature(variant, identities(), SIGNED_AT);
      assert.equal(check.problem?.kind, 'wrong-signature', JSON.stringify(variant));
    }
  });
}

const [vanilla] = published;
assert.ok(vanilla !== undefined);

function altered(headers: Record<string, string>): SignedRequest {
  assert.ok(vanilla !== undefined);
  return { ...vanilla.request, headers: { ...vanilla.request.headers, ...headers } };
}

test('a signature that is five minutes off is refused in AWS’s sentence', async () => {
  const late = await checkSignature(vanilla.request, identities(), SIGNED_AT + 301_000);
  assert.deepEqual(late.problem, {
    kind: 'clock-skew',
    detail:
      'Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)',
  });
  const early = await checkSignature(vanilla.request, identities(), SIGNED_AT - 301_000);
  assert.deepEqual(early.problem, {
    kind: 'clock-skew',
    detail:
      'Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)',
  });
});

test('unknown keys, wrong tokens and expired ones are told apart', async () => {
  const known = identities();
  const unknown = altered({
    authorization: vanilla.request.headers['authorization']!.replace(ACCESS_KEY, 'AKIDOTHER'),
  });
  assert.equal((await checkSignature(unknown, known, SIGNED_AT)).problem?.kind, 'unknown-key');
  const withToken = altered({ 'x-amz-security-token': 'made up' });
  assert.equal((await checkSignature(withToken, known, SIGNED_AT)).problem?.kind, 'wrong-token');
  known.update(ACCESS_KEY, { expiresAt: SIGNED_AT - 1 });
  assert.equal((await checkSignature(vanilla.request, known, SIGNED_AT)).problem?.kind, 'expired-token');
});

const malformed: readonly { name: string; headers: Record<string, string>; detail: RegExp }[] = [
  { name: 'another algorithm', headers: { authorization: 'AWS4-ECDSA Credential=x' }, detail: /algorithm/ },
  {
    name: 'no signature',
    headers: { authorization: 'AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host' },
    detail: /'Signature'/,
  },
  {
    name: 'no signed headers',
    headers: { authorization: 'AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, Signature=00' },
    detail: /'SignedHeaders'/,
  },
  {
    name: 'no credential',
    headers: { authorization: 'AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00' },
    detail: /'Credential'/,
  },
  {
    name: 'a short credential',
    headers: { authorization: 'AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=00' },
    detail: /5 slash-delimited/,
  },
];
for (const { name, headers, detail } of malformed) {
  test(`an Authorization header with ${name} is malformed`, async () => {
    const { problem } = await checkSignature(altered(headers), identities(), SIGNED_AT);
    assert.equal(problem?.kind, 'malformed');
    assert.match(problem.kind === 'malformed' ? problem.detail : '', detail);
  });
}

test('a request without a signature has none', async () => {
  const bare = { method: 'GET', rawUrl: '/', headers: { host: 'x' }, body: Buffer.alloc(0) };
  assert.equal(signatureForm(bare), 'none');
  assert.deepEqual((await checkSignature(bare, identities(), SIGNED_AT)).problem, { kind: 'missing' });
});

// ---- the data channel's upgrade: built by hand here, so that no library agrees with itself -------------------

const CHANNEL_PATH = '/v1/data-channel/jane@example.com-0123456789abcdef0';
const RAW_QUERY = 'role=publish_subscribe&cell-number=ab+/c==';

/** Hex signature over a canonical request, by the rules of the AWS General Reference. */
function sign(canonicalRequest: string, date: string, service: string): string {
  const hmac = (key: Buffer | string, text: string): Buffer =>
    crypto.createHmac('sha256', key).update(text).digest();
  const hash = (text: string): string => crypto.createHash('sha256').update(text).digest('hex');
  const day = date.slice(0, 8);
  const key = hmac(hmac(hmac(hmac(`AWS4${SECRET_KEY}`, day), 'us-east-1'), service), 'aws4_request');
  const scope = `${day}/us-east-1/${service}/aws4_request`;
  return hmac(key, ['AWS4-HMAC-SHA256', date, scope, hash(canonicalRequest)].join('\n')).toString('hex');
}

function channelRequest(canonicalQuery: string, canonicalPath: string): SignedRequest {
  const date = '20150830T123600Z';
  const emptyHash = crypto.createHash('sha256').update('').digest('hex');
  const canonical = [
    'GET',
    canonicalPath,
    canonicalQuery,
    'host:127.0.0.1:4566',
    `x-amz-date:${date}`,
    '',
    'host;x-amz-date',
    emptyHash,
  ].join('\n');
  const credential = `${ACCESS_KEY}/20150830/us-east-1/ssmmessages/aws4_request`;
  const signature = sign(canonical, date, 'ssmmessages');
  return {
    method: 'GET',
    rawUrl: `${CHANNEL_PATH}?${RAW_QUERY}`,
    headers: {
      host: '127.0.0.1:4566',
      'x-amz-date': date,
      authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host;x-amz-date, Signature=${signature}`,
    },
    body: Buffer.alloc(0),
  };
}

test('in the stream URL a raw + is signed as a space, / and = are escaped, and the path is encoded once more', async () => {
  const path = '/v1/data-channel/jane%40example.com-0123456789abcdef0';
  const good = channelRequest('cell-number=ab%20%2Fc%3D%3D&role=publish_subscribe', path);
  assert.equal((await checkSignature(good, identities(), SIGNED_AT)).problem, undefined);
  const plus = channelRequest('cell-number=ab%2B%2Fc%3D%3D&role=publish_subscribe', path);
  assert.equal((await checkSignature(plus, identities(), SIGNED_AT)).problem?.kind, 'wrong-signature');
  const rawPath = channelRequest('cell-number=ab%20%2Fc%3D%3D&role=publish_subscribe', CHANNEL_PATH);
  assert.equal((await checkSignature(rawPath, identities(), SIGNED_AT)).problem?.kind, 'wrong-signature');
});

function presigned(options: { expires?: string; date?: string } = {}): SignedRequest {
  const date = options.date ?? '20150830T123600Z';
  const query = [
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    `X-Amz-Credential=${ACCESS_KEY}%2F20150830%2Fus-east-1%2Fssmmessages%2Faws4_request`,
    `X-Amz-Date=${date}`,
    `X-Amz-Expires=${options.expires ?? '60'}`,
    'X-Amz-SignedHeaders=host',
    'cell-number=ab%20%2Fc%3D%3D',
    'role=publish_subscribe',
  ];
  const emptyHash = crypto.createHash('sha256').update('').digest('hex');
  const canonical = [
    'GET',
    '/v1/data-channel/s',
    query.join('&'),
    'host:127.0.0.1:4566',
    '',
    'host',
    emptyHash,
  ];
  const signature = sign(canonical.join('\n'), date, 'ssmmessages');
  const raw = [RAW_QUERY, ...query.slice(0, 5), `X-Amz-Signature=${signature}`].join('&');
  return {
    method: 'GET',
    rawUrl: `/v1/data-channel/s?${raw}`,
    headers: { host: '127.0.0.1:4566' },
    body: Buffer.alloc(0),
  };
}

test('a presigned URL is accepted while it is valid', async () => {
  assert.equal(signatureForm(presigned()), 'query');
  const check = await checkSignature(presigned(), identities(), SIGNED_AT + 59_000);
  assert.equal(check.problem, undefined);
  assert.equal(check.scope?.service, 'ssmmessages');
});

test('a presigned URL is refused after its time, and when it is altered', async () => {
  assert.equal(
    (await checkSignature(presigned(), identities(), SIGNED_AT + 61_000)).problem?.kind,
    'expired-url',
  );
  const request = presigned();
  const altered = { ...request, rawUrl: request.rawUrl.replace('publish_subscribe', 'subscribe') };
  assert.equal((await checkSignature(altered, identities(), SIGNED_AT)).problem?.kind, 'wrong-signature');
  const endless = presigned({ expires: 'never' });
  assert.equal((await checkSignature(endless, identities(), SIGNED_AT)).problem?.kind, 'malformed');
});
