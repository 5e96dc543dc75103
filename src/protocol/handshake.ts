/**
 * The client's side of the handshake: one response to one request, an entry per requested action in the same order.
 * Pure: fetching the KMS data key is the caller's business.
 *
 * A failed or unknown action is reported to the agent, which then ends the session with its reason; that reason,
 * not ours, is what the user should read. So nothing here throws for a request that we cannot serve.
 */
import { DATA_KEY_BYTES } from './cipher.ts';
import { CLIENT_VERSION } from './limits.ts';
import type {
  HandshakeRequest,
  HandshakeResponse,
  ProcessedClientAction,
  RequestedClientAction,
} from './payloads.ts';
import { ACTION_STATUS, ACTION_TYPE, parseSessionTypeParameters } from './payloads.ts';

export const SESSION_TYPE = {
  PORT: 'Port',
  STANDARD_STREAM: 'Standard_Stream',
  INTERACTIVE_COMMANDS: 'InteractiveCommands',
  NON_INTERACTIVE_COMMANDS: 'NonInteractiveCommands',
} as const;

const KNOWN_SESSION_TYPES: ReadonlySet<string> = new Set(Object.values(SESSION_TYPE));

/** What the far end told about the session. */
export interface SessionFacts {
  /** One of SESSION_TYPE. */
  readonly sessionType: string;
  /** Port sessions: portNumber, host, type, ... */
  readonly properties: Readonly<Record<string, string>>;
  /** Undefined when the agent sent no handshake. */
  readonly agentVersion: string | undefined;
  readonly isEncrypted: boolean;
}

/** A data key to be generated: KMS GenerateDataKey with NumberOfBytes and this encryption context. */
export interface DataKeyRequest {
  readonly kmsKeyId: string;
  readonly numberOfBytes: number;
  readonly encryptionContext: Readonly<Record<string, string>>;
}

export interface DataKey {
  /** Secret; 64 bytes. */
  readonly plaintext: Buffer;
  readonly ciphertext: Buffer;
}

/** The outcome of asking for a data key: the key, or one line of why there is none. */
export type DataKeyOutcome = { readonly key: DataKey } | { readonly failure: string };

export function sessionFacts(request: HandshakeRequest): SessionFacts {
  const action = request.RequestedClientActions.find(
    ({ ActionType }) => ActionType === ACTION_TYPE.SESSION_TYPE,
  );
  const { sessionType, properties } = parseSessionTypeParameters(action?.ActionParameters);
  return {
    sessionType,
    properties,
    agentVersion: request.AgentVersion,
    isEncrypted: request.RequestedClientActions.some(
      ({ ActionType }) => ActionType === ACTION_TYPE.KMS_ENCRYPTION,
    ),
  };
}

/** The data key that the request asks for, if it asks for encryption. */
export function dataKeyRequest(
  request: HandshakeRequest,
  sessionId: string,
  targetId: string,
): DataKeyRequest | undefined {
  const action = request.RequestedClientActions.find(
    ({ ActionType }) => ActionType === ACTION_TYPE.KMS_ENCRYPTION,
  );
  if (action === undefined) return undefined;
  const { kmsKeyId, challenge } = kmsParameters(action);
  return {
    kmsKeyId,
    numberOfBytes: DATA_KEY_BYTES,
    encryptionContext: {
      'aws:ssm:SessionId': sessionId,
      'aws:ssm:TargetId': targetId,
      ...(challenge === '' ? {} : { 'aws:ssm:RandomChallenge': challenge }),
    },
  };
}

/** The response; `dataKey` is needed when `dataKeyRequest` gave one. */
export function respond(request: HandshakeRequest, dataKey: DataKeyOutcome | undefined): HandshakeResponse {
  const actions = request.RequestedClientActions.map((action) => processAction(action, dataKey));
  const errors = actions.map((action) => action.Error).filter((error) => error !== '');
  return {
    ClientVersion: CLIENT_VERSION,
    ProcessedClientActions: actions,
    Errors: errors.length === 0 ? null : errors,
  };
}

function processAction(
  action: RequestedClientAction,
  dataKey: DataKeyOutcome | undefined,
): ProcessedClientAction {
  switch (action.ActionType) {
    case ACTION_TYPE.SESSION_TYPE: {
      const { sessionType } = parseSessionTypeParameters(action.ActionParameters);
      if (KNOWN_SESSION_TYPES.has(sessionType)) return success(action, null);
      return failure(action, `Unknown session type ${sessionType}`);
    }
    case ACTION_TYPE.KMS_ENCRYPTION: {
      if (dataKey === undefined) return failure(action, 'no data key');
      if ('failure' in dataKey) return failure(action, dataKey.failure);
      const result = {
        KMSCipherTextKey: dataKey.key.ciphertext.toString('base64'),
        KMSCipherTextHash: null,
        // True means "the challenge is in the encryption context"; the agent then puts it there to decrypt.
        ...(kmsParameters(action).challenge === '' ? {} : { ChallengeAcknowledgement: true }),
      };
      return success(action, result);
    }
    default:
      return {
        ActionType: action.ActionType,
        ActionStatus: ACTION_STATUS.UNSUPPORTED,
        ActionResult: null,
        Error: `Unsupported action ${action.ActionType}`,
      };
  }
}

function success(action: RequestedClientAction, result: unknown): ProcessedClientAction {
  return {
    ActionType: action.ActionType,
    ActionStatus: ACTION_STATUS.SUCCESS,
    ActionResult: result,
    Error: '',
  };
}

function failure(action: RequestedClientAction, reason: string): ProcessedClientAction {
  return {
    ActionType: action.ActionType,
    ActionStatus: ACTION_STATUS.FAILED,
    ActionResult: null,
    Error: `Failed to process action ${action.ActionType}: ${reason}`,
  };
}

function kmsParameters(action: RequestedClientAction): { kmsKeyId: string; challenge: string } {
  const parameters = (action.ActionParameters ?? {}) as { KMSKeyId?: unknown; Challenge?: unknown };
  return {
    kmsKeyId: typeof parameters.KMSKeyId === 'string' ? parameters.KMSKeyId : '',
    challenge: typeof parameters.Challenge === 'string' ? parameters.Challenge : '',
  };
}
