// What is shipped besides code: licences, bill of materials, manual pages. Made anew by every build.
import { pathToFileURL } from 'node:url';
import { collectLicences } from './licences.mjs';
import { billOfMaterials } from './sbom.mjs';

/**
 * Names below dist/ with their texts. `inputs`: paths of bundled files relative to `root`; `buildScript` bundles a
 * program of scripts/ and gives its path.
 */
export async function collectPapers(root, inputs, buildScript) {
  const { manPages } = await import(`${pathToFileURL(await buildScript('man')).href}?${Date.now()}`);
  return new Map([
    ['LICENSES.txt', collectLicences(root, inputs)],
    ['sbom.json', billOfMaterials(root, inputs)],
    ...[...manPages()].map(([name, text]) => [`man/${name}`, text]),
  ]);
}
