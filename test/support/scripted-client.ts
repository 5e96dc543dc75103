/**
 * A client for tests of the emulator's agent alone, made from message.ts: it sends what the test says, keeps what
 * the agent sends, and by default acknowledges all of it and answers the handshake.
 */
import * as crypto from 'node:crypto';
import type { Clock } from '../../src/clock.ts';
import { systemClock } from '../../src/clock.ts';
import type {
  AgentBehaviour,
  AgentEnvironment,
  AgentSession,
  AgentSessionRequest,
  DialAddress,
} from '../../src/emulator/agent-link.ts';
import { REAL_AGENT_BEHAVIOUR } from '../../src/emulator/agent-link.ts';
import { createAgentSession } from '../../src/emulator/agent.ts';
import {
  decodeMessage,
  encodeMessage,
  formatMessageId,
  MESSAGE_TYPE,
  PAYLOAD_TYPE,
} from '../../src/protocol/message.ts';
import type { Message } from '../../src/protocol/message.ts';
import { formatAcknowledge, formatFlag, formatJson, parseAcknowledge } from '../../src/protocol/payloads.ts';
import { until } from './until.ts';

export interface ScriptedClientOptions {
  readonly request?: Partial<AgentSessionRequest>;
  readonly behaviour?: Partial<AgentBehaviour>;
  readonly clock?: Clock;
  readonly dial?: DialAddress | ((host: string | undefined, port: number) => DialAddress);
  readonly decryptDataKey?: AgentEnvironment['decryptDataKey'];
  readonly shell?: AgentEnvironment['shell'];
  /** Default true: every stream message is acknowledged. */
  readonly acknowledges?: boolean;
  /** Default true: the handshake is answered with success. */
  readonly answersHandshake?: boolean;
  readonly clientVersion?: string;
}

export interface TaskResult {
  readonly status: string;
  readonly output: string;
}

const NOBODY: DialAddress = { host: '127.0.0.1', port: 1 };

export class ScriptedClient {
  readonly session: AgentSession;
  readonly behaviour: AgentBehaviour;
  /** Every message of the agent, in order. */
  readonly received: Message[] = [];
  readonly traces: string[] = [];
  acknowledges: boolean;
  result: TaskResult | undefined;
  readonly #answersHandshake: boolean;
  readonly #clientVersion: string;
  #nextSequence = 0;
  /** Agent messages to be reacted to; never from within the agent's call, as a real network. */
  #pending: Message[] = [];
  #isReacting = false;

  constructor(options: ScriptedClientOptions = {}) {
    this.acknowledges = options.acknowledges ?? true;
    this.#answersHandshake = options.answersHandshake ?? true;
    this.#clientVersion = options.clientVersion ?? '1.2.835.0';
    this.behaviour = { ...REAL_AGENT_BEHAVIOUR, ...options.behaviour };
    const dial = options.dial ?? NOBODY;
    const environment: AgentEnvironment = {
      behaviour: this.behaviour,
      dialAddress: typeof dial === 'function' ? dial : () => dial,
      decryptDataKey: options.decryptDataKey ?? (() => Promise.reject(new Error('no key expected'))),
      shell: options.shell,
    };
    const request: AgentSessionRequest = {
      sessionId: 'user-0123',
      instanceId: 'i-0123456789abcdef0',
      agentVersion: '3.3.987.0',
      sessionType: 'Port',
      properties: { portNumber: '22' },
      command: undefined,
      separateOutputStream: false,
      kmsKeyId: undefined,
      ...options.request,
    };
    this.session = createAgentSession(
      request,
      environment,
      {
        send: (data) => this.#onMessage(data),
        complete: (status, output) => {
          if (this.result !== undefined) throw new Error('the task completed twice');
          this.result = { status, output };
        },
        trace: (event) => this.traces.push(event),
      },
      options.clock ?? systemClock,
    );
  }

  get hasEnded(): boolean {
    return this.result !== undefined;
  }

  /** Stream messages of the agent, first transmissions only, in order of sequence number. */
  get stream(): readonly Message[] {
    const bySequence = new Map<number, Message>();
    for (const message of this.received) {
      if (message.messageType !== MESSAGE_TYPE.OUTPUT_STREAM_DATA) continue;
      if (!bySequence.has(message.sequenceNumber)) bySequence.set(message.sequenceNumber, message);
    }
    return [...bySequence.values()].sort((a, b) => a.sequenceNumber - b.sequenceNumber);
  }

  /** Payloads of one type, joined. */
  bytesOf(payloadType: number): Buffer {
    return Buffer.concat(this.stream.filter((m) => m.payloadType === payloadType).map((m) => m.payload));
  }

  get output(): Buffer {
    return this.bytesOf(PAYLOAD_TYPE.OUTPUT);
  }

  /** Sequence numbers that the agent acknowledged, in order. */
  get acknowledged(): readonly number[] {
    return this.received
      .filter((message) => message.messageType === MESSAGE_TYPE.ACKNOWLEDGE)
      .map((message) => parseAcknowledge(message.payload));
  }

  /** Sends a stream message with the next sequence number, or the one given. Returns the number. */
  send(payloadType: number, payload: Buffer | string, sequenceNumber = this.#nextSequence): number {
    this.#nextSequence = Math.max(this.#nextSequence, sequenceNumber + 1);
    this.session.receive(encodeStream(payloadType, Buffer.from(payload), sequenceNumber));
    return sequenceNumber;
  }

  sendFlag(flag: number): number {
    return this.send(PAYLOAD_TYPE.FLAG, formatFlag(flag));
  }

  /** Sends until the agent has acknowledged, as every client does. */
  async sendReliably(payloadType: number, payload: Buffer | string): Promise<void> {
    const sequenceNumber = this.send(payloadType, payload);
    await until(`acknowledgement of ${sequenceNumber}`, () => {
      if (this.acknowledged.includes(sequenceNumber)) return true;
      this.send(payloadType, payload, sequenceNumber);
      return undefined;
    });
  }

  /** A message of the service: pause_publication, start_publication, channel_closed, or anything. */
  sendControl(messageType: string, payload: Buffer = Buffer.alloc(0), createdDate = 1): void {
    this.session.receive(
      encodeMessage({
        messageType,
        createdDate,
        sequenceNumber: 0,
        messageId: crypto.randomBytes(16),
        payloadType: PAYLOAD_TYPE.NONE,
        payload,
      }),
    );
  }

  closeByService(): void {
    this.sendControl(MESSAGE_TYPE.CHANNEL_CLOSED, formatJson({ SessionId: 'user-0123', Output: '' }));
  }

  acknowledge(message: Message, sequenceNumber = message.sequenceNumber): void {
    const id = formatMessageId(message.messageId);
    const text = formatAcknowledge(message.messageType, id, sequenceNumber);
    this.sendControl(MESSAGE_TYPE.ACKNOWLEDGE, Buffer.from(text));
  }

  /** A HandshakeResponse with these actions; default: one success per requested action. */
  respond(actions: readonly object[], sequenceNumber?: number): void {
    this.send(
      PAYLOAD_TYPE.HANDSHAKE_RESPONSE,
      formatJson({ ClientVersion: this.#clientVersion, ProcessedClientActions: actions, Errors: null }),
      sequenceNumber,
    );
  }

  /** Resolves when HandshakeComplete has come. */
  async handshake(): Promise<void> {
    await until('HandshakeComplete', () => this.hasType(PAYLOAD_TYPE.HANDSHAKE_COMPLETE));
  }

  hasType(payloadType: number): boolean {
    return this.received.some((message) => message.payloadType === payloadType);
  }

  async ended(): Promise<TaskResult> {
    return until('the end of the task', () => this.result);
  }

  #onMessage(data: Buffer): void {
    // A copy: the agent may send the same bytes again.
    const message = decodeMessage(Buffer.from(data));
    this.received.push(message);
    if (message.messageType !== MESSAGE_TYPE.OUTPUT_STREAM_DATA) return;
    this.#pending.push(message);
    if (this.#isReacting) return;
    this.#isReacting = true;
    setImmediate(() => this.#react());
  }

  #react(): void {
    const messages = this.#pending;
    this.#pending = [];
    this.#isReacting = false;
    for (const message of messages) {
      if (this.acknowledges) this.acknowledge(message);
      const isRequest = message.payloadType === PAYLOAD_TYPE.HANDSHAKE_REQUEST;
      if (isRequest && this.#answersHandshake && this.#nextSequence === 0) this.respond([SUCCESS]);
    }
  }
}

/** The answer to the SessionType action. */
export const SUCCESS = { ActionType: 'SessionType', ActionStatus: 1, ActionResult: null, Error: '' };

export function encodeStream(payloadType: number, payload: Buffer, sequenceNumber: number): Buffer {
  return encodeMessage({
    messageType: MESSAGE_TYPE.INPUT_STREAM_DATA,
    createdDate: 1,
    sequenceNumber,
    messageId: crypto.randomBytes(16),
    payloadType,
    payload,
  });
}
