/**
 * Random clients over one mux session against a model of the agent (which sends random bytes, and closes when it
 * likes), the byte stream cut at random places both ways: every stream comes out exact, nothing is left over, and
 * what is credited is what was received.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FRAME_COMMAND, FrameDecoder, encodeFrame } from '../../src/mux/frame.ts';
import { MuxSession } from '../../src/mux/mux-session.ts';
import type { Random } from '../support/random.ts';
import { forSeeds, randomBuffer, randomInteger } from '../support/random.ts';

interface Client {
  readonly id: number;
  readonly toSend: Buffer;
  sent: number;
  mayWrite: boolean;
  received: Buffer[];
  unread: number;
  outcome: string | undefined;
}

interface Remote {
  received: Buffer[];
  readonly toSend: Buffer;
  sent: number;
  hasFin: boolean;
  isClosed: boolean;
}

class World {
  readonly random: Random;
  readonly mux = new MuxSession({ hasKeepalive: false }, 0);
  readonly clients = new Map<number, Client>();
  readonly remotes = new Map<number, Remote>();
  readonly #decoder = new FrameDecoder();
  #toClient: Buffer[] = [];
  #given = 0;
  #credited = 0;
  #pulled = 0;
  now = 0;

  constructor(random: Random) {
    this.random = random;
  }

  open(): void {
    const id = this.mux.open(this.now);
    assert.ok(id);
    const toSend = randomBuffer(this.random, randomInteger(this.random, 0, 60_000));
    this.clients.set(id, {
      id,
      toSend,
      sent: 0,
      mayWrite: true,
      received: [],
      unread: 0,
      outcome: undefined,
    });
  }

  step(): void {
    const choice = randomInteger(this.random, 0, 5);
    if (choice === 0 && this.clients.size < 12) this.open();
    for (const client of this.clients.values()) this.#clientStep(client);
    for (const [id, remote] of this.remotes) this.#remoteStep(id, remote);
    this.#moveUp(randomInteger(this.random, 0, 3));
    this.#moveDown(randomInteger(this.random, 0, 3));
    this.now += randomInteger(this.random, 0, 50);
    this.mux.tick(this.now, { acknowledgedBytes: this.#pulled, isHearing: true });
    this.#take();
  }

  /** Until nothing moves any more; then every client ends. */
  finish(): void {
    for (let i = 0; i < 3_000; i += 1) this.step();
    for (const client of this.clients.values()) assert.equal(client.sent, client.toSend.length);
    for (const client of this.clients.values()) this.mux.close(client.id, { flush: true });
    for (let i = 0; i < 200; i += 1) this.step();
    assert.equal(this.#given, this.#credited);
    assert.deepEqual(this.mux.stats(), {
      streams: 0,
      openedStreams: this.clients.size,
      pendingBytes: 0,
      unreadBytes: 0,
      isHeldUp: false,
    });
    assert.equal(this.mux.pull(this.now), undefined);
  }

  #clientStep(client: Client): void {
    if (client.outcome !== undefined) client.sent = client.toSend.length;
    if (client.mayWrite && client.sent < client.toSend.length) {
      const size = randomInteger(this.random, 1, 20_000);
      const data = client.toSend.subarray(client.sent, client.sent + size);
      client.sent += data.length;
      client.mayWrite = this.mux.write(client.id, data);
    }
    if (client.unread > 0 && this.random() < 0.5) {
      const bytes = randomInteger(this.random, 1, client.unread);
      client.unread -= bytes;
      this.mux.consumed(client.id, bytes, this.now);
    }
  }

  #remoteStep(id: number, remote: Remote): void {
    if (remote.isClosed) return;
    if (remote.sent < remote.toSend.length) {
      const data = remote.toSend.subarray(remote.sent, remote.sent + randomInteger(this.random, 1, 9_000));
      remote.sent += data.length;
      this.#toClient.push(encodeFrame(FRAME_COMMAND.PSH, id, data));
    }
    if (remote.hasFin || (remote.sent === remote.toSend.length && this.random() < 0.02)) {
      remote.isClosed = true;
      this.#toClient.push(encodeFrame(FRAME_COMMAND.FIN, id));
    }
  }

  #moveUp(pulls: number): void {
    for (let i = 0; i < pulls; i += 1) {
      const data = this.mux.pull(this.now);
      if (data === undefined) break;
      this.#pulled += data.length;
      const cut = randomInteger(this.random, 0, data.length);
      this.#decoder.push(data.subarray(0, cut));
      this.#decoder.push(data.subarray(cut));
    }
    for (let frame = this.#decoder.next(); frame !== undefined; frame = this.#decoder.next()) {
      const remote = this.remotes.get(frame.streamId);
      if (frame.command === FRAME_COMMAND.SYN) {
        assert.equal(remote, undefined, 'a stream is opened once');
        const toSend = randomBuffer(this.random, randomInteger(this.random, 0, 60_000));
        this.remotes.set(frame.streamId, { received: [], toSend, sent: 0, hasFin: false, isClosed: false });
        continue;
      }
      assert.ok(remote, 'no frame before SYN');
      assert.equal(remote.hasFin, false, 'nothing after FIN');
      if (frame.command === FRAME_COMMAND.FIN) remote.hasFin = true;
      else if (!remote.isClosed) remote.received.push(frame.data);
    }
  }

  #moveDown(pieces: number): void {
    if (this.#toClient.length === 0) return;
    const all = Buffer.concat(this.#toClient);
    let at = 0;
    for (let i = 0; i < pieces && at < all.length; i += 1) {
      const piece = all.subarray(at, at + randomInteger(this.random, 1, 1024 * 16));
      at += piece.length;
      this.#given += piece.length;
      this.mux.receive(piece, this.now);
      this.#take();
    }
    this.#toClient = at < all.length ? [all.subarray(at)] : [];
  }

  #take(): void {
    for (const action of this.mux.take()) {
      if (action.kind === 'credit') {
        this.#credited += action.bytes;
        continue;
      }
      assert.notEqual(action.kind, 'failed');
      if (!('streamId' in action)) continue;
      const client = this.clients.get(action.streamId);
      assert.ok(client);
      assert.equal(client.outcome, undefined, 'nothing after the end');
      if (action.kind === 'deliver') {
        client.received.push(action.data);
        client.unread += action.data.length;
      } else if (action.kind === 'writable') client.mayWrite = true;
      else client.outcome = action.kind;
    }
  }
}

test('streams come out exact, whatever is cut, interleaved or ended', () => {
  forSeeds(12, (random) => {
    const world = new World(random);
    world.open();
    world.finish();
    for (const client of world.clients.values()) {
      const remote = world.remotes.get(client.id);
      assert.ok(remote);
      const received = Buffer.concat(client.received);
      const reached = Buffer.concat(remote.received);
      assert.equal(reached.equals(client.toSend.subarray(0, reached.length)), true, `up ${client.id}`);
      assert.equal(received.equals(remote.toSend.subarray(0, received.length)), true, `down ${client.id}`);
      if (client.outcome === 'ended') assert.equal(received.length, remote.toSend.length);
      else assert.equal(reached.length, client.toSend.length);
    }
  });
});
