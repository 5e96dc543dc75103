// Installs what a fresh clone lacks: node_modules by `npm ci`. Node builtins only, since it runs before any install.
//
// Installed means: what npm noted down in node_modules/.package-lock.json is what package-lock.json asks for. So an
// `npm ci` or `npm install` done by hand counts too, and a second run costs a few milliseconds.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Runs `npm ci` in `root` unless node_modules already matches the lockfile. Throws when npm fails. */
export function ensureInstalled(root) {
  const reason = whyNotInstalled(root);
  if (reason === undefined) return;
  process.stderr.write(`Installing dependencies with npm ci (${reason}) ...\n`);
  runNpm(root, ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--include=dev', '--include=optional']);
}

/** What is missing in node_modules, in words; undefined when nothing is. */
export function whyNotInstalled(root) {
  const wanted = readPackages(join(root, 'package-lock.json'));
  if (wanted === undefined) throw new Error('package-lock.json is missing or cannot be read');
  const present = readPackages(join(root, 'node_modules', '.package-lock.json'));
  if (present === undefined) return 'node_modules is absent';
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '' || (present[path] === undefined && !isNeededHere(entry))) continue;
    const found = present[path];
    if (found?.version !== entry.version || found?.integrity !== entry.integrity) {
      return `${path} is not at ${entry.version}`;
    }
    if (!existsSync(join(root, path, 'package.json'))) return `${path} is gone`;
  }
  return undefined;
}

/** Optional packages may be absent, except the native half of a tool (esbuild) that is made for this platform. */
function isNeededHere(entry) {
  if (entry.optional !== true) return true;
  return (entry.os?.includes(process.platform) && entry.cpu?.includes(process.arch)) ?? false;
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/**
 * npm of the same installation where npm started us. Settings of the outer npm command (`npm i -g .` has
 * npm_config_global) must not reach the inner one. Its output goes to stderr: stdout belongs to the program.
 */
function runNpm(root, args) {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        !/^npm_(config_(global|location|prefix|omit|include|production|dry_run|json)|command|lifecycle|package)/i.test(
          name,
        ),
    ),
  );
  const npmScript = process.env['npm_execpath'];
  const viaNode = npmScript !== undefined && /\.c?js$/.test(npmScript) && /npm-cli/.test(npmScript);
  const [command, first] = viaNode ? [process.execPath, [npmScript]] : ['npm', []];
  const result = spawnSync(command, [...first, ...args], {
    cwd: root,
    env,
    stdio: ['ignore', 2, 2],
    shell: !viaNode && process.platform === 'win32',
  });
  if (result.error !== undefined) throw new Error(`npm cannot be started: ${result.error.message}`);
  if (result.status !== 0)
    throw new Error(`npm ${args[0]} failed with status ${result.status ?? result.signal}`);
}
