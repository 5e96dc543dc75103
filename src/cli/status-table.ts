/** What the keeper says of itself, for people. */
import { printable } from './report.ts';

export interface KeeperStatus {
  readonly pid: number;
  readonly version: string;
  readonly ageMs: number;
  readonly rssBytes: number;
  /** Connections that are carried now. */
  readonly clients: number;
  readonly nodes: readonly {
    readonly destination: string;
    readonly sessions: readonly SharedSessionStatus[];
  }[];
}

export interface SharedSessionStatus {
  readonly sessionId: string;
  readonly instanceId: string;
  readonly region: string;
  readonly ageMs: number;
  readonly idleMs: number;
  readonly streams: number;
  readonly streamsOpened: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly roundTripMs: number;
  readonly resumes: number;
}

const HEADINGS = [
  'TARGET',
  'INSTANCE',
  'REGION',
  'AGE',
  'STREAMS',
  'SERVED',
  'DOWN',
  'UP',
  'RTT',
  'RESUMES',
  'SESSION',
];

export function keeperTable(status: KeeperStatus): string {
  const head = `keeper ${status.pid}, version ${status.version}, up ${age(status.ageMs)}, ${size(status.rssBytes)} of memory, ${status.clients} connections\n`;
  const rows = status.nodes.flatMap(({ destination, sessions }) =>
    sessions.map((session) => [
      destination,
      session.instanceId,
      session.region,
      age(session.ageMs),
      session.streams > 0 ? String(session.streams) : `0 (idle ${age(session.idleMs)})`,
      String(session.streamsOpened),
      size(session.receivedBytes),
      size(session.sentBytes),
      `${Math.round(session.roundTripMs)} ms`,
      String(session.resumes),
      session.sessionId,
    ]),
  );
  return rows.length === 0 ? `${head}no sessions\n` : head + table([HEADINGS, ...rows]);
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => `${printable(line).trimEnd()}\n`)
    .join('');
}

function age(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes}m` : `${Math.floor(minutes / 60)}h${minutes % 60}m`;
}

function size(bytes: number): string {
  if (bytes < 10_000) return `${bytes} B`;
  return bytes < 10_000_000 ? `${Math.round(bytes / 1000)} kB` : `${Math.round(bytes / 1e6)} MB`;
}
