/**
 * A naive far end for channel tests, built on the envelope alone: it keeps every message in an array, acknowledges
 * by simple rules and never repeats anything by itself. Tests say what it sends and when.
 */
import type { Message } from '../../src/protocol/message.ts';
import {
  FLAGS_SYN_FIN,
  MESSAGE_TYPE,
  PAYLOAD_TYPE,
  decodeMessage,
  encodeMessage,
  formatMessageId,
} from '../../src/protocol/message.ts';

const MESSAGE_ID = Buffer.from('0123456789abcdef0123456789abcdef', 'hex');

export function outputMessage(
  sequenceNumber: number,
  payload: Buffer | string,
  payloadType: number = PAYLOAD_TYPE.OUTPUT,
): Buffer {
  return encodeMessage({
    messageType: MESSAGE_TYPE.OUTPUT_STREAM_DATA,
    createdDate: 1_730_000_000_000,
    sequenceNumber,
    flags: sequenceNumber === 0 ? 1 : 0,
    messageId: MESSAGE_ID,
    payloadType,
    payload: Buffer.from(payload as string),
  });
}

export function acknowledgeMessage(sequenceNumber: number): Buffer {
  return encodeMessage({
    messageType: MESSAGE_TYPE.ACKNOWLEDGE,
    createdDate: 1_730_000_000_000,
    sequenceNumber: 0,
    flags: FLAGS_SYN_FIN,
    messageId: MESSAGE_ID,
    payloadType: PAYLOAD_TYPE.NONE,
    payload: Buffer.from(
      JSON.stringify({
        AcknowledgedMessageType: 'input_stream_data',
        AcknowledgedMessageId: formatMessageId(MESSAGE_ID),
        AcknowledgedMessageSequenceNumber: sequenceNumber,
        IsSequentialMessage: true,
      }),
    ),
  });
}

/** A message as the service makes it: short header, NUL padding, no payload type, zero digest. */
export function serviceMessage(messageType: string, payload: string = ''): Buffer {
  const bytes = Buffer.alloc(116 + Buffer.byteLength(payload));
  bytes.writeUInt32BE(112, 0);
  bytes.write(messageType, 4, 'latin1');
  bytes.writeUInt32BE(1, 36);
  bytes.writeBigUInt64BE(1_730_000_000_000n, 40);
  bytes.writeUInt32BE(Buffer.byteLength(payload), 112);
  bytes.write(payload, 116);
  return bytes;
}

export function channelClosedMessage(output: string): Buffer {
  return serviceMessage(
    MESSAGE_TYPE.CHANNEL_CLOSED,
    JSON.stringify({ MessageType: 'channel_closed', SessionId: 's-1', SchemaVersion: 1, Output: output }),
  );
}

export interface HandshakeOptions {
  readonly agentVersion?: string;
  readonly sessionType?: string;
  readonly properties?: unknown;
  readonly extraActions?: readonly unknown[];
}

export function handshakeRequest(options: HandshakeOptions = {}): string {
  return JSON.stringify({
    AgentVersion: options.agentVersion ?? '3.3.987.0',
    RequestedClientActions: [
      {
        ActionType: 'SessionType',
        ActionParameters: {
          SessionType: options.sessionType ?? 'Port',
          Properties: options.properties ?? { portNumber: '22' },
        },
      },
      ...(options.extraActions ?? []),
    ],
  });
}

export function handshakeComplete(customerMessage: string = ''): string {
  return JSON.stringify({ HandshakeTimeToComplete: 1_000_000, CustomerMessage: customerMessage });
}

/** What a client sent, sorted out. */
export class Received {
  readonly messages: Message[] = [];

  add(bytes: Buffer): Message {
    const message = decodeMessage(bytes);
    this.messages.push(message);
    return message;
  }

  get acknowledged(): number[] {
    return this.messages
      .filter(({ messageType }) => messageType === MESSAGE_TYPE.ACKNOWLEDGE)
      .map(
        ({ payload }) =>
          (JSON.parse(payload.toString()) as { AcknowledgedMessageSequenceNumber: number })
            .AcknowledgedMessageSequenceNumber,
      );
  }

  get stream(): Message[] {
    return this.messages.filter(({ messageType }) => messageType === MESSAGE_TYPE.INPUT_STREAM_DATA);
  }

  get sequenceNumbers(): number[] {
    return this.stream.map(({ sequenceNumber }) => sequenceNumber);
  }

  clear(): void {
    this.messages.length = 0;
  }
}
