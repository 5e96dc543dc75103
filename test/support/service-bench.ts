/** A bench for the service side: an emulator with one instance and scripted agents, sessions opened in one call. */
import assert from 'node:assert/strict';
import { ResumeSessionCommand, StartSessionCommand } from '@aws-sdk/client-ssm';
import type { FaultChange } from '../../src/emulator/fault-settings.ts';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Emulator, EmulatorOptions } from '../../src/emulator/server.ts';
import { ChannelClient, sdkClients } from './emulator-clients.ts';
import { until } from './until.ts';
import type { ChannelClientOptions, SdkClients } from './emulator-clients.ts';
import { scriptedAgents } from './scripted-agent.ts';
import type { ScriptedAgent } from './scripted-agent.ts';

export interface Ticket {
  readonly sessionId: string;
  readonly streamUrl: string;
  readonly tokenValue: string;
}

export interface OpenSession extends Ticket {
  readonly client: ChannelClient;
  readonly agent: ScriptedAgent;
}

export class ServiceBench {
  readonly emulator: Emulator;
  readonly sdk: SdkClients;
  readonly agents: ScriptedAgent[];
  readonly instanceId: string;
  readonly #clients: ChannelClient[] = [];

  static async create(options: EmulatorOptions = {}): Promise<ServiceBench> {
    const { start, agents } = scriptedAgents();
    const emulator = await startEmulator({ nodes: 0, startAgentSession: start, ...options });
    const instance = await emulator.controls.addInstance({ name: 'node', privateIp: '10.0.1.10', dial: {} });
    return new ServiceBench(emulator, agents, instance.instanceId);
  }

  private constructor(emulator: Emulator, agents: ScriptedAgent[], instanceId: string) {
    this.emulator = emulator;
    this.agents = agents;
    this.instanceId = instanceId;
    this.sdk = sdkClients(emulator);
  }

  async start(target = this.instanceId): Promise<Ticket> {
    const started = await this.sdk.ssm.send(
      new StartSessionCommand({ Target: target, DocumentName: 'AWS-StartSSHSession' }),
    );
    return ticketOf(started);
  }

  async resume(sessionId: string): Promise<Ticket> {
    return ticketOf(await this.sdk.ssm.send(new ResumeSessionCommand({ SessionId: sessionId })));
  }

  connect(ticket: Ticket, options: ChannelClientOptions = {}): ChannelClient {
    const client = new ChannelClient(ticket.streamUrl, ticket.tokenValue, {
      autoAcknowledge: false,
      ...options,
    });
    this.#clients.push(client);
    return client;
  }

  /** A session with its agent and a bound client. */
  async open(options: ChannelClientOptions = {}): Promise<OpenSession> {
    const ticket = await this.start();
    const agent = await this.agentOf(ticket.sessionId);
    const client = this.connect(ticket, options);
    await until('the client is bound', () => this.#boundOpens(ticket.sessionId) > 0);
    return { ...ticket, client, agent };
  }

  /** Resumes and reconnects. */
  async reopen(session: OpenSession): Promise<ChannelClient> {
    const before = this.#boundOpens(session.sessionId);
    const client = this.connect(await this.resume(session.sessionId), {
      clientId: session.client.clientId,
      nextSequence: session.client.nextSequence,
    });
    await until('the client is bound again', () => this.#boundOpens(session.sessionId) > before);
    return client;
  }

  agentOf(sessionId: string): Promise<ScriptedAgent> {
    return until('the agent has started', () =>
      this.agents.find((agent) => agent.request.sessionId === sessionId),
    );
  }

  session(sessionId: string) {
    const found = this.emulator.controls.sessions().find((each) => each.sessionId === sessionId);
    assert.ok(found !== undefined, sessionId);
    return found;
  }

  /** Opens that were ever accepted: the channel itself may be gone again. */
  #boundOpens(sessionId: string): number {
    const { opens } = this.emulator.controls.state();
    return opens.filter((open) => open.sessionId === sessionId && open.outcome.startsWith('bound')).length;
  }

  /** Runs `body` with these faults; afterwards the service is healthy and its clock the machine's. */
  async with(change: FaultChange, body: () => Promise<void>): Promise<void> {
    this.emulator.controls.resetFaults(change);
    try {
      await body();
    } finally {
      this.emulator.controls.setClock({ speed: 1, offsetMs: 0 });
      this.emulator.controls.resetFaults();
    }
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    this.sdk.destroy();
    await this.emulator.close();
  }
}

function ticketOf(answer: {
  SessionId?: string | undefined;
  StreamUrl?: string | undefined;
  TokenValue?: string | undefined;
}): Ticket {
  return {
    sessionId: answer.SessionId ?? '',
    streamUrl: answer.StreamUrl ?? '',
    tokenValue: answer.TokenValue ?? '',
  };
}
