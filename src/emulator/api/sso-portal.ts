/** The SSO portal API: what the person behind an access token may use, and credentials for it. */
import type { SsoAccount } from '../sso-directory.ts';
import { Refusal } from './refusal.ts';
import { pageOf } from './paging.ts';
import { jsonContent } from './sso-wire.ts';
import type { SsoAnswer, SsoCall, SsoRoute } from './sso-wire.ts';

/** By method and path. */
export const SSO_PORTAL_ROUTES: Readonly<Record<string, SsoRoute>> = {
  'GET /assignment/accounts': { action: 'sso:ListAccounts', perform: listAccounts },
  'GET /assignment/roles': { action: 'sso:ListAccountRoles', perform: listAccountRoles },
  'GET /federation/credentials': { action: 'sso:GetRoleCredentials', perform: getRoleCredentials },
  'POST /logout': { action: 'sso:Logout', perform: logout },
};

const ROLE_SESSION_MS = 3_600_000;
/** The service's own, and largest. */
const PAGE_ITEMS = 100;

function listAccounts(call: SsoCall): SsoAnswer {
  call.directory.check(call.token);
  const { items, nextToken } = paged(call, call.directory.settings.accounts);
  const accountList = items.map(({ accountId, accountName, emailAddress }) => ({
    accountId,
    accountName,
    emailAddress,
  }));
  return jsonContent({ accountList, ...(nextToken !== undefined && { nextToken }) });
}

function listAccountRoles(call: SsoCall): SsoAnswer {
  call.directory.check(call.token);
  const { accountId, roles } = accountOf(call);
  const { items, nextToken } = paged(call, roles);
  const roleList = items.map((roleName) => ({ roleName, accountId }));
  return jsonContent({ roleList, ...(nextToken !== undefined && { nextToken }) });
}

function getRoleCredentials(call: SsoCall): SsoAnswer {
  const { directory, query, token, world } = call;
  directory.check(token);
  const roleName = query.get('role_name') ?? '';
  const account = directory.settings.accounts.find(({ accountId }) => accountId === query.get('account_id'));
  if (account === undefined || !account.roles.includes(roleName)) {
    throw new Refusal('ForbiddenException', 'No access', 403);
  }
  const expiresAt = world.clock.wallNow() + ROLE_SESSION_MS;
  const identity = world.identities.assumeRole(
    `AWSReservedSSO_${roleName}_0123456789abcdef`,
    account.emailAddress,
    expiresAt,
  );
  return jsonContent({
    roleCredentials: {
      accessKeyId: identity.accessKeyId,
      secretAccessKey: identity.secretAccessKey,
      sessionToken: identity.sessionToken,
      expiration: expiresAt,
    },
  });
}

function logout({ directory, token }: SsoCall): SsoAnswer {
  directory.check(token);
  directory.logout(token);
  return { status: 200, contentType: 'application/json', body: '' };
}

function accountOf({ directory, query }: SsoCall): SsoAccount {
  const account = directory.settings.accounts.find(({ accountId }) => accountId === query.get('account_id'));
  if (account === undefined) throw new Refusal('ResourceNotFoundException', 'Account not found', 404);
  return account;
}

function paged<T>({ query, world }: SsoCall, all: readonly T[]): { items: readonly T[]; nextToken?: string } {
  const wanted = Number(query.get('max_result') ?? PAGE_ITEMS);
  const size = world.faults.api.pageItems > 0 ? Math.min(world.faults.api.pageItems, wanted) : wanted;
  const { items, nextToken } = pageOf(
    all,
    size,
    query.get('next_token') ?? undefined,
    () => new Refusal('InvalidRequestException', 'Invalid next token'),
  );
  return { items, ...(nextToken !== undefined && { nextToken }) };
}
