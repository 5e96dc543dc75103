/** Damages a copy of one data-channel message in the ways that clients must survive. */
import { HEADER_LENGTH } from '../protocol/message.ts';

export type Corruption =
  | 'bad-digest'
  | 'bad-payload'
  | 'wrong-length'
  | 'truncate'
  | 'unknown-message-type'
  | 'unknown-payload-type';

const OFFSET = { TYPE: 4, DIGEST: 80, PAYLOAD_TYPE: 112, PAYLOAD_LENGTH: HEADER_LENGTH } as const;
const UNKNOWN_PAYLOAD_TYPE = 99;

/** The input stays as it is. Messages too short for the damage lose their last byte instead. */
export function corrupt(how: Corruption, data: Buffer): Buffer {
  const needed = HEADER_LENGTH + 4 + (how === 'bad-payload' ? 1 : 0);
  if (data.length < needed || how === 'truncate')
    return Buffer.from(data.subarray(0, truncatedLength(how, data)));
  const copy = Buffer.from(data);
  switch (how) {
    case 'bad-digest':
      copy.writeUInt8(copy.readUInt8(OFFSET.DIGEST) ^ 0xff, OFFSET.DIGEST);
      break;
    case 'bad-payload':
      copy.writeUInt8(copy.readUInt8(copy.length - 1) ^ 0xff, copy.length - 1);
      break;
    case 'wrong-length':
      copy.writeUInt32BE(0x7fff_ffff, OFFSET.PAYLOAD_LENGTH);
      break;
    case 'unknown-message-type':
      copy.fill(' ', OFFSET.TYPE, OFFSET.TYPE + 32);
      copy.write('emulator_made_this_up', OFFSET.TYPE, 'latin1');
      break;
    case 'unknown-payload-type':
      copy.writeUInt32BE(UNKNOWN_PAYLOAD_TYPE, OFFSET.PAYLOAD_TYPE);
      break;
    default:
      return how satisfies never;
  }
  return copy;
}

/** 'truncate' cuts inside the header, so that the rest cannot be a message. */
function truncatedLength(how: Corruption, data: Buffer): number {
  return how === 'truncate'
    ? Math.min(OFFSET.DIGEST, Math.floor(data.length / 2))
    : Math.max(0, data.length - 1);
}
