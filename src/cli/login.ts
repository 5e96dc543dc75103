/** `ssm-proxy login`: an SSO login that every AWS tool of this machine then uses. */
import { createSsoAccess } from '../sso/access.ts';
import type { SsoAccess } from '../sso/access.ts';
import { findBrowser } from '../sso/browser.ts';
import { logIn } from '../sso/login.ts';
import type { LoginEvents } from '../sso/login.ts';
import { chooseSession, describeSession, namedSession } from '../sso/sso-session.ts';
import type { SsoSession } from '../sso/sso-session.ts';
import type { SsoToken } from '../sso/token-cache.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import type { LogRequest } from './log-file.ts';
import type { OptionReader } from './option-values.ts';
import { writeOut } from './output.ts';
import { printable } from './report.ts';

export interface LoginArgs extends LogRequest {
  readonly profile: string | undefined;
  readonly endpointUrl: string | undefined;
  readonly ssoSession: string | undefined;
  readonly opensBrowser: boolean;
  readonly isConfiguring: boolean;
}

/** Throws USAGE. */
export function readLoginArgs(options: OptionReader): LoginArgs {
  return {
    profile: options.text('profile'),
    endpointUrl: options.text('endpoint-url'),
    ssoSession: options.text('sso-session'),
    opensBrowser: !options.switch('no-browser'),
    isConfiguring: options.switch('configure'),
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
  };
}

/** Exit status. Throws LOGIN_FAILED, PROFILE_NOT_FOUND, CONFIG_INVALID and what network and service say. */
export async function runLogin(args: LoginArgs, io: CliIo): Promise<number> {
  const log = openLog(args, io);
  try {
    if (args.isConfiguring) {
      const { runConfigureSso } = await import('./configure-sso.ts');
      return await runConfigureSso(args, io, log);
    }
    const access = createSsoAccess({ ...args, env: io.env, log });
    try {
      const session =
        args.ssoSession === undefined
          ? chooseSession(access.profile, access.files)
          : namedSession(args.ssoSession, access.files);
      const token = await logInHere(access, session, args.opensBrowser, io);
      await writeOut(io.stdout, `${loggedIn(session, token)}\n`);
      return 0;
    } finally {
      access.close();
    }
  } finally {
    log.close();
  }
}

/** With the browser of this machine unless that is not wanted; says on stderr what the person is to do. */
export function logInHere(
  access: SsoAccess,
  session: SsoSession,
  opensBrowser: boolean,
  io: Pick<CliIo, 'stderr' | 'env'>,
): Promise<SsoToken> {
  const browser = opensBrowser ? findBrowser(io.env, process.platform) : undefined;
  const events: LoginEvents = {
    onPage({ url, userCode, isOpened }) {
      const what = isOpened ? 'your browser shows this page; if not, open it' : 'open this page in a browser';
      const lines = [`To log in to ${describeSession(session)}, ${what}:`, '', `  ${url}`, ''];
      if (userCode !== undefined) lines.push(`The page must show this code: ${userCode}`, '');
      io.stderr.write(lines.map((line) => `${printable(line)}\n`).join(''));
    },
  };
  return logIn(access, session, browser, events);
}

/** `Logged in to corp (https://...) until 2026-11-23 18:00; ...`. */
export function loggedIn(session: SsoSession, token: SsoToken): string {
  const renewal =
    session.name !== undefined && token.refreshToken !== undefined
      ? ', renewed by itself while the session at the service lasts'
      : '';
  return printable(`Logged in to ${describeSession(session)} until ${localTime(token.expiresAt)}${renewal}.`);
}

/** Minutes are enough, and in the person's own time zone. */
export function localTime(date: Date): string {
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = `${String(date.getFullYear())}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
