/**
 * `connect --push-key`: which key goes to the node, and for which of its users. What was not said is asked of the ssh
 * that runs this process.
 */
import { generateKeyPairSync } from 'node:crypto';
import { ProxyError } from '../errors.ts';
import type { KeyToPush } from '../opening/key-push.ts';
import { addToAgent, ed25519Blob } from '../ssh/agent.ts';
import type { Ed25519Pair } from '../ssh/agent.ts';
import { agentSocket, chooseKey, readNamedKey } from '../ssh/key-choice.ts';
import { publicKeyOf } from '../ssh/public-key.ts';
import type { SshSettings } from '../ssh/ssh-settings.ts';
import type { PushKey } from './connect-args.ts';
import type { Environment } from './option-values.ts';
import { parentSshSettings } from './parent-ssh-settings.ts';

/** Of the AWS CLI's `ec2-instance-connect ssh`, and of Amazon's own images. */
const DEFAULT_USER = 'ec2-user';
/** A key that was made for one login leaves the agent after so long; the node keeps it for 60 s. */
const FRESH_LIFETIME_SECONDS = 75;

/** To be called for each time that the key is pushed. Rejects with KEY_MISSING. */
export function keyPreparation(wanted: PushKey, env: Environment): () => Promise<KeyToPush> {
  const needsSsh = wanted.user === undefined || wanted.key.kind !== 'file';
  let settings: Promise<SshSettings | undefined> | undefined;
  let chosen: Promise<string> | undefined;
  let pair: Ed25519Pair | undefined;
  return async () => {
    settings ??= needsSsh ? parentSshSettings(env) : Promise.resolve(undefined);
    const ssh = await settings;
    const user = wanted.user ?? ssh?.user ?? DEFAULT_USER;
    if (wanted.key.kind === 'fresh') {
      const { publicBytes } = (pair ??= makePair());
      await offer(pair, ssh, env);
      return { user, publicKey: publicKeyOf(ed25519Blob(publicBytes))?.line ?? '' };
    }
    chosen ??=
      wanted.key.kind === 'file'
        ? Promise.resolve(readNamedKey(wanted.key.path, env).line)
        : chooseKey(ssh, env).then(({ line }) => line);
    return { user, publicKey: await chosen };
  };
}

function makePair(): Ed25519Pair {
  const { x = '', d = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return { publicBytes: Buffer.from(x, 'base64url'), seed: Buffer.from(d, 'base64url') };
}

/** ssh asks its agent for keys after the node's banner, which is held back until the key is pushed. */
async function offer(pair: Ed25519Pair, ssh: SshSettings | undefined, env: Environment): Promise<void> {
  const socket = agentSocket(ssh, env);
  if (socket === undefined) {
    throw new ProxyError('KEY_MISSING', '--push-key=fresh needs an ssh-agent, and there is none', {
      hint: 'start one (eval "$(ssh-agent)"), or push a key of your own: --push-key, --push-key=FILE',
    });
  }
  await addToAgent(socket, pair, 'ssm-proxy, for one login', FRESH_LIFETIME_SECONDS);
}
