/** Which plugin serves which session type, and which types begin with a handshake (protocol.md 5.1, 6). */
import type { PendingVerdict } from './agent-channel.ts';
import type { PluginHost, SessionPlugin } from './agent-plugin.ts';
import { PortPlugin } from './agent-port.ts';

/** Without encryption shells and interactive commands begin with Output at once. */
export function requiresHandshake(sessionType: string): boolean {
  return sessionType !== 'Standard_Stream' && sessionType !== 'InteractiveCommands';
}

export function createPlugin(host: PluginHost): SessionPlugin {
  switch (host.request.sessionType) {
    case 'Port':
      return new PortPlugin(host);
    default:
      return new UnknownPlugin(host);
  }
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
