/** The WebSocket in memory: what a simulated session and its service see of each other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryWire } from '../support/simulation/memory-wire.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

function joined() {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const wire = new MemoryWire(clock, {
    onOpen: () => seen.push('client open'),
    onMessage: (data) => seen.push(`client got ${data.toString()}`),
    onPong: () => seen.push('client pong'),
    onDrain: () => {},
    onClose: ({ code }) => seen.push(`client closed ${code}`),
  });
  wire.socket.listen({
    onMessage: (data, isText) => seen.push(`service got ${isText ? 'text ' : ''}${data.toString()}`),
    onPing: () => wire.socket.pong(Buffer.alloc(0)),
    onClose: (code) => seen.push(`service closed ${code}`),
  });
  wire.open();
  /** What has been seen since the last look, once nothing moves. */
  const look = (): string[] => {
    clock.advance(0);
    return seen.splice(0);
  };
  const say = (text: string): void => wire.socket.send(Buffer.from(text), 0, () => {});
  assert.deepEqual(look(), ['client open']);
  return { clock, wire, seen, look, say };
}

test('messages arrive later, in order, both ways; pings are answered', () => {
  const { wire, seen, look, say } = joined();
  wire.transport.sendText('a');
  wire.transport.send([Buffer.from('b'), Buffer.from('c')]);
  say('d');
  wire.transport.ping();
  assert.deepEqual(seen, [], 'nothing from within a send');
  assert.deepEqual(look(), [
    'service got text a',
    'service got b',
    'service got c',
    'client got d',
    'client pong',
  ]);
});

test('a reset loses what is on its way, and both hear of it once', () => {
  const { wire, look, say } = joined();
  wire.transport.send([Buffer.from('lost')]);
  say('lost too');
  wire.socket.reset();
  wire.socket.reset();
  assert.deepEqual(look(), ['service closed 1006', 'client closed 1006']);
  say('after it');
  wire.transport.send([Buffer.from('after it')]);
  assert.deepEqual(look(), []);
});

test('a close comes after everything before it, and its code reaches both', () => {
  const { wire, look, say } = joined();
  say('last');
  wire.socket.close(1001, 'Going away');
  say('too late');
  assert.equal(wire.socket.isOpen, false);
  assert.deepEqual(look(), ['client got last', 'client closed 1001', 'service closed 1001']);
});

test('a connection that breaks off in a message loses that message only', () => {
  const { wire, look, say } = joined();
  say('whole');
  wire.socket.breakOff(Buffer.from('half'));
  assert.deepEqual(look(), ['client got whole', 'client closed 1006', 'service closed 1006']);
});

test('a client that does not read leaves everything unread, the end too', () => {
  const { wire, look, say } = joined();
  wire.transport.pause();
  say('12345');
  wire.socket.close(1000, '');
  assert.deepEqual(look(), []);
  assert.equal(wire.socket.bufferedBytes, 5);
  wire.transport.resume();
  assert.deepEqual(look(), ['client got 12345', 'client closed 1000', 'service closed 1000']);
});

test('a half-open connection swallows everything but its end', () => {
  const { wire, look } = joined();
  wire.socket.forgetInput();
  wire.transport.send([Buffer.from('swallowed')]);
  wire.transport.ping();
  assert.deepEqual(look(), []);
  wire.transport.destroy();
  assert.deepEqual(look(), ['client closed 1006', 'service closed 1006']);
});
