/** The bill of materials that is shipped: well formed, true to the lockfile, complete, the same every time. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageFacts, projectRoot } from '../support/cli.ts';

interface Component {
  readonly type: string;
  readonly 'bom-ref': string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses: readonly (
    { readonly license: { readonly id: string } } | { readonly expression: string }
  )[];
  readonly purl: string;
}

interface Bom {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly version: number;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

interface LockEntry {
  readonly version?: string;
  readonly integrity?: string;
}

const text = readFileSync(join(projectRoot, 'dist', 'sbom.json'), 'utf8');
const bom = JSON.parse(text) as Bom;
const lock = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, LockEntry>>;
};
const fullName = ({ group, name }: Component): string => (group === undefined ? name : `${group}/${name}`);

test('it is CycloneDX 1.6 about this version of the package', () => {
  assert.deepEqual([bom.bomFormat, bom.specVersion, bom.version], ['CycloneDX', '1.6', 1]);
  assert.equal(bom.metadata.component.purl, `pkg:npm/ssm-proxy@${packageFacts().version}`);
});

test('every component has what the format wants, once', () => {
  const refs = bom.components.map((component) => component['bom-ref']);
  assert.equal(new Set(refs).size, refs.length);
  assert.deepEqual([...refs].sort(), refs);
  for (const component of bom.components) {
    const { type, purl, version, licenses } = component;
    assert.equal(type, 'library');
    assert.equal(purl, `pkg:npm/${fullName(component).replace('@', '%40')}@${version}`);
    assert.equal(component['bom-ref'], purl);
    assert.equal(licenses.length, 1, purl);
    for (const licence of licenses) {
      assert.match('license' in licence ? licence.license.id : licence.expression, /^[\w.()+ -]+$/);
    }
  }
});

test('versions and digests are those of the lockfile', () => {
  const known = Object.entries(lock.packages).map(([path, { version, integrity }]) => {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const digest = Buffer.from(integrity?.replace(/^sha512-/, '') ?? '', 'base64').toString('hex');
    return `${name}@${version} SHA-512 ${digest}`;
  });
  for (const component of bom.components) {
    const [hash] = component.hashes ?? [];
    const claim = `${fullName(component)}@${component.version} ${hash?.alg} ${hash?.content}`;
    assert.ok(known.includes(claim), claim);
  }
});

test('it has the packages whose licences are shipped, and no others', () => {
  const licences = readFileSync(join(projectRoot, 'dist', 'LICENSES.txt'), 'utf8');
  const named = [...licences.matchAll(/^((?:@[\w.-]+\/)?[\w.-]+) (\d+\.\d+\.\d+\S*) \(/gm)].map(
    ([, name, version]) => `${name}@${version}`,
  );
  const listed = bom.components.map((component) => `${fullName(component)}@${component.version}`);
  assert.deepEqual(listed.sort(), [...new Set(named)].sort());
});

test('whatever is depended on is there, and everything is depended on', () => {
  const refs = new Set(bom.components.map((component) => component['bom-ref']));
  const edges = new Map(bom.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  assert.deepEqual([...edges.keys()].sort(), [bom.metadata.component.purl, ...refs].sort());
  const reached = new Set([bom.metadata.component.purl]);
  for (const ref of reached) for (const next of edges.get(ref) ?? []) reached.add(next);
  for (const ref of refs) assert.ok(reached.has(ref), ref);
});

test('it has neither times nor serial numbers nor paths of the machine that built it', () => {
  assert.doesNotMatch(text, /timestamp|serialNumber|urn:uuid/);
  assert.ok(!text.includes(projectRoot));
});
