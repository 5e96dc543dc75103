/** What a login may use: accounts and roles. The only file that knows the SSO portal's client. */
import { ListAccountRolesCommand, ListAccountsCommand, LogoutCommand, SSOClient } from '@aws-sdk/client-sso';
import { translateAwsError } from '../aws/errors.ts';
import { ProxyError } from '../errors.ts';
import type { SsoAccess } from './access.ts';
import type { SsoToken } from './token-cache.ts';

export interface SsoAccount {
  readonly accountId: string;
  readonly name: string;
  readonly email: string;
}

/** The API's own page limit is 1000; this many pages is a server that does not end. */
const MAX_PAGES = 100;

export class Portal {
  readonly #access: SsoAccess;
  readonly #client: SSOClient;
  readonly #accessToken: string;

  constructor(access: SsoAccess, token: Pick<SsoToken, 'accessToken' | 'region'>) {
    this.#access = access;
    this.#accessToken = token.accessToken;
    this.#client = new SSOClient(access.clientConfig('SSO', token.region));
  }

  /** Sorted by name. CREDENTIALS_EXPIRED when the login has ended. */
  async accounts(): Promise<readonly SsoAccount[]> {
    const accessToken = this.#accessToken;
    const accounts = await this.#all('ListAccounts', async (nextToken) => {
      const answer = await this.#client.send(new ListAccountsCommand({ accessToken, ...nextToken }));
      const items = (answer.accountList ?? []).map(({ accountId = '', accountName, emailAddress }) => ({
        accountId,
        name: accountName ?? '',
        email: emailAddress ?? '',
      }));
      return { items, next: answer.nextToken };
    });
    return accounts.sort((a, b) => a.name.localeCompare(b.name) || a.accountId.localeCompare(b.accountId));
  }

  /** Names of the roles in an account, sorted. */
  async roles(accountId: string): Promise<readonly string[]> {
    const accessToken = this.#accessToken;
    const roles = await this.#all('ListAccountRoles', async (nextToken) => {
      const answer = await this.#client.send(
        new ListAccountRolesCommand({ accessToken, accountId, ...nextToken }),
      );
      return { items: (answer.roleList ?? []).map(({ roleName }) => roleName ?? ''), next: answer.nextToken };
    });
    return roles.sort();
  }

  /** The token is no good afterwards, at the service. Succeeds also for one that was not any more. */
  async logout(): Promise<void> {
    const accessToken = this.#accessToken;
    try {
      await this.#call('Logout', () => this.#client.send(new LogoutCommand({ accessToken })));
    } catch (error) {
      if (!(error instanceof ProxyError) || error.code !== 'CREDENTIALS_EXPIRED') throw error;
    }
  }

  async #all<T>(
    operation: string,
    page: (next: {
      readonly nextToken?: string;
    }) => Promise<{ items: readonly T[]; next: string | undefined }>,
  ): Promise<T[]> {
    const found: T[] = [];
    let next: string | undefined;
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const answer = await this.#call(operation, () => page(next === undefined ? {} : { nextToken: next }));
      found.push(...answer.items);
      next = answer.next;
      if (!next) break;
    }
    return found;
  }

  async #call<T>(operation: string, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      const failure = translateAwsError(error, operation, this.#access.network);
      if (!/\(UnauthorizedException\)/.test(failure.message)) throw failure;
      throw new ProxyError('CREDENTIALS_EXPIRED', 'the SSO login has ended at the service', {
        hint: 'run: ssm-proxy login',
        cause: failure,
      });
    }
  }
}
