/** `ssm-proxy wait`: blocks until a node can be reached, for launchers and CI. */
import { hostname } from 'node:os';
import { systemClock } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import { waitForTarget } from '../opening/wait-for-target.ts';
import type { WaitEvents, WaitRequest, WaitResult } from '../opening/wait-for-target.ts';
import { VERSION } from '../version.ts';
import { DEFAULT_START_RATE, readStartInstance } from './connect-args.ts';
import { parseDestination } from './destination.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import type { LogRequest } from './log-file.ts';
import type { OptionReader } from './option-values.ts';
import { writeOut } from './output.ts';
import { printable } from './report.ts';
import { ShutdownWatch } from './shutdown-watch.ts';
import { StatusLine } from './status-line.ts';
import { readTargetOptions } from './target-options.ts';

export interface WaitArgs extends WaitRequest, LogRequest {
  readonly json: boolean;
  readonly quiet: boolean;
}

/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;
const DEFAULT_TIMEOUT_MS = 300_000;

/** Throws USAGE. */
export function readWaitArgs(target: string, port: string | undefined, options: OptionReader): WaitArgs {
  const destination = parseDestination(target, port);
  return {
    ...destination,
    ...readTargetOptions(options),
    document: options.text('document'),
    parameters: options.valuesByKey('parameter'),
    timeoutMs: options.durationMs('timeout', DEFAULT_TIMEOUT_MS),
    startsPerSecond: options.rate('start-rate', DEFAULT_START_RATE),
    needsBanner: !options.switch('no-banner'),
    // Its own time limit is for everything.
    startInstance: readStartInstance(options) && { limitMs: undefined },
    reason: `ssm-proxy/${VERSION} ${hostname()} wait ${destination.target}:${destination.port}`,
    json: options.switch('json'),
    quiet: options.switch('quiet'),
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
  };
}

/** Exit status. Throws what stood in the way when the time was up, or at once what will stay so. */
export async function runWait(args: WaitArgs, io: CliIo): Promise<number> {
  const log = openLog(args, io);
  const status = new StatusLine(io, args.quiet);
  const abort = new AbortController();
  let exitStatus: number | undefined;
  const watch = new ShutdownWatch({
    onShutdown(signalStatus) {
      exitStatus ??= signalStatus;
      abort.abort();
    },
    // Its own time limit ends it.
    isOrphanIdle: () => false,
  });
  watch.start();
  const events: WaitEvents = { onStage: (stage) => status.show(stage) };
  try {
    const result = await waitForTarget(args, { env: io.env, clock: systemClock, log }, events, abort.signal);
    status.clear();
    await writeOut(io.stdout, args.json ? asJson(args, result) : asText(args, result));
    return 0;
  } catch (error) {
    if (exitStatus === undefined) throw error;
    throw new ProxyError('CANCELLED', `cancelled while waiting for ${args.target}`, {
      exitStatus,
      cause: error,
    });
  } finally {
    status.clear();
    watch.stop();
    log.close();
  }
}

/** Times are seconds that each stage took. */
function asJson(args: WaitArgs, result: WaitResult): string {
  const { instance, agent, port } = result.reachedMs;
  const facts = {
    schema: SCHEMA,
    target: args.target,
    port: args.port,
    instanceId: result.instanceId,
    region: result.region,
    banner: result.banner ?? null,
    tries: result.tries,
    seconds: {
      instance: seconds(instance),
      agent: seconds(agent - instance),
      port: seconds(port - agent),
      total: seconds(port),
    },
  };
  return `${JSON.stringify(facts)}\n`;
}

function asText(args: WaitArgs, result: WaitResult): string {
  const answer = result.banner === undefined ? 'accepts connections' : `says ${result.banner}`;
  const time = seconds(result.reachedMs.port).toFixed(1);
  return printable(`${result.instanceId} is ready: port ${args.port} ${answer}, after ${time} s`) + '\n';
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}
