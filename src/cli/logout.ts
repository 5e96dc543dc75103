/** `ssm-proxy logout`: ends an SSO login, or all of them. */
import { ProxyError } from '../errors.ts';
import { createSsoAccess } from '../sso/access.ts';
import type { SsoAccess } from '../sso/access.ts';
import { logOut } from '../sso/logout.ts';
import { chooseSession, describeSession, namedSession } from '../sso/sso-session.ts';
import type { SsoSession } from '../sso/sso-session.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import type { LogRequest } from './log-file.ts';
import type { OptionReader } from './option-values.ts';
import { writeOut } from './output.ts';
import { printable } from './report.ts';

export interface LogoutArgs extends LogRequest {
  readonly profile: string | undefined;
  readonly endpointUrl: string | undefined;
  readonly ssoSession: string | undefined;
  readonly isAll: boolean;
}

/** Throws USAGE. */
export function readLogoutArgs(options: OptionReader): LogoutArgs {
  const args: LogoutArgs = {
    profile: options.text('profile'),
    endpointUrl: options.text('endpoint-url'),
    ssoSession: options.text('sso-session'),
    isAll: options.switch('all'),
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
  };
  if (args.isAll && args.ssoSession !== undefined) {
    throw new ProxyError('USAGE', '--all and --sso-session exclude each other');
  }
  return args;
}

/** Exit status: 0 also when nobody was logged in. Throws PROFILE_NOT_FOUND, CONFIG_INVALID, USAGE. */
export async function runLogout(args: LogoutArgs, io: CliIo): Promise<number> {
  const log = openLog(args, io);
  const access = createSsoAccess({ ...args, env: io.env, log });
  try {
    const session = args.isAll ? undefined : sessionOf(args, access);
    const { ended, failure } = await logOut(access, session);
    if (failure !== undefined) {
      io.stderr.write(
        printable(`The service could not be told, so the token is good there until it expires: ${failure}`) +
          '\n',
      );
    }
    await writeOut(io.stdout, `${printable(outcome(session, ended))}\n`);
    return 0;
  } finally {
    access.close();
    log.close();
  }
}

function sessionOf({ ssoSession }: LogoutArgs, { profile, files }: SsoAccess): SsoSession {
  return ssoSession === undefined ? chooseSession(profile, files) : namedSession(ssoSession, files);
}

function outcome(session: SsoSession | undefined, ended: number): string {
  if (session === undefined) {
    return ended === 0
      ? 'Nobody was logged in.'
      : `Logged out of ${String(ended)} SSO ${ended === 1 ? 'login' : 'logins'}.`;
  }
  const name = describeSession(session);
  return ended === 0 ? `Nobody was logged in to ${name}.` : `Logged out of ${name}.`;
}
