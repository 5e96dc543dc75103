/**
 * What went wrong with a session, in words: the agent's and the service's texts turned into our codes and hints.
 */
import { ProxyError } from './errors.ts';
import { formatSeconds } from './opening/persist.ts';
import type { ChannelStats } from './protocol/channel.ts';
import type { SessionFacts } from './protocol/handshake.ts';
import { MUX_ABOVE, compareVersions } from './protocol/versions.ts';
import type { SessionOutcome } from './session/session.ts';

export const SSH_DOCUMENT = 'AWS-StartSSHSession';

/** What the words are about. */
export interface SessionSubject {
  readonly target: string;
  readonly targetId: string;
  readonly port: number;
  readonly document: string | undefined;
  readonly connectTimeoutMs: number;
  /** What to raise; undefined when that is nothing to speak of. */
  readonly timeLimitName: string | undefined;
}

/** Multiplexed port sessions carry frames, not the bytes of one connection. */
export function unusable(
  { sessionType, properties, agentVersion }: SessionFacts,
  subject: SessionSubject,
): ProxyError | undefined {
  const isMultiplexed =
    sessionType === 'Port' &&
    properties['type'] === 'LocalPortForwarding' &&
    agentVersion !== undefined &&
    compareVersions(agentVersion, MUX_ABOVE) > 0;
  if (!isMultiplexed) return undefined;
  return new ProxyError(
    'DOCUMENT_INVALID',
    `document ${subject.document ?? SSH_DOCUMENT} starts a multiplexed port session`,
    {
      hint: `connect needs a plain port session, as ${SSH_DOCUMENT} starts it`,
    },
  );
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
  const where = `port ${subject.port} of ${subject.targetId}`;
  if (/unable to connect to specified port/i.test(output)) {
    return failed(
      'PORT_REFUSED',
      `the agent could not connect to ${where}: ${output}`,
      `check that a server listens on port ${subject.port} there`,
    );
  }
  if (/handshake|encryption challenge/i.test(output)) {
    return failed(
      'HANDSHAKE_FAILED',
      `session ${sessionId} on ${subject.targetId} was not set up: ${output}`,
      'if it says the client or the agent is too old, update it',
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

function failed(
  code: 'PORT_REFUSED' | 'HANDSHAKE_FAILED' | 'SESSION_ENDED',
  message: string,
  hint: string,
): SessionOutcome {
  return { kind: 'failed', error: new ProxyError(code, message.replace(/\s+/g, ' ').trim(), { hint }) };
}

/** The connect timeout has passed and the session has not said a byte. */
export function silent(subject: SessionSubject, stats: ChannelStats): ProxyError {
  const time = formatSeconds(subject.connectTimeoutMs);
  if (stats.state !== 'ready')
    return timedOut(subject, `the data channel of ${subject.targetId} was being set up`, undefined);
  const what = stats.isStreamDataAcked
    ? `port ${subject.port} of ${subject.targetId} accepts connections but sent nothing within ${time}`
    : `nothing answers on port ${subject.port} of ${subject.targetId} (no byte within ${time})`;
  return new ProxyError('PORT_SILENT', what, {
    hint: `check that sshd runs there and listens on port ${subject.port}${orRaise(subject)}`,
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
