import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { generateSshKeyPair } from '../../src/emulator/node-keys.ts';
import { agentKeys } from '../../src/ssh/agent.ts';
import { agentSocket, chooseKey, readNamedKey } from '../../src/ssh/key-choice.ts';
import { isPushable, parsePublicKey } from '../../src/ssh/public-key.ts';
import { parseSshSettings } from '../../src/ssh/ssh-settings.ts';
import type { SshSettings } from '../../src/ssh/ssh-settings.ts';

const ECDSA =
  'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO7c9HkHpWcCMBOPGTs3whVeAsHZ7SdzOD3TS9Tdik8NUkbdN48vuICFCWL/pyRX7cLqnxMWEkcZgDzGGYxJMFw=';
const home = mkdtempSync(join(tmpdir(), 'ssm-proxy-keys-'));
after(() => rmSync(home, { recursive: true }));
const line = (comment: string): string => generateSshKeyPair(comment).publicKey;
const put = (name: string, text: string): string => {
  mkdirSync(join(home, '.ssh'), { recursive: true });
  writeFileSync(join(home, '.ssh', name), text);
  return join(home, '.ssh', name);
};
const bare = (text: string): string => text.split(' ').slice(0, 2).join(' ');
const [own, byDefault] = [line('own'), line('default')];
const named = put('work', 'a private key');
put('work.pub', `${own}\n`);

/** An agent that gives the same answer to whatever is asked. */
async function agentThatSays(answer: Buffer): Promise<{ path: string; close(): void }> {
  const path = join(home, `agent-${answer.length}`);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(answer));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { path, close: () => server.close() };
}

function settingsOf(text: string): SshSettings {
  return parseSshSettings(text, home);
}

describe('what ssh -G says', () => {
  it('is read: user, files with marks, agent, batch mode, time', () => {
    const text = `host x\nuser bob\nhostname 10.0.0.1\nbatchmode yes\nconnecttimeout 10\nidentityfile %d/k_%r\nidentityfile ~/k_%n\nidentityfile /a b\nidentityagent none\nidentitiesonly yes\n`;
    assert.deepEqual(settingsOf(text), {
      user: 'bob',
      identityFiles: [`${home}/k_bob`, '/a b'],
      identitiesOnly: true,
      identityAgent: 'none',
      batchMode: true,
      hasConnectTimeout: true,
    });
    assert.equal(settingsOf('connecttimeout none\n').hasConnectTimeout, false);
  });

  it('names the agent by path, by variable, or not at all', () => {
    const env = { HOME: home, SSH_AUTH_SOCK: '/usual', OTHER: '/other' };
    const agent = (value: string): string | undefined =>
      agentSocket(settingsOf(`identityagent ${value}\n`), env);
    assert.deepEqual(['none', 'SSH_AUTH_SOCK', '$OTHER', '${OTHER}', '~/s'].map(agent), [
      undefined,
      '/usual',
      '/other',
      '/other',
      join(home, 's'),
    ]);
    assert.equal(agentSocket(undefined, env), '/usual');
  });
});

describe('the key that is pushed', () => {
  const env = { HOME: home };

  it('is the public half of a named file, which may be either half', () => {
    assert.equal(readNamedKey(named, env).line, bare(own));
    assert.equal(readNamedKey('~/.ssh/work.pub', env).line, bare(own));
    const fails = { code: 'KEY_MISSING', hint: /ssh-keygen -y -f/ };
    assert.throws(() => readNamedKey(put('alone', 'a private key'), env), fails);
  });

  it('is that of IdentityFile, else of the default files, else there is none', async () => {
    const settings = settingsOf('identityfile ~/.ssh/none\nidentityfile ~/.ssh/work\n');
    assert.equal((await chooseKey(settings, env)).line, bare(own));
    const usual = settingsOf('identityfile ~/.ssh/id_rsa\nidentityfile ~/.ssh/id_ed25519\n');
    await assert.rejects(chooseKey(usual, env), { code: 'KEY_MISSING' });
    put('id_ecdsa.pub', ECDSA);
    await assert.rejects(chooseKey(undefined, env), { code: 'KEY_MISSING' });
    put('id_ed25519.pub', byDefault);
    assert.equal((await chooseKey(usual, env)).line, bare(byDefault));
    assert.equal((await chooseKey(undefined, env)).line, bare(byDefault));
    // A file that was set and cannot be used is not replaced by another.
    await assert.rejects(chooseKey(settingsOf('identityfile /none\n'), env), { code: 'KEY_MISSING' });
  });

  it('is the first of the agent that can be pushed; an agent that fails is passed over', async () => {
    const lengthOf = (length: number): Buffer => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(length);
      return bytes;
    };
    const entries = [ECDSA, own].flatMap((text) => {
      const blob = Buffer.from(text.split(' ')[1] ?? '', 'base64');
      return [lengthOf(blob.length), blob, lengthOf(1), Buffer.from('c')];
    });
    const body = Buffer.concat([Buffer.from([12]), lengthOf(2), ...entries]);
    const good = await agentThatSays(Buffer.concat([lengthOf(body.length), body]));
    const cut = await agentThatSays(Buffer.concat([lengthOf(body.length - 9), body.subarray(0, -9)]));
    try {
      assert.equal((await chooseKey(undefined, { ...env, SSH_AUTH_SOCK: good.path })).line, bare(own));
      assert.equal((await chooseKey(undefined, { ...env, SSH_AUTH_SOCK: cut.path })).line, bare(byDefault));
      await assert.rejects(agentKeys(cut.path), { code: 'KEY_MISSING' });
      await assert.rejects(agentKeys(join(home, 'nobody')), { code: 'KEY_MISSING' });
      const only = { ...settingsOf('identitiesonly yes\n') };
      assert.equal((await chooseKey(only, { ...env, SSH_AUTH_SOCK: good.path })).line, bare(byDefault));
    } finally {
      good.close();
      cut.close();
    }
  });
});

describe('a public key', () => {
  for (const [what, text, type] of [
    ['with a comment', own, 'ssh-ed25519'],
    ['after lines that are none', `# mine\n\n${own}`, 'ssh-ed25519'],
    ['of another type', ECDSA, 'ecdsa-sha2-nistp256'],
    ['whose type is not the one inside', own.replace('ssh-ed25519', 'ssh-rsa'), undefined],
    ['cut short', own.slice(0, 18), undefined],
    ['that is a private one', '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n', undefined],
  ] as const) {
    it(`${what} is ${type === undefined ? 'refused' : 'read'}`, () => {
      const key = parsePublicKey(text);
      assert.equal(key?.type, type);
      if (key !== undefined) assert.equal(isPushable(key), type === 'ssh-ed25519');
    });
  }
});
