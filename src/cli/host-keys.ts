/**
 * `ssm-proxy host-keys`: the real host keys of a node, as ssh wants them of its KnownHostsCommand. ssh runs that for
 * every connection, twice, so the usual lines are understood without loading yargs, and kept keys are given without
 * loading anything that asks AWS.
 *
 * A KnownHostsCommand that fails ends the connection. So what cannot be found out is no failure here: nothing is
 * printed, and ssh goes by its own files and StrictHostKeyChecking.
 */
import { systemClock } from '../clock.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { keptKeys } from '../host-keys/kept-keys.ts';
import type { HostKeysAnswer, HostKeysRequest } from '../host-keys/kept-keys.ts';
import type { HostKey } from '../host-keys/public-keys.ts';
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
import { configuredValues } from './settings/config-path.ts';
import { readTargetOptions } from './target-options.ts';
import { tokenize } from './tokens.ts';

export interface HostKeysArgs extends HostKeysRequest, LogRequest {
  /** As it is to stand in the lines. */
  readonly host: string;
  readonly json: boolean;
}

/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;
/** sshd gives a client two minutes to log in; nobody likes to wait longer than this. Milliseconds. */
const TIME_LIMIT_MS = 20_000;
const SSH_PORT = 22;
/** Nothing that ssm-proxy handles: ssh has its own ways for such hosts. */
const NOT_OURS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['TARGET_NOT_FOUND', 'TARGET_INVALID']);

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
  try {
    const kept = await keptKeys(args, { env: io.env, clock: systemClock, log });
    if (kept !== undefined) return await tell(args, kept, io);
    packs?.load('connect');
    const { searchHostKeys } = await import('./host-keys-search.ts');
    const found = await searchHostKeys(args, io, log, () => packs?.load('ec2'));
    return typeof found === 'number' ? found : await tell(args, found, io);
  } catch (error) {
    if (args.json) throw error;
    const { code, message } = asProxyError(error);
    complain(io, code, message);
    return 0;
  } finally {
    log.close();
  }
}

/** Exit status. */
async function tell(args: HostKeysArgs, answer: HostKeysAnswer, io: CliIo): Promise<number> {
  const { entry, isNew } = answer;
  if (entry.kind === 'failure') {
    const message = `no host keys of ${args.target}: ${entry.message}`;
    if (args.json) throw new ProxyError(entry.code, message);
    // Once, and not for every connection.
    if (isNew) complain(io, entry.code, message);
    return 0;
  }
  await writeOut(io.stdout, args.json ? asJson(args, answer) : linesFor(args, entry.keys));
  return 0;
}

function linesFor({ host, port, offered }: HostKeysArgs, keys: readonly HostKey[]): string {
  const isShown = offered === undefined || keys.some(({ base64 }) => base64 === offered);
  // What listens there need not be the sshd that these keys are of: ssh decides as for any unknown host.
  return port !== SSH_PORT && !isShown ? '' : knownHostsLines(host, keys);
}

/** One line: ssh shows it between its own. */
function complain(io: CliIo, code: ErrorCode, message: string): void {
  if (NOT_OURS.has(code)) return;
  io.stderr.write(`ssm-proxy: ${printable(message.replace(/\s*\r?\n\s*/g, ' '))} [${code}]\n`);
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
