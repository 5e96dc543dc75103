/**
 * The host keys of an instance from the instance itself: over a session, which IAM has authenticated, or, where that is
 * not allowed, from what it wrote to its console when it first started.
 */
import type { AwsContext } from '../aws/context.ts';
import { consoleOutput } from '../aws/ec2.ts';
import type { Clock } from '../clock.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { runCommand } from '../exec/run-command.ts';
import type { Log } from '../log.ts';
import type { StartedSession } from '../open-session.ts';
import type { Sharing } from '../opening/get-in.ts';
import { SAFE_MESSAGES_PER_SECOND } from '../protocol/limits.ts';
import type { KeySource } from './key-files.ts';
import type { HostKey } from './public-keys.ts';
import { parseConsole, parseHostKeys } from './public-keys.ts';

export interface ReadRequest {
  readonly context: AwsContext;
  readonly instanceId: string;
  readonly endpointUrl: string | undefined;
  readonly ssmmessagesEndpoint: string | undefined;
  /** Shown in CloudTrail. */
  readonly reason: string;
  readonly timeLimitMs: number;
  readonly sharing: Sharing | undefined;
}

export interface ReadDependencies {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly log: Log;
  readonly onStarted?: ((started: StartedSession) => void) | undefined;
  readonly onTerminated?: (() => void) | undefined;
}

export interface ReadKeys {
  /** At least one. */
  readonly keys: readonly HostKey[];
  readonly source: KeySource;
}

/**
 * Public keys can be read by everybody. sshd may be told of other files than the usual ones; what cannot be read is
 * left out.
 */
const COMMAND = [
  'cat /etc/ssh/ssh_host_*_key.pub 2>/dev/null',
  'for f in /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf; do [ -r "$f" ] && sed -n "s/^[[:space:]]*[Hh][Oo][Ss][Tt][Kk][Ee][Yy][[:space:]]\\{1,\\}//p" "$f"; done | while read -r k; do cat "$k.pub" 2>/dev/null; done',
  'exit 0',
].join('\n');
const MAX_OUTPUT_BYTES = 64 * 1024;
/** Nobody is told more by another source: it would be asked for nothing. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CANCELLED',
  'CREDENTIALS_EXPIRED',
  'CREDENTIALS_INVALID',
  'CREDENTIALS_MISSING',
  'ACCOUNT_MISMATCH',
  'TARGET_NOT_CONNECTED',
  'TARGET_STOPPED',
  'TARGET_TERMINATED',
  'TARGET_NOT_FOUND',
]);

/** Rejects with why the first source failed, in words that name both. HOST_KEYS_UNKNOWN when neither has any. */
export async function readHostKeys(
  request: ReadRequest,
  dependencies: ReadDependencies,
  signal: AbortSignal,
): Promise<ReadKeys> {
  try {
    return { keys: some(await keysOverSession(request, dependencies, signal)), source: 'session' };
  } catch (thrown) {
    const first = asProxyError(thrown);
    // Managed instances have no console.
    if (FINAL.has(first.code) || signal.aborted || !request.instanceId.startsWith('i-')) throw first;
    dependencies.log.info('host_keys_not_over_session', { code: first.code, message: first.message });
    try {
      const text = await consoleOutput(request.context, request.instanceId, { signal });
      return { keys: some(parseConsole(text)), source: 'console' };
    } catch (fallback) {
      throw bothFailed(first, asProxyError(fallback));
    }
  }
}

async function keysOverSession(
  { context, instanceId, endpointUrl, ssmmessagesEndpoint, reason, timeLimitMs, sharing }: ReadRequest,
  dependencies: ReadDependencies,
  signal: AbortSignal,
): Promise<readonly HostKey[]> {
  const stop = new AbortController();
  const chunks: Buffer[] = [];
  let bytes = 0;
  await runCommand(
    {
      ...{
        target: instanceId,
        regions: undefined,
        profile: undefined,
        role: undefined,
        endpointUrl,
        ssmmessagesEndpoint,
      },
      ...{ vpc: undefined, tags: {}, account: undefined },
      words: [COMMAND],
      document: undefined,
      parameters: {},
      isRaw: false,
      connectTimeoutMs: timeLimitMs,
      timeLimitName: undefined,
      messagesPerSecond: SAFE_MESSAGES_PER_SECOND,
      reason,
      sharing,
    },
    { ...dependencies, contexts: [context] },
    {
      onStarted: (started) => dependencies.onStarted?.(started),
      onTerminated: () => dependencies.onTerminated?.(),
      onOutput(data, stream, done) {
        bytes += data.length;
        if (bytes > MAX_OUTPUT_BYTES) stop.abort();
        else if (stream === 'stdout') chunks.push(data);
        done();
      },
    },
    AbortSignal.any([signal, stop.signal]),
  );
  return parseHostKeys(Buffer.concat(chunks).toString('utf8'));
}

function some(keys: readonly HostKey[]): readonly HostKey[] {
  if (keys.length > 0) return keys;
  throw new ProxyError('HOST_KEYS_UNKNOWN', 'the instance shows none');
}

function bothFailed(session: ProxyError, console: ProxyError): ProxyError {
  const isDenied = session.code === 'ACCESS_DENIED' && console.code === 'ACCESS_DENIED';
  return new ProxyError(
    isDenied ? 'ACCESS_DENIED' : 'HOST_KEYS_UNKNOWN',
    `not over a session (${session.message} [${session.code}]), nor from the console (${console.message} [${console.code}])`,
    {
      hint: 'ssm-proxy policy user --for connect,exec allows the first, --for connect,host-keys the second',
      cause: session,
    },
  );
}
