/**
 * `ssm-proxy host-keys`: the real host keys of a node, as ssh wants them of its KnownHostsCommand. ssh runs that for
 * every connection, twice, so the usual lines are understood without loading yargs, and kept keys are given without
 * loading anything that asks AWS.
 *
 * A KnownHostsCommand that fails ends the connection. So what cannot be found out is no failure here: nothing is
 * printed, and ssh goes by its own files and StrictHostKeyChecking.
 */
import { systemClock } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import { failureOf, findHostKeys } from '../host-keys/find-keys.ts';
import type { HostKeysAnswer, HostKeysRequest } from '../host-keys/find-keys.ts';
import { fingerprintOf, isHostName, knownHostsLines, typeOfKey } from '../host-keys/public-keys.ts';
import { DEFAULT_START_RATE } from './connect-args.ts';
import { parseDestination } from './destination.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import type { LogRequest } from './log-file.ts';
import { OptionReader } from './option-values.ts';
import { optionsOf } from './options.ts';
import { writeOut } from './output.ts';
import type { Packs } from './packs.ts';
import { parentSshIgnoresKeys } from './parent-ssh.ts';
import { printable } from './report.ts';
import { reason } from './session-facts.ts';
import { SessionTrace } from './session-trace.ts';
import { configuredValues } from './settings/config-path.ts';
import { ShutdownWatch } from './shutdown-watch.ts';
import { readTargetOptions } from './target-options.ts';
import { tokenize } from './tokens.ts';
import { within } from './within.ts';

export interface HostKeysArgs extends HostKeysRequest, LogRequest {
  /** As it is to stand in the lines. */
  readonly host: string;
  readonly json: boolean;
}

/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;
/** sshd gives a client two minutes to log in; nobody likes to wait longer than this. Milliseconds. */
const TIME_LIMIT_MS = 20_000;
const TRACE_LIMIT_MS = 300;
const TERMINATE_ANSWER_MS = 250;
const SSH_PORT = 22;
/** Nothing that ssm-proxy handles: ssh has its own ways for such hosts. */
const NOT_OURS: ReadonlySet<string> = new Set(['TARGET_NOT_FOUND', 'TARGET_INVALID']);

/** Exit status; undefined when the line is not in a form that is known here: yargs decides then. */
export async function runHostKeysLine(
  argv: readonly string[],
  io: CliIo,
  packs: Packs,
): Promise<number | undefined> {
  const tokens = tokenize(argv, optionsOf('host-keys'));
  if (tokens === undefined) return undefined;
  const [command, host, port, ...rest] = tokens.words;
  if (command !== 'host-keys' || host === undefined || rest.length > 0) return undefined;
  const configured = await configuredValues(io.env, parseDestination(host, port).target);
  const options = new OptionReader('host-keys', tokens.options, io.env, configured);
  return runHostKeys(readHostKeysArgs(host, port, options), io, packs);
}

/** Throws USAGE. */
export function readHostKeysArgs(
  host: string,
  port: string | undefined,
  options: OptionReader,
): HostKeysArgs {
  const destination = parseDestination(host, port);
  return {
    ...readTargetOptions(options),
    ...destination,
    host: port === undefined || destination.port === SSH_PORT ? host : `[${destination.target}]:${port}`,
    offered: readOffered(options),
    isRefreshing: options.switch('refresh'),
    startsPerSecond: options.rate('start-rate', DEFAULT_START_RATE),
    reason: reason(`host-keys ${destination.target}`),
    timeLimitMs: TIME_LIMIT_MS,
    json: options.switch('json'),
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
  };
}

/** ssh says NONE before it has seen a key. A kind of key that no host has by itself (a certificate) says nothing. */
function readOffered(options: OptionReader): string | undefined {
  const text = options.text('offered');
  return text === undefined || typeOfKey(text) === undefined ? undefined : text;
}

/** Exit status. Rejects with --json, and with CANCELLED. */
export async function runHostKeys(args: HostKeysArgs, io: CliIo, packs?: Packs): Promise<number> {
  // Launchers that check no keys would only wait for ours.
  if (!args.json && parentSshIgnoresKeys()) return 0;
  if (!args.json && !isHostName(args.host)) return 0;
  const log = openLog(args, io);
  const abort = new AbortController();
  let ownStatus: number | undefined;
  const watch = new ShutdownWatch({
    onShutdown(exitStatus) {
      ownStatus ??= exitStatus;
      io.onEnding?.(exitStatus);
      abort.abort();
    },
    // The keys are wanted by the next ssh, too.
    isOrphanIdle: () => false,
  });
  watch.start();
  try {
    await writeOut(io.stdout, await answerText(args, io, { log, packs, signal: abort.signal }));
    return 0;
  } catch (error) {
    if (ownStatus !== undefined) return ownStatus;
    if (args.json) throw error;
    const { code = 'INTERNAL', message } = error instanceof ProxyError ? error : { message: String(error) };
    if (!NOT_OURS.has(code)) io.stderr.write(notice(message, code));
    return 0;
  } finally {
    watch.stop();
    log.close();
  }
}

interface AnswerParts {
  readonly log: ReturnType<typeof openLog>;
  readonly packs: Packs | undefined;
  readonly signal: AbortSignal;
}

async function answerText(
  args: HostKeysArgs,
  io: CliIo,
  { log, packs, signal }: AnswerParts,
): Promise<string> {
  const trace = new SessionTrace(io.env, log, () => systemClock.wallNow());
  let isOver = false;
  let onTerminated = (): void => {};
  const terminated = new Promise<void>((resolve) => (onTerminated = resolve));
  try {
    const answer = await findHostKeys(
      args,
      {
        ...{ env: io.env, clock: systemClock, log },
        onAsking() {
          packs?.load('connect');
          packs?.load('ec2');
        },
        onStarted: (started) => trace.begin(started, `${args.target} host-keys`),
        onTerminated() {
          isOver = true;
          onTerminated();
        },
      },
      signal,
    );
    const failure = failureOf(args.target, answer);
    if (args.json && failure !== undefined) throw failure;
    if (args.json) return asJson(args, answer);
    if (failure !== undefined && answer.isNew && !NOT_OURS.has(failure.code)) {
      io.stderr.write(notice(failure.message, failure.code));
    }
    return linesFor(args, answer);
  } finally {
    if (trace.hasBegun && !isOver) await within(TERMINATE_ANSWER_MS, terminated);
    await within(TRACE_LIMIT_MS, trace.end(isOver));
  }
}

function linesFor({ host, port, offered }: HostKeysArgs, { entry }: HostKeysAnswer): string {
  if (entry.kind === 'failure') return '';
  const isShown = offered === undefined || entry.keys.some(({ base64 }) => base64 === offered);
  // What listens there need not be the sshd that these keys are of: ssh decides as for any unknown host.
  if (port !== SSH_PORT && !isShown) return '';
  return knownHostsLines(host, entry.keys);
}

/** One line: ssh shows it between its own. */
function notice(message: string, code: string): string {
  return `ssm-proxy: ${printable(message.replace(/\s*\r?\n\s*/g, ' '))} [${code}]\n`;
}

function asJson({ host }: HostKeysArgs, { entry, atMs, instanceId, region }: HostKeysAnswer): string {
  const { keys = [], source = null } = entry.kind === 'keys' ? entry : {};
  const facts = {
    schema: SCHEMA,
    host,
    instanceId: instanceId ?? null,
    region: region ?? null,
    source,
    readAt: new Date(atMs).toISOString(),
    keys: keys.map((key) => ({ type: key.type, key: key.base64, fingerprint: fingerprintOf(key) })),
  };
  return `${JSON.stringify(facts)}\n`;
}
