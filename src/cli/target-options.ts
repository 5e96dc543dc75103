/** The options that say which instance is meant, and by whom, for every command that takes a target. */
import { ProxyError } from '../errors.ts';
import type { TargetRequest } from '../find-target.ts';
import type { OptionReader } from './option-values.ts';

/** Throws USAGE. */
export function readTargetOptions(options: OptionReader): Omit<TargetRequest, 'target'> {
  return {
    regions: options.list('region'),
    profile: options.text('profile'),
    account: readAccount(options),
    endpointUrl: options.text('endpoint-url'),
    ssmmessagesEndpoint: options.text('ssmmessages-endpoint'),
    vpc: options.text('vpc'),
    tags: Object.fromEntries(options.pairs('tag')),
  };
}

/** Throws USAGE for what is no account number. */
export function readAccount(options: OptionReader): string | undefined {
  const account = options.text('account');
  if (account === undefined || /^\d{12}$/.test(account)) return account;
  throw new ProxyError('USAGE', `--account ${JSON.stringify(account)} cannot be used`, {
    hint: 'give the twelve digits of an account number, without hyphens',
  });
}
