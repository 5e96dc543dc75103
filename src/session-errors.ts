/**
 * What went wrong with a session, in words: the agent's and the service's texts turned into our codes and hints.
 */
import { ProxyError } from './errors.ts';
import { formatSeconds } from './opening/persist.ts';
import type { ChannelStats } from './protocol/channel.ts';
import type { SessionPurpose } from './session-purpose.ts';
import type { SessionOutcome } from './session/session.ts';

/** What the words are about. */
export interface SessionSubject {
  readonly target: string;
  readonly targetId: string;
  readonly purpose: SessionPurpose;
  readonly connectTimeoutMs: number;
  /** What to raise; undefined when that is nothing to speak of. */
  readonly timeLimitName: string | undefined;
}

/** An end before the first byte is a failure to connect; the agent's words say why. */
export function explain(
  outcome: SessionOutcome,
  subject: SessionSubject,
  sessionId: string,
  wasReady: boolean,
): SessionOutcome {
  if (outcome.kind !== 'ended') return outcome;
  const { output } = outcome;
  const failed = (code: EndCode, message: string, hint: string): SessionOutcome => ({
    kind: 'failed',
    error: new ProxyError(code, message.replace(/\s+/g, ' ').trim(), { hint }),
    ...(output !== '' && { output }),
  });
  const where = `${subject.purpose.farEnd} of ${subject.targetId}`;
  if (/unable to connect to specified port/i.test(output)) {
    return failed(
      'PORT_REFUSED',
      `the agent could not connect to ${where}: ${output}`,
      `check that a server listens on ${subject.purpose.farEnd} there`,
    );
  }
  if (/handshake|encryption challenge/i.test(output)) {
    return failed(
      'HANDSHAKE_FAILED',
      `session ${sessionId} on ${subject.targetId} was not set up: ${output}`,
      'if it says the client or the agent is too old, update it',
    );
  }
  if (/not supported by this version of ssm agent/i.test(output)) {
    return failed(
      'SESSION_ENDED',
      `session ${sessionId} on ${subject.targetId} was ended: ${output}`,
      'update the SSM agent of the instance',
    );
  }
  if (outcome.isTruncated) {
    return failed(
      'SESSION_ENDED',
      `session ${sessionId} on ${subject.targetId} ended before all of its data arrived`,
      'connect again',
    );
  }
  if (output !== '') {
    return failed(
      'SESSION_ENDED',
      `session ${sessionId} on ${subject.targetId} was ended: ${output}`,
      'connect again',
    );
  }
  if (!wasReady) {
    return failed(
      'SESSION_ENDED',
      `session ${sessionId} on ${subject.targetId} was ended before it was set up`,
      'look at the SSM agent log of the instance',
    );
  }
  return outcome;
}

type EndCode = 'PORT_REFUSED' | 'HANDSHAKE_FAILED' | 'SESSION_ENDED';

/** The connect timeout has passed and the session has not said a byte. */
export function silent(subject: SessionSubject, stats: ChannelStats): ProxyError {
  const time = formatSeconds(subject.connectTimeoutMs);
  if (stats.state !== 'ready')
    return timedOut(subject, `the data channel of ${subject.targetId} was being set up`, undefined);
  const { farEnd } = subject.purpose;
  const what = stats.isStreamDataAcked
    ? `${farEnd} of ${subject.targetId} accepts connections but sent nothing within ${time}`
    : `nothing answers on ${farEnd} of ${subject.targetId} (no byte within ${time})`;
  return new ProxyError('PORT_SILENT', what, {
    hint: `check that sshd runs there and listens on ${farEnd}${orRaise(subject)}`,
  });
}

export function timedOut(
  subject: Pick<SessionSubject, 'target' | 'connectTimeoutMs' | 'timeLimitName'>,
  stage: string,
  cause: unknown,
): ProxyError {
  const time = formatSeconds(subject.connectTimeoutMs);
  return new ProxyError('CONNECT_TIMEOUT', `no connection to ${subject.target} within ${time} (${stage})`, {
    cause,
    hint: `see what it waits for with --log-level debug${orRaise(subject)}`,
  });
}

function orRaise({ timeLimitName }: Pick<SessionSubject, 'timeLimitName'>): string {
  return timeLimitName === undefined ? '' : `, or raise ${timeLimitName}`;
}
