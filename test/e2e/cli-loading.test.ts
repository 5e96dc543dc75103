/** What a `connect` started by ssh loads: its own code, and nothing that only other commands need. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { cliPath, runCli } from '../support/cli.ts';
import { startEmulatorProcess } from '../support/emulator-process.ts';
import type { EmulatorProcess } from '../support/emulator-process.ts';

/** Notes down the files that were loaded, when the process ends. */
const PROBE = `process.on('exit', () => require('node:fs').writeFileSync(
  process.env.LOADED_FILES, JSON.stringify(Object.keys(require.cache))));`;

/** Texts that only the code of these libraries has. */
const MARKS = {
  yargs: 'Not enough non-option arguments',
  ssh2: 'ssh-userauth',
  emulator: 'ssm-proxy-emulator-',
  'the EC2 client': 'ec2.amazonaws.com/doc/2016-11-15',
  'the SSM client': 'com.amazonaws.ssm',
  'the KMS client': 'TrentService',
  'the Instance Connect client': 'com.amazonaws.ec2instanceconnect',
  'a login': 'code_challenge_method',
  ws: 'Sec-WebSocket-Key',
} as const;

/** All that one connection loads, SDK included; the SDK alone would be 1.7 MB if tree shaking stopped working. */
const MAX_LOADED_BYTES = 650_000;

let folder = '';
let emulator: EmulatorProcess;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ssm-proxy-loading-'));
  writeFileSync(join(folder, 'probe.cjs'), PROBE);
  emulator = await startEmulatorProcess(['--nodes', '1']);
});
after(async () => {
  await emulator.stop();
  rmSync(folder, { recursive: true });
});

/** Runs the program; returns the files of dist/ that it loaded. */
async function loadedBy(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  said = '',
): Promise<readonly string[]> {
  const list = join(folder, 'loaded.json');
  const result = await runCli(args, {
    env: { ...emulator.env, ...env, LOADED_FILES: list },
    nodeArgs: ['--require', join(folder, 'probe.cjs')],
  });
  assert.deepEqual([result.status, result.stderr], [0, said]);
  const files = JSON.parse(readFileSync(list, 'utf8')) as readonly string[];
  return files.filter((file) => file.startsWith(dirname(cliPath)));
}

function namesIn(files: readonly string[]): readonly string[] {
  const texts = files.map((file) => readFileSync(file, 'utf8'));
  return Object.entries(MARKS)
    .filter(([, mark]) => texts.some((text) => text.includes(mark)))
    .map(([name]) => name);
}

/** Without folder and hash: `connect`. */
function shortNames(files: readonly string[]): readonly string[] {
  return files.map((file) => basename(file, '.cjs').replace(/-[0-9a-f]{20}$/, ''));
}

test('connect by address loads four files: with the EC2 and SSM clients and ws, without yargs, ssh2 and the emulator', async () => {
  const files = await loadedBy(['connect', '10.0.1.10']);
  assert.deepEqual(shortNames(files), ['cli', 'base', 'connect', 'ec2']);
  assert.deepEqual(namesIn(files), ['the EC2 client', 'the SSM client', 'ws']);
});

test('connect by instance ID does not load the EC2 client', async () => {
  const files = await loadedBy(['connect', emulator.facts.instances[0]?.instanceId ?? '', '22']);
  assert.deepEqual(shortNames(files), ['cli', 'base', 'connect']);
  assert.deepEqual(namesIn(files), ['the SSM client', 'ws']);
});

test('host keys that are kept are given without any code that asks AWS', async () => {
  const env = { XDG_RUNTIME_DIR: folder };
  assert.ok(namesIn(await loadedBy(['host-keys', '10.0.1.10'], env)).includes('the EC2 client'));
  const files = await loadedBy(['host-keys', '--offered', 'NONE', '10.0.1.10'], env);
  assert.deepEqual(namesIn(files), []);
  assert.ok(!shortNames(files).includes('connect'));
});

test('the KMS client is loaded only for a session that is encrypted', async () => {
  const args = ['exec', emulator.facts.instances[0]?.instanceId ?? '', '--', 'true'];
  assert.deepEqual(namesIn(await loadedBy(args)), ['yargs', 'the SSM client', 'ws']);
  const change = (kmsKeyId: string | null): Promise<Response> =>
    fetch(`${emulator.facts.control}preferences`, { method: 'PATCH', body: JSON.stringify({ kmsKeyId }) });
  assert.equal((await change('alias/sessions')).status, 200);
  const files = await loadedBy(args, {}, 'ssm-proxy: This session is encrypted using AWS KMS.\n');
  assert.equal((await change(null)).status, 200);
  assert.deepEqual(namesIn(files), ['yargs', 'the SSM client', 'the KMS client', 'ws']);
});

test('--version loads no AWS code', async () => {
  assert.deepEqual(namesIn(await loadedBy(['--version'])), ['yargs']);
});

test('the code of a connection is small: the SDK is shaken out of what is not used', async () => {
  const sizes = (await loadedBy(['connect', '10.0.1.10'])).map((file) => statSync(file).size);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(bytes <= MAX_LOADED_BYTES, `${bytes} bytes`);
});

test('nothing that runs from the code cache uses import(), which fails there', async () => {
  for (const file of await loadedBy(['connect', '10.0.1.10'])) {
    assert.doesNotMatch(readFileSync(file, 'utf8'), /\bimport\(/, file);
  }
});

test('the second connection runs from the code cache, and says nothing about it', async () => {
  const cacheHome = join(folder, 'cache');
  const directory = join(cacheHome, 'ssm-proxy', 'code');
  const times = (): Record<string, number> =>
    Object.fromEntries(readdirSync(directory).map((name) => [name, statSync(join(directory, name)).mtimeMs]));
  await loadedBy(['connect', '10.0.1.10'], { XDG_CACHE_HOME: cacheHome });
  const first = times();
  assert.deepEqual(
    Object.keys(first).map((name) => name.split('-')[0]),
    ['base', 'connect', 'ec2'],
  );
  await loadedBy(['connect', '10.0.1.10'], { XDG_CACHE_HOME: cacheHome });
  assert.deepEqual(times(), first);
});

test('the program itself, which only loads the rest, stays tiny', () => {
  assert.ok(statSync(cliPath).size <= 5_000, `${statSync(cliPath).size} bytes`);
});
