/** The block for ssh_config, and the one line that takes it in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAtLeast } from '../../src/ssh/client-version.ts';
import {
  isHostPattern,
  knownHostsCommandWord,
  proxyCommandWord,
  sshConfigBlock,
} from '../../src/ssh/config-block.ts';
import { withInclude, withoutInclude } from '../../src/ssh/include-line.ts';

const PATH = 'ssm-proxy.conf';
const ADDED = `# Added by "ssm-proxy ssh-config --write"; "ssm-proxy ssh-config --remove" takes it away.\nInclude ${PATH}\n`;

const request = {
  hosts: [],
  clusters: [],
  proxyCommand: 'ssm-proxy connect %h %p',
  knownHostsCommand: undefined,
  sharesConnections: false,
} as const;

function hostsOf(block: string): readonly string[] {
  return (/^Host (.*)$/m.exec(block)?.[1] ?? '').split(' ');
}

test('every private address and no other is meant', () => {
  const patterns = hostsOf(sshConfigBlock(request)).map(
    (pattern) => new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')}$`),
  );
  const isMeant = (host: string): boolean => patterns.some((pattern) => pattern.test(host));
  for (let second = 0; second < 256; second += 1) {
    assert.equal(isMeant(`172.${second}.0.1`), second >= 16 && second <= 31, `172.${second}.0.1`);
    assert.equal(isMeant(`192.${second}.0.1`), second === 168, `192.${second}.0.1`);
  }
  for (const host of ['10.0.0.1', 'i-0123456789abcdef0', 'mi-0123456789abcdef0', 'ip-10-0-0-1.ec2.internal'])
    assert.ok(isMeant(host), host);
  for (const host of ['11.0.0.1', 'github.com', 'ip', '100.10.0.1']) assert.ok(!isMeant(host), host);
});

test('patterns that were given stand in place of the usual ones, clusters beside them', () => {
  const block = sshConfigBlock({ ...request, hosts: ['10.1.*', '!10.1.9.*'], clusters: ['train'] });
  assert.deepEqual(hostsOf(block), [
    ...['10.1.*', '!10.1.9.*', 'train', 'train-head', 'train-worker*', 'head.train', 'worker*.train'],
  ]);
});

test('with shared connections ssh keeps a master for some minutes', () => {
  const lines = (block: string): readonly string[] =>
    block.split('\n').map((line) => line.trim().split(' ', 1)[0] ?? '');
  const shared = lines(sshConfigBlock({ ...request, sharesConnections: true }));
  const names = ['ControlMaster', 'ControlPath', 'ControlPersist'];
  assert.deepEqual(
    shared.filter((name) => names.includes(name)),
    names,
  );
  assert.ok(!lines(sshConfigBlock(request)).some((name) => names.includes(name)));
});

for (const [word, expected] of [
  ['ssm-proxy', 'ssm-proxy'],
  ['/opt/a b/x', "'/opt/a b/x'"],
  ['100%', '100%%'],
  ["it's", "'it'\\''s'"],
  ['team=ml', 'team=ml'],
  ['$HOME', "'$HOME'"],
] as const) {
  test(`${word} in a ProxyCommand is ${expected}`, () => assert.equal(proxyCommandWord(word), expected));
}

for (const [word, expected] of [
  ['/usr/local/bin/ssm-proxy', '/usr/local/bin/ssm-proxy'],
  ['/opt/a b/x', '"/opt/a b/x"'],
  ['100%', '100%%'],
  ['a"b\\c', '"a\\"b\\\\c"'],
] as const) {
  test(`${word} in a KnownHostsCommand is ${expected}`, () =>
    assert.equal(knownHostsCommandWord(word), expected));
}

for (const [text, expected] of [
  ['OpenSSH_8.5p1, OpenSSL', true],
  ['OpenSSH_10.0p2', true],
  ['OpenSSH_for_Windows_9.5p1', true],
  ['OpenSSH_8.4p1 Debian-5', false],
  ['OpenSSH_7.9p1', false],
  ['dropbear', true],
  [null, true],
] as const) {
  test(`${String(text)} ${expected ? 'may know' : 'does not know'} what came with OpenSSH 8.5`, () =>
    assert.equal(isAtLeast(text, [8, 5]), expected));
}

for (const [pattern, expected] of [
  ['10.1.*', true],
  ['!10.1.?', true],
  ['fd00::1', true],
  ['a b', false],
  ['a\nProxyCommand x', false],
  ['"a"', false],
  ['', false],
] as const) {
  test(`${JSON.stringify(pattern)} is ${expected ? 'a' : 'no'} host pattern`, () =>
    assert.equal(isHostPattern(pattern), expected));
}

for (const text of [
  undefined,
  '',
  'Host a\n  User b\n',
  'Host a\n  User b',
  '\n\nHost a\n',
  'Host a\r\n  User b\r\n',
  '# only a comment\n',
]) {
  test(`the line goes in once, and out without a trace: ${JSON.stringify(text)}`, () => {
    const once = withInclude(text, PATH);
    assert.ok(once.startsWith(ADDED.replaceAll('\n', once.includes('\r\n') ? '\r\n' : '\n')));
    assert.ok(once.endsWith(text ?? ''));
    assert.equal(withInclude(once, PATH), once);
    assert.equal(withoutInclude(once, PATH), text === undefined || text === '' ? undefined : text);
  });
}

test('a line that somebody wrote in another way is the line', () => {
  for (const line of [`include ${PATH}`, `  Include   "${PATH}"`, `Include=${PATH}`]) {
    const text = `# mine\n${line}\nHost a\n`;
    assert.equal(withInclude(text, PATH), text);
    assert.equal(withoutInclude(text, PATH), '# mine\nHost a\n');
  }
});

test('without the line nothing is taken away', () => {
  const text = 'Include other.conf\nHost a\n';
  assert.equal(withoutInclude(text, PATH), text);
});
