/**
 * The files that the build joins from what a connection needs (scripts/packs.mjs), loaded through the code cache. Each is
 * loaded shortly before its first import(), which then finds it.
 */
import { fileURLToPath } from 'node:url';
import { CodeCache } from './code-cache.ts';
import type { Environment } from './option-values.ts';

/** `base`: up to the first packet, and shared sessions. `connect`: a session. `ec2`: for targets that have to be looked up. */
export type PackName = 'base' | 'connect' | 'ec2';

/** Put in by the build: a hash of the packs' content. */
const BUILD = '__SSM_PROXY_BUILD__';

export interface Packs {
  load(name: PackName): void;
  /** Writes the code cache if there is something to write. Blocks for some 10 ms. */
  save(): void;
}

export function openPacks(env: Environment): Packs {
  const cache = new CodeCache(env);
  return {
    load: (name) => cache.load(fileURLToPath(new URL(`chunks/${name}-${BUILD}.cjs`, import.meta.url))),
    save: () => cache.save(),
  };
}
