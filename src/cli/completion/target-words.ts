/** From instances to words that a shell offers as targets. Pure. */
import { parseTarget } from '../../aws/target.ts';

/** What is kept of an instance between two key presses. */
export interface KnownInstance {
  readonly instanceId: string;
  /** The Name tag. */
  readonly name: string | undefined;
  /** In its cluster: `train` for a head, `train-worker2`. */
  readonly nodeName: string | undefined;
  readonly privateIp: string | undefined;
  readonly state: string;
}

/** A word and what it is. */
export interface Candidate {
  readonly word: string;
  readonly meaning: string;
}

/** More are no help to anybody. */
const MAX_CANDIDATES = 1_000;

/**
 * Candidates that begin with `typed`, sorted. Before the first letter: one for each instance, the shortest way to name
 * it; then names in clusters, Name tags, addresses and IDs. `user@` before a target is kept. A name that several instances
 * have is no target, and neither is one that means something else or could not be typed.
 */
export function targetCandidates(instances: readonly KnownInstance[], typed: string): readonly Candidate[] {
  const owners = new Map<string, number>();
  for (const { name, nodeName } of instances) {
    for (const each of new Set([name, nodeName])) {
      if (each !== undefined) owners.set(each, (owners.get(each) ?? 0) + 1);
    }
  }
  const isUsable = (name: string | undefined): name is string =>
    name !== undefined && owners.get(name) === 1 && isName(name);

  const [, user = ''] = /^([\w.-]+@)/.exec(typed) ?? [];
  const found = new Map<string, Candidate>();
  const add = (word: string | undefined, about: readonly (string | undefined)[]): void => {
    if (word === undefined || word === '') return;
    const whole = [word, `${user}${word}`].find((each) => each.startsWith(typed));
    if (whole === undefined || found.size >= MAX_CANDIDATES) return;
    const meaning = about.filter((text) => text !== undefined && text !== '').join(' ');
    found.set(whole, { word: whole, meaning });
  };
  const isBare = typed === user;
  for (const { instanceId, name, nodeName, privateIp, state } of instances) {
    const [best, second] = [...new Set([nodeName, name])].filter(isUsable);
    const label = best ?? printable(name);
    add(best, [privateIp, instanceId, state]);
    if (!isBare) add(second, [label, privateIp, instanceId, state]);
    if (!isBare || best === undefined) add(privateIp, [label, instanceId, state]);
    if (!isBare || (best === undefined && privateIp === undefined))
      add(instanceId, [label, privateIp, state]);
  }
  return [...found.values()].sort((a, b) => (a.word < b.word ? -1 : 1));
}

/** As it may stand in a description on one line. */
function printable(text: string | undefined): string | undefined {
  return text?.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
}

function isName(text: string): boolean {
  try {
    return parseTarget(text).kind === 'name' && !/[\p{C}\p{Zl}\p{Zp}]/u.test(text);
  } catch {
    return false;
  }
}
