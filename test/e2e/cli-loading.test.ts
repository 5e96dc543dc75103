/** What a `connect` started by ssh loads: its own code, and nothing that only other commands need. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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
  'the SSM client': 'AmazonSSM',
  ws: 'Sec-WebSocket-Key',
} as const;

/** All that one connection loads, SDK included; the SDK alone would be 1.7 MB if tree shaking stopped working. */
const MAX_LOADED_BYTES = 560_000;
const MAX_CHUNK_BYTES = 450_000;

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
async function loadedBy(args: readonly string[]): Promise<readonly string[]> {
  const list = join(folder, 'loaded.json');
  const result = await runCli(args, {
    env: { ...emulator.env, LOADED_FILES: list },
    nodeArgs: ['--require', join(folder, 'probe.cjs')],
  });
  assert.deepEqual([result.status, result.stderr], [0, '']);
  const files = JSON.parse(readFileSync(list, 'utf8')) as readonly string[];
  return files.filter((file) => file.startsWith(dirname(cliPath)));
}

function namesIn(files: readonly string[]): readonly string[] {
  const texts = files.map((file) => readFileSync(file, 'utf8'));
  return Object.entries(MARKS)
    .filter(([, mark]) => texts.some((text) => text.includes(mark)))
    .map(([name]) => name);
}

test('connect by address loads the EC2 and SSM clients and ws, and neither yargs, ssh2 nor the emulator', async () => {
  const files = await loadedBy(['connect', '10.0.1.10']);
  assert.deepEqual(namesIn(files), ['the EC2 client', 'the SSM client', 'ws']);
});

test('connect by instance ID does not load the EC2 client', async () => {
  const files = await loadedBy(['connect', emulator.facts.instances[0]?.instanceId ?? '', '22']);
  assert.deepEqual(namesIn(files), ['the SSM client', 'ws']);
});

test('--version loads no AWS code', async () => {
  assert.deepEqual(namesIn(await loadedBy(['--version'])), ['yargs']);
});

test('the code of a connection is small: the SDK is shaken out of what is not used', async () => {
  const sizes = (await loadedBy(['connect', '10.0.1.10'])).map((file) => statSync(file).size);
  assert.ok(Math.max(...sizes) <= MAX_CHUNK_BYTES, `the largest file has ${Math.max(...sizes)} bytes`);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(bytes <= MAX_LOADED_BYTES, `${sizes.length} files with ${bytes} bytes`);
});

test('the program itself, which decides what to load, stays tiny', () => {
  assert.ok(statSync(cliPath).size <= 8_000, `${statSync(cliPath).size} bytes`);
});
