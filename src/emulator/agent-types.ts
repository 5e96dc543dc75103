/** Which plugin serves which session type, and which types begin with a handshake (protocol.md 5.1, 6). */
import { compareVersions, MUX_ABOVE } from '../protocol/versions.ts';
import type { PendingVerdict } from './agent-channel.ts';
import { CommandPlugin } from './agent-commands.ts';
import { MuxPlugin } from './agent-mux.ts';
import type { PluginHost, SessionPlugin } from './agent-plugin.ts';
import { LOCAL_PORT_FORWARDING, PortPlugin } from './agent-port.ts';
import { ShellPlugin } from './agent-shell.ts';

/** Clients from this one on multiplex. */
const MUX_CLIENT_FROM = '1.1.70';

/** Without encryption shells and interactive commands begin with Output at once. */
export function requiresHandshake(sessionType: string): boolean {
  return sessionType !== 'Standard_Stream' && sessionType !== 'InteractiveCommands';
}

export function createPlugin(host: PluginHost): SessionPlugin {
  switch (host.request.sessionType) {
    case 'Port':
      return isMultiplexed(host) ? new MuxPlugin(host) : new PortPlugin(host);
    case 'Standard_Stream':
    case 'InteractiveCommands':
      return new ShellPlugin(host);
    case 'NonInteractiveCommands':
      return new CommandPlugin(host);
    default:
      return new UnknownPlugin(host);
  }
}

/** Both ends decide by the other's version, without negotiation (protocol.md 5.4). */
function isMultiplexed(host: PluginHost): boolean {
  return (
    host.request.properties['type'] === LOCAL_PORT_FORWARDING &&
    compareVersions(host.request.agentVersion, MUX_ABOVE) > 0 &&
    compareVersions(host.clientVersion, MUX_CLIENT_FROM) >= 0
  );
}

/** A type this agent does not know: the task fails with the real agent's text. */
class UnknownPlugin implements SessionPlugin {
  readonly #host: PluginHost;

  constructor(host: PluginHost) {
    this.#host = host;
  }

  start(): void {
    const name = this.#host.request.sessionType;
    this.#host.finish(
      'Failed',
      `Plugin with name ${name} is not supported by this version of ssm agent, ` +
        `please update to latest version. Step name: ${name}`,
    );
  }

  handle(): PendingVerdict {
    return 'refused';
  }

  onActive(): void {}

  onAcknowledged(): void {}

  stop(): void {}

  kill(): void {}
}
