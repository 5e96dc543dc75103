/**
 * The binary envelope of every data-channel message, both directions. Bytes only: no state, no decisions.
 *
 * Layout, all integers big-endian (source: message parser of the official client and agent):
 *
 *   offset  size  field
 *        0     4  HeaderLength    bytes before PayloadLength: 116, or 112 in some service-made messages
 *        4    32  MessageType     ASCII, padded right with spaces (the service also pads with NUL)
 *       36     4  SchemaVersion   1
 *       40     8  CreatedDate     ms since the Unix epoch, never 0
 *       48     8  SequenceNumber  signed, from 0 per direction; 0 in acknowledgements and control messages
 *       56     8  Flags           bit 0 SYN, bit 1 FIN; no end reads them
 *       64    16  MessageId       UUID, its second half first
 *       80    32  PayloadDigest   SHA-256 of the payload as sent
 *      112     4  PayloadType     absent when HeaderLength is 112
 *       HL     4  PayloadLength   not enforced by either end
 *     HL+4     -  Payload         everything to the end of the message
 */
import * as crypto from 'node:crypto';
import { ProxyError } from '../errors.ts';

export const MESSAGE_TYPE = {
  INPUT_STREAM_DATA: 'input_stream_data',
  OUTPUT_STREAM_DATA: 'output_stream_data',
  ACKNOWLEDGE: 'acknowledge',
  CHANNEL_CLOSED: 'channel_closed',
  START_PUBLICATION: 'start_publication',
  PAUSE_PUBLICATION: 'pause_publication',
  AGENT_SESSION_STATE: 'agent_session_state',
} as const;

export const PAYLOAD_TYPE = {
  NONE: 0,
  OUTPUT: 1,
  ERROR: 2,
  SIZE: 3,
  PARAMETER: 4,
  HANDSHAKE_REQUEST: 5,
  HANDSHAKE_RESPONSE: 6,
  HANDSHAKE_COMPLETE: 7,
  ENC_CHALLENGE_REQUEST: 8,
  ENC_CHALLENGE_RESPONSE: 9,
  FLAG: 10,
  STD_ERR: 11,
  EXIT_CODE: 12,
} as const;

/** HeaderLength of every message with a PayloadType. */
export const HEADER_LENGTH = 116;
/** HeaderLength of messages without a PayloadType. */
export const SHORT_HEADER_LENGTH = 112;
/** Bytes before the payload of a message that we encode. */
export const ENVELOPE_BYTES = HEADER_LENGTH + 4;

/** Header flags of acknowledgements, as both official ends send them. */
export const FLAGS_SYN_FIN = 3;

const OFFSET = {
  HEADER_LENGTH: 0,
  MESSAGE_TYPE: 4,
  SCHEMA_VERSION: 36,
  CREATED_DATE: 40,
  SEQUENCE_NUMBER: 48,
  FLAGS: 56,
  MESSAGE_ID: 64,
  DIGEST: 80,
  PAYLOAD_TYPE: 112,
} as const;
const TYPE_BYTES = 32;
const UUID_BYTES = 16;
const DIGEST_BYTES = 32;
const SCHEMA_VERSION = 1;
const TWO_32 = 2 ** 32;

export interface Message {
  readonly messageType: string;
  readonly schemaVersion: number;
  /** Milliseconds since the epoch. */
  readonly createdDate: number;
  readonly sequenceNumber: number;
  readonly flags: number;
  /** 16 bytes in wire order (second half first); aliases the input. `formatMessageId` makes the text. */
  readonly messageId: Buffer;
  /** 32 bytes; aliases the input. */
  readonly digest: Buffer;
  /** Undefined when the header has no such field. */
  readonly payloadType: number | undefined;
  /** What the sender claims; not checked, because neither official end keeps to it. */
  readonly declaredPayloadLength: number;
  /** Aliases the input. */
  readonly payload: Buffer;
}

/**
 * Decodes one whole message. The result aliases `data`: copy what outlives the receive buffer.
 * Throws PROTOCOL_ERROR when the bytes cannot be a message; never anything else.
 */
export function decodeMessage(data: Buffer): Message {
  if (data.length < SHORT_HEADER_LENGTH + 4) throw malformed(`${data.length} bytes are too few`);
  const headerLength = data.readUInt32BE(OFFSET.HEADER_LENGTH);
  if (headerLength < SHORT_HEADER_LENGTH || headerLength + 4 > data.length) {
    throw malformed(`header length ${headerLength} in a message of ${data.length} bytes`);
  }
  const messageType = readType(data);
  if (messageType === '') throw malformed('empty message type');
  return {
    messageType,
    schemaVersion: data.readUInt32BE(OFFSET.SCHEMA_VERSION),
    createdDate: readUnsigned64(data, OFFSET.CREATED_DATE, 'created date'),
    sequenceNumber: readSequenceNumber(data),
    // Bits above 2^53 are lost here; nobody reads the flags.
    flags: data.readUInt32BE(OFFSET.FLAGS) * TWO_32 + data.readUInt32BE(OFFSET.FLAGS + 4),
    messageId: data.subarray(OFFSET.MESSAGE_ID, OFFSET.MESSAGE_ID + UUID_BYTES),
    digest: data.subarray(OFFSET.DIGEST, OFFSET.DIGEST + DIGEST_BYTES),
    payloadType: headerLength >= HEADER_LENGTH ? data.readUInt32BE(OFFSET.PAYLOAD_TYPE) : undefined,
    declaredPayloadLength: data.readUInt32BE(headerLength),
    payload: data.subarray(headerLength + 4),
  };
}

export interface MessageFields {
  readonly messageType: string;
  /** Milliseconds since the epoch. */
  readonly createdDate: number;
  readonly sequenceNumber: number;
  /** Default 0. */
  readonly flags?: number;
  /** 16 bytes in the UUID's own order. */
  readonly messageId: Uint8Array;
  readonly payloadType: number;
  readonly payload: Uint8Array;
}

/** Encodes one message with the long header. The result is a fresh buffer that aliases nothing. */
export function encodeMessage(fields: MessageFields): Buffer {
  const { payload } = fields;
  const data = Buffer.allocUnsafe(ENVELOPE_BYTES + payload.length);
  data.set(headerStart(fields.messageType), 0);
  writeUnsigned64(data, fields.createdDate, OFFSET.CREATED_DATE);
  writeUnsigned64(data, fields.sequenceNumber, OFFSET.SEQUENCE_NUMBER);
  writeUnsigned64(data, fields.flags ?? 0, OFFSET.FLAGS);
  const id = fields.messageId;
  for (let i = 0; i < 8; i += 1) {
    data[OFFSET.MESSAGE_ID + i] = id[8 + i] ?? 0;
    data[OFFSET.MESSAGE_ID + 8 + i] = id[i] ?? 0;
  }
  data.write(sha256Latin1(payload), OFFSET.DIGEST, DIGEST_BYTES, 'latin1');
  data.writeUInt32BE(fields.payloadType, OFFSET.PAYLOAD_TYPE);
  data.writeUInt32BE(payload.length, HEADER_LENGTH);
  data.set(payload, ENVELOPE_BYTES);
  return data;
}

/** True when the digest is that of the payload. An empty payload has nothing to check, as in the official client. */
export function isDigestValid(message: Message): boolean {
  if (message.payload.length === 0) return true;
  return message.digest.toString('latin1') === sha256Latin1(message.payload);
}

/** UUID text (lower case, with hyphens) of a message id in wire order. */
export function formatMessageId(wire: Buffer): string {
  const high = wire.toString('hex', 8, 16);
  const low = wire.toString('hex', 0, 8);
  return `${high.slice(0, 8)}-${high.slice(8, 12)}-${high.slice(12)}-${low.slice(0, 4)}-${low.slice(4)}`;
}

type OneShotHash = (algorithm: string, data: Uint8Array, encoding: 'binary') => string;
// crypto.hash came with Node 20.12; it costs half of createHash for a 1 KiB payload.
const oneShotHash = (crypto as { hash?: OneShotHash }).hash;

/** SHA-256 as a latin1 string of 32 characters: one string instead of a Buffer per message. */
function sha256Latin1(data: Uint8Array): string {
  if (oneShotHash !== undefined) return oneShotHash('sha256', data, 'binary');
  return crypto.createHash('sha256').update(data).digest('binary');
}

const headerStarts = new Map<string, Buffer>();

/** The first 40 bytes of a message of this type: header length, padded type, schema version. */
function headerStart(messageType: string): Buffer {
  let start = headerStarts.get(messageType);
  if (start === undefined) {
    start = Buffer.alloc(OFFSET.CREATED_DATE, ' ');
    start.writeUInt32BE(HEADER_LENGTH, OFFSET.HEADER_LENGTH);
    start.write(messageType, OFFSET.MESSAGE_TYPE, TYPE_BYTES, 'latin1');
    start.writeUInt32BE(SCHEMA_VERSION, OFFSET.SCHEMA_VERSION);
    // The names are a handful of constants; a tester may add a few more.
    if (headerStarts.size < 64) headerStarts.set(messageType, start);
  }
  return start;
}

const OUTPUT_PADDED = MESSAGE_TYPE.OUTPUT_STREAM_DATA.padEnd(TYPE_BYTES);
const ACKNOWLEDGE_PADDED = MESSAGE_TYPE.ACKNOWLEDGE.padEnd(TYPE_BYTES);

function readType(data: Buffer): string {
  const padded = data.toString('latin1', OFFSET.MESSAGE_TYPE, OFFSET.MESSAGE_TYPE + TYPE_BYTES);
  if (padded === OUTPUT_PADDED) return MESSAGE_TYPE.OUTPUT_STREAM_DATA;
  if (padded === ACKNOWLEDGE_PADDED) return MESSAGE_TYPE.ACKNOWLEDGE;
  // NUL is the service's padding, space everyone else's.
  return padded.replace(/^[\0\s]+|[\0\s]+$/g, '');
}

function readSequenceNumber(data: Buffer): number {
  const value =
    data.readInt32BE(OFFSET.SEQUENCE_NUMBER) * TWO_32 + data.readUInt32BE(OFFSET.SEQUENCE_NUMBER + 4);
  if (!Number.isSafeInteger(value)) throw malformed('sequence number out of range');
  return value;
}

function readUnsigned64(data: Buffer, offset: number, name: string): number {
  const value = data.readUInt32BE(offset) * TWO_32 + data.readUInt32BE(offset + 4);
  if (!Number.isSafeInteger(value)) throw malformed(`${name} out of range`);
  return value;
}

function writeUnsigned64(data: Buffer, value: number, offset: number): void {
  data.writeUInt32BE(Math.floor(value / TWO_32), offset);
  data.writeUInt32BE(value % TWO_32, offset + 4);
}

function malformed(reason: string): ProxyError {
  return new ProxyError('PROTOCOL_ERROR', `malformed data-channel message: ${reason}`);
}
