/** `ssm-proxy config show`: each setting for a target, and who decided it. For people or as JSON. */
import { existsSync } from 'node:fs';
import { readConfigFiles } from '../aws/config-files.ts';
import { selectProfile } from '../aws/profile.ts';
import { chooseRegion } from '../aws/region.ts';
import { parseTarget, regionOf } from '../aws/target.ts';
import { ProxyError } from '../errors.ts';
import { readConnectArgs } from './connect-args.ts';
import { parseDestination } from './destination.ts';
import type { CliIo } from './io.ts';
import type { ConfiguredValues, Environment } from './option-values.ts';
import { OptionReader } from './option-values.ts';
import type { OptionName } from './options.ts';
import { optionsOf } from './options.ts';
import { writeOut } from './output.ts';
import { printable } from './report.ts';
import { configPath, configuredValues } from './settings/config-path.ts';
import { columns } from './text-table.ts';

export interface ConfigArgs {
  /** Undefined: what holds for all. */
  readonly target: string | undefined;
  readonly json: boolean;
}

type SourceKind = 'environment' | 'file' | 'aws' | 'target' | 'default';

interface Setting {
  readonly name: string;
  /** Null: nobody set it, and it has no default. */
  readonly value: string | null;
  readonly kind: SourceKind;
  /** The variable, the file and line, or the place in AWS's own configuration. */
  readonly source: string | null;
}

/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;

/** Throws USAGE. */
export function readConfigArgs(words: readonly string[], options: OptionReader): ConfigArgs {
  const [action = 'show', target, extra] = words;
  if (action !== 'show' || extra !== undefined) {
    const word = extra ?? action;
    throw new ProxyError('USAGE', `config takes no argument ${JSON.stringify(word)}`, {
      hint: 'ssm-proxy config show [target]',
    });
  }
  return {
    target: target === undefined ? undefined : parseDestination(target, undefined).target,
    json: options.switch('json'),
  };
}

/** Exit status. CONFIG_INVALID and USAGE for values that cannot be used, PROFILE_NOT_FOUND. */
export async function runConfig({ target, json }: ConfigArgs, { env, stdout }: CliIo): Promise<number> {
  const configured = await configuredValues(env, target);
  // As connect would read them: whatever it refuses is refused here.
  readConnectArgs({ target: target ?? 'target', port: undefined, texts: new Map() }, env, configured);
  const settings = await collect(target, env, configured);
  const path = configPath(env);
  const file = path !== undefined && existsSync(path) ? path : undefined;
  await writeOut(stdout, json ? asJson(target, file, settings) : asText(path, file, settings));
  return 0;
}

async function collect(
  target: string | undefined,
  env: Environment,
  configured: ConfiguredValues | undefined,
): Promise<readonly Setting[]> {
  const reader = new OptionReader('connect', new Map(), env, configured);
  const settings: Setting[] = [];
  for (const { name, env: variable, defaultText, value } of optionsOf('connect')) {
    if (variable === undefined) continue;
    const origin = reader.origin(name as OptionName);
    if (origin.kind === 'environment' || origin.kind === 'file') {
      const text = origin.kind === 'file' ? configured?.get(name)?.texts.join(',') : env[variable];
      settings.push({ name, value: text ?? null, kind: origin.kind, source: origin.source });
    } else if (name === 'profile') {
      settings.push(awsProfile(env));
    } else if (name === 'region') {
      settings.push(await awsRegion(target, env, reader.text('profile')));
    } else if (name === 'endpoint-url' && env['AWS_ENDPOINT_URL']) {
      settings.push({ name, value: env['AWS_ENDPOINT_URL'], kind: 'aws', source: 'AWS_ENDPOINT_URL' });
    } else {
      const text = value === undefined ? 'off' : (defaultText ?? null);
      settings.push({ name, value: text, kind: 'default', source: null });
    }
  }
  return settings;
}

function awsProfile(env: Environment): Setting {
  // Keys go before AWS_PROFILE, as in the AWS CLI.
  if (env['AWS_ACCESS_KEY_ID'])
    return { name: 'profile', value: null, kind: 'aws', source: 'AWS_ACCESS_KEY_ID' };
  const { name, namedBy, settings } = selectProfile(undefined, env, readConfigFiles(env));
  const isThere = namedBy !== undefined || Object.keys(settings).length > 0;
  return {
    name: 'profile',
    value: isThere ? name : null,
    kind: namedBy === undefined ? 'default' : 'aws',
    source: namedBy ?? null,
  };
}

/** The region of the AWS configuration. An EC2 instance's own is left to the commands that need one: it takes calls. */
async function awsRegion(
  target: string | undefined,
  env: Environment,
  profileName: string | undefined,
): Promise<Setting> {
  const files = readConfigFiles(env);
  const profile = selectProfile(profileName, env, files);
  const targetRegion = target === undefined ? undefined : regionOf(parseTarget(target));
  try {
    const { region, source } = await chooseRegion({
      flag: undefined,
      target: targetRegion,
      env: { ...env, AWS_EC2_METADATA_DISABLED: 'true' },
      profile,
      files,
    });
    const place = source === 'profile' ? `profile ${profile.name}` : source;
    const kind = source === 'target' ? 'target' : 'aws';
    return { name: 'region', value: region, kind, source: kind === 'target' ? null : place };
  } catch (error) {
    if (!(error instanceof ProxyError) || error.code !== 'REGION_MISSING') throw error;
    return { name: 'region', value: null, kind: 'default', source: null };
  }
}

function asJson(target: string | undefined, file: string | undefined, settings: readonly Setting[]): string {
  const facts = { schema: SCHEMA, target: target ?? null, file: file ?? null, settings };
  return `${JSON.stringify(facts)}\n`;
}

function asText(path: string | undefined, file: string | undefined, settings: readonly Setting[]): string {
  const rows = settings.map(({ name, value, kind, source }) => [
    name,
    value ?? '-',
    source ?? SOURCE_WORDS[kind],
  ]);
  const heading = `File  ${file ?? (path === undefined ? 'none: there is no HOME' : `${path} (not there)`)}`;
  return `${printable(heading)}\n\n${columns([['SETTING', 'VALUE', 'FROM'], ...rows])}`;
}

const SOURCE_WORDS: Readonly<Record<SourceKind, string>> = {
  environment: 'environment',
  file: 'file',
  aws: 'AWS configuration',
  target: "the target's name",
  default: 'default',
};
