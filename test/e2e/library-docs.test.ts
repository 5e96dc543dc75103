/** The examples of docs/library.md, run as programs that import the package; and a name for every export. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { projectRoot } from '../support/cli.ts';
import { startCluster } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';

const page = readFileSync(join(projectRoot, 'docs', 'library.md'), 'utf8');
const examples = [...page.matchAll(/^## (\S+)\n[^]*?```js\n([^]*?)```\n\n```text\n([^]*?)```/gm)];

let cluster: Cluster;

before(async () => {
  cluster = await startCluster({ nodes: 1, withSshd: false });
  mkdirSync(join(cluster.directory, 'node_modules'));
  symlinkSync(projectRoot, join(cluster.directory, 'node_modules', 'ssm-proxy'));
});
after(() => cluster.close());

for (const [, name = '', code = '', output = ''] of examples) {
  test(`the example of ${name} says what the page says, and nothing stays behind`, async () => {
    const file = join(cluster.directory, `${name}.mjs`);
    writeFileSync(file, code);
    const { status, stdout, stderr } = await cluster.run(process.execPath, [file]);
    assert.deepEqual(
      { status, stdout: stdout.toString(), stderr },
      { status: 0, stdout: output, stderr: '' },
    );
    await cluster.checkNothingLeft();
  });
}

test('every function of the library has an example', () => {
  const require = createRequire(import.meta.url);
  const library = require(join(projectRoot, 'dist', 'index.cjs')) as Record<string, unknown>;
  const functions = Object.keys(library).filter((name) => /^[a-z]/.test(name) && name !== 'createLog');
  const shown = examples.map(([, name]) => name);
  for (const name of functions) assert.ok(shown.includes(name), name);
  assert.ok(page.includes('createLog('));
});
