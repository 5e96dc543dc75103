/** Whose credentials are used, how long they are good, and whether AWS takes them, which also shows the clock. */
import { callerIdentity } from '../aws/caller-identity.ts';
import type { CallerIdentity } from '../aws/caller-identity.ts';
import type { AwsContext } from '../aws/context.ts';
import { asProxyError } from '../errors.ts';
import type { Finding } from './finding.ts';
import { failed, failure, ok, warning } from './finding.ts';
import { inTime, lasting } from '../times-in-words.ts';

/** With less left, a connection outlives its credentials soon. Milliseconds. */
const SOON_MS = 15 * 60_000;

export interface CredentialsInputs {
  readonly context: Promise<AwsContext>;
  readonly caller: Promise<CallerIdentity>;
  /** `--account`. */
  readonly account: string | undefined;
}

/** Asks who we are. Started once, for all that need to know. */
export async function askCaller(context: Promise<AwsContext>, signal: AbortSignal): Promise<CallerIdentity> {
  return callerIdentity(await context, { signal });
}

export async function checkCredentials({
  context: pending,
  caller,
  account,
}: CredentialsInputs): Promise<readonly Finding[]> {
  const context = await pending;
  try {
    const { accessKeyId, expiration } = await context.credentials();
    const findings: Finding[] = [sourceFinding(context, accessKeyId, expiration)];
    findings.push(await identityFinding(caller, account), clockFinding(context));
    return findings;
  } catch (thrown) {
    return [failure('credentials.source', 'Credentials', thrown)];
  }
}

/** The key's ID names it in CloudTrail and is no secret; its first letters tell the kind. */
function sourceFinding(context: AwsContext, accessKeyId: string, expiration: Date | undefined): Finding {
  const id = 'credentials.source';
  const what = 'Credentials';
  const kind = accessKeyId.startsWith('ASIA') ? 'temporary' : 'long-lived';
  const source = context.profile === undefined ? 'as the AWS CLI finds them' : `profile ${context.profile}`;
  const role = context.role === undefined ? '' : `, as ${context.role}`;
  const seen = `${kind} key ${accessKeyId}, ${source}${role}`;
  if (expiration === undefined) return ok(id, what, seen);
  const leftMs = expiration.getTime() - Date.now();
  const text = `${seen}, good until ${expiration.toISOString()} (${inTime(leftMs)})`;
  return leftMs > SOON_MS
    ? ok(id, what, text)
    : warning(id, what, text, 'get new ones before a long connection');
}

async function identityFinding(
  caller: Promise<CallerIdentity>,
  account: string | undefined,
): Promise<Finding> {
  const id = 'credentials.identity';
  const what = 'Identity';
  try {
    const identity = await caller;
    const seen = `account ${identity.account}, ${identity.arn}`;
    if (account === undefined || account === identity.account) return ok(id, what, seen);
    return failed(id, what, `${seen}; --account says ${account}`, 'choose another profile: --profile NAME');
  } catch (thrown) {
    return failure(id, what, thrown);
  }
}

/** The skew is taken from the `Date` of answers; signatures allow 5 minutes. */
function clockFinding(context: AwsContext): Finding {
  const offsetMs = context.signingDate().getTime() - Date.now();
  if (Math.abs(offsetMs) < 1_000) return ok('credentials.clock', 'Clock', 'agrees with AWS');
  return warning(
    'credentials.clock',
    'Clock',
    `${lasting(Math.abs(offsetMs))} ${offsetMs > 0 ? 'behind' : 'ahead of'} AWS`,
    'set the clock of this machine (timedatectl set-ntp true); other AWS tools fail with this',
  );
}

/** For lines that need credentials: why there are none. */
export function whyNot(thrown: unknown): string {
  return `not tried: ${asProxyError(thrown).message}`;
}
