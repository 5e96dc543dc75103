/** The messages that the emulated agent writes, as bytes. It numbers and remembers nothing. */
import { randomFillSync } from 'node:crypto';
import type { Message } from '../protocol/message.ts';
import {
  encodeMessage,
  FLAGS_SYN_FIN,
  formatMessageId,
  MESSAGE_TYPE,
  PAYLOAD_TYPE,
} from '../protocol/message.ts';
import { formatAcknowledge } from '../protocol/payloads.ts';

const MESSAGE_ID_BYTES = 16;
/** Random bytes drawn at once: one draw per message is dear. */
const RANDOM_POOL_BYTES = 256 * MESSAGE_ID_BYTES;

export class AgentWriter {
  readonly #wallNow: () => number;
  readonly #pool = Buffer.alloc(RANDOM_POOL_BYTES);
  #poolAt = RANDOM_POOL_BYTES;

  /** `wallNow` is milliseconds since the epoch. */
  constructor(wallNow: () => number) {
    this.#wallNow = wallNow;
  }

  /** Only the very first message of a session carries SYN. */
  streamData(sequenceNumber: number, payloadType: number, payload: Buffer): Buffer {
    return encodeMessage({
      messageType: MESSAGE_TYPE.OUTPUT_STREAM_DATA,
      createdDate: this.#wallNow(),
      sequenceNumber,
      flags: sequenceNumber === 0 ? 1 : 0,
      messageId: this.#newMessageId(),
      payloadType,
      payload,
    });
  }

  acknowledge(message: Message): Buffer {
    const id = formatMessageId(message.messageId);
    const text = formatAcknowledge(message.messageType, id, message.sequenceNumber);
    return encodeMessage({
      messageType: MESSAGE_TYPE.ACKNOWLEDGE,
      createdDate: this.#wallNow(),
      sequenceNumber: 0,
      flags: FLAGS_SYN_FIN,
      messageId: this.#newMessageId(),
      payloadType: PAYLOAD_TYPE.NONE,
      payload: text,
    });
  }

  /** A version 4 UUID; read before the next call. */
  #newMessageId(): Buffer {
    if (this.#poolAt === RANDOM_POOL_BYTES) {
      randomFillSync(this.#pool);
      this.#poolAt = 0;
    }
    const id = this.#pool.subarray(this.#poolAt, this.#poolAt + MESSAGE_ID_BYTES);
    this.#poolAt += MESSAGE_ID_BYTES;
    id[6] = ((id[6] ?? 0) & 0x0f) | 0x40;
    id[8] = ((id[8] ?? 0) & 0x3f) | 0x80;
    return id;
  }
}
