/** `ssm-proxy list`: the nodes of your clusters, and whether SSM reaches them; once or live. */
import { hostname } from 'node:os';
import type { AwsContext } from '../aws/context.ts';
import { INSTANCE_STATES } from '../aws/node-facts.ts';
import type { InstanceState } from '../aws/node-facts.ts';
import { systemClock } from '../clock.ts';
import { createContexts } from '../contexts.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import { checkAccounts, isEverywhere } from '../find-target.ts';
import type { TargetRequest } from '../find-target.ts';
import type { BannerTimes } from '../fleet/banner-times.ts';
import type { Fleet, FleetNode, FleetQuery } from '../fleet/nodes.ts';
import { listNodes } from '../fleet/nodes.ts';
import type { Log } from '../log.ts';
import { sleep } from '../opening/sleep.ts';
import { VERSION } from '../version.ts';
import { DEFAULT_START_RATE } from './connect-args.ts';
import type { CliIo } from './io.ts';
import { LiveScreen } from './live-screen.ts';
import { openLog } from './log-file.ts';
import type { LogRequest } from './log-file.ts';
import type { BannerOf } from './node-table.ts';
import { fleetJson, nodeTable } from './node-table.ts';
import type { OptionReader } from './option-values.ts';
import { writeOut } from './output.ts';
import { formatError, printable } from './report.ts';
import { ShutdownWatch } from './shutdown-watch.ts';
import { readTargetOptions } from './target-options.ts';

export interface ListArgs extends Omit<TargetRequest, 'target'>, LogRequest {
  readonly query: FleetQuery;
  /** Undefined: once. */
  readonly watchEveryMs: number | undefined;
  readonly json: boolean;
  /** With --watch: sessions may be opened to see how long a banner takes. */
  readonly looksAtBanners: boolean;
  /** StartSession calls per second of all processes of the user on this machine; 0: no limit. */
  readonly startsPerSecond: number;
}

const DEFAULT_INTERVAL_MS = 5_000;
/** Twice a second would be throttled, and nothing changes so fast. */
const SHORTEST_INTERVAL_MS = 1_000;
/** For one look at all places. */
const TIME_LIMIT_MS = 60_000;
const INTERRUPTED = 130;

/** Throws USAGE. */
export function readListArgs(names: readonly string[], options: OptionReader): ListArgs {
  const target = readTargetOptions(options);
  const intervalMs = options.durationMs('interval', DEFAULT_INTERVAL_MS);
  return {
    ...target,
    query: {
      names,
      vpc: target.vpc,
      tags: target.tags,
      states: readStates(options),
      groupTag: readGroupTag(options),
      onlyOnline: options.switch('online'),
    },
    watchEveryMs: options.switch('watch') ? Math.max(SHORTEST_INTERVAL_MS, intervalMs) : undefined,
    json: options.switch('json'),
    looksAtBanners: !options.switch('no-banner'),
    startsPerSecond: options.rate('start-rate', DEFAULT_START_RATE),
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
  };
}

function readStates(options: OptionReader): readonly InstanceState[] {
  return (options.list('state') ?? []).map((text) => {
    const state = INSTANCE_STATES.find((known) => known === text);
    if (state !== undefined) return state;
    throw new ProxyError('USAGE', `--state ${JSON.stringify(text)} cannot be used`, {
      hint: `give one or more of ${INSTANCE_STATES.join(',')}`,
    });
  });
}

function readGroupTag(options: OptionReader): string | undefined {
  const text = options.text('group-by');
  if (text === undefined) return undefined;
  const [, tag] = /^tag:(.+)$/.exec(text) ?? [];
  if (tag !== undefined) return tag;
  throw new ProxyError('USAGE', `--group-by ${JSON.stringify(text)} cannot be used`, {
    hint: 'give tag: and the name of a tag, such as tag:team',
  });
}

/**
 * Exit status. The errors of createContexts, ACCOUNT_MISMATCH, and when no place at all could be asked what stood in the
 * way. Places that could not be asked are told on stderr.
 */
export async function runList(args: ListArgs, io: CliIo): Promise<number> {
  const log = openLog(args, io);
  const abort = new AbortController();
  let signalStatus: number | undefined;
  const watch = new ShutdownWatch({
    onShutdown(exitStatus) {
      signalStatus ??= exitStatus;
      abort.abort();
    },
    isOrphanIdle: () => true,
  });
  watch.start();
  let contexts: readonly AwsContext[] = [];
  try {
    contexts = await createContexts(args, { env: io.env, log, signal: abort.signal });
    await checkAccounts(contexts, args.account, abort.signal);
    if (args.watchEveryMs === undefined) await once(args, contexts, io, abort.signal);
    else await live(args, args.watchEveryMs, { contexts, log }, io, abort.signal);
    return 0;
  } catch (thrown) {
    if (signalStatus === undefined) throw thrown;
    // The usual way to end a live list.
    return args.watchEveryMs !== undefined && signalStatus === INTERRUPTED ? 0 : signalStatus;
  } finally {
    watch.stop();
    for (const context of contexts) context.close();
    log.close();
  }
}

async function once(
  args: ListArgs,
  contexts: readonly AwsContext[],
  io: CliIo,
  signal: AbortSignal,
): Promise<void> {
  const fleet = await look(args, contexts, signal);
  const [failure] = fleet.failures;
  if (failure !== undefined && fleet.failures.length === contexts.length) throw failure.error;
  if (args.json) {
    await writeOut(io.stdout, fleetJson(fleet));
    return;
  }
  await writeOut(io.stdout, nodeTable(fleet.nodes, systemClock.wallNow(), widthOf(io)));
  for (const { error } of fleet.failures) io.stderr.write(formatError(error, false));
}

async function live(
  args: ListArgs,
  everyMs: number,
  { contexts, log }: { readonly contexts: readonly AwsContext[]; readonly log: Log },
  io: CliIo,
  signal: AbortSignal,
): Promise<void> {
  const screen = new LiveScreen(io);
  const times = args.looksAtBanners ? await bannerTimes(args, contexts, io, log) : undefined;
  const bannerOf = times && ((node: FleetNode) => times.of(node));
  try {
    for (;;) {
      const fleet = await look(args, contexts, signal);
      times?.update(fleet.nodes);
      if (args.json) await writeOut(io.stdout, fleetJson(fleet, bannerOf));
      else await screen.draw(page(fleet, widthOf(io), bannerOf));
      await sleep(systemClock, everyMs, signal);
    }
  } finally {
    screen.leave();
    await times?.close();
  }
}

async function bannerTimes(
  { startsPerSecond, endpointUrl, role }: ListArgs,
  contexts: readonly AwsContext[],
  { env }: CliIo,
  log: Log,
): Promise<BannerTimes> {
  const fleet = await import('../fleet/banner-times.ts');
  const reason = `ssm-proxy/${VERSION} ${hostname()} list --watch`;
  return new fleet.BannerTimes({
    contexts,
    env,
    clock: systemClock,
    log,
    endpointUrl,
    role,
    startsPerSecond,
    reason,
  });
}

function page({ nodes, failures }: Fleet, width: number | undefined, bannerOf: BannerOf | undefined): string {
  const time = new Date(systemClock.wallNow()).toLocaleTimeString('en-GB');
  const troubles = failures.map(({ region, error }) =>
    printable(`${region}: ${error.message} [${error.code}]`),
  );
  const table = nodeTable(nodes, systemClock.wallNow(), width, bannerOf);
  return [`${time}  (Ctrl-C ends this)`, ...troubles, '', table, ''].join('\n');
}

/** A look that takes too long is a failure of the places that have not answered. */
async function look(args: ListArgs, contexts: readonly AwsContext[], signal: AbortSignal): Promise<Fleet> {
  const limit = new AbortController();
  const onAbort = (): void => limit.abort();
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => limit.abort(), TIME_LIMIT_MS);
  try {
    const fleet = await listNodes(contexts, args.query, limit.signal);
    // An organization may have closed regions: in a search of all of them that is no news.
    const isClosed = (error: ProxyError): boolean => isEverywhere(args) && error.code === 'ACCESS_DENIED';
    const failures = fleet.failures.filter(({ error }) => !isClosed(error));
    return fleet.failures.length === contexts.length ? fleet : { ...fleet, failures };
  } catch (thrown) {
    if (signal.aborted || !limit.signal.aborted) throw thrown;
    throw new ProxyError('CONNECT_TIMEOUT', `no answer within ${TIME_LIMIT_MS / 1000} s`, {
      hint: 'see what it waits for with --log-level debug',
      cause: asProxyError(thrown),
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** Undefined where nobody looks at lines: files and pipes get everything. */
function widthOf({ stdout }: CliIo): number | undefined {
  return stdout.isTTY === true ? (stdout.columns ?? 80) : undefined;
}
