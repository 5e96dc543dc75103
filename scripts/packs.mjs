// Joins the chunks that `connect` needs into a few files. Each would otherwise be found, read, compiled and kept in a
// code cache on its own: 43 files for one connection.
//
// A pack is a CommonJS file that exports a function: `require('./connect-<build>.cjs')('<chunk>')` gives the exports of a
// chunk, which is run when it is first asked for. So a pack may hold what is not always needed, and nothing runs twice.
import { createHash } from 'node:crypto';
import { dirname, posix } from 'node:path';

/** Stands for the hash of all packs, in their names and in src/cli/packs.ts. */
const BUILD = '__SSM_PROXY_BUILD__';
const HASH_LENGTH = 20;

/**
 * In the order of loading. The roots are source files that are imported with import(); what they import statically
 * comes along, unless an earlier pack has it. src/cli/packs.ts loads them by these names.
 */
const PACKS = [
  { name: 'base', roots: ['src/cli/start.ts', 'src/cli/share.ts', 'src/transport/trust.ts'] },
  {
    name: 'connect',
    roots: [
      'src/cli/proxy.ts',
      'src/locate.ts',
      'src/aws/instance.ts',
      'src/aws/ssm-session.ts',
      'src/aws/stream-url.ts',
      'src/cli/session-registry.ts',
      'src/transport/direct-agents.ts',
      'src/transport/websocket.ts',
    ],
  },
  { name: 'ec2', roots: ['src/aws/ec2.ts'] },
].map((pack) => ({ ...pack, file: `chunks/${pack.name}-${BUILD}.cjs` }));

/**
 * `files`: name to CommonJS text; `outputs`: of esbuild's metafile, by the same names. The files to be written instead,
 * where every require() names the place that its chunk has now.
 */
export function packChunks(files, outputs) {
  const packOf = assignChunks(outputs);
  const packed = new Map(PACKS.map(({ file }) => [file, []]));
  const result = new Map();
  for (const [name, text] of files) {
    const pack = packOf.get(name);
    const moved = redirect(text, name, pack ?? name, packOf);
    if (pack === undefined) result.set(name, moved);
    else packed.get(pack).push([name, moved]);
  }
  for (const [file, chunks] of packed) result.set(file, packText(chunks));
  return nameByContent(result, [...packed.keys()]);
}

/** Chunk name to pack file. */
function assignChunks(outputs) {
  const packOf = new Map();
  const take = (name, file) => {
    if (packOf.has(name) || outputs[name] === undefined) return;
    packOf.set(name, file);
    for (const { path, kind, external } of outputs[name].imports) {
      if (kind === 'import-statement' && external !== true) take(path, file);
    }
  };
  for (const { file, roots } of PACKS) {
    for (const root of roots) {
      const found = Object.keys(outputs).find((name) => outputs[name].entryPoint === root);
      if (found === undefined)
        throw new Error(`${root} is not imported with import(): it cannot start a pack`);
      take(found, file);
    }
  }
  return packOf;
}

/** The text with its require() calls of chunks as they are to be when it is part of the file `place`. */
function redirect(text, name, place, packOf) {
  return text.replace(/\brequire\("(\.[^"]+)"\)/g, (all, path) => {
    const wanted = posix.join(dirname(name), path);
    const pack = packOf.get(wanted);
    if (pack === place) return `__chunk(${JSON.stringify(wanted)})`;
    const relative = posix.relative(dirname(place), pack ?? wanted);
    const required = `require(${JSON.stringify(relative.startsWith('.') ? relative : `./${relative}`)})`;
    return pack === undefined ? required : `${required}(${JSON.stringify(wanted)})`;
  });
}

function packText(chunks) {
  return [
    '"use strict";',
    'const __run=Object.create(null),__ran=Object.create(null);',
    'const __chunk=(name)=>{let it=__ran[name];',
    'if(it===undefined){it=__ran[name]={exports:{}};__run[name](it,it.exports)}return it.exports};',
    'module.exports=__chunk;\n',
    ...chunks.map(([name, text]) => `__run[${JSON.stringify(name)}]=(module,exports)=>{${text}};\n`),
  ].join('');
}

/**
 * One hash for all packs: they refer to each other. A program that was started from an earlier build never meets a file
 * of this one, and neither does a code cache.
 */
function nameByContent(files, packs) {
  const hash = createHash('sha256');
  for (const file of packs) hash.update(files.get(file));
  const build = hash.digest('hex').slice(0, HASH_LENGTH);
  return new Map([...files].map(([name, text]) => [name, text].map((part) => part.replaceAll(BUILD, build))));
}
