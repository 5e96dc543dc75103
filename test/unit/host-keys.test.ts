/** Host keys as text, what is kept of them, and who reads when several want to. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { knownFinding } from '../../src/check/host-key-state.ts';
import { generateSshKeyPair } from '../../src/emulator/node-keys.ts';
import { claim } from '../../src/gate/claim.ts';
import { KEY_LIFE_MS, KeyFiles } from '../../src/host-keys/key-files.ts';
import type { HostKey } from '../../src/host-keys/public-keys.ts';
import {
  fingerprintOf,
  isHostName,
  knownHostsLines,
  parseConsole,
  parseHostKeys,
  typeOfKey,
} from '../../src/host-keys/public-keys.ts';

/** Keys made by ssh-keygen of OpenSSH 9.2, and the fingerprint that it shows for the first one. */
const ED25519 = 'AAAAC3NzaC1lZDI1NTE5AAAAIMIsblWdUO1zMVsBZ2UQ1UcuvT5BBdA7mp5Z01Y9yWO8';
const ED25519_FINGERPRINT = 'SHA256:6VEvyCA/YTnciWx+RFEaxtRL0ljdMeg13lCBGntgJPQ';
const ECDSA =
  'AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHfoSdNzABg/IRlYEGbEmjLaSChZyVxnXn9zCQP80JaY5EslBej/mKOmDpfZM3xlN8cxCj0w3RocIrBU6EAnyNs=';
const RSA =
  'AAAAB3NzaC1yc2EAAAADAQABAAABAQDOCcLbwVshBea9/NV/9u8rpULxHDJHYvzC14EgorVxQCsrQ6bujMiVpdfXOQMdOg+p1DpiHx7428djroRE12ta6tFAQkRv/EbcViSp7L9olB/TUiQcUY4kBHnLMqVNHJxPMLgeYNkR6X9rFwWjEpnLy4Pzwms2zD232Cc8VHJfjKH1DzqvETTRuAtJTgA+1+fqIEBmNb+I15Go5ZkGTz1Rbh07bOq+COK69eX4YFQpPRhOoBtkz51dNISl3wOd1X+c3XIjs/mqbKskCbXUUdzKH4uZ2D5wRxipzMVFiuA2UXjZvrLsm03FubJzJ5hiyvLYXRWXW3OZiNMUOO8aTCij';

const key = (type: string, base64: string): HostKey => ({ type, base64 });
const ED = key('ssh-ed25519', ED25519);

test('the keys of a node are taken, whatever else stands in their lines', () => {
  const text = `ssh-ed25519 ${ED25519} root@ip-10-0-1-5\necdsa-sha2-nistp256 ${ECDSA} root@x\r\n[ 9.1] ci: ssh-rsa ${RSA}\n`;
  assert.deepEqual(parseHostKeys(text), [ED, key('ecdsa-sha2-nistp256', ECDSA), key('ssh-rsa', RSA)]);
  assert.deepEqual(parseHostKeys(`${text}${text}`).length, 3);
});

const cut = Buffer.from(ED25519, 'base64').subarray(0, -1).toString('base64');
const longer = Buffer.concat([Buffer.from(ED25519, 'base64'), Buffer.of(0)]).toString('base64');
/** The last letter before `=` has two bits that count for nothing. */
const respelt = ECDSA.replace(
  /(.)=$/,
  (_all, letter: string) => `${String.fromCharCode(letter.charCodeAt(0) + 1)}=`,
);
assert.deepEqual(Buffer.from(respelt, 'base64'), Buffer.from(ECDSA, 'base64'));
for (const [name, line] of [
  ['another type than the bytes say', `ssh-rsa ${ED25519}`],
  ['a type that sshd has not', `ssh-dss ${ED25519}`],
  ['a name of Object', `constructor ${ED25519}`],
  ['a key that is cut off', `ssh-ed25519 ${cut}`],
  ['a key with something behind', `ssh-ed25519 ${longer}`],
  ['base64 that could be written in another way', `ecdsa-sha2-nistp256 ${respelt}`],
  ['words of the key apart', `ssh-ed25519 ${ED25519.slice(0, 20)} ${ED25519.slice(20)}`],
  ['a key glued to something', `ssh-ed25519 ${ED25519}!x`],
  ['nothing', ''],
] as const) {
  test(`${name} is no key`, () => assert.deepEqual(parseHostKeys(line), []));
}

test('no more keys are taken than a node can have', () => {
  const lines = Array.from({ length: 50 }, () => generateSshKeyPair('x').publicKey);
  assert.equal(parseHostKeys(lines.join('\n')).length, 20);
});

test('of a console the last whole block counts, and nothing outside of it', () => {
  const block = (base64: string): string =>
    `-----BEGIN SSH HOST KEY KEYS-----\r\nssh-rsa ${base64}\r\n-----END SSH HOST KEY KEYS-----\r\n`;
  const [, other = ''] = generateSshKeyPair('x').publicKey.split(' ');
  const outside = `ssh-ed25519 ${other}\n`;
  assert.deepEqual(parseConsole(`${block('AAAA')}${outside}${block(RSA)}${outside}`), [key('ssh-rsa', RSA)]);
  assert.deepEqual(parseConsole(`${outside}-----BEGIN SSH HOST KEY KEYS-----\nssh-rsa ${RSA}\n`), []);
  assert.deepEqual(parseConsole(''), []);
});

test('lines for ssh, and fingerprints as ssh shows them', () => {
  assert.equal(knownHostsLines('[10.0.1.5]:2222', [ED]), `[10.0.1.5]:2222 ssh-ed25519 ${ED25519}\n`);
  assert.equal(fingerprintOf(ED), ED25519_FINGERPRINT);
  assert.equal(typeOfKey(ED25519), 'ssh-ed25519');
  assert.equal(typeOfKey('NONE'), undefined);
});

for (const [host, expected] of [
  ['10.0.1.5', true],
  ['fd00::1', true],
  ['[10.0.1.5]:2222', true],
  ['gpu-node_1', true],
  ['*', false],
  ['a,b', false],
  ['!a', false],
  ['|1|x|y', false],
  ['a b', false],
  ['@revoked', false],
  ['a\nb', false],
  ['', false],
] as const) {
  test(`${JSON.stringify(host)} ${expected ? 'stands' : 'does not stand'} for itself in known_hosts`, () =>
    assert.equal(isHostName(host), expected));
}

const [, OTHER = ''] = generateSshKeyPair('x').publicKey.split(' ');
for (const [name, known, level] of [
  ['nothing known', [], 'ok'],
  ['the same', [ED], 'ok'],
  ['another beside it', [ED, key('ssh-ed25519', OTHER)], 'warning'],
  ['only another', [key('ssh-ed25519', OTHER)], 'failed'],
] as const) {
  test(`known_hosts and the node: ${name}`, () => {
    const finding = knownFinding('10.0.1.5', [ED], known);
    assert.equal(finding.level, level);
    if (level !== 'ok') assert.match(finding.fix ?? '', /ssh-keygen -R 10\.0\.1\.5$/);
  });
}

describe('files', () => {
  const NOW = 1_800_000_000_000;
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'ssm-proxy-keys-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  test('keys are kept for a day, a denial for an hour, another failure for half a minute', () => {
    const files = new KeyFiles(directory);
    files.store('k', { kind: 'keys', keys: [ED], source: 'console' }, NOW);
    const kept = files.find('k', NOW + KEY_LIFE_MS);
    assert.deepEqual(kept, { atMs: NOW, entry: { kind: 'keys', keys: [ED], source: 'console' } });
    assert.equal(files.find('k', NOW + KEY_LIFE_MS + 1), undefined);
    for (const [code, lifeMs] of [
      ['ACCESS_DENIED', 3_600_000],
      ['SERVICE_ERROR', 30_000],
    ] as const) {
      files.store(code, { kind: 'failure', code, message: 'why' }, NOW);
      assert.deepEqual(files.find(code, NOW + lifeMs)?.entry, { kind: 'failure', code, message: 'why' });
      assert.equal(files.find(code, NOW + lifeMs + 1), undefined, code);
    }
  });

  test('a file that others could have read or written counts as none', () => {
    const files = new KeyFiles(directory);
    files.store('k', { kind: 'keys', keys: [ED], source: 'session' }, NOW);
    const [name = ''] = readdirSync(join(directory, 'host-keys'));
    chmodSync(join(directory, 'host-keys', name), 0o644);
    assert.equal(files.find('k', NOW), undefined);
  });

  test('of several one has the claim, until it is released or lapses', () => {
    const first = claim(directory, 'x', 1000, NOW);
    assert.ok(first !== undefined);
    assert.equal(claim(directory, 'x', 1000, NOW + 500), undefined);
    assert.ok(claim(directory, 'y', 1000, NOW + 500) !== undefined);
    first.release();
    assert.ok(claim(directory, 'x', 1000, NOW + 600) !== undefined);
    assert.ok(claim(directory, 'x', 1000, NOW + 1700) !== undefined);
  });

  test('a claim from the future, or none at all, holds nobody up; nor does a directory that is not there', () => {
    symlinkSync(String(NOW + 1e9), join(directory, 'claim-x'));
    symlinkSync('nonsense', join(directory, 'claim-y'));
    for (const name of ['x', 'y']) assert.ok(claim(directory, name, 1000, NOW) !== undefined, name);
    assert.ok(claim(join(directory, 'nowhere'), 'x', 1000, NOW) !== undefined);
  });
});
