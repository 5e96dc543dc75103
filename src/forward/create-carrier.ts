/** Which of the two ways of carrying connections a session has: the agent's version decides. */
import type { Clock } from '../clock.ts';
import type { SessionFacts } from '../protocol/handshake.ts';
import { isMultiplexed } from '../session-purpose.ts';
import type { Session } from '../session/session.ts';
import { BasicCarrier } from './basic-carrier.ts';
import type { Carrier } from './carrier.ts';
import { MuxCarrier } from './mux-carrier.ts';

export interface CarrierParts {
  readonly session: Session;
  readonly clock: Clock;
  /** What is connected to, for messages: `port 80 of i-...`. */
  readonly farEnd: string;
}

/** Once the session is ready. */
export function createCarrier(facts: SessionFacts, parts: CarrierParts): Carrier {
  return isMultiplexed(facts) && facts.agentVersion !== undefined
    ? new MuxCarrier({ ...parts, agentVersion: facts.agentVersion })
    : new BasicCarrier(parts);
}
