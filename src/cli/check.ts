/** `ssm-proxy check`: what stands between this machine and a node, found out and said line by line. */
import { setMaxListeners } from 'node:events';
import { startChecks } from '../check/run-checks.ts';
import type { CheckRequest, RunningChecks } from '../check/run-checks.ts';
import type { Finding } from '../check/finding.ts';
import { areaText, summary } from './check-report.ts';
import type { ReportStyle } from './check-report.ts';
import { DEFAULT_START_RATE } from './connect-args.ts';
import { parseDestination } from './destination.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import type { LogRequest } from './log-file.ts';
import type { OptionReader } from './option-values.ts';
import { writeOut } from './output.ts';
import { StatusLine } from './status-line.ts';
import { readTargetOptions } from './target-options.ts';

export interface CheckArgs extends CheckRequest, LogRequest {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly offersFixes: boolean;
}

/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;
/** For everything; what is not known by then is said to be so. Milliseconds. */
const TIME_LIMIT_MS = 25_000;
const MAX_LISTENERS = 200;

/** Throws USAGE. */
export function readCheckArgs(
  target: string | undefined,
  port: string | undefined,
  options: OptionReader,
): CheckArgs {
  const destination = target === undefined ? { target, port: 22 } : parseDestination(target, port);
  return {
    ...readTargetOptions(options),
    ...destination,
    document: options.text('document'),
    parameters: options.valuesByKey('parameter'),
    startsPerSecond: options.rate('start-rate', DEFAULT_START_RATE),
    json: options.switch('json'),
    quiet: options.switch('quiet'),
    offersFixes: options.switch('fix'),
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
  };
}

/** Exit status: 1 when something failed and was not mended. Throws USAGE. */
export async function runCheck(args: CheckArgs, io: CliIo): Promise<number> {
  return runChecks(args, startChecks, io);
}

/** The same for other lists of checks. */
export async function runChecks(args: CheckArgs, startAll: typeof startChecks, io: CliIo): Promise<number> {
  const log = openLog(args, io);
  const limit = new AbortController();
  // Everything that is asked at once listens to it.
  setMaxListeners(MAX_LISTENERS, limit.signal);
  const timer = setTimeout(() => limit.abort(), TIME_LIMIT_MS);
  const checks = startAll(args, { env: io.env, log, signal: limit.signal });
  try {
    const findings = args.json ? await reportJson(args, checks, io) : await reportText(args, checks, io);
    clearTimeout(timer);
    const failed = findings.filter(({ level }) => level === 'failed');
    if (!args.offersFixes) return failed.length === 0 ? 0 : 1;
    const { offerFixes } = await import('./check-fix.ts');
    const { context } = checks;
    const mended = await offerFixes(findings, { context, endpointUrl: args.endpointUrl, io, log });
    return failed.every((finding) => mended.includes(finding)) ? 0 : 1;
  } finally {
    clearTimeout(timer);
    limit.abort();
    await checks.close();
    log.close();
  }
}

/** Each area as soon as it and those before it are known. */
async function reportText(args: CheckArgs, checks: RunningChecks, io: CliIo): Promise<readonly Finding[]> {
  const style = styleOf(io);
  const found: Finding[] = [];
  for (const { title, findings } of checks.areas) {
    const status = new StatusLine(io, args.quiet);
    status.show(`checking: ${title}`);
    const own = await findings;
    status.clear();
    if (own.length === 0) continue;
    found.push(...own);
    await writeOut(io.stdout, areaText(title, own, style));
  }
  await writeOut(io.stdout, summary(found, style));
  return found;
}

async function reportJson(args: CheckArgs, checks: RunningChecks, io: CliIo): Promise<readonly Finding[]> {
  const areas = await Promise.all(
    checks.areas.map(async ({ id, findings }) => ({ id, findings: await findings })),
  );
  const findings = areas.flatMap((area) => area.findings);
  const facts = {
    schema: SCHEMA,
    target: args.target ?? null,
    isOk: !findings.some(({ level }) => level === 'failed'),
    findings: areas.flatMap((area) =>
      area.findings.map(({ id, level, what, seen, fix }) => ({
        ...{ area: area.id, id, level, what, seen, fix: fix ?? null },
      })),
    ),
  };
  await writeOut(io.stdout, `${JSON.stringify(facts)}\n`);
  return findings;
}

function styleOf({ stdout, env }: CliIo): ReportStyle {
  if (stdout.isTTY !== true) return { columns: undefined, hasColour: false };
  return { columns: stdout.columns ?? 80, hasColour: env['TERM'] !== 'dumb' && !env['NO_COLOR'] };
}
