/**
 * Clusters that were launched with the AWS CLI in their proxy line keep that line for as long as they live: SkyPilot
 * restores it on every launch. This finds such lines and what would stand in their place. Pure; nothing is changed.
 */
import { parseDocument } from 'yaml';
import type { GeneratedHost } from './sky-files.ts';

export interface Adoption {
  readonly file: string;
  /** Host in an ssh config file; undefined for a cluster file. */
  readonly host: string | undefined;
  readonly oldLine: string;
  readonly newLine: string;
}

/** The line that use_ssm builds, or one like it. */
export function isAwsCliLine(line: string): boolean {
  return /\baws\b[^|;&]*\bssm\s+start-session\b/.test(line);
}

/** Ours in any spelling: the plain name, a path, or node and a path. */
export function isOwnLine(line: string): boolean {
  return /(^|[\s/'"])(ssm-proxy|cli\.cjs)['"]?\s(.*\s)?connect\s/.test(`${line} `);
}

/** `newLine` gets the region and the profile that the old line names. */
export function adoptHosts(
  hosts: readonly GeneratedHost[],
  newLine: (region: string | undefined, profile: string | undefined) => string,
): readonly Adoption[] {
  return hosts.flatMap(({ name, proxyCommand, file }) =>
    proxyCommand === undefined || !isAwsCliLine(proxyCommand)
      ? []
      : [adoption(file, name, proxyCommand, newLine)],
  );
}

/** `text`: a cluster file. One that cannot be read has no line. */
export function adoptClusterFile(
  file: string,
  text: string,
  newLine: (region: string | undefined, profile: string | undefined) => string,
): readonly Adoption[] {
  const line: unknown = parseDocument(text, { prettyErrors: false }).getIn(['auth', 'ssh_proxy_command']);
  return typeof line === 'string' && isAwsCliLine(line) ? [adoption(file, undefined, line, newLine)] : [];
}

function adoption(
  file: string,
  host: string | undefined,
  oldLine: string,
  newLine: (region: string | undefined, profile: string | undefined) => string,
): Adoption {
  return { file, host, oldLine, newLine: newLine(optionOf(oldLine, 'region'), optionOf(oldLine, 'profile')) };
}

/** The last one: the inner command of the line comes first, and its own are the same. */
function optionOf(line: string, name: string): string | undefined {
  const found = [...line.matchAll(new RegExp(`--${name}[= ]+["']?([\\w.@/+-]+)`, 'g'))];
  return found.at(-1)?.[1];
}
