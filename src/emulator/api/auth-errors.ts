/**
 * How each service words a refused signature or permission. They differ: EC2 speaks of "access credentials" for
 * everything, STS, IAM and the JSON services name the cause. Wording and status as seen from the services.
 */
import { ACCOUNT_ID } from '../identities.ts';
import type { Identity } from '../identities.ts';
import { Refusal } from './refusal.ts';
import type { SignatureProblem } from './sigv4.ts';

export type ServiceName = 'ec2' | 'ssm' | 'sts' | 'iam' | 'kms' | 'ec2-instance-connect';

const WRONG_SIGNATURE =
  'The request signature we calculated does not match the signature you provided. ' +
  'Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';
const INVALID_TOKEN = 'The security token included in the request is invalid.';
const EXPIRED_TOKEN = 'The security token included in the request is expired';
const EC2_INVALID = 'AWS was not able to validate the provided access credentials';

export function signatureRefusal(service: ServiceName, problem: SignatureProblem): Refusal {
  switch (service) {
    case 'ec2':
      return ec2Refusal(problem);
    case 'sts':
    case 'iam':
      return stsRefusal(problem);
    case 'ssm':
    case 'kms':
    case 'ec2-instance-connect':
      return jsonRefusal(problem);
    default:
      return service satisfies never;
  }
}

function ec2Refusal(problem: SignatureProblem): Refusal {
  switch (problem.kind) {
    case 'missing':
      return new Refusal('MissingParameter', 'The request must contain the parameter AWSAccessKeyId');
    case 'malformed':
      return new Refusal('AuthFailure', problem.detail, 401);
    case 'expired-token':
    case 'expired-url':
      return new Refusal('RequestExpired', 'Request has expired.');
    case 'unknown-key':
    case 'wrong-token':
    case 'wrong-signature':
    // A clock that is off gets the same answer, which is why SDKs guess.
    case 'wrong-scope':
    case 'clock-skew':
      return new Refusal('AuthFailure', EC2_INVALID, 401);
    default:
      return problem satisfies never;
  }
}

function stsRefusal(problem: SignatureProblem): Refusal {
  switch (problem.kind) {
    case 'missing':
      return new Refusal('MissingAuthenticationToken', 'Request is missing Authentication Token', 403);
    case 'malformed':
      return new Refusal('IncompleteSignature', problem.detail);
    case 'unknown-key':
    case 'wrong-token':
      return new Refusal('InvalidClientTokenId', INVALID_TOKEN, 403);
    case 'expired-token':
      return new Refusal('ExpiredToken', EXPIRED_TOKEN, 403);
    case 'wrong-signature':
      return new Refusal('SignatureDoesNotMatch', WRONG_SIGNATURE, 403);
    case 'expired-url':
      return new Refusal('SignatureDoesNotMatch', 'Signature expired', 403);
    case 'wrong-scope':
    case 'clock-skew':
      return new Refusal('SignatureDoesNotMatch', problem.detail, 403);
    default:
      return problem satisfies never;
  }
}

function jsonRefusal(problem: SignatureProblem): Refusal {
  switch (problem.kind) {
    case 'missing':
      return new Refusal('MissingAuthenticationTokenException', 'Missing Authentication Token');
    case 'malformed':
      return new Refusal('IncompleteSignatureException', problem.detail);
    case 'unknown-key':
    case 'wrong-token':
      return new Refusal('UnrecognizedClientException', INVALID_TOKEN);
    case 'expired-token':
      return new Refusal('ExpiredTokenException', EXPIRED_TOKEN);
    case 'wrong-signature':
      return new Refusal('InvalidSignatureException', WRONG_SIGNATURE);
    case 'expired-url':
      return new Refusal('InvalidSignatureException', 'Signature expired');
    case 'wrong-scope':
    case 'clock-skew':
      return new Refusal('InvalidSignatureException', problem.detail);
    default:
      return problem satisfies never;
  }
}

/** `action` is 'ssm:StartSession'; `resource` an ARN or '*'. */
export function permissionRefusal(identity: Identity, action: string, resource: string): Refusal {
  const reason = `because no identity-based policy allows the ${action} action`;
  const text = `User: ${identity.arn} is not authorized to perform: ${action}`;
  switch (action.slice(0, action.indexOf(':'))) {
    case 'ec2':
      return new Refusal(
        'UnauthorizedOperation',
        `You are not authorized to perform this operation. ${text} ${reason}`,
        403,
      );
    case 'sts':
      return new Refusal('AccessDenied', `${text} on resource: ${resource}`, 403);
    case 'iam':
      return new Refusal('AccessDenied', `${text} on resource: ${resource} ${reason}`, 403);
    default:
      return new Refusal('AccessDeniedException', `${text} on resource: ${resource} ${reason}`);
  }
}

/** ARN of what a session starts on. */
export function targetArn(region: string, target: string): string {
  return target.startsWith('mi-')
    ? `arn:aws:ssm:${region}:${ACCOUNT_ID}:managed-instance/${target}`
    : `arn:aws:ec2:${region}:${ACCOUNT_ID}:instance/${target}`;
}

export function sessionArn(region: string, sessionId: string): string {
  return `arn:aws:ssm:${region}:${ACCOUNT_ID}:session/${sessionId}`;
}
