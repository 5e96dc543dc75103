/**
 * What policy documents say of one action on one resource, where the policy simulator may not be asked: as IAM decides,
 * as far as that can be told from the documents alone. A condition that would have to hold makes the answer unknown, but
 * for those on keys whose values are known. Pure.
 */
import type { Need } from './needs.ts';

export type Verdict = 'allowed' | 'missing' | 'unknown';

interface Parts {
  readonly isAllow: boolean;
  readonly actions: readonly string[];
  readonly isNotAction: boolean;
  readonly resources: readonly string[];
  readonly isNotResource: boolean;
  readonly hasCondition: boolean;
}

/** `documents`: parsed JSON, of whatever form. `variables`: by name without `${}`. */
export function evaluate(
  documents: readonly unknown[],
  { action, resource }: Pick<Need, 'action' | 'resource'>,
  variables: Readonly<Record<string, string>>,
): Verdict {
  const statements = documents.flatMap((document) => listOf(fieldsOf(document)['Statement']).map(partsOf));
  const applies = statements.filter(
    ({ actions, isNotAction, resources, isNotResource }) =>
      actions.some((pattern) => matches(pattern.toLowerCase(), action.toLowerCase())) !== isNotAction &&
      resources.some((pattern) => matches(filled(pattern, variables), resource)) !== isNotResource,
  );
  const denials = applies.filter(({ isAllow }) => !isAllow);
  const grants = applies.filter(({ isAllow }) => isAllow);
  if (denials.some(({ hasCondition }) => !hasCondition) || grants.length === 0) return 'missing';
  const isSure = denials.length === 0 && grants.some(({ hasCondition }) => !hasCondition);
  return isSure ? 'allowed' : 'unknown';
}

function partsOf(statement: unknown): Parts {
  const fields = fieldsOf(statement);
  const { Action, NotAction, Resource, NotResource, Condition } = fields;
  return {
    isAllow: fields['Effect'] === 'Allow',
    actions: textsOf(Action ?? NotAction),
    isNotAction: Action === undefined,
    resources: textsOf(Resource ?? NotResource),
    isNotResource: Resource === undefined,
    hasCondition: Object.keys(fieldsOf(Condition)).length > 0,
  };
}

function filled(pattern: string, variables: Readonly<Record<string, string>>): string {
  return pattern.replace(/\$\{([\w:]+)\}/g, (whole, name: string) => variables[name] ?? whole);
}

/** `*` stands for anything, `?` for one character, as in IAM. */
function matches(pattern: string, text: string): boolean {
  const source = pattern.replace(/[.+^${}()|[\]\\*?]/g, (character) => {
    if (character === '*') return '.*';
    return character === '?' ? '.' : `\\${character}`;
  });
  return new RegExp(`^${source}$`, 's').test(text);
}

function textsOf(value: unknown): readonly string[] {
  return listOf(value).filter((each): each is string => typeof each === 'string');
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly unknown[]) : [value];
}

function fieldsOf(value: unknown): Readonly<Partial<Record<string, unknown>>> {
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isMap ? (value as Readonly<Record<string, unknown>>) : {};
}
