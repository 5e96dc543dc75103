/** Who may call: access keys of one account, with a list of denied actions each, and AssumeRole's temporary ones. */
import * as crypto from 'node:crypto';
import { ProxyError } from '../errors.ts';

export const ACCOUNT_ID = '111122223333';

export interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Temporary credentials only. */
  readonly sessionToken: string | undefined;
  /** Milliseconds since the epoch, in the service's wall time; temporary credentials only. */
  expiresAt: number | undefined;
  readonly arn: string;
  readonly userId: string;
  /** User name or role session name: what session IDs start with. */
  readonly principalName: string;
  /** Actions refused, e.g. 'ssm:StartSession' or 'ec2:*'. */
  denied: readonly string[];
}

/** What a test may fix; the rest is made up. */
export interface IdentitySpec {
  readonly userName?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
  readonly expiresAt?: number;
  readonly denied?: readonly string[];
}

const MAX_IDENTITIES = 10_000;
const KEY_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export class Identities {
  readonly #byKey = new Map<string, Identity>();

  /** A user with long-lived keys, or temporary ones when a session token is given. */
  addUser(spec: IdentitySpec = {}): Identity {
    const userName = spec.userName ?? 'demo';
    return this.#add({
      accessKeyId: spec.accessKeyId ?? randomKeyId(spec.sessionToken === undefined ? 'AKIA' : 'ASIA'),
      secretAccessKey: spec.secretAccessKey ?? randomSecret(),
      sessionToken: spec.sessionToken,
      expiresAt: spec.expiresAt,
      arn: `arn:aws:iam::${ACCOUNT_ID}:user/${userName}`,
      userId: randomKeyId('AIDA'),
      principalName: userName,
      denied: spec.denied ?? [],
    });
  }

  /** Temporary credentials of a role; they inherit nothing from the caller. */
  assumeRole(roleName: string, sessionName: string, expiresAt: number): Identity {
    const roleId = randomKeyId('AROA');
    return this.#add({
      accessKeyId: randomKeyId('ASIA'),
      secretAccessKey: randomSecret(),
      sessionToken: crypto.randomBytes(120).toString('base64'),
      expiresAt,
      arn: `arn:aws:sts::${ACCOUNT_ID}:assumed-role/${roleName}/${sessionName}`,
      userId: `${roleId}:${sessionName}`,
      principalName: sessionName,
      denied: [],
    });
  }

  find(accessKeyId: string): Identity | undefined {
    return this.#byKey.get(accessKeyId);
  }

  /** Changes what may change; USAGE when there is no such key. */
  update(
    accessKeyId: string,
    change: { readonly denied?: readonly string[]; readonly expiresAt?: number },
  ): Identity {
    const identity = this.#byKey.get(accessKeyId);
    if (identity === undefined)
      throw new ProxyError('USAGE', `the emulator has no access key ${accessKeyId}`);
    if (change.denied !== undefined) identity.denied = change.denied;
    if (change.expiresAt !== undefined) identity.expiresAt = change.expiresAt;
    return identity;
  }

  remove(accessKeyId: string): boolean {
    return this.#byKey.delete(accessKeyId);
  }

  list(): readonly Identity[] {
    return [...this.#byKey.values()];
  }

  #add(identity: Identity): Identity {
    if (this.#byKey.size >= MAX_IDENTITIES) {
      throw new ProxyError('USAGE', `the emulator holds at most ${MAX_IDENTITIES} access keys`);
    }
    this.#byKey.set(identity.accessKeyId, identity);
    return identity;
  }
}

/** Whether the identity's deny list names the action ('ssm:StartSession'), by name or wildcard. */
export function isDenied(identity: Identity, action: string): boolean {
  const service = action.slice(0, action.indexOf(':'));
  return identity.denied.some((entry) => entry === action || entry === '*' || entry === `${service}:*`);
}

function randomKeyId(prefix: string): string {
  let text = prefix;
  for (const byte of crypto.randomBytes(16)) text += KEY_ALPHABET[byte % KEY_ALPHABET.length] ?? 'A';
  return text;
}

function randomSecret(): string {
  return crypto.randomBytes(30).toString('base64');
}
