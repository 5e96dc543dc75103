// First step of every npm script: makes a fresh clone able to run the wanted program, then runs it.
//
//   node scripts/bootstrap.mjs test [filters]     everything that is checked (scripts/test.mjs)
//   node scripts/bootstrap.mjs demo [options]     the demo against the emulator (scripts/demo.ts)
//   node scripts/bootstrap.mjs build              dist/, also as npm's `prepare`
//   node scripts/bootstrap.mjs types              declarations for the package, npm's `prepack`
//
// Node builtins only at the top: what needs node_modules is imported after the installation.
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ensureInstalled } from './install.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const programs = {
  async test(args) {
    const { runTests } = await import('./test.mjs');
    return runTests(args);
  },
  async demo(args) {
    const { buildDist, buildScript } = await import('./build.mjs');
    if (await buildDist()) process.stderr.write('Built dist/.\n');
    const { runDemo } = await import(pathToFileURL(await buildScript('demo')).href);
    return runDemo(args);
  },
  async build() {
    const { buildDist } = await import('./build.mjs');
    if (await buildDist()) process.stderr.write('Built dist/.\n');
    return 0;
  },
  async types() {
    const { buildTypes } = await import('./types.mjs');
    buildTypes();
    return 0;
  },
};

async function main() {
  const [name = '', ...args] = process.argv.slice(2);
  const program = Object.hasOwn(programs, name) ? programs[name] : undefined;
  if (program === undefined) throw new Error(`say one of: ${Object.keys(programs).join(', ')}`);
  if (Number(process.versions.node.split('.')[0]) < 20) {
    throw new Error(`Node 20 or newer is needed, this is ${process.version}`);
  }
  ensureInstalled(root);
  return program(args);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bootstrap: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
