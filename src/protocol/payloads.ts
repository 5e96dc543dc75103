/**
 * Payloads of data-channel messages: JSON and small binary forms, formatted and parsed. Both ends use this file
 * (the emulator's agent too), so its bytes are held by vectors from outside (test/vectors).
 *
 * Parsers throw PROTOCOL_ERROR and nothing else. Wire names stay as they are on the wire.
 */
import { ProxyError } from '../errors.ts';

// ---- acknowledge ---------------------------------------------------------------------------------------------

/** The text of an acknowledge payload; key order as the official ends write it. */
export function formatAcknowledge(
  messageType: string,
  messageIdText: string,
  sequenceNumber: number,
): string {
  return (
    `{"AcknowledgedMessageType":"${messageType}","AcknowledgedMessageId":"${messageIdText}",` +
    `"AcknowledgedMessageSequenceNumber":${sequenceNumber},"IsSequentialMessage":true}`
  );
}

/** The form in which both official ends write it: matched in a quarter of the time that JSON takes. */
const USUAL_ACKNOWLEDGE =
  /^\{"AcknowledgedMessageType":"[a-z_]*","AcknowledgedMessageId":"[0-9A-Fa-f-]*","AcknowledgedMessageSequenceNumber":(0|[1-9]\d{0,14}),"IsSequentialMessage":(?:true|false)\}$/;

/** The acknowledged sequence number: all that either end uses of an acknowledgement. */
export function parseAcknowledge(payload: Buffer): number {
  const usual = USUAL_ACKNOWLEDGE.exec(payload.toString('latin1'))?.[1];
  if (usual !== undefined) return Number(usual);
  const content = parseObject(payload, 'acknowledge');
  const sequenceNumber = content['AcknowledgedMessageSequenceNumber'];
  if (typeof sequenceNumber !== 'number' || !Number.isSafeInteger(sequenceNumber)) {
    throw broken('acknowledge', 'no sequence number');
  }
  return sequenceNumber;
}

// ---- handshake -----------------------------------------------------------------------------------------------

export const ACTION_TYPE = { SESSION_TYPE: 'SessionType', KMS_ENCRYPTION: 'KMSEncryption' } as const;
export const ACTION_STATUS = { SUCCESS: 1, FAILED: 2, UNSUPPORTED: 3 } as const;

export interface RequestedClientAction {
  readonly ActionType: string;
  readonly ActionParameters: unknown;
}

export interface HandshakeRequest {
  readonly AgentVersion: string;
  readonly RequestedClientActions: readonly RequestedClientAction[];
}

export interface ProcessedClientAction {
  readonly ActionType: string;
  readonly ActionStatus: number;
  readonly ActionResult: unknown;
  readonly Error: string;
}

export interface HandshakeResponse {
  readonly ClientVersion: string;
  readonly ProcessedClientActions: readonly ProcessedClientAction[];
  readonly Errors: readonly string[] | null;
}

export interface HandshakeComplete {
  /** Nanoseconds. */
  readonly HandshakeTimeToComplete: number;
  /** Text for the user; may be empty. */
  readonly CustomerMessage: string;
}

export function parseHandshakeRequest(payload: Buffer): HandshakeRequest {
  const content = parseObject(payload, 'HandshakeRequest');
  const actions = content['RequestedClientActions'];
  if (!Array.isArray(actions)) throw broken('HandshakeRequest', 'no requested actions');
  return {
    AgentVersion: text(content['AgentVersion']),
    RequestedClientActions: actions.map((action: unknown) => {
      if (!isObject(action)) throw broken('HandshakeRequest', 'an action is not an object');
      return { ActionType: text(action['ActionType']), ActionParameters: action['ActionParameters'] };
    }),
  };
}

export function parseHandshakeResponse(payload: Buffer): HandshakeResponse {
  const content = parseObject(payload, 'HandshakeResponse');
  const actions = content['ProcessedClientActions'];
  if (!Array.isArray(actions)) throw broken('HandshakeResponse', 'no processed actions');
  const errors = content['Errors'];
  return {
    ClientVersion: text(content['ClientVersion']),
    ProcessedClientActions: actions.map((action: unknown) => {
      if (!isObject(action)) throw broken('HandshakeResponse', 'an action is not an object');
      return {
        ActionType: text(action['ActionType']),
        ActionStatus: typeof action['ActionStatus'] === 'number' ? action['ActionStatus'] : 0,
        ActionResult: action['ActionResult'],
        Error: text(action['Error']),
      };
    }),
    Errors: Array.isArray(errors) ? errors.map(text) : null,
  };
}

export function parseHandshakeComplete(payload: Buffer): HandshakeComplete {
  const content = parseObject(payload, 'HandshakeComplete');
  const nanoseconds = content['HandshakeTimeToComplete'];
  return {
    HandshakeTimeToComplete: typeof nanoseconds === 'number' ? nanoseconds : 0,
    CustomerMessage: text(content['CustomerMessage']),
  };
}

/** The parameters of a SessionType action, as the agent sends them. */
export interface SessionTypeParameters {
  readonly sessionType: string;
  /** Properties of a Port session; empty for shells and commands. */
  readonly properties: Readonly<Record<string, string>>;
}

export function parseSessionTypeParameters(parameters: unknown): SessionTypeParameters {
  if (!isObject(parameters)) return { sessionType: '', properties: {} };
  const properties: Record<string, string> = {};
  const given = parameters['Properties'];
  if (isObject(given)) {
    for (const [name, value] of Object.entries(given)) {
      if (typeof value === 'string' || typeof value === 'number') properties[name] = String(value);
    }
  }
  return { sessionType: text(parameters['SessionType']), properties };
}

/** The sealed bytes of an EncChallengeRequest or EncChallengeResponse. */
export function parseChallenge(payload: Buffer): Buffer {
  const challenge = parseObject(payload, 'EncChallenge')['Challenge'];
  if (typeof challenge !== 'string') throw broken('EncChallenge', 'no challenge');
  return Buffer.from(challenge, 'base64');
}

export function formatChallenge(sealed: Buffer): Buffer {
  return formatJson({ Challenge: sealed.toString('base64') });
}

/** Any of the JSON payloads above as bytes. */
export function formatJson(content: unknown): Buffer {
  return Buffer.from(JSON.stringify(content), 'utf8');
}

// ---- channel_closed ------------------------------------------------------------------------------------------

export interface ChannelClosed {
  readonly sessionId: string;
  /** The agent's task output; empty after a normal end. */
  readonly output: string;
}

export function parseChannelClosed(payload: Buffer): ChannelClosed {
  const content = parseObject(payload, 'channel_closed');
  return { sessionId: text(content['SessionId']), output: text(content['Output']) };
}

// ---- flag, size, exit code -----------------------------------------------------------------------------------

export const FLAG = { DISCONNECT_TO_PORT: 1, TERMINATE_SESSION: 2, CONNECT_TO_PORT_ERROR: 3 } as const;

export function formatFlag(flag: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(flag, 0);
  return payload;
}

export function parseFlag(payload: Buffer): number {
  if (payload.length < 4) throw broken('Flag', `${payload.length} bytes`);
  return payload.readUInt32BE(0);
}

/** Terminal size in character cells. */
export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}

export function formatSize({ cols, rows }: TerminalSize): Buffer {
  return Buffer.from(JSON.stringify({ cols, rows }));
}

export function parseSize(payload: Buffer): TerminalSize {
  const content = parseObject(payload, 'Size');
  const { cols, rows } = content as { cols?: unknown; rows?: unknown };
  if (typeof cols !== 'number' || typeof rows !== 'number') throw broken('Size', 'no cols or rows');
  return { cols, rows };
}

const EXIT_CODE_TEXT = /^\s*EXIT_CODE:\s*(-?\d+)\s*$/;

export function parseExitCode(payload: Buffer): number {
  const match = EXIT_CODE_TEXT.exec(payload.toString('utf8'));
  if (match?.[1] === undefined) throw broken('ExitCode', 'no number');
  return Number(match[1]);
}

// ---- common --------------------------------------------------------------------------------------------------

function parseObject(payload: Buffer, what: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = JSON.parse(payload.toString('utf8'));
  } catch (cause) {
    throw broken(what, 'not JSON', cause);
  }
  if (!isObject(content)) throw broken(what, 'not a JSON object');
  return content;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Never quotes the payload: it may be a user's data. */
function broken(what: string, reason: string, cause?: unknown): ProxyError {
  return new ProxyError('PROTOCOL_ERROR', `malformed ${what} payload: ${reason}`, { cause });
}
