/**
 * What a session is for that somebody else has started. Its document is not known for sure; the handshake tells what
 * the far end makes of it.
 */
import type { SessionFacts } from '../../protocol/handshake.ts';
import { SESSION_TYPE } from '../../protocol/handshake.ts';
import { LOCAL_PORT_FORWARDING } from '../../session-purpose.ts';
import type { SessionPurpose } from '../../session-purpose.ts';

/**
 * `pipe`: stdin and stdout are the two ends of a connection to a port, as ssh wants it. `forward`: a local port is
 * listened on. `terminal`: a shell or a command on a terminal. `command`: output and nothing else.
 */
export type GrantedKind = 'pipe' | 'forward' | 'terminal' | 'command';

export function kindOf({ sessionType, properties }: SessionFacts): GrantedKind {
  switch (sessionType) {
    case SESSION_TYPE.PORT:
      return properties['type'] === LOCAL_PORT_FORWARDING ? 'forward' : 'pipe';
    case SESSION_TYPE.NON_INTERACTIVE_COMMANDS:
      return 'command';
    default:
      return 'terminal';
  }
}

export class GrantedPurpose implements SessionPurpose {
  readonly document: string | undefined;
  readonly parameters = {};
  readonly opensWith = 'setup';
  #facts: SessionFacts | undefined;

  constructor(document: string | undefined) {
    this.document = document;
  }

  get farEnd(): string {
    if (this.#facts === undefined) return 'the session';
    const { portNumber, host } = this.#facts.properties;
    switch (kindOf(this.#facts)) {
      case 'pipe':
      case 'forward':
        return host === undefined ? `port ${portNumber}` : `port ${portNumber} of ${host} by way`;
      case 'terminal':
        return 'the shell';
      case 'command':
        return 'the command';
    }
  }

  /** Whatever it is, the caller wanted it. */
  unusable(facts: SessionFacts): undefined {
    this.#facts = facts;
  }
}
