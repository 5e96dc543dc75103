/** What sessions for shells and commands are for; see session-purpose.ts. */
import { ProxyError } from './errors.ts';
import type { SessionFacts } from './protocol/handshake.ts';
import { SESSION_TYPE } from './protocol/handshake.ts';
import type { DocumentParameters, SessionPurpose } from './session-purpose.ts';

export const NON_INTERACTIVE_DOCUMENT = 'AWS-StartNonInteractiveCommand';
const INTERACTIVE_DOCUMENT = 'AWS-StartInteractiveCommand';

/** A shell on a terminal; `document` undefined: as the account's preferences say. */
export function shellPurpose(document: string | undefined, parameters: DocumentParameters): SessionPurpose {
  return {
    document,
    parameters,
    farEnd: 'the shell',
    opensWith: 'setup',
    unusable: (facts) =>
      unlessOf(facts, TERMINAL_TYPES, document, 'shell needs a document of type Standard_Stream'),
  };
}

export interface CommandRequest {
  /** The command line as the document passes it to the agent. */
  readonly command: string;
  /** On a terminal: AWS-StartInteractiveCommand instead of AWS-StartNonInteractiveCommand. */
  readonly isInteractive: boolean;
  /** One's own document with a parameter `command`. */
  readonly document: string | undefined;
  readonly parameters: DocumentParameters;
}

/** One command. */
export function commandPurpose(request: CommandRequest): SessionPurpose {
  const { isInteractive } = request;
  const document = request.document ?? (isInteractive ? INTERACTIVE_DOCUMENT : NON_INTERACTIVE_DOCUMENT);
  const types = isInteractive ? TERMINAL_TYPES : [SESSION_TYPE.NON_INTERACTIVE_COMMANDS];
  return {
    document,
    parameters: { command: [request.command], ...request.parameters },
    farEnd: 'the command',
    opensWith: 'setup',
    unusable: (facts) =>
      unlessOf(
        facts,
        types,
        document,
        isInteractive
          ? 'exec -t needs a document of type InteractiveCommands'
          : 'exec needs a document of type NonInteractiveCommands; -t one of type InteractiveCommands',
      ),
  };
}

/** Without a handshake the agent tells of no type: a terminal of either kind. */
const TERMINAL_TYPES: readonly string[] = [SESSION_TYPE.STANDARD_STREAM, SESSION_TYPE.INTERACTIVE_COMMANDS];

function unlessOf(
  { sessionType }: SessionFacts,
  types: readonly string[],
  document: string | undefined,
  hint: string,
): ProxyError | undefined {
  if (types.includes(sessionType)) return undefined;
  const name = document === undefined ? 'the default document' : `document ${document}`;
  return new ProxyError('DOCUMENT_INVALID', `${name} starts a session of type ${sessionType}`, { hint });
}
