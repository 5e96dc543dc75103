/**
 * The program: picks the command, runs it, and turns the outcome into an exit status. `connect` in its usual forms
 * loads only its own code; everything else goes through yargs.
 */
import { asProxyError } from '../errors.ts';
import { readConnectArgs, splitConnectLine } from './connect-args.ts';
import { CrashGuard } from './crash-guard.ts';
import { parseDestination } from './destination.ts';
import { endProcess } from './end-process.ts';
import type { CliIo } from './io.ts';
import { processIo } from './io.ts';
import type { Packs } from './packs.ts';
import { formatError } from './report.ts';
import { connectCommand } from './run-connect.ts';
import { configuredValues } from './settings/config-path.ts';

/** Not a command for people: how the process that keeps shared sessions is started (src/keeper/launch.ts). */
const KEEPER_WORD = 'keeper-process';
/** `plugin run`: the drop-in where it has no entry of its own, in the single-file executable. Its words are not ours. */
const PLUGIN_RUN_WORD = 'run';

async function runCommand(argv: readonly string[], io: CliIo, packs: Packs): Promise<number> {
  const line = splitConnectLine(argv);
  if (line !== undefined) {
    const { target } = parseDestination(line.target, line.port);
    const args = readConnectArgs(line, io.env, await configuredValues(io.env, target));
    return connectCommand(args, io, packs);
  }
  if (argv[0] === 'host-keys') {
    const { runHostKeysLine } = await import('./host-keys.ts');
    const status = await runHostKeysLine(argv, io, packs);
    if (status !== undefined) return status;
  }
  if (argv[0] === 'plugin' && argv[1] === PLUGIN_RUN_WORD) {
    const { runPlugin } = await import('./plugin/run-plugin.ts');
    return runPlugin(argv.slice(2), io, packs);
  }
  if (argv[0] === KEEPER_WORD) {
    const { runKeeperProcess } = await import('./keeper-process.ts');
    return runKeeperProcess(io);
  }
  if (argv[0]?.startsWith('complete-') === true) {
    const { answerQuery, isQuery } = await import('./completion/query.ts');
    if (isQuery(argv[0])) return answerQuery(argv, io);
  }
  const { runCommandLine } = await import('./command-line.ts');
  return runCommandLine(argv, io);
}

function reportFailure(thrown: unknown, argv: readonly string[], io: CliIo): number {
  const error = asProxyError(thrown);
  const withStack = error.code === 'INTERNAL' && wantsStack(argv, io);
  io.stderr.write(formatError(error, withStack));
  return error.exitStatus;
}

/** Read from the raw words: the failure may be that they could not be parsed. */
function wantsStack(argv: readonly string[], io: CliIo): boolean {
  const text = argv.join(' ');
  const [, level = io.env['SSM_PROXY_LOG_LEVEL']] = /--log-level[= ](\w+)/.exec(text) ?? [];
  return level === 'debug' || level === 'trace';
}

/** Runs what the command line of this process asks for. The process ends by itself afterwards. */
export function start(packs: Packs): Promise<void> {
  return startProgram(process.argv.slice(2), packs);
}

/** The same as session-manager-plugin. */
export function startPlugin(packs: Packs): Promise<void> {
  return startProgram(['plugin', PLUGIN_RUN_WORD, ...process.argv.slice(2)], packs);
}

async function startProgram(argv: readonly string[], packs: Packs): Promise<void> {
  // A reader of our messages that has gone is no reason to fail.
  process.stderr.on('error', () => {});
  const crashGuard = new CrashGuard();
  crashGuard.start();
  const io = processIo(crashGuard);
  let status: number;
  try {
    status = await Promise.race([runCommand(argv, io, packs), crashGuard.thrown]);
    // Short sessions have no calm moment before.
    packs.save();
  } catch (error) {
    status = reportFailure(error, argv, io);
  }
  endProcess(status);
}
