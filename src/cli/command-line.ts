/** Runs what a command line asks for, other than `connect` in its usual forms (see start.ts). */
import { ProxyError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { readConnectArgs } from './connect-args.ts';
import { parseDestination } from './destination.ts';
import { COMMAND_HELP } from './help.ts';
import type { CliIo } from './io.ts';
import { OptionReader } from './option-values.ts';
import type { ConfiguredValues, Environment } from './option-values.ts';
import type { CommandName } from './options.ts';
import { API, TARGETED } from './options/spec.ts';
import { writeOut } from './output.ts';
import { parseCommandLine } from './parse-command-line.ts';
import type { Invocation } from './parse-command-line.ts';
import { configuredValues } from './settings/config-path.ts';

type CommandInvocation = Extract<Invocation, { kind: 'command' }>;

/** Exit status. Throws ProxyError. */
export async function runCommandLine(argv: readonly string[], io: CliIo): Promise<number> {
  const invocation = parseCommandLine(argv);
  switch (invocation.kind) {
    case 'help':
      await writeOut(io.stdout, invocation.text);
      return 0;
    case 'version':
      await writeOut(io.stdout, invocation.json ? `${JSON.stringify(versionFacts())}\n` : `${VERSION}\n`);
      return 0;
    case 'command':
      return runCommand(invocation, io);
  }
}

async function runCommand(invocation: CommandInvocation, io: CliIo): Promise<number> {
  const { command, words, texts } = invocation;
  const configured = await configuredFor(invocation, io.env);
  const options = new OptionReader(command, texts, io.env, configured);
  switch (command) {
    case 'connect': {
      const [target = '', port] = expectWords(command, words, 1, 2);
      const args = readConnectArgs({ target, port, texts }, io.env, configured);
      const { connectCommand } = await import('./run-connect.ts');
      return connectCommand(args, io);
    }
    case 'resolve': {
      const [target = ''] = expectWords(command, words, 1, 1);
      const { readResolveArgs, runResolve } = await import('./resolve.ts');
      return runResolve(readResolveArgs(target, options), io);
    }
    case 'wait': {
      const [target = '', port] = expectWords(command, words, 1, 2);
      const { readWaitArgs, runWait } = await import('./wait.ts');
      return runWait(readWaitArgs(target, port, options), io);
    }
    case 'shell': {
      const [target = ''] = expectWords(command, words, 1, 1);
      const { readShellArgs, runShell } = await import('./shell.ts');
      return runShell(readShellArgs(target, options), io);
    }
    case 'exec': {
      const { commandWords } = invocation;
      const targets = ownWords(invocation);
      const { readExecArgs, runExec } = await import('./exec.ts');
      return runExec(readExecArgs(targets, commandWords, options), io);
    }
    case 'forward': {
      const { commandWords } = invocation;
      const [target = ''] = expectWords(command, ownWords(invocation), 1, 1);
      const { readForwardArgs, runForward } = await import('./forward.ts');
      return runForward(readForwardArgs(target, commandWords, options), io);
    }
    case 'list': {
      const { readListArgs, runList } = await import('./list.ts');
      return runList(readListArgs(words, options), io);
    }
    case 'check': {
      const [target, port] = expectWords(command, words, 0, 2);
      const { readCheckArgs, runCheck } = await import('./check.ts');
      return runCheck(readCheckArgs(target, port, options), io);
    }
    case 'host-keys': {
      const [host = '', port] = expectWords(command, words, 1, 2);
      const { readHostKeysArgs, runHostKeys } = await import('./host-keys.ts');
      return runHostKeys(readHostKeysArgs(host, port, options), io);
    }
    case 'sessions': {
      const { readSessionsArgs, runSessions } = await import('./sessions.ts');
      return runSessions(readSessionsArgs(words, options), io);
    }
    case 'config': {
      const { readConfigArgs, runConfig } = await import('./config.ts');
      return runConfig(readConfigArgs(words, options), io);
    }
    case 'status': {
      expectWords(command, words, 0, 0);
      const { readStatusArgs, runStatus } = await import('./status.ts');
      return runStatus(readStatusArgs(options), io);
    }
    case 'stop': {
      expectWords(command, words, 0, 0);
      const { runStop } = await import('./status.ts');
      return runStop(options.switch('json'), io);
    }
    case 'login': {
      expectWords(command, words, 0, 0);
      const { readLoginArgs, runLogin } = await import('./login.ts');
      return runLogin(readLoginArgs(options), io);
    }
    case 'logout': {
      expectWords(command, words, 0, 0);
      const { readLogoutArgs, runLogout } = await import('./logout.ts');
      return runLogout(readLogoutArgs(options), io);
    }
    case 'ssh-config': {
      expectWords(command, words, 0, 0);
      const { readSshConfigArgs, runSshConfig } = await import('./ssh-config.ts');
      return runSshConfig(readSshConfigArgs(options, texts, io.env), io);
    }
    case 'skypilot': {
      const { readSkypilotArgs, runSkypilot } = await import('./skypilot.ts');
      return runSkypilot(readSkypilotArgs(words, options, texts, io.env), io);
    }
    case 'plugin': {
      const { readPluginArgs, runPluginCommand } = await import('./plugin-command.ts');
      return runPluginCommand(readPluginArgs(words, options), io);
    }
    case 'policy': {
      expectWords(command, words, 1, 3);
      const { readPolicyArgs, runPolicy } = await import('./policy.ts');
      const narrowing = new OptionReader(command, texts, io.env);
      return runPolicy(readPolicyArgs(words, options, narrowing), io);
    }
    case 'emulator': {
      expectWords(command, words, 0, 0);
      const { readEmulatorArgs, runEmulator } = await import('./emulator.ts');
      return runEmulator(readEmulatorArgs(options), io);
    }
    case 'completion': {
      const [shell = ''] = expectWords(command, words, 1, 1);
      const { runCompletion } = await import('./completion.ts');
      return runCompletion(shell, io);
    }
  }
}

/** What the config file says for the command's target, or for all; nothing to commands that do not call AWS. */
async function configuredFor(
  invocation: CommandInvocation,
  env: Environment,
): Promise<ConfiguredValues | undefined> {
  const { command, words } = invocation;
  if (command === 'policy') return words[0] === 'diff' ? configuredValues(env, words[2]) : undefined;
  if (command === 'skypilot') return words[0] === 'check' ? configuredValues(env, undefined) : undefined;
  if (!API.includes(command)) return undefined;
  switch (command) {
    case 'connect':
    case 'host-keys':
    case 'wait': {
      const [target, port] = words;
      return configuredValues(env, target === undefined ? undefined : parseDestination(target, port).target);
    }
    case 'shell':
    case 'exec':
    case 'forward': {
      const targets = ownWords(invocation);
      const values = await configuredValues(env, targets.length === 1 ? targets[0] : undefined);
      // Those of the file are for `connect`.
      return values && new Map([...values].filter(([name]) => name !== 'document' && name !== 'parameter'));
    }
    default:
      return configuredValues(env, TARGETED.includes(command) ? words[0] : undefined);
  }
}

/** The words before `--`. */
function ownWords({ words, commandWords = [] }: CommandInvocation): readonly string[] {
  return words.slice(0, words.length - commandWords.length);
}

function expectWords(
  command: CommandName,
  words: readonly string[],
  least: number,
  most: number,
): readonly string[] {
  const hint = `ssm-proxy ${COMMAND_HELP[command].usage}`;
  if (words.length < least)
    throw new ProxyError('USAGE', `${nameOfWord(command, words.length)} is missing`, { hint });
  const [extra] = words.slice(most);
  if (extra !== undefined) {
    throw new ProxyError('USAGE', `${command} takes no argument ${JSON.stringify(extra)}`, { hint });
  }
  return words;
}

/** What the usage has in this place: `the target`, `one of bash, zsh, fish`. */
function nameOfWord(command: CommandName, index: number): string {
  const [, bare = 'argument'] =
    /^[<[]([^>\].]+)/.exec(COMMAND_HELP[command].usage.split(' ')[index + 1] ?? '') ?? [];
  return bare.includes('|') ? `one of ${bare.split('|').join(', ')}` : `the ${bare}`;
}

function versionFacts(): Readonly<Record<string, string | number>> {
  return {
    schema: 1,
    name: 'ssm-proxy',
    version: VERSION,
    node: process.versions.node,
    platform: process.platform,
    arch: process.arch,
  };
}
