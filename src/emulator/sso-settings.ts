/** Checks SSO settings that come from outside. */
import { asArray, asInteger, asObject, asOneOf, asString, asStrings, onlyKeys } from './checked-json.ts';
import type { SsoAccount, SsoSettings } from './sso-directory.ts';

const READERS: {
  readonly [Key in keyof SsoSettings]: (value: unknown, path: string) => SsoSettings[Key];
} = {
  startUrl: asString,
  answer: (value, path) => asOneOf(value, path, ['approve', 'deny', 'ignore']),
  tokenMs: asInteger,
  deviceMs: asInteger,
  intervalSeconds: asInteger,
  accounts: (value, path) => asArray(value, path).map((each, i) => asAccount(each, `${path}[${i}]`)),
};

/** Throws USAGE. */
export function readSsoSettings(value: unknown): Partial<SsoSettings> {
  const given = asObject(value, 'sso');
  onlyKeys(given, 'sso', Object.keys(READERS));
  const entries = Object.entries(given).map(([name, each]) => [
    name,
    READERS[name as keyof SsoSettings](each, `sso.${name}`),
  ]);
  return Object.fromEntries(entries) as Partial<SsoSettings>;
}

function asAccount(value: unknown, path: string): SsoAccount {
  const given = asObject(value, path);
  onlyKeys(given, path, ['accountId', 'accountName', 'emailAddress', 'roles']);
  const text = (name: string): string => asString(given[name], `${path}.${name}`);
  return {
    accountId: text('accountId'),
    accountName: text('accountName'),
    emailAddress: text('emailAddress'),
    roles: asStrings(given['roles'], `${path}.roles`),
  };
}
