/** The client's end of smux v1 against a scripted far end, in made-up time. What an agent does is protocol.md 6.7. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FRAME_COMMAND, encodeFrame } from '../../src/mux/frame.ts';
import { isMultiplexing, needsKeepalive } from '../../src/mux/keepalive.ts';
import * as limits from '../../src/mux/limits.ts';
import { MuxBench } from '../support/mux-bench.ts';

const { SYN, FIN, PSH, NOP } = FRAME_COMMAND;
const MiB = 1024 * 1024;

describe('streams', () => {
  test('IDs are odd and start at 3; a stream is SYN, then its data', () => {
    const bench = new MuxBench();
    const [a, b] = [bench.open(), bench.open()];
    bench.write(a, 'hello');
    bench.flush();
    assert.deepEqual([a, b], [3, 5]);
    assert.deepEqual(bench.commands(3), ['SYN', 'PSH']);
    assert.deepEqual(bench.commands(5), ['SYN']);
    assert.equal(bench.sent(3).toString(), 'hello');
  });

  test('SYN and first data leave in one piece, the bytes of the layout table', () => {
    const bench = new MuxBench();
    bench.write(bench.open(), 'hi');
    const data = bench.mux.pull(0);
    assert.equal(data?.toString('hex'), '0100000003000000' + '01020200030000006869');
    assert.equal(bench.mux.pull(0), undefined);
  });

  test('received data goes to its stream, also when a frame comes byte by byte', () => {
    const bench = new MuxBench();
    const [a, b] = [bench.open(), bench.open()];
    const bytes = Buffer.concat([
      encodeFrame(PSH, b, Buffer.from('bee')),
      encodeFrame(NOP, 0),
      encodeFrame(PSH, a, Buffer.from('ay')),
    ]);
    for (const byte of bytes) {
      bench.mux.receive(Buffer.from([byte]), 0);
      bench.actions.push(...bench.mux.take());
    }
    assert.equal(bench.delivered(a).toString(), 'ay');
    assert.equal(bench.delivered(b).toString(), 'bee');
    assert.equal(bench.creditedBytes, bytes.length);
  });

  test('frames of streams that do not exist are dropped and credited', () => {
    const bench = new MuxBench();
    bench.receive(PSH, 77, 'nobody');
    bench.receive(FIN, 77);
    bench.receive(SYN, 2);
    assert.deepEqual(
      bench.actions.map(({ kind }) => kind),
      ['credit', 'credit', 'credit'],
    );
  });

  test('what is no smux fails the session with PROTOCOL_ERROR and opens no more streams', () => {
    const bench = new MuxBench();
    bench.mux.receive(Buffer.from('HTTP/1.1 400 Bad Request'), 0);
    const [failed] = bench.mux.take();
    assert.equal(failed?.kind === 'failed' && failed.error.code, 'PROTOCOL_ERROR');
    assert.equal(bench.mux.open(0), undefined);
  });

  test('no more streams are open at once than the agent queues, and an ended one makes room', () => {
    const bench = new MuxBench();
    for (let i = 0; i < limits.MAX_STREAMS; i += 1) bench.open();
    assert.equal(bench.mux.canOpen, false);
    assert.equal(bench.mux.open(0), undefined);
    bench.receive(FIN, 3);
    assert.equal(bench.mux.canOpen, true);
    bench.open();
  });
});

describe('ends', () => {
  test("the agent's FIN ends the stream after its data; no FIN goes back, and later writes are dropped", () => {
    const bench = new MuxBench();
    const id = bench.open();
    bench.flush();
    bench.receive(PSH, id, 'last');
    bench.receive(FIN, id);
    assert.equal(bench.delivered(id).toString(), 'last');
    assert.deepEqual(bench.outcomes(id), ['ended']);
    assert.equal(bench.write(id, 'late'), true);
    bench.mux.close(id);
    bench.flush();
    assert.deepEqual(bench.commands(id), ['SYN']);
    assert.equal(bench.mux.stats().streams, 0);
  });

  test('a client that has gone sends FIN at once; what waits to be sent and what still comes is dropped', () => {
    const bench = new MuxBench();
    const id = bench.open();
    bench.flush();
    bench.write(id, Buffer.alloc(100_000));
    bench.mux.close(id);
    bench.mux.close(id);
    bench.flush();
    assert.deepEqual(bench.commands(id), ['SYN', 'FIN']);
    bench.receive(PSH, id, 'too late');
    bench.receive(FIN, id);
    assert.deepEqual(bench.outcomes(id), []);
    assert.equal(bench.delivered(id).length, 0);
    assert.deepEqual(bench.mux.stats(), {
      streams: 0,
      openedStreams: 1,
      pendingBytes: 0,
      unreadBytes: 0,
      isHeldUp: false,
    });
  });

  test('closed with flush, FIN follows the last byte', () => {
    const bench = new MuxBench();
    const id = bench.open();
    bench.write(id, Buffer.alloc(100_000));
    bench.mux.close(id, { flush: true });
    bench.flush();
    assert.equal(bench.sent(id).length, 100_000);
    assert.equal(bench.commands(id).at(-1), 'FIN');
    assert.equal(bench.commands(id).filter((name) => name === 'FIN').length, 1);
  });

  test('a failed dial is told by a flag and a FIN without data: the stream is refused, others just end', () => {
    const bench = new MuxBench();
    const [a, b, c] = [bench.open(), bench.open(), bench.open()];
    bench.receive(PSH, a, 'x');
    bench.mux.connectFailed();
    bench.receive(FIN, a);
    bench.receive(FIN, b);
    bench.receive(FIN, c);
    assert.deepEqual(bench.outcomes(a), ['ended']);
    assert.deepEqual(bench.outcomes(b), ['refused']);
    assert.deepEqual(bench.outcomes(c), ['ended']);
  });

  test('the refusal of a stream whose client has gone is not held against another', () => {
    const bench = new MuxBench();
    const [a, b] = [bench.open(), bench.open()];
    bench.mux.close(a);
    bench.mux.connectFailed();
    bench.receive(FIN, a);
    bench.receive(FIN, b);
    assert.deepEqual(bench.outcomes(b), ['ended']);
  });
});

describe('half-close: FIN waits for the far end', () => {
  const cases = [
    { name: 'that never said anything, nor was told anything', before: () => {}, graceMs: 3_000 },
    {
      name: 'that owes an answer',
      before: (bench: MuxBench, id: number) => bench.write(id, 'GET /'),
      graceMs: 60_000,
    },
    {
      name: 'that has answered',
      before: (bench: MuxBench, id: number) => {
        bench.write(id, 'GET /');
        bench.receive(PSH, id, '200');
        bench.consumed(id, 3);
      },
      graceMs: 2_000,
    },
  ];
  for (const { name, before, graceMs } of cases) {
    test(`${name}: ${graceMs} ms`, () => {
      const bench = new MuxBench();
      const id = bench.open();
      before(bench, id);
      bench.mux.end(id);
      bench.flush();
      bench.advance(graceMs - 1);
      assert.equal(bench.commands(id).includes('FIN'), false);
      bench.advance(200);
      assert.equal(bench.commands(id).at(-1), 'FIN');
      assert.equal(bench.mux.deadline(bench.now), undefined);
    });
  }

  test('every answer starts the wait anew, and the answer of a far end that ends needs no FIN', () => {
    const bench = new MuxBench();
    const id = bench.open();
    bench.write(id, 'request');
    bench.mux.end(id);
    bench.flush();
    for (let i = 0; i < 20; i += 1) {
      bench.advance(1_900);
      bench.receive(PSH, id, 'line');
      bench.consumed(id, 4);
    }
    bench.receive(FIN, id);
    bench.advance(100_000);
    assert.deepEqual(bench.commands(id), ['SYN', 'PSH']);
    assert.deepEqual(bench.outcomes(id), ['ended']);
  });

  test('the wait begins when the agent has everything', () => {
    const bench = new MuxBench();
    bench.acknowledgesAtOnce = false;
    const id = bench.open();
    bench.mux.end(id);
    bench.flush();
    bench.advance(20_000);
    assert.deepEqual(bench.commands(id), ['SYN']);
    bench.acknowledge();
    bench.advance(2_900);
    assert.deepEqual(bench.commands(id), ['SYN']);
    bench.advance(300);
    assert.deepEqual(bench.commands(id), ['SYN', 'FIN']);
  });

  test('a lost link, and a local client that is slow to read, stop the wait', () => {
    const bench = new MuxBench();
    const id = bench.open();
    bench.write(id, 'x');
    bench.receive(PSH, id, 'answer');
    bench.mux.end(id);
    bench.flush();
    bench.advance(30_000);
    assert.deepEqual(bench.commands(id), ['SYN', 'PSH'], 'unread bytes');
    bench.consumed(id, 6);
    bench.isHearing = false;
    bench.advance(30_000);
    assert.deepEqual(bench.commands(id), ['SYN', 'PSH'], 'no link');
    bench.isHearing = true;
    bench.advance(2_200);
    assert.deepEqual(bench.commands(id), ['SYN', 'PSH', 'FIN']);
  });

  test('a client that goes after its end sends FIN at once', () => {
    const bench = new MuxBench();
    const id = bench.open();
    bench.write(id, 'x');
    bench.mux.end(id);
    bench.flush();
    bench.mux.close(id);
    bench.flush();
    assert.deepEqual(bench.commands(id), ['SYN', 'PSH', 'FIN']);
    bench.advance(200_000);
    assert.equal(bench.commands(id).filter((name) => name === 'FIN').length, 1);
  });
});

describe('sending', () => {
  test('a source is asked to wait above its bound and told when there is room', () => {
    const bench = new MuxBench();
    const id = bench.open();
    assert.equal(bench.write(id, Buffer.alloc(limits.STREAM_PENDING_BYTES - 1)), true);
    assert.equal(bench.write(id, Buffer.alloc(10)), false);
    assert.equal(bench.mux.stats().pendingBytes, limits.STREAM_PENDING_BYTES + 9);
    bench.flush(1);
    assert.deepEqual(bench.outcomes(id), []);
    bench.flush();
    assert.deepEqual(bench.outcomes(id), ['writable']);
  });

  test('uploads take turns, frame by frame', () => {
    const bench = new MuxBench();
    const [a, b] = [bench.open(), bench.open()];
    bench.write(a, Buffer.alloc(64_000));
    bench.write(b, Buffer.alloc(64_000));
    bench.flush();
    const order = bench.frames.filter(({ command }) => command === PSH).map(({ streamId }) => streamId);
    assert.deepEqual(order.slice(0, 10), [a, b, a, b, a, b, a, b, a, b]);
  });

  test('a full frame fills whole messages of 1024 bytes', () => {
    const bench = new MuxBench();
    bench.write(bench.open(), Buffer.alloc(64_000));
    bench.flush();
    const full = bench.frames.find(({ command }) => command === PSH);
    assert.equal((8 + (full?.data.length ?? 0)) % 1024, 0);
  });

  test('a small write goes before uploads that wait', () => {
    const bench = new MuxBench();
    const [bulk, keys] = [bench.open(), bench.open()];
    bench.write(bulk, Buffer.alloc(1_000_000));
    bench.flush(2);
    const before = bench.frames.length;
    bench.write(keys, 'l');
    bench.flush(1);
    assert.equal(bench.frames[before]?.streamId, keys);
  });

  test('many small writers do not starve an upload', () => {
    const bench = new MuxBench();
    const bulk = bench.open();
    const small = Array.from({ length: 10 }, () => bench.open());
    bench.write(bulk, Buffer.alloc(1_000_000));
    bench.flush(1);
    for (let round = 0; round < 100; round += 1) {
      for (const id of small) bench.write(id, Buffer.alloc(1_000));
      bench.flush(1);
    }
    const share = bench.sent(bulk).length / (100 * limits.PULL_BYTES);
    assert.equal(share > 0.2, true, `${share} of the pieces`);
  });
});

describe('slow local clients', () => {
  test('alone, a client that does not read stops the data channel at 1 MiB', () => {
    const bench = new MuxBench();
    const id = bench.open();
    for (let i = 0; i < 40; i += 1) bench.receive(PSH, id, Buffer.alloc(32_768));
    const withheld = 40 * 32_776 - bench.creditedBytes;
    assert.equal(bench.creditedBytes >= 0.9 * MiB && bench.creditedBytes <= 1.1 * MiB, true);
    assert.equal(bench.mux.stats().isHeldUp, true);
    bench.consumed(id, 10 * 32_768);
    assert.equal(bench.creditedBytes, 40 * 32_776, `${withheld} bytes come back`);
  });

  test('beside others it is buffered for, up to 16 MiB', () => {
    const bench = new MuxBench();
    const [slow, fast] = [bench.open(), bench.open()];
    for (let i = 0; i < 400; i += 1) {
      bench.receive(PSH, slow, Buffer.alloc(32_768));
      bench.receive(PSH, fast, 'tick');
      bench.consumed(fast, 4);
    }
    assert.equal(bench.mux.stats().isHeldUp, false);
    for (let i = 0; i < 200; i += 1) bench.receive(PSH, slow, Buffer.alloc(32_768));
    assert.equal(bench.mux.stats().isHeldUp, true);
    assert.equal(bench.creditedBytes < 17 * MiB, true);
  });

  test('one that takes nothing for a minute while it holds up others is given up; a slow one is not', () => {
    const bench = new MuxBench();
    const [dead, slow] = [bench.open(), bench.open()];
    bench.flush();
    for (let i = 0; i < 300; i += 1) {
      bench.receive(PSH, dead, Buffer.alloc(32_768));
      bench.receive(PSH, slow, Buffer.alloc(32_000));
    }
    assert.equal(bench.mux.stats().isHeldUp, true);
    bench.advance(59_000);
    bench.consumed(slow, 1);
    bench.advance(2_000);
    assert.deepEqual(bench.outcomes(dead), ['stalled']);
    assert.deepEqual(bench.outcomes(slow), []);
    assert.equal(bench.mux.stats().isHeldUp, false);
    assert.deepEqual(bench.commands(dead), ['SYN', 'FIN']);
  });

  test('one that is alone is never given up', () => {
    const bench = new MuxBench();
    const id = bench.open();
    for (let i = 0; i < 300; i += 1) bench.receive(PSH, id, Buffer.alloc(32_768));
    bench.advance(10 * 60_000);
    assert.deepEqual(bench.outcomes(id), []);
  });

  test('bytes that a client leaves behind are credited', () => {
    const bench = new MuxBench();
    const id = bench.open();
    for (let i = 0; i < 100; i += 1) bench.receive(PSH, id, Buffer.alloc(32_768));
    bench.mux.close(id);
    bench.flush();
    assert.equal(bench.creditedBytes, 100 * 32_776);
    assert.equal(bench.mux.stats().unreadBytes, 0);
  });

  test('data that was delivered before the end still counts until it is taken', () => {
    const bench = new MuxBench();
    const id = bench.open();
    bench.receive(PSH, id, Buffer.alloc(1000));
    bench.receive(FIN, id);
    assert.equal(bench.mux.stats().unreadBytes, 1000);
    bench.consumed(id, 1000);
    assert.deepEqual([bench.mux.stats().unreadBytes, bench.mux.stats().streams], [0, 0]);
  });
});

describe('keepalive', () => {
  const versions = [
    { version: '2.3.722.0', multiplexes: false, needs: true },
    { version: '3.0.196.0', multiplexes: false, needs: true },
    { version: '3.0.197.0', multiplexes: true, needs: true },
    { version: '3.1.1446.0', multiplexes: true, needs: true },
    { version: '3.1.1511.0', multiplexes: true, needs: true },
    { version: '3.1.1575.0', multiplexes: true, needs: false },
    { version: '3.3.987.0', multiplexes: true, needs: false },
  ];
  for (const { version, multiplexes, needs } of versions) {
    test(`agent ${version}: ${multiplexes ? 'multiplexes' : 'one connection'}, ${needs ? 'NOPs' : 'no NOPs'}`, () => {
      assert.equal(isMultiplexing(version), multiplexes);
      assert.equal(needsKeepalive(version), needs);
    });
  }

  test('a NOP leaves after 10 s in which nothing else did', () => {
    const bench = new MuxBench(true);
    bench.advance(25_000);
    assert.deepEqual(bench.commands(0), ['NOP', 'NOP']);
    const id = bench.open();
    bench.flush();
    bench.advance(9_000);
    bench.write(id, 'x');
    bench.flush();
    bench.advance(9_000);
    assert.deepEqual(bench.commands(0), ['NOP', 'NOP']);
  });

  test('while the channel takes nothing they do not pile up', () => {
    const bench = new MuxBench(true);
    for (let i = 1; i <= 100; i += 1) bench.mux.tick(i * 10_000, bench);
    bench.flush();
    assert.deepEqual(bench.commands(0), ['NOP']);
  });

  test('without it nothing is ever due', () => {
    assert.equal(new MuxBench().mux.deadline(0), undefined);
  });
});
