/** How sessions look: a table for people, JSON for programs. */
import { ageText } from './age-text.ts';
import type { EndResult } from './end-sessions.ts';
import type { KnownSession, SessionSurvey } from './session-survey.ts';
import { columns } from './text-table.ts';

/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;

const HEADINGS = ['SESSION', 'STATE', 'AGE', 'INSTANCE', 'TARGET', 'REGION', 'PROCESS'] as const;

/** `wallNow`: ms since the epoch. */
export function sessionTable(sessions: readonly KnownSession[], wallNow: number): string {
  if (sessions.length === 0) return 'No sessions.\n';
  const rows = sessions.map((session) => [
    session.sessionId,
    session.state,
    session.startedAt === undefined ? '-' : ageText(wallNow - session.startedAt),
    session.instanceId,
    session.record?.destination ?? '-',
    session.region,
    processText(session),
  ]);
  return columns([HEADINGS, ...rows]);
}

export function sessionListJson({ sessions, failures }: SessionSurvey): string {
  const errors = failures.map(({ region, error }) => ({
    region,
    code: error.code,
    message: error.message,
  }));
  return `${JSON.stringify({ schema: SCHEMA, sessions: sessions.map(facts), errors })}\n`;
}

const RESULT_WORDS = { ended: 'ended', 'would-end': 'would end', failed: 'not ended' } as const;

export function endTable(results: readonly EndResult[]): string {
  if (results.length === 0) return 'No sessions to end.\n';
  return columns(
    results.map(({ sessionId, session, result, error }) => [
      RESULT_WORDS[result],
      sessionId,
      error === undefined ? whereText(session) : `${error.message} [${error.code}]`,
    ]),
  );
}

export function endJson(results: readonly EndResult[], isDryRun: boolean): string {
  const sessions = results.map(({ sessionId, session, result, error }) => ({
    ...(session === undefined ? { sessionId } : facts(session)),
    result,
    error: error === undefined ? null : { code: error.code, message: error.message },
  }));
  return `${JSON.stringify({ schema: SCHEMA, dryRun: isDryRun, sessions })}\n`;
}

/** What is not known is null. */
function facts(session: KnownSession): Readonly<Record<string, string | number | null>> {
  const { record, startedAt } = session;
  return {
    sessionId: session.sessionId,
    state: session.state,
    status: session.status ?? null,
    instanceId: session.instanceId,
    target: record?.destination ?? null,
    region: session.region,
    profile: record?.profile ?? null,
    startedAt: startedAt === undefined ? null : new Date(startedAt).toISOString(),
    reason: session.reason ?? null,
    pid: record?.pid ?? null,
    parentPid: record?.parentPid ?? null,
    parentName: record?.parentName ?? null,
  };
}

function whereText(session: KnownSession | undefined): string {
  if (session === undefined) return '';
  const target = session.record?.destination;
  return `${session.state}, ${session.instanceId}${target === undefined ? '' : ` (${target})`}`;
}

function processText({ state, record }: KnownSession): string {
  if (record === undefined) return '-';
  if (state === 'forgotten') return `${record.pid}, gone`;
  return record.parentName === undefined ? `${record.pid}` : `${record.pid}, from ${record.parentName}`;
}
