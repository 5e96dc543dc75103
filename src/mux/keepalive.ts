/**
 * Which agents need keepalive frames. An agent that sends them itself ends the session when it gets no frame for 30
 * to 60 s; those above 3.1.1511.0 do not send them to clients of our version. A keepalive frame is stream data, so it
 * also keeps the service from ending an idle session: it is sent only where it must be (protocol.md 6.7).
 */
import { MUX_ABOVE, MUX_KEEPALIVE_OFF_ABOVE, compareVersions } from '../protocol/versions.ts';

/** Whether the agent multiplexes forwarded ports. Without a version it is too old to tell. */
export function isMultiplexing(agentVersion: string | undefined): boolean {
  return agentVersion !== undefined && compareVersions(agentVersion, MUX_ABOVE) > 0;
}

export function needsKeepalive(agentVersion: string): boolean {
  return compareVersions(agentVersion, MUX_KEEPALIVE_OFF_ABOVE) <= 0;
}
