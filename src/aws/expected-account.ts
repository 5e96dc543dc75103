/**
 * `--account`: nothing is started with credentials of another account than the one that was meant. A wrong profile is
 * easily taken, and private addresses are the same everywhere.
 */
import { ProxyError } from '../errors.ts';
import type { CallOptions } from './call.ts';
import type { AwsContext } from './context.ts';

/** ACCOUNT_MISMATCH; the errors of credentials, and of GetCallerIdentity where those do not say their account. */
export async function checkAccount(
  context: AwsContext,
  expected: string,
  options: CallOptions,
): Promise<void> {
  const { accountId } = await context.credentials();
  const account = accountId ?? (await askAccount(context, options));
  if (account === expected) return;
  const whose =
    context.profile === undefined ? 'the credentials belong' : `profile ${context.profile} belongs`;
  throw new ProxyError('ACCOUNT_MISMATCH', `${whose} to account ${account}, not to ${expected}`, {
    hint: 'choose another profile (--profile), or the account that is meant (--account)',
  });
}

async function askAccount(context: AwsContext, options: CallOptions): Promise<string> {
  const { callerIdentity } = await import('./caller-identity.ts');
  return (await callerIdentity(context, options)).account;
}
