/** The options that say which instance is meant, and by whom, for every command that takes a target. */
import { checkRole } from '../aws/role-credentials.ts';
import { ProxyError } from '../errors.ts';
import type { TargetRequest } from '../find-target.ts';
import type { OptionReader } from './option-values.ts';

/** Throws USAGE. */
export function readTargetOptions(options: OptionReader): Omit<TargetRequest, 'target'> {
  return {
    regions: options.list('region'),
    profile: options.text('profile'),
    role: readRole(options),
    account: readAccount(options),
    endpointUrl: options.text('endpoint-url'),
    ssmmessagesEndpoint: options.text('ssmmessages-endpoint'),
    vpc: options.text('vpc'),
    tags: Object.fromEntries(options.pairs('tag')),
  };
}

/** `none` is for a host that the rest of the config file gives a role. Throws USAGE for what is no ARN of a role. */
export function readRole(options: OptionReader): string | undefined {
  const role = options.text('role');
  if (role === undefined || role === 'none') return undefined;
  checkRole(role);
  return role;
}

/** Throws USAGE for what is no account number. */
export function readAccount(options: OptionReader): string | undefined {
  const account = options.text('account');
  if (account === undefined || /^\d{12}$/.test(account)) return account;
  throw new ProxyError('USAGE', `--account ${JSON.stringify(account)} cannot be used`, {
    hint: 'give the twelve digits of an account number, without hyphens',
  });
}
