/** Joined frames, judged by `ws` itself and by the example of RFC 6455. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { joinFrames } from '../../src/transport/frames.ts';

/** Lengths around every change of the header, and around whole words. */
const LENGTHS = [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 1144, 65_535, 65_536, 70_001];

function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + length) & 0xff));
}

/** What one frame says, read as slowly and plainly as RFC 6455 5.2 puts it. */
function readFrame(bytes: Buffer, start: number) {
  assert.equal(bytes[start], 0x82, 'one final binary frame');
  const second = bytes[start + 1] ?? 0;
  assert.ok(second >= 0x80, 'clients mask');
  let at = start + 2;
  let length = second & 0x7f;
  if (length === 126) {
    length = bytes.readUInt16BE(at);
    at += 2;
  } else if (length === 127) {
    length = Number(bytes.readBigUInt64BE(at));
    at += 8;
  }
  const key = bytes.subarray(at, at + 4);
  at += 4;
  const payload = Uint8Array.from({ length }, (_, i) => (bytes[at + i] ?? 0) ^ (key[i % 4] ?? 0));
  return { key: key.toString('hex'), payload: Buffer.from(payload), end: at + length };
}

describe('joined frames', () => {
  test('every length, at every alignment, reads back unchanged', () => {
    for (const shift of [0, 1, 2, 3]) {
      const messages = [pattern(shift), ...LENGTHS.map(pattern)];
      const bytes = joinFrames(messages);
      let at = 0;
      for (const message of messages) {
        const frame = readFrame(bytes, at);
        assert.deepEqual(frame.payload, message, `${message.length} bytes after ${shift}`);
        at = frame.end;
      }
      assert.equal(at, bytes.length);
    }
  });

  test('the shortest length field is used, as RFC 6455 demands', () => {
    const header = (length: number): number => (joinFrames([Buffer.alloc(length)])[1] ?? 0) & 0x7f;
    assert.deepEqual([125, 126, 65_535, 65_536].map(header), [125, 126, 126, 127]);
  });

  test('each frame has a key of its own, over many turns of the pool', () => {
    const keys = new Set<string>();
    const bytes = joinFrames(Array.from({ length: 5000 }, () => Buffer.alloc(3)));
    for (let at = 0; at < bytes.length;) {
      const frame = readFrame(bytes, at);
      keys.add(frame.key);
      at = frame.end;
    }
    // Of 2^32 keys two or three may be the same by chance.
    assert.ok(keys.size > 4990, `${keys.size} keys`);
  });

  test('messages are not changed by masking', () => {
    const message = pattern(1144);
    joinFrames([message, message]);
    assert.deepEqual(message, pattern(1144));
  });

  test('they mix with what ws writes itself: pings, pongs, texts and the close frame keep their place', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
    await once(server, 'listening');
    const seen: string[] = [];
    server.on('connection', (peer) => {
      peer.on('message', (data: Buffer, isBinary) => seen.push(isBinary ? `binary ${data.length}` : 'text'));
      peer.on('ping', () => seen.push('ping'));
    });
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, {
      perMessageDeflate: false,
    });
    const opened = once(client, 'open');
    const [response] = (await once(client, 'upgrade')) as [{ socket: NodeJS.WritableStream }];
    await opened;
    const expected: string[] = [];
    for (const length of LENGTHS) {
      client.send('text');
      client.ping();
      response.socket.write(joinFrames([pattern(length), pattern(7)]));
      client.pong();
      expected.push('text', 'ping', `binary ${length}`, 'binary 7');
    }
    client.close(1000);
    await once(client, 'close');
    assert.deepEqual(seen, expected);
    server.close();
  });
});
