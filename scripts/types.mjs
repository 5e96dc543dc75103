// Type declarations of the library, for the package: dist/types/index.d.cts and what it refers to. Run by npm before
// it packs (`prepack`); type-checking is `npm test`'s work.
import ts from 'typescript';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, posix, relative, sep } from 'node:path';
import { root } from './build.mjs';

const outDir = join(root, 'dist', 'types');
const library = join(root, 'src');

/** Throws if the library cannot be declared. */
export function buildTypes() {
  const declarations = declare(join(library, 'index.ts'));
  rmSync(outDir, { recursive: true, force: true });
  for (const name of reachableFrom('index.d.ts', declarations)) {
    const target = join(outDir, name.replace(/\.d\.ts$/, '.d.cts'));
    mkdirSync(dirname(target), { recursive: true });
    // What is shipped is CommonJS, and so must its declarations be.
    const text = declarations.get(name).replace(/(['"])(\.\.?\/[^'"]+)\.ts\1/g, '$1$2.cjs$1');
    writeFileSync(target, text);
  }
}

/** Declarations of a module and all that it imports, by name relative to src/. `@internal` members are left out. */
function declare(entry) {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [entry] }, ts.sys, root);
  const program = ts.createProgram([entry], {
    ...options,
    declaration: true,
    emitDeclarationOnly: true,
    stripInternal: true,
    rootDir: library,
    outDir,
  });
  const declarations = new Map();
  const { emitSkipped, diagnostics } = program.emit(undefined, (file, text) => {
    declarations.set(relative(outDir, file).split(sep).join('/'), text);
  });
  if (emitSkipped || !declarations.has('index.d.ts')) {
    const host = {
      getCanonicalFileName: (name) => name,
      getCurrentDirectory: () => root,
      getNewLine: () => '\n',
    };
    throw new Error(`no declarations of the library: ${ts.formatDiagnostics(diagnostics, host)}`);
  }
  return declarations;
}

/** A declaration file and those that it and they import. */
function reachableFrom(first, declarations) {
  const found = new Set([first]);
  for (const name of found) {
    const text = declarations.get(name);
    if (text === undefined) throw new Error(`${name} is imported but not declared`);
    // The package has no dependencies: whoever installs it has no other package's types.
    const [, foreign] = /(?:from |import\()['"](?!\.|node:)([^'"]+)['"]/.exec(text) ?? [];
    if (foreign !== undefined) throw new Error(`${name} is part of the library's types and needs ${foreign}`);
    for (const [, path] of text.matchAll(/['"](\.\.?\/[^'"]+)\.ts['"]/g)) {
      found.add(posix.join(posix.dirname(name), `${path}.d.ts`));
    }
  }
  return found;
}

if (process.argv[1] !== undefined && basename(process.argv[1]) === 'types.mjs') buildTypes();
