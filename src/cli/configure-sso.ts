/** `ssm-proxy login --configure`: asks what `aws configure sso` asks, and adds the answers to ~/.aws/config. */
import type { ConfigFiles } from '../aws/config-files.ts';
import { changeSection } from '../aws/config-edit.ts';
import type { SectionChange } from '../aws/config-edit.ts';
import { ProxyError } from '../errors.ts';
import { BACKUP_SUFFIX, editFile } from '../files/edit-file.ts';
import type { Log } from '../log.ts';
import { createSsoAccess } from '../sso/access.ts';
import { currentLogin } from '../sso/current-login.ts';
import { Portal } from '../sso/portal.ts';
import { DEFAULT_SCOPE } from '../sso/login.ts';
import { checkStartUrl, parseScopes } from '../sso/sso-session.ts';
import type { SsoSession } from '../sso/sso-session.ts';
import type { CliIo } from './io.ts';
import type { LoginArgs } from './login.ts';
import { loggedIn, logInHere } from './login.ts';
import { writeOut } from './output.ts';
import { Prompter } from './prompter.ts';
import { shellWord } from './shell-word.ts';

/** Exit status. Throws USAGE when nobody answers, and as `login`. */
export async function runConfigureSso(args: LoginArgs, io: CliIo, log: Log): Promise<number> {
  // The profile may be one that is to be made.
  const access = createSsoAccess({ ...args, profile: undefined, env: withoutProfile(io.env), log });
  const prompter = new Prompter(io);
  try {
    const { files } = access;
    const session = await askSession(prompter, files, args.ssoSession);
    const kept = await currentLogin(access, session);
    const token = kept ?? (await logInHere(access, session, args.opensBrowser, io));
    prompter.say(loggedIn(session, token));

    const portal = new Portal(access, token);
    const accounts = await portal.accounts();
    if (accounts.length === 0) throw noAccess('no AWS account is assigned to you');
    const account = await prompter.choose('Account', accounts, ({ accountId, name, email }) => [
      accountId,
      email === '' ? name : `${name} (${email})`,
    ]);
    const roles = await portal.roles(account.accountId);
    if (roles.length === 0) throw noAccess(`no role in account ${account.accountId} is assigned to you`);
    const role = await prompter.choose('Role', roles, (name) => [name, '']);

    const profile = await askProfile(prompter, files, args.profile ?? `${role}-${account.accountId}`);
    const region = await prompter.ask({
      text: 'AWS region of your nodes',
      preset: files.profiles.get(profile)?.['region'] ?? session.region,
      check: checkRegionText,
    });
    const answers = { profile, session, accountId: account.accountId, role, region };
    const { backup } = await editFile(files.configPath, {
      edit: (text = '') => withProfile(withSession(text, session), answers),
      backupSuffix: BACKUP_SUFFIX,
    });
    await writeOut(io.stdout, report(files, profile, backup));
    return 0;
  } finally {
    prompter.close();
    access.close();
  }
}

async function askSession(
  prompter: Prompter,
  files: ConfigFiles,
  given: string | undefined,
): Promise<SsoSession> {
  const known = [...files.ssoSessions.keys()].sort();
  if (known.length > 0) prompter.say(`SSO sessions that exist: ${known.join(', ')}`);
  const name = await prompter.ask({
    text: 'SSO session name (a word of your own)',
    preset: given ?? (known.length === 1 ? known[0] : undefined),
    check: checkName,
  });
  const section = files.ssoSessions.get(name) ?? {};
  const startUrl = await prompter.ask({
    text: 'SSO start URL (https://....awsapps.com/start)',
    preset: section['sso_start_url'],
    check: checkUrlText,
  });
  const region = await prompter.ask({
    text: 'SSO region (where Identity Center is)',
    preset: section['sso_region'],
    check: checkRegionText,
  });
  const scopes = await prompter.ask({
    text: 'SSO registration scopes',
    preset: section['sso_registration_scopes'] ?? DEFAULT_SCOPE,
    check: (text) =>
      /^[\w:./-]+(\s*,\s*[\w:./-]+)*$/.test(text) ? undefined : 'scopes, with commas between them',
  });
  return { name, startUrl, region, scopes: parseScopes(scopes) };
}

async function askProfile(prompter: Prompter, files: ConfigFiles, preset: string): Promise<string> {
  for (;;) {
    const profile = await prompter.ask({ text: 'Name of the profile', preset, check: checkName });
    const settings = files.profiles.get(profile);
    const other = FOREIGN_SOURCES.find((key) => settings?.[key] !== undefined);
    if (other !== undefined) {
      prompter.say(`profile ${profile} takes its credentials from ${other}; choose another name`);
      continue;
    }
    const isSame =
      settings === undefined || (await prompter.confirm(`Profile ${profile} exists. Change it?`));
    if (isSame) return profile;
  }
}

/** Where these stand, SSO would not be asked. */
const FOREIGN_SOURCES = [
  'aws_access_key_id',
  'role_arn',
  'credential_process',
  'web_identity_token_file',
  'credential_source',
] as const;

interface ProfileAnswers {
  readonly profile: string;
  readonly session: SsoSession;
  readonly accountId: string;
  readonly role: string;
  readonly region: string;
}

function withProfile(text: string, { profile, session, accountId, role, region }: ProfileAnswers): string {
  const change: SectionChange = {
    sso_session: session.name ?? null,
    sso_account_id: accountId,
    sso_role_name: role,
    region,
    // Of the older form: tools refuse profiles where they differ from the session's.
    sso_start_url: null,
    sso_region: null,
  };
  const isPlainDefault = profile === 'default' && !/^\[\s*profile\s+default\s*\]/m.test(text);
  return changeSection(text, isPlainDefault ? 'default' : `profile ${profile}`, change);
}

function withSession(text: string, { name, startUrl, region, scopes }: SsoSession): string {
  return changeSection(text, `sso-session ${name ?? ''}`, {
    sso_start_url: startUrl,
    sso_region: region,
    sso_registration_scopes: scopes?.join(',') ?? null,
  });
}

function report(files: ConfigFiles, profile: string, backup: string | undefined): string {
  const before = backup === undefined ? '' : ` (before: ${backup})`;
  const lines = [
    `Profile ${profile} is in ${files.configPath}${before}.`,
    profile === 'default'
      ? 'Tools use it by themselves.'
      : `Use it: export AWS_PROFILE=${shellWord(profile)}, or --profile ${shellWord(profile)}.`,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function checkName(text: string): string | undefined {
  return /^[\w@.+:/-]+( [\w@.+:/-]+)*$/.test(text) ? undefined : 'letters, digits and . _ - + @ : /';
}

function checkRegionText(text: string): string | undefined {
  return /^[a-z]{2}(-[a-z]+)+-\d$/.test(text) ? undefined : 'the name of a region, such as eu-west-1';
}

function checkUrlText(text: string): string | undefined {
  if (/\s/.test(text)) return 'a URL has no spaces';
  try {
    checkStartUrl(text, 'the answer');
    return undefined;
  } catch {
    return 'a URL that begins with https://, as the administrator of Identity Center gives it';
  }
}

function noAccess(what: string): ProxyError {
  return new ProxyError('ACCESS_DENIED', what, { hint: 'ask the administrator of IAM Identity Center' });
}

function withoutProfile(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, AWS_PROFILE: undefined, AWS_DEFAULT_PROFILE: undefined };
}
