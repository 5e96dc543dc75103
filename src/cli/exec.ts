/**
 * `ssm-proxy exec`: a command on one node, on a terminal there (-t), or on many nodes (--all).
 *
 * stdin goes to the far side only with -t: non-interactive documents have none.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import type { Instance } from '../aws/instance.ts';
import { ProxyError } from '../errors.ts';
import { argvOf } from '../exec/command-line.ts';
import type { CommandRequest } from '../exec/run-command.ts';
import { StatusMarks, markedCommand } from '../exec/status-mark.ts';
import { targetContexts } from '../contexts.ts';
import { checkAccounts, isEverywhere } from '../find-target.ts';
import { commandPurpose } from '../command-purposes.ts';
import { runOnNode } from './exec-node.ts';
import { JsonOutput, PlainOutput, PrefixedOutput } from './exec-output.ts';
import type { NodeEnd, NodeOutput, OutputStreams } from './exec-output.ts';
import type { CliIo } from './io.ts';
import { runLiveSession } from './live-session.ts';
import { openLog } from './log-file.ts';
import type { OpenLog } from './log-file.ts';
import type { OptionReader } from './option-values.ts';
import { formatError } from './report.ts';
import { readSessionArgs, sessionRequest } from './session-args.ts';
import type { SessionArgs } from './session-args.ts';
import { reason } from './session-facts.ts';
import { ShutdownWatch } from './shutdown-watch.ts';
import { StatusLine } from './status-line.ts';
import { TerminalView } from './terminal-view.ts';

export interface ExecArgs extends SessionArgs {
  readonly targets: readonly string[];
  readonly words: readonly string[];
  readonly isTerminal: boolean;
  readonly isAll: boolean;
  readonly parallel: number;
  readonly isRaw: boolean;
  readonly json: boolean;
}

const DEFAULT_PARALLEL = 10;
const MAX_PARALLEL = 100;
/** What a shell shows for a program that SIGPIPE ended. */
const EXIT_READER_GONE = 128 + constants.signals.SIGPIPE;
const USAGE_HINT = 'ssm-proxy exec <target> -- <command> [argument..]';

/** `targets`: the words before `--`; `words`: those after it. Throws USAGE. */
export function readExecArgs(
  targets: readonly string[],
  words: readonly string[] | undefined,
  options: OptionReader,
): ExecArgs {
  const args: ExecArgs = {
    ...readSessionArgs(options),
    targets,
    words: words ?? [],
    isTerminal: options.switch('tty'),
    isAll: options.switch('all'),
    parallel: options.number('parallel', 1, MAX_PARALLEL) ?? DEFAULT_PARALLEL,
    isRaw: options.switch('raw'),
    json: options.switch('json'),
  };
  if (args.words.length === 0 || args.words[0] === '') throw usage('the command is missing: it follows --');
  if (!args.isAll && targets.length === 0) throw usage('the target is missing');
  if (!args.isAll && targets.length > 1) throw usage('several targets need --all');
  const hasScope = args.vpc !== undefined || Object.keys(args.tags).length > 0;
  if (args.isAll && targets.length === 0 && !hasScope) {
    throw usage('--all needs targets, --tag or --vpc: every instance of the account is never meant');
  }
  if (args.isTerminal && (args.isAll || args.json || args.isRaw)) {
    throw usage('-t goes with neither --all nor --json nor --raw');
  }
  return args;
}

/** Exit status: that of the command, with --all the largest. Throws ProxyError. */
export async function runExec(args: ExecArgs, io: CliIo): Promise<number> {
  if (args.isTerminal) return runOnTerminal(args, io);
  const log = openLog(args, io);
  const status = new StatusLine(io, args.quiet);
  const abort = new AbortController();
  let ownStatus: number | undefined;
  const stop = (exitStatus: number): void => {
    ownStatus ??= exitStatus;
    io.onEnding?.(exitStatus);
    abort.abort();
  };
  const watch = new ShutdownWatch({ onShutdown: stop, isOrphanIdle: () => false });
  let crash: ProxyError | undefined;
  io.crashGuard?.takeOver((error) => {
    crash = error;
    abort.abort();
  });
  const onGone = (): void => stop(EXIT_READER_GONE);
  io.stdout.on('error', onGone);
  watch.start();
  const run: Run = { args, io, log, status, signal: abort.signal };
  try {
    const exitStatus = args.isAll ? await runOnAll(run) : await runOnOne(run);
    return ownStatus ?? exitStatus;
  } catch (error) {
    if (crash !== undefined) throw crash;
    if (ownStatus !== undefined) return ownStatus;
    throw error;
  } finally {
    status.clear();
    watch.stop();
    log.close();
  }
}

interface Run {
  readonly args: ExecArgs;
  readonly io: CliIo;
  readonly log: OpenLog;
  readonly status: StatusLine;
  readonly signal: AbortSignal;
}

async function runOnOne(run: Run): Promise<number> {
  const { args, io, status } = run;
  const [target = ''] = args.targets;
  const output = args.json ? new JsonOutput(io.stdout, target, undefined) : new PlainOutput(io);
  const end = await runOn(run, commandRequest(args, target), output, (stage) => status.show(stage));
  if (end.kind === 'failed') throw end.error;
  return end.exitStatus ?? 0;
}

async function runOnAll(run: Run): Promise<number> {
  const { args, io, status, log, signal } = run;
  const instances = await findInstances(args, { env: io.env, log }, signal);
  const waiting = [...instances];
  const labels = labelsOf(instances);
  let worst = 0;
  let ended = 0;
  const tell = (): void => status.show(`${ended} of ${instances.length} instances`);
  const worker = async (): Promise<void> => {
    for (let instance = waiting.shift(); instance !== undefined; instance = waiting.shift()) {
      if (signal.aborted) return;
      const { instanceId, region, profile = args.profile } = instance;
      const label = labels.get(instanceId) ?? instanceId;
      const request = {
        ...commandRequest(args, instanceId),
        regions: [region],
        profile,
        vpc: undefined,
        tags: {},
      };
      const end = await runOn(run, request, outputFor(args, io, instance, label), tell);
      ended += 1;
      worst = Math.max(worst, statusOf(end));
      if (end.kind === 'failed' && !args.json && !signal.aborted) {
        status.clear();
        io.stderr.write(formatError(end.error, false).replace('ssm-proxy: ', `ssm-proxy: ${label}: `));
      }
    }
  };
  tell();
  await Promise.all(Array.from({ length: Math.min(args.parallel, instances.length) }, worker));
  return worst;
}

function runOn(
  { io, log, status, signal }: Run,
  request: CommandRequest,
  output: NodeOutput,
  onStage: (stage: string) => void,
): Promise<NodeEnd> {
  return runOnNode(
    request,
    {
      ...{ io, log, output, onStage, destination: `${request.target} exec` },
      onOutput: () => status.clear(),
      onNotice(text) {
        status.clear();
        io.stderr.write(`${text.replace(/^/gm, 'ssm-proxy: ')}\n`);
      },
    },
    signal,
  );
}

async function runOnTerminal(args: ExecArgs, io: CliIo): Promise<number> {
  const [target = ''] = args.targets;
  const { document, parameters } = args;
  const nonce = randomBytes(8).toString('hex');
  const command = markedCommand(argvOf(args.words), nonce);
  const purpose = commandPurpose({ command, isInteractive: true, document, parameters });
  const request = sessionRequest(args, target, purpose, reason(`exec -t ${target}`));
  return runLiveSession(
    { args, request, destination: `${target} exec`, io },
    (end) => new TerminalView(io, end, { marks: new StatusMarks(nonce) }),
  );
}

function commandRequest(args: ExecArgs, target: string): CommandRequest {
  const { words, isRaw } = args;
  return { ...args, target, words, isRaw, reason: reason(`exec ${target}`) };
}

async function findInstances(
  args: ExecArgs,
  { env, log }: { readonly env: CliIo['env']; readonly log: OpenLog },
  signal: AbortSignal,
): Promise<readonly Instance[]> {
  const { listInstances } = await import('../aws/instance-list.ts');
  // A target's own name may tell the region; with several the first one does.
  const contexts = await targetContexts({ ...args, target: args.targets[0] ?? 'all' }, { env, log, signal });
  try {
    const scope = { vpc: args.vpc, tags: args.tags };
    const [instances] = await Promise.all([
      listInstances(contexts, args.targets, scope, { signal, skipsDenied: isEverywhere(args) }),
      checkAccounts(contexts, args.account, signal),
    ]);
    return instances;
  } finally {
    for (const context of contexts) context.close();
  }
}

function outputFor(args: ExecArgs, io: OutputStreams, instance: Instance, label: string): NodeOutput {
  return args.json ? new JsonOutput(io.stdout, label, instance) : new PrefixedOutput(io, label);
}

/** The Name tag where it tells the instances apart, else the ID. */
function labelsOf(instances: readonly Instance[]): ReadonlyMap<string, string> {
  const names = instances.map(({ name }) => name);
  return new Map(
    instances.map(({ instanceId, name }) => {
      const isUnique = name !== undefined && names.filter((other) => other === name).length === 1;
      return [instanceId, isUnique ? name : instanceId];
    }),
  );
}

function statusOf(end: NodeEnd): number {
  return end.kind === 'failed' ? end.error.exitStatus : (end.exitStatus ?? 0);
}

function usage(message: string): ProxyError {
  return new ProxyError('USAGE', message, { hint: USAGE_HINT });
}
