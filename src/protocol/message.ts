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
  /** The same as latin1 text, for comparison. */
  readonly digestText: string;
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
  return new DecodedMessage(data, headerLength, messageType);
}

/** Views are made when asked for: of most messages only the payload is. */
class DecodedMessage implements Message {
  readonly messageType: string;
  readonly createdDate: number;
  readonly sequenceNumber: number;
  readonly payloadType: number | undefined;
  readonly payload: Buffer;
  readonly #data: Buffer;

  constructor(data: Buffer, headerLength: number, messageType: string) {
    this.#data = data;
    this.messageType = messageType;
    this.createdDate = readUnsigned64(data, OFFSET.CREATED_DATE, 'created date');
    this.sequenceNumber = readSequenceNumber(data);
    this.payloadType = headerLength >= HEADER_LENGTH ? data.readUInt32BE(OFFSET.PAYLOAD_TYPE) : undefined;
    this.payload = data.subarray(headerLength + 4);
  }

  get schemaVersion(): number {
    return this.#data.readUInt32BE(OFFSET.SCHEMA_VERSION);
  }

  get flags(): number {
    // Bits above 2^53 are lost here; nobody reads the flags.
    return this.#data.readUInt32BE(OFFSET.FLAGS) * TWO_32 + this.#data.readUInt32BE(OFFSET.FLAGS + 4);
  }

  get messageId(): Buffer {
    return this.#data.subarray(OFFSET.MESSAGE_ID, OFFSET.MESSAGE_ID + UUID_BYTES);
  }

  get digest(): Buffer {
    return this.#data.subarray(OFFSET.DIGEST, OFFSET.DIGEST + DIGEST_BYTES);
  }

  get digestText(): string {
    return this.#data.toString('latin1', OFFSET.DIGEST, OFFSET.DIGEST + DIGEST_BYTES);
  }

  get declaredPayloadLength(): number {
    return this.#data.readUInt32BE(this.#data.length - this.payload.length - 4);
  }
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
  /** Text is ASCII. */
  readonly payload: Uint8Array | string;
}

/** Encodes one message with the long header. The result shares no bytes with anything else. */
export function encodeMessage(fields: MessageFields): Buffer {
  const { payload } = fields;
  const data = allocate(ENVELOPE_BYTES + payload.length);
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
  if (typeof payload === 'string') data.write(payload, ENVELOPE_BYTES, 'latin1');
  else data.set(payload, ENVELOPE_BYTES);
  return data;
}

/** Node's own pool holds seven messages; a larger one means fewer allocations outside the heap. */
const POOL_BYTES = 64 * 1024;
const POOLED_MAX_BYTES = 4 * 1024;
let pool: Buffer | undefined;
let poolAt = 0;

/** Part of a pool, as `Buffer.allocUnsafe` does it; the pool lives as long as one of its messages. */
function allocate(bytes: number): Buffer {
  if (bytes > POOLED_MAX_BYTES) return Buffer.allocUnsafeSlow(bytes);
  if (pool === undefined || poolAt + bytes > POOL_BYTES) {
    pool = Buffer.allocUnsafeSlow(POOL_BYTES);
    poolAt = 0;
  }
  poolAt += bytes;
  return pool.subarray(poolAt - bytes, poolAt);
}

/** True when the digest is that of the payload. An empty payload has nothing to check, as in the official client. */
export function isDigestValid(message: Message): boolean {
  if (message.payload.length === 0) return true;
  return message.digestText === sha256Latin1(message.payload);
}

/** UUID text (lower case, with hyphens) of a message id in wire order. */
export function formatMessageId(wire: Buffer): string {
  const hex = wire.toString('hex');
  return `${hex.slice(16, 24)}-${hex.slice(24, 28)}-${hex.slice(28)}-${hex.slice(0, 4)}-${hex.slice(4, 16)}`;
}

type OneShotHash = (algorithm: string, data: Uint8Array | string, encoding: 'binary') => string;
// crypto.hash came with Node 20.12; it costs half of createHash for a 1 KiB payload.
const oneShotHash = (crypto as { hash?: OneShotHash }).hash;

/** SHA-256 as a latin1 string of 32 characters: one string instead of a Buffer per message. */
function sha256Latin1(data: Uint8Array | string): string {
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
