/** `ssm-proxy sessions end`: which sessions it is about, and ending them, each reported. */
import { terminateSession } from '../aws/ssm-session.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import { removeRecord } from './session-registry.ts';
import type { KnownSession, SessionSurvey } from './session-survey.ts';

export interface EndSelection {
  /** Named ones; the rest of the selection is empty then. */
  readonly sessionIds: readonly string[];
  /** All of the user's, live ones of this and other machines included. */
  readonly isMine: boolean;
  /** Those whose process has gone. */
  readonly isForgotten: boolean;
  /** Only those that are at least so old. Milliseconds. */
  readonly olderThanMs: number | undefined;
}

export interface EndResult {
  readonly sessionId: string;
  /** Undefined when nothing is known of it. */
  readonly session: KnownSession | undefined;
  readonly result: 'ended' | 'would-end' | 'failed';
  readonly error: ProxyError | undefined;
}

/** For one call, retries included. Milliseconds. */
const CALL_LIMIT_MS = 20_000;

/** What a selection can be, since ending the wrong session is not to be undone. Throws USAGE. */
export function checkSelection(selection: EndSelection): void {
  const { sessionIds, isMine, isForgotten, olderThanMs } = selection;
  const isByKind = isMine || isForgotten;
  if (sessionIds.length > 0 && (isByKind || olderThanMs !== undefined)) {
    throw new ProxyError('USAGE', 'session IDs cannot be combined with --mine, --forgotten or --older-than', {
      hint: 'give session IDs, or a kind of sessions',
    });
  }
  if (sessionIds.length > 0 || isByKind) return;
  throw new ProxyError('USAGE', 'it is not said which sessions to end', {
    hint: 'give session IDs, --forgotten, or --mine (live ones too); see them with ssm-proxy sessions',
  });
}

/** `wallNow`: ms since the epoch. Never rejects: failures are results. */
export async function endSessions(
  selection: EndSelection,
  survey: SessionSurvey,
  { isDryRun, wallNow }: { readonly isDryRun: boolean; readonly wallNow: number },
): Promise<readonly EndResult[]> {
  const results: EndResult[] = [];
  for (const { sessionId, session } of selected(selection, survey, wallNow)) {
    if (isDryRun) {
      results.push({ sessionId, session, result: 'would-end', error: undefined });
      continue;
    }
    const error = await endOne(sessionId, session, survey);
    results.push({ sessionId, session, result: error === undefined ? 'ended' : 'failed', error });
  }
  return results;
}

function selected(
  { sessionIds, isForgotten, olderThanMs }: EndSelection,
  { sessions }: SessionSurvey,
  wallNow: number,
): readonly { readonly sessionId: string; readonly session: KnownSession | undefined }[] {
  if (sessionIds.length > 0) {
    return [...new Set(sessionIds)].map((sessionId) => ({
      sessionId,
      session: sessions.find((known) => known.sessionId === sessionId),
    }));
  }
  return sessions
    .filter(({ state }) => !isForgotten || state === 'forgotten')
    .filter(
      ({ startedAt }) =>
        olderThanMs === undefined || (startedAt !== undefined && wallNow - startedAt >= olderThanMs),
    )
    .map((session) => ({ sessionId: session.sessionId, session }));
}

/** What went wrong. A session that has ended meanwhile is what was asked for. */
async function endOne(
  sessionId: string,
  session: KnownSession | undefined,
  survey: SessionSurvey,
): Promise<ProxyError | undefined> {
  const context = session?.context ?? survey.home;
  if (context === undefined) {
    return new ProxyError('REGION_MISSING', `the region of session ${sessionId} is not known`, {
      hint: 'give it with --region',
    });
  }
  try {
    await terminateSession(context, sessionId, { signal: AbortSignal.timeout(CALL_LIMIT_MS) });
  } catch (thrown) {
    const error = asProxyError(thrown);
    const isGone = error.code === 'SESSION_GONE' && session !== undefined;
    if (!isGone) return error;
  }
  // A live process notices the end and clears up by itself.
  if (session?.record?.isProcessAlive === false) await removeRecord(session.record.path);
  return undefined;
}
