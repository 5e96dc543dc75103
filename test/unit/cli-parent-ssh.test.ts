import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { connectTimes, parentSshTimeoutMs } from '../../src/cli/parent-ssh.ts';
import { sshConnectTimeoutMs, sshIgnoresHostKeys } from '../../src/cli/ssh-arguments.ts';

describe('ConnectTimeout in the arguments of ssh', () => {
  const rows: readonly (readonly [args: string, timeoutMs: number | undefined])[] = [
    ['-o ConnectTimeout=10 host', 10_000],
    ['-oConnectTimeout=10 host', 10_000],
    ['-o|ConnectTimeout 10|host', 10_000],
    ['-o|ConnectTimeout = 10|host', 10_000],
    ['-o|connecttimeout="10"|host', 10_000],
    ['-o ConnectTimeout=10s host', 10_000],
    ['-o ConnectTimeout=2M host', 120_000],
    ['-o ConnectTimeout=1h30m5 host', 5_405_000],
    ['-o ConnectTimeout=none host', undefined],
    ['-o ConnectTimeout=0 host', undefined],
    ['-o ConnectTimeout=soon host', undefined],
    ['-o ConnectTimeout= host', undefined],
    // The first value counts.
    ['-o ConnectTimeout=5 -o ConnectTimeout=50 host', 5_000],
    ['-o ServerAliveInterval=5 -o ConnectTimeout=7 host', 7_000],
    // Options may follow the host; what follows those is the command.
    ['host -o ConnectTimeout=7 true', 7_000],
    ['host true -o ConnectTimeout=7', undefined],
    ['-- host -o ConnectTimeout=7', undefined],
    // Clusters, and values that look like options.
    ['-4vo ConnectTimeout=3 host', 3_000],
    ['-vvoConnectTimeout=3 host', 3_000],
    ['-i -oConnectTimeout=3 host', undefined],
    ['-p 22 -i key -L 1:h:2 -oConnectTimeout=3 user@host', 3_000],
    ['-W [h]:22 -o ConnectTimeout=3 jump', 3_000],
    ['-o', undefined],
    ['host', undefined],
    ['', undefined],
  ];
  for (const [text, timeoutMs] of rows) {
    it(`is ${timeoutMs === undefined ? 'not set' : `${timeoutMs} ms`} in: ssh ${text}`, () => {
      const args = text.split(text.includes('|') ? '|' : ' ').filter((word) => word !== '');
      assert.equal(sshConnectTimeoutMs(args), timeoutMs);
    });
  }
});

for (const [text, expected] of [
  ['-T -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null host', true],
  ['-oStrictHostKeyChecking=OFF host', true],
  ['-o StrictHostKeyChecking=accept-new host', false],
  ['-o StrictHostKeyChecking=yes -o StrictHostKeyChecking=no host', false],
  ['host', false],
] as const) {
  it(`host keys ${expected ? 'do not matter' : 'matter'} to: ssh ${text}`, () =>
    assert.equal(sshIgnoresHostKeys(text.split(' ')), expected));
}

describe('the ssh above this process', () => {
  const proc = mkdtempSync(join(tmpdir(), 'ssm-proxy-proc-'));
  after(() => rmSync(proc, { recursive: true }));
  const addProcess = (pid: number, parent: number, ...words: readonly string[]): void => {
    mkdirSync(join(proc, String(pid)));
    writeFileSync(join(proc, String(pid), 'cmdline'), words.map((word) => `${word}\0`).join(''));
    writeFileSync(join(proc, String(pid), 'stat'), `${pid} (a) b) S ${parent} 1 1 0`);
  };
  addProcess(10, 1, '/usr/bin/ssh', '-o', 'ConnectTimeout=10', '10.0.1.10', 'echo', 'a b');
  addProcess(11, 10, '/bin/bash', '-c', 'ssm-proxy connect 10.0.1.10 22');
  addProcess(12, 11, '-zsh');
  addProcess(13, 12, 'sh');
  addProcess(20, 10, 'python3', 'launcher.py');
  addProcess(21, 20, 'sh', '-c', 'x');
  addProcess(30, 1, 'sshd: user');

  it('is the parent', () => assert.equal(parentSshTimeoutMs(10, proc), 10_000));
  it('is found above shells', () => assert.equal(parentSshTimeoutMs(12, proc), 10_000));
  it('is not looked for further up than three generations', () =>
    assert.equal(parentSshTimeoutMs(13, proc), undefined));
  it('is not looked for above other programs', () => assert.equal(parentSshTimeoutMs(21, proc), undefined));
  it('is not sshd', () => assert.equal(parentSshTimeoutMs(30, proc), undefined));
  it('is nobody when the parent has gone', () => assert.equal(parentSshTimeoutMs(99, proc), undefined));
});

describe('the time to connect', () => {
  const rows: readonly (readonly [
    name: string,
    asked: number | undefined,
    ssh: number | undefined,
    expected: number,
    limit: RegExp,
  ])[] = [
    ['30 s when nobody says anything', undefined, undefined, 30_000, /connect-timeout/],
    ['what was asked for', 90_000, undefined, 90_000, /connect-timeout/],
    ['ends before ssh does', undefined, 10_000, 9_450, /ssh/],
    ['ends before ssh does, also when that is late', undefined, 120_000, 119_450, /ssh/],
    ['ends before ssh does, whatever was asked for', 60_000, 10_000, 9_450, /ssh/],
    ['what was asked for when ssh waits longer', 5_000, 10_000, 5_000, /connect-timeout/],
    ['leaves most of a short time', undefined, 1_000, 750, /ssh/],
    ['never runs out before it begins', undefined, 10, 1, /ssh/],
  ];
  for (const [name, asked, ssh, expected, limit] of rows) {
    it(name, () => {
      const times = connectTimes(asked, ssh, 50);
      assert.equal(times.connectTimeoutMs, expected);
      assert.match(times.limitName, limit);
      assert.equal(times.isSshWaiting, ssh !== undefined);
    });
  }
});
