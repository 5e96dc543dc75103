/** `ssm-proxy sessions`: the user's sessions, and ending those that are not wanted any more. */
import { systemClock } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import type { LogRequest } from './log-file.ts';
import { openLog } from './log-file.ts';
import { checkSelection, endSessions } from './end-sessions.ts';
import type { EndSelection } from './end-sessions.ts';
import type { CliIo } from './io.ts';
import type { OptionReader } from './option-values.ts';
import { writeOut } from './output.ts';
import { readRole } from './target-options.ts';
import { endJson, endTable, sessionListJson, sessionTable } from './session-table.ts';
import { surveySessions } from './session-survey.ts';
import type { SessionSurvey, SurveyRequest } from './session-survey.ts';

export interface SessionsArgs extends SurveyRequest, LogRequest {
  /** Undefined: list them. */
  readonly ending: EndSelection | undefined;
  readonly isDryRun: boolean;
  readonly json: boolean;
}

/** For asking AWS which sessions there are. Milliseconds. */
const SURVEY_LIMIT_MS = 30_000;

/** `words`: what follows `sessions`. Throws USAGE. */
export function readSessionsArgs(words: readonly string[], options: OptionReader): SessionsArgs {
  const [action = 'list', ...sessionIds] = words;
  if (action !== 'list' && action !== 'end') {
    throw new ProxyError('USAGE', `sessions has no action ${JSON.stringify(action)}`, {
      hint: 'ssm-proxy sessions [list], or ssm-proxy sessions end',
    });
  }
  const selection: EndSelection = {
    sessionIds,
    isMine: options.switch('mine'),
    isForgotten: options.switch('forgotten'),
    olderThanMs: options.text('older-than') === undefined ? undefined : options.durationMs('older-than', 0),
  };
  const isDryRun = options.switch('dry-run');
  if (action === 'end') checkSelection(selection);
  else checkNothingSelected(selection, isDryRun);
  return {
    ending: action === 'end' ? selection : undefined,
    isDryRun,
    regions: options.list('region'),
    profile: options.text('profile'),
    role: readRole(options),
    endpointUrl: options.text('endpoint-url'),
    json: options.switch('json'),
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
  };
}

function checkNothingSelected(selection: EndSelection, isDryRun: boolean): void {
  const { sessionIds, isMine, isForgotten, olderThanMs } = selection;
  if (sessionIds.length === 0 && !isMine && !isForgotten && olderThanMs === undefined && !isDryRun) return;
  throw new ProxyError('USAGE', 'sessions list takes all sessions', {
    hint: 'session IDs, --mine, --forgotten, --older-than and --dry-run are for ssm-proxy sessions end',
  });
}

/** Exit status: that of the first failure. Throws the errors of AWS calls, CONFIG_INVALID and others. */
export async function runSessions(args: SessionsArgs, io: CliIo): Promise<number> {
  const log = openLog(args, io);
  const wallNow = systemClock.wallNow();
  let survey: SessionSurvey | undefined;
  try {
    const signal = AbortSignal.timeout(SURVEY_LIMIT_MS);
    survey = await surveySessions(args, { env: io.env, log, wallNow }, signal);
    const { ending, isDryRun, json } = args;
    if (ending === undefined) {
      await writeOut(io.stdout, json ? sessionListJson(survey) : sessionTable(survey.sessions, wallNow));
    } else {
      const results = await endSessions(ending, survey, { isDryRun, wallNow });
      await writeOut(io.stdout, json ? endJson(results, isDryRun) : endTable(results));
      const failed = results.find(({ error }) => error !== undefined);
      if (failed?.error !== undefined) throw failed.error;
      // Named sessions have ended, whatever else there may be.
      if (ending.sessionIds.length > 0) return 0;
    }
    const [failure] = survey.failures;
    if (failure !== undefined) throw failure.error;
    return 0;
  } finally {
    survey?.close();
    log.close();
  }
}
