/** docs/emulator.md lists every setting with its default, and every route. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { REAL_AGENT_BEHAVIOUR } from '../../src/emulator/agent-link.ts';
import { DEFAULT_API_FAILURE, DEFAULT_OPEN_OUTCOME, defaultFaults } from '../../src/emulator/faults.ts';
import { DEFAULT_RULE, RULE_ACTIONS } from '../../src/emulator/message-rule.ts';
import { projectRoot } from '../support/cli.ts';

const text = readFileSync(join(projectRoot, 'docs/emulator.md'), 'utf8');

/** Rows of the table that follows a heading: first cell without backticks to second cell. */
function table(heading: string): Map<string, string> {
  const start = text.indexOf(`\n${heading}\n`);
  assert.ok(start >= 0, heading);
  const end = text.indexOf('\n#', start + heading.length + 1);
  const rows = new Map<string, string>();
  for (const line of text.slice(start, end < 0 ? undefined : end).split('\n')) {
    const cells = /^\| `([^`]+)` \| (.*?) \| (.*) \|$/.exec(line);
    if (cells?.[1] !== undefined && cells[2] !== undefined) rows.set(cells[1], cells[2]);
  }
  return rows;
}

function leaves(
  value: unknown,
  prefix: string,
  listed: Map<string, unknown> = new Map(),
): Map<string, unknown> {
  for (const [name, each] of Object.entries(value as object)) {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const isSection =
      typeof each === 'object' && each !== null && !Array.isArray(each) && path !== 'api.throttles';
    if (isSection) leaves(each, path, listed);
    else listed.set(path, each);
  }
  return listed;
}

test('every fault setting is listed with its default, and nothing else', () => {
  const expected = [...leaves(defaultFaults(), '')].map(([path, value]) => [path, JSON.stringify(value)]);
  assert.deepEqual([...table('## Faults')], expected);
});

test('every field of a message rule is listed, with its default where it is a value', () => {
  const rows = table('### Message rules');
  assert.deepEqual([...rows.keys()], ['action', ...Object.keys(DEFAULT_RULE)]);
  for (const [name, value] of Object.entries(DEFAULT_RULE)) {
    if (value !== undefined && value !== Number.MAX_SAFE_INTEGER)
      assert.equal(rows.get(name), JSON.stringify(value), name);
  }
  for (const action of RULE_ACTIONS) assert.ok(text.includes(`\`${action}\``), action);
});

test('the fields of open outcomes and API failures are listed', () => {
  assert.deepEqual([...table('### Outcomes of opens').keys()], Object.keys(DEFAULT_OPEN_OUTCOME));
  assert.deepEqual([...table('### API failures').keys()], Object.keys(DEFAULT_API_FAILURE));
});

test('every setting of an agent is listed with its default', () => {
  const rows = table('### Agents');
  assert.deepEqual([...rows.keys()], Object.keys(REAL_AGENT_BEHAVIOUR));
  for (const [name, value] of Object.entries(REAL_AGENT_BEHAVIOUR)) {
    if (value !== undefined) assert.equal(rows.get(name), JSON.stringify(value), name);
  }
});

test('every route of the control interface is listed', () => {
  const source = readFileSync(join(projectRoot, 'src/emulator/control-routes.ts'), 'utf8');
  const listed = [...text.matchAll(/^\| `((?:GET|PUT|POST|PATCH|DELETE) [^`]+)` \|/gm)].map(
    (match) => match[1] ?? '',
  );
  const routes = [...source.matchAll(/case '((?:GET|PUT|POST|PATCH|DELETE) [\w/:]+)'/g)].map(
    (match) => match[1] ?? '',
  );
  assert.ok(routes.length > 15);
  for (const route of routes) {
    const pattern = new RegExp(`^${route.replaceAll(/:id|:action/g, '[\\w<>-]+')}$`);
    assert.ok(
      listed.some((each) => pattern.test(each)),
      route,
    );
  }
  const actions = [...source.matchAll(/^ {4}case '([a-z-]+)':?/gm)].map((match) => match[1] ?? '');
  for (const action of actions) assert.ok(listed.includes(`POST sessions/<id>/${action}`), action);
});
