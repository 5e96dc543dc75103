/** Errors of AWS and of connections as ours: a row for each class. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cancellation, isTransient, serviceErrorOf, translateAwsError } from '../../src/aws/errors.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { ProxyError } from '../../src/errors.ts';
import { connectErrorOf, translateConnectError } from '../../src/transport/connect-error.ts';

/** As the SDK throws it. */
function awsError(name: string, message: string, httpStatusCode = 400): Error {
  return Object.assign(new Error(message), { name, $fault: 'client', $metadata: { httpStatusCode } });
}

describe('an error of AWS', () => {
  const rows: readonly (readonly [string, string, number, ErrorCode, boolean])[] = [
    ['StartSession', 'TargetNotConnected', 400, 'TARGET_NOT_CONNECTED', false],
    ['StartSession', 'AccessDeniedException', 400, 'ACCESS_DENIED', false],
    ['DescribeInstances', 'UnauthorizedOperation', 403, 'ACCESS_DENIED', false],
    ['StartSession', 'SomethingNew', 403, 'ACCESS_DENIED', false],
    ['StartSession', 'InvalidDocument', 400, 'DOCUMENT_INVALID', false],
    ['StartSession', 'ValidationException', 400, 'DOCUMENT_INVALID', false],
    ['StartSession', 'InvalidParameters', 400, 'DOCUMENT_INVALID', false],
    ['StartSession', 'BadRequest', 400, 'DOCUMENT_INVALID', false],
    ['ResumeSession', 'ValidationException', 400, 'SERVICE_ERROR', false],
    ['StartSession', 'ThrottlingException', 400, 'THROTTLED', true],
    ['DescribeInstances', 'RequestLimitExceeded', 503, 'THROTTLED', true],
    ['StartSession', 'TooManyRequestsException', 429, 'THROTTLED', true],
    ['StartSession', 'SomethingNew', 429, 'THROTTLED', true],
    ['StartSession', 'InternalServerError', 500, 'SERVICE_ERROR', true],
    ['DescribeInstances', 'Unavailable', 503, 'SERVICE_ERROR', true],
    ['StartSession', 'SomethingNew', 400, 'SERVICE_ERROR', false],
    ['StartSession', 'ExpiredTokenException', 400, 'CREDENTIALS_EXPIRED', false],
    ['DescribeInstances', 'RequestExpired', 400, 'CREDENTIALS_EXPIRED', false],
    ['AssumeRole', 'ExpiredToken', 403, 'CREDENTIALS_EXPIRED', false],
    ['StartSession', 'UnrecognizedClientException', 400, 'CREDENTIALS_INVALID', false],
    ['StartSession', 'InvalidSignatureException', 400, 'CREDENTIALS_INVALID', false],
    ['DescribeInstances', 'AuthFailure', 401, 'CREDENTIALS_INVALID', false],
    ['AssumeRole', 'InvalidClientTokenId', 403, 'CREDENTIALS_INVALID', false],
    ['AssumeRole', 'SignatureDoesNotMatch', 403, 'CREDENTIALS_INVALID', false],
    ['ResumeSession', 'DoesNotExistException', 400, 'SESSION_GONE', false],
  ];
  for (const [operation, name, status, code, transient] of rows) {
    it(`${name} (${String(status)}) of ${operation} is ${code}${transient ? ', and may pass' : ''}`, () => {
      const cause = awsError(name, 'what AWS says.', status);
      const error = translateAwsError(cause, operation);
      assert.equal(error.code, code);
      assert.equal(
        error.message,
        `An error occurred (${name}) when calling the ${operation} operation: what AWS says.`,
      );
      assert.equal(error.cause, cause);
      assert.equal(isTransient(error), transient);
    });
  }

  it('stays one line, without control characters and within bounds', () => {
    const error = translateAwsError(
      awsError('X', `one\r\n two\u001b[31m${'y'.repeat(5000)}`),
      'StartSession',
    );
    assert.doesNotMatch(error.message, /[\r\n\u001b]/);
    assert.match(error.message, /: one two \[31my/);
    assert.ok(error.message.length < 1200);
  });

  it('without a name is known by its status', () => {
    const error = translateAwsError(awsError('UnknownError', 'bad gateway', 502), 'StartSession');
    assert.equal(
      error.message,
      'An error occurred (502) when calling the StartSession operation: bad gateway',
    );
    assert.equal(isTransient(error), true);
  });

  it('says what to do, with the permission that is missing', () => {
    const hint = (name: string, operation: string) =>
      translateAwsError(awsError(name, 'x'), operation).hint ?? '';
    assert.match(hint('AccessDeniedException', 'StartSession'), /ssm:StartSession/);
    assert.match(hint('UnauthorizedOperation', 'DescribeInstances'), /ec2:DescribeInstances/);
    assert.match(hint('TargetNotConnected', 'StartSession'), /AmazonSSMManagedInstanceCore/);
    assert.match(hint('UnrecognizedClientException', 'StartSession'), /clock/);
  });

  it('is told from an error that only carries metadata', () => {
    const connection = Object.assign(new Error('connect ECONNREFUSED'), {
      code: 'ECONNREFUSED',
      $metadata: { attempts: 3 },
    });
    assert.equal(serviceErrorOf(connection), undefined);
  });

  it('of ours passes through', () => {
    const own = new ProxyError('CREDENTIALS_MISSING', 'none');
    assert.equal(translateAwsError(own, 'StartSession'), own);
  });
});

describe('a cancelled call', () => {
  it('gives the reason when that is one of ours', () => {
    const reason = new ProxyError('CONNECT_TIMEOUT', 'too slow');
    assert.equal(cancellation(AbortSignal.abort(reason), 'StartSession'), reason);
  });

  it('is CANCELLED, or CONNECT_TIMEOUT after AbortSignal.timeout', () => {
    assert.equal(cancellation(AbortSignal.abort(), 'StartSession').code, 'CANCELLED');
    const timeout = AbortSignal.abort(new DOMException('late', 'TimeoutError'));
    assert.equal(cancellation(timeout, 'StartSession').code, 'CONNECT_TIMEOUT');
  });
});

describe('an error of a connection', () => {
  const system = (code: string, message = code): Error => Object.assign(new Error(message), { code });
  const url = 'wss://ssmmessages.us-west-2.amazonaws.com/v1/data-channel/secret?cell-number=secret';
  const rows: readonly (readonly [Error, ErrorCode, RegExp])[] = [
    [system('ENOTFOUND'), 'ENDPOINT_UNREACHABLE', /name does not exist \(ENOTFOUND\)/],
    [system('EAI_AGAIN'), 'ENDPOINT_UNREACHABLE', /name server/],
    [system('ECONNREFUSED'), 'ENDPOINT_UNREACHABLE', /connection refused/],
    [system('ECONNRESET'), 'ENDPOINT_UNREACHABLE', /connection reset/],
    [system('ETIMEDOUT'), 'ENDPOINT_UNREACHABLE', /timed out/],
    [Object.assign(new Error('x'), { name: 'TimeoutError' }), 'ENDPOINT_UNREACHABLE', /timed out/],
    [new AggregateError([system('EHOSTUNREACH'), system('ENETUNREACH')]), 'ENDPOINT_UNREACHABLE', /no route/],
    [new Error('outer', { cause: system('EPIPE') }), 'ENDPOINT_UNREACHABLE', /connection closed/],
    [
      system('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'),
      'TLS_UNTRUSTED',
      /self-signed certificate/,
    ],
    [system('CERT_HAS_EXPIRED', 'certificate has expired'), 'TLS_UNTRUSTED', /expired/],
    [system('ERR_TLS_CERT_ALTNAME_INVALID', 'Hostname mismatch'), 'TLS_UNTRUSTED', /Hostname/],
    [
      system('EPROTO', 'wrong version number'),
      'ENDPOINT_UNREACHABLE',
      /no TLS connection.*wrong version number/,
    ],
    [system('ERR_PROXY_REFUSED', 'the HTTP proxy p answered 407'), 'ENDPOINT_UNREACHABLE', /answered 407/],
    [new Error('something else'), 'CHANNEL_OPEN_FAILED', /something else/],
  ];
  for (const [cause, code, text] of rows) {
    it(`${cause.name} ${cause.message} is ${code}, names the host and no more of the URL`, () => {
      const error = translateConnectError(cause, url);
      assert.equal(error.code, code);
      assert.match(error.message, text);
      assert.match(error.message, /ssmmessages\.us-west-2\.amazonaws\.com/);
      assert.doesNotMatch(error.message, /secret/);
      assert.equal(error.cause, cause);
    });
  }

  it('names the proxy it went through', () => {
    const error = translateConnectError(system('ECONNREFUSED'), url, 'proxy:3128');
    assert.match(error.message, /amazonaws\.com:443 through the HTTP proxy proxy:3128: connection refused/);
    assert.match(error.hint ?? '', /NO_PROXY/);
  });

  it('names the ways to trust a certificate', () => {
    assert.match(
      translateConnectError(system('CERT_UNTRUSTED'), url).hint ?? '',
      /AWS_CA_BUNDLE.*NODE_EXTRA_CA_CERTS/,
    );
  });

  it('is not made of an error of another kind', () => {
    assert.equal(connectErrorOf(system('ENOENT'), url), undefined);
    assert.equal(connectErrorOf('text', url), undefined);
  });

  it('survives a cause that leads back to itself', () => {
    const circle = new Error('round');
    circle.cause = circle;
    assert.equal(translateConnectError(circle, url).code, 'CHANNEL_OPEN_FAILED');
  });
});
