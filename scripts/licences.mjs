// The licences of the packages whose code is in the bundle, as one text that is shipped with it.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** `inputs`: paths of bundled files relative to `root`. Packages that share a licence text are listed above it once. */
export function collectLicences(root, inputs) {
  const byText = new Map();
  for (const folder of bundledFolders(root, inputs)) {
    const { name, version, license, licenses } = JSON.parse(
      readFileSync(join(root, folder, 'package.json'), 'utf8'),
    );
    const kind = license ?? licenses?.[0]?.type ?? 'licence below';
    const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text =
      file === undefined ? `Licence: ${kind}` : readFileSync(join(root, folder, file), 'utf8').trim();
    byText.set(text, [...(byText.get(text) ?? []), `${name} ${version} (${kind})`]);
  }
  const parts = [...byText].map(([text, packages]) => `${packages.join('\n')}\n\n${text}\n`);
  return `ssm-proxy contains code of these packages.\n\n${parts.join(`\n${'-'.repeat(78)}\n\n`)}`;
}

/** Folders of the packages that the files belong to, relative to `root`, sorted. */
export function bundledFolders(root, inputs) {
  const folders = new Set();
  for (const input of inputs) {
    const [folder] = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input.replaceAll('\\', '/')) ?? [];
    if (folder !== undefined && existsSync(join(root, folder, 'package.json'))) folders.add(folder);
  }
  return [...folders].sort();
}
