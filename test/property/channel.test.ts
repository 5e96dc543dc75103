/**
 * Two channels' worth of traffic over a link that loses, repeats, reorders, delays and cuts, in virtual time: the far
 * end is a naive model (an array of what it has, an array of what it sends), the streams must come out exact.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MESSAGE_TYPE, PAYLOAD_TYPE, decodeMessage } from '../../src/protocol/message.ts';
import { parseAcknowledge } from '../../src/protocol/payloads.ts';
import { ChannelBench } from '../support/channel-bench.ts';
import {
  acknowledgeMessage,
  handshakeComplete,
  handshakeRequest,
  outputMessage,
} from '../support/fake-agent.ts';
import type { Random } from '../support/random.ts';
import { forSeeds, randomBuffer, randomInteger } from '../support/random.ts';

interface LinkFaults {
  readonly loss: number;
  readonly duplication: number;
  readonly corruption: number;
  /** Largest delay in ms; different delays reorder. */
  readonly delayMs: number;
  /** Chance per step of 50 ms that the link goes down for a while. */
  readonly cut: number;
}

interface InFlight {
  readonly at: number;
  readonly bytes: Buffer;
  readonly toClient: boolean;
}

/** The model: no timers of its own but "send the oldest again now and then", as the real agent does. */
class ModelAgent {
  readonly received = new Map<number, Buffer>();
  readonly #toSend: Buffer[];
  readonly #unacked = new Set<number>();
  #next = 0;
  #complete = false;
  readonly #complete1: Buffer;
  readonly #request: Buffer;

  constructor(stream: Buffer, random: Random) {
    this.#request = outputMessage(0, handshakeRequest(), PAYLOAD_TYPE.HANDSHAKE_REQUEST);
    this.#complete1 = outputMessage(1, handshakeComplete(), PAYLOAD_TYPE.HANDSHAKE_COMPLETE);
    this.#toSend = [];
    for (let offset = 0; offset < stream.length;) {
      const size = Math.min(randomInteger(random, 1, 1024), stream.length - offset);
      this.#toSend.push(outputMessage(2 + this.#toSend.length, stream.subarray(offset, offset + size)));
      offset += size;
    }
  }

  #message(sequenceNumber: number): Buffer {
    if (sequenceNumber === 0) return this.#request;
    if (sequenceNumber === 1) return this.#complete1;
    const message = this.#toSend[sequenceNumber - 2];
    assert.ok(message);
    return message;
  }

  /** New messages, at most `count`. */
  produce(count: number): Buffer[] {
    const limit = this.#complete ? 2 + this.#toSend.length : this.received.has(0) ? 2 : 1;
    if (this.received.has(0)) this.#complete = true;
    const produced: Buffer[] = [];
    while (produced.length < count && this.#next < limit) {
      this.#unacked.add(this.#next);
      produced.push(this.#message(this.#next));
      this.#next += 1;
    }
    return produced;
  }

  /** The oldest unacknowledged, for retransmission. */
  oldest(): Buffer[] {
    const sequenceNumber = Math.min(...this.#unacked);
    return Number.isFinite(sequenceNumber) ? [this.#message(sequenceNumber)] : [];
  }

  /** Returns the acknowledgement to send, if any. The real agent never checks digests; the link model does. */
  receive(bytes: Buffer): Buffer[] {
    const message = decodeMessage(bytes);
    if (message.messageType === MESSAGE_TYPE.ACKNOWLEDGE) {
      this.#unacked.delete(parseAcknowledge(message.payload));
      return [];
    }
    if (!this.received.has(message.sequenceNumber)) {
      this.received.set(message.sequenceNumber, Buffer.from(message.payload));
    }
    return [acknowledgeMessage(message.sequenceNumber)];
  }

  get isDone(): boolean {
    return this.#next === 2 + this.#toSend.length && this.#unacked.size === 0;
  }

  /** Stream bytes of the client, in order. */
  stream(): Buffer {
    const pieces: Buffer[] = [];
    for (let sequenceNumber = 1; this.received.has(sequenceNumber); sequenceNumber += 1) {
      const piece = this.received.get(sequenceNumber);
      if (piece !== undefined) pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }
}

function exchange(random: Random, faults: LinkFaults, uploadBytes: number, downloadBytes: number): void {
  const upload = randomBuffer(random, uploadBytes);
  const download = randomBuffer(random, downloadBytes);
  const bench = new ChannelBench({
    messagesPerSecond: random() < 0.5 ? 900 : undefined,
    windowBytes: 32 * 1024,
  });
  const agent = new ModelAgent(download, random);
  const flights: InFlight[] = [];
  let isUp = true;
  let upAt = 0;
  let written = 0;

  const launch = (bytes: Buffer, toClient: boolean): void => {
    if (!isUp || random() < faults.loss) return;
    const copies = random() < faults.duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      const sent = Buffer.from(bytes);
      // Only toward the client: the agent does not check digests, so nothing could mend the other way.
      if (toClient && random() < faults.corruption) {
        const at = randomInteger(random, 120, sent.length - 1);
        sent[at] = (sent[at] ?? 0) ^ 0xff;
      }
      flights.push({ at: bench.now + random() * faults.delayMs, bytes: sent, toClient });
    }
  };
  const sendFromClient = (actions: ReturnType<ChannelBench['run']>): void => {
    for (const action of actions)
      if (action.kind === 'send') for (const m of action.messages) launch(m, false);
  };

  sendFromClient(bench.run((channel, now) => channel.linkUp(now)));
  const limitMs = 3_600_000;
  while (bench.now < limitMs) {
    if (agent.isDone && written === upload.length && bench.channel.isDrained && flights.length === 0) break;
    if (isUp && random() < faults.cut) {
      isUp = false;
      upAt = bench.now + random() * 3000;
      flights.length = 0;
      bench.run((channel, now) => channel.linkDown(now));
    } else if (!isUp && bench.now >= upAt) {
      isUp = true;
      sendFromClient(bench.run((channel, now) => channel.linkUp(now)));
    }
    for (const message of agent.produce(randomInteger(random, 0, 30))) launch(message, true);
    for (const message of agent.oldest()) launch(message, true);
    if (written < upload.length && bench.channel.stats().pendingBytes < 64 * 1024) {
      const size = Math.min(randomInteger(random, 1, 20_000), upload.length - written);
      sendFromClient(bench.write(Buffer.from(upload.subarray(written, written + size))));
      written += size;
    }
    const end = bench.now + 50;
    flights.sort((a, b) => a.at - b.at);
    while (flights[0] !== undefined && flights[0].at <= end) {
      const flight = flights.shift();
      if (flight === undefined) break;
      sendFromClient(bench.advance(Math.max(0, flight.at - bench.now)));
      if (flight.toClient) sendFromClient(bench.receive(flight.bytes));
      else for (const reply of agent.receive(flight.bytes)) launch(reply, true);
    }
    sendFromClient(bench.advance(Math.max(0, end - bench.now)));
  }
  assert.ok(bench.now < limitMs, 'it came to an end');
  assert.ok(agent.stream().equals(upload), 'upload is exact');
  assert.ok(Buffer.concat(bench.delivered).equals(download), 'download is exact');
}

const CLEAN: LinkFaults = { loss: 0, duplication: 0, corruption: 0, delayMs: 1, cut: 0 };
const TABLE: [string, LinkFaults, number][] = [
  ['a clean link', CLEAN, 5],
  ['loss of 20 %', { ...CLEAN, loss: 0.2 }, 20],
  ['duplicates', { ...CLEAN, duplication: 0.5 }, 10],
  ['reordering within 200 ms', { ...CLEAN, delayMs: 200 }, 10],
  ['corrupted downloads', { ...CLEAN, corruption: 0.1 }, 10],
  ['frequent cuts', { ...CLEAN, cut: 0.05, delayMs: 60 }, 20],
  ['everything at once', { loss: 0.1, duplication: 0.1, corruption: 0.05, delayMs: 300, cut: 0.02 }, 30],
];

describe('streams come out exact over', () => {
  for (const [name, faults, seeds] of TABLE) {
    test(name, () => {
      forSeeds(seeds, (random) => exchange(random, faults, 60_000, 60_000));
    });
  }
});
