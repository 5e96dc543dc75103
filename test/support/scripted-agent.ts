/**
 * An agent for tests of the service alone: it does nothing by itself, keeps what the service gives it, and sends
 * what the test says. It takes the place of the emulator's real agent.
 */
import * as crypto from 'node:crypto';
import type {
  AgentEnvironment,
  AgentSession,
  AgentSessionRequest,
  AgentStats,
  AgentUplink,
  StartAgentSession,
} from '../../src/emulator/agent-link.ts';
import { decodeMessage, encodeMessage, MESSAGE_TYPE, PAYLOAD_TYPE } from '../../src/protocol/message.ts';
import type { Message } from '../../src/protocol/message.ts';

export class ScriptedAgent implements AgentSession {
  readonly request: AgentSessionRequest;
  readonly environment: AgentEnvironment;
  readonly uplink: AgentUplink;
  /** What arrived; bytes that are no message are in `raw` only. */
  readonly messages: Message[] = [];
  readonly raw: Buffer[] = [];
  /** 'down', 'up', 'killed' in order. */
  readonly events: string[] = [];
  #nextSequence = 0;

  constructor(request: AgentSessionRequest, environment: AgentEnvironment, uplink: AgentUplink) {
    this.request = request;
    this.environment = environment;
    this.uplink = uplink;
  }

  receive(message: Buffer): void {
    this.raw.push(message);
    try {
      const decoded = decodeMessage(message);
      this.messages.push(decoded);
      // As the real agent: the service says that the session is over, the task ends.
      if (decoded.messageType === MESSAGE_TYPE.CHANNEL_CLOSED) this.uplink.complete('Success', '');
    } catch {
      // Kept in `raw`.
    }
  }

  channelDown(): void {
    this.events.push('down');
  }

  channelUp(): void {
    this.events.push('up');
  }

  kill(): void {
    this.events.push('killed');
  }

  stats(): AgentStats {
    return {
      unackedMessages: 0,
      retransmissions: 0,
      receivedBytes: 0,
      sentBytes: 0,
      duplicatesReceived: 0,
      isPaused: false,
    };
  }

  /** Sends one stream message; returns its bytes. */
  output(payload: Uint8Array | string, payloadType: number = PAYLOAD_TYPE.OUTPUT): Buffer {
    const data = encodeMessage({
      messageType: MESSAGE_TYPE.OUTPUT_STREAM_DATA,
      createdDate: Date.now(),
      sequenceNumber: this.#nextSequence,
      messageId: crypto.randomBytes(16),
      payloadType,
      payload: Buffer.from(payload),
    });
    this.#nextSequence += 1;
    this.uplink.send(data);
    return data;
  }

  ofType(messageType: string): Message[] {
    return this.messages.filter((message) => message.messageType === messageType);
  }
}

/** A StartAgentSession whose agents can be looked at, in order of their start. */
export function scriptedAgents(): { readonly start: StartAgentSession; readonly agents: ScriptedAgent[] } {
  const agents: ScriptedAgent[] = [];
  return {
    agents,
    start: (request, environment, uplink) => {
      const agent = new ScriptedAgent(request, environment, uplink);
      agents.push(agent);
      return agent;
    },
  };
}
