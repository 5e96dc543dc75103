// esbuild plugins that make the bundle small and quick to load. They act at build time only.
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * AWS SDK schemas are arrays with computed keys, `[[1, { [_eQN]: 'Min' }]]`. A computed key may have side effects, so
 * esbuild must keep every schema of a client. Each `_x` is a string constant of the same file: written as a plain
 * key the arrays are provably pure, and unused ones go (client-ec2: 553 KB down to 22 KB). A size test guards this,
 * since a new layout in the SDK would switch it off without a word.
 */
export const literalSchemaKeys = {
  name: 'literal-schema-keys',
  setup(build) {
    build.onLoad(
      { filter: /dist-es[\\/](submodules[\\/][^\\/]+[\\/])?schemas[\\/]schemas_\d+\.js$/ },
      (args) => {
        const source = readFileSync(args.path, 'utf8');
        const keys = new Map();
        for (const [, name, text] of source.matchAll(/^const (_\w+) = ("(?:[^"\\]|\\.)*");$/gm))
          keys.set(name, text);
        const contents = source.replace(/\[(_\w+)\]:/g, (all, name) =>
          keys.has(name) ? `${keys.get(name)}:` : all,
        );
        return { loader: 'js', contents };
      },
    );
  },
};

/**
 * yargs brings three copies of string-width; each builds an Intl.Segmenter when it is loaded (13 ms each). All are
 * replaced by one that does so only for text beyond ASCII.
 */
export function shimStringWidth(shimPath) {
  return {
    name: 'shim-string-width',
    setup(build) {
      build.onResolve({ filter: /^string-width$/ }, () => ({ path: shimPath }));
    },
  };
}

/**
 * Every SDK client imports the whole chain of credential sources, for the case that it is given none. Ours are always
 * given theirs, so the chain is loaded only if it is called.
 */
export const lazyCredentialChain = {
  name: 'lazy-credential-chain',
  setup(build) {
    const chain = '@aws-sdk/credential-provider-node';
    build.onResolve({ filter: /^@aws-sdk\/credential-provider-node$/ }, ({ importer }) =>
      /client-[\w-]+[\\/]dist-es[\\/]runtimeConfig\.js$/.test(importer)
        ? { path: importer, namespace: 'lazy-credential-chain' }
        : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: 'lazy-credential-chain' }, ({ path }) => ({
      contents: `export const defaultProvider = (init) => async (...args) =>
        (await import('${chain}')).defaultProvider(init)(...args);`,
      resolveDir: dirname(path),
    }));
  },
};
