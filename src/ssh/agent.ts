/**
 * The two requests to an ssh-agent that pushing a key needs: which keys it has, and take this one for a while. The
 * bytes are those of draft-ietf-sshm-ssh-agent; every message has its length (4 bytes) and its number (1 byte) first.
 */
import { createConnection } from 'node:net';
import { ProxyError } from '../errors.ts';
import type { PublicKey } from './public-key.ts';
import { publicKeyOf } from './public-key.ts';

const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const ADD_ID_CONSTRAINED = 25;
const SUCCESS = 6;
const CONSTRAIN_LIFETIME = 1;
/** An agent that asks a person before it answers is not waited for. Milliseconds. */
const ANSWER_LIMIT_MS = 5_000;
/** As OpenSSH has it. */
const MAX_ANSWER_BYTES = 256 * 1024;

export interface Ed25519Pair {
  /** 32 bytes. */
  readonly publicBytes: Buffer;
  /** Secret, 32 bytes. */
  readonly seed: Buffer;
}

/** The keys in the agent's order. KEY_MISSING when it does not answer. */
export async function agentKeys(socket: string): Promise<readonly PublicKey[]> {
  const answer = await ask(socket, Buffer.from([REQUEST_IDENTITIES]));
  if (answer[0] !== IDENTITIES_ANSWER) throw noAnswer(socket, 'it does not list its keys');
  try {
    const keys: PublicKey[] = [];
    let offset = 5;
    for (let left = answer.readUInt32BE(1); left > 0; left -= 1) {
      const blob = stringAt(answer, offset);
      const comment = stringAt(answer, offset + 4 + blob.length);
      offset += 8 + blob.length + comment.length;
      const key = publicKeyOf(blob);
      if (key !== undefined) keys.push(key);
    }
    return keys;
  } catch (error) {
    throw noAnswer(socket, 'its list of keys cannot be read', error);
  }
}

/** Again for a key that is there: its lifetime begins anew. KEY_MISSING when the agent does not take it. */
export async function addToAgent(
  socket: string,
  { publicBytes, seed }: Ed25519Pair,
  comment: string,
  lifetimeSeconds: number,
): Promise<void> {
  const lifetime = Buffer.alloc(5);
  lifetime.writeUInt8(CONSTRAIN_LIFETIME, 0);
  lifetime.writeUInt32BE(lifetimeSeconds, 1);
  const message = Buffer.concat([
    Buffer.from([ADD_ID_CONSTRAINED]),
    text('ssh-ed25519'),
    text(publicBytes),
    text(Buffer.concat([seed, publicBytes])),
    text(comment),
    lifetime,
  ]);
  const answer = await ask(socket, message);
  if (answer[0] !== SUCCESS) throw noAnswer(socket, 'it does not take a key with a lifetime');
}

/** An ed25519 public key in its wire form. */
export function ed25519Blob(publicBytes: Buffer): Buffer {
  return Buffer.concat([text('ssh-ed25519'), text(publicBytes)]);
}

function ask(path: string, message: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const limit = setTimeout(() => fail('it does not answer'), ANSWER_LIMIT_MS);
    let received = Buffer.alloc(0);
    const end = (): void => {
      clearTimeout(limit);
      socket.destroy();
    };
    const fail = (why: string, cause?: unknown): void => {
      end();
      reject(noAnswer(path, why, cause));
    };
    socket.on('error', (error) => fail(error.message, error));
    socket.on('close', () => fail('it closed the connection'));
    socket.on('data', (data: Buffer) => {
      received = Buffer.concat([received, data]);
      if (received.length < 4) return;
      const length = received.readUInt32BE(0);
      if (length === 0 || length > MAX_ANSWER_BYTES) fail('its answer cannot be read');
      else if (received.length >= 4 + length) {
        end();
        resolve(received.subarray(4, 4 + length));
      }
    });
    socket.write(text(message));
  });
}

function noAnswer(socket: string, why: string, cause?: unknown): ProxyError {
  return new ProxyError('KEY_MISSING', `the ssh-agent at ${socket} cannot be used: ${why}`, {
    hint: 'start one (eval "$(ssh-agent)"), or name a key with --push-key=FILE',
    ...(cause !== undefined && { cause }),
  });
}

/** Bytes or text with the length before them. */
function text(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Throws RangeError past the end. */
function stringAt(buffer: Buffer, offset: number): Buffer {
  const start = offset + 4;
  const end = start + buffer.readUInt32BE(offset);
  if (end > buffer.length) throw new RangeError('longer than the message');
  return buffer.subarray(start, end);
}
