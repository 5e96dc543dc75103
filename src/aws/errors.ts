/**
 * Errors of AWS API calls as our own: one line that keeps the AWS CLI's wording (launchers match on it), a code by
 * the classes of the protocol notes (1.2), and a hint with what to do.
 */
import type { ErrorCode } from '../errors.ts';
import { ProxyError } from '../errors.ts';
import { connectErrorOf, isLasting } from '../transport/connect-error.ts';
import type { Network } from '../transport/network.ts';
import { denialHint } from './denial.ts';
import { endpointOf } from './request-handler.ts';

/** An error answer of AWS. */
export interface ServiceError {
  /** As AWS names it: `TargetNotConnected`. The HTTP status where the answer has no name. */
  readonly code: string;
  /** One line. */
  readonly message: string;
  readonly httpStatus: number | undefined;
}

const CODES: readonly (readonly [ErrorCode, ReadonlySet<string>])[] = [
  ['TARGET_NOT_CONNECTED', new Set(['TargetNotConnected'])],
  ['TARGET_NOT_FOUND', new Set(['EC2InstanceNotFoundException'])],
  ['TARGET_STOPPED', new Set(['EC2InstanceStateInvalidException'])],
  [
    'ACCESS_DENIED',
    new Set([
      'AccessDenied',
      'AccessDeniedException',
      'AuthException',
      'UnauthorizedOperation',
      'OptInRequired',
      'NotAuthorized',
      'ForbiddenException',
    ]),
  ],
  [
    'THROTTLED',
    new Set([
      'EC2ThrottledException',
      'RequestLimitExceeded',
      'RequestThrottled',
      'RequestThrottledException',
      'SlowDown',
      'ThrottledException',
      'Throttling',
      'ThrottlingException',
      'TooManyRequestsException',
    ]),
  ],
  [
    'CREDENTIALS_EXPIRED',
    new Set(['ExpiredToken', 'ExpiredTokenException', 'RequestExpired', 'TokenRefreshRequired']),
  ],
  [
    'CREDENTIALS_INVALID',
    new Set([
      'AuthFailure',
      'IncompleteSignature',
      'InvalidAccessKeyId',
      'InvalidClientTokenId',
      'InvalidSignatureException',
      'MissingAuthenticationToken',
      'MissingAuthenticationTokenException',
      'NotAuthenticated',
      'RequestInTheFuture',
      'RequestTimeTooSkewed',
      'SignatureDoesNotMatch',
      'UnrecognizedClientException',
    ]),
  ],
];

/** Answers that speak of the document and its parameters, where StartSession gives them. */
const DOCUMENT_CODES: ReadonlySet<string> = new Set([
  'BadRequest',
  'BadRequestException',
  'InvalidDocument',
  'InvalidDocumentVersion',
  'InvalidParameters',
  'UnsupportedPlatformType',
  'ValidationException',
]);

/** IAM action of an operation, for hints. */
const ACTIONS: Readonly<Record<string, string>> = {
  AssumeRole: 'sts:AssumeRole',
  AssumeRoleWithWebIdentity: 'sts:AssumeRoleWithWebIdentity',
  DescribeInstanceInformation: 'ssm:DescribeInstanceInformation',
  DescribeInstances: 'ec2:DescribeInstances',
  DescribeVpcs: 'ec2:DescribeVpcs',
  GetConsoleOutput: 'ec2:GetConsoleOutput',
  GenerateDataKey: 'kms:GenerateDataKey on the key of the session preferences',
  ResumeSession: 'ssm:ResumeSession',
  SendSSHPublicKey: 'ec2-instance-connect:SendSSHPublicKey on the instance, for this user of it',
  StartInstances: 'ec2:StartInstances on the instance',
  StartSession: 'ssm:StartSession on the instance and on the session document',
  TerminateSession: 'ssm:TerminateSession',
};

/** What the SDK says when the body of an answer is none of AWS. */
const NO_AWS_BODY = /^UnknownError$|Deserialization error: /;
const MAX_MESSAGE_LENGTH = 1_000;

/** What AWS answered; undefined for errors that are no answer. */
export function serviceErrorOf(error: unknown): ServiceError | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  const status: unknown =
    typeof metadata === 'object' && metadata !== null && 'httpStatusCode' in metadata
      ? metadata.httpStatusCode
      : undefined;
  const httpStatus = typeof status === 'number' ? status : undefined;
  // The SDK puts $metadata on connection errors as well.
  if (httpStatus === undefined && !('$fault' in error)) return undefined;
  const isNamed = !/^(Error|Unknown|UnknownError|SyntaxError|TypeError)$/.test(error.name);
  return {
    code: isNamed ? error.name : String(httpStatus ?? 'Unknown'),
    message: NO_AWS_BODY.test(error.message) ? 'no error of AWS in the answer' : oneLine(error.message),
    httpStatus,
  };
}

/**
 * Any error of a call of `operation` (`StartSession`) as a ProxyError; a ProxyError is returned as it is. `network`
 * tells through which proxy an unreachable endpoint was tried.
 */
export function translateAwsError(error: unknown, operation: string, network?: Network): ProxyError {
  if (error instanceof ProxyError) return error;
  const service = serviceErrorOf(error);
  if (service !== undefined && (service.httpStatus ?? 400) >= 400) {
    return serviceProxyError(service, operation, error);
  }
  const connection = connectionFailure(error, network);
  if (connection !== undefined) return connection;
  if (service !== undefined) return unreadable(service, operation, error);
  const text = oneLine(error instanceof Error ? error.message : String(error));
  if (error instanceof Error && /^(EndpointError|ConfigError)$/.test(error.name)) {
    return new ProxyError('CONFIG_INVALID', `no endpoint for ${operation}: ${text}`, { cause: error });
  }
  if (error instanceof Error && isAbort(error)) {
    return new ProxyError('CANCELLED', `${operation} was cancelled`, { cause: error });
  }
  return new ProxyError('SERVICE_ERROR', `the ${operation} operation failed: ${text}`, { cause: error });
}

/** An error of DNS, TCP, TLS or the HTTP proxy on the way to an API endpoint; undefined for others. */
export function connectionFailure(error: unknown, network?: Network): ProxyError | undefined {
  const endpoint = endpointOf(error);
  // Broken off in the middle of the answer: the SDK's errors then tell no host.
  if (endpoint === undefined) return connectErrorOf(error, '');
  return connectErrorOf(error, endpoint, network?.proxyFor(endpoint));
}

/** True if the same call may succeed a little later: rate, service trouble, network. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof ProxyError)) return false;
  if (error.code === 'THROTTLED') return true;
  if (error.code === 'ENDPOINT_UNREACHABLE') return !isLasting(error.cause);
  const service = serviceErrorOf(error.cause);
  return error.code === 'SERVICE_ERROR' && service !== undefined && (service.httpStatus ?? 0) >= 500;
}

/** The reason that a signal was aborted with, as a ProxyError. */
export function cancellation(signal: AbortSignal, operation: string): ProxyError {
  const reason: unknown = signal.reason;
  if (reason instanceof ProxyError) return reason;
  if (reason instanceof Error && reason.name === 'TimeoutError') {
    return new ProxyError('CONNECT_TIMEOUT', `${operation} took too long`, { cause: reason });
  }
  return new ProxyError('CANCELLED', `${operation} was cancelled`, { cause: reason });
}

/** A good status with a body that the SDK could not read. */
function unreadable({ httpStatus }: ServiceError, operation: string, cause: unknown): ProxyError {
  const message = `the answer to ${operation} does not come from AWS (HTTP ${String(httpStatus)})`;
  return new ProxyError('SERVICE_ERROR', message, {
    hint: 'a proxy or the login page of a network may have answered: check the network and the endpoint settings',
    cause,
  });
}

function serviceProxyError(service: ServiceError, operation: string, cause: unknown): ProxyError {
  const code = codeOf(service, operation);
  const message = `An error occurred (${service.code}) when calling the ${operation} operation: ${service.message}`;
  const hint = hintOf(code, service, operation);
  return new ProxyError(code, message, { cause, ...(hint !== undefined && { hint }) });
}

function codeOf({ code, httpStatus }: ServiceError, operation: string): ErrorCode {
  if (operation === 'ResumeSession' && code === 'DoesNotExistException') return 'SESSION_GONE';
  if (operation === 'StartSession' && DOCUMENT_CODES.has(code)) return 'DOCUMENT_INVALID';
  for (const [own, names] of CODES) if (names.has(code)) return own;
  if (httpStatus === 429) return 'THROTTLED';
  if (httpStatus === 401 || httpStatus === 403) return 'ACCESS_DENIED';
  return 'SERVICE_ERROR';
}

function hintOf(code: ErrorCode, service: ServiceError, operation: string): string | undefined {
  switch (code) {
    case 'TARGET_NOT_CONNECTED':
      return 'check that region and account are right, the SSM agent runs, and its role has AmazonSSMManagedInstanceCore';
    case 'ACCESS_DENIED':
      return (
        denialHint(service.message) ??
        `the credentials need ${ACTIONS[operation] ?? `the permission for ${operation}`}`
      );
    case 'DOCUMENT_INVALID':
      return service.code === 'BadRequest'
        ? 'check --document and --parameter; an old SSM agent also answers so: update it'
        : 'check --document and --parameter, and that the document is a Session document of this region';
    case 'THROTTLED':
      return 'too many calls in this account and region: try again, or raise AWS_MAX_ATTEMPTS';
    case 'CREDENTIALS_EXPIRED':
      return 'get new credentials: with SSO, run ssm-proxy login; with temporary keys, export new ones';
    case 'CREDENTIALS_INVALID':
      return 'check the access key, its secret and token, and the clock of this machine';
    case 'SESSION_GONE':
      return 'the session has ended: connect again';
    case 'TARGET_NOT_FOUND':
      return 'check region and profile (--region, --profile)';
    case 'TARGET_STOPPED':
      return 'EC2 Instance Connect takes keys only for running instances';
    case 'SERVICE_ERROR':
      if (operation === 'SendSSHPublicKey' && service.code === 'InvalidArgsException') {
        return 'check --user, and that the key is an ed25519 or RSA one';
      }
      return (service.httpStatus ?? 0) >= 500 ? 'trouble on the side of AWS: try again' : undefined;
    default:
      return undefined;
  }
}

function isAbort(error: Error): boolean {
  return error.name === 'AbortError' || ('code' in error && error.code === 'ABORT_ERR');
}

/** Text of others as one line: messages of AWS may hold line breaks; what a terminal shows must not hold control characters either. */
export function oneLine(text: string): string {
  return text
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .slice(0, MAX_MESSAGE_LENGTH);
}
