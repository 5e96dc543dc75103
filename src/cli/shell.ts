/** `ssm-proxy shell`: an interactive shell on a node, without sshd or keys there. */
import { shellPurpose } from '../command-purposes.ts';
import type { CliIo } from './io.ts';
import { runLiveSession } from './live-session.ts';
import type { OptionReader } from './option-values.ts';
import { readSessionArgs, sessionRequest } from './session-args.ts';
import type { SessionArgs } from './session-args.ts';
import { reason } from './session-facts.ts';
import { TerminalView } from './terminal-view.ts';

export interface ShellArgs extends SessionArgs {
  readonly target: string;
}

/** Throws USAGE. */
export function readShellArgs(target: string, options: OptionReader): ShellArgs {
  return { ...readSessionArgs(options), target };
}

/** Exit status: 0 when the far side has ended the shell, whose own status Session Manager does not tell. */
export async function runShell(args: ShellArgs, io: CliIo): Promise<number> {
  const { target } = args;
  const purpose = shellPurpose(args.document, args.parameters);
  const request = sessionRequest(args, target, purpose, reason(`shell ${target}`));
  return runLiveSession(
    { args, request, destination: `${target} shell`, io },
    (end) => new TerminalView(io, end),
  );
}
