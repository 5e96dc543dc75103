/**
 * Small changes to a YAML text that leave every other byte alone: a writer would keep comments, but not how the file's
 * owner spaced and quoted. The parser says where things stand; the text is changed there. Block style only: undefined
 * for what cannot be done this way, and callers check that the result means what they want.
 */
import type { Document, Node, Pair, ParsedNode, YAMLMap } from 'yaml';
import { isMap, isScalar } from 'yaml';

/** Two more columns, as most files have it. */
const STEP = '  ';

type Parsed = Document<Node> | Document.Parsed<ParsedNode>;
/** A value of a key: one line, or several lines each with a key. */
export type EditValue = string | ReadonlyMap<string, string>;

/** `section.key` becomes `value`, given as YAML text. */
export function setInSection(
  text: string,
  document: Parsed,
  section: string,
  key: string,
  value: EditValue,
): string | undefined {
  const pair = pairOf(document.contents, section);
  if (pair === undefined) {
    const gap = text === '' ? '' : text.endsWith('\n') ? '\n' : '\n\n';
    return `${text}${gap}${section}:\n${STEP}${entry(key, value, STEP)}`;
  }
  const map = pair.value;
  const isBlock = isMap(map) && map.flow !== true;
  if (!isBlock && map !== null && !(isScalar(map) && map.value === null)) return undefined;
  const indent = isBlock ? indentOf(text, map) : STEP;
  if (indent === undefined) return undefined;
  const old = pairOf(map, key);
  if (old === undefined) {
    const at = endOfLine(text, startOf(pair.key));
    const gap = text.charAt(at - 1) === '\n' ? '' : '\n';
    return `${text.slice(0, at)}${gap}${indent}${entry(key, value, indent)}${text.slice(at)}`;
  }
  const from = startOf(old.key);
  const to = contentEnd(text, old);
  const replacement = entry(key, value, indent).trimEnd();
  return `${text.slice(0, from)}${replacement}${text.slice(to)}`;
}

/** The key and its lines are gone. The path leads through maps. */
export function deleteKey(text: string, document: Parsed, path: readonly string[]): string | undefined {
  let map: unknown = document.contents;
  let pair: Pair<Node, Node | null> | undefined;
  for (const key of path) {
    if (isMap(map) && map.flow === true) return undefined;
    pair = pairOf(map, key);
    if (pair === undefined) return undefined;
    map = pair.value;
  }
  if (pair === undefined) return undefined;
  const from = text.lastIndexOf('\n', startOf(pair.key) - 1) + 1;
  return text.slice(0, from) + text.slice(endOfLine(text, contentEnd(text, pair)));
}

function entry(key: string, value: EditValue, indent: string): string {
  if (typeof value === 'string') return `${key}: ${value}\n`;
  const lines = [...value].map(([name, each]) => `${indent}${STEP}${name}: ${each}\n`);
  return `${key}:\n${lines.join('')}`;
}

function pairOf(map: unknown, key: string): Pair<Node, Node | null> | undefined {
  if (!isMap(map)) return undefined;
  const { items } = map as YAMLMap<Node, Node | null>;
  return items.find((pair) => isScalar(pair.key) && pair.key.value === key);
}

function indentOf(text: string, map: YAMLMap): string | undefined {
  const start = startOf((map as YAMLMap<Node, Node | null>).items[0]?.key);
  const indent = text.slice(text.lastIndexOf('\n', start - 1) + 1, start);
  return /^ +$/.test(indent) ? indent : undefined;
}

function startOf(node: Node | undefined): number {
  return node?.range?.[0] ?? 0;
}

/** Where key and value end, without the white space and comments after them. */
function contentEnd(text: string, { key, value }: Pair<Node, Node | null>): number {
  const end = value?.range?.[1] ?? key.range?.[1] ?? 0;
  return text.slice(0, end).trimEnd().length;
}

/** After the line break; the end of a text without one. */
function endOfLine(text: string, offset: number): number {
  const at = text.indexOf('\n', offset);
  return at < 0 ? text.length : at + 1;
}
