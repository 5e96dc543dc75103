/** How the nodes of clusters look: a table for people, as wide as there is room, and JSON for programs. */
import type { BannerTime } from '../fleet/banner-times.ts';
import type { Fleet, FleetNode } from '../fleet/nodes.ts';
import { typedClusterName } from '../aws/cluster-tags.ts';
import type { ErrorCode } from '../errors.ts';
import { ageText } from './age-text.ts';
import { printable } from './report.ts';
import stringWidth from './string-width.ts';
import { columns } from './text-table.ts';

/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;
const INDENT = '  ';

const AGENT_WORDS: Readonly<Record<FleetNode['agent']['status'], string>> = {
  online: 'online',
  lost: 'lost',
  inactive: 'inactive',
  unregistered: 'none',
  unknown: '?',
};

/** What is known of a node's first line; undefined: nothing. */
export type BannerOf = (node: FleetNode) => BannerTime | undefined;

interface Column {
  readonly heading: string;
  readonly cell: (node: FleetNode, wallNow: number) => string;
  /** Those with the highest number go first when there is no room. Undefined: it stays. */
  readonly dropped?: number;
}

const FAILURE_WORDS: Readonly<Partial<Record<ErrorCode, string>>> = {
  PORT_SILENT: 'silent',
  PORT_REFUSED: 'refused',
  ACCESS_DENIED: 'denied',
};

const COLUMNS: readonly Column[] = [
  { heading: 'NODE', cell: nodeName },
  { heading: 'INSTANCE', cell: ({ instance }) => instance.instanceId },
  { heading: 'PRIVATE IP', cell: ({ instance }) => instance.privateIp ?? '-' },
  { heading: 'STATE', cell: ({ instance }) => instance.state },
  { heading: 'AGENT', cell: agentText },
  { heading: 'VERSION', cell: ({ agent }) => agent.agentVersion ?? '-', dropped: 4 },
  {
    heading: 'AGE',
    cell: ({ instance: { launchTime } }, wallNow) =>
      launchTime === undefined ? '-' : ageText(wallNow - launchTime.getTime()),
    dropped: 1,
  },
  { heading: 'REGION', cell: ({ instance }) => instance.region, dropped: 2 },
  { heading: 'PROFILE', cell: ({ profile }) => profile ?? '-', dropped: 3 },
  { heading: 'NAME', cell: ({ instance }) => instance.name ?? '-', dropped: 5 },
];

/**
 * `width`: columns of the terminal; undefined: as wide as it gets. `wallNow`: ms since the epoch. `bannerOf`: of a live
 * list.
 */
export function nodeTable(
  nodes: readonly FleetNode[],
  wallNow: number,
  width: number | undefined,
  bannerOf?: BannerOf,
): string {
  if (nodes.length === 0) return 'No nodes.\n';
  let shown = COLUMNS.filter(({ heading }) => heading !== 'PROFILE' || nodes.some(({ profile }) => profile));
  if (bannerOf !== undefined) {
    const column = { heading: 'BANNER', cell: (node: FleetNode) => bannerText(bannerOf(node)) };
    shown = shown.flatMap((each) => (each.heading === 'AGENT' ? [each, column] : [each]));
  }
  for (;;) {
    const lines = render(nodes, shown, wallNow);
    const widest = Math.max(...lines.map(stringWidth));
    const [next] = [...shown].sort((one, other) => (other.dropped ?? 0) - (one.dropped ?? 0));
    if (width === undefined || widest <= width || next?.dropped === undefined) {
      return lines.map((line) => `${line}\n`).join('');
    }
    shown = shown.filter((column) => column !== next);
  }
}

/** One table for all, so that the columns of the clusters stand below each other; a line over each cluster. */
function render(nodes: readonly FleetNode[], shown: readonly Column[], wallNow: number): readonly string[] {
  const rows = nodes.map((node) => shown.map(({ cell }) => cell(node, wallNow)));
  const [headings = '', ...lines] = columns([shown.map(({ heading }) => heading), ...rows])
    .trimEnd()
    .split('\n');
  const output = [`${INDENT}${headings}`];
  nodes.forEach((node, index) => {
    if (index === 0 || node.cluster !== nodes[index - 1]?.cluster) {
      const members = nodes.filter(({ cluster }) => cluster === node.cluster).length;
      output.push(...(index === 0 ? [] : ['']), clusterLine(node.cluster, members));
    }
    output.push(`${INDENT}${lines[index] ?? ''}`);
  });
  return output;
}

function clusterLine(cluster: string | undefined, members: number): string {
  const count = `${members} ${members === 1 ? 'node' : 'nodes'}`;
  if (cluster === undefined) return `of no cluster, ${count}`;
  const typed = typedClusterName(cluster);
  return printable(typed === cluster ? `${cluster}, ${count}` : `${typed} (${cluster}), ${count}`);
}

/** Null: not looked at yet. */
function bannerFacts(time: BannerTime | undefined): unknown {
  switch (time?.kind) {
    case undefined:
    case 'measuring':
      return null;
    case 'measured':
      return { seconds: Math.round(time.ms) / 1000, error: null };
    case 'failed':
      return { seconds: null, error: time.code };
  }
}

function nodeName({ role, number, instance }: FleetNode): string {
  if (role === 'head') return 'head';
  if (role === 'worker') return number === undefined ? 'worker' : `worker${number}`;
  return instance.name ?? '-';
}

function agentText({ agent, instance }: FleetNode): string {
  return instance.state === 'running' ? AGENT_WORDS[agent.status] : '-';
}

function bannerText(time: BannerTime | undefined): string {
  switch (time?.kind) {
    case undefined:
      return '-';
    case 'measuring':
      return '...';
    case 'measured':
      return `${(time.ms / 1000).toFixed(1)} s`;
    case 'failed':
      return FAILURE_WORDS[time.code] ?? 'failed';
  }
}

/** One line. What is not known is null. `bannerOf`: of a live list. */
export function fleetJson({ nodes, failures }: Fleet, bannerOf?: BannerOf): string {
  const facts = {
    schema: SCHEMA,
    nodes: nodes.map((node) => {
      const { instance, agent, cluster, role, number, profile } = node;
      return {
        cluster: cluster ?? null,
        role: role ?? null,
        number: number ?? null,
        name: instance.name ?? null,
        instanceId: instance.instanceId,
        privateIp: instance.privateIp ?? null,
        publicIp: instance.publicIp ?? null,
        region: instance.region,
        profile: profile ?? null,
        vpcId: instance.vpcId ?? null,
        state: instance.state,
        launchTime: instance.launchTime?.toISOString() ?? null,
        ssm: {
          status: agent.status,
          agentVersion: agent.agentVersion ?? null,
          lastPing: agent.lastPing?.toISOString() ?? null,
        },
        ...(bannerOf !== undefined && { banner: bannerFacts(bannerOf(node)) }),
      };
    }),
    errors: failures.map(({ region, profile, error }) => ({
      region,
      profile: profile ?? null,
      code: error.code,
      message: error.message,
    })),
  };
  return `${JSON.stringify(facts)}\n`;
}
