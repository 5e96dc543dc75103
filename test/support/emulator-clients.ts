/**
 * Clients for tests of the emulator: the real AWS SDK pointed at it, and a bare data-channel client that shares
 * the codec with nobody's state machine: it acknowledges everything and keeps what arrives.
 */
import { EC2Client } from '@aws-sdk/client-ec2';
import { SSMClient } from '@aws-sdk/client-ssm';
import { STSClient } from '@aws-sdk/client-sts';
import { readFileSync } from 'node:fs';
import * as crypto from 'node:crypto';
import * as https from 'node:https';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { WebSocket } from 'ws';
import {
  decodeMessage,
  encodeMessage,
  FLAGS_SYN_FIN,
  formatMessageId,
  MESSAGE_TYPE,
  PAYLOAD_TYPE,
} from '../../src/protocol/message.ts';
import type { Message } from '../../src/protocol/message.ts';
import { until } from './until.ts';
import { formatAcknowledge, formatJson } from '../../src/protocol/payloads.ts';
import type { EmulatorDescription } from '../../src/emulator/describe.ts';

export interface SdkCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Options for any SDK client: nothing is taken from this machine's environment. */
export function sdkOptions(
  emulator: EmulatorDescription,
  credentials: SdkCredentials = emulator.credentials,
) {
  const { caFile } = emulator;
  const httpsAgent = caFile === null ? undefined : new https.Agent({ ca: readFileSync(caFile) });
  return {
    endpoint: emulator.endpoint,
    region: emulator.region,
    credentials,
    maxAttempts: 1,
    ...(httpsAgent === undefined ? {} : { requestHandler: new NodeHttpHandler({ httpsAgent }) }),
  };
}

export interface SdkClients {
  readonly ec2: EC2Client;
  readonly ssm: SSMClient;
  readonly sts: STSClient;
  destroy(): void;
}

export function sdkClients(emulator: EmulatorDescription, credentials?: SdkCredentials): SdkClients {
  const options = sdkOptions(emulator, credentials);
  const clients = { ec2: new EC2Client(options), ssm: new SSMClient(options), sts: new STSClient(options) };
  return {
    ...clients,
    destroy: () => {
      for (const client of Object.values(clients)) client.destroy();
    },
  };
}

export interface ChannelClientOptions {
  /** Replaces the random one. */
  readonly clientId?: string;
  readonly headers?: Record<string, string>;
  readonly ca?: Buffer;
  /** Default true. */
  readonly autoAcknowledge?: boolean;
  /** Answers the HandshakeRequest; default true. */
  readonly autoHandshake?: boolean;
  /** First own sequence number after a resume. */
  readonly nextSequence?: number;
}

/** One WebSocket to the data channel. */
export class ChannelClient {
  readonly webSocket: WebSocket;
  readonly clientId: string;
  /** Everything received, decoded; `raw` has the bytes of the same index. */
  readonly messages: Message[] = [];
  readonly raw: Buffer[] = [];
  readonly undecodable: Buffer[] = [];
  pongs = 0;
  closed: { readonly code: number; readonly reason: string } | undefined;
  refusedStatus: number | undefined;
  error: Error | undefined;
  nextSequence: number;
  readonly #options: ChannelClientOptions;
  #hasAnswered = false;

  constructor(streamUrl: string, tokenValue: string, options: ChannelClientOptions = {}) {
    this.#options = options;
    this.clientId = options.clientId ?? crypto.randomUUID();
    this.nextSequence = options.nextSequence ?? 0;
    this.webSocket = new WebSocket(streamUrl, {
      perMessageDeflate: false,
      headers: options.headers ?? {},
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    });
    this.webSocket.on('open', () => {
      this.webSocket.send(
        JSON.stringify({
          MessageSchemaVersion: '1.0',
          RequestId: crypto.randomUUID(),
          TokenValue: tokenValue,
          ClientId: this.clientId,
          ClientVersion: '1.2.835.0',
        }),
      );
    });
    this.webSocket.on('message', (data: Buffer) => this.#receive(data));
    this.webSocket.on('pong', () => {
      this.pongs += 1;
    });
    this.webSocket.on('unexpected-response', (_request, response) => {
      this.refusedStatus = response.statusCode;
      response.resume();
      this.webSocket.terminate();
    });
    this.webSocket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    this.webSocket.on('error', (error) => {
      this.error = error;
    });
  }

  /** Stream bytes received, each sequence number once, in order; stops at the first gap. */
  get output(): Buffer {
    const bySequence = new Map<number, Message>();
    for (const message of this.messages) {
      if (message.messageType === MESSAGE_TYPE.OUTPUT_STREAM_DATA)
        bySequence.set(message.sequenceNumber, message);
    }
    const parts: Buffer[] = [];
    for (let sequence = 0; ; sequence += 1) {
      const message = bySequence.get(sequence);
      if (message === undefined) return Buffer.concat(parts);
      if (message.payloadType === PAYLOAD_TYPE.OUTPUT) parts.push(message.payload);
    }
  }

  ofType(messageType: string): Message[] {
    return this.messages.filter((message) => message.messageType === messageType);
  }

  /** Resolves once the agent has completed the handshake. */
  async handshaken(): Promise<this> {
    await until('HandshakeComplete', () => {
      if (this.closed !== undefined) throw new Error(`channel closed: ${JSON.stringify(this.closed)}`);
      return this.messages.some((message) => message.payloadType === PAYLOAD_TYPE.HANDSHAKE_COMPLETE);
    });
    return this;
  }

  async open(): Promise<this> {
    await until('the WebSocket is open', () => {
      if (this.closed !== undefined) throw new Error(`channel closed: ${JSON.stringify(this.closed)}`);
      return this.webSocket.readyState === WebSocket.OPEN;
    });
    return this;
  }

  async gone(): Promise<{ readonly code: number; readonly reason: string }> {
    return until('the WebSocket is closed', () => this.closed);
  }

  /** Sends input; returns its sequence number. */
  input(payload: Uint8Array | string, payloadType: number = PAYLOAD_TYPE.OUTPUT): number {
    const sequenceNumber = this.nextSequence;
    this.nextSequence += 1;
    this.webSocket.send(
      encodeMessage({
        messageType: MESSAGE_TYPE.INPUT_STREAM_DATA,
        createdDate: Date.now(),
        sequenceNumber,
        messageId: crypto.randomBytes(16),
        payloadType,
        payload: Buffer.from(payload),
      }),
    );
    return sequenceNumber;
  }

  destroy(): void {
    this.webSocket.terminate();
  }

  #receive(data: Buffer): void {
    let message: Message;
    try {
      message = decodeMessage(data);
    } catch {
      this.undecodable.push(data);
      return;
    }
    this.messages.push(message);
    this.raw.push(data);
    if (message.messageType !== MESSAGE_TYPE.OUTPUT_STREAM_DATA) return;
    if (this.#options.autoAcknowledge ?? true) this.#acknowledge(message);
    const isRequest = message.payloadType === PAYLOAD_TYPE.HANDSHAKE_REQUEST;
    if (isRequest && (this.#options.autoHandshake ?? true) && !this.#hasAnswered) {
      this.#hasAnswered = true;
      const response = {
        ClientVersion: '1.2.835.0',
        ProcessedClientActions: [
          { ActionType: 'SessionType', ActionStatus: 1, ActionResult: null, Error: '' },
        ],
        Errors: null,
      };
      this.input(formatJson(response), PAYLOAD_TYPE.HANDSHAKE_RESPONSE);
    }
  }

  #acknowledge(message: Message): void {
    const id = formatMessageId(message.messageId);
    this.webSocket.send(
      encodeMessage({
        messageType: MESSAGE_TYPE.ACKNOWLEDGE,
        createdDate: Date.now(),
        sequenceNumber: 0,
        flags: FLAGS_SYN_FIN,
        messageId: crypto.randomBytes(16),
        payloadType: PAYLOAD_TYPE.NONE,
        payload: Buffer.from(formatAcknowledge(message.messageType, id, message.sequenceNumber)),
      }),
    );
  }
}
