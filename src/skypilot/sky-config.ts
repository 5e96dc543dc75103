/**
 * SkyPilot's own config file: what it says about reaching nodes on AWS, and our line put into it. Everything else in the
 * file stays as it is, comments and order included.
 *
 * The keys are those of SkyPilot's `aws` section (docs: reference/config); values for one region are below
 * `region_configs.<region>` or, for ssh_proxy_command, in a map by region. SkyPilot refuses use_ssm: true together with
 * ssh_proxy_command, so one has to go for the other.
 */
import type { Document, ParsedNode } from 'yaml';
import { isMap, parseDocument, stringify } from 'yaml';
import { ProxyError } from '../errors.ts';
import type { EditValue } from './yaml-edit.ts';
import { deleteKey, setInSection } from './yaml-edit.ts';

/** What the file says for AWS as a whole, or for one region. */
export interface SkyAwsSettings {
  readonly useInternalIps: boolean | undefined;
  readonly useSsm: boolean | undefined;
  /** `vpc_names` and the older `vpc_name`. */
  readonly vpcNames: readonly string[];
  /** The profile that use_ssm was to use, in releases that know one. */
  readonly ssmProfile: string | undefined;
  /** One line for all regions, or one for each. */
  readonly proxyCommand: string | ReadonlyMap<string, string> | undefined;
}

export interface SkyConfig {
  readonly aws: SkyAwsSettings;
  /** Settings that hold for one region only. */
  readonly regions: ReadonlyMap<string, SkyAwsSettings>;
  /** Clusters are then launched by another machine, which has a config and a PATH of its own. */
  readonly hasRemoteApiServer: boolean;
}

export interface SkyLines {
  /** One line for all regions, or one for each. */
  readonly proxyCommand: string | ReadonlyMap<string, string>;
}

export interface MergedSkyConfig {
  readonly text: string;
  /** What has changed beside the line itself, for people. */
  readonly remarks: readonly string[];
}

const PROXY_KEY = 'ssh_proxy_command';

/** CONFIG_INVALID when it is no YAML. `path` is for the message. */
export function parseSkyConfig(text: string, path: string): SkyConfig {
  const document = parse(text, path);
  const root: unknown = document.toJS({ maxAliasCount: 100 });
  const aws = recordOf(recordOf(root)['aws']);
  const regions = Object.entries(recordOf(aws['region_configs'])).map(
    ([region, value]) => [region, settingsOf(recordOf(value))] as const,
  );
  return {
    aws: settingsOf(aws),
    regions: new Map(regions),
    hasRemoteApiServer: textOf(recordOf(recordOf(root)['api_server'])['endpoint']) !== undefined,
  };
}

/** The YAML to be put into an empty file. */
export function skyConfigText({ proxyCommand }: SkyLines): string {
  return mergeSkyConfig(undefined, { proxyCommand }, '').text;
}

/** The file with our line in it. The same text when it is there. CONFIG_INVALID when the file is no such YAML. */
export function mergeSkyConfig(
  text: string | undefined,
  { proxyCommand }: SkyLines,
  path: string,
): MergedSkyConfig {
  const old = text ?? '';
  const before = parseSkyConfig(old, path);
  const steps: Step[] = [];
  const remarks: string[] = [];
  if (!isSameCommand(before.aws.proxyCommand, proxyCommand)) {
    steps.push({ key: PROXY_KEY, value: proxyCommand });
    if (before.aws.proxyCommand !== undefined) remarks.push(`another ${PROXY_KEY} is replaced`);
  }
  // New keys go to the top of the section: this one, put there last, comes first.
  if (before.aws.useInternalIps !== true) steps.push({ key: 'use_internal_ips', value: true });
  for (const place of placesOfUseSsm(before)) {
    steps.push({ gone: [...place, 'use_ssm'] });
    remarks.push(`${place.join('.')}.use_ssm is gone: SkyPilot refuses it together with ${PROXY_KEY}`);
  }
  if (before.hasRemoteApiServer) {
    remarks.push('an API server is configured: the same has to be in its config, and ssm-proxy on its PATH');
  }
  const merged = steps.reduce((current, step) => perform(current, step, path), old);
  return { text: merged, remarks };
}

/** One change: a key of the aws section, or a key that goes. */
type Step =
  | { readonly key: string; readonly value: true | string | ReadonlyMap<string, string> }
  | { readonly gone: readonly string[] };

/** In the text where that is possible, else by writing the document anew: comments stay either way. */
function perform(text: string, step: Step, path: string): string {
  const document = parse(text, path);
  const edited =
    'gone' in step
      ? deleteKey(text, document, step.gone)
      : setInSection(text, document, 'aws', step.key, yamlValue(step.value));
  if (edited !== undefined && isDone(edited, step)) return edited;
  if ('gone' in step) {
    document.deleteIn(step.gone);
  } else {
    if (!isMap(document.getIn(['aws']))) document.deleteIn(['aws']);
    const { key, value } = step;
    document.setIn(
      ['aws', key],
      document.createNode(typeof value === 'object' ? Object.fromEntries(value) : value),
    );
  }
  return document.toString({ lineWidth: 0 });
}

/** What the text now means is what it should. */
function isDone(text: string, step: Step): boolean {
  const document = parseDocument(text, { prettyErrors: false });
  if (document.errors.length > 0) return false;
  if ('gone' in step) return !document.hasIn(step.gone);
  const { key, value } = step;
  const { aws } = parseSkyConfig(text, '');
  if (value === true) return key === 'use_internal_ips' && aws.useInternalIps === true;
  return isSameCommand(aws.proxyCommand, value);
}

function yamlValue(value: true | string | ReadonlyMap<string, string>): EditValue {
  if (value === true) return 'true';
  if (typeof value === 'string') return scalarText(value);
  return new Map([...value].map(([region, line]) => [region, scalarText(line)]));
}

/** In quotes only where YAML needs them. */
function scalarText(text: string): string {
  return stringify(text, { lineWidth: 0 }).trimEnd();
}

function placesOfUseSsm({ aws, regions }: SkyConfig): readonly (readonly string[])[] {
  const ofRegions = [...regions].filter(([, settings]) => settings.useSsm === true);
  return [
    ...(aws.useSsm === true ? [['aws']] : []),
    ...ofRegions.map(([region]) => ['aws', 'region_configs', region]),
  ];
}

function parse(text: string, path: string): Document.Parsed<ParsedNode> {
  const document = parseDocument(text, { prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) throw notSky(path, error.message.split('\n')[0] ?? '');
  if (document.contents !== null && !isMap(document.contents)) throw notSky(path, 'it is not a map');
  const aws: unknown = document.getIn(['aws']);
  if (aws !== undefined && aws !== null && !isMap(aws)) throw notSky(path, 'its aws section is not a map');
  return document;
}

function settingsOf(aws: Readonly<Record<string, unknown>>): SkyAwsSettings {
  return {
    useInternalIps: booleanOf(aws['use_internal_ips']),
    useSsm: booleanOf(aws['use_ssm']),
    vpcNames: textsOf(aws['vpc_names'] ?? aws['vpc_name']),
    ssmProfile: textOf(aws['ssm_profile']),
    proxyCommand: commandOf(aws[PROXY_KEY]),
  };
}

function commandOf(value: unknown): SkyAwsSettings['proxyCommand'] {
  if (typeof value === 'string') return value;
  const entries = Object.entries(recordOf(value)).flatMap(([region, line]) =>
    typeof line === 'string' ? [[region, line] as const] : [],
  );
  return entries.length === 0 ? undefined : new Map(entries);
}

function isSameCommand(one: SkyAwsSettings['proxyCommand'], other: SkyAwsSettings['proxyCommand']): boolean {
  if (typeof one !== 'object' || typeof other !== 'object') return one === other;
  return one.size === other.size && [...one].every(([region, line]) => other.get(region) === line);
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function textsOf(value: unknown): readonly string[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.flatMap((each) => (typeof each === 'string' && each !== '' ? [each] : []));
}

function booleanOf(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined;
}

function notSky(path: string, why: string): ProxyError {
  return new ProxyError('CONFIG_INVALID', `${path} cannot be understood: ${why}`, {
    hint: 'mend it by hand first; sky check shows what SkyPilot makes of it',
  });
}
