/** From instances to words that a shell offers as targets. Pure. */

/** What is kept of an instance between two key presses. */
export interface KnownInstance {
  readonly instanceId: string;
  readonly name: string | undefined;
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
 * it; then Name tags, addresses and IDs. `user@` before a target is kept. A name that several instances have is no
 * target; one that begins with a dash, has an end of line or the like is none that could be typed.
 */
export function targetCandidates(instances: readonly KnownInstance[], typed: string): readonly Candidate[] {
  const owners = new Map<string, number>();
  for (const { name } of instances) if (name !== undefined) owners.set(name, (owners.get(name) ?? 0) + 1);
  const isUsable = (name: string | undefined): name is string =>
    name !== undefined &&
    owners.get(name) === 1 &&
    /^[^\s-]/u.test(name) &&
    !/[\p{C}\p{Zl}\p{Zp}]/u.test(name);

  const [, user = ''] = /^([\w.-]+@)/.exec(typed) ?? [];
  const found = new Map<string, Candidate>();
  const add = (word: string | undefined, about: readonly (string | undefined)[]): void => {
    if (word === undefined || word === '') return;
    const whole = [word, `${user}${word}`].find((each) => each.startsWith(typed));
    if (whole === undefined || found.size >= MAX_CANDIDATES) return;
    const meaning = about.filter((text) => text !== undefined && text !== '').join(' ');
    found.set(whole, { word: whole, meaning });
  };
  for (const { instanceId, name, privateIp, state } of instances) {
    const tag = isUsable(name) ? name : undefined;
    const label = tag ?? printable(name);
    const isBare = typed === user;
    add(tag, [privateIp, instanceId, state]);
    if (!isBare || tag === undefined) add(privateIp, [label, instanceId, state]);
    if (!isBare || (tag === undefined && privateIp === undefined)) add(instanceId, [label, privateIp, state]);
  }
  return [...found.values()].sort((a, b) => (a.word < b.word ? -1 : 1));
}

/** As it may stand in a description on one line. */
function printable(text: string | undefined): string | undefined {
  return text?.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
}
