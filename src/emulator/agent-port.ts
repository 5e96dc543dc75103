/**
 * Port sessions with one TCP connection: plain (SSH) and basic forwarding (protocol.md 6.4 to 6.6).
 *
 * Plain: dials at once; the server's end ends the session. Basic (properties have type LocalPortForwarding, peers
 * too old for mux): the server's end or DisconnectToPort closes the connection, the next Output dials again.
 * A failed dial crashes the real worker (it closes a connection it does not have); so it does here.
 */
import * as net from 'node:net';
import { PAYLOAD_TYPE } from '../protocol/message.ts';
import { FLAG } from '../protocol/payloads.ts';
import type { PendingVerdict, Verdict } from './agent-channel.ts';
import type { PluginHost, SessionPlugin } from './agent-plugin.ts';
import { AgentPump } from './agent-pump.ts';
import { StreamSource } from './agent-source.ts';
import type { DialResult, DialTarget, NodeConnection } from './agent-tcp.ts';
import { closeConnection, dial, writeBlocking } from './agent-tcp.ts';

export const LOCAL_PORT_FORWARDING = 'LocalPortForwarding';

/** Addresses no session may forward to: instance metadata, VPC DNS, time and credential services. */
const FORBIDDEN_HOSTS = new net.BlockList();
for (const last of [123, 250, 251, 253, 254]) FORBIDDEN_HOSTS.addAddress(`169.254.169.${last}`);
for (const last of ['123', '240', '253', '254']) FORBIDDEN_HOSTS.addAddress(`fd00:ec2::${last}`, 'ipv6');

/** The target a Port session's properties ask for, or the text of the refusal. */
export function parsePortProperties(
  properties: Readonly<Record<string, string>>,
): { readonly target: DialTarget } | { readonly error: string } {
  const portNumber = properties['portNumber'] ?? '';
  if (portNumber === '') {
    const shown = Object.entries(properties).map(([name, value]) => `${name}:${value}`);
    return { error: `Port number is empty in session properties. map[${shown.sort().join(' ')}]` };
  }
  const host = properties['host'] ?? '';
  const family = net.isIP(host);
  if (family !== 0 && FORBIDDEN_HOSTS.check(host, family === 6 ? 'ipv6' : 'ipv4')) {
    return { error: `Forwarding to IP address ${host} is forbidden.` };
  }
  return { target: { host: host === '' ? undefined : host, port: Number(portNumber) } };
}

/** Dials the target through the environment's map of ports. Never rejects. */
export function dialTarget(host: PluginHost, target: DialTarget, signal: AbortSignal): Promise<DialResult> {
  let address;
  try {
    address = host.environment.dialAddress(target.host, target.port);
  } catch (error) {
    return Promise.resolve({ error: error instanceof Error ? error.message : String(error) });
  }
  return (host.environment.dial ?? dial)(address, target, signal);
}

export class PortPlugin implements SessionPlugin {
  readonly #host: PluginHost;
  readonly #isForwarding: boolean;
  readonly #aborter = new AbortController();
  #target: DialTarget | undefined;
  #socket: NodeConnection | undefined;
  #pump: AgentPump | undefined;
  /** Basic forwarding: the pump waits for the next Output to dial again. */
  #needsRedial = false;

  constructor(host: PluginHost) {
    this.#host = host;
    this.#isForwarding = host.request.properties['type'] === LOCAL_PORT_FORWARDING;
  }

  start(): void {
    const parsed = parsePortProperties(this.#host.request.properties);
    if ('error' in parsed) {
      this.#host.finish('Failed', parsed.error);
      return;
    }
    this.#target = parsed.target;
    const { dialDelayMs } = this.#host.environment.behaviour;
    if (dialDelayMs > 0) this.#after(dialDelayMs, () => void this.#dial());
    else void this.#dial();
  }

  handle(payloadType: number | undefined, payload: Buffer): PendingVerdict {
    // Before the connection exists everything is refused, flags too; the client sends it again.
    if (this.#socket === undefined) return 'refused';
    switch (payloadType) {
      case PAYLOAD_TYPE.OUTPUT:
        return this.#write(payload);
      case PAYLOAD_TYPE.FLAG:
        return this.#handleFlag(payload);
      default:
        return 'handled';
    }
  }

  onActive(): void {
    this.#pump?.wake();
  }

  onAcknowledged(): void {
    this.#pump?.wake();
  }

  stop(): void {
    this.#aborter.abort();
    this.#pump?.stop();
    if (this.#socket !== undefined) closeConnection(this.#socket, this.#host.clock);
  }

  kill(): void {
    this.#aborter.abort();
    this.#pump?.stop();
    this.#socket?.destroy();
  }

  async #dial(): Promise<Verdict> {
    const target = this.#target;
    if (target === undefined) return 'refused';
    const result = await dialTarget(this.#host, target, this.#aborter.signal);
    if (this.#aborter.signal.aborted) return 'refused';
    if ('error' in result) {
      this.#host.trace('dial-failed', { port: target.port });
      this.#host.crash(`Unable to connect to specified port: ${result.error}`);
      return 'refused';
    }
    this.#host.trace('dialled', { port: target.port });
    this.#connect(result.socket);
    return 'handled';
  }

  #connect(socket: NodeConnection): void {
    this.#socket = socket;
    const { channel, clock, environment } = this.#host;
    const pump = new AgentPump({
      source: new StreamSource(socket),
      channel,
      clock,
      behaviour: environment.behaviour,
      send: (data) => channel.send(PAYLOAD_TYPE.OUTPUT, data),
      onEnd: (how) => this.#serverEnded(how),
    });
    this.#pump = pump;
    const { dialDelayMs } = environment.behaviour;
    if (dialDelayMs > 0) this.#after(dialDelayMs, () => pump.start());
    else pump.start();
  }

  #serverEnded(how: 'end' | 'failed'): void {
    this.#host.trace('server-ended', { how });
    if (this.#isForwarding) {
      if (this.#socket !== undefined) closeConnection(this.#socket, this.#host.clock);
      this.#needsRedial = true;
      return;
    }
    this.#host.finish(how === 'end' ? 'Success' : 'Failed', '');
  }

  #write(payload: Buffer): PendingVerdict {
    if (this.#needsRedial) {
      return this.#dial().then((dialled) => {
        if (dialled === 'refused' || this.#socket === undefined) return 'refused';
        this.#needsRedial = false;
        return writeBlocking(this.#socket, payload);
      });
    }
    return this.#socket === undefined ? 'refused' : writeBlocking(this.#socket, payload);
  }

  #handleFlag(payload: Buffer): PendingVerdict {
    const flag = payload.length >= 4 ? payload.readUInt32BE(0) : 0;
    if (flag === FLAG.TERMINATE_SESSION) return this.#host.terminate();
    // In a plain session the pump then fails to read, and the session with it.
    if (flag === FLAG.DISCONNECT_TO_PORT && this.#socket !== undefined) {
      closeConnection(this.#socket, this.#host.clock);
    }
    return 'handled';
  }

  #after(delayMs: number, callback: () => void): void {
    const timer = this.#host.clock.setTimer(delayMs, callback);
    this.#aborter.signal.addEventListener('abort', () => timer.cancel(), { once: true });
  }
}
