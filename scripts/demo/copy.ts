/** A file of random bytes, copied to a node and back; equal by SHA-256. */
import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DescribedInstance } from '../../src/emulator/describe.ts';
import type { Cluster } from './cluster.ts';
import { runProgram } from './program.ts';

/** Lines that tell what happened. Rejects if the copy differs. */
export async function copyBothWays(
  cluster: Cluster,
  node: DescribedInstance,
  folder: string,
  bytes: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const original = join(folder, 'file');
  const back = join(folder, 'back');
  await writeFile(original, randomBytes(bytes));
  const scp = (from: string, to: string) =>
    runProgram('scp', ['-q', '-F', cluster.facts.sshConfig, from, to], { folder, signal });
  const startedAt = performance.now();
  await scp(original, `${node.privateIp}:copy`);
  const uploadedAt = performance.now();
  await scp(`${node.privateIp}:copy`, back);
  const downloadedAt = performance.now();
  const [sent, received] = await Promise.all([sha256(original), sha256(back)]);
  if (sent !== received) throw new Error(`the file came back different: ${sent} is now ${received}`);
  return [
    `${bytes} bytes there in ${seconds(uploadedAt - startedAt)} and back in ${seconds(downloadedAt - uploadedAt)}`,
    `SHA-256 before ${sent}`,
    `SHA-256 after  ${received}`,
  ];
}

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
