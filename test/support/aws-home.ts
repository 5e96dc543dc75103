/** A home directory with AWS config files, and an environment that knows nothing else of the machine. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface AwsHome {
  readonly directory: string;
  /** HOME and no metadata service. */
  readonly env: NodeJS.ProcessEnv;
  /** Writes a file below the home directory and returns its path. */
  write(name: string, content: string): string;
  [Symbol.dispose](): void;
}

export interface AwsHomeFiles {
  readonly config?: string;
  readonly credentials?: string;
}

export function createAwsHome(files: AwsHomeFiles = {}): AwsHome {
  const directory = mkdtempSync(join(tmpdir(), 'ssm-proxy-home-'));
  const write = (name: string, content: string): string => {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  };
  if (files.config !== undefined) write('.aws/config', files.config);
  if (files.credentials !== undefined) write('.aws/credentials', files.credentials);
  return {
    directory,
    env: { HOME: directory, AWS_EC2_METADATA_DISABLED: 'true' },
    write,
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

const FOREIGN = /^(AWS_|NODE_EXTRA_CA_CERTS$|(HTTPS?|ALL|NO)_PROXY$)/i;

/**
 * Makes `env` the process's own AWS, proxy and home settings, since the SDK's providers read process.env. Returns
 * what puts the old ones back.
 */
export function replaceProcessEnv(env: NodeJS.ProcessEnv): () => void {
  const old = { ...process.env };
  for (const name of Object.keys(process.env)) if (FOREIGN.test(name)) delete process.env[name];
  Object.assign(process.env, env);
  return () => {
    for (const name of Object.keys(process.env)) if (!(name in old)) delete process.env[name];
    Object.assign(process.env, old);
  };
}
