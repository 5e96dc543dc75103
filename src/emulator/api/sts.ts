/** STS: who am I, and temporary credentials of a role. Any role of the account can be assumed. */
import { ACCOUNT_ID } from '../identities.ts';
import type { Identity } from '../identities.ts';
import type { World } from '../world.ts';
import type { XmlElement } from './query-xml.ts';
import { Refusal } from './refusal.ts';

export type StsOperation = (world: World, caller: Identity, parameters: URLSearchParams) => XmlElement;

export const STS_OPERATIONS: Readonly<Record<string, StsOperation>> = {
  GetCallerIdentity: (_world, caller) => ({ Arn: caller.arn, UserId: caller.userId, Account: ACCOUNT_ID }),
  AssumeRole: assumeRole,
};

const DURATION = { minimum: 900, maximum: 43_200, standard: 3600 };

function assumeRole(world: World, _caller: Identity, parameters: URLSearchParams): XmlElement {
  const roleArn = parameters.get('RoleArn') ?? '';
  const sessionName = parameters.get('RoleSessionName') ?? '';
  const role = /^arn:aws[a-z-]*:iam::(\d{12}):role\/(?:.*\/)?([\w+=,.@-]+)$/.exec(roleArn);
  if (role?.[2] === undefined) throw new Refusal('ValidationError', `${roleArn} is invalid`);
  if (!/^[\w+=,.@-]{2,64}$/.test(sessionName)) {
    throw new Refusal(
      'ValidationError',
      `1 validation error detected: Value '${sessionName}' at 'roleSessionName' failed to satisfy constraint: ` +
        'Member must satisfy regular expression pattern: [\\w+=,.@-]*',
    );
  }
  const seconds = Number(parameters.get('DurationSeconds') ?? DURATION.standard);
  if (!Number.isSafeInteger(seconds) || seconds < DURATION.minimum || seconds > DURATION.maximum) {
    throw new Refusal(
      'ValidationError',
      `The requested DurationSeconds must be from ${DURATION.minimum} to ${DURATION.maximum}.`,
    );
  }
  const expiresAt = world.clock.wallNow() + seconds * 1000;
  const identity = world.identities.assumeRole(role[2], sessionName, expiresAt);
  return {
    Credentials: {
      AccessKeyId: identity.accessKeyId,
      SecretAccessKey: identity.secretAccessKey,
      SessionToken: identity.sessionToken,
      Expiration: new Date(expiresAt).toISOString(),
    },
    AssumedRoleUser: { AssumedRoleId: identity.userId, Arn: identity.arn },
  };
}
