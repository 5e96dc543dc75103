// The bill of materials: every package whose code is in the bundle, as CycloneDX 1.6 JSON. From esbuild's list of
// bundled files and package-lock.json alone, without times and random numbers: same inputs, same text.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundledFolders } from './licences.mjs';

/** `inputs`: paths of bundled files relative to `root`. The text ends with a line break. */
export function billOfMaterials(root, inputs) {
  const lock = readJson(join(root, 'package-lock.json')).packages;
  const own = readJson(join(root, 'package.json'));
  const folders = bundledFolders(root, inputs);
  const packages = new Map(folders.map((folder) => [folder, readJson(join(root, folder, 'package.json'))]));
  const refOf = (folder) => packageUrl(packages.get(folder));
  const dependsOn = (folder, names) => {
    const found = names.map((name) => locate(folder, name, packages)).filter((each) => each !== undefined);
    return [...new Set(found.map(refOf))].sort();
  };

  const components = new Map();
  const dependencies = new Map();
  for (const [folder, facts] of packages) {
    const ref = refOf(folder);
    components.set(ref, component(facts, lock[folder]?.integrity));
    dependencies.set(ref, [
      ...(dependencies.get(ref) ?? []),
      ...dependsOn(folder, Object.keys({ ...facts.dependencies, ...facts.peerDependencies })),
    ]);
  }
  const byRef = ([a], [b]) => (a < b ? -1 : 1);
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      lifecycles: [{ phase: 'build' }],
      component: {
        type: 'application',
        'bom-ref': packageUrl(own),
        name: own.name,
        version: own.version,
        description: own.description,
        licenses: licences(own),
        purl: packageUrl(own),
      },
    },
    components: [...components].sort(byRef).map(([, each]) => each),
    dependencies: [
      {
        ref: packageUrl(own),
        dependsOn: dependsOn('', Object.keys({ ...own.dependencies, ...own.devDependencies })),
      },
      ...[...dependencies].sort(byRef).map(([ref, refs]) => ({ ref, dependsOn: [...new Set(refs)].sort() })),
    ],
  };
  return `${JSON.stringify(bom, undefined, 1)}\n`;
}

function component(facts, integrity) {
  const [group, name] = facts.name.startsWith('@') ? facts.name.split('/') : [undefined, facts.name];
  const digest = /^sha512-(.+)$/.exec(integrity ?? '')?.[1];
  return {
    type: 'library',
    'bom-ref': packageUrl(facts),
    ...(group !== undefined && { group }),
    name,
    version: facts.version,
    scope: 'required',
    ...(digest !== undefined && {
      hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }],
    }),
    licenses: licences(facts),
    purl: packageUrl(facts),
  };
}

function licences({ license, licenses }) {
  const text = typeof license === 'string' ? license : (license?.type ?? licenses?.[0]?.type);
  if (text === undefined) return [];
  return /[\s(]/.test(text) ? [{ expression: text }] : [{ license: { id: text } }];
}

/** https://github.com/package-url: the scope's @ is escaped, and is a name space of its own. */
function packageUrl({ name, version }) {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

/** Where Node finds a package from a folder; undefined unless it is bundled. */
function locate(folder, name, packages) {
  for (let from = folder; ; from = from.replace(/(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/, '')) {
    const candidate = `${from === '' ? '' : `${from}/`}node_modules/${name}`;
    if (packages.has(candidate)) return candidate;
    if (from === '') return undefined;
  }
}

function readJson(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
}
