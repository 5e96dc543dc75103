/** The workflow files: they cannot be run here, but what they name is there, and what they may do is little. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { packageFacts, projectRoot } from '../support/cli.ts';

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}
interface Job {
  readonly needs?: string | readonly string[];
  readonly 'timeout-minutes'?: number;
  readonly steps: readonly { readonly uses?: string; readonly run?: string }[];
}

const folder = join(projectRoot, '.github', 'workflows');
const files = readdirSync(folder);

for (const file of files) {
  const { permissions, jobs } = parse(readFileSync(join(folder, file), 'utf8')) as Workflow;
  const steps = Object.values(jobs).flatMap((job) => job.steps);

  test(`${file} may only read, apart from what a job asks for`, () => {
    assert.deepEqual(permissions, { contents: 'read' });
  });

  test(`${file}: every job has an end, and waits only for jobs that there are`, () => {
    for (const [name, { needs = [], 'timeout-minutes': minutes }] of Object.entries(jobs)) {
      assert.ok(minutes !== undefined && minutes <= 60, name);
      for (const other of [needs].flat()) assert.ok(other in jobs, other);
    }
  });

  test(`${file} runs npm scripts and files of this project that exist`, () => {
    const commands = steps.map(({ run = '' }) => run).join('\n');
    for (const [, script = ''] of commands.matchAll(/npm run ([\w:-]+)/g))
      assert.ok(script in packageFacts().scripts, script);
    for (const [, path = ''] of commands.matchAll(/node (scripts\/\S+)/g))
      assert.ok(existsSync(join(projectRoot, path)), path);
    assert.match(commands, /npm test/);
  });

  test(`${file} takes actions of GitHub's own only, at a stated version`, () => {
    for (const { uses } of steps) if (uses !== undefined) assert.match(uses, /^actions\/[a-z-]+@v\d+$/);
  });
}

test('the oldest Node that the package promises is among those that are checked', () => {
  const { engines } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
    engines: { node: string };
  };
  const [, oldest] = /^>=(\d+)/.exec(engines.node) ?? [];
  assert.match(readFileSync(join(folder, 'ci.yml'), 'utf8'), new RegExp(`node: \\['${oldest}'`));
});
