// Builds ssm-proxy as one file that needs no Node on the machine: this Node with the whole program inside, as a single
// executable application (https://nodejs.org/api/single-executable-applications.html), for the platform that it runs on.
//
//   npm run executable [-- <file>]      default: build/executable/ssm-proxy
//
// The program is bundled anew into one CommonJS text: files beside the executable are never looked at. Beside it go
// the licences of what is inside, Node's own included.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { bundling, external, moduleUrl, root } from './build.mjs';
import { collectLicences } from './licences.mjs';

/** Node looks for a program inside itself when this text in its binary ends with :1. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const RESOURCE = 'NODE_SEA_BLOB';
const isWindows = process.platform === 'win32';
const isMac = process.platform === 'darwin';

/** Path of the executable. Throws when this Node or platform cannot make one. */
export async function buildExecutable([file = join(root, 'build', 'executable', 'ssm-proxy')] = []) {
  const target = resolve(isWindows && !file.endsWith('.exe') ? `${file}.exe` : file);
  if (!readFileSync(process.execPath).includes(FUSE)) {
    throw new Error(`${process.execPath} cannot hold a program: take Node from nodejs.org`);
  }
  mkdirSync(dirname(target), { recursive: true });
  // Under another name until it is whole; a running executable cannot be written to.
  const draft = `${target}.${process.pid}.tmp`;
  const work = mkdtempSync(join(tmpdir(), 'ssm-proxy-executable-'));
  try {
    const { text, inputs } = await bundleProgram();
    const blob = makeBlob(work, text);
    copyFileSync(process.execPath, draft);
    chmodSync(draft, 0o755);
    if (isMac) run('codesign', ['--remove-signature', draft]);
    inject(draft, blob);
    if (isMac) run('codesign', ['--sign', '-', draft]);
    renameSync(draft, target);
    writeFileSync(join(dirname(target), 'LICENSES.txt'), `${nodeLicence()}${collectLicences(root, inputs)}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
    rmSync(draft, { force: true });
  }
  process.stderr.write(`${target}: ${Math.round(statSync(target).size / 1e6)} MB\n`);
  return target;
}

async function bundleProgram() {
  const { outputFiles, metafile } = await build({
    ...bundling,
    entryPoints: [join(root, 'src/cli/main.ts')],
    plugins: [...bundling.plugins, refuseAbsent, withoutPacks],
    format: 'cjs',
    supported: { 'dynamic-import': false },
    minify: true,
    banner: { js: moduleUrl.code },
    // In ssh2; ours are checked by the linter.
    logOverride: { 'suspicious-boolean-not': 'silent' },
  });
  return { text: outputFiles[0].text, inputs: Object.keys(metafile.inputs) };
}

/** Native speed-ups that are not in the executable: asked for, they are absent, without the warning that Node prints. */
const refuseAbsent = {
  name: 'refuse-absent',
  setup(plugins) {
    const names = external.map((name) => name.replaceAll('.', '\\.').replace('*', '.*')).join('|');
    plugins.onResolve({ filter: new RegExp(`^(?:${names})$`) }, ({ path }) => ({
      path,
      namespace: 'absent',
    }));
    plugins.onLoad({ filter: /.*/, namespace: 'absent' }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is not in the executable`)});`,
    }));
  },
};

/** Files of dist/ and their code cache (src/cli/packs.ts) are for the package: everything is in the executable. */
const withoutPacks = {
  name: 'without-packs',
  setup(plugins) {
    plugins.onResolve({ filter: /\/packs\.ts$/ }, () => ({ path: 'packs', namespace: 'without-packs' }));
    plugins.onLoad({ filter: /.*/, namespace: 'without-packs' }, () => ({
      contents: 'export const openPacks = () => ({ load() {}, save() {} });',
    }));
  },
};

function makeBlob(work, text) {
  const [main, config, output] = ['main.cjs', 'sea.json', 'sea.blob'].map((name) => join(work, name));
  // The shebang line is for files.
  writeFileSync(main, text.replace(/^#!.*\n/, ''));
  // The code cache is V8's work done in advance; both are of this very Node.
  writeFileSync(
    config,
    JSON.stringify({ main, output, disableExperimentalSEAWarning: true, useCodeCache: true }),
  );
  run(process.execPath, ['--experimental-sea-config', config]);
  return output;
}

function inject(file, blob) {
  const postject = createRequire(import.meta.url).resolve('postject/dist/cli.js');
  const options = ['--sentinel-fuse', FUSE, ...(isMac ? ['--macho-segment-name', 'NODE_SEA'] : [])];
  run(process.execPath, [postject, file, RESOURCE, blob, ...options]);
}

/** What it prints is shown only if it fails. */
function run(program, args) {
  const { status, error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 300_000 });
  if (error !== undefined) throw new Error(`${program} cannot be started: ${error.message}`);
  if (status !== 0) throw new Error(`${program} ${args[0]} failed:\n${stdout}${stderr}`);
}

/** Where Node's archives have it; empty where a distribution keeps it elsewhere. */
function nodeLicence() {
  const file = ['..', '.']
    .map((folder) => join(dirname(process.execPath), folder, 'LICENSE'))
    .find((path) => existsSync(path));
  const rule = `\n${'-'.repeat(78)}\n\n`;
  return file === undefined
    ? `This program contains Node.js ${process.version}: https://github.com/nodejs/node/blob/${process.version}/LICENSE\n${rule}`
    : `${readFileSync(file, 'utf8')}${rule}`;
}
