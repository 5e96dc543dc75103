/**
 * Messages the service makes itself, in its own form: HeaderLength 112 without PayloadType, the type padded with
 * NUL, start and pause with an empty payload and a digest of zeros. Written apart from our encoder, which cannot
 * make them. Source: field reports; layout constructed and read back with the official parser.
 */
import * as crypto from 'node:crypto';
import { encodeMessage, MESSAGE_TYPE, PAYLOAD_TYPE } from '../protocol/message.ts';

export interface NoticeForm {
  readonly shortHeader: boolean;
  readonly nulPadding: boolean;
}

interface NoticeFields {
  readonly messageType: string;
  readonly createdDate: number;
  readonly messageId: string;
  readonly payload: Buffer;
}

const SHORT_HEADER = 112;
const LONG_HEADER = 116;
const OFFSET = { TYPE: 4, SCHEMA: 36, CREATED: 40, MESSAGE_ID: 64, DIGEST: 80 } as const;
const TYPE_BYTES = 32;

/** `createdDate` is milliseconds since the epoch. `output` is the agent's task output. */
export function formatChannelClosed(
  fields: {
    readonly sessionId: string;
    readonly destinationId: string;
    readonly output: string;
    readonly createdDate: number;
  },
  form: NoticeForm,
): Buffer {
  const messageId = crypto.randomUUID();
  const payload = Buffer.from(
    JSON.stringify({
      MessageType: MESSAGE_TYPE.CHANNEL_CLOSED,
      MessageId: messageId,
      DestinationId: fields.destinationId,
      SessionId: fields.sessionId,
      SchemaVersion: 1,
      CreatedDate: String(fields.createdDate),
      Output: fields.output,
    }),
    'utf8',
  );
  const messageType = MESSAGE_TYPE.CHANNEL_CLOSED;
  return formatNotice({ messageType, createdDate: fields.createdDate, messageId, payload }, form, true);
}

/** start_publication or pause_publication: empty payload, digest of zeros. */
export function formatPublication(
  messageType: typeof MESSAGE_TYPE.START_PUBLICATION | typeof MESSAGE_TYPE.PAUSE_PUBLICATION,
  createdDate: number,
  form: NoticeForm,
): Buffer {
  const messageId = crypto.randomUUID();
  return formatNotice({ messageType, createdDate, messageId, payload: Buffer.alloc(0) }, form, false);
}

function formatNotice(fields: NoticeFields, form: NoticeForm, withDigest: boolean): Buffer {
  const id = Buffer.from(fields.messageId.replaceAll('-', ''), 'hex');
  const common = { sequenceNumber: 0, messageId: id, payloadType: PAYLOAD_TYPE.NONE };
  const long = encodeMessage({ ...fields, ...common });
  if (!withDigest) long.fill(0, OFFSET.DIGEST, OFFSET.DIGEST + 32);
  if (form.nulPadding) {
    long.fill(0, OFFSET.TYPE, OFFSET.TYPE + TYPE_BYTES);
    long.write(fields.messageType, OFFSET.TYPE, TYPE_BYTES, 'latin1');
  }
  if (!form.shortHeader) return long;
  // The long form without its PayloadType field.
  const short = Buffer.concat([long.subarray(0, SHORT_HEADER), long.subarray(LONG_HEADER)]);
  short.writeUInt32BE(SHORT_HEADER, 0);
  return short;
}
