// Fingerprints of input files, so that a step (build, lint, ...) whose inputs are unchanged is not done again.
// A stamp is a small file in .stamp/ that holds the fingerprint of the last successful run.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

/** Hex digest over names and contents of `paths` (files, or folders taken whole) relative to `root`. */
export function fingerprint(root, paths, salt = '') {
  const hash = createHash('sha256').update(
    `${process.version} ${process.platform} ${process.arch} ${salt}\n`,
  );
  for (const file of listFiles(root, paths)) {
    const content = readFileSync(join(root, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** Files below `paths`, relative to `root` with `/`, sorted. Paths that do not exist are left out. */
export function listFiles(root, paths) {
  const found = [];
  const visit = (path) => {
    const info = statSync(path, { throwIfNoEntry: false });
    if (info === undefined) return;
    if (info.isDirectory()) for (const name of readdirSync(path)) visit(join(path, name));
    else if (info.isFile()) found.push(relative(root, path).split(sep).join('/'));
  };
  for (const path of paths) visit(join(root, path));
  return [...new Set(found)].sort();
}

/** The stamp `name`: fresh when the last success had this fingerprint. */
export function stamp(root, name, print) {
  const file = join(root, '.stamp', name);
  return {
    isFresh() {
      try {
        return readFileSync(file, 'utf8') === print;
      } catch {
        return false;
      }
    },
    set() {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, print);
    },
    clear: () => rmSync(file, { force: true }),
  };
}
