/** What is known of a node: by EC2 as an instance, by SSM through its agent. Part of the library's types. */

export const INSTANCE_STATES = [
  'pending',
  'running',
  'shutting-down',
  'terminated',
  'stopping',
  'stopped',
] as const;
export type InstanceState = (typeof INSTANCE_STATES)[number] | 'unknown';

/** What we know of an instance. */
export interface Instance {
  readonly instanceId: string;
  /** The Name tag. */
  readonly name?: string;
  readonly privateIp?: string;
  readonly publicIp?: string;
  readonly ipv6?: string;
  readonly region: string;
  /** Who sees it, where several profiles were searched. */
  readonly profile?: string;
  readonly vpcId?: string;
  readonly vpcName?: string;
  /** `unknown` for IDs, which were not looked up. */
  readonly state: InstanceState;
  readonly launchTime?: Date;
  /** ARN of the instance profile, which holds the node's role. */
  readonly instanceProfile?: string;
}

/** What SSM knows of an agent. */
export interface AgentStatus {
  /** `unregistered`: SSM does not know the instance. `unknown`: we may not ask. */
  readonly status: 'online' | 'lost' | 'inactive' | 'unregistered' | 'unknown';
  readonly agentVersion?: string;
  /** When SSM last heard of the agent. */
  readonly lastPing?: Date;
  /** `Linux`, `Windows` or `macOS`. */
  readonly platform?: string;
  /** Host name and address as the agent reports them: all there is to know of a managed instance (`mi-...`). */
  readonly computerName?: string;
  readonly ipAddress?: string;
}
