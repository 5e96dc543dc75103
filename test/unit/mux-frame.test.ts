/**
 * smux frames (protocol.md 6.7). The bytes come from the layout table and smux's own header code, not from our
 * encoder.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import type { Frame } from '../../src/mux/frame.ts';
import { encodeFrame, FRAME_COMMAND, FrameDecoder, MAX_FRAME_DATA_BYTES } from '../../src/mux/frame.ts';
import { FrameReader } from '../../src/mux/frame-reader.ts';
import { forSeeds, randomBuffer, randomInteger } from '../support/random.ts';

const { SYN, FIN, PSH, NOP } = FRAME_COMMAND;

const VECTORS: readonly { name: string; hex: string; frame: Frame }[] = [
  {
    name: 'SYN of the first stream',
    hex: '0100000003000000',
    frame: { command: SYN, streamId: 3, data: empty() },
  },
  {
    name: 'FIN of stream 0x01020305',
    hex: '0101000005030201',
    frame: { command: FIN, streamId: 0x01020305, data: empty() },
  },
  {
    name: 'PSH of 5 bytes',
    hex: '0102050003000000' + '5353482d32',
    frame: { command: PSH, streamId: 3, data: Buffer.from('SSH-2') },
  },
  { name: 'empty PSH', hex: '0102000007000000', frame: { command: PSH, streamId: 7, data: empty() } },
  { name: 'NOP', hex: '0103000000000000', frame: { command: NOP, streamId: 0, data: empty() } },
  {
    name: 'highest stream id',
    hex: '01000000ffffffff',
    frame: { command: SYN, streamId: 0xffffffff, data: empty() },
  },
];

describe('smux frames, protocol.md 6.7', () => {
  for (const { name, hex, frame } of VECTORS) {
    test(`${name} encodes and decodes to the same bytes`, () => {
      assert.equal(encodeFrame(frame.command, frame.streamId, frame.data).toString('hex'), hex);
      assert.deepEqual(decodeAll([Buffer.from(hex, 'hex')]), [frame]);
    });

    test(`${name} is not complete at any shorter length`, () => {
      const whole = Buffer.from(hex, 'hex');
      for (let length = 0; length < whole.length; length += 1) {
        const decoder = new FrameDecoder();
        decoder.push(whole.subarray(0, length));
        assert.equal(decoder.next(), undefined, `${length} bytes`);
        assert.equal(decoder.bufferedBytes, length);
        decoder.push(whole.subarray(length));
        assert.deepEqual(decoder.next(), frame, `cut at ${length}`);
        assert.equal(decoder.bufferedBytes, 0);
      }
    });
  }

  test('the length is little-endian: 0x0102 is 513 bytes, not 258', () => {
    const frame = encodeFrame(PSH, 3, Buffer.alloc(0x0201));
    assert.equal(frame.subarray(2, 4).toString('hex'), '0102');
  });

  test('a frame of 65535 bytes is taken', () => {
    const data = Buffer.alloc(MAX_FRAME_DATA_BYTES, 0xa5);
    const [frame] = decodeAll([encodeFrame(PSH, 9, data)]);
    assert.equal(frame?.data.equals(data), true);
  });

  test('the length of a frame other than PSH is not read', () => {
    const frames = decodeAll([Buffer.from('0100ffff03000000' + '0103000000000000', 'hex')]);
    assert.deepEqual(
      frames.map((frame) => frame.command),
      [SYN, NOP],
    );
  });

  for (const [name, hex] of [
    ['version 0', '0000000003000000'],
    ['version 2', '0200000003000000'],
    ['the window update of version 2', '0104080003000000'],
    ['command 255', '01ff000003000000'],
  ] as const) {
    test(`${name} is a protocol error`, () => {
      const decoder = new FrameDecoder();
      decoder.push(Buffer.from(hex, 'hex'));
      assert.throws(
        () => decoder.next(),
        (error: unknown) => error instanceof ProxyError && error.code === 'PROTOCOL_ERROR',
      );
      assert.throws(
        () => readAll([Buffer.from(hex.slice(0, 6), 'hex'), Buffer.from(hex.slice(6), 'hex')]),
        (error: unknown) => error instanceof ProxyError && error.code === 'PROTOCOL_ERROR',
      );
    });
  }

  test('data longer than the length field can say is refused', () => {
    assert.throws(() => encodeFrame(PSH, 3, Buffer.alloc(MAX_FRAME_DATA_BYTES + 1)), RangeError);
  });

  test('any cut of any sequence of frames gives the same frames', () => {
    forSeeds(50, (random) => {
      const frames: Frame[] = [];
      for (let count = randomInteger(random, 1, 30); count > 0; count -= 1) {
        const command = ([SYN, FIN, PSH, NOP] as const)[randomInteger(random, 0, 3)] ?? NOP;
        const length = command === PSH ? randomInteger(random, 0, random() < 0.1 ? 5000 : 40) : 0;
        frames.push({
          command,
          streamId: randomInteger(random, 0, 0xffffffff),
          data: randomBuffer(random, length),
        });
      }
      const bytes = Buffer.concat(frames.map((f) => encodeFrame(f.command, f.streamId, f.data)));
      const chunks: Buffer[] = [];
      for (let at = 0; at < bytes.length;) {
        const length = random() < 0.5 ? 1 : randomInteger(random, 1, 600);
        chunks.push(bytes.subarray(at, at + length));
        at += length;
      }
      assert.deepEqual(decodeAll(chunks), frames);
      assert.deepEqual(readAll(chunks), frames.filter(isTold).map(shown));
    });
  });

  test('random bytes give frames or a protocol error, nothing else', () => {
    forSeeds(200, (random) => {
      try {
        decodeAll([randomBuffer(random, randomInteger(random, 0, 200))]);
      } catch (error) {
        assert.equal(error instanceof ProxyError && error.code, 'PROTOCOL_ERROR');
      }
    });
  });
});

function decodeAll(chunks: readonly Buffer[]): Frame[] {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      frames.push({ ...frame, data: Buffer.from(frame.data) });
    }
  }
  return frames;
}

/** An empty PSH says nothing. */
function isTold({ command, data }: Frame): boolean {
  return command !== PSH || data.length > 0;
}

function shown({ command, streamId, data }: Frame): string {
  return command === NOP ? 'NOP' : `${command} ${streamId} ${data.toString('hex')}`;
}

/** What FrameReader tells, the pieces of a frame put together again. */
function readAll(chunks: readonly Buffer[]): string[] {
  const told: string[] = [];
  let isGoingOn = false;
  const tell = (text: string): void => {
    told.push(text);
    isGoingOn = false;
  };
  const reader = new FrameReader({
    onOpen: (streamId) => tell(`${SYN} ${streamId} `),
    onFin: (streamId) => tell(`${FIN} ${streamId} `),
    onKeepalive: () => tell('NOP'),
    onData(streamId, data) {
      assert.notEqual(data.length, 0);
      const start = `${PSH} ${streamId} `;
      if (isGoingOn && told.at(-1)?.startsWith(start) === true) told[told.length - 1] += data.toString('hex');
      else told.push(`${start}${data.toString('hex')}`);
      isGoingOn = true;
    },
  });
  for (const chunk of chunks) reader.read(chunk);
  return told;
}

function empty(): Buffer {
  return Buffer.alloc(0);
}
