/**
 * SOCKS version 5 (RFC 1928), the server's side, as bytes: no authentication, CONNECT only.
 *
 *   greeting  05 count methods...            answer  05 00, or 05 FF when no method suits
 *   request   05 command 00 type address port        05 status 00 01 0.0.0.0 0
 */
export const SOCKS_STATUS = {
  SUCCEEDED: 0,
  FAILED: 1,
  NOT_ALLOWED: 2,
  HOST_UNREACHABLE: 4,
  REFUSED: 5,
  COMMAND_UNKNOWN: 7,
  ADDRESS_UNKNOWN: 8,
} as const;
export type SocksStatus = (typeof SOCKS_STATUS)[keyof typeof SOCKS_STATUS];

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const NO_METHOD = 0xff;
const CONNECT = 1;
const ADDRESS_TYPE = { IPV4: 1, NAME: 3, IPV6: 4 } as const;
const REQUEST_HEAD_BYTES = 4;
const PORT_BYTES = 2;

export interface SocksDestination {
  /** An address without brackets, or a name. */
  readonly host: string;
  readonly port: number;
}

/** A part of the conversation, read from the start of `bytes`; undefined: more is needed. */
export type SocksPart<T> = { readonly value: T; readonly usedBytes: number } | undefined;

/** Whether the client takes a connection without authentication; false also for what is no SOCKS 5. */
export function readGreeting(bytes: Buffer): SocksPart<boolean> {
  const [version, count] = bytes;
  if (version === undefined) return undefined;
  if (version !== VERSION) return { value: false, usedBytes: bytes.length };
  if (count === undefined || bytes.length < 2 + count) return undefined;
  return { value: bytes.subarray(2, 2 + count).includes(NO_AUTHENTICATION), usedBytes: 2 + count };
}

export function greetingAnswer(isAccepted: boolean): Buffer {
  return Buffer.from([VERSION, isAccepted ? NO_AUTHENTICATION : NO_METHOD]);
}

/** Where the client wants to go, or the status to refuse it with. */
export function readRequest(bytes: Buffer): SocksPart<SocksDestination | SocksStatus> {
  if (bytes.length < REQUEST_HEAD_BYTES + 1) return undefined;
  const refuse = (value: SocksStatus) => ({ value, usedBytes: bytes.length });
  if (bytes.readUInt8(0) !== VERSION) return refuse(SOCKS_STATUS.FAILED);
  if (bytes.readUInt8(1) !== CONNECT) return refuse(SOCKS_STATUS.COMMAND_UNKNOWN);
  const type = bytes.readUInt8(3);
  const isName = type === ADDRESS_TYPE.NAME;
  const addressAt = isName ? REQUEST_HEAD_BYTES + 1 : REQUEST_HEAD_BYTES;
  const addressBytes =
    type === ADDRESS_TYPE.IPV4
      ? 4
      : type === ADDRESS_TYPE.IPV6
        ? 16
        : isName
          ? bytes.readUInt8(REQUEST_HEAD_BYTES)
          : 0;
  if (addressBytes === 0) return refuse(SOCKS_STATUS.ADDRESS_UNKNOWN);
  const end = addressAt + addressBytes;
  if (bytes.length < end + PORT_BYTES) return undefined;
  const address = bytes.subarray(addressAt, end);
  const host = isName ? nameOf(address) : type === ADDRESS_TYPE.IPV4 ? address.join('.') : ipv6Of(address);
  const port = bytes.readUInt16BE(end);
  if (host === undefined || port === 0) return refuse(SOCKS_STATUS.ADDRESS_UNKNOWN);
  return { value: { host, port }, usedBytes: end + PORT_BYTES };
}

/** The answer to a request; the address that it names is of no use to anybody. */
export function requestAnswer(status: SocksStatus): Buffer {
  return Buffer.from([VERSION, status, 0, ADDRESS_TYPE.IPV4, 0, 0, 0, 0, 0, 0]);
}

function nameOf(bytes: Buffer): string | undefined {
  const name = bytes.toString('latin1');
  return /^[\w.:-]+$/.test(name) ? name : undefined;
}

function ipv6Of(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return groups.join(':');
}
