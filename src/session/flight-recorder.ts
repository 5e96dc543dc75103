/**
 * The last protocol events of a session, kept for the case that it ends badly: what was sent and received when,
 * by type and sequence number. Never a payload, token, URL or parameter.
 *
 * Messages go into a ring of numbers and cost no allocation; the few events around them (links, resumes, pings,
 * oddities) have a ring of their own, so that a bulk transfer does not wash them away. The header fields are read
 * from the encoded bytes (layout: protocol/message.ts), whatever these are: a malformed message is noted as such.
 */
import type { LogFields } from '../log.ts';
import { formatFields } from '../log.ts';
import { HEADER_LENGTH, MESSAGE_TYPE, PAYLOAD_TYPE, SHORT_HEADER_LENGTH } from '../protocol/message.ts';
import { formatAcknowledge } from '../protocol/payloads.ts';

/** Messages kept. At the safe pace of 900 messages a second and as many acknowledgements, the last two seconds. */
export const RECORDED_MESSAGES = 4096;
/** Events kept. */
export const RECORDED_EVENTS = 512;
/** Characters of one event's fields: a peer may word some of them. */
const EVENT_CHARACTERS = 300;

const TYPE_OFFSET = 4;
/** Low half of the sequence number. */
const SEQUENCE_OFFSET = 52;
const PAYLOAD_TYPE_OFFSET = 112;
const LENGTH_BYTES = 4;

/** Names by code. The first four letters of the wire names differ, so they are all that is compared. */
const MESSAGE_NAMES = ['malformed', 'unknown', ...Object.values(MESSAGE_TYPE)];
const MALFORMED = 0;
const UNKNOWN = 1;
const ACKNOWLEDGE = MESSAGE_NAMES.indexOf(MESSAGE_TYPE.ACKNOWLEDGE);
const FIRST_TYPE = 2;
const TYPE_STARTS = Int32Array.from(
  MESSAGE_NAMES.slice(FIRST_TYPE).map((name) => Buffer.from(name, 'latin1').readInt32BE(0)),
);
const PAYLOAD_NAMES = new Map<number, string>(
  Object.entries(PAYLOAD_TYPE).map(([name, code]) => [code, name.toLowerCase()]),
);

const ACKNOWLEDGED_KEY = Buffer.from('"AcknowledgedMessageSequenceNumber":', 'latin1');
/** Where the acknowledged number stands in the payload, as both official ends write it. */
const ACKNOWLEDGED_OFFSETS = [MESSAGE_TYPE.OUTPUT_STREAM_DATA, MESSAGE_TYPE.INPUT_STREAM_DATA].map(
  (type) => formatAcknowledge(type, '0'.repeat(36), 0).indexOf('r":0,') + 3,
);
const QUOTE = 0x22;
const COLON = 0x3a;
const ZERO = 0x30;
const LETTER_R = 0x72;
/** For 32-bit fields that a message does not have. */
const ABSENT = 0xffffffff;

export class FlightRecorder {
  readonly #messageCapacity: number;
  readonly #eventCapacity: number;

  // Messages, one column each.
  readonly #times: Float64Array;
  /** Position among all records, to put the two rings in order. */
  readonly #serials: Float64Array;
  readonly #isReceived: Uint8Array;
  readonly #types: Uint8Array;
  readonly #payloadTypes: Uint32Array;
  readonly #sequenceNumbers: Uint32Array;
  readonly #acknowledged: Uint32Array;
  readonly #payloadBytes: Uint32Array;
  #messageCount = 0;

  readonly #events: { readonly serial: number; readonly time: number; readonly text: string }[] = [];
  #eventCount = 0;

  #serial = 0;
  #startedAt: number | undefined;
  #facts: LogFields;

  /** `facts` make the first line: version, platform, time of day. */
  constructor(facts: LogFields, messageCapacity = RECORDED_MESSAGES, eventCapacity = RECORDED_EVENTS) {
    this.#facts = facts;
    this.#messageCapacity = messageCapacity;
    this.#eventCapacity = eventCapacity;
    this.#times = new Float64Array(messageCapacity);
    this.#serials = new Float64Array(messageCapacity);
    this.#isReceived = new Uint8Array(messageCapacity);
    this.#types = new Uint8Array(messageCapacity);
    this.#payloadTypes = new Uint32Array(messageCapacity);
    this.#sequenceNumbers = new Uint32Array(messageCapacity);
    this.#acknowledged = new Uint32Array(messageCapacity);
    this.#payloadBytes = new Uint32Array(messageCapacity);
  }

  /** Adds to the first line what became known later, such as the session ID. */
  describe(facts: LogFields): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  /** An encoded message that went to the link. `now` in ms of the session's clock, as everywhere here. */
  sent(now: number, message: Buffer): void {
    this.#record(now, 0, message);
  }

  /** A message as it came from the link. */
  received(now: number, message: Buffer): void {
    this.#record(now, 1, message);
  }

  /** Anything rare. Field values follow the rules of the log: nothing secret. */
  event(now: number, name: string, detail?: LogFields): void {
    this.#startedAt ??= now;
    const text = printable(`${name}${formatFields(detail)}`).slice(0, EVENT_CHARACTERS);
    this.#events[this.#eventCount % this.#eventCapacity] = { serial: this.#serial, time: now, text };
    this.#eventCount += 1;
    this.#serial += 1;
  }

  /** Everything kept, oldest first, under a line of facts. Times are ms since the first record. */
  lines(): string[] {
    const records: { readonly serial: number; readonly line: string }[] = [];
    for (const { serial, time, text } of this.#events) {
      records.push({ serial, line: `${this.#timeText(time)} * ${text}` });
    }
    const kept = Math.min(this.#messageCount, this.#messageCapacity);
    for (let slot = 0; slot < kept; slot += 1) {
      records.push({ serial: this.#serials[slot] ?? 0, line: this.#messageLine(slot) });
    }
    records.sort((one, other) => one.serial - other.serial);
    const dropped = this.#serial - records.length;
    return [
      `ssm-proxy flight recorder${printable(formatFields(this.#facts))}`,
      `ms since the first record; > sent, < received, * event; earlier records dropped: ${dropped}`,
      ...records.map(({ line }) => line),
    ];
  }

  #record(now: number, isReceived: 0 | 1, message: Buffer): void {
    this.#startedAt ??= now;
    const slot = this.#messageCount % this.#messageCapacity;
    this.#messageCount += 1;
    this.#times[slot] = now;
    this.#serials[slot] = this.#serial;
    this.#serial += 1;
    this.#isReceived[slot] = isReceived;
    this.#acknowledged[slot] = ABSENT;
    this.#payloadTypes[slot] = ABSENT;
    const headerLength = message.length < SHORT_HEADER_LENGTH + LENGTH_BYTES ? 0 : message.readUInt32BE(0);
    if (headerLength < SHORT_HEADER_LENGTH || headerLength + LENGTH_BYTES > message.length) {
      this.#types[slot] = MALFORMED;
      this.#sequenceNumbers[slot] = ABSENT;
      this.#payloadBytes[slot] = message.length;
      return;
    }
    const type = typeOf(message);
    this.#types[slot] = type;
    this.#sequenceNumbers[slot] = message.readUInt32BE(SEQUENCE_OFFSET);
    this.#payloadBytes[slot] = message.length - headerLength - LENGTH_BYTES;
    if (headerLength >= HEADER_LENGTH) this.#payloadTypes[slot] = message.readUInt32BE(PAYLOAD_TYPE_OFFSET);
    if (type === ACKNOWLEDGE) this.#acknowledged[slot] = readAcknowledged(message, headerLength);
  }

  #messageLine(slot: number): string {
    const type = this.#types[slot] ?? UNKNOWN;
    const sign = this.#isReceived[slot] === 1 ? '<' : '>';
    let line = `${this.#timeText(this.#times[slot] ?? 0)} ${sign} ${MESSAGE_NAMES[type]}`;
    const acknowledged = this.#acknowledged[slot] ?? ABSENT;
    if (acknowledged !== ABSENT) return `${line} of=${acknowledged}`;
    const payloadType = this.#payloadTypes[slot] ?? ABSENT;
    const sequenceNumber = this.#sequenceNumbers[slot] ?? ABSENT;
    if (sequenceNumber !== ABSENT) line += ` seq=${sequenceNumber}`;
    if (payloadType !== ABSENT) line += ` payload=${PAYLOAD_NAMES.get(payloadType) ?? payloadType}`;
    return `${line} bytes=${this.#payloadBytes[slot]}`;
  }

  #timeText(time: number): string {
    return (time - (this.#startedAt ?? time)).toFixed(1).padStart(11);
  }
}

function typeOf(message: Buffer): number {
  const start = message.readInt32BE(TYPE_OFFSET);
  for (let index = 0; index < TYPE_STARTS.length; index += 1) {
    if (TYPE_STARTS[index] === start) return FIRST_TYPE + index;
  }
  return UNKNOWN;
}

/** Low 32 bits of the acknowledged number, read from the JSON text without parsing it. */
function readAcknowledged(message: Buffer, headerLength: number): number {
  const payload = headerLength + LENGTH_BYTES;
  for (const offset of ACKNOWLEDGED_OFFSETS) {
    const at = payload + offset;
    // No other field ends in r.
    if (message[at - 1] === COLON && message[at - 2] === QUOTE && message[at - 3] === LETTER_R)
      return readNumber(message, at);
  }
  const key = message.indexOf(ACKNOWLEDGED_KEY, payload);
  return key < 0 ? ABSENT : readNumber(message, key + ACKNOWLEDGED_KEY.length);
}

function readNumber(message: Buffer, start: number): number {
  let value: number | undefined;
  for (let at = start; at < message.length; at += 1) {
    const digit = (message[at] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) break;
    value = ((value ?? 0) * 10 + digit) % 2 ** 32;
  }
  return value ?? ABSENT;
}

function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, '?');
}
