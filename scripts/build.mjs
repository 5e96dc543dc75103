// Builds what is shipped: dist/cli.cjs (the program), dist/index.cjs (the library) and chunks that load when needed.
//
// Stages. esbuild splits code only in ESM format, but CommonJS starts 5 ms faster and takes a code cache, so the
// first stage bundles the module graph into ESM files and the second rewrites each file to CommonJS, where import()
// becomes a lazy require(); then the chunks of a connection are joined (packs.mjs). Nothing is done when the inputs are
// unchanged.
//
//   node scripts/build.mjs [--force]
import { build, transform } from 'esbuild';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lazyCredentialChain, literalSchemaKeys, shimStringWidth } from './bundle-plugins.mjs';
import { fingerprint, stamp } from './fingerprint.mjs';
import { packChunks } from './packs.mjs';
import { collectPapers } from './papers.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const inputs = [
  'src',
  'package.json',
  'package-lock.json',
  ...['build', 'bundle-plugins', 'packs', 'papers', 'licences', 'sbom'].map((name) => `scripts/${name}.mjs`),
  'scripts/man.ts',
];

/** Programs, each a file that loads dist/start.cjs. */
const entries = { 'cli.cjs': 'src/cli/main.ts', 'session-manager-plugin.cjs': 'src/cli/plugin-main.ts' };

// Native speed-ups that ws and ssh2 take when they happen to be installed; both do without.
export const external = ['bufferutil', 'utf-8-validate', 'cpu-features', '*.node'];
// yargs asks for import.meta.url, which CommonJS does not have.
export const moduleUrl = {
  name: '__moduleUrl',
  code: "const __moduleUrl=require('node:url').pathToFileURL(__filename).href;",
};

/** What every bundle of the program has in common. */
export const bundling = {
  absWorkingDir: root,
  bundle: true,
  write: false,
  metafile: true,
  platform: 'node',
  target: 'node20',
  mainFields: ['module', 'main'],
  conditions: ['module'],
  define: { 'import.meta.url': moduleUrl.name },
  plugins: [literalSchemaKeys, lazyCredentialChain, shimStringWidth(join(root, 'src/cli/string-width.ts'))],
  treeShaking: true,
  legalComments: 'none',
  charset: 'ascii',
  logLevel: 'warning',
};

/** Builds dist/ unless it is up to date. Returns whether it built. */
export async function buildDist({ force = false } = {}) {
  const fresh = stamp(root, 'dist', fingerprint(root, inputs));
  if (!force && fresh.isFresh() && existsSync(join(dist, 'cli.cjs'))) return false;
  fresh.clear();
  const files = await bundle();
  writeDist(files);
  fresh.set();
  return true;
}

/** Bundles one program of scripts/ to build/<name>.mjs; dependencies stay in node_modules. Returns its path. */
export async function buildScript(name) {
  const outfile = join(root, 'build', `${name}.mjs`);
  await build({
    entryPoints: [join(root, 'scripts', `${name}.ts`)],
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    format: 'esm',
    sourcemap: 'inline',
    logLevel: 'warning',
  });
  return outfile;
}

/** Output files as a map from name to text; the entry points are those of the programs and index.cjs. */
async function bundle() {
  const entryPoints = { start: join(root, 'src/cli/start.ts') };
  const library = join(root, 'src/index.ts');
  if (existsSync(library)) entryPoints['index'] = library;
  const split = await build({
    ...bundling,
    entryPoints,
    outdir: dist,
    splitting: true,
    format: 'esm',
    outExtension: { '.js': '.cjs' },
    chunkNames: 'chunks/[name]-[hash]',
    external,
    minifySyntax: true,
  });
  const chunks = new Map();
  for (const output of split.outputFiles) {
    const name = output.path.slice(dist.length + 1).replaceAll('\\', '/');
    chunks.set(name, await toCommonJs(name, output.text));
  }
  for (const [name, source] of Object.entries(entries)) chunks.set(name, await bundleEntry(name, source));
  const files = packChunks(chunks, namedFromDist(split.metafile.outputs));
  const papers = await collectPapers(root, Object.keys(split.metafile.inputs), buildScript);
  return new Map([...files, ...papers]);
}

/** The entry shares no code with what it loads: that would have to be loaded before it. */
async function bundleEntry(name, source) {
  const start = {
    name: 'start-is-external',
    setup(plugins) {
      plugins.onResolve({ filter: /^\.\/start\.ts$/ }, () => ({ path: './start.cjs', external: true }));
    },
  };
  const built = await build({
    ...bundling,
    entryPoints: [join(root, source)],
    format: 'esm',
    plugins: [start],
  });
  return toCommonJs(name, built.outputFiles[0].text);
}

/** esbuild's outputs and their imports by their names in dist/. */
function namedFromDist(outputs) {
  const named = (path) => path.replace(/^dist\//, '');
  return Object.fromEntries(
    Object.entries(outputs).map(([path, output]) => {
      const imports = output.imports.map((each) => ({ ...each, path: named(each.path) }));
      return [named(path), { ...output, imports }];
    }),
  );
}

async function toCommonJs(name, source) {
  const { code } = await transform(source, {
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    supported: { 'dynamic-import': false },
    minify: true,
    legalComments: 'none',
    charset: 'ascii',
    sourcefile: name,
    logLevel: 'warning',
    // In ssh2; ours are checked by the linter.
    logOverride: { 'suspicious-boolean-not': 'silent' },
    banner: source.includes(moduleUrl.name) ? moduleUrl.code : '',
  });
  return code;
}

/** New files first, entry points last, then the files of earlier builds go: a program started meanwhile works. */
function writeDist(files) {
  const chunksFirst = [...files].sort(([a], [b]) => Number(b.includes('/')) - Number(a.includes('/')));
  for (const [name, text] of chunksFirst) {
    const target = join(dist, name);
    const temporary = `${target}.${process.pid}.tmp`;
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(temporary, text);
    if (name in entries) chmodSync(temporary, 0o755);
    renameSync(temporary, target);
  }
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const name = path.slice(dist.length + 1).replaceAll('\\', '/');
    // Declarations are made by types.mjs, before packing.
    if (!files.has(name) && !name.startsWith('types/')) rmSync(path);
  }
}

if (process.argv[1] !== undefined && basename(process.argv[1]) === 'build.mjs') {
  const built = await buildDist({ force: process.argv.includes('--force') });
  const files = readdirSync(dist, { recursive: true }).filter((name) => name.endsWith('.cjs'));
  const bytes = files.reduce((sum, name) => sum + readFileSync(join(dist, name)).length, 0);
  process.stderr.write(
    `dist: ${files.length} files, ${Math.round(bytes / 1024)} KiB${built ? '' : ' (up to date)'}\n`,
  );
}
