// First step of every npm script: makes a fresh clone able to run the wanted program, then runs it.
//
//   node scripts/bootstrap.mjs test [filters]     everything that is checked (scripts/test.mjs)
//   node scripts/bootstrap.mjs demo [options]     the demo against the emulator (scripts/demo.ts)
//   node scripts/bootstrap.mjs build              dist/, also as npm's `prepare`
//   node scripts/bootstrap.mjs types              declarations for the package, npm's `prepack`
//   node scripts/bootstrap.mjs executable [file]  one file that needs no Node (scripts/executable.mjs)
//   node scripts/bootstrap.mjs <measurement>      fuzz, soak, reliability, faults, many or bench (scripts/<measurement>.ts)
//
// Node builtins only at the top: what needs node_modules is imported after the installation.
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ensureInstalled } from './install.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Measurements, too long for `npm test`: each is scripts/<name>.ts with `run(args)`. */
const measurements = ['fuzz', 'soak', 'reliability', 'faults', 'many', 'bench'];

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
  async executable(args) {
    const { buildExecutable } = await import('./executable.mjs');
    await buildExecutable(args);
    return 0;
  },
  ...Object.fromEntries(measurements.map((name) => [name, (args) => measure(name, args)])),
};

async function measure(name, args) {
  const { buildDist, buildScript } = await import('./build.mjs');
  const { ensureSystemPackages } = await import('./system-packages.mjs');
  if (name === 'reliability' || name === 'bench') ensureSystemPackages();
  if (await buildDist()) process.stderr.write('Built dist/.\n');
  const { run } = await import(pathToFileURL(await buildScript(name)).href);
  return run(args);
}

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
