/**
 * Files of an emulated node that are not this machine's: what its commands find below /etc/ssh. Commands run on this
 * machine, so for each that names such a path the files are laid into a folder of its own, and the path leads there.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** Text by absolute path, all directly below /etc/ssh. */
export type NodeFiles = Readonly<Record<string, string>>;

const FOLDER = '/etc/ssh/';
/** Not the end of a longer path. */
const NAMED = /(?<![\w.-])\/etc\/ssh\//g;
/** A path that needs no quotes in any shell. */
const PLAIN = /^[\w@%+=:,./-]+$/;

export interface PlacedFiles {
  /** The command's words, with the paths as they are on this machine. */
  readonly words: readonly string[];
  /** To be called when the command has ended. Idempotent. */
  remove(): void;
}

/** The host keys as sshd has them: `ssh_host_ed25519_key.pub` and its kin. `hostKeys`: lines of type, base64, comment. */
export function hostKeyFiles(hostKeys: readonly string[]): NodeFiles {
  return Object.fromEntries(
    hostKeys.map((line) => {
      const [type = ''] = line.split(' ');
      const kind = type.replace(/^ssh-/, '').replace(/^ecdsa-.*/, 'ecdsa');
      return [`${FOLDER}ssh_host_${kind}_key.pub`, `${line}\n`];
    }),
  );
}

export function placeFiles(words: readonly string[], files: NodeFiles): PlacedFiles {
  const unchanged: PlacedFiles = { words, remove: () => {} };
  if (!words.some((word) => word.search(NAMED) >= 0)) return unchanged;
  const root = mkdtempSync(join(tmpdir(), 'ssm-proxy-node-'));
  const remove = (): void => rmSync(root, { recursive: true, force: true });
  if (!PLAIN.test(root)) {
    remove();
    return unchanged;
  }
  const folder = join(root, FOLDER);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, basename(path)), text);
  return { words: words.map((word) => word.replace(NAMED, `${folder}`)), remove };
}
