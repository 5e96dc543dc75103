/** What `npm pack` makes: small, complete, and running without a build or a dependency. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  constants,
  accessSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { COMMANDS } from '../../src/cli/options.ts';
import { cliPath, packageFacts, pluginPath, projectRoot } from '../support/cli.ts';

const run = promisify(execFile);
/** npm downloads nothing here: the package has no dependencies. */
const npmEnv = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', npm_config_offline: 'true' };

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

let folder = '';
let packed: Packed | undefined;

before(async () => {
  // With a space in its name, as people have them.
  folder = mkdtempSync(join(tmpdir(), 'ssm proxy '));
  const args = ['pack', '--json', '--cache', join(folder, 'cache'), '--pack-destination', folder];
  const { stdout } = await run('npm', args, { cwd: projectRoot, env: npmEnv });
  [packed] = JSON.parse(stdout) as Packed[];
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('the program is executable and starts with a shebang', () => {
  for (const path of [cliPath, pluginPath]) {
    accessSync(path, constants.X_OK);
    assert.equal(statSync(path).mode & 0o777, 0o755);
    assert.ok(readFileSync(path, 'utf8').startsWith('#!/usr/bin/env node\n'));
  }
});

test('the package holds the program, its licences and papers, and no sources', () => {
  const paths = packed?.files.map((file) => file.path) ?? [];
  for (const path of [
    'dist/cli.cjs',
    'dist/session-manager-plugin.cjs',
    'dist/index.cjs',
    'dist/types/index.d.cts',
    'dist/LICENSES.txt',
    'dist/sbom.json',
    'dist/man/ssm-proxy.1',
    'LICENSE',
    'README.md',
    'CHANGELOG.md',
    'package.json',
  ]) {
    assert.ok(paths.includes(path), path);
  }
  const foreign = paths.filter(
    (path) => !/^(dist\/|LICENSE$|README\.md$|CHANGELOG\.md$|package\.json$)/.test(path),
  );
  assert.deepEqual(foreign, []);
});

test('the package stays below a megabyte', () => {
  assert.ok((packed?.size ?? Infinity) < 1_000_000, `${packed?.size} bytes`);
});

test('npm installs the package without network, and the installed programs run', async () => {
  const prefix = join(folder, 'prefix');
  const tarball = join(folder, packed?.filename ?? '');
  const args = ['install', '--global', '--prefix', prefix, '--cache', join(folder, 'cache'), tarball];
  await run('npm', args, { cwd: folder, env: npmEnv });
  const { stdout } = await run(join(prefix, 'bin', 'ssm-proxy'), ['--version'], { env: npmEnv });
  assert.equal(stdout, `${packageFacts().version}\n`);
  const help = await run(join(prefix, 'bin', 'ssm-proxy'), ['connect', '--help'], { env: npmEnv });
  assert.match(help.stdout, /^ssm-proxy connect <target> \[port\]/);
  // Not by itself: Amazon's may be there.
  assert.ok(!existsSync(join(prefix, 'bin', 'session-manager-plugin')));
  await run(join(prefix, 'bin', 'ssm-proxy'), ['plugin', 'install', '--dir', folder], { env: npmEnv });
  const plugin = await run(join(folder, 'session-manager-plugin'), ['--version'], { env: npmEnv });
  assert.match(plugin.stdout, /^1\.2\.\d+\.\d+\n$/);
  for (const command of COMMANDS) {
    const page = join(prefix, 'share', 'man', 'man1', `ssm-proxy-${command}.1`);
    assert.match(readFileSync(page, 'utf8'), /^\.TH /, command);
  }
});

/** A project of a user, with the package installed. */
async function makeConsumer(): Promise<string> {
  const consumer = join(folder, 'consumer');
  mkdirSync(consumer);
  writeFileSync(join(consumer, 'package.json'), '{ "private": true, "type": "module" }');
  const args = ['install', '--cache', join(folder, 'cache'), join(folder, packed?.filename ?? '')];
  await run('npm', args, { cwd: consumer, env: npmEnv });
  return consumer;
}

const USE = `
  connect({ target: '10.0.1' }).then(
    () => console.log('connected'),
    (error: unknown) => console.log(error instanceof ProxyError ? error.code : 'foreign'),
  );
`;

test('the library is there for import and require, with types for both', async () => {
  const consumer = await makeConsumer();
  const write = (name: string, text: string): void => writeFileSync(join(consumer, name), text);
  write('esm.mts', `import { connect, ProxyError } from 'ssm-proxy';\n${USE}`);
  write('cjs.cts', `import { connect, ProxyError } from 'ssm-proxy';\n${USE}`);
  write('wrong.mts', `import { connect } from 'ssm-proxy';\nvoid connect({ target: 22 });\n`);
  const compile = (...files: readonly string[]) => {
    const tsc = join(projectRoot, 'node_modules', 'typescript', 'bin', 'tsc');
    const types = ['--typeRoots', join(projectRoot, 'node_modules', '@types'), '--types', 'node'];
    const options = ['--module', 'nodenext', '--target', 'es2022', '--strict', ...types];
    return run(process.execPath, [tsc, ...options, ...files], { cwd: consumer });
  };
  // One mistake in three files: the others are right, and all are translated.
  const compiled = await compile('esm.mts', 'cjs.cts', 'wrong.mts').catch((error: unknown) => error);
  const { stdout: complaints } = compiled as { readonly stdout: string };
  assert.deepEqual(complaints.match(/^\S+: error TS\d+/gm), ['wrong.mts(2,16): error TS2322']);
  for (const file of ['esm.mjs', 'cjs.cjs']) {
    const { stdout, stderr } = await run(process.execPath, [file], { cwd: consumer, env: npmEnv });
    assert.deepEqual({ stdout, stderr }, { stdout: 'TARGET_INVALID\n', stderr: '' }, file);
  }
});
