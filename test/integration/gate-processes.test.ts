/** Processes that share turns: each one counts, none waits for one that was killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SharedText } from '../../src/gate/shared-text.ts';

const PROCESSES = 8;
const CHANGES = 200;
const moduleUrl = new URL('../../src/gate/shared-text.js', import.meta.url).href;

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'ssm-proxy-processes-'));
});
after(() => rmSync(directory, { recursive: true }));

/** Adds 1 to a number so many times, each time reading what is there; `Infinity`: until it is killed. */
function countUp(name: string, changes: number): ChildProcess {
  const program = `
    const { SharedText } = await import(${JSON.stringify(moduleUrl)});
    const shared = new SharedText(${JSON.stringify(directory)}, ${JSON.stringify(name)});
    process.stdout.write('started');
    for (let change = 0; change < ${changes}; change += 1) {
      if (!shared.update((text) => String(Number(text ?? 0) + 1))) process.exit(3);
    }`;
  return spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

test('no change of many processes at once is lost', async () => {
  const children = Array.from({ length: PROCESSES }, () => countUp('sum', CHANGES));
  const ends = await Promise.all(children.map((child) => once(child, 'exit')));
  assert.deepEqual(
    ends.map(([status]) => status as unknown),
    children.map(() => 0),
  );
  assert.equal(new SharedText(directory, 'sum').read(), String(PROCESSES * CHANGES));
});

test('a process that is killed in the middle of its changes is in nobody’s way', async () => {
  const shared = new SharedText(directory, 'killed');
  for (let round = 0; round < 4; round += 1) {
    const child = countUp('killed', Infinity);
    const ended = once(child, 'exit');
    await once(child.stdout!, 'data');
    child.kill('SIGKILL');
    await ended;
    const before = Number(shared.read() ?? 0);
    assert.equal(
      shared.update((text) => String(Number(text ?? 0) + 1)),
      true,
    );
    assert.equal(shared.read(), String(before + 1));
  }
});
