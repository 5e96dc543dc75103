/**
 * From inside `connect`: an SSO login that has expired may be renewed on the spot, where a person is there to do it.
 *
 * stdin and stdout carry SSH, so the question goes to the controlling terminal. It is asked only if nobody can be held
 * up by it: stderr is a terminal, this process is in its foreground, and the ssh above is known, waits without a
 * ConnectTimeout, and is not in BatchMode. Where that cannot be read (other systems than Linux) it is never asked.
 */
import { openSync, readFileSync } from 'node:fs';
import { ReadStream, WriteStream } from 'node:tty';
import { ProxyError, asProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { createSsoAccess } from '../sso/access.ts';
import type { SsoAccess } from '../sso/access.ts';
import { currentLogin } from '../sso/current-login.ts';
import { ssoSessionOf } from '../sso/sso-session.ts';
import type { SsoSession } from '../sso/sso-session.ts';
import type { CliIo } from './io.ts';
import { loggedIn, logInHere } from './login.ts';
import { parentSshSettings } from './parent-ssh-settings.ts';
import { Prompter } from './prompter.ts';
import { printable } from './report.ts';

/** Whoever is there answers by then. Milliseconds. */
const ANSWER_LIMIT_MS = 30_000;
const TERMINAL = '/dev/tty';

export interface OfferRequest {
  /** As for AWS: `--profile`. */
  readonly profile: string | undefined;
  readonly endpointUrl: string | undefined;
}

/** True when somebody has logged in, so that it is worth another try. Never rejects. */
export async function offerLogin(
  request: OfferRequest,
  io: CliIo,
  log: Log,
  signal: AbortSignal,
): Promise<boolean> {
  if (io.stderr.isTTY !== true || !isInForeground() || request.profile?.includes(',') === true) return false;
  const ssh = await parentSshSettings(io.env);
  if (ssh === undefined || ssh.batchMode || ssh.hasConnectTimeout) return false;
  let access: SsoAccess | undefined;
  try {
    access = createSsoAccess({ ...request, env: io.env, log });
    const session = ssoSessionOf(access.profile.name, access.files);
    // With a good login it is something else that has expired.
    if (session === undefined || (await currentLogin(access, session)) !== undefined) return false;
    return await ask(access, session, io, signal);
  } catch (error) {
    log.info('no_login_offer', { code: asProxyError(error).code });
    return false;
  } finally {
    access?.close();
  }
}

async function ask(
  access: SsoAccess,
  session: SsoSession,
  { env }: CliIo,
  signal: AbortSignal,
): Promise<boolean> {
  const input = new ReadStream(openSync(TERMINAL, 'r'));
  const output = new WriteStream(openSync(TERMINAL, 'w'));
  const prompter = new Prompter({ stdin: input, stderr: output });
  const cancelled = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new ProxyError('CANCELLED', 'cancelled')), { once: true });
  });
  cancelled.catch(() => {});
  let limit: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    limit = setTimeout(() => {
      output.write('\n');
      resolve(false);
    }, ANSWER_LIMIT_MS);
  });
  try {
    const question = `ssm-proxy: the SSO login of profile ${access.profile.name} has expired. Log in now?`;
    if (!(await Promise.race([prompter.confirm(question), late, cancelled]))) return false;
    clearTimeout(limit);
    // What is typed from here on is for ssh.
    prompter.close();
    input.destroy();
    const token = await Promise.race([logInHere(access, session, true, { stderr: output, env }), cancelled]);
    output.write(`${loggedIn(session, token)}\n`);
    return true;
  } catch (thrown) {
    const { message } = asProxyError(thrown);
    if (!signal.aborted) output.write(printable(`ssm-proxy: ${message}`) + '\n');
    return false;
  } finally {
    clearTimeout(limit);
    prompter.close();
    input.destroy();
    output.end();
  }
}

/** A process in the background would be stopped for reading its terminal. False where it cannot be told. */
function isInForeground(): boolean {
  try {
    const text = readFileSync('/proc/self/stat', 'latin1');
    // After the name, which may hold anything: state, parent, group, session, terminal, its foreground group.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [, , group, , terminal, foreground] = fields;
    return terminal !== '0' && group !== undefined && group === foreground;
  } catch {
    return false;
  }
}
