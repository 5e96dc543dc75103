/** What IAM knows of the nodes: instance profiles, the role in each, and the managed policies attached to roles. */
import { ACCOUNT_ID } from './identities.ts';

/** The policy that lets an SSM agent register and carry sessions. */
export const SSM_CORE_POLICY = 'arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore';
/** Profile and role of new instances; the role has SSM_CORE_POLICY. */
export const DEMO_PROFILE = 'demo-node';

export interface NodeRole {
  readonly roleName: string;
  /** ARNs of attached managed policies. */
  readonly policies: Set<string>;
}

const MAX_PROFILES = 1_000;

/** Every profile holds a role of its own name, as the EC2 console makes them. */
export class NodeRoles {
  readonly #byName = new Map<string, NodeRole>();

  constructor() {
    this.put(DEMO_PROFILE, [SSM_CORE_POLICY]);
  }

  /** Makes a profile with its role, or replaces the role's policies. */
  put(name: string, policies: readonly string[]): void {
    const [oldest] = this.#byName.keys();
    if (this.#byName.size >= MAX_PROFILES && oldest !== undefined) this.#byName.delete(oldest);
    this.#byName.set(name, { roleName: name, policies: new Set(policies) });
  }

  find(name: string): NodeRole | undefined {
    return this.#byName.get(name);
  }
}

export function instanceProfileArn(name: string): string {
  return `arn:aws:iam::${ACCOUNT_ID}:instance-profile/${name}`;
}

export function roleArn(name: string): string {
  return `arn:aws:iam::${ACCOUNT_ID}:role/${name}`;
}
