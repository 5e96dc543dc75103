/** EC2 Instance Connect: SendSSHPublicKey. */
import { isManaged } from '../instance.ts';
import type { World } from '../world.ts';
import { Refusal } from './refusal.ts';

const INSTANCE_ID = /^i-[a-f0-9]+$/;
const USER = /^[A-Za-z_][A-Za-z0-9@._-]{0,30}[A-Za-z0-9$_-]?$/;
const TYPES: ReadonlySet<string> = new Set(['ssh-ed25519', 'ssh-rsa']);

/** `requestId`: of the answer. */
export function sendSshPublicKey(
  world: World,
  region: string,
  input: Readonly<Record<string, unknown>>,
  requestId: string,
): Record<string, unknown> {
  const instanceId = textOf(input, 'InstanceId', INSTANCE_ID);
  const user = textOf(input, 'InstanceOSUser', USER);
  const [type = '', base64 = ''] = textOf(input, 'SSHPublicKey', /^[\s\S]{80,4096}$/)
    .trim()
    .split(/\s+/);
  if (!TYPES.has(type)) throw new Refusal('InvalidArgsException', 'Invalid SSH public key');
  const instance = world.instances.get(instanceId);
  if (instance === undefined || instance.region !== region || isManaged(instance)) {
    throw new Refusal('EC2InstanceNotFoundException', 'Instance not found', 404);
  }
  if (instance.state !== 'running') {
    throw new Refusal(
      'EC2InstanceStateInvalidException',
      `The instance ${instanceId} is not in a valid state: ${instance.state}`,
    );
  }
  world.pushedKeys.add({ instanceId, user, type, blob: Buffer.from(base64, 'base64') });
  return { RequestId: requestId, Success: true };
}

function textOf(input: Readonly<Record<string, unknown>>, name: string, pattern: RegExp): string {
  const value = input[name];
  if (typeof value === 'string' && pattern.test(value)) return value;
  throw new Refusal('InvalidArgsException', `Invalid ${name}`);
}
