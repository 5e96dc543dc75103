/**
 * SFTP version 3 on the wire (draft-ietf-secsh-filexfer-02 and OpenSSH's PROTOCOL file): bytes only, no files.
 *
 * Packet: uint32 length, byte type, then fields; `string` is a uint32 length and bytes; all big-endian. Names stay
 * bytes, as file names are not always UTF-8. ssh2 has an SFTP server of its own, but that one knows neither exit
 * status, backpressure nor extensions.
 */

export const SFTP_VERSION = 3;
/** Longest packet accepted, as in OpenSSH. */
export const MAX_PACKET_BYTES = 256 * 1024;

export const REQUEST = {
  INIT: 1,
  OPEN: 3,
  CLOSE: 4,
  READ: 5,
  WRITE: 6,
  LSTAT: 7,
  FSTAT: 8,
  SETSTAT: 9,
  FSETSTAT: 10,
  OPENDIR: 11,
  READDIR: 12,
  REMOVE: 13,
  MKDIR: 14,
  RMDIR: 15,
  REALPATH: 16,
  STAT: 17,
  RENAME: 18,
  READLINK: 19,
  SYMLINK: 20,
  EXTENDED: 200,
} as const;

const RESPONSE = {
  VERSION: 2,
  STATUS: 101,
  HANDLE: 102,
  DATA: 103,
  NAME: 104,
  ATTRS: 105,
  EXTENDED_REPLY: 201,
} as const;

export const STATUS = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
  BAD_MESSAGE: 5,
  OP_UNSUPPORTED: 8,
} as const;

/** pflags of OPEN. */
export const OPEN_FLAG = { READ: 1, WRITE: 2, APPEND: 4, CREATE: 8, TRUNCATE: 16, EXCLUSIVE: 32 } as const;

const ATTRIBUTE = { SIZE: 1, OWNER: 2, MODE: 4, TIMES: 8, EXTENDED: 0x8000_0000 } as const;

/** File attributes; what is undefined was not sent. Times are seconds since the epoch. */
export interface SftpAttributes {
  readonly size?: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly mode?: number;
  readonly times?: { readonly access: number; readonly modification: number };
}

export interface NameEntry {
  readonly name: Buffer;
  /** As `ls -l` shows it. */
  readonly longName: string;
  readonly attributes: SftpAttributes;
}

/** Thrown by readers: the packet ends too early or is too long. */
export class SftpWireError extends Error {}

/** Cuts a byte stream into packets, without their length field. */
export class PacketSplitter {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** Keeps `chunk`. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** The next whole packet, or undefined. Aliases pushed chunks. Throws SftpWireError for a bad length. */
  next(): Buffer | undefined {
    if (this.#bytes < 4) return undefined;
    const length = this.#peek(4).readUInt32BE(0);
    if (length === 0 || length > MAX_PACKET_BYTES) throw new SftpWireError(`packet of ${length} bytes`);
    if (this.#bytes < 4 + length) return undefined;
    const packet = this.#peek(4 + length).subarray(4);
    const rest = this.#chunks[0]?.subarray(4 + length);
    if (rest === undefined || rest.length === 0) this.#chunks.shift();
    else this.#chunks[0] = rest;
    this.#bytes -= 4 + length;
    return packet;
  }

  /** The first `bytes` as one buffer; they are there. */
  #peek(bytes: number): Buffer {
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= bytes) return first;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}

/** Reads the fields of one packet in order. Buffers alias the packet. */
export class FieldReader {
  readonly #packet: Buffer;
  #at = 0;

  constructor(packet: Buffer) {
    this.#packet = packet;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#packet.length;
  }

  byte(): number {
    return this.#packet.readUInt8(this.#take(1));
  }

  uint32(): number {
    return this.#packet.readUInt32BE(this.#take(4));
  }

  uint64(): number {
    const at = this.#take(8);
    const value = this.#packet.readUInt32BE(at) * 2 ** 32 + this.#packet.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(value)) throw new SftpWireError('number out of range');
    return value;
  }

  string(): Buffer {
    const length = this.uint32();
    const at = this.#take(length);
    return this.#packet.subarray(at, at + length);
  }

  attributes(): SftpAttributes {
    const flags = this.uint32();
    const size = flags & ATTRIBUTE.SIZE ? { size: this.uint64() } : {};
    const owner = flags & ATTRIBUTE.OWNER ? { owner: { uid: this.uint32(), gid: this.uint32() } } : {};
    const mode = flags & ATTRIBUTE.MODE ? { mode: this.uint32() } : {};
    const times =
      flags & ATTRIBUTE.TIMES ? { times: { access: this.uint32(), modification: this.uint32() } } : {};
    if (flags & ATTRIBUTE.EXTENDED) {
      for (let left = this.uint32(); left > 0; left -= 1) {
        this.string();
        this.string();
      }
    }
    return { ...size, ...owner, ...mode, ...times };
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#packet.length) throw new SftpWireError('packet too short');
    this.#at = at + bytes;
    return at;
  }
}

/** `extensions` are pairs of name and version. */
export function formatVersion(extensions: readonly (readonly [string, string])[]): Buffer {
  const fields = extensions.flatMap(([name, version]) => [string(name), string(version)]);
  return packet(RESPONSE.VERSION, uint32(SFTP_VERSION), ...fields);
}

export function formatStatus(id: number, status: number, message: string): Buffer {
  return packet(RESPONSE.STATUS, uint32(id), uint32(status), string(message), string(''));
}

export function formatHandle(id: number, handle: Buffer): Buffer {
  return packet(RESPONSE.HANDLE, uint32(id), string(handle));
}

/** Bytes before the data in a DATA packet. */
export const DATA_HEADER_BYTES = 13;

/** Fills in the header of a DATA packet whose data stands at DATA_HEADER_BYTES already. Returns the packet. */
export function finishData(buffer: Buffer, id: number, dataBytes: number): Buffer {
  buffer.writeUInt32BE(9 + dataBytes, 0);
  buffer.writeUInt8(RESPONSE.DATA, 4);
  buffer.writeUInt32BE(id, 5);
  buffer.writeUInt32BE(dataBytes, 9);
  return buffer.subarray(0, DATA_HEADER_BYTES + dataBytes);
}

export function formatNames(id: number, entries: readonly NameEntry[]): Buffer {
  const fields = entries.flatMap(({ name, longName, attributes }) => [
    string(name),
    string(longName),
    attributesBytes(attributes),
  ]);
  return packet(RESPONSE.NAME, uint32(id), uint32(entries.length), ...fields);
}

export function formatAttributes(id: number, attributes: SftpAttributes): Buffer {
  return packet(RESPONSE.ATTRS, uint32(id), attributesBytes(attributes));
}

/** Reply to an extended request that answers with 64-bit numbers. */
export function formatExtendedNumbers(id: number, values: readonly number[]): Buffer {
  return packet(RESPONSE.EXTENDED_REPLY, uint32(id), ...values.map(uint64));
}

function attributesBytes(attributes: SftpAttributes): Buffer {
  const { size, owner, mode, times } = attributes;
  let flags = 0;
  const fields: Buffer[] = [];
  if (size !== undefined) {
    flags |= ATTRIBUTE.SIZE;
    fields.push(uint64(size));
  }
  if (owner !== undefined) {
    flags |= ATTRIBUTE.OWNER;
    fields.push(uint32(owner.uid), uint32(owner.gid));
  }
  if (mode !== undefined) {
    flags |= ATTRIBUTE.MODE;
    fields.push(uint32(mode));
  }
  if (times !== undefined) {
    flags |= ATTRIBUTE.TIMES;
    fields.push(uint32(times.access), uint32(times.modification));
  }
  return Buffer.concat([uint32(flags), ...fields]);
}

function packet(type: number, ...fields: readonly Buffer[]): Buffer {
  const body = Buffer.concat(fields);
  return Buffer.concat([uint32(1 + body.length), Buffer.from([type]), body]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  // Times before 1970 and after 2106 do not fit; they wrap, as in OpenSSH.
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), 0);
  bytes.writeUInt32BE(value % 2 ** 32, 4);
  return bytes;
}

function string(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  return Buffer.concat([uint32(bytes.length), bytes]);
}
