// Lint rules. Layout is Prettier's; here are correctness rules and the arrows between folders (docs/design.md).
import tseslint from 'typescript-eslint';

/** Forbids imports that match the given path patterns, with one reason. */
const noImports = (group, message) => ({
  'no-restricted-imports': ['error', { patterns: [{ group, message }] }],
});
const ioModules = [
  'node:net',
  'node:tls',
  'node:http',
  'node:https',
  'node:fs',
  'node:fs/*',
  'node:dgram',
  'node:child_process',
  'node:timers',
  'node:timers/*',
  'node:process',
  'node:os',
  'node:perf_hooks',
  'ws',
  'ssh2',
  '@aws-sdk/*',
  '@smithy/*',
];
const noGlobals = [
  'Date',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'process',
  'performance',
  'console',
  'fetch',
  'queueMicrotask',
].map((name) => ({
  name,
  message: 'The core has no clock, no process and no output: take it as an argument.',
}));

export default tseslint.config(
  { ignores: ['build/', 'dist/', 'node_modules/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', caughtErrors: 'none' }],
      'prefer-const': 'error',
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    files: ['test/**/*.ts', 'scripts/**/*.ts'],
    rules: {
      // node:test's describe/it return promises that the runner awaits.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              name: ['test', 'it', 'describe', 'suite', 'before', 'after', 'beforeEach', 'afterEach'],
              package: 'node:test',
            },
          ],
        },
      ],
      '@typescript-eslint/no-non-null-assertion': 'off',
      'no-console': 'off',
    },
  },
  {
    files: ['**/*.mjs', '*.js'],
    languageOptions: {
      globals: Object.fromEntries(
        ['process', 'URL', 'Buffer', 'setTimeout', 'clearTimeout', 'AbortController'].map((name) => [
          name,
          'readonly',
        ]),
      ),
    },
    rules: {
      'no-undef': 'error',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_', caughtErrors: 'none' }],
      'prefer-const': 'error',
      eqeqeq: 'error',
    },
  },
  {
    files: ['src/protocol/**/*.ts', 'src/mux/**/*.ts'],
    rules: {
      ...noImports(
        [...ioModules, '**/cli/**', '**/aws/**', '**/session/**', '**/transport/**', '**/emulator/**'],
        'protocol and mux are pure: bytes and decisions, no I/O.',
      ),
      'no-restricted-globals': ['error', ...noGlobals],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'Take randomness as an argument.' },
      ],
    },
  },
  {
    files: ['src/session/**/*.ts'],
    rules: noImports(
      ['**/cli/**', '**/emulator/**', '@aws-sdk/*', 'ws'],
      'session knows no command line and no SDK.',
    ),
  },
  {
    files: ['src/aws/**/*.ts', 'src/transport/**/*.ts'],
    rules: noImports(['**/cli/**', '**/emulator/**', '**/session/**'], 'edges do not import what uses them.'),
  },
  {
    files: ['src/sso/**/*.ts'],
    rules: noImports(
      ['**/cli/**', '**/emulator/**', '**/session/**', '**/opening/**'],
      'logging in knows AWS and the network, not who wants it.',
    ),
  },
  {
    files: ['src/check/**/*.ts'],
    rules: noImports(['**/cli/**', '**/emulator/**'], 'checks find out; the command line says it.'),
  },
  {
    files: ['src/host-keys/**/*.ts'],
    rules: noImports(['**/cli/**', '**/emulator/**'], 'host keys know AWS and sessions, not who asks.'),
  },
  {
    files: ['src/emulator/**/*.ts'],
    rules: noImports(
      [
        '**/cli/**',
        '**/session/**',
        '**/aws/**',
        '**/protocol/channel.ts',
        '**/protocol/outbox.ts',
        '**/protocol/inbox.ts',
      ],
      'the emulator must be able to disagree with the client: it shares only the codec.',
    ),
  },
);
