/**
 * Ends the shared sessions of keepers that were killed: nobody else would, and each counts at AWS until it idles out.
 * What cannot be ended now, with this environment's identity, stays for `ssm-proxy sessions`.
 */
import { createAwsContext } from '../aws/context.ts';
import { terminateSession } from '../aws/ssm-session.ts';
import { asProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Environment } from './option-values.ts';
import { readSessionRecords, removeRecord } from './session-registry.ts';
import type { FoundRecord } from './session-registry.ts';

/** For one session, retries included. Milliseconds. */
const CALL_LIMIT_MS = 10_000;

/** Never rejects. */
export async function endForgotten(env: Environment, log: Log): Promise<void> {
  const records = await readSessionRecords(env).catch(() => []);
  for (const record of records) {
    if (!record.isShared || record.isProcessAlive) continue;
    try {
      await end(record, env, log);
      log.info('forgotten_session_ended', { sessionId: record.sessionId });
    } catch (thrown) {
      log.info('forgotten_session_stays', { sessionId: record.sessionId, code: asProxyError(thrown).code });
    }
  }
}

async function end(record: FoundRecord, env: Environment, log: Log): Promise<void> {
  const { region, profile, ssmEndpoint } = record;
  const context = await createAwsContext({ region, profile, endpointUrl: ssmEndpoint, env, log });
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), CALL_LIMIT_MS);
  try {
    await terminateSession(context, record.sessionId, { signal: limit.signal });
    await removeRecord(record.path);
  } finally {
    clearTimeout(timer);
    context.close();
  }
}
