// `npm test`: types, lint and layout, then every test of test/, compiled, through Node's own runner.
//
//   npm test                       all of it
//   npm test -- unit               one kind: unit, property, integration, e2e
//   npm test -- rtt e2e/cli        files whose path contains one of the words
//   npm test -- --no-checks unit   without lint and layout
//   npm test -- --time-limit=900   ends after so many seconds; what has not run by then counts as failed
//
// The last line is `N passed, N failed, N skipped`; a check that fails counts as one failure. The exit status is 0
// only if nothing failed and something ran. Lint and layout are skipped while their inputs are unchanged.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec as SpecReporter } from 'node:test/reporters';
import { buildDist, root } from './build.mjs';
import { fingerprint, listFiles, stamp } from './fingerprint.mjs';
import { ensureSystemPackages } from './system-packages.mjs';

const kinds = ['unit', 'property', 'integration', 'e2e'];
const sources = ['src', 'test', 'scripts'];
const settings = [
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'eslint.config.js',
  '.prettierrc.json',
  '.prettierignore',
];

/** A file that takes longer hangs: its process is ended and counts as a failure. */
const FILE_TIMEOUT_MS = 600_000;
const CONCURRENT_FILES = 2;
/** setTimeout takes no more. */
const NO_TIME_LIMIT_MS = 2 ** 31 - 1;

/** Returns the exit status. */
export async function runTests(args) {
  const words = args.filter((arg) => !arg.startsWith('-'));
  const withChecks = !args.includes('--no-checks');
  const deadline = new AbortController();
  const limit = setTimeout(() => deadline.abort(), readTimeLimitMs(args));
  const files = selectFiles(words);
  if (files.length === 0) {
    process.stderr.write(`No test file matches ${words.join(' ')}\n`);
    return 1;
  }
  if (files.some((file) => !file.startsWith('test/unit/'))) ensureSystemPackages();

  const totals = { passed: 0, failed: 0, skipped: 0 };
  const check = async (name, action) => {
    const ok = await action();
    process.stdout.write(`${ok ? '\u2714' : '\u2716'} ${name}\n`);
    totals[ok ? 'passed' : 'failed'] += 1;
  };
  await check('types', compile);
  await check('build', () => buildDist().then(() => true, reportError));
  if (withChecks) {
    await check('lint', () => unlessUnchanged('lint', () => runTool('eslint', ['.', '--max-warnings=0'])));
    await check('layout', () =>
      unlessUnchanged('layout', () => runTool('prettier', ['--check', '--log-level=warn', '.'])),
    );
  }
  await runFiles(files, totals, deadline.signal);
  clearTimeout(limit);
  if (deadline.signal.aborted) process.stdout.write('The time limit ended the run.\n');
  process.stdout.write(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`);
  return totals.failed === 0 && totals.passed > 0 ? 0 : 1;
}

function selectFiles(words) {
  const all = listFiles(
    root,
    kinds.map((kind) => `test/${kind}`),
  ).filter((file) => file.endsWith('.test.ts'));
  const matches = (file, word) =>
    kinds.includes(word) ? file.startsWith(`test/${word}/`) : file.includes(word);
  return words.length === 0 ? all : all.filter((file) => words.some((word) => matches(file, word)));
}

/** Type-checks everything and writes build/, also when there are type errors, so that tests can still tell more. */
function compile() {
  return runTool('tsc', ['-p', '.', '--incremental', '--tsBuildInfoFile', 'build/.tsbuildinfo']);
}

async function unlessUnchanged(name, action) {
  const fresh = stamp(root, name, fingerprint(root, [...sources, ...settings]));
  if (fresh.isFresh()) return true;
  fresh.clear();
  const ok = await action();
  if (ok) fresh.set();
  return ok;
}

function reportError(error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return false;
}

function runTool(name, args) {
  const script = {
    tsc: 'typescript/bin/tsc',
    eslint: 'eslint/bin/eslint.js',
    prettier: 'prettier/bin/prettier.cjs',
  }[name];
  return new Promise((resolve) => {
    const command = [join(root, 'node_modules', script), ...args];
    const child = spawn(process.execPath, command, { cwd: root, stdio: ['ignore', 1, 2] });
    child.on('error', (error) => resolve(reportError(error)));
    child.on('close', (code) => resolve(code === 0));
  });
}

function readTimeLimitMs(args) {
  const [, seconds] =
    /^--time-limit=(\d{1,6})$/.exec(args.find((arg) => arg.startsWith('--time-limit=')) ?? '') ?? [];
  return seconds === undefined ? NO_TIME_LIMIT_MS : Number(seconds) * 1000;
}

/** Runs compiled test files, each in a process of its own, and adds to the totals. */
async function runFiles(files, totals, signal) {
  const compiled = files.map((file) => join(root, 'build', file.replace(/\.ts$/, '.js')));
  const absent = compiled.filter((file) => !existsSync(file));
  for (const file of absent) process.stderr.write(`Not compiled: ${file}\n`);
  totals.failed += absent.length;

  clearEnvironment();
  process.chdir(root);
  const events = run({
    files: compiled.filter((file) => !absent.includes(file)),
    concurrency: CONCURRENT_FILES,
    timeout: FILE_TIMEOUT_MS,
    signal,
  });
  const count = (outcome) => (test) => {
    if (test.details?.type === 'suite') return;
    const isSkipped = test.skip !== undefined || test.todo !== undefined;
    totals[isSkipped ? 'skipped' : outcome] += 1;
  };
  events.on('test:pass', count('passed'));
  events.on('test:fail', count('failed'));
  const report = events.compose(new SpecReporter());
  for await (const text of report) process.stdout.write(text);
}

/** Tests must not see the caller's AWS account, proxies, certificates or SSH agent. */
function clearEnvironment() {
  const foreign =
    /^(AWS_.*|SSM_PROXY_.*|(https?|all|no|ftp)_proxy|NODE_EXTRA_CA_CERTS|NODE_OPTIONS|SSL_CERT_(FILE|DIR)|SSH_.*|npm_.*)$/i;
  for (const name of Object.keys(process.env)) if (foreign.test(name)) delete process.env[name];
  // An empty home: no ~/.aws, no ~/.ssh.
  const home = join(root, 'build', 'home');
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'README'), 'Home of test processes; empty on purpose.\n');
  process.env['HOME'] = home;
}
