/** What the pages in docs/ promise: every code has its section, every link leads somewhere, every command line is one. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { parse as parseYaml } from 'yaml';
import { parseCommandLine } from '../../src/cli/parse-command-line.ts';
import { ERROR_TABLE } from '../../src/errors.ts';
import { projectRoot } from '../support/cli.ts';
import { shellLines } from '../support/doc-lines.ts';

const pages = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(projectRoot, 'docs')).map((name) => join('docs', name)),
].filter((name) => name.endsWith('.md'));
const read = (page: string): string => readFileSync(join(projectRoot, page), 'utf8');

/** As GitHub makes them from headings. */
function anchors(page: string): ReadonlySet<string> {
  const headings = [...read(page).matchAll(/^#{1,6} (.*)$/gm)].map(([, text = '']) => text);
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('troubleshooting has a section for every error code, and for no other', () => {
  const sections = [...read('docs/troubleshooting.md').matchAll(/^### ([A-Z_]+)$/gm)].map(([, code]) => code);
  assert.deepEqual([...sections].sort(), Object.keys(ERROR_TABLE).sort());
});

test('links between pages lead to pages and headings that exist', () => {
  let count = 0;
  for (const page of pages) {
    for (const [, path = '', anchor] of read(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      const target = path === '' ? page : relative(projectRoot, join(projectRoot, dirname(page), path));
      assert.ok(existsSync(join(projectRoot, target)), `${page}: ${path}`);
      if (anchor !== undefined) assert.ok(anchors(target).has(anchor), `${page}: ${path}#${anchor}`);
      count += 1;
    }
  }
  assert.ok(count > 10);
});

test('every ssm-proxy line in a shell block is one that the program understands', () => {
  let count = 0;
  for (const page of pages) {
    for (const { words } of shellLines(read(page))) {
      if (words[0] !== 'ssm-proxy') continue;
      assert.doesNotThrow(() => parseCommandLine(words.slice(1)), `${page}: ${words.join(' ')}`);
      count += 1;
    }
  }
  assert.ok(count > 10);
});

test('JSON and YAML blocks can be read by those they are for', () => {
  let count = 0;
  for (const page of pages) {
    for (const [, indent = '', language, text = ''] of read(page).matchAll(
      /^( *)```(json|yaml)\n([^]*?)^ *```/gm,
    )) {
      const block = text.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
      assert.doesNotThrow(
        () => (language === 'json' ? JSON.parse(block) : parseYaml(block)) as unknown,
        `${page}: ${block}`,
      );
      count += 1;
    }
  }
  assert.ok(count > 3);
});
