/**
 * The quick start for somebody who uses ssh, as it stands: its ssh config and its shell lines, run one after the other
 * against the emulator, whose nodes have the addresses of the page. Also the completion lines of the installation page.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { projectRoot } from '../support/cli.ts';
import type { Cluster } from '../support/cluster.ts';
import { startCluster } from '../support/cluster.ts';
import { shellLines } from '../support/doc-lines.ts';
import type { Program, ProgramResult } from '../support/programs.ts';
import { findProgram, skipWithout } from '../support/programs.ts';
import { programFolder } from '../support/shell-line.ts';
import { until } from '../support/until.ts';

const read = (page: string): string =>
  readFileSync(join(projectRoot, 'docs', page), 'utf8').replace(/^ {3}/gm, '');
/** Up to the next reader: installation apart, everything there can be run. */
const [, forSshUsers = ''] = /^## You use ssh\n([^]*?)^## /m.exec(read('quick-start.md')) ?? [];

/** `ssh` and `scp` read `~/.ssh/config` of the user who runs the tests, whatever HOME says: these read the page's. */
function linkWithConfig(folder: string, program: string, config: string): void {
  const text = `#!/bin/sh\nexec '${findProgram(program)}' -F '${config}' "$@"\n`;
  writeFileSync(join(folder, program), text, { mode: 0o755 });
}

describe('the quick start', { skip: skipWithout('ssh', 'scp') }, () => {
  let cluster: Cluster;
  let folder = '';
  let work = '';

  before(async () => {
    cluster = await startCluster({ withSshd: false, nodes: 2 });
    folder = programFolder(cluster);
    work = join(cluster.directory, 'work');
    mkdirSync(work);
    const [, block = ''] = /```\n(Host [^]*?)```/.exec(forSshUsers) ?? [];
    const config = join(cluster.directory, 'page_ssh_config');
    // What a person has: a key that the node knows, and its host key.
    const rest = readFileSync(cluster.sshConfigFile, 'utf8').replace(/^ +ProxyCommand .*\n/m, '');
    writeFileSync(config, `${block}\n${rest}`);
    for (const program of ['ssh', 'scp']) linkWithConfig(folder, program, config);
  });
  after(() => cluster.close());

  const start = (line: string): Program =>
    cluster.start('sh', ['-c', line], {
      cwd: work,
      env: {
        PATH: `${folder}:${cluster.env['PATH'] ?? ''}`,
        XDG_CONFIG_HOME: join(cluster.directory, 'config'),
      },
    });
  const shell = (line: string): Promise<ProgramResult> => start(line).finished;

  const lines = shellLines(forSshUsers).filter(({ words }) => words[0] !== 'npm');
  test('has lines to run', () => assert.ok(lines.length >= 7));

  for (const { line, words } of lines) {
    test(line, async () => {
      if (words.includes('--watch')) {
        const watch = start(`exec ${line}`);
        await until('it shows the nodes', () => watch.outputSoFar().includes('10.0.1.11'));
        watch.child.kill('SIGINT');
        const { status, stderr } = await watch.finished;
        assert.deepEqual([status, stderr], [0, '']);
        return;
      }
      const { status, stdout, stderr } = await shell(line);
      assert.deepEqual([status, stderr], [0, '']);
      if (line.endsWith('cat hello.txt')) assert.equal(stdout.toString(), 'hello\n');
      if (line.includes('resolve')) assert.match(stdout.toString(), /running[^]*online/);
    });
  }

  for (const { line } of shellLines(read('troubleshooting.md'))) {
    test(`troubleshooting: ${line}`, async () => {
      // A log goes to stderr: what is asked for there.
      const { status, stderr } = await shell(line.replaceAll('10.0.1.10', '10.0.1.11'));
      assert.equal(status, 0, stderr);
    });
  }

  for (const { line } of shellLines(read('install.md'))) {
    const [, name = ''] = /completion (\w+)/.exec(line) ?? [];
    if (name === '') continue;
    test(`installing: ${line}`, { skip: skipWithout(name) }, async () => {
      const before = name === 'zsh' ? 'autoload -Uz compinit; compinit -u -D; ' : '';
      const { status, stderr } = await shell(`${name} -c '${before}${line.replaceAll("'", "'\\''")}'`);
      assert.deepEqual([status, stderr], [0, '']);
    });
  }
});
