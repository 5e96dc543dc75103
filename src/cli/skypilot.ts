/** `ssm-proxy skypilot`: the line in SkyPilot's config, whether it will work, and what to change for clusters that have another one. */
import { ALL_REGIONS } from '../aws/regions.ts';
import { ProxyError } from '../errors.ts';
import { BACKUP_SUFFIX, editFile } from '../files/edit-file.ts';
import type { Adoption } from '../skypilot/adoption.ts';
import { adoptClusterFile, adoptHosts } from '../skypilot/adoption.ts';
import type { SkyLines } from '../skypilot/sky-config.ts';
import { mergeSkyConfig, parseSkyConfig, skyConfigText } from '../skypilot/sky-config.ts';
import { generatedClusterFiles, generatedHosts, readSkyFile, skyConfigPath } from '../skypilot/sky-files.ts';
import { readCheckArgs, runChecks } from './check.ts';
import type { CheckArgs } from './check.ts';
import { connectLine } from './connect-line.ts';
import type { CliIo } from './io.ts';
import type { Environment } from './option-values.ts';
import { OptionReader } from './option-values.ts';
import { writeOut } from './output.ts';
import { printable } from './report.ts';
import type { OptionTexts } from './tokens.ts';

export type SkypilotArgs =
  | { readonly action: 'config'; readonly writes: boolean; readonly lines: SkyLines }
  | { readonly action: 'check'; readonly check: CheckArgs }
  | { readonly action: 'adopt'; readonly adoptions: readonly Adoption[]; readonly json: boolean };

/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;
/** Lines of the AWS CLI are long. */
const MAX_SHOWN = 160;

/** Throws USAGE. */
export function readSkypilotArgs(
  words: readonly string[],
  options: OptionReader,
  texts: OptionTexts,
  env: Environment,
): SkypilotArgs {
  const [action, extra] = words;
  const hint = 'ssm-proxy skypilot config, ssm-proxy skypilot check, or ssm-proxy skypilot adopt';
  if (extra !== undefined) {
    throw new ProxyError('USAGE', `skypilot takes no argument ${JSON.stringify(extra)}`, { hint });
  }
  const isAbsolute = options.switch('absolute');
  if (action === 'config') {
    const lines = skyLines(withSkyProfile(texts, env), env, isAbsolute);
    return { action, writes: options.switch('write'), lines };
  }
  if (action === 'check') return { action, check: readCheckArgs(undefined, undefined, options) };
  if (action === 'adopt') {
    const adoptions = findAdoptions(env, texts, isAbsolute);
    return { action, adoptions, json: options.switch('json') };
  }
  const what =
    action === undefined ? 'it is not said what to do' : `skypilot has no action ${JSON.stringify(action)}`;
  throw new ProxyError('USAGE', what, { hint });
}

/** The profile that use_ssm was to use goes into the line, unless another one is given. */
function withSkyProfile(texts: OptionTexts, env: Environment): OptionTexts {
  const path = skyConfigPath(env);
  const text = readSkyFile(path);
  if (texts.has('profile') || text === undefined) return texts;
  const { ssmProfile } = parseSkyConfig(text, path).aws;
  return ssmProfile === undefined ? texts : new Map([...texts, ['profile', [ssmProfile]]]);
}

/** Several regions, one line for each. Like the other options of the line, only those that were given. */
function skyLines(texts: OptionTexts, env: Environment, isAbsolute: boolean): SkyLines {
  const regions = new OptionReader('skypilot', texts, {}).list('region') ?? [];
  const line = (region: readonly string[]): string =>
    connectLine('skypilot', new Map([...texts, ['region', region]]), env, isAbsolute);
  if (regions.length < 2 || regions.includes(ALL_REGIONS)) return { proxyCommand: line(regions) };
  return { proxyCommand: new Map(regions.map((region) => [region, line([region])])) };
}

function findAdoptions(env: Environment, texts: OptionTexts, isAbsolute: boolean): readonly Adoption[] {
  const newLine = (region: string | undefined, profile: string | undefined): string => {
    const named = new Map(texts);
    if (region !== undefined && !named.has('region')) named.set('region', [region]);
    if (profile !== undefined && !named.has('profile')) named.set('profile', [profile]);
    return connectLine('skypilot', named, env, isAbsolute);
  };
  const clusterFiles = generatedClusterFiles(env);
  return [
    ...adoptHosts(generatedHosts(env), newLine),
    ...clusterFiles.flatMap((file) => adoptClusterFile(file, readSkyFile(file) ?? '', newLine)),
  ];
}

/** Exit status. CONFIG_INVALID when the config cannot be read or changed. */
export async function runSkypilot(args: SkypilotArgs, io: CliIo): Promise<number> {
  const path = skyConfigPath(io.env);
  switch (args.action) {
    case 'config':
      await writeOut(io.stdout, args.writes ? await write(path, args.lines) : preview(path, args.lines));
      return 0;
    case 'check': {
      const { startSkyChecks } = await import('../check/run-sky-checks.ts');
      return runChecks(args.check, startSkyChecks, io);
    }
    case 'adopt':
      await writeOut(io.stdout, args.json ? adoptionJson(args.adoptions) : adoptionText(args.adoptions));
      return 0;
  }
}

function preview(path: string, lines: SkyLines): string {
  return `# For ${printable(path)}; "ssm-proxy skypilot config --write" puts it there.\n${skyConfigText(lines)}`;
}

async function write(path: string, lines: SkyLines): Promise<string> {
  let remarks: readonly string[] = [];
  const { hasChanged, backup } = await editFile(path, {
    edit(text) {
      const merged = mergeSkyConfig(text, lines, path);
      ({ remarks } = merged);
      return merged.text;
    },
    backupSuffix: BACKUP_SUFFIX,
  });
  return [
    `${path} ${hasChanged ? 'has the line now' : 'is up to date'}.`,
    ...remarks.map((remark) => `Note: ${remark}.`),
    ...(backup === undefined ? [] : [`What was in it is in ${backup}.`]),
  ]
    .map((line) => `${printable(line)}\n`)
    .join('');
}

function adoptionText(adoptions: readonly Adoption[]): string {
  if (adoptions.length === 0) return 'No cluster has a proxy line of the AWS CLI.\n';
  const blocks = adoptions.map(({ file, host, oldLine, newLine }) => {
    const key = host === undefined ? 'ssh_proxy_command:' : 'ProxyCommand';
    const where = host === undefined ? file : `${file}, Host ${host}`;
    return [where, `- ${key} ${shortened(oldLine)}`, `+ ${key} ${newLine}`, ''];
  });
  const advice = [
    'Nothing was changed. Both files of a cluster need the new line: the one below generated/ssh is for ssh and VS Code,',
    'the .yml is what SkyPilot restores on the next sky start or sky launch.',
  ];
  return [...blocks.flat(), ...advice].map((line) => `${printable(line)}\n`).join('');
}

function shortened(line: string): string {
  return line.length <= MAX_SHOWN ? line : `${line.slice(0, MAX_SHOWN)}...`;
}

function adoptionJson(adoptions: readonly Adoption[]): string {
  const clusters = adoptions.map((adoption) => ({ ...adoption, host: adoption.host ?? null }));
  return `${JSON.stringify({ schema: SCHEMA, clusters })}\n`;
}
