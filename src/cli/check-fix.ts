/** What `check --fix` can mend from here: each is shown, asked about, and done. */
import type { AwsContext } from '../aws/context.ts';
import type { Finding, Mend } from '../check/finding.ts';
import { asProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { createSsoAccess } from '../sso/access.ts';
import { chooseSession } from '../sso/sso-session.ts';
import type { CliIo } from './io.ts';
import { loggedIn, logInHere } from './login.ts';
import { Prompter } from './prompter.ts';

export interface FixParts {
  /** Of the node, or of the configuration. */
  readonly context: Promise<AwsContext>;
  readonly endpointUrl: string | undefined;
  readonly io: CliIo;
  readonly log: Log;
}

/** The findings that are mended now. A mend that fails says so and is not among them. */
export async function offerFixes(findings: readonly Finding[], parts: FixParts): Promise<readonly Finding[]> {
  const mendable = findings.filter(({ mend }) => mend !== undefined);
  const prompter = new Prompter(parts.io);
  const mended: Finding[] = [];
  try {
    if (mendable.length === 0) prompter.say('Nothing here can be mended by ssm-proxy itself.');
    for (const finding of mendable) {
      const { mend } = finding;
      if (mend === undefined || !(await prompter.confirm(question(mend)))) continue;
      try {
        prompter.say(await perform(mend, parts));
        mended.push(finding);
      } catch (thrown) {
        const { message, hint } = asProxyError(thrown);
        prompter.say(`That failed: ${message}${hint === undefined ? '' : ` (${hint})`}`);
      }
    }
  } finally {
    prompter.close();
  }
  return mended;
}

function question(mend: Mend): string {
  switch (mend.kind) {
    case 'attach-policy':
      return `Attach ${mend.policyArn} to the role ${mend.roleName}?`;
    case 'sso-login':
      return `Log in to SSO for profile ${mend.profile}?`;
    case 'ssh-config':
      return 'Write ~/.ssh/ssm-proxy.conf, and an Include line for it into ~/.ssh/config?';
  }
}

/** What was done, in a sentence. */
async function perform(mend: Mend, { context, endpointUrl, io, log }: FixParts): Promise<string> {
  switch (mend.kind) {
    case 'attach-policy': {
      const { attachPolicy } = await import('../aws/node-role.ts');
      await attachPolicy(await context, mend.roleName, mend.policyArn);
      return 'Attached. The agent takes some minutes to notice; restarting it on the node is quicker.';
    }
    case 'sso-login': {
      const access = createSsoAccess({ profile: mend.profile, endpointUrl, env: io.env, log });
      try {
        const session = chooseSession(access.profile, access.files);
        return loggedIn(session, await logInHere(access, session, true, io));
      } finally {
        access.close();
      }
    }
    case 'ssh-config': {
      const { runCommandLine } = await import('./command-line.ts');
      await runCommandLine(['ssh-config', '--write'], io);
      return 'Written; ssm-proxy ssh-config --remove takes it back.';
    }
  }
}
