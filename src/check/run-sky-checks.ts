/**
 * `skypilot check`: what `sky check aws -v` does not look at. SkyPilot's own settings, then what `check` finds without a
 * target, with the profile and the regions that the proxy line names, then the account.
 */
import { createContexts } from '../contexts.ts';
import { asProxyError } from '../errors.ts';
import { whyNot } from './credentials-state.ts';
import type { Finding } from './finding.ts';
import { failure, skipped } from './finding.ts';
import type { CheckArea, CheckParts, CheckRequest, RunningChecks } from './run-checks.ts';
import { startChecks } from './run-checks.ts';
import { checkSkyAccount } from './sky-account.ts';
import { optionInLine } from './sky-line.ts';
import { checkClusters, checkSettings, linesOf, readSkyConfig } from './sky-settings.ts';

/** What the lines name goes before what is given, as it will when they run. */
export function startSkyChecks(given: CheckRequest, parts: CheckParts): RunningChecks {
  const { env, signal } = parts;
  const file = readSkyConfig(env);
  const lines = file.config === undefined ? [] : linesOf(file.config.aws);
  const inLines = (name: string): readonly string[] => [
    ...new Set(lines.flatMap(([, line]) => optionInLine(line, name) ?? [])),
  ];
  const ofLines = lines.flatMap(([region, line]) => optionInLine(line, 'region') ?? region ?? []);
  const request: CheckRequest = {
    ...given,
    regions: ofLines.length > 0 ? ofLines.flatMap((text) => text.split(',')) : given.regions,
    profile: inLines('profile')[0] ?? given.profile,
    role: inLines('role')[0] ?? given.role,
    account: inLines('account')[0] ?? given.account,
  };
  const checks = startChecks(request, parts);
  const contexts = createContexts(request, parts);
  contexts.catch(() => {});
  const vpcNames = file.config === undefined ? [] : vpcNamesOf(file.config);
  const account = contexts.then(
    (all) => checkSkyAccount(all, vpcNames, signal),
    (thrown: unknown) => [skipped('sky-account', 'Account', whyNot(thrown))],
  );
  const settings = Promise.resolve([...checkSettings(file, env), ...checkClusters(env)]);
  return {
    areas: [
      area('sky-config', 'SkyPilot', settings, signal),
      ...checks.areas,
      area('sky-account', 'Account', account, signal),
    ],
    context: checks.context,
    async close() {
      await checks.close();
      for (const context of await contexts.catch(() => [])) context.close();
    },
  };
}

function vpcNamesOf({
  aws,
  regions,
}: NonNullable<ReturnType<typeof readSkyConfig>['config']>): readonly string[] {
  return [...new Set([...aws.vpcNames, ...[...regions.values()].flatMap(({ vpcNames }) => vpcNames)])];
}

function area(
  id: string,
  title: string,
  findings: Promise<readonly Finding[]>,
  signal: AbortSignal,
): CheckArea {
  return {
    ...{ id, title },
    findings: findings.catch((thrown: unknown) => [
      signal.aborted
        ? skipped(id, title, `not finished in time: ${asProxyError(thrown).message}`)
        : failure(id, title, thrown),
    ]),
  };
}
