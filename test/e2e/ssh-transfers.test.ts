/**
 * Files each way with every tool, compared by hash. 100 MB each way through the real sshd and 20 MB through the
 * built-in server, with the paces of both sides lifted to spare time; 3 MB each way at the usual paces with one tool.
 */
import assert from 'node:assert/strict';
import { createHash, randomFillSync } from 'node:crypto';
import { createReadStream, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Cluster, RunOptions } from '../support/cluster.ts';
import { FAR_ENDS, NO_PACE, startCluster } from '../support/cluster.ts';
import type { ProgramResult } from '../support/programs.ts';
import { skipWithout } from '../support/programs.ts';

interface Copy {
  readonly cluster: Cluster;
  readonly host: string;
  readonly from: string;
  readonly to: string;
  readonly options: RunOptions;
}

interface Tool {
  readonly name: string;
  upload(copy: Copy): Promise<ProgramResult>;
  download(copy: Copy): Promise<ProgramResult>;
}

const SCP: Tool = {
  name: 'scp',
  upload: ({ cluster, host, from, to, options }) =>
    cluster.run('scp', ['-q', '-F', cluster.sshConfigFile, from, `${host}:${to}`], options),
  download: ({ cluster, host, from, to, options }) =>
    cluster.run('scp', ['-q', '-F', cluster.sshConfigFile, `${host}:${from}`, to], options),
};

const TOOLS: readonly Tool[] = [
  SCP,
  {
    name: 'sftp',
    upload: ({ cluster, host, from, to, options }) =>
      cluster.run('sftp', ['-q', '-b', '-', '-F', cluster.sshConfigFile, host], {
        ...options,
        input: `put ${from} ${to}\n`,
      }),
    download: ({ cluster, host, from, to, options }) =>
      cluster.run('sftp', ['-q', '-b', '-', '-F', cluster.sshConfigFile, host], {
        ...options,
        input: `get ${from} ${to}\n`,
      }),
  },
  {
    name: 'rsync',
    upload: ({ cluster, host, from, to, options }) =>
      cluster.run('rsync', ['-e', `ssh -F ${cluster.sshConfigFile}`, from, `${host}:${to}`], options),
    download: ({ cluster, host, from, to, options }) =>
      cluster.run('rsync', ['-e', `ssh -F ${cluster.sshConfigFile}`, `${host}:${from}`, to], options),
  },
  {
    name: 'ssh',
    upload: async ({ cluster, host, from, to, options }) => {
      const program = cluster.startSsh([host, `cat > ${to}`], { ...options, keepsInput: true });
      createReadStream(from).pipe(program.stdin);
      return program.finished;
    },
    download: async ({ cluster, host, from, to, options }) => {
      const result = await cluster.ssh([host, `cat ${from}`], options);
      writeFileSync(to, result.stdout);
      return result;
    },
  },
];

let cluster: Cluster;
let localFolder: string;
let farFolder: string;

before(async () => {
  cluster = await startCluster();
  localFolder = join(cluster.directory, 'local');
  farFolder = join(cluster.directory, 'far');
  mkdirSync(localFolder);
  mkdirSync(farFolder);
});
after(() => cluster.close());
afterEach(async () => {
  cluster.reset();
  await cluster.checkNothingLeft();
});

for (const { name, host, skip } of FAR_ENDS) {
  const bulkMegabytes = name === 'real sshd' ? 100 : 20;
  for (const tool of TOOLS) {
    const skipTool = skip || skipWithout('ssh', tool.name);
    describe(`${tool.name} with the ${name}`, { skip: skipTool }, () => {
      test(`carries ${bulkMegabytes} MB each way`, async () => {
        cluster.liftPaces();
        await copyBothWays(tool, host, bulkMegabytes * 1_000_000 + 1, { env: NO_PACE });
      });
    });
  }

  describe(`scp with the ${name}`, { skip: skip || skipWithout('ssh', 'scp') }, () => {
    test('carries 3 MB each way at the usual paces', () => copyBothWays(SCP, host, 3_000_001, {}));
  });
}

async function copyBothWays(tool: Tool, host: string, size: number, options: RunOptions): Promise<void> {
  const original = join(localFolder, 'original');
  const far = join(farFolder, 'uploaded');
  const back = join(localFolder, 'back');
  writeFileSync(original, randomFillSync(Buffer.allocUnsafe(size)));
  try {
    const wanted = await hashOf(original);
    for (const [direction, from, to] of [
      ['upload', original, far],
      ['download', far, back],
    ] as const) {
      const { status, stderr } = await tool[direction]({ cluster, host, from, to, options });
      assert.deepEqual({ direction, status, stderr }, { direction, status: 0, stderr: '' });
      assert.equal(await hashOf(to), wanted, `hash after the ${direction}`);
    }
  } finally {
    for (const file of [original, far, back]) rmSync(file, { force: true });
  }
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest('hex');
}
