/**
 * Every way ssm-proxy can fail: one class, one table.
 *
 * Match on `code`: it is stable. Messages are for people and may change. docs/errors.md's table of codes and exit
 * statuses is compared with ERROR_TABLE by a test.
 *
 * Exit statuses follow sysexits(3) where it has a word for the case, 2 for usage as getopt programs do, 1 for
 * our own bugs, and 128 + signal number for signals.
 */

interface ErrorRow {
  /** Process exit status when this ends the program. */
  readonly exitStatus: number;
  /** One plain sentence for docs/errors.md. */
  readonly meaning: string;
}

export const ERROR_TABLE = {
  INTERNAL: { exitStatus: 1, meaning: 'A bug in ssm-proxy.' },
  USAGE: { exitStatus: 2, meaning: 'The command line or an option value cannot be used.' },
  CONFIG_INVALID: {
    exitStatus: 78,
    meaning: 'An AWS config file, CA bundle or proxy setting cannot be used.',
  },
  REGION_MISSING: { exitStatus: 78, meaning: 'No AWS region is configured.' },
  PROFILE_NOT_FOUND: { exitStatus: 78, meaning: 'The named AWS profile does not exist.' },
  CREDENTIALS_MISSING: { exitStatus: 77, meaning: 'No AWS credentials were found.' },
  CREDENTIALS_EXPIRED: { exitStatus: 77, meaning: 'The AWS credentials or SSO login have expired.' },
  CREDENTIALS_INVALID: {
    exitStatus: 77,
    meaning: 'AWS does not accept the credentials (unknown key, wrong secret, clock skew).',
  },
  ACCOUNT_MISMATCH: {
    exitStatus: 77,
    meaning: 'The credentials belong to another account than --account says.',
  },
  LOGIN_FAILED: { exitStatus: 77, meaning: 'The SSO login was declined, or not finished in time.' },
  ACCESS_DENIED: { exitStatus: 77, meaning: 'The credentials lack a permission.' },
  KEY_MISSING: { exitStatus: 66, meaning: 'There is no SSH key that --push-key could push.' },
  TARGET_INVALID: {
    exitStatus: 2,
    meaning: 'The target is not an IP address, instance ID, DNS name or Name tag.',
  },
  TARGET_NOT_FOUND: { exitStatus: 68, meaning: 'No instance matches the target.' },
  TARGET_AMBIGUOUS: { exitStatus: 68, meaning: 'Several instances match the target.' },
  TARGET_STOPPED: { exitStatus: 69, meaning: 'The instance is stopped or stopping.' },
  TARGET_TERMINATED: { exitStatus: 69, meaning: 'The instance is terminated or shutting down.' },
  TARGET_NOT_CONNECTED: { exitStatus: 69, meaning: 'The SSM agent of the instance is not connected.' },
  HOST_KEYS_UNKNOWN: {
    exitStatus: 69,
    meaning: 'The host keys of the instance cannot be read over a session nor from its console.',
  },
  DOCUMENT_INVALID: {
    exitStatus: 65,
    meaning: 'The session document or one of its parameters is not accepted.',
  },
  THROTTLED: { exitStatus: 75, meaning: 'AWS throttles the API calls and the time budget ran out.' },
  SERVICE_ERROR: { exitStatus: 69, meaning: 'An AWS API call failed for a reason of the service.' },
  ENDPOINT_UNREACHABLE: { exitStatus: 75, meaning: 'An AWS endpoint or HTTP proxy cannot be reached.' },
  TLS_UNTRUSTED: { exitStatus: 75, meaning: 'The TLS certificate of an endpoint is not trusted.' },
  CHANNEL_OPEN_FAILED: { exitStatus: 75, meaning: 'The WebSocket of the data channel cannot be opened.' },
  HANDSHAKE_FAILED: { exitStatus: 76, meaning: 'The session handshake with the agent failed.' },
  PROTOCOL_ERROR: { exitStatus: 76, meaning: 'The agent or the service broke the Session Manager protocol.' },
  PORT_SILENT: { exitStatus: 69, meaning: 'The session is up, but nothing answers on the port.' },
  PORT_REFUSED: { exitStatus: 69, meaning: 'The agent could not connect to the port.' },
  SESSION_ENDED: { exitStatus: 74, meaning: 'The service or the agent ended the session with an error.' },
  SESSION_GONE: { exitStatus: 74, meaning: 'The session no longer exists and cannot be resumed.' },
  SESSION_LOST: { exitStatus: 74, meaning: 'The connection was lost and could not be resumed in time.' },
  LISTEN_FAILED: { exitStatus: 73, meaning: 'A local port or Unix socket cannot be listened on.' },
  TOO_MANY_CONNECTIONS: {
    exitStatus: 75,
    meaning: 'A forward has as many connections or destinations as it can have.',
  },
  STALLED: {
    exitStatus: 74,
    meaning: 'A forwarded connection was closed: its reader took nothing and held up others.',
  },
  OUTPUT_TOO_LARGE: { exitStatus: 74, meaning: 'A command said more than is kept of its output.' },
  CONNECT_TIMEOUT: { exitStatus: 75, meaning: 'The connection was not up within the connect timeout.' },
  CANCELLED: { exitStatus: 130, meaning: 'Cancelled by a signal or by the caller.' },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERROR_TABLE;

export interface ProxyErrorOptions {
  /** What the user can do, one line without a final line break. */
  readonly hint?: string;
  /** The error that caused this one; always given when there is one. */
  readonly cause?: unknown;
  /** Overrides the table, e.g. 143 for SIGTERM. */
  readonly exitStatus?: number;
}

/** The only error class that leaves this package. `message` is one line: what failed, and to what. */
export class ProxyError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly exitStatus: number;

  constructor(code: ErrorCode, message: string, options: ProxyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ProxyError';
    this.code = code;
    this.hint = options.hint;
    this.exitStatus = options.exitStatus ?? ERROR_TABLE[code].exitStatus;
  }
}

/** Anything thrown, as a ProxyError: ours unchanged, the rest as INTERNAL with its cause. */
export function asProxyError(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new ProxyError('INTERNAL', `unexpected error: ${firstLine(text)}`, {
    cause: thrown,
    hint: 'this is a bug in ssm-proxy: please report it with the output of --log-level debug',
  });
}

/** The first line of a text, trimmed: error messages of ours are one line. */
export function firstLine(text: string): string {
  return (text.trim().split(/\r?\n/, 1)[0] ?? '').trim();
}
