/**
 * The part of an ssh_config that sends connections through ssm-proxy. Pure.
 *
 * In ssh_config the first value counts, so this says nothing that people set for themselves (User, IdentityFile).
 */

export interface BlockRequest {
  /** Patterns in place of the usual ones; empty: the usual ones. */
  readonly hosts: readonly string[];
  /** Names of clusters, whose nodes are reached by name. */
  readonly clusters: readonly string[];
  /** The whole `connect` line, with %h and %p. */
  readonly proxyCommand: string;
  /** The whole line that answers with host keys, with %H; undefined: none. */
  readonly knownHostsCommand: string | undefined;
  /** Connections to one node share one session. */
  readonly sharesConnections: boolean;
}

/** RFC 1918, as ssh's patterns can say it. */
export const PRIVATE_RANGES: readonly string[] = [
  '10.*',
  '172.16.*',
  '172.17.*',
  '172.18.*',
  '172.19.*',
  '172.2?.*',
  '172.30.*',
  '172.31.*',
  '192.168.*',
];
/** Instance IDs and the DNS names that EC2 gives. */
export const EC2_NAMES: readonly string[] = ['i-*', 'mi-*', '*.ec2.internal', '*.compute.internal'];

/** With a line break at the end. */
export function sshConfigBlock(request: BlockRequest): string {
  const { hosts, clusters, proxyCommand, knownHostsCommand, sharesConnections } = request;
  const patterns = [
    ...(hosts.length > 0 ? hosts : [...PRIVATE_RANGES, ...EC2_NAMES]),
    ...clusters.flatMap(clusterPatterns),
  ];
  const lines = [
    '# Written by "ssm-proxy ssh-config", which replaces the whole file.',
    `Host ${patterns.join(' ')}`,
    `    ProxyCommand ${proxyCommand}`,
    '    # A lost connection is noticed and resumed by ssm-proxy, for up to 10 minutes: ssh waits as long.',
    '    ServerAliveInterval 15',
    '    ServerAliveCountMax 40',
  ];
  if (knownHostsCommand !== undefined) {
    lines.push(
      '    # Host keys as the instance itself has them, besides those in your own files.',
      `    KnownHostsCommand ${knownHostsCommand}`,
    );
  }
  if (sharesConnections) {
    lines.push('    ControlMaster auto', '    ControlPath ~/.ssh/ssm-proxy-%C', '    ControlPersist 5m');
  }
  return `${lines.join('\n')}\n`;
}

/** As launchers and people name the nodes of a cluster. */
function clusterPatterns(cluster: string): readonly string[] {
  return [cluster, `${cluster}-head`, `${cluster}-worker*`, `head.${cluster}`, `worker*.${cluster}`];
}

/** A word in a ProxyCommand: ssh replaces % marks, then hands the line to a shell. */
export function proxyCommandWord(text: string): string {
  const escaped = text.replaceAll('%', '%%');
  return /^[\w@%+=:,./-]+$/.test(escaped) ? escaped : `'${escaped.replaceAll("'", "'\\''")}'`;
}

/** A word in a KnownHostsCommand: ssh splits the line itself, by quotes and backslashes, then replaces % marks. */
export function knownHostsCommandWord(text: string): string {
  const escaped = text.replaceAll('%', '%%');
  return /^[\w@%+=:,./-]+$/.test(escaped) ? escaped : `"${escaped.replace(/[\\"]/g, '\\$&')}"`;
}

/** True for a text that can stand in a Host line. */
export function isHostPattern(text: string): boolean {
  return /^!?[\w.:*?@%+-]+$/.test(text);
}
